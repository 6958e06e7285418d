"""More than 8 bits in the formats that have them: what a person sees, whoever wrote the file."""

from __future__ import annotations

import io

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from indexer.arrays import InputShape, Pixels
from indexer.config import ReadLimits
from indexer.images import read_image

WIDTH, HEIGHT = 64, 48
RIGHT = np.tile(np.arange(WIDTH) / (WIDTH - 1), (HEIGHT, 1))
COLOUR = np.stack([RIGHT, 0.5 + 0 * RIGHT, 1 - RIGHT], 2)
GREY_SEEN = np.rint(RIGHT * 255).astype(int)
COLOUR_SEEN = np.rint(COLOUR * 255).astype(int)


def seen(data: bytes) -> Pixels:
    return read_image("x", data, InputShape(WIDTH, HEIGHT, "squash"), ReadLimits()).pixels


@pytest.mark.parametrize("most", [1023, 4095, 65535])
def test_portable_maps_are_scaled_by_their_stated_maximum(most: int) -> None:
    size = f"{WIDTH} {HEIGHT} {most}\n".encode()
    grey = b"P5 " + size + np.rint(RIGHT * most).astype(">u2").tobytes()
    assert np.abs(seen(grey)[:, :, 0] - GREY_SEEN).max() <= 1
    colour = b"P6 " + size + np.rint(COLOUR * most).astype(">u2").tobytes()
    assert np.abs(seen(colour) - COLOUR_SEEN).max() <= 1


def test_a_float_map_stands_upright() -> None:
    down = np.tile(np.arange(HEIGHT)[:, None] / (HEIGHT - 1), (1, WIDTH))
    data = f"Pf\n{WIDTH} {HEIGHT}\n-1.0\n".encode() + np.flipud(down).astype("<f4").tobytes()
    assert seen(data)[[0, -1], 0, 0].tolist() == [0, 255]


def fits(samples: NDArray[np.generic], **cards: object) -> bytes:
    """Rows go upwards in a FITS file, and bytes are big-endian."""
    bits = samples.dtype.itemsize * (-8 if samples.dtype.kind == "f" else 8)
    cards = {"SIMPLE": "T", "BITPIX": bits, "NAXIS": 2, "NAXIS1": WIDTH, "NAXIS2": HEIGHT} | cards
    header = b"".join(
        f"{name:8s}= {value!s:>20}".ljust(80).encode() for name, value in cards.items()
    )
    header += b"END".ljust(80)
    body = np.flipud(samples).astype(samples.dtype.newbyteorder(">")).tobytes()
    return header.ljust(-(-len(header) // 2880) * 2880) + body.ljust(-(-len(body) // 2880) * 2880)


@pytest.mark.parametrize(
    "data",
    [
        fits(np.rint(RIGHT * 255).astype(np.uint8)),
        fits(np.rint(RIGHT * 32767).astype(np.int16)),
        # unsigned, as every camera's 16 bits are written: signed, 32,768 taken off
        fits((np.rint(RIGHT * 65535) - 32768).astype(np.int16), BZERO=32768),
        fits(np.rint(RIGHT * 2e9).astype(np.int32)),
        fits(RIGHT.astype(np.float32)),
    ],
    ids=["u1", "i2", "u2", "i4", "f4"],
)
def test_astronomers_files_do_not_wrap(data: bytes) -> None:
    # 98 of 100 levels are spread over 256 where no range is stated: 4 off at most
    assert np.abs(seen(data)[:, :, 0] - GREY_SEEN).max() <= 4


@pytest.mark.parametrize("bits", [10, 12])
def test_phones_pictures_of_10_and_12_bits(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    samples = np.rint(COLOUR * 65535).astype(np.uint16)
    file = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), samples.tobytes()).save(file, quality=-1)
    assert np.abs(seen(file.getvalue()) - COLOUR_SEEN).mean() < 4


def test_jpeg_2000_of_16_bits() -> None:
    file = io.BytesIO()
    Image.fromarray(np.rint(RIGHT * 65535).astype(np.uint16)).save(file, "JPEG2000")
    assert np.abs(seen(file.getvalue())[:, :, 0] - GREY_SEEN).max() <= 1
