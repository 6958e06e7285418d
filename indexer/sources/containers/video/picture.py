"""A decoded frame as a PNG that is the same bytes wherever it is made: they are its identity.

Nothing is compressed in it, and no filter chosen, so that they depend on the pixels alone and on no
version of zlib or of ffmpeg's own writer.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np

_HEADER = re.compile(rb"P6\s(\d{1,6})\s(\d{1,6})\s255\s")
_MOST_STORED = 65_535  # bytes of one stored block of deflate


def png_size(width_px: int, height_px: int) -> int:
    """In bytes."""
    raw = height_px * (3 * width_px + 1)
    return 8 + 25 + 12 + 2 + raw + 5 * -(-raw // _MOST_STORED) + 4 + 12


def pictures(ppms: bytes) -> Iterator[tuple[int, int, memoryview]]:
    """Width, height and RGB bytes of PPMs one behind the other; what is cut short ends them."""
    place, data = 0, memoryview(ppms)
    while match := _HEADER.match(ppms, place):
        width, height = int(match[1]), int(match[2])
        begin, place = match.end(), match.end() + 3 * width * height
        if place > len(ppms):
            return
        yield width, height, data[begin:place]


def png(width_px: int, height_px: int, rgb: memoryview) -> bytes:
    """:param rgb: rows from the top, 3 bytes a pixel."""
    lines = np.zeros((height_px, 3 * width_px + 1), np.uint8)
    lines[:, 1:] = np.frombuffer(rgb, np.uint8).reshape(height_px, -1)
    raw = lines.tobytes()
    parts = [b"\x78\x01"]
    for begin in range(0, len(raw), _MOST_STORED):
        block = raw[begin : begin + _MOST_STORED]
        is_last = begin + _MOST_STORED >= len(raw)
        parts += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack(">I", zlib.adler32(raw)))
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", b"".join(parts)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        (
            struct.pack(">I", len(data)),
            kind,
            data,
            struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))),
        )
    )
