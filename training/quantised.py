"""Float arrays in 8 or 4 bits: symmetric, rounded to nearest,
with one scale an output channel or a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.arrays import Floats

BLOCK = 32  # columns that share a scale in 4 bits
# What a block's scale may be, as shares of the one that reaches to its largest value. Those above 1
# are for what came from 4 bits with no integer beyond 6, 5 or 4 in the block.
SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 7 / 6, 7 / 5, 7 / 4)


@dataclass(frozen=True, slots=True)
class Quantised:
    """values is about integers * scales, the scales repeated over what they cover."""

    integers: NDArray[np.int8]  # shape of the values; in [-127, 127], or [-7, 7] in 4 bits
    scales: Floats  # 8 bits: (rows,); 4 bits: (rows, columns / BLOCK)

    def values(self) -> Floats:
        """float32, what is computed with."""
        if self.scales.ndim == 1:
            scales = self.scales.reshape(-1, *[1] * (self.integers.ndim - 1))
        else:
            scales = np.repeat(self.scales, BLOCK, axis=1)
        return self.integers.astype(np.float32) * scales


def to_8_bits(values: Floats) -> Quantised:
    """One scale for each index of the first axis: a matrix's rows, a convolution's output channels.

    What came from 8 bits goes back to the same integers: the largest of a row is always 127.
    """
    rows = values.reshape(len(values), -1)
    scales = _scales(rows, 127)
    return Quantised(_rounded(rows / scales[:, None], 127).reshape(values.shape), scales)


def to_4_bits(table: Floats) -> Quantised:
    """One scale for each BLOCK columns of a row, exact in fp16:
    that of SHARES with the least squared error.

    What came from 4 bits goes back to the same integers, without an error.

    :param table: (rows, columns), columns a multiple of BLOCK.
    """
    rows, columns = table.shape
    if columns % BLOCK:
        raise ValueError(f"a table of {columns} columns has no whole blocks of {BLOCK}")
    blocks = table.reshape(rows, columns // BLOCK, BLOCK)
    full = _scales(blocks, 7)
    tried = [_in_half_precision(full * np.float32(share)) for share in SHARES]
    errors = [
        np.square(_rounded(blocks / scales[:, :, None], 7) * scales[:, :, None] - blocks).sum(
            axis=2
        )
        for scales in tried
    ]
    scales = np.take_along_axis(np.stack(tried), np.argmin(errors, axis=0)[None], axis=0)[0]
    return Quantised(_rounded(blocks / scales[:, :, None], 7).reshape(table.shape), scales)


def packed(integers: NDArray[np.int8]) -> bytes:
    """Two 4-bit integers a byte, the first in the low half, as ONNX has them."""
    low, high = (integers.reshape(-1, 2) & 0x0F).astype(np.uint8).T
    return bytes((low | high << 4).astype(np.uint8))


def unpacked(content: bytes) -> NDArray[np.int8]:
    """The opposite of `packed`, flat."""
    both = np.frombuffer(content, np.uint8)
    halves = np.stack([both & 0x0F, both >> 4], axis=1).astype(np.int8).ravel()
    return np.where(halves > 7, halves - 16, halves).astype(np.int8)


def _scales(values: Floats, largest: int) -> Floats:
    """Over the last axis; 1 where all is zero."""
    most = np.abs(values).max(axis=-1) / np.float32(largest)
    return np.where(most > 0, most, 1).astype(np.float32)


def _in_half_precision(scales: Floats) -> Floats:
    """Rounded to fp16, in fp32; never to 0, so that all can be divided by it."""
    smallest = np.finfo(np.float16).tiny
    return np.maximum(scales.astype(np.float16), smallest).astype(np.float32)


def _rounded(values: Floats, largest: int) -> NDArray[np.int8]:
    return np.rint(values).clip(-largest, largest).astype(np.int8)
