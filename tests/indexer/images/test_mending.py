from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images import ReadImage, hash_bytes, read_image
from indexer.images.mending import mended
from indexer.images.reading import count_pixels
from tests.bad_images import encoded, photo, png_chunk, png_of

PICTURE = np.asarray(photo(96, 64))
SHAPE = InputShape(96, 64, "squash")
RGB = 2


def read(data: bytes) -> ReadImage:
    return read_image("x", data, SHAPE, ReadLimits(), exact=True)


def is_refused(data: bytes) -> bool:
    try:
        read(data)
    except UnreadableImage as error:
        return error.reason.startswith(("truncated", "cannot be decoded"))
    return False


# PNG


WRONG_SUM = png_chunk(b"tEXt", b"Comment\0hello")[:-1] + b"\0"


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"1" * 2_000_000)),
        png_chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"x" * 1_200_000)),
        png_chunk(b"tEXt", b"plain\0" + b"x" * 70_000_000),  # over what Pillow keeps in all
        png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(1_500_000))),
        png_chunk(b"iCCP", b"profile\0\7junk"),
        png_chunk(b"zTXt", b"a\0\7junk"),
        png_chunk(b"pHYs", b"\0"),
        png_chunk(b"gAMA", b""),
        png_chunk(b"fcTL", b"junk"),
        png_chunk(b"acTL", b"\0\0"),
        png_chunk(b"eXIf", b"not a directory"),
        WRONG_SUM,
    ],
    ids=lambda chunk: f"{chunk[4:8].decode()} {len(chunk)}",
)
def test_a_png_loses_only_its_metadata(chunk: bytes) -> None:
    data = png_of(PICTURE, RGB, before=chunk)
    image = read(data)
    assert np.array_equal(image.pixels, PICTURE)
    # the file's own bytes, not those of the mended one
    assert image.sha256 == hash_bytes(data)
    assert count_pixels("x", data, ReadLimits()) == 96 * 64
    assert np.array_equal(read(png_of(PICTURE, RGB, behind=chunk)).pixels, PICTURE)


def test_how_it_stands_and_when_it_was_taken_survive_a_large_text() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.DateTime] = "2021:07:03 14:05:59"
    chunk = png_chunk(b"eXIf", exif.tobytes()[6:])
    large = png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"1" * 2_000_000))
    image = read(png_of(PICTURE, RGB, before=large + chunk))
    assert (image.width_px, image.height_px) == (64, 96)
    assert str(image.captured_at) == "2021-07-03 14:05:59"
    xmp = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="8"/>'
    turned = read(png_of(PICTURE, RGB, before=large + png_chunk(b"iTXt", xmp)))
    assert (turned.width_px, turned.height_px) == (64, 96)


def test_a_png_without_its_end_is_read_where_every_row_is_there() -> None:
    whole = png_of(PICTURE, RGB)
    for missing in (1, 4, 8, 12):  # of its last 12 bytes, which are IEND
        assert np.array_equal(read(whole[:-missing]).pixels, PICTURE)
    # with them the checksum of the pixels, and zlib's own
    for missing in (14, 16, 20):
        assert np.array_equal(read(whole[:-missing]).pixels, PICTURE)
    # one row is missing
    for missing in (400, 4000):
        assert is_refused(whole[:-missing])


def test_pixels_with_a_wrong_header_stay_refused() -> None:
    whole = bytearray(png_of(PICTURE, RGB))
    whole[19] ^= 1  # the width, and so its checksum
    with pytest.raises(UnreadableImage, match="a truncated or broken PNG"):
        read(bytes(whole))


# JPEG


KINDS: list[dict[str, object]] = [
    {},
    {"progressive": True},
    {"subsampling": 0},
    {"subsampling": 2, "optimize": True},
    {"restart_marker_rows": 1},
]


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("size", [(96, 64), (97, 61), (640, 480)])
def test_a_jpeg_without_its_end_marker_is_read_where_every_row_is_there(
    options: dict[str, object], size: tuple[int, int]
) -> None:
    whole = encoded(photo(*size), "JPEG", quality=90, **options)
    assert whole[-2:] == b"\xff\xd9"
    pixels = read(whole).pixels
    for end in (b"", b"\xff", b"\xff\xff\xff", bytes(50)):
        image = read(whole[:-2] + end)
        assert np.array_equal(image.pixels, pixels)
        assert image.sha256 == hash_bytes(whole[:-2] + end)
    for missing in (4, 8, 40, len(whole) // 10, len(whole) // 2):
        assert is_refused(whole[:-missing])


def test_a_progressive_jpeg_that_lacks_a_whole_scan_stays_refused() -> None:
    whole = encoded(photo(200, 150), "JPEG", progressive=True)
    scans = [at for at in range(len(whole) - 1) if whole[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    tables = whole.rindex(b"\xff\xc4", 0, scans[-1])
    for cut in (scans[-1], tables, scans[3]):
        assert is_refused(whole[:cut])


def test_a_jpeg_of_one_channel_and_of_four() -> None:
    for mode in ("L", "CMYK"):
        whole = encoded(photo(96, 64).convert(mode), "JPEG")
        assert np.array_equal(read(whole[:-2]).pixels, read(whole).pixels)


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe0\0\x08JFIF\0\1",
        b"\xff\xed\0\x18Photoshop 3.0\x008BIM\4\4",
        b"\xff\xee\0\x08Adobe\0",
        b"\xff\xe2\0\x0cMPF\0junk\0\0",
        b"\xff\xe1\0\x0eExif\0\0junk\0\0",
    ],
)
def test_a_jpeg_loses_only_its_broken_segment(segment: bytes) -> None:
    whole = encoded(photo(96, 64), "JPEG", quality=95)
    image = read(whole[:2] + segment + whole[2:])
    assert np.array_equal(image.pixels, read(whole).pixels)


def test_a_broken_segment_costs_no_time_and_no_turn() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.DateTime] = "2021:07:03 14:05:59"
    whole = encoded(photo(96, 64), "JPEG", exif=exif)
    broken = b"\xff\xed\0\x18Photoshop 3.0\x008BIM\4\4"
    image = read(whole[:2] + broken + whole[2:])
    assert (image.width_px, image.height_px) == (64, 96)
    assert str(image.captured_at) == "2021-07-03 14:05:59"


def test_what_is_over_the_cap_is_not_decoded_to_see_whether_its_end_is_missing() -> None:
    data = encoded(photo(96, 64), "JPEG")[:-2]
    assert mended(data, ReadLimits()) == data + b"\xff\xd9"
    assert mended(data, ReadLimits(max_pixels=96 * 64 - 1)) is None


def test_other_formats_have_nothing_to_mend() -> None:
    for format in ("GIF", "WEBP", "BMP"):
        assert mended(encoded(photo(), format)[:-20], ReadLimits()) is None
    assert mended(b"", ReadLimits()) is None
    assert mended(b"\xff\xd8", ReadLimits()) is None


def test_a_gif_without_its_trailer_is_read() -> None:
    file = io.BytesIO()
    photo(96, 64).quantize(256).save(file, "GIF")
    assert np.abs(read(file.getvalue()[:-1]).pixels.astype(int) - PICTURE).mean() < 12
