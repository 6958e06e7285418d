"""One query among the rows of a few groups: their codes, then the few rows that may be among the
best, scored by FAISS.

The bounds are those of `service.snapshot.scan.coded`, so the answer is exact among these rows: bit
for bit what a search of all rows says of them. What is missed is in other groups.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.disk.codes import CODE_ROWS, ByteQueries, CodeBlock
from indexer.disk.stored_vectors import BLOCK_ROWS, NewVectors
from service.snapshot.groups.groups import Groups
from service.snapshot.nearest import Answer, exact_scores
from service.snapshot.part import Part, blocks_of
from service.snapshot.scan.coded import ROOM, Turned
from service.snapshot.threads import for_each

# Where the first half of the codes leaves a larger share of the rows, the second is read, too.
_MANY = 1 / 64
PARALLEL_FROM_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class _Lengths:
    """Of many rows, what their codes may be off by, as a block of codes has it."""

    head_length: NDArray[np.float32]  # (n,)
    tail_length: NDArray[np.float32]
    residual: NDArray[np.float32]

    @cached_property
    def longest(self) -> tuple[float, float, float]:
        return (
            float(self.head_length.max()),
            float(self.tail_length.max()),
            float(self.residual.max()),
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows of a block of codes."""

    at: int  # where their scores go
    block: CodeBlock
    start: int  # in the block
    end: int

    @property
    def rows(self) -> int:
        return self.end - self.start


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
        rows, lower, upper = left
        numbers, positions = groups.locate(rows)
        scores = np.empty(len(rows), np.float32)
        for number in np.unique(numbers).tolist():
            here = numbers == number
            scores[here] = _scored(groups.parts[number], positions[here], vector)
            answers[number].append((np.clip(scores[here], -1, 1), positions[here]))
        if not np.all((lower <= scores) & (scores <= upper)):
            return None
    for number, answer in _all_of_others(groups, vector, count):
        answers[number].append(answer)
    return [
        (
            np.concatenate([np.empty(0, np.float32), *(scores for scores, _ in found)]),
            np.concatenate([np.empty(0, np.int64), *(positions for _, positions in found)]),
        )
        for found in answers
    ]


def _scored(part: Part, positions: Positions, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    few = NewVectors(len(vector))
    part.vectors.copy_to(few, positions)
    return exact_scores(few.stored(), vector)


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
    return for_each(find, blocks, parallel=rows >= PARALLEL_FROM_ROWS)


class _Probe:
    """The rows of the groups that a query looks into, and their codes."""

    def __init__(self, groups: Groups, vector: NDArray[np.float32], depth: int) -> None:
        stored = groups.stored
        self._turned = Turned(vector, stored.codes.frame)
        self._pieces: list[_Piece] = []
        runs, at = _runs(stored.starts, stored.nearest(vector, depth)), 0
        for start, end in runs:
            for first in range(start - start % CODE_ROWS, end, CODE_ROWS):
                block = stored.codes.blocks[first // CODE_ROWS]
                here = max(start - first, 0)
                piece = _Piece(at, block, here, min(end - first, CODE_ROWS))
                self._pieces.append(piece)
                at += piece.rows
        self._rows = _numbers(runs)  # (n,)
        self._alive = None if groups.alive is None else groups.alive[self._rows]

    def left(self, count: int) -> tuple[Positions, NDArray[np.float64], NDArray[np.float64]] | None:
        """The rows that may be among the count best, and between what their scores lie.

        :returns: int64, (n,), as the groups count them, then float64, (n,) each; None: no row lives
            there.
        """
        if not len(self._rows) or (self._alive is not None and not self._alive.any()):
            return None
        turned, lengths = self._turned, self._lengths
        scores = self._products("head")  # (n,)
        if self._alive is not None:
            scores[~self._alive] = -np.inf
        chosen = _may_be_best(scores, turned.base, turned.epsilon(lengths, both=False), count)
        if len(chosen) > max(_MANY * len(scores), 2 * count):
            scores += self._products("tail")
            chosen = _may_be_best(scores, turned.base, turned.epsilon(lengths, both=True), count)
        if self._alive is not None:
            chosen = chosen[self._alive[chosen]]
        near = turned.base + self._exact("head", chosen) + self._exact("tail", chosen)
        off = turned.length * lengths.residual[chosen].astype(np.float64) * ROOM
        off += turned.rounding(lengths, turned.dim + 8)
        lower, upper = near - off, near + off
        if len(chosen) > count:
            kept = upper >= _floor(float(np.partition(lower, -count)[-count]))
            chosen, lower, upper = chosen[kept], lower[kept], upper[kept]
        return self._rows[chosen], lower, upper

    @cached_property
    def _lengths(self) -> _Lengths:
        return _Lengths(
            self._joined("head_length"), self._joined("tail_length"), self._joined("residual")
        )

    def _joined(self, name: str) -> NDArray[np.float32]:
        """float32, (n,): a column of numbers, of all rows."""
        pieces = [getattr(piece.block, name)[piece.start : piece.end] for piece in self._pieces]
        return np.concatenate(pieces)

    def _products(self, half: str) -> NDArray[np.float32]:
        """float32, (n,): what a half of the codes adds, the query rounded to bytes."""
        query = getattr(self._turned, half)
        asked = ByteQueries(query.whole[None])
        found = np.empty(len(self._rows), np.int32)

        def multiply(pieces: Sequence[_Piece]) -> None:
            for piece in pieces:
                codes = getattr(piece.block, half)[piece.start : piece.end]
                found[piece.at : piece.at + piece.rows] = asked.products_with(codes)[:, 0]

        shares = _shared_out(self._pieces, len(self._rows))
        for_each(multiply, shares, parallel=len(shares) > 1)
        scores = found.astype(np.float32)
        scores *= self._joined(f"{half}_scale")
        scores *= np.float32(query.step)
        return scores

    def _exact(self, half: str, chosen: Positions) -> NDArray[np.float64]:
        """float64, (n,): s v.c of some rows, summed in single precision."""
        vector = getattr(self._turned, half).exact
        starts = np.array([piece.at for piece in self._pieces])
        homes = np.searchsorted(starts, chosen, side="right") - 1
        found = np.empty(len(chosen))
        for home in np.unique(homes).tolist():
            piece, here = self._pieces[home], homes == home
            rows = chosen[here] - piece.at + piece.start
            codes = getattr(piece.block, half)[rows].astype(np.float32)
            found[here] = getattr(piece.block, f"{half}_scale")[rows] * np.vecdot(codes, vector)
        return found


def _runs(starts: NDArray[np.int64], chosen: Positions) -> list[tuple[int, int]]:
    """The rows of groups, those that follow one another as one piece.

    :param chosen: their numbers, rising.
    """
    runs: list[tuple[int, int]] = []
    begins, ends = starts[chosen].tolist(), starts[chosen + 1].tolist()
    for begin, end in zip(begins, ends, strict=True):
        if runs and runs[-1][1] == begin:
            runs[-1] = (runs[-1][0], end)
        elif end > begin:
            runs.append((begin, end))
    return runs


def _numbers(runs: Sequence[tuple[int, int]]) -> Positions:
    """int64, (n,): the numbers of all rows in them."""
    if not runs:
        return np.empty(0, np.int64)
    begins, ends = np.array(runs, np.int64).T
    lengths = ends - begins
    before = np.cumsum(lengths) - lengths  # (runs,): rows in the runs before each
    numbers: Positions = np.arange(int(lengths.sum())) + np.repeat(begins - before, lengths)
    return numbers


def _shared_out(pieces: Sequence[_Piece], rows: int) -> list[Sequence[_Piece]]:
    """A share a core, of about as many rows each."""
    shares = min(os.cpu_count() or 1, rows // PARALLEL_FROM_ROWS + 1)
    starts = np.array([piece.at for piece in pieces])
    cuts = np.searchsorted(starts, [rows * share // shares for share in range(1, shares)])
    bounds = [0, *cuts.tolist(), len(pieces)]
    return [pieces[begin:end] for begin, end in pairwise(bounds) if end > begin]


def _may_be_best(scores: NDArray[np.float32], base: float, epsilon: float, count: int) -> Positions:
    """int64, (n,): the rows that may be among the count best.

    :param scores: float32, (n,): with the base each is off by at most epsilon.
    """
    if len(scores) <= count:
        return np.arange(len(scores))
    least = _floor(float(np.partition(scores, -count)[-count]) + base - epsilon) - base - epsilon
    return np.flatnonzero(scores >= np.nextafter(np.float32(least), np.float32(-np.inf)))


def _floor(score: float) -> float:
    """What a row must score at least, where as many as are wanted score at least so much.

    Scores above 1 are all cut to 1, and those below -1 to -1: there they tie.
    """
    score = min(score, 1.0)
    return score if score > -1 else -np.inf
