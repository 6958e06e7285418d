"""One query among the rows of a few groups: their codes, then the few rows that may be among the
best, scored by FAISS.

The bounds are those of `service.snapshot.scan.coded`, so the answer is exact among these rows: bit
for bit what a search of all rows says of them. What is missed is in other groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.disk.stored_vectors import BLOCK_ROWS, NewVectors
from service.snapshot.groups.groups import Groups
from service.snapshot.groups.pieces import Half, Pieces, kth_largest
from service.snapshot.nearest import Answer, exact_scores
from service.snapshot.part import blocks_of
from service.snapshot.scan.coded import ROOM, Turned
from service.snapshot.threads import for_each

# Where the first half of the codes leaves a larger share of the rows, the second is read of all, in
# one piece after the other: rows that are fetched one at a time take some four times as long.
_MANY = 1 / 4
# Of parts that no group holds, which are read in large blocks.
_PARALLEL_FROM_ROWS = 20_000
# Times as many rows as are wanted tell what the best score at least. Of fewer that is less: for a
# text 14,000 of 32,000 rows were left with once as many, 12,100 with four and with 16 times.
_SEEM = 4
_LOWEST = float(np.finfo(np.float32).min)  # of living rows


@dataclass(frozen=True, slots=True)
class _Left:
    """Rows that may be among the best, and between what their scores lie."""

    numbers: Positions  # int64, (n,): as the groups count them, rising
    lower: NDArray[np.float64]  # (n,)
    upper: NDArray[np.float64]


def search(
    groups: Groups, vector: NDArray[np.float32], depth: int, count: int
) -> list[Answer] | None:
    """Of each part the rows found, which together hold the count best of those looked at, and all
    that tie with the last of them.

    :param vector: float32, (dim,), unit length.
    :param depth: groups to look into, at least 1; parts that no group holds are read whole.
    :param count: rows wanted, at least 1; fewer come back when fewer live there.
    :returns: None: a score was not within its bounds, as of rows that are not of unit length.
    """
    answers: list[list[Answer]] = [[] for _ in groups.parts]
    left = _Probe(groups, vector, depth).left(count)
    if left is not None:
        parts, positions = groups.locate(left.numbers)
        scores = _scored(groups, parts, positions, vector)
        if not np.all((left.lower <= scores) & (scores <= left.upper)):
            return None
        scores = np.clip(scores, -1, 1)
        for number in np.unique(parts).tolist():
            here = parts == number
            answers[number].append((scores[here], positions[here]))
    for number, answer in _all_of_others(groups, vector, count):
        answers[number].append(answer)
    return [
        (
            np.concatenate([np.empty(0, np.float32), *(scores for scores, _ in found)]),
            np.concatenate([np.empty(0, np.int64), *(positions for _, positions in found)]),
        )
        for found in answers
    ]


def _scored(
    groups: Groups, parts: Positions, positions: Positions, vector: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32, (n,): FAISS's scores of the rows at these positions of these parts."""
    few = NewVectors(len(vector))
    order = np.argsort(parts, kind="stable")
    for number in np.unique(parts).tolist():
        here = order[parts[order] == number]
        groups.parts[number].vectors.copy_to(few, positions[here])
    scores = np.empty(len(parts), np.float32)
    scores[order] = exact_scores(few.stored(), vector)
    return scores


def _all_of_others(
    groups: Groups, vector: NDArray[np.float32], count: int
) -> list[tuple[int, Answer]]:
    others = [groups.parts[number] for number in groups.others]
    blocks = blocks_of(others, BLOCK_ROWS)

    def find(block: tuple[int, int, int]) -> tuple[int, Answer]:
        number, start, end = block
        part = others[number]
        wanted = min(count, end - start)
        return groups.others[number], part.nearest(vector, wanted, part.alive, start, end)

    rows = sum(part.rows for part in others)
    return for_each(find, blocks, parallel=rows >= _PARALLEL_FROM_ROWS)


class _Probe:
    """The rows of the groups that a query looks into, and their codes."""

    def __init__(self, groups: Groups, vector: NDArray[np.float32], depth: int) -> None:
        stored = groups.stored
        self._turned = Turned(vector, stored.codes.frame)
        chosen = stored.nearest(vector, depth)
        self._pieces = Pieces(stored, chosen)
        self._longest = stored.longest[:, chosen]  # (3, groups)
        self._alive = None if groups.alive is None else self._pieces.mask(groups.alive)

    def left(self, count: int) -> _Left | None:
        """The rows that may be among the count best; None: no row lives there."""
        pieces, turned = self._pieces, self._turned
        if not len(pieces) or (self._alive is not None and not self._alive.any()):
            return None
        scores = pieces.scores("head", turned.head.whole, turned.head.step)  # (rows,)
        if self._alive is not None:
            scores[~self._alive] = -np.inf
        floor = self._floor_of(scores, count)
        chosen = self._may_be_best(scores, None, floor, both=False)
        numbers = pieces.numbers(chosen)
        may = scores[chosen] + self._off(numbers) >= floor - turned.base
        chosen, numbers = chosen[may], numbers[may]
        tail = turned.tail
        if len(chosen) > max(_MANY * len(scores), 2 * count):
            scores += pieces.scores("tail", tail.whole, tail.step)
            chosen = self._may_be_best(scores, None, floor, both=True)
            numbers = pieces.numbers(chosen)
        else:
            some = scores[chosen] + pieces.scores_of(numbers, "tail", tail.whole, tail.step)
            kept = self._may_be_best(some, chosen, floor, both=True)
            chosen, numbers = chosen[kept], numbers[kept]
        if self._alive is not None:
            numbers = numbers[self._alive[chosen]]
        return self._narrowed(numbers, count)

    def _floor_of(self, scores: NDArray[np.float32], count: int) -> float:
        """What a row must score at least to be among the count best; minus infinity: nobody knows.

        By (4) of the few rows that seem to be the best, since it is so much closer than (2): of
        32,000 rows (2) left 2,700 for a photo when the floor was its own, and 150 with this one.
        """
        if len(scores) <= count:
            return -np.inf
        seem = kth_largest(scores, min(_SEEM * count, len(scores)))
        # Many copies of one image may tie.
        rows = np.flatnonzero(scores >= max(seem, _LOWEST))[: 2 * _SEEM * count]
        if len(rows) < count:
            return -np.inf
        near, off = self._near(self._pieces.numbers(rows))
        return _floor(float(np.partition(near - off, -count)[-count]))

    def _may_be_best(
        self, scores: NDArray[np.float32], rows: Positions | None, floor: float, *, both: bool
    ) -> Positions:
        """int64, (n,): which of the scores may be as large as the floor, by (2), or by (3) and (5).

        Beside the roundings that `coded` counts, a score and its bound are added here, and the
        second half may be summed in single precision.

        :param scores: float32, (n,): without what the frame's centre adds to all.
        :param rows: int64, (n,): the rows they are of; None: all.
        """
        turned = self._turned
        roundings = turned.dim + 12 if both else 12
        off = self._pieces.of_groups(turned.epsilon(self._longest, both=both, roundings=roundings))
        off = off if rows is None else off[rows]
        off += scores
        least = np.nextafter(np.float32(floor - turned.base), np.float32(-np.inf))
        return np.flatnonzero(off >= least)

    def _off(self, numbers: Positions) -> NDArray[np.float64]:
        """float64, (n,): (2) for each of these rows on its own."""
        turned, column = self._turned, self._pieces.column
        off = (
            turned.head.off * column("head_length", numbers).astype(np.float64)
            + turned.tail.length * column("tail_length", numbers).astype(np.float64)
            + turned.length * column("residual", numbers).astype(np.float64)
        )
        return off * ROOM + turned.rounding(self._longest.max(1), 12)

    def _narrowed(self, numbers: Positions, count: int) -> _Left:
        """Of these rows those that may be among the best by (4), which looks at each on its own."""
        near, off = self._near(numbers)
        lower, upper = near - off, near + off
        if len(numbers) > count:
            kept = upper >= _floor(float(np.partition(lower, -count)[-count]))
            numbers, lower, upper = numbers[kept], lower[kept], upper[kept]
        return _Left(numbers, lower, upper)

    def _near(self, numbers: Positions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """float64, (n,) each: what these rows score, and how far off that is at most, by (4)."""
        turned, pieces = self._turned, self._pieces
        near = turned.base + self._products("head", numbers) + self._products("tail", numbers)
        off = turned.length * pieces.column("residual", numbers).astype(np.float64) * ROOM
        return near, off + turned.rounding(self._longest.max(1), turned.dim + 8)

    def _products(self, half: Half, numbers: Positions) -> NDArray[np.float64]:
        """float64, (n,): s v.c of some rows, summed in single precision."""
        vector = (self._turned.head if half == "head" else self._turned.tail).exact
        codes = self._pieces.codes(half, numbers).astype(np.float32)
        scales = self._pieces.column(f"{half}_scale", numbers)
        return np.asarray(scales * np.vecdot(codes, vector), np.float64)


def _floor(score: float) -> float:
    """What a row must score at least, where as many as are wanted score at least so much.

    Scores above 1 are all cut to 1, and those below -1 to -1: there they tie.
    """
    score = min(score, 1.0)
    return score if score > -1 else -np.inf
