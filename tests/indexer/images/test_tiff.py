from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from indexer.arrays import InputShape, Pixels
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images import read_image
from tests.bad_images import encoded, photo, tiff_of

WIDTH, HEIGHT = 16, 4
# columns get brighter, rows of the second channel too, the third goes the other way
RIGHT = np.tile(np.arange(WIDTH) / (WIDTH - 1), (HEIGHT, 1))
DOWN = np.tile(np.arange(HEIGHT)[:, None] / (HEIGHT - 1), (1, WIDTH))
COLOUR = np.stack([RIGHT, DOWN, 1 - RIGHT], 2)
SEEN = np.rint(COLOUR * 255).astype(int)
LZW, JPEG, DEFLATE, PACKBITS, ZSTD = 5, 7, 8, 32773, 50000
MINIATURE = 1  # NewSubfileType


def seen(data: bytes, width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    return read_image("x", data, InputShape(width, height, "squash"), ReadLimits()).pixels


def reason_of(data: bytes) -> str:
    with pytest.raises(UnreadableImage) as caught:
        seen(data)
    return caught.value.reason


def tags_of(
    samples: NDArray[Any], photometric: int, **more: object
) -> dict[int, tuple[str, object]]:
    """The tags that every picture has; (height, width) or (height, width, channels)."""
    channels = samples.shape[2] if samples.ndim == 3 else 1
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    return {
        256: ("L", samples.shape[1]),
        257: ("L", samples.shape[0]),
        258: ("H", [8 * samples.dtype.itemsize] * channels),
        262: ("H", photometric),
        277: ("H", channels),
        278: ("L", samples.shape[0]),
        339: ("H", [kind] * channels),
    }


def tiff(
    samples: NDArray[Any],
    photometric: int = 1,
    order: str = "<",
    big: bool = False,
    tags: dict[int, tuple[str, object]] | None = None,
) -> bytes:
    """One uncompressed strip."""
    written = samples.astype(samples.dtype.newbyteorder(order)).tobytes()  # type: ignore[arg-type]
    return tiff_of([written], tags_of(samples, photometric) | (tags or {}), order, big)


def lzw(data: bytes) -> bytes:
    """As Pillow's libtiff packs a row of bytes."""
    file = io.BytesIO()
    Image.frombytes("L", (len(data), 1), data).save(file, "TIFF", compression="tiff_lzw")
    with Image.open(file) as image:
        offset, count = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]
    return file.getvalue()[offset : offset + count]


def packbits(data: bytes) -> bytes:
    """Literal runs only."""
    parts = [data[at : at + 128] for at in range(0, len(data), 128)]
    return b"".join(bytes([len(part) - 1]) + part for part in parts)


PACKED: dict[int, Callable[[bytes], bytes]] = {
    1: bytes,
    LZW: lzw,
    DEFLATE: zlib.compress,
    PACKBITS: packbits,
}


# number types


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "samples",
    [
        np.rint(RIGHT * 255).astype(np.uint8),
        np.rint(RIGHT * 65535).astype(np.uint16),
        (RIGHT * (2**32 - 1)).astype(np.uint32),
        (RIGHT * 2.0**63).astype(np.uint64),
        np.rint(RIGHT * 254 - 127).astype(np.int8),
        np.rint(RIGHT * 65534 - 32767).astype(np.int16) // 2,
        np.rint(RIGHT * 2e9 - 1e9).astype(np.int32),
        np.rint(RIGHT * 2e15 - 1e15).astype(np.int64),
        RIGHT.astype(np.float16),
        RIGHT.astype(np.float32),
        RIGHT.astype(np.float64),
    ],
    ids=lambda samples: str(samples.dtype),
)
def test_every_number_type_and_byte_order_looks_alike(
    samples: NDArray[Any], order: str, big: bool
) -> None:
    black_is_zero = seen(tiff(samples, 1, order, big))[:, :, 0].astype(int)
    assert np.abs(black_is_zero - SEEN[:, :, 0]).max() <= 1
    white_is_zero = seen(tiff(samples, 0, order, big))[:, :, 1].astype(int)
    assert np.abs(white_is_zero - SEEN[:, :, 2]).max() <= 1


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_colour_of_few_bits_in_16_is_not_black(bits: int) -> None:
    samples = np.rint(COLOUR * (2**bits - 1)).astype(np.uint16)
    assert np.abs(seen(tiff(samples, 2)).astype(int) - SEEN).max() <= 1


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 10, 12, 14])
def test_samples_that_are_packed_without_gaps(bits: int) -> None:
    numbers = np.rint(RIGHT * (2**bits - 1)).astype(int)
    rows = ["".join(f"{number:0{bits}b}" for number in row) for row in numbers]
    packed = b"".join(
        int(row.ljust(-(-len(row) // 8) * 8, "0"), 2).to_bytes(-(-len(row) // 8), "big")
        for row in rows
    )
    tags = tags_of(numbers.astype(np.uint16), 1) | {258: ("H", bits)}
    levels = np.rint(numbers / (2**bits - 1) * 255)
    assert np.array_equal(seen(tiff_of([packed], tags))[:, :, 0], levels)


def test_colour_of_four_bits_a_sample() -> None:
    # F00, 0F0, 00F, 888: 6 bytes
    tags = tags_of(np.zeros((1, 4, 3), np.uint8), 2) | {258: ("H", [4] * 3)}
    data = tiff_of([b"\xf0\x00\xf0\x00\xf8\x88"], tags)
    colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [136, 136, 136]]
    assert seen(data, 4, 1).tolist() == [colours]


def test_reversed_bits_are_turned() -> None:
    samples = np.rint(RIGHT * 65535).astype("<u2")
    turned = np.packbits(
        np.unpackbits(np.frombuffer(samples.tobytes(), np.uint8)), bitorder="little"
    )
    data = tiff_of([turned.tobytes()], tags_of(samples, 1) | {266: ("H", 2)})
    assert seen(data)[0, :, 0].tolist() == SEEN[0, :, 0].tolist()
    # the same of a single bit a sample
    tags = tags_of(samples, 1) | {258: ("H", 1), 266: ("H", 2)}
    assert (
        seen(tiff_of([b"\x0f\xf0" * HEIGHT], tags))[0, :, 0].tolist()
        == [255] * 4 + [0] * 8 + [255] * 4
    )


# where samples lie


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bytes_a_sample", [1, 2])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("cut", ["one strip", "strips of 3 rows", "tiles"])
def test_strips_tiles_and_planes_are_put_together(
    cut: str, predictor: int, compression: int, separate: bool, bytes_a_sample: int, order: str
) -> None:
    most = 256**bytes_a_sample - 1
    samples = np.rint(COLOUR * most).astype(f"u{bytes_a_sample}")
    planes = [samples[:, :, [channel]] for channel in range(3)] if separate else [samples]
    tags = tags_of(samples, 2) | {259: ("H", compression), 284: ("H", 2 if separate else 1)}
    # Others have none: a reader passes the tag over.
    tags[317] = ("H", predictor)
    if cut == "tiles":
        tags |= {322: ("L", 16), 323: ("L", 16)}
    rows = {"one strip": HEIGHT, "strips of 3 rows": 3, "tiles": 16}[cut]
    tags[278] = ("L", rows)
    blocks = []
    for plane in planes:
        for top in range(0, HEIGHT, rows):
            block = plane[top : top + rows]
            if cut == "tiles":
                block = np.pad(block, ((0, 16 - len(block)), (0, 0), (0, 0)))
            if predictor == 2 and compression in (LZW, DEFLATE):
                block = np.concatenate([block[:, :1], np.diff(block, axis=1)], axis=1)
            blocks.append(PACKED[compression](block.astype(f"{order}u{bytes_a_sample}").tobytes()))
    assert np.array_equal(seen(tiff_of(blocks, tags, order)), SEEN)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_floating_point_predictor_is_undone(order: str) -> None:
    samples = RIGHT.astype(">f4")
    rows = []
    for row in samples:  # highest bytes first, then the second ones ...; each less the one before
        by_place = np.frombuffer(row.tobytes(), np.uint8).reshape(WIDTH, 4).T.ravel()
        rows.append(np.diff(by_place, prepend=np.uint8(0)).astype(np.uint8).tobytes())
    tags = tags_of(samples, 1) | {259: ("H", DEFLATE), 317: ("H", 3)}
    data = tiff_of([zlib.compress(b"".join(rows))], tags, order)
    assert seen(data)[0, :, 0].tolist() == SEEN[0, :, 0].tolist()


def test_many_strips_that_do_not_fit_one_group() -> None:
    from indexer.images import strips

    samples = np.rint(np.tile(RIGHT, (8, 1)) * 65535).astype("<u2")
    tags = tags_of(samples, 1) | {259: ("H", DEFLATE), 278: ("L", 1)}
    data = tiff_of([zlib.compress(row.tobytes()) for row in samples], tags)
    whole = seen(data, WIDTH, 32)
    before, strips.GROUP_BYTES = strips.GROUP_BYTES, 3 * 2 * WIDTH
    try:
        assert np.array_equal(seen(data, WIDTH, 32), whole)
    finally:
        strips.GROUP_BYTES = before
    assert whole[31, :, 0].tolist() == SEEN[0, :, 0].tolist()


# colours


def test_the_fourth_sample_is_alpha_or_not_as_the_file_says() -> None:
    rgb = np.rint(COLOUR * 65535).astype(np.uint16)
    four = np.dstack([rgb, np.zeros((HEIGHT, WIDTH), np.uint16)])
    assert (seen(tiff(four, 2, tags={338: ("H", 2)})) == 255).all()  # transparent, on white
    assert (seen(tiff(four, 2)) == 255).all()  # no word on it: alpha, as Photoshop writes it
    assert np.array_equal(seen(tiff(four, 2, tags={338: ("H", 0)})), SEEN)  # infrared, say


def test_alpha_that_is_multiplied_in_is_divided_out() -> None:
    half = np.full((HEIGHT, WIDTH, 4), 32768, np.uint16)
    half[:, :, 1:3] = 0  # red at half opacity, multiplied: red 65535 on white is (255, 127, 127)
    found = seen(tiff(half, 2, tags={338: ("H", 1)}))[0, 0].astype(int)
    assert np.abs(found - [255, 127, 127]).max() <= 1


def test_ink_of_16_bits() -> None:
    cyan = np.zeros((HEIGHT, WIDTH, 4), np.uint16)
    cyan[:, :, 0] = 65535
    assert seen(tiff(cyan, 5))[0, 0].tolist() == [0, 255, 255]


def test_bands_beyond_the_colours_are_left_out() -> None:
    grey = np.rint(RIGHT * 65535).astype(np.uint16)
    bands = np.dstack([grey] + [np.full_like(grey, 40_000)] * 9)
    assert (
        seen(tiff(bands, 1, tags={338: ("H", [0] * 9)}))[0, :, 0].tolist() == SEEN[0, :, 0].tolist()
    )
    ten = np.dstack([np.rint(COLOUR * 255)] + [np.full((HEIGHT, WIDTH), 77)] * 7).astype(np.uint8)
    assert np.array_equal(seen(tiff(ten, 2, tags={338: ("H", [0] * 7)})), SEEN)


@pytest.mark.parametrize("scale", [1, 257])
def test_a_colour_map_of_8_bits_is_no_black_one(scale: int) -> None:
    indexes = np.rint(RIGHT * 255).astype(np.uint8)
    levels = np.arange(256)
    colours = [*(levels * scale), *(levels[::-1] * scale), *(0 * levels)]
    data = tiff(indexes, 3, tags={320: ("H", [int(colour) for colour in colours])})
    assert seen(data)[0, [0, 5, 15]].tolist() == [[0, 255, 0], [85, 170, 0], [255, 0, 0]]


def test_colour_is_stretched_only_on_a_map() -> None:
    # reflectances of 300 to 2,100 of 10,000, as satellites' files hold them: 12 bits
    samples = np.rint(300 + COLOUR * 1800).astype(np.uint16)
    as_is = seen(tiff(samples, 2))
    assert (int(as_is.min()), int(as_is.max())) == (19, 131)
    on_a_map = seen(tiff(samples, 2, tags={33550: ("d", [10.0, 10.0, 0.0])}))
    assert np.abs(on_a_map.astype(int) - SEEN).max() <= 1


@pytest.mark.parametrize("value", [b"-32768\0", b"-32768", b"-32768 \0 "])
def test_the_no_data_value_is_black_and_sets_no_contrast(value: bytes) -> None:
    samples = np.rint(RIGHT * 1000).astype(np.float32)
    samples[:, 0] = -32768
    levels = seen(tiff(samples, 1, tags={42113: ("s", value)}))[0, :, 0].tolist()
    # 67 to 1,000 over the rest
    assert levels == [0] + [round((round(x * 1000 / 15) - 67) / 933 * 255) for x in range(1, 16)]


def test_a_no_data_value_of_letters_is_none() -> None:
    samples = np.rint(RIGHT * 65535).astype(np.uint16)
    data = tiff(samples, 1, tags={42113: ("s", b"nodata\0")})
    assert seen(data)[0, :, 0].tolist() == SEEN[0, :, 0].tolist()


def test_orientation_and_time_count_here_too() -> None:
    samples = np.rint(RIGHT * 65535).astype(np.uint16)
    when = b"2021:07:03 14:05:59\0"
    data = tiff(samples, 1, tags={274: ("H", 6), 306: ("s", when), 272: ("s", b"Boson 640\0")})
    image = read_image("x", data, InputShape(HEIGHT, WIDTH, "squash"), ReadLimits())
    assert (image.width_px, image.height_px, image.format) == (HEIGHT, WIDTH, "tiff")
    assert image.pixels[:, 0, 0].tolist() == SEEN[0, :, 0].tolist()  # dark on top
    assert str(image.captured_at) == "2021-07-03 14:05:59"
    assert image.camera == "Boson 640"


# which picture


def two_pictures(second: NDArray[Any], photometric: int, **tags: tuple[str, object]) -> bytes:
    """A small RGB picture marked as a miniature, and another one, named by tag 330."""
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "NIKON D7200"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2021:07:03 14:05:59"
    exif[ExifTags.IFD.Exif] = 0  # or Pillow does not write it
    exif[254] = MINIATURE
    small = encoded(photo(8, 6), "TIFF", exif=exif)
    more = {int(tag[1:]): value for tag, value in tags.items()}
    directory = tags_of(second, photometric) | {254: ("L", 0)} | more
    whole = bytearray(tiff_of([second.tobytes()], directory, more=small[8:]))
    # The miniature's directory is written once more, with a tag that names the other one.
    main = struct.unpack_from("<L", whole, 4)[0]
    first = struct.unpack_from("<L", small, 4)[0]
    number = struct.unpack_from("<H", small, first)[0]
    entries = [bytes(whole[first + 2 + 12 * at :][:12]) for at in range(number)]
    entries.append(struct.pack("<HHLL", 330, 4, 1, main))
    entries.sort(key=lambda entry: entry[:2][::-1])
    struct.pack_into("<L", whole, 4, len(whole))
    return bytes(whole) + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def test_a_miniature_does_not_pass_for_the_photo() -> None:
    shape = InputShape(WIDTH, HEIGHT, "squash")
    for most, dtype in ((255, np.uint8), (4095, np.uint16)):
        full = np.rint(COLOUR * most).astype(dtype)
        image = read_image("x", two_pictures(full, 2), shape, ReadLimits())
        assert (image.width_px, image.height_px) == (WIDTH, HEIGHT)
        assert np.abs(image.pixels.astype(int) - SEEN).max() <= 1
        # which stand beside the miniature
        assert (image.camera, str(image.captured_at)) == ("NIKON D7200", "2021-07-03 14:05:59")


@pytest.mark.parametrize(("photometric", "compression"), [(32803, 1), (34892, 7), (1, 34713)])
def test_a_raw_file_is_refused_though_a_picture_is_in_it(
    photometric: int, compression: int
) -> None:
    sensor = np.zeros((HEIGHT, WIDTH), np.uint16)
    assert reason_of(two_pictures(sensor, photometric, _259=("H", compression))) == (
        "a camera's raw file: what its sensor measured, not developed; export it as JPEG or TIFF"
    )


@pytest.mark.parametrize(
    "start",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"\0\0\0\x18ftypcrx \0\0\0\x01",
    ],
)
def test_raw_files_of_other_kinds_are_named(start: bytes) -> None:
    assert reason_of(start.ljust(5000, b"\x07")).startswith("a camera's raw file")


def test_a_miniature_whose_photo_is_cut_off_is_refused() -> None:
    data = two_pictures(np.zeros((HEIGHT, WIDTH), np.uint8), 1)
    first = struct.unpack_from("<L", data, 4)[0]
    at = data.index(struct.pack("<HHL", 330, 4, 1), first)
    broken = data[: at + 8] + struct.pack("<L", 10**9) + data[at + 12 :]
    assert reason_of(broken) == "only a smaller copy of its picture can be read"


def test_directories_that_name_each_other_end() -> None:
    data = bytearray(encoded(photo(8, 6), "TIFF", tiffinfo={254: MINIATURE}))
    first = struct.unpack_from("<L", data, 4)[0]
    number = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<L", data, first + 2 + 12 * number, first)
    assert seen(bytes(data), 8, 6).shape == (6, 8, 3)  # it is the only one: the photo


# what is refused


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({259: ("H", 34887)}, "compressed in a way that is not read (TIFF compression 34887)"),
        ({262: ("H", 6)}, "16-bit samples of PhotometricInterpretation 6 are not read"),
        ({262: ("H", 9)}, "16-bit samples of PhotometricInterpretation 9 are not read"),
        ({262: ("H", 8)}, "16-bit samples of PhotometricInterpretation 8 are not read"),
        ({258: ("H", [16, 16, 8])}, "its samples are of unlike kinds (16, 16, 8 bits)"),
        ({339: ("H", [6, 6, 6])}, "its samples are complex numbers, not a picture"),
        ({258: ("H", [24, 24, 24])}, "samples of 24 bits of this kind are not read"),
        ({277: ("H", 2), 258: ("H", [16, 16])}, "2 samples a pixel, where its colours need 3"),
        ({259: ("H", DEFLATE), 317: ("H", 3)}, "a floating point predictor on whole numbers"),
        ({278: ("L", 1)}, "it names 1 of its 4 strips or tiles"),
        ({322: ("L", 0), 323: ("L", 16)}, "its size, or that of its strips or tiles"),
        ({257: ("L", 5), 278: ("L", 5)}, "truncated: it ends before its last strip or tile"),
        ({256: ("L", 2**31), 257: ("L", 2**31)}, "over the cap of 180 Mpx"),
        ({277: ("H", 60_000)}, "it has 60000 samples a pixel and the bits of 3"),
        ({259: ("H", DEFLATE)}, "cannot be decoded: "),
    ],
)
def test_what_is_not_read_says_why(tags: dict[int, tuple[str, object]], reason: str) -> None:
    samples = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    assert reason in reason_of(tiff(samples, 2, tags=tags))


def test_colour_of_half_the_size_without_compression_is_refused() -> None:
    tags = {256: ("L", 4), 257: ("L", 2), 258: ("H", [8] * 3), 262: ("H", 6), 277: ("H", 3)}
    tags |= {278: ("L", 2), 530: ("H", [2, 2])}  # 4 Y, Cb, Cr for each 2 x 2: 12 bytes
    data = tiff_of([bytes([100] * 4 + [128] * 2) * 2], tags)
    assert (
        reason_of(data) == "YCbCr of reduced colour without compression is not read; save it as RGB"
    )


def test_a_strip_that_unpacks_to_more_than_it_should_is_no_bomb() -> None:
    tags = tags_of(np.zeros((HEIGHT, WIDTH), np.uint16), 1) | {259: ("H", DEFLATE)}
    data = tiff_of([zlib.compress(bytes(30_000_000), 9)], tags)
    assert (seen(data) == 0).all()


def test_a_few_bytes_take_no_gigabytes() -> None:
    tags = tags_of(np.zeros((HEIGHT, WIDTH), np.uint16), 1) | {259: ("H", DEFLATE)}
    giant = tags | {256: ("L", 13_000), 257: ("L", 13_000), 278: ("L", 13_000)}
    assert reason_of(tiff_of([zlib.compress(bytes(100))], giant)) == (
        "truncated: a strip or tile is too short for what it should hold"
    )
    for bits in (8, 16):
        tile = tags | {258: ("H", bits), 322: ("L", 16_384), 323: ("L", 16_384)}
        assert reason_of(tiff_of([zlib.compress(bytes(100))], tile)) == (
            "one tile of it is far larger than its picture"
        )


def test_a_picture_of_many_bands_does_not_fill_the_memory() -> None:
    tags = tags_of(np.zeros((HEIGHT, WIDTH, 3), np.uint16), 2)
    tags |= {256: ("L", 13_000), 257: ("L", 13_000), 258: ("H", [64] * 500), 277: ("H", 500)}
    tags |= {259: ("H", DEFLATE), 278: ("L", 13_000), 339: ("H", [1] * 500)}
    assert reason_of(tiff_of([zlib.compress(bytes(1000))], tags)) == (
        "one strip or tile of it is over 2 GiB"
    )


@pytest.mark.parametrize("compression", [1, LZW, DEFLATE])
@pytest.mark.parametrize("order", ["<", ">"])
def test_damaged_deep_files_are_read_or_refused_and_nothing_else(
    compression: int, order: str
) -> None:
    samples = np.rint(COLOUR * 65535).astype(f"{order}u2")
    tags = tags_of(samples, 2) | {259: ("H", compression), 317: ("H", 2), 274: ("H", 1)}
    whole = tiff_of([PACKED[compression](samples.tobytes())], tags, order)
    random = np.random.default_rng(compression)
    refused = 0
    for attempt in range(150):
        damaged = bytearray(whole)
        if attempt % 3 == 0:
            del damaged[int(random.integers(len(whole))) :]
        for _ in range(int(random.integers(1, 5)) if damaged else 0):
            # The directory, at the end, breaks more things than the pixels.
            start = len(damaged) * 2 // 3 if random.random() < 0.7 else 0
            damaged[int(random.integers(start, len(damaged)))] = int(random.integers(256))
        try:
            limits = ReadLimits(max_pixels=1_000_000)
            image = read_image("x", bytes(damaged), InputShape(8, 8), limits)
            assert image.pixels.shape == (8, 8, 3)
        except UnreadableImage as error:
            assert error.reason
            assert "\n" not in error.reason
            refused += 1
    assert refused > 0


# another writer


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_what_tifffile_writes_looks_as_it_should(
    dtype: str, planar: str, tile: tuple[int, int] | None, bigtiff: bool
) -> None:
    tifffile = pytest.importorskip("tifffile")
    picture = np.asarray(photo(70, 50)) / 255
    most = 1 if dtype == "float32" else np.iinfo(dtype).max
    samples = (picture * most).astype(dtype)
    if planar == "separate":
        samples = np.ascontiguousarray(np.moveaxis(samples, 2, 0))
    file = io.BytesIO()
    options = {"planarconfig": planar, "tile": tile, "bigtiff": bigtiff, "metadata": None}
    tifffile.imwrite(file, samples, photometric="rgb", compression="zlib", **options)
    found = seen(file.getvalue(), 70, 50).astype(int)
    assert np.abs(found - np.asarray(photo(70, 50))).max() <= 1


def test_a_float_colour_picture_of_light_is_not_black() -> None:
    samples = (COLOUR * 20).astype(np.float32)  # measured light, in no unit
    assert np.abs(seen(tiff(samples, 2)).astype(int) - SEEN).max() <= 1


def test_grey_16_bit_twins_are_near_duplicates_of_their_8_bit_ones() -> None:
    grey = np.asarray(photo(96, 64).convert("L"))
    shape = InputShape(96, 64, "squash")
    plain = read_image("x", encoded(Image.fromarray(grey), "PNG"), shape, ReadLimits())
    for samples in (grey.astype(np.uint16) * 257, grey.astype(np.uint16) * 16):
        deep = read_image("x", tiff(samples, 1), shape, ReadLimits())
        assert (plain.phash ^ deep.phash).bit_count() <= 2
        assert np.abs(plain.pixels.astype(int) - deep.pixels).max() <= 2


def test_orientation_of_a_small_file_is_pillows_business() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = read_image(
        "x", encoded(photo(96, 64), "TIFF", exif=exif), InputShape(8, 8), ReadLimits()
    )
    assert (image.width_px, image.height_px) == (64, 96)
