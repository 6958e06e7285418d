"""Sharpness, brightness, contrast and entropy, worked out by hand."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.images.quality import quality_of
from indexer.images.reading import read_image
from indexer.read_image import ReadImage


def grey(levels: Any) -> Image.Image:
    return Image.fromarray(np.asarray(levels, np.uint8))


def checkerboard(side: int, square: int = 1, dark: int = 0, light: int = 255) -> Image.Image:
    rows, columns = np.indices((side, side)) // square
    return grey(np.where((rows + columns) % 2, light, dark))


def test_one_colour_has_no_sharpness_no_contrast_and_no_entropy() -> None:
    assert quality_of(grey(np.full((9, 7), 51))) == (0, 51 / 255, 0, 0)
    assert quality_of(grey(np.zeros((9, 7)))) == (0, 0, 0, 0)
    assert quality_of(grey(np.full((9, 7), 255))) == (0, 1, 0, 0)


def test_a_checkerboard_is_the_sharpest_picture_there_is() -> None:
    # Each dark pixel has four light neighbours, 4 x 255, and each light one four dark: -4 x 255.
    # 64 x 64 without its borders has as many of each.
    assert quality_of(checkerboard(64)) == pytest.approx((1020**2, 0.5, 0.5, 1), rel=1e-6)
    # Half the step: a quarter of the sharpness, half the contrast, and as much entropy.
    half = quality_of(checkerboard(64, dark=50, light=152))
    assert half == pytest.approx((408**2, 101 / 255, 51 / 255, 1), rel=1e-6)


def test_larger_squares_are_less_sharp_and_of_the_same_contrast() -> None:
    # Squares of 4 px in 64: of the 62 x 62 pixels that have four neighbours, along one axis 30 lie
    # at an inner edge. One such edge gives 255, two in a corner 510, with both signs alike often.
    squares = quality_of(checkerboard(64, square=4))
    edge, plain = 30, 32
    expected = (2 * edge * plain * 255**2 + edge * edge * 510**2) / 62**2
    assert squares == pytest.approx((expected, 0.5, 0.5, 1), rel=1e-6)


def test_a_gradient_is_flat_to_the_laplacian_and_full_of_levels() -> None:
    ramp = quality_of(grey(np.tile(np.arange(256), (4, 1))))
    assert ramp.sharpness == 0  # a straight slope has no second derivative
    assert ramp.brightness == pytest.approx(0.5)
    # the standard deviation of 0 to n - 1 is the root of (n^2 - 1) / 12
    assert ramp.contrast == pytest.approx((65_535 / 12) ** 0.5 / 255)
    assert ramp.entropy == pytest.approx(8)


def test_one_bright_pixel_is_counted_as_an_edge() -> None:
    levels = np.zeros((5, 5))
    levels[2, 2] = 100
    # Of the nine pixels inside, one is -400 and four are 100: the mean is 0.
    assert quality_of(grey(levels)).sharpness == pytest.approx((400**2 + 4 * 100**2) / 9)
    assert quality_of(grey(levels)).brightness == pytest.approx(4 / 255)


@pytest.mark.parametrize("size", [(1, 1), (2, 50), (50, 2), (1, 4_000)])
def test_pictures_too_narrow_for_an_edge_have_no_sharpness(size: tuple[int, int]) -> None:
    narrow = quality_of(Image.new("L", size, 255))
    assert narrow == (None, 1, 0, 0)


@pytest.mark.parametrize("factor", [1, 2, 4, 7])
def test_a_photo_and_its_enlargements_measure_the_same(factor: int) -> None:
    small = np.random.default_rng(1).integers(0, 256, (192, 256), np.uint8)
    large = grey(small.repeat(factor, 0).repeat(factor, 1))
    assert quality_of(large) == quality_of(grey(small))


def test_blur_takes_sharpness_and_leaves_brightness() -> None:
    photo = read(checkerboard(500, square=50).convert("RGB"))
    blurred = checkerboard(500, square=50).reduce(10).resize((500, 500))
    soft = read(blurred.convert("RGB"))
    assert photo.quality is not None and soft.quality is not None
    assert soft.quality.sharpness is not None and photo.quality.sharpness is not None
    assert soft.quality.sharpness < photo.quality.sharpness / 4
    assert soft.quality.brightness == pytest.approx(photo.quality.brightness, abs=0.01)


def read(image: Image.Image, kind: str = "PNG", exif: Any = None) -> ReadImage:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"exif": exif} if exif else {}))
    return read_image("x", buffer.getvalue(), InputShape(32, 32), ReadLimits())


@pytest.mark.parametrize("side", [8, 32, 224])
def test_what_is_measured_does_not_depend_on_the_model(side: int) -> None:
    buffer = io.BytesIO()
    checkerboard(1024, square=64).save(buffer, "PNG")
    image = read_image("x", buffer.getvalue(), InputShape(side, side), ReadLimits())
    assert image.quality == quality_of(checkerboard(256, square=16))


def columns(image: ReadImage) -> dict[str, Any]:
    return {name[8:]: v for name, v in image.columns().items() if name.startswith("quality_")}


def test_columns_are_of_the_upright_picture_and_have_four_digits() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # stands on its side
    assert columns(read(Image.new("RGB", (40, 30), (100, 100, 100)), exif=turned)) == {
        "sharpness": 0.0,
        "brightness": 0.3922,
        "contrast": 0.0,
        "entropy": 0.0,
        "aspect": 0.75,
    }
    assert columns(read(Image.new("RGB", (1_000, 3))))["aspect"] == 333.3
    assert columns(read(Image.new("RGB", (3, 10_000))))["aspect"] == 0.0003


def test_what_is_transparent_counts_as_white() -> None:
    assert columns(read(Image.new("RGBA", (8, 8), (0, 0, 0, 0))))["brightness"] == 1.0
