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
LEAST_STEP = 2.0**-8  # of a number, by which a brain float may differ from it
_ROUNDING = 2.0**-23  # of a sum in single precision, for each number added; twice what it can be


class Screen:
    """Vectors, ready to be multiplied with blocks of rows."""

    def __init__(self, vectors: Vectors) -> None:
        """:param vectors: float32, (m, dim), finite, m at least 1."""
        self._vectors = vectors
        self._longest = _longest(vectors)
        self._packed: Any = None
        if multiplies_brain_floats():
            rounded = _tensor(vectors).astype("bfloat16")
            self._most_lost = _longest(vectors - np.asarray(rounded.astype("float32")))
            self._packed = numkong.dots_pack(rounded)

    def products(self, rows: Vectors) -> tuple[Numbers, Numbers]:
        """float32, (n, m): rough inner products; float32, (n,): how far off those of a row are at
        most.

        With x' and y' what is multiplied instead of x and y, |xy - x'y'| is at most |x - x'||y| +
        |x'||y - y'| (Cauchy and Schwarz), and |x - x'| at most 2^-8 |x|; the sum of d products
        rounds by at most d 2^-24 |x'||y'| or so.

        :param rows: float32, (n, dim), finite.
        """
        lengths, rounding = _lengths(rows), rows.shape[1] * _ROUNDING
        if self._packed is None:
            return rows @ self._vectors.T, np.float32(rounding * self._longest) * lengths
        found = numkong.dots_packed(_tensor(rows).astype("bfloat16"), self._packed)
        most_of_row = LEAST_STEP * self._longest
        most_of_vector = (1 + LEAST_STEP) * (self._most_lost + rounding * self._longest)
        # these sums round, too
        off = np.float32(1.01 * (most_of_row + most_of_vector)) * lengths
        return np.asarray(found, np.float32), off


@cache
def multiplies_brain_floats() -> bool:
    """False on a CPU without instructions for it, where single precision is as fast."""
    has = numkong.get_capabilities()
    return any(has.get(name) for name in _MULTIPLIES_BRAIN_FLOATS)


def _tensor(numbers: Vectors) -> numkong.Tensor:
    # By their address: NumPy has no brain floats, and what is read-only numkong does not take.
    whole = np.ascontiguousarray(numbers, np.float32)
    address = whole.__array_interface__["data"][0]
    return numkong.from_pointer(address, whole.shape, "float32", owner=whole)


def _lengths(rows: Vectors) -> Numbers:
    return np.asarray(np.sqrt(np.vecdot(rows, rows)), np.float32)


def _longest(rows: Vectors) -> float:
    return float(_lengths(rows).max())
