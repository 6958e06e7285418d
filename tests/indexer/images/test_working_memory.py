"""Small files that declare many pixels: judged before anything of that size is allocated."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images import read_image
from indexer.images.decoder import Decoder, ReadSettings
from indexer.images.pillow import opened
from indexer.images.working_memory import memory_cap
from tests.bad_images import encoded, photo
from tests.lakes import RED, png

SIDE = 13_400  # squared 179.56 Mpx: under the cap of 180 Mpx
SHAPE, LIMITS = InputShape(32, 32), ReadLimits()


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body


def lossless_webp(width: int, height: int) -> bytes:
    """34 bytes."""
    size = (width - 1) | (height - 1) << 14
    return riff(chunk(b"VP8L", b"\x2f" + struct.pack("<I", size) + bytes(9)))


def animated_webp(width: int, height: int) -> bytes:
    """A canvas of that size, with one frame of one pixel."""
    frame = encoded(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return riff(
        chunk(b"VP8X", bytes([2, 0, 0, 0]) + sides),
        chunk(b"ANIM", bytes(6)),
        chunk(b"ANMF", bytes(12) + struct.pack("<I", 100)[:3] + b"\0" + frame),
    )


def jpeg_2000(width: int, height: int, tile: int = 0) -> bytes:
    """Declares that size; one tile, or square ones of that side."""
    data = bytearray(encoded(Image.new("RGB", (64, 64), RED), "JPEG2000"))
    struct.pack_into(">II", data, data.find(b"ihdr") + 4, height, width)
    size = data.find(b"\xff\x51")
    struct.pack_into(">II", data, size + 6, width, height)
    struct.pack_into(">II", data, size + 22, tile or width, tile or height)
    return bytes(data)


def by_boxes(format: str, width: int, height: int) -> bytes:
    """An AVIF or HEIF that declares that size."""
    data = bytearray(encoded(Image.new("RGB", (64, 64), RED), format))
    struct.pack_into(">II", data, data.find(b"ispe") + 8, width, height)
    return bytes(data)


BOMBS = {
    "a WebP of 34 bytes": lossless_webp(SIDE, SIDE),
    "an animated WebP": animated_webp(SIDE, SIDE),
    "a JPEG 2000 of one tile": jpeg_2000(SIDE, SIDE),
    "an AVIF": by_boxes("AVIF", SIDE, SIDE),
    "a HEIF": by_boxes("HEIF", SIDE, SIDE),
}


def reason_of(data: bytes, limits: ReadLimits = LIMITS) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read_image("x", data, SHAPE, limits)
    return caught.value.reason


def test_a_file_too_short_for_its_size_is_refused_from_its_header() -> None:
    assert len(BOMBS["a WebP of 34 bytes"]) == 34
    for data in BOMBS.values():
        assert reason_of(data) == (f"179.56 Mpx in {len(data):,} bytes: too short to show anything")


def test_over_the_cap_on_pixels_that_is_the_reason() -> None:
    over = "268.403 Mpx, over the cap of 180 Mpx (LAKESIFT_MAX_PIXELS)"
    assert reason_of(lossless_webp(16_383, 16_383)) == over
    assert reason_of(animated_webp(16_383, 16_383)) == over


def test_a_decoder_takes_no_memory_for_them() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("reads a process's peak in /proc")
    decoder = Decoder(ReadSettings(SHAPE, LIMITS))
    try:
        decoder.decode("red", None, png(RED))
        assert decoder._process is not None
        before = peak_bytes(decoder._process.pid)
        for data in BOMBS.values():
            with pytest.raises(UnreadableImage, match="too short to show anything"):
                decoder.decode("x", None, data)
        assert peak_bytes(decoder._process.pid) - before < 20_000_000
        # it was the same process all the time
        assert decoder.decode("red", None, png(RED)).width_px == 4
    finally:
        decoder.close()


def test_copies_that_a_decoder_holds_count_against_the_cap() -> None:
    padding = bytes(2_000)  # long enough for its size
    wide = ReadLimits(max_pixels=180_000_000)
    # 17 bytes for each of 179.56 Mpx, of 13 for each of 180
    assert reason_of(animated_webp(SIDE, SIDE) + padding, wide) == (
        "179.56 Mpx of WEBP take 3.05 GB to decode, "
        "over the cap of 2.34 GB, which grows with LAKESIFT_MAX_PIXELS"
    )
    # 4.5, and 5 for each of three samples of its one tile
    assert reason_of(jpeg_2000(SIDE, SIDE) + padding, wide) == (
        "179.56 Mpx of JPEG2000 take 3.5 GB to decode, "
        "over the cap of 2.34 GB, which grows with LAKESIFT_MAX_PIXELS"
    )
    # of tiles of 1,024 the picture itself is most: 0.82 GB
    with opened("x", jpeg_2000(SIDE, SIDE, tile=1_024) + padding, wide) as image:
        assert image.size == (SIDE, SIDE)


def test_blank_pictures_of_common_sizes_are_read() -> None:
    """A blank WebP of 4 Mpx has 210 bytes, and nobody is harmed by it."""
    data = encoded(Image.new("RGB", (2_000, 2_000), RED), "WEBP", lossless=True)
    assert len(data) < 300
    assert read_image("x", data, SHAPE, LIMITS).pixels[0, 0].tolist() == [255, 0, 0]


def test_the_cap_of_a_process_follows_the_caps_on_images() -> None:
    # 0.3 GB idle, 16 MB a core, a file twice, 13 bytes a pixel
    assert memory_cap(LIMITS, 2) == 300_000_000 + 32_000_000 + 400_000_000 + 2_340_000_000
    # a small cap counts as 80 Mpx
    small = ReadLimits(max_pixels=1_000_000, max_bytes=1_000)
    assert memory_cap(small, 128) == 300_000_000 + 2_048_000_000 + 2_000 + 1_040_000_000


@pytest.mark.parametrize("format", ["AVIF", "HEIF", "WEBP", "JPEG2000"])
def test_under_a_small_cap_every_format_is_read_up_to_it(format: str) -> None:
    limits = ReadLimits(max_pixels=1_000_000, max_bytes=1_000_000)
    decoder = Decoder(ReadSettings(SHAPE, limits))
    try:
        data = encoded(photo(1000, 1000), format)
        assert decoder.decode("x", None, data).width_px == 1000
    finally:
        decoder.close()


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
