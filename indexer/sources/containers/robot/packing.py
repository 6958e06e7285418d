"""Chunks of recordings unpacked, with a cap: what is larger than it says is not unpacked."""

from __future__ import annotations

import bz2
from typing import Any

import lz4.frame
import zstandard

MAX_CHUNK_BYTES = 1 << 29  # unpacked; writers make chunks of about a megabyte
_STEP_BYTES = 1 << 20
_LARGEST_WINDOW_BYTES = 1 << 27  # that a zstd frame may ask for


def unpack(data: bytes, compression: str, size_bytes: int) -> bytes:
    """A chunk as it was before it was packed; one that is cut short gives what there is.

    :param compression: as the recording names it; "" and "none": it is not packed.
    :param size_bytes: of the unpacked chunk, as the recording tells it.
    :raises ValueError: if it cannot be unpacked, is larger than size_bytes or than MAX_CHUNK_BYTES.
    """
    if size_bytes > MAX_CHUNK_BYTES:
        raise ValueError(f"it is of {size_bytes:,} bytes, and at most {MAX_CHUNK_BYTES:,} are read")
    try:
        unpacked = _unpack(data, compression, size_bytes + 1)
    except (zstandard.ZstdError, RuntimeError, OSError, EOFError) as error:
        raise ValueError(f"{compression} cannot unpack it: {error}") from error
    if len(unpacked) > size_bytes:
        raise ValueError(f"it is larger than the {size_bytes:,} bytes that it says")
    return unpacked


def _unpack(data: bytes, compression: str, most: int) -> bytes:
    if compression in ("", "none"):
        return data
    if compression == "zstd":
        unpacker = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES)
        with unpacker.stream_reader(data, read_across_frames=True) as reader:
            return _read_up_to(reader, most)
    if compression == "lz4":
        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=most))
    if compression == "bz2":
        return bz2.BZ2Decompressor().decompress(data, max_length=most)
    raise ValueError(f"its compression {compression!r} is not read")


def _read_up_to(reader: Any, most: int) -> bytes:
    parts: list[bytes] = []
    while most > 0 and (part := reader.read(min(most, _STEP_BYTES))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)
