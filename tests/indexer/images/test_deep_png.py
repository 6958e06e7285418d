from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.arrays import InputShape, Pixels
from indexer.config import ReadLimits
from indexer.images import read_image
from indexer.images.reading import count_pixels
from tests.bad_images import encoded, photo, png_chunk, png_of

GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6
LEVELS = np.arange(256)[None, :]  # one row, every level once
COLOUR = np.stack([LEVELS, LEVELS[:, ::-1], 0 * LEVELS], 2)


def seen(data: bytes, width: int = 256) -> Pixels:
    return read_image("x", data, InputShape(width, 1, "squash"), ReadLimits()).pixels


def deep(levels: NDArray[np.int_], bits: int) -> NDArray[np.uint16]:
    """Levels of 0 to 255 as samples of so many bits."""
    return np.array(np.rint(levels / 255 * (2**bits - 1)), np.uint16)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_colour_is_as_bright_as_its_8_bit_twin(bits: int) -> None:
    assert np.abs(seen(png_of(deep(COLOUR, bits), RGB)).astype(int) - COLOUR).max() <= 1


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("opaque", ["by its depth", "by all 16 bits"])
def test_alpha_goes_up_to_its_depth_or_to_16_bits(bits: int, opaque: str) -> None:
    most = 2**bits - 1 if opaque == "by its depth" else 65535
    alpha = np.full((1, 256, 1), most, np.uint16)
    alpha[:, :10] = 0
    for colour, samples in (
        (RGBA, deep(COLOUR, bits)),
        (GREY_ALPHA, deep(LEVELS[:, :, None], bits)),
    ):
        found = seen(png_of(np.dstack([samples, alpha]), colour)).astype(int)
        assert (found[:, :10] == 255).all()
        expected = COLOUR if colour == RGBA else np.repeat(LEVELS[:, :, None], 3, axis=2)
        assert np.abs(found - expected)[:, 10:].max() <= 1


def test_one_transparent_colour_is_compared_in_all_its_bits() -> None:
    samples = np.array([[[1000, 2000, 3000], [1001, 2000, 3000], [65535, 0, 0]]], np.uint16)
    see_through = png_chunk(b"tRNS", struct.pack(">HHH", 1000, 2000, 3000))
    assert seen(png_of(samples, RGB, see_through), 3).tolist() == [
        [[255, 255, 255], [4, 8, 12], [255, 0, 0]]
    ]
    grey = np.array([[1000, 30000, 65535]], np.uint16)
    see_through = png_chunk(b"tRNS", struct.pack(">H", 1000))
    assert seen(png_of(grey, GREY, see_through), 3)[0, :, 0].tolist() == [255, 117, 255]


def test_the_lower_bytes_survive_every_row_filter() -> None:
    # A gradient of 12 bits, written by each of PNG's five filters in turn.
    import zlib

    samples = np.rint(np.random.default_rng(0).random((10, 6, 3)) * 4095).astype(">u2")
    samples[0, 0] = 4095
    rows, above, size = [], np.zeros(36, int), 6
    for number, row in enumerate(samples):
        now = np.frombuffer(row.tobytes(), np.uint8).astype(int)
        left = np.concatenate([np.zeros(size, int), now[:-size]])
        corner = np.concatenate([np.zeros(size, int), above[:-size]])
        guess = left + above - corner
        far = np.abs(np.stack([guess - left, guess - above, guess - corner]))
        paeth = np.where(
            (far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], above, corner)
        )
        kind = number % 5
        taken = [0 * now, left, above, (left + above) // 2, paeth][kind]
        rows.append(bytes([kind]) + ((now - taken) % 256).astype(np.uint8).tobytes())
        above = now
    header = struct.pack(">IIBBBBB", 6, 10, 16, RGB, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    data += png_chunk(b"IDAT", zlib.compress(b"".join(rows))) + png_chunk(b"IEND", b"")
    found = read_image("x", data, InputShape(6, 10, "squash"), ReadLimits()).pixels
    assert np.array_equal(found, np.rint(samples / 4095 * 255))


def test_tags_and_caps_hold_for_deep_colour_too() -> None:
    data = png_of(deep(COLOUR, 12), RGB)
    assert count_pixels("x", data, ReadLimits()) == 256
    with_text = png_of(
        deep(COLOUR, 12), RGB, before=png_chunk(b"eXIf", b"II*\0\x08\0\0\0" + _turned())
    )
    image = read_image("x", with_text, InputShape(8, 8), ReadLimits())
    assert (image.width_px, image.height_px) == (1, 256)


def _turned() -> bytes:
    """A directory with one tag: to be turned clockwise."""
    return struct.pack("<HHHLHHL", 1, 274, 3, 1, 6, 0, 0)


def test_8_bit_colour_is_not_touched() -> None:
    picture = photo(96, 64)
    found = read_image(
        "x", encoded(picture, "PNG"), InputShape(96, 64, "squash"), ReadLimits(), exact=True
    )
    assert np.array_equal(found.pixels, np.asarray(picture))
