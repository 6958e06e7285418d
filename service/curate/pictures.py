"""Which pictures are nearly the same: by perceptual hash, then by vector, without comparing all
pairs.

Two hashes of 64 bits that differ in at most 8 differ in at most 2 in one of three pieces of 22, 21
and 21 bits. So a picture is compared with those alone that have such a piece: of a million random
hashes about 350. Source: Norouzi, Punjani and Fleet, "Fast exact search in Hamming space with
multi-index hashing", IEEE TPAMI 36(6), 2014.

The words and their limits are those of `search --collapse` (`service.search.collapse`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask, Vectors

PIECES = ((0, 22), (22, 21), (43, 21))  # first bit and bits
FLIPS = 2  # bits of a piece that may differ
MOST_BITS = 8  # that may differ in all, so that one piece differs in FLIPS at most
ASKED_AT_ONCE = 256
MOST_CANDIDATES = 1 << 22  # compared at once; bounds the memory
READ_ROWS = 4_096  # vectors read at once


class Pictures:
    """Pictures by number; see `service.curate.stars.Nearness`."""

    def __init__(
        self,
        hashes: NDArray[np.uint64],
        vectors: Callable[[Positions], Vectors],
        *,
        bits: int,
        threshold: float,
    ) -> None:
        """
        :param hashes: uint64, (n,): perceptual hashes.
        :param vectors: float32, (m, dim), unit rows, of these pictures: int64, (m,).
        :param bits: 0 to MOST_BITS: of two near ones so many may differ.
        :param threshold: least cosine of two near ones.
        """
        self.count = len(hashes)
        self._hashes, self._vectors = hashes, vectors
        self._bits, self._threshold = bits, threshold
        self._pieces = [_Piece.of(hashes, first, length) for first, length in PIECES]

    def among(self, some: Positions) -> NDArray[np.bool_]:
        hashes = self._hashes[some]
        near: NDArray[np.bool_] = np.bitwise_count(hashes[:, None] ^ hashes[None, :]) <= self._bits
        crowd = np.flatnonzero(near.sum(axis=1) > 1)
        if len(crowd):
            vectors = self._vectors(some[crowd])
            near[np.ix_(crowd, crowd)] &= vectors @ vectors.T >= self._threshold
        np.fill_diagonal(near, True)
        return near

    def near(self, one: int, others: Positions) -> RowMask:
        is_near: RowMask = np.bitwise_count(self._hashes[others] ^ self._hashes[one]) <= self._bits
        at = np.flatnonzero(is_near)
        is_near[at] = self._alike(np.full(len(at), one), others[at])
        return is_near

    def closeness(self, some: Positions, others: Positions) -> NDArray[np.float32]:
        differ = np.bitwise_count(self._hashes[some][:, None] ^ self._hashes[others][None, :])
        return np.asarray(-differ.astype(np.float32))

    def pairs(self, some: Positions) -> tuple[Positions, Positions]:
        numbers, found = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for start in range(0, len(some), ASKED_AT_ONCE):
            asked = self._hashes[some[start : start + ASKED_AT_ONCE]]
            for at in range(len(self._pieces)):
                for of, others in self._candidates(asked, at):
                    numbers.append(start + of)
                    found.append(others)
        every, others = np.concatenate(numbers), np.concatenate(found)
        is_near = self._alike(some[every], others)
        return every[is_near], others[is_near]

    def _candidates(
        self, asked: NDArray[np.uint64], at: int
    ) -> Iterator[tuple[Positions, Positions]]:
        """Pairs whose hashes are near, found by one piece and by none before it."""
        for of, others in self._pieces[at].candidates(asked):
            differ = asked[of] ^ self._hashes[others]
            is_near = np.bitwise_count(differ) <= self._bits
            for first, length in PIECES[:at]:
                is_near &= np.bitwise_count(_cut(differ, first, length)) > FLIPS
            yield of[is_near], others[is_near]

    def _alike(self, some: Positions, others: Positions) -> RowMask:
        """bool, (n,): whether the vectors of each pair agree; a picture does with itself."""
        alike = np.empty(len(some), bool)
        for start in range(0, len(some), READ_ROWS):
            here = slice(start, start + READ_ROWS)
            alike[here] = some[here] == others[here]
            differ = start + np.flatnonzero(~alike[here])
            if len(differ):
                pair = np.concatenate([some[differ], others[differ]])
                each, places = np.unique(pair, return_inverse=True)
                vectors = self._vectors(each)
                left, right = np.split(places, 2)
                cosines = np.einsum("nd,nd->n", vectors[left], vectors[right])
                alike[differ] = cosines >= self._threshold
        return alike


class FlatPictures:
    """Pictures without structure, which hashes do not tell apart: by their vectors alone. Every
    middle is compared with all of them.
    """

    def __init__(
        self, count: int, vectors: Callable[[Positions], Vectors], *, threshold: float
    ) -> None:
        self.count = count
        self._vectors, self._threshold = vectors, threshold

    def among(self, some: Positions) -> NDArray[np.bool_]:
        vectors = self._vectors(some)
        near: NDArray[np.bool_] = vectors @ vectors.T >= self._threshold
        np.fill_diagonal(near, True)
        return near

    def near(self, one: int, others: Positions) -> RowMask:
        near: RowMask = self.closeness(np.array([one]), others)[0] >= self._threshold
        return np.asarray(near | (others == one))

    def closeness(self, some: Positions, others: Positions) -> NDArray[np.float32]:
        close: NDArray[np.float32] = self._vectors(some) @ self._vectors(others).T
        return close

    def pairs(self, some: Positions) -> tuple[Positions, Positions]:
        asked = self._vectors(some)
        numbers, found = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for start in range(0, self.count, READ_ROWS):
            others = np.arange(start, min(start + READ_ROWS, self.count))
            near = asked @ self._vectors(others).T >= self._threshold
            near |= some[:, None] == others[None, :]
            of, at = np.nonzero(near)
            numbers.append(of)
            found.append(others[at])
        return np.concatenate(numbers), np.concatenate(found)


@dataclass(frozen=True, slots=True)
class _Piece:
    """All hashes by the value of one piece of them."""

    first: int
    length: int
    starts: NDArray[np.int32]  # (2 ** length + 1,): where in `order` those with a value begin
    order: NDArray[np.int32]  # (n,): numbers of the hashes, by value
    flips: NDArray[np.uint64]  # (m,): what a value is changed by

    @classmethod
    def of(cls, hashes: NDArray[np.uint64], first: int, length: int) -> _Piece:
        values = _cut(hashes, first, length)
        order = np.argsort(values, kind="stable").astype(np.int32)
        counts = np.bincount(values.astype(np.int64), minlength=1 << length)
        starts = np.concatenate([np.zeros(1, np.int32), np.cumsum(counts, dtype=np.int32)])
        bits = [1 << bit for bit in range(length)]
        flips = [sum(some) for n in range(FLIPS + 1) for some in combinations(bits, n)]
        return cls(first, length, starts, order, np.array(flips, np.uint64))

    def candidates(self, asked: NDArray[np.uint64]) -> Iterator[tuple[Positions, Positions]]:
        """int64, (pairs,) each, in pieces that fit into memory: the number of an asked one, and a
        hash whose piece differs from its own in FLIPS bits at most.
        """
        values = (_cut(asked, self.first, self.length)[:, None] ^ self.flips).astype(np.int64)
        starts = self.starts[values]  # (asked, flips)
        counts = self.starts[values + 1] - starts
        of, flip = np.nonzero(counts)
        starts, counts = starts[of, flip], counts[of, flip].astype(np.int64)
        ends = np.cumsum(counts)
        begin = 0
        while begin < len(of):
            before = int(ends[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, before + MOST_CANDIDATES, "right")))
            some = slice(begin, end)
            jumps = starts[some] - (ends[some] - counts[some] - before)
            at = np.repeat(jumps, counts[some]) + np.arange(int(ends[end - 1]) - before)
            yield np.repeat(of[some], counts[some]), self.order[at].astype(np.int64)
            begin = end


def _cut(hashes: NDArray[np.uint64], first: int, length: int) -> NDArray[np.uint64]:
    """uint64, (n,): the piece of each."""
    piece: NDArray[np.uint64] = (hashes >> np.uint64(first)) & np.uint64((1 << length) - 1)
    return piece
