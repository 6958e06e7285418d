from __future__ import annotations

import hashlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageFile, TiffImagePlugin

from indexer.arrays import InputShape, Pixels
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images import (
    ReadImage,
    fit,
    hash_bytes,
    hash_file,
    perceptual_hash,
    read_file,
    read_image,
)
from indexer.images.exif import Exif
from indexer.images.pillow import formats
from tests.bad_images import (
    BAD_FOLDER_LIMITS,
    NOBODY,
    as_nobody,
    cmyk_jpeg,
    encoded,
    grey16_ramp,
    make_bad_folder,
    photo,
    png_header,
    readable_files,
    with_orientation,
)

Mode = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]

SHAPE = InputShape(32, 32)
LIMITS = ReadLimits()


def read(
    data: bytes, shape: InputShape = SHAPE, limits: ReadLimits = LIMITS, exact: bool = False
) -> ReadImage:
    return read_image("x", data, shape, limits, exact)


def reason_of(data: bytes, limits: ReadLimits = LIMITS) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read(data, limits=limits)
    assert str(caught.value) == f"x: {caught.value.reason}"
    return caught.value.reason


def seen(image: Image.Image, format: str = "PNG", **options: object) -> Pixels:
    """The pixels of an image saved and read at its own size."""
    shape = InputShape(image.width, image.height, "squash")
    return read(encoded(image, format, **options), shape).pixels


@pytest.fixture(scope="module")
def bad_folder() -> Iterator[tuple[Path, dict[str, str | None]]]:
    # Not tmp_path: only root may enter that one, and one test reads as nobody.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder), make_bad_folder(Path(folder))


# fit


def test_fit_keeps_an_image_of_the_right_size() -> None:
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    fitted = fit(pixels, InputShape(3, 3))
    assert np.array_equal(fitted, pixels)
    assert fitted.flags.owndata or fitted.base is not pixels


def test_fit_shortest_keeps_the_middle() -> None:
    # (6, 3)
    columns = np.repeat(np.array([[10], [20], [30], [40], [50], [60]], np.uint8), 3, axis=1)
    fitted = fit(np.stack([columns, columns]), InputShape(2, 2))  # (2, 6, 3) -> columns 3 and 4
    assert fitted[0, :, 0].tolist() == [30, 40]


def test_fit_longest_pads_evenly_and_puts_the_odd_pixel_at_the_end() -> None:
    fitted = fit(np.full((2, 5, 3), 200, np.uint8), InputShape(5, 5, "longest", fill=(1, 2, 3)))
    assert fitted[:, 0, 0].tolist() == [1, 200, 200, 1, 1]
    assert fitted[0, 0].tolist() == [1, 2, 3]


def test_fit_squash_loses_proportions() -> None:
    halves = np.zeros((4, 8, 3), np.uint8)
    halves[:, 4:] = 255
    fitted = fit(halves, InputShape(2, 2, "squash", "bilinear"))
    assert fitted.shape == (2, 2, 3)
    assert fitted[0, 0, 0] < 60 < 195 < fitted[0, 1, 0]


def test_fit_of_a_line_takes_no_gigabytes() -> None:
    line = np.full((1, 100_000, 3), 7, np.uint8)  # scaled as a whole: 224 x 22,400,000 px
    assert (fit(line, InputShape(224, 224)) == 7).all()
    padded = fit(line, InputShape(224, 224, "longest"))
    assert (padded == 7).all(axis=2).sum() == 224  # one row of it is left


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "size", [(1, 1), (2, 3), (224, 224), (500, 375), (375, 501), (223, 225), (1000, 77)]
)
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("kept", [(224, 224), (160, 224)])
def test_fit_equals_open_clip(
    size: tuple[int, int], mode: Mode, interpolation: Interpolation, kept: tuple[int, int]
) -> None:
    transform = pytest.importorskip("open_clip.transform")
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    theirs = transform.image_transform(
        kept[0] if kept[0] == kept[1] else kept,
        is_train=False,
        resize_mode=mode,
        interpolation=interpolation,
        fill_color=128,
    )
    theirs.transforms = theirs.transforms[:-2]  # without ToTensor and Normalize
    if mode == "shortest" and kept[0] != kept[1]:
        interpolation = "bicubic"  # open_clip forgets to pass its own on
    shape = InputShape(kept[1], kept[0], mode, interpolation, fill=(128, 128, 128))
    assert np.array_equal(fit(noise, shape), np.array(theirs(Image.fromarray(noise))))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_fit_equals_torchvision_with_a_resize_larger_than_the_crop() -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    bicubic = transforms.InterpolationMode.BICUBIC
    theirs = transforms.Compose(
        [transforms.Resize(256, interpolation=bicubic), transforms.CenterCrop(224)]
    )
    image = photo(501, 333)
    assert np.array_equal(fit(image, InputShape(224, 224, resize_to=256)), np.array(theirs(image)))


# colours


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_brought_upright(orientation: int) -> None:
    image = read(with_orientation(orientation), InputShape(2, 3, "squash"))
    assert (image.width_px, image.height_px) == (2, 3)
    assert image.pixels.tolist() == [
        [[255, 0, 0], [0, 255, 0]],
        [[0, 0, 255], [255, 255, 255]],
        [[0, 0, 0], [255, 255, 0]],
    ]


@pytest.mark.parametrize(
    "format", ["JPEG", "TIFF", "WEBP", "AVIF"]
)  # HEIC: its rotation box counts, not EXIF
def test_orientation_counts_once_in_every_format(format: str) -> None:
    stored = Image.new("RGB", (64, 32), (250, 250, 250))
    stored.paste((5, 5, 5), (0, 0, 32, 32))  # dark on the left; turned clockwise: dark on top
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = read(encoded(stored, format, exif=exif), InputShape(32, 64, "squash"))
    assert (image.width_px, image.height_px) == (32, 64)
    assert image.pixels[:24].max() < 40
    assert image.pixels[40:].min() > 215


def test_full_cyan_ink_looks_cyan() -> None:
    red, green, blue = read(cmyk_jpeg()).pixels[16, 16].tolist()
    assert red < 10
    assert green > 240
    assert blue > 240


def test_a_broken_ink_profile_is_ignored() -> None:
    pixels = seen(
        Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "TIFF", icc_profile=b"no profile at all"
    )
    assert pixels[0, 0].tolist() == [0, 0, 0]


def test_an_rgb_profile_in_an_ink_picture_is_ignored() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = seen(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF", icc_profile=profile)
    assert pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_16_bit_ramp_keeps_all_its_levels(format: str) -> None:
    assert seen(grey16_ramp(), format)[0, :, 0].tolist() == list(range(256))


def test_a_12_bit_picture_in_16_bits_is_not_black() -> None:
    samples = np.array([[0, 2048, 4095]], np.uint16)
    assert seen(Image.fromarray(samples))[0, :, 1].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("samples", "grey"),
    [
        ([-1.0, 0.0, 1.0], [0, 128, 255]),  # own darkest to own brightest
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 200.0], [0, 100, 200]),
        ([float("nan"), float("inf"), 300.0], [0, 0, 0]),  # only one finite value: no range
        ([0.0, 1000.0, 2000.0], [0, 128, 255]),
    ],
)
def test_floats_become_a_picture(samples: list[float], grey: list[int]) -> None:
    assert seen(Image.fromarray(np.array([samples], np.float32)), "TIFF")[0, :, 2].tolist() == grey


def test_32_bit_integers_become_a_picture() -> None:
    samples = np.array([[-2000, 0, 2000]], np.int32)
    assert seen(Image.fromarray(samples), "TIFF")[0, :, 0].tolist() == [0, 128, 255]


def test_alpha_is_composed_on_white() -> None:
    half = Image.new("RGBA", (2, 1), (255, 0, 0, 128))
    half.putpixel((1, 0), (0, 0, 0, 0))
    assert seen(half).tolist() == [[[255, 127, 127], [255, 255, 255]]]
    assert seen(Image.new("LA", (1, 1), (0, 0))).tolist() == [[[255, 255, 255]]]


def test_a_transparent_palette_entry_and_a_transparent_colour_are_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    assert seen(palette, transparency=1).tolist() == [[[255, 0, 0], [255, 255, 255]]]
    colour = Image.new("RGB", (2, 1), (1, 2, 3))
    colour.putpixel((0, 0), (9, 9, 9))
    assert seen(colour, transparency=(1, 2, 3)).tolist() == [[[9, 9, 9], [255, 255, 255]]]
    grey = Image.new("L", (2, 1), 7)
    grey.putpixel((0, 0), 100)
    assert seen(grey, transparency=7).tolist() == [[[100] * 3, [255] * 3]]


def test_lab_and_one_bit_and_ycbcr_look_right() -> None:
    lab = read(readable_files()["lab.tif"], InputShape(96, 64, "squash")).pixels
    assert np.abs(lab.astype(int) - np.asarray(photo())).mean() < 3
    assert seen(Image.new("1", (1, 1), 1)).tolist() == [[[255, 255, 255]]]
    grey = Image.new("YCbCr", (8, 8), (100, 128, 128))
    assert np.abs(seen(grey, "TIFF").astype(int) - 100).max() <= 1


@pytest.mark.parametrize("name", ["animated.gif", "animated.webp", "animated.png", "pages.tif"])
def test_the_first_frame_counts(name: str) -> None:
    first = np.asarray(photo(seed=0)).astype(int)
    pixels = read(readable_files()[name], InputShape(96, 64, "squash")).pixels
    # gif has 256 colours, webp is lossy; other frames: about 85
    assert np.abs(pixels - first).mean() < 12


def test_formats_that_start_programs_or_cannot_be_decoded_are_not_tried() -> None:
    assert not {"EPS", "WMF", "IPTC", "BUFR", "GRIB", "HDF5", "MPEG", "PDF"} & set(formats())
    assert {"JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "HEIF", "BMP", "JPEG2000", "PSD"} <= set(
        formats()
    )


# reduced scale


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_reduced_scale_changes_little(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(photo(1203, 801), format, exif=exif)
    quick, exact = read(data, InputShape(64, 64)), read(data, InputShape(64, 64), exact=True)
    assert np.abs(quick.pixels.astype(int) - exact.pixels).mean() < 1.0
    assert (quick.phash ^ exact.phash).bit_count() <= 2
    assert (quick.width_px, quick.height_px) == (exact.width_px, exact.height_px)
    assert (exact.width_px, exact.height_px) == ((1203, 801) if orientation == 1 else (801, 1203))


def test_exact_pixels_are_those_of_the_full_decode() -> None:
    data = encoded(photo(1200, 800), "JPEG")
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(read(data, exact=True).pixels, fit(image.convert("RGB"), SHAPE))


def test_an_image_less_than_twice_the_size_is_decoded_in_full() -> None:
    data = encoded(photo(96, 64), "JPEG")
    shape = InputShape(33, 33)
    assert np.array_equal(read(data, shape).pixels, read(data, shape, exact=True).pixels)


# hashes


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    data = encoded(photo(), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    assert read(data).sha256 == hash_bytes(data) == hashlib.sha256(data).hexdigest()
    assert hash_file("a", str(tmp_path / "a.png"), LIMITS) == hash_bytes(data)
    assert hash_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_phash_of_flat_images_has_at_most_the_mean_bit() -> None:
    assert perceptual_hash(Image.new("RGB", (50, 40), (0, 0, 0))) == 0
    assert perceptual_hash(Image.new("RGB", (50, 40), (180, 180, 180))) == 1 << 63


def test_phash_of_a_horizontal_cosine_by_hand() -> None:
    # 128 + 100 cos(pi / 32 (x + 1/2)): only (0, 0) and (0, 1) are above the median, 0.
    wave = 128 + 100 * np.cos(np.pi / 32 * (np.arange(32) + 0.5))
    image = Image.fromarray(np.tile(np.rint(wave), (32, 1)).astype(np.uint8)).convert("RGB")
    assert perceptual_hash(image) >> 62 == 0b11
    assert perceptual_hash(image) & ((1 << 56) - 1) == 0  # no change from row to row


def test_phash_survives_encoding_and_scaling_and_tells_motifs_apart() -> None:
    original = read(encoded(photo(400, 300), "PNG")).phash
    again = read(encoded(photo(400, 300), "JPEG", quality=60)).phash
    small = read(encoded(photo(400, 300).resize((200, 150)), "WEBP")).phash
    other = read(encoded(photo(400, 300, seed=1), "PNG")).phash
    assert (original ^ again).bit_count() <= 2
    assert (original ^ small).bit_count() <= 4
    assert (original ^ other).bit_count() >= 16
    assert 0 <= original < 1 << 64


# EXIF


def tagged(
    main: dict[int, Any], detail: dict[int, Any] | None = None, gps: dict[int, Any] | None = None
) -> ReadImage:
    exif = Image.Exif()
    exif.update(main)
    exif.get_ifd(ExifTags.IFD.Exif).update(detail or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    return read(encoded(photo(), "JPEG", exif=exif))


def test_time_camera_and_place_become_columns() -> None:
    image = tagged(
        {ExifTags.Base.Make: "NIKON CORPORATION\0", ExifTags.Base.Model: "NIKON  D90 \0"},
        {ExifTags.Base.DateTimeOriginal: "2021:07:03 14:05:59"},
        {
            ExifTags.GPS.GPSLatitudeRef: "S",
            ExifTags.GPS.GPSLatitude: (33.0, 51.0, 36.0),
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: (151.0, 12.0, 36.0),
        },
    )
    assert image.captured_at == datetime(2021, 7, 3, 14, 5, 59)
    assert image.camera == "NIKON D90"
    assert image.place == pytest.approx((-33.86, 151.21))


def test_the_file_date_is_used_where_no_other_makes_sense() -> None:
    image = tagged(
        {ExifTags.Base.DateTime: "2020:01:02 03:04:05"},
        {
            ExifTags.Base.DateTimeOriginal: "0000:00:00 00:00:00",
            ExifTags.Base.DateTimeDigitized: "    :  :  ",
        },
    )
    assert image.captured_at == datetime(2020, 1, 2, 3, 4, 5)


def test_an_image_without_tags_has_none() -> None:
    image = read(encoded(photo(), "JPEG"))
    assert (image.captured_at, image.camera, image.place) == (None, None, None)


def test_a_broken_tag_costs_only_itself() -> None:
    nowhere = TiffImagePlugin.IFDRational(0, 0)
    image = tagged(
        {
            ExifTags.Base.Make: "Apple",
            ExifTags.Base.Model: "iPhone 12",
            ExifTags.Base.DateTime: "yesterday",
        },
        gps={
            ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLatitude: (nowhere, nowhere, nowhere),
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: (8.0, 0.0, 0.0),
        },
    )
    assert image.camera == "Apple iPhone 12"
    assert (image.captured_at, image.place) == (None, None)


@pytest.mark.parametrize(
    ("latitude", "north", "longitude", "east"),
    [
        ((95.0, 0.0, 0.0), "N", (8.0, 0.0, 0.0), "E"),  # past the pole
        ((5.0, 0.0, 0.0), "X", (8.0, 0.0, 0.0), "E"),
        ((0.0, 0.0, 0.0), "N", (0.0, 0.0, 0.0), "E"),  # what cameras without a fix write
    ],
)
def test_a_place_that_cannot_be_is_none(
    latitude: object, north: str, longitude: object, east: str
) -> None:
    gps = {1: north, 2: latitude, 3: east, 4: longitude}
    assert tagged({}, gps=gps).place is None


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120))
def test_garbage_exif_never_costs_the_image(garbage: bytes) -> None:
    image = photo(8, 8)
    data = encoded(image, "JPEG", exif=b"Exif\0\0" + garbage)
    assert read(data).format == "jpeg"
    image.info["exif"] = garbage
    assert 1 <= Exif(image).orientation <= 8


# caps and bounds


def test_the_byte_cap_names_its_setting() -> None:
    limits = ReadLimits(max_bytes=100_000)
    assert (
        reason_of(bytes(250_000), limits) == "0.25 MB, over the cap of 0.1 MB (LAKESIFT_MAX_BYTES)"
    )


def test_a_real_bomb_is_refused_from_its_header() -> None:
    assert (
        reason_of(png_header(60_000, 60_000))
        == "3600 Mpx, over the cap of 180 Mpx (LAKESIFT_MAX_PIXELS)"
    )
    assert (
        reason_of(png_header(20_000, 12_000))
        == "240 Mpx, over the cap of 180 Mpx (LAKESIFT_MAX_PIXELS)"
    )


def test_just_under_the_default_cap_is_let_through_to_the_decoder() -> None:
    # exactly 180 Mpx; its pixels are missing
    assert "truncated" in reason_of(png_header(18_000, 10_000))


def test_a_gif_frame_larger_than_its_canvas_meets_the_cap() -> None:
    data = bytearray(encoded(Image.new("L", (10, 10)), "GIF"))
    frame = data.index(b"\x2c", 13 + 3 * 256 if data[10] & 7 == 7 else 13)
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"  # 65,535 x 65,535
    assert "over the cap" in reason_of(bytes(data))


def test_pillow_is_left_as_it_was() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    read(encoded(photo(), "PNG"))
    reason_of(b"no image at all")
    assert (
        Image.MAX_IMAGE_PIXELS,
        ImageFile.LOAD_TRUNCATED_IMAGES,
        list(warnings.filters),
    ) == before


def test_truncated_files_are_refused_even_where_pillow_was_told_to_take_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(photo(400, 300), "JPEG")
    assert reason_of(data[: len(data) // 2]).startswith("truncated: ")


# files


def test_every_file_of_the_bad_folder_is_read_or_has_its_reason(
    bad_folder: tuple[Path, dict[str, str | None]],
) -> None:
    folder, expected = bad_folder
    for name, reason in expected.items():
        try:
            read_file(name, os.fsencode(folder / name), SHAPE, BAD_FOLDER_LIMITS)
            found = None
        except UnreadableImage as error:
            found = error.reason
        assert (found is None) == (reason is None), (name, found)
        assert reason is None or reason in (found or ""), (name, found)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="elsewhere the test above covers it; root must step down first"
)
def test_permission_denied_is_a_reason(bad_folder: tuple[Path, dict[str, str | None]]) -> None:
    path = str(bad_folder[0] / "no permission.jpg")
    with as_nobody(), pytest.raises(UnreadableImage) as caught:
        assert os.geteuid() == NOBODY
        read_file("a.jpg", path, SHAPE, LIMITS)
    assert str(caught.value) == "a.jpg: permission denied"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.jpg", "vanished: there is no such file any more"),
        ("folder.jpg", "a folder, not a file"),
        ("file.jpg/a.jpg", "vanished: a folder of its path is not a folder any more"),
        ("n" * 300, "its path is longer than this system allows"),
        ("nul\0.jpg", "not a path this system can open: it contains a NUL"),
    ],
)
def test_paths_that_are_no_files_have_their_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "file.jpg").write_bytes(b"x")
    with pytest.raises(UnreadableImage) as caught:
        read_file("a", os.fsencode(f"{tmp_path}/{name}"), SHAPE, LIMITS)
    assert caught.value.reason == reason


def test_a_device_is_not_opened() -> None:
    with pytest.raises(UnreadableImage, match="a device, not a file"):
        read_file("zero", "/dev/zero", SHAPE, LIMITS)


def test_a_file_that_changes_once_is_read_again_and_one_that_keeps_changing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    data = encoded(photo(), "PNG")
    reads = 0

    def grow(times: int) -> None:
        nonlocal reads
        reads, real = 0, read_up_to
        path.write_bytes(data)

        def grow_then_read(descriptor: int, size_bytes: int) -> bytes:
            nonlocal reads
            reads += 1
            if reads <= times:
                with path.open("ab") as other:
                    other.write(b"more")
            return real(descriptor, size_bytes)

        monkeypatch.setattr("indexer.images.files._read_up_to", grow_then_read)

    from indexer.images.files import _read_up_to as read_up_to

    grow(times=1)
    assert read_file("a", str(path), SHAPE, LIMITS).sha256 == hash_bytes(data + b"more")
    assert reads == 2
    grow(times=2)
    with pytest.raises(
        UnreadableImage, match="changed while it was being read, twice; the next sync tries again"
    ):
        read_file("a", str(path), SHAPE, LIMITS)


# fuzz


WRITABLE = [
    "AVIF",
    "BMP",
    "DDS",
    "DIB",
    "GIF",
    "HEIF",
    "ICNS",
    "ICO",
    "JPEG",
    "JPEG2000",
    "MPO",
    "PCX",
    "PNG",
]
WRITABLE += ["PPM", "QOI", "SGI", "SPIDER", "TGA", "TIFF", "WEBP"]


@pytest.mark.parametrize("format", WRITABLE)
def test_damaged_files_are_read_or_refused_and_nothing_else(format: str) -> None:
    mode = "F" if format == "SPIDER" else "RGB"
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Make"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    options = {"exif": exif} if format in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF") else {}
    whole = encoded(photo(24, 16).convert(mode), format, **options)
    assert read(whole).pixels.shape == (32, 32, 3)
    random = np.random.default_rng(WRITABLE.index(format))
    outcomes = {"read": 0, "refused": 0}
    for attempt in range(40):
        damaged = bytearray(whole)
        if attempt % 2:
            del damaged[int(random.integers(len(whole))) :]
        for _ in range(int(random.integers(1, 6)) if damaged else 0):
            # Headers break more things than pixels: half of the flips go there.
            where = int(
                random.integers(min(len(damaged), 64) if random.random() < 0.5 else len(damaged))
            )
            damaged[where] = int(random.integers(256))
        try:
            image = read(bytes(damaged), limits=ReadLimits(max_pixels=1_000_000))
            assert image.pixels.shape == (32, 32, 3)
            outcomes["read"] += 1
        except UnreadableImage as error:
            assert error.reason
            assert "\n" not in error.reason
            outcomes["refused"] += 1
    assert outcomes["refused"] > 0
