"""Blocks of codes scored for several queries at once: half of the bytes of a block, then a look at
the few rows that may be among the best.

What is proved. `indexer.disk.codes` keeps a row as x = m + K1' s1 c1 + K2' s2 c2 + r, where c1 and
c2 are whole numbers, and stores L1 >= s1 |c1|, L2 >= s2 |c2| and R >= |r|. So with v1 = K1 q and
v2 = K2 q, the score of a query q is

    q.x = q.m + s1 v1.c1 + s2 v2.c2 + q.r                                                      (1)

without any rounding, whatever K1 and K2 are. A query's numbers are rounded to whole ones, too:
v = t p + e. Integers multiply exactly, so by Cauchy and Schwarz

    |q.x - q.m - s1 t1 p1.c1|                <= |e1| L1 + |v2| L2 + |q| R      first half alone (2)
    |q.x - q.m - s1 t1 p1.c1 - s2 t2 p2.c2|  <= |e1| L1 + |e2| L2 + |q| R      both halves      (3)
    |q.x - q.m - s1 v1.c1 - s2 v2.c2|        <= |q| R                          as (1)           (4)
    |q.x - q.m - s1 t1 p1.c1 - s2 v2.c2|     <= |e1| L1 + |q| R                                 (5)

(2) is asked of all rows, (3) instead where v2 is so long that (2) would leave many; then (5) and
(4) of the rows that are left, fewer each time. To each is added what single precision rounds,
u = 2^-24:

- A product s t (p.c) and its sums with q.m and one another take at most 8 roundings of numbers that
  are at most N = (|v1| + |e1|) L1 + (|v2| + |e2|) L2 + |q.m|: at most 8 u N.
- In (4), and for v2.c2 in (5), the products are summed in single precision, v being rounded to it:
  (dim + 8) u N, as in (3.5) of Higham, "Accuracy and Stability of Numerical Algorithms", 2nd
  edition.
- FAISS's own score is off by at most g |q| |x| with g = dim u / (1 - dim u), see `halves.bound`,
  and |x| <= |m| + k (L1 + L2) + R, where |K' c| <= k |c|.

All that is worked out in double precision is off by some 1e-16 of itself; each bound is made 1e-5
larger. The rows that are left are scored by FAISS, and if one score lies outside of its bounds, as
it cannot, FAISS answers the whole query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.disk.codes import ByteQueries, CodeBlock, Frame
from service.snapshot.scan.halves import at_least
from service.snapshot.scan.rider import LOWEST, Rider

_ROUNDED = 2.0**-24
ROOM = 1 + 1e-5
_SCORES = 2**16  # of rows and queries at once, so that they stay in the cache
_ROWS = 2_048  # looked at again at once
# Where (2) leaves a larger share of a block's rows, (3) is asked of the blocks that follow.
_MANY = 1 / 32


@dataclass(frozen=True, eq=False)
class _Half:
    """A query against one half of the directions."""

    exact: NDArray[np.float32]  # (n,): v
    whole: NDArray[np.int8]  # (n,): p
    step: float  # t
    length: float  # |v|
    off: float  # |e|

    @classmethod
    def of(cls, exact: NDArray[np.float64]) -> _Half:
        step = float(np.abs(exact).max()) / 127 or 1.0
        whole = np.rint(exact / step)
        length, off = np.linalg.norm(exact), np.linalg.norm(exact - step * whole)
        return cls(exact.astype(np.float32), whole.astype(np.int8), step, float(length), float(off))


class Turned:
    """A query as a frame sees it."""

    def __init__(self, vector: NDArray[np.float32], frame: Frame) -> None:
        query = vector.astype(np.float64)
        # Not @, whose BLAS threads go on spinning.
        self.head, self.tail = (_Half.of(np.vecdot(half, query)) for half in frame.halves)
        self.base = float(np.vecdot(frame.centre.astype(np.float64), query))
        self.length = float(np.linalg.norm(query))
        self.dim = len(query)
        self._centre = float(np.linalg.norm(frame.centre.astype(np.float64)))
        self._stretch = frame.stretch

    def rounding(self, longest: NDArray[np.float64], roundings: int) -> NDArray[np.float64]:
        """What single precision may add to the error of scores, FAISS's included.

        :param longest: float64, (3,) or (3, n): of all rows that are meant, or of n lots of them,
            the largest head_length, tail_length and residual.
        :returns: float64, () or (n,).
        """
        head, tail, rest = longest
        numbers = (
            (self.head.length + self.head.off) * head
            + (self.tail.length + self.tail.off) * tail
            + abs(self.base)
        )
        of_faiss = self.dim * _ROUNDED / (1 - self.dim * _ROUNDED) * self.length
        farthest = self._centre + self._stretch * (head + tail) + rest
        return np.asarray(roundings * _ROUNDED * numbers + of_faiss * farthest, np.float64)

    def epsilon(
        self, longest: NDArray[np.float64], *, both: bool, roundings: int = 8
    ) -> NDArray[np.float64]:
        """(2) or (3) for the worst of some rows, or of each of n lots, as `rounding` has them."""
        head, tail, rest = longest
        of_tail = self.tail.off if both else self.tail.length
        off = self.head.off * head + of_tail * tail + self.length * rest
        return np.asarray(off * ROOM + self.rounding(longest, roundings), np.float64)

    def epsilons(self, block: CodeBlock, rows: Positions, *, both: bool) -> NDArray[np.float64]:
        """float64, (n,): (2) or (3) for each of these rows; (3) is more than (5)."""
        of_tail = self.tail.off if both else self.tail.length
        off = (
            self.head.off * block.head_length[rows].astype(np.float64)
            + of_tail * block.tail_length[rows].astype(np.float64)
            + self.length * block.residual[rows].astype(np.float64)
        )
        return off * ROOM + self.rounding(block.longest, self.dim + 8)


class Coded:
    """Riders' queries as one frame sees them."""

    def __init__(self, riders: Sequence[Rider], frame: Frame) -> None:
        self._riders = riders
        self._turned = [Turned(rider.order.vector, frame) for rider in riders]
        self._dim = frame.dim
        # By the numbers of the riders: their queries for the first and for the second half.
        self._ready: dict[tuple[int, ...], tuple[ByteQueries, ByteQueries]] = {}

    def read(self, block: CodeBlock, masks: Sequence[RowMask | None], first_row: int) -> None:
        """Score the block, and let each rider hold the rows that it may need.

        :param masks: of each rider, (rows of the block,), or None.
        :param first_row: the number of the block's first row, counted through all parts.
        """
        groups: dict[tuple[bool, bool], list[int]] = {}
        for number, rider in enumerate(self._riders):
            begins = rider.floor == LOWEST
            groups.setdefault((begins, begins or rider.wants_all_codes), []).append(number)
        for (begins, both), numbers in groups.items():
            # What is worked on stays in the cache; but a rider begins with a whole block's scores.
            rows = len(block) if begins else max(_SCORES // len(numbers), 512)
            found = [
                self._read(block, start, start + rows, numbers, masks, both)
                for start in range(0, len(block), rows)
            ]
            for number, pieces in zip(numbers, zip(*found, strict=True), strict=True):
                places = np.concatenate([place for place, _ in pieces])
                if len(places):
                    seems = np.concatenate([seems for _, seems in pieces])
                    self._hold(block, number, places, seems, both, first_row)

    def _read(
        self,
        block: CodeBlock,
        start: int,
        end: int,
        numbers: Sequence[int],
        masks: Sequence[RowMask | None],
        both: bool,
    ) -> list[tuple[Positions, NDArray[np.float64]]]:
        """Of each of these riders, the rows that it may need by (2) or (3), and their scores."""
        queries = self._queries(tuple(numbers))
        turned = [self._turned[number] for number in numbers]
        riders = [self._riders[number] for number in numbers]
        scores = queries[0].products_with(block.head[start:end]).astype(np.float32)
        _scale(scores, block.head_scale[start:end], [query.head.step for query in turned])
        if both:
            if start == 0:
                self._look_back(block, scores, riders, turned)
            more = queries[1].products_with(block.tail[start:end]).astype(np.float32)
            _scale(more, block.tail_scale[start:end], [query.tail.step for query in turned])
            scores += more
        least = []
        for column, (number, rider, query) in enumerate(zip(numbers, riders, turned, strict=True)):
            mask = masks[number]
            if mask is not None:
                scores[~mask[start:end], column] = -np.inf
            epsilon = float(query.epsilon(block.longest, both=both))
            if rider.floor == LOWEST:
                rider.begin(scores[:, column], epsilon - query.base)
            least.append(rider.least(query.base + epsilon))
        rows, columns = at_least(scores, least)
        by_column = np.argsort(columns, kind="stable")
        rows, columns = rows[by_column], columns[by_column]
        ends = np.searchsorted(columns, np.arange(1, len(numbers)))
        seems = scores[rows, columns].astype(np.float64)
        return list(zip(np.split(rows + start, ends), np.split(seems, ends), strict=True))

    def _queries(self, numbers: tuple[int, ...]) -> tuple[ByteQueries, ByteQueries]:
        if numbers not in self._ready:
            turned = [self._turned[number] for number in numbers]
            self._ready[numbers] = (
                ByteQueries(np.stack([query.head.whole for query in turned])),
                ByteQueries(np.stack([query.tail.whole for query in turned])),
            )
        return self._ready[numbers]

    def _look_back(
        self,
        block: CodeBlock,
        scores: NDArray[np.float32],
        riders: Sequence[Rider],
        turned: Sequence[Turned],
    ) -> None:
        """Whether the first half, which these are scores of, would do by now: floors rise."""
        for column, (rider, query) in enumerate(zip(riders, turned, strict=True)):
            if rider.wants_all_codes:
                least = rider.least(query.base + float(query.epsilon(block.longest, both=False)))
                found = np.count_nonzero(scores[:, column] >= least)
                rider.wants_all_codes = bool(found > _MANY * len(scores))

    def _hold(
        self,
        block: CodeBlock,
        number: int,
        rows: Positions,
        seems: NDArray[np.float64],
        both: bool,
        first_row: int,
    ) -> None:
        """Look at some rows again, and hold those that may be needed."""
        rider, turned = self._riders[number], self._turned[number]
        seems = seems + turned.base
        may = seems + turned.epsilons(block, rows, both=both) >= rider.floor
        rows, seems = rows[may], seems[may]
        if not both:
            if len(rows) > _MANY * len(block):
                rider.wants_all_codes = True
            seems = seems + _products(block.tail, block.tail_scale, rows, turned.tail.exact)
            may = seems + turned.epsilons(block, rows, both=True) >= rider.floor
            rows = rows[may]
        near = turned.base + _products(block.head, block.head_scale, rows, turned.head.exact)
        near += _products(block.tail, block.tail_scale, rows, turned.tail.exact)
        epsilons = turned.length * block.residual[rows].astype(np.float64) * ROOM
        epsilons += turned.rounding(block.longest, self._dim + 8)
        kept = near + epsilons >= rider.floor
        if kept.any():
            near, epsilons, rows = near[kept], epsilons[kept], rows[kept]
            rider.add(near - epsilons, near + epsilons, rows + first_row)


def _products(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    rows: Positions,
    vector: NDArray[np.float32],
) -> NDArray[np.float64]:
    """float64, (rows,): s v.c, summed in single precision."""
    found = np.empty(len(rows))
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        found[start : start + _ROWS] = scales[some] * np.vecdot(
            codes[some].astype(np.float32), vector
        )
    return found


def _scale(
    scores: NDArray[np.float32], scales: NDArray[np.float32], of_queries: Sequence[float]
) -> None:
    """Multiply each row by its scale and each column by its step, in place."""
    steps = np.array(of_queries, np.float32)
    if scores.shape[1] == 1:
        scores[:, 0] *= scales
        scores *= steps[0]
    else:
        scores *= scales[:, None]
        scores *= steps
