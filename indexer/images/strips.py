"""The samples of a TIFF, however they lie in it: strips or tiles, pixel by pixel or plane by plane,
either byte order, 1 to 64 bits, whole numbers or floats.

Pillow's libtiff unpacks the bytes, as it does for every TIFF: each strip or tile is handed to it as
a picture of bytes, which is what it is to LZW, Deflate, PackBits, LZMA and Zstandard. What the
bytes mean is decided here. Knows nothing of tags and colours.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

UNCOMPRESSED = 1
# LZW, Deflate (two numbers), PackBits, LZMA, Zstandard: they pack bytes, whatever those mean
OF_BYTES = (5, 8, 32946, 32773, 34925, 50000)
PREDICTED = (5, 8, 32946, 34925, 50000)  # may hold differences of samples; PackBits may not

GROUP_BYTES = 32 * 2**20  # unpacked at once; a strip alone may be more
MAX_BLOCK_BYTES = 2**31 - 1  # what libtiff and Pillow count
MAX_TILE_PIXELS = 2**22  # of pictures smaller than their tile
GIANT_TILE = "one tile of it is far larger than its picture"
# Zstandard packs one byte repeated so, the others less: what claims more would take memory for
# nothing.
MOST_PACKED = 40_000
PACKED_ROWS_AT_ONCE = 64  # every bit becomes a byte for a moment

HORIZONTAL, FLOATING_POINT = 2, 3  # predictors


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a TIFF's samples are and how each is written."""

    width: int
    height: int
    samples: int  # a pixel
    bits: int  # a sample
    kind: Literal["u", "i", "f"]
    order: Literal["<", ">"]
    separate: bool  # plane after plane instead of pixel after pixel
    block_width: int  # of a tile; of a strip the width
    block_height: int
    tiled: bool
    offsets: tuple[int, ...]
    counts: tuple[int, ...]  # bytes of each block
    compression: int
    predictor: int
    fill_order: int

    @property
    def block_samples(self) -> int:
        """Samples a pixel in one block."""
        return 1 if self.separate else self.samples

    @property
    def row_bytes(self) -> int:
        """Of one block, unpacked; rows end at whole bytes."""
        return (self.block_width * self.block_samples * self.bits + 7) // 8

    @property
    def across(self) -> int:
        return -(-self.width // self.block_width)

    @property
    def down(self) -> int:
        return -(-self.height // self.block_height)

    @property
    def is_packed(self) -> bool:
        """Samples do not start at whole bytes."""
        return self.bits not in (8, 16, 32, 64)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples once they are read."""
        if self.is_packed:
            return np.dtype(np.uint8 if self.bits < 8 else np.uint16)
        return np.dtype(f"{self.kind}{self.bits // 8}")

    def check(self) -> None:
        """:raises ValueError: if no such samples can be read; says why, for people."""
        if self.is_packed and (self.kind != "u" or self.bits > 16):
            raise ValueError(f"samples of {self.bits} bits of this kind are not read")
        if self.kind == "f" and self.bits == 8:
            raise ValueError("floats of 8 bits are not read")
        if self.predictor == FLOATING_POINT and self.kind != "f":
            raise ValueError("a floating point predictor on whole numbers")
        if self.predictor not in (1, HORIZONTAL, FLOATING_POINT) or (
            self.is_packed and self.predictor != 1
        ):
            raise ValueError(f"predictor {self.predictor} on {self.bits} bits is not read")
        if self.row_bytes * self.block_height > MAX_BLOCK_BYTES:
            raise ValueError("one strip or tile of it is over 2 GiB")
        if self.block_width * self.block_height > MAX_TILE_PIXELS + 4 * self.width * self.height:
            raise ValueError(GIANT_TILE)
        blocks = self.across * self.down * (self.samples if self.separate else 1)
        counted = self.counts or self.compression != UNCOMPRESSED
        if len(self.offsets) < blocks or (counted and len(self.counts) < blocks):
            raise ValueError(f"it names {len(self.offsets)} of its {blocks} strips or tiles")


def read_samples(data: bytes | mmap, layout: Layout, channels: int) -> NDArray[Any]:
    """The first samples of each pixel.

    :param layout: one that `check` found sound.
    :param channels: how many, at most layout.samples.
    :returns: layout.dtype in this machine's byte order, (height, width, channels).
    :raises EOFError: if the file ends before a strip or tile.
    :raises ValueError: if one cannot be unpacked.
    """
    out = np.zeros((layout.height, layout.width, channels), layout.dtype)
    for plane in range(channels if layout.separate else 1):
        for index, block in enumerate(_blocks(data, layout, plane)):
            top = index // layout.across * layout.block_height
            left = index % layout.across * layout.block_width
            part = out[top : top + layout.block_height, left : left + layout.block_width]
            if layout.separate:
                part = part[:, :, plane : plane + 1]
            part[...] = block[: part.shape[0], : part.shape[1], : part.shape[2]]
    return out


def _blocks(data: bytes | mmap, layout: Layout, plane: int) -> Iterator[NDArray[Any]]:
    """The strips or tiles of one plane, (rows, layout.block_width, layout.block_samples) each."""
    count = layout.across * layout.down
    first = plane * count
    heights = [
        layout.block_height
        if layout.tiled
        else min(layout.block_height, layout.height - index * layout.block_height)
        for index in range(count)
    ]
    at_once = max(1, GROUP_BYTES // (layout.row_bytes * layout.block_height))
    if layout.compression == UNCOMPRESSED:
        at_once = 1
    for start in range(0, count, at_once):
        indexes = range(start, min(start + at_once, count))
        rows = sum(heights[index] for index in indexes)
        blocks = [first + index for index in indexes]
        unpacked = (
            _raw(data, layout, blocks[0], rows)
            if layout.compression == UNCOMPRESSED
            else _unpacked(data, layout, blocks, rows)
        )
        top = 0
        for index in indexes:
            yield _samples_of(unpacked[top : top + heights[index]], layout)
            top += heights[index]


def _raw(data: bytes | mmap, layout: Layout, block: int, rows: int) -> NDArray[np.uint8]:
    size, offset = rows * layout.row_bytes, layout.offsets[block]
    # Old writers left the byte counts out.
    if offset + size > len(data) or (layout.counts and layout.counts[block] < size):
        raise EOFError("it ends before its last strip or tile")
    found = np.frombuffer(data, np.uint8, size, offset).reshape(rows, layout.row_bytes)
    if layout.fill_order == 2:
        return np.packbits(np.unpackbits(found, axis=1, bitorder="little"), axis=1)
    return found


def _unpacked(
    data: bytes | mmap, layout: Layout, blocks: list[int], rows: int
) -> NDArray[np.uint8]:
    """Some blocks, one below the other; uint8, (rows, layout.row_bytes)."""
    parts = []
    packed_bytes = sum(layout.counts[block] for block in blocks)
    if rows * layout.row_bytes > MOST_PACKED * packed_bytes:
        raise EOFError("a strip or tile is too short for what it should hold")
    for block in blocks:
        offset, count = layout.offsets[block], layout.counts[block]
        if offset + count > len(data):
            raise EOFError("it ends before its last strip or tile")
        parts.append(bytes(data[offset : offset + count]))
    file = _bytes_as_tiff(parts, layout, rows)
    # Opened for what Pillow's decoder wants to be told, which differs between its versions; loading
    # it so would compare bytes with the cap on pixels.
    with TiffImagePlugin.TiffImageFile(io.BytesIO(file)) as image:
        arguments = image.tile[0][3]
    size = (layout.row_bytes, rows)
    return np.asarray(Image.frombytes("L", size, file, "libtiff", arguments))


def _bytes_as_tiff(parts: list[bytes], layout: Layout, rows: int) -> bytes:
    """A TIFF of 8-bit grey whose strips are these, as they are."""
    number = len(parts)
    entries = 10
    arrays = 8 + 2 + 12 * entries + 4  # behind header and directory
    offsets, at = [], arrays + 8 * number
    for part in parts:
        offsets.append(at)
        at += len(part)
    where = struct.pack(f"<{number}L", *offsets)
    sizes = struct.pack(f"<{number}L", *map(len, parts))

    def entry(tag: int, value: int, count: int = 1) -> bytes:
        return struct.pack("<HHLL", tag, 4, count, value)

    def array(tag: int, packed: bytes, at: int) -> bytes:
        return entry(tag, struct.unpack("<L", packed)[0] if number == 1 else at, number)

    directory = [
        entry(256, layout.row_bytes),
        entry(257, rows),
        struct.pack("<HHLHH", 258, 3, 1, 8, 0),
        struct.pack("<HHLHH", 259, 3, 1, layout.compression, 0),
        struct.pack("<HHLHH", 262, 3, 1, 1, 0),
        struct.pack("<HHLHH", 266, 3, 1, layout.fill_order, 0),
        array(273, where, arrays),
        struct.pack("<HHLHH", 277, 3, 1, 1, 0),
        entry(278, layout.block_height),
        array(279, sizes, arrays + 4 * number),
    ]
    head = struct.pack("<2sHL", b"II", 42, 8) + struct.pack("<H", entries)
    return b"".join([head, *directory, bytes(4), where, sizes, *parts])


def _samples_of(rows: NDArray[np.uint8], layout: Layout) -> NDArray[Any]:
    """Bytes to numbers: (rows, layout.block_width, layout.block_samples)."""
    shape = (len(rows), layout.block_width, layout.block_samples)
    if layout.is_packed:
        return _packed(rows, layout).reshape(shape)
    size = layout.bits // 8
    if layout.predictor == FLOATING_POINT:
        return _from_floating_point(rows, layout).reshape(shape)
    if layout.predictor == HORIZONTAL:
        steps = rows.view(f"{layout.order}u{size}").reshape(shape).astype(f"u{size}")
        return np.cumsum(steps, axis=1, dtype=steps.dtype).view(layout.dtype)
    return rows.view(f"{layout.order}{layout.kind}{size}").reshape(shape)


def _from_floating_point(rows: NDArray[np.uint8], layout: Layout) -> NDArray[Any]:
    """Undo the floating point predictor.

    Source: Adobe Photoshop TIFF Technical Note 3, 2005: each row is its samples' highest bytes,
    then their second ones, and so on; each byte is the difference from the one before it.
    """
    size = layout.bits // 8
    differences = rows.reshape(len(rows), -1, layout.block_samples)
    by_place = np.cumsum(differences, axis=1, dtype=np.uint8).reshape(len(rows), size, -1)
    return np.ascontiguousarray(by_place.transpose(0, 2, 1)).view(f">f{size}")


def _packed(rows: NDArray[np.uint8], layout: Layout) -> NDArray[Any]:
    number = layout.block_width * layout.block_samples
    weights = (1 << np.arange(layout.bits)[::-1]).astype(np.uint16)
    numbers = np.empty((len(rows), number), layout.dtype)
    for top in range(0, len(rows), PACKED_ROWS_AT_ONCE):
        bits = np.unpackbits(rows[top : top + PACKED_ROWS_AT_ONCE], axis=1)
        bits = bits[:, : number * layout.bits].reshape(-1, number, layout.bits)
        numbers[top : top + PACKED_ROWS_AT_ONCE] = bits @ weights
    return numbers
