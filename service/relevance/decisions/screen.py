"""Products of many rows with many vectors, roughly, and for certain not further off than is said.

Where a CPU multiplies bytes many at once, the numbers of both are rounded to whole ones of a byte.
What is near the best of a row is then worked out exactly, by others.

What is proved. Of a row x and a vector y, with a centre c that is the same for all,

    x.y = x.c + (x - c).(y - c) + c.(y - c)                                                    (1)

The differences are rounded to whole numbers: x - c = t p + e and y - c = s q + f, with one step t
for all rows and one step s for all vectors. Integers multiply exactly, so by Cauchy and Schwarz

    |(x - c).(y - c) - t s p.q| <= |e| |y - c| + |t p| |f|                                     (2)

and |t p| <= |x - c| + |e|. The last term of (1) is rounded to a multiple of t s, which is off by
t s / 2 at most, and added to p.q by a few more numbers of q. So of a vector whose x.y is b or more,
p.q is no lower than what `Rough.least` says of b.

Single precision rounds by u = 2^-24 of a number, and a sum of d products by d u |x| |y|, as in
(3.5) of Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, where no product is
too small for a normal number; lengths are taken a little larger than they are, which makes up for
that. x.y, x.c, |e| and |x - c| are such sums of numbers that are at most (|x| + |c|) (|y| + |c|),
which is added for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numkong
import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors

Numbers = NDArray[np.float32]
Wide = NDArray[np.float64]
Bytes = NDArray[np.int8]
# What numkong calls CPUs that multiply bytes and add the products up at once.
_MULTIPLIES_BYTES = ("icelake", "alder", "sierra", "sapphireamx", "graniteamx", "neonsdot", "smei8")
# Fewer vectors are multiplied as fast in single precision, without rounding each row before.
_FEW = 64
FOLD = 16  # vectors in a group, see `Rough`
_MOST = 127
_MOST_ADDED = 63  # numbers of q beside those of y, and 1: of 512 dimensions AMX makes 576 anyway
_ROUNDED = 2.0**-24
# A square below 2^-126 may be lost, of each of 4,096 numbers. And of two lengths of no less, what a
# product of that size may lose is in the error of sums, too.
_LOST_IN_SQUARES = 2.0**-56
_ROOM = 1 + 1e-3  # what is worked out of lengths rounds, too
_ROWS = 256  # rounded at once: what is worked on stays in the cache


@dataclass(frozen=True, eq=False)
class Rough:
    """Products of the vectors of one side with the rows of a block, in a unit of their own."""

    # (w, n), int32 or float32: of the m vectors, then `lowest` up to w, a multiple of FOLD
    values: NDArray[np.int32] | Numbers
    base: Numbers | np.float32  # (n,): what is not in the values of a row, the same for all vectors
    unit: float
    off: Wide  # (n,): how far off those of a row are at most, products in single precision too

    @property
    def lowest(self) -> float:
        """Below each value of a vector."""
        return -(2**31) if self.values.dtype == np.int32 else -np.inf

    def least(self, products: Numbers) -> NDArray[np.int32] | Numbers:
        """(n,), as the values are: a vector whose product with a row is at least this, as
        `np.vecdot` sums it up, has no lower value.

        :param products: float32, (n,).
        """
        least = (products.astype(np.float64) - self.base - self.off) / self.unit
        if self.values.dtype == np.int32:
            return np.clip(np.floor(least), 1 - 2.0**31, 2.0**31 - 1).astype(np.int32)
        return np.nextafter(least.astype(np.float32), np.float32(-np.inf))


class Screen:
    """Sides of vectors, ready to be multiplied with blocks of rows."""

    def __init__(self, sides: Sequence[Vectors], sample: Vectors) -> None:
        """:param sides: float32, (m, dim) each, finite, m at least 1; at least one side.
        :param sample: float32, (n, dim): rows such as will come. The more like those they are, the
            better.
        """
        self._sides = sides
        self._bytes: _InBytes | None = None
        if multiplies_bytes() and sum(map(len, sides)) >= _FEW:
            self._bytes = _InBytes(sides, sample)
        self._longest = [_longest(side) for side in sides]

    def products(self, rows: Vectors) -> Iterator[Rough]:
        """Of each side.

        :param rows: float32, (n, dim), finite.
        """
        if self._bytes is not None:
            yield from self._bytes.products(rows)
            return
        lengths = _lengths(rows).astype(np.float64)
        for side, longest in zip(self._sides, self._longest, strict=True):
            values = np.full((_width(len(side)), len(rows)), -np.inf, np.float32)
            np.matmul(side, rows.T, out=values[: len(side)])
            # both these products and those of np.vecdot round
            off = 2 * _ROOM * rows.shape[1] * _ROUNDED * longest * lengths
            yield Rough(values, np.float32(0), 1.0, off)


class _InBytes:
    """Sides as whole numbers of a byte."""

    def __init__(self, sides: Sequence[Vectors], sample: Vectors) -> None:
        self._centre = np.concatenate(sides).mean(0, dtype=np.float64).astype(np.float32)
        centre = self._centre.astype(np.float64)
        self._centre_length = float(np.linalg.norm(centre))
        largest = max(float(np.abs(some - centre).max(initial=0)) for some in (*sides, sample))
        most = max(float(np.abs((side - centre) @ centre).max()) for side in sides)
        # so large that the last term of (1) is a sum of so many whole numbers
        step = max(largest / _MOST, np.sqrt(most / (_MOST_ADDED * _MOST**2)), 1e-12)
        self._step = float(np.nextafter(np.float32(step), np.float32(np.inf)))
        self._sides = [_Side.of(side, centre, self._step) for side in sides]

    def products(self, rows: Vectors) -> Iterator[Rough]:
        whole, lost, lengths = self._rounded(rows)  # p, |e|, |x - c|
        packed = numkong.dots_pack(_tensor(whole))
        base = rows @ self._centre
        sums = _ROUNDED * (3 * rows.shape[1] + 16) * (_lengths(rows) + self._centre_length)
        for side in self._sides:
            off = lost * side.length + (lengths + lost) * side.lost + self._step**2 / 2
            off += sums * (side.longest + self._centre_length)
            values = np.asarray(numkong.dots_packed(_tensor(side.whole), packed), np.int32)
            values[side.count :] = -(2**31)
            yield Rough(values, base, self._step**2, _ROOM * off.astype(np.float64))

    def _rounded(self, rows: Vectors) -> tuple[Bytes, Numbers, Numbers]:
        count, dim = rows.shape
        whole = np.full((count, dim + _MOST_ADDED + 1), _MOST, np.int8)
        whole[:, -1] = 1
        lost, lengths = np.empty(count, np.float32), np.empty(count, np.float32)
        step, per_step = np.float32(self._step), np.float32(1 / self._step)
        for start in range(0, count, _ROWS):
            some = slice(start, start + _ROWS)
            centred = rows[some] - self._centre
            near = centred * per_step
            np.clip(np.rint(near, out=near), -_MOST, _MOST, out=near)
            whole[some, :dim] = near
            near *= step
            near -= centred
            lost[some], lengths[some] = _lengths(near), _lengths(centred)
        return whole, lost, lengths


@dataclass(frozen=True, eq=False)
class _Side:
    """One side in bytes."""

    whole: Bytes  # (w, dim + _MOST_ADDED + 1): q, and whose sum the last term of (1) is
    count: int  # m
    length: float  # the largest |y - c|, ...
    lost: float  # ... |f| ...
    longest: float  # ... and |y|

    @classmethod
    def of(cls, vectors: Vectors, centre: Wide, step: float) -> _Side:
        count, dim = vectors.shape
        centred = vectors.astype(np.float64) - centre
        near = np.clip(np.rint(centred / step), -_MOST, _MOST)
        whole = np.zeros((_width(count), dim + _MOST_ADDED + 1), np.int8)
        whole[:count, :dim] = near
        whole[:count, dim:] = _summands(np.rint((centred @ centre) / step**2).astype(np.int64))
        return cls(
            whole,
            count,
            float(np.linalg.norm(centred, axis=1).max()),
            float(np.linalg.norm(centred - step * near, axis=1).max()),
            _longest(vectors),
        )


def _summands(numbers: NDArray[np.int64]) -> Bytes:
    """int8, (m, _MOST_ADDED + 1): 127 times the first ones and the last one make each number."""
    many = np.rint(numbers / _MOST).astype(np.int64)
    each = np.arange(_MOST_ADDED) * _MOST
    first = np.clip(np.abs(many)[:, None] - each, 0, _MOST) * np.sign(many)[:, None]
    return np.column_stack([first, numbers - _MOST * many]).astype(np.int8)


@cache
def multiplies_bytes() -> bool:
    """False on a CPU where single precision is as fast."""
    has = numkong.get_capabilities()
    return any(has.get(name) for name in _MULTIPLIES_BYTES)


def _width(count: int) -> int:
    return -(-count // FOLD) * FOLD


def _tensor(numbers: Bytes) -> numkong.Tensor:
    # By its address: what is read-only numkong does not take.
    address = numbers.__array_interface__["data"][0]
    return numkong.from_pointer(address, numbers.shape, "int8", owner=numbers)


def _lengths(rows: Vectors) -> Numbers:
    """No less than they are, also where squares are too small for single precision."""
    return np.asarray(np.sqrt(np.vecdot(rows, rows)), np.float32) + np.float32(_LOST_IN_SQUARES)


def _longest(rows: Vectors) -> float:
    return float(_lengths(rows).max())
