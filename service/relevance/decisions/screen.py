"""Products of many rows with many vectors, roughly, and for certain not further off than is said.

Where a CPU multiplies brain floats, whose 8 bits of precision make products ten times as fast as
single precision, it does so. What is near the best of a row is then worked out exactly.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numkong
import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors

Numbers = NDArray[np.float32]
# What numkong calls CPUs that multiply brain floats.
_MULTIPLIES_BRAIN_FLOATS = (
    "sapphireamx",
    "graniteamx",
    "genoa",
    "neonbfdot",
    "svebfdot",
    "smebf16",
)
_HALF_STEP = np.uint32(0x8000)  # of the bits that a brain float has not
_ROUNDING = 2.0**-23  # of a sum in single precision, for each number added; twice what it can be


class Screen:
    """Vectors, ready to be multiplied with blocks of rows."""

    def __init__(self, vectors: Vectors) -> None:
        """:param vectors: float32, (m, dim), finite, m at least 1."""
        self._vectors = vectors
        self._longest = _longest(vectors)
        self._packed: Any = None
        if multiplies_brain_floats():
            rounded = _rounded(vectors)
            self._most_lost = _longest(vectors - rounded)
            self._packed = numkong.dots_pack(_brain_floats(rounded))

    def products(self, rows: Vectors) -> tuple[Numbers, Numbers]:
        """float32, (n, m): rough inner products; float32, (n,): how far off those of a row are at
        most.

        With x' and y' what is multiplied instead of x and y, |xy - x'y'| is at most |x - x'||y| +
        |x'||y - y'| (Cauchy and Schwarz); the sum of d products rounds by at most d 2^-24 |x'||y'|
        or so.

        :param rows: float32, (n, dim), finite.
        """
        if self._packed is None:
            rounding = rows.shape[1] * _ROUNDING * self._longest
            return rows @ self._vectors.T, np.float32(rounding) * _lengths(rows)
        rounded = _rounded(rows)
        found = np.asarray(numkong.dots_packed(_brain_floats(rounded), self._packed), np.float32)
        lost, lengths = _lengths(rows - rounded), _lengths(rounded)
        rounding = rows.shape[1] * _ROUNDING * (self._longest + self._most_lost)
        off = lost * self._longest + lengths * (self._most_lost + rounding)
        return found, np.asarray(1.001 * off, np.float32)  # these sums round, too


@cache
def multiplies_brain_floats() -> bool:
    """False on a CPU without instructions for it, where single precision is as fast."""
    has = numkong.get_capabilities()
    return any(has.get(name) for name in _MULTIPLIES_BRAIN_FLOATS)


def _rounded(numbers: Vectors) -> Vectors:
    """The nearest brain floats, as float32: those whose lower 16 bits are 0."""
    bits = np.ascontiguousarray(numbers).view(np.uint32) + _HALF_STEP
    bits &= np.uint32(0xFFFF0000)
    return bits.view(np.float32)


def _brain_floats(rounded: Vectors) -> numkong.Tensor:
    """:param rounded: as `_rounded` gives them."""
    halves = rounded.view("<u4") >> np.uint32(16)
    brain = halves.astype("<u2")
    # By their address: NumPy has no such numbers.
    address = brain.__array_interface__["data"][0]
    return numkong.from_pointer(address, brain.shape, "bfloat16", owner=brain)


def _lengths(rows: Vectors) -> Numbers:
    return np.sqrt(np.vecdot(rows, rows))


def _longest(rows: Vectors) -> float:
    return float(_lengths(rows).max())
