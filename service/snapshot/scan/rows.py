"""The rows of all parts in blocks, read for riders; and a rider's answer once it has seen all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.disk.codes import CODE_ROWS, Frame, StoredCodes, most_queries, pay_from_rows
from indexer.disk.stored_vectors import BLOCK_ROWS, NewVectors
from service.snapshot.nearest import Answer, exact_scores
from service.snapshot.part import Block, Part
from service.snapshot.scan.coded import Coded
from service.snapshot.scan.halves import Halves
from service.snapshot.scan.rider import Rider


class Packed:
    """The riders' queries, ready to be multiplied with rows, for as long as the same ones ride."""

    def __init__(self, riders: list[Rider]) -> None:
        self.riders = riders
        self._halves: Halves | None = None
        self._coded: dict[int, Coded] = {}

    @property
    def halves(self) -> Halves:
        if self._halves is None:
            self._halves = Halves(self.riders)
        return self._halves

    def coded(self, frame: Frame) -> Coded:
        # By its identity: a snapshot's segments share one, and it outlives the riders.
        if id(frame) not in self._coded:
            self._coded[id(frame)] = Coded(self.riders, frame)
        return self._coded[id(frame)]


class Rows:
    """The stored rows of all parts, in blocks: of codes where a part has them, else of vectors."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._stores = [part.vectors for part in parts]
        self._codes: list[StoredCodes | None] = [part.codes for part in parts]
        coded = sum(part.rows for part in parts if part.codes is not None)
        if coded < pay_from_rows():
            self._codes = [None] * len(parts)
        rows = [part.rows for part in parts]
        # (n_parts,): the number of each part's first row, counted through all parts.
        self._starts = np.cumsum([0, *rows])[:-1]
        self.blocks: list[Block] = [
            (number, start, min(start + size, part.rows))
            for number, (part, codes) in enumerate(zip(parts, self._codes, strict=True))
            for size in [BLOCK_ROWS if codes is None else CODE_ROWS]
            for start in range(0, part.rows, size)
        ]

    @property
    def has_codes(self) -> bool:
        return any(codes is not None for codes in self._codes)

    def read(self, block: Block, packed: Packed) -> None:
        """Score the block for all riders, and let each rider hold the rows that it may need."""
        number, start, end = block
        masks = [rider.order.mask(number) for rider in packed.riders]
        first, codes = int(self._starts[number]), self._codes[number]
        if codes is None or len(packed.riders) > most_queries():
            packed.halves.read(self._stores[number], start, end, masks, first)
            return
        here = [None if mask is None else mask[start:end] for mask in masks]
        packed.coded(codes.frame).read(codes.blocks[start // CODE_ROWS], here, first + start)

    def answers(self, rider: Rider) -> Sequence[Answer]:
        """After the last block: the rows that are left, scored by FAISS."""
        left = rider.left()
        if left is None:
            return rider.order.alone()
        lower, upper, rows = left
        numbers = np.searchsorted(self._starts, rows, side="right") - 1  # of their parts
        ends = np.searchsorted(numbers, np.arange(1, len(self._stores)))
        here = np.split(rows - self._starts[numbers], ends)
        few = NewVectors(len(rider.order.vector))
        for store, positions in zip(self._stores, here, strict=True):
            if len(positions):
                store.copy_to(few, positions)
        scores = exact_scores(few.stored(), rider.order.vector)
        if not np.all((lower <= scores) & (scores <= upper)):
            # These rows are not of unit length, or this machine sums in another way than the bounds
            # suppose.
            return rider.order.alone()
        return list(zip(np.split(np.clip(scores, -1, 1), ends), here, strict=True))
