"""All rows of a snapshot in one order,
as many from the top as are asked for: score first, then row_id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.disk.stored_vectors import BLOCK_ROWS, half_precision_pays
from service.snapshot.groups.probe import search
from service.snapshot.nearest import Answer
from service.snapshot.part import Block, blocks_of
from service.snapshot.scan.rider import WIDEST, Order
from service.snapshot.snapshot import Snapshot
from service.snapshot.threads import for_each

if TYPE_CHECKING:
    from service.where.where import Where

PARALLEL_FROM_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Found:
    """Rows found, best first; their columns are not read yet."""

    scores: NDArray[np.float32]  # (n,)
    parts: Positions  # (n,): the number of each one's part in the snapshot
    positions: Positions  # (n,): in its part
    row_ids: Positions  # (n,)

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, chosen: slice | Positions | NDArray[np.bool_]) -> Found:
        """Some of them, in the order given."""
        return Found(
            self.scores[chosen], self.parts[chosen], self.positions[chosen], self.row_ids[chosen]
        )


class Ranking:
    """The rows that are wanted, by falling score,
    then by rising row_id: top(n) is where top(n + 1) begins.

    Equal scores are common: copies of one file have one vector. FAISS breaks ties as it likes.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        vector: NDArray[np.float32],
        where: Where | None,
        among: Sequence[RowMask] | None = None,
        depth: int | None = None,
    ) -> None:
        """:param among: a mask a part: only these rows,
        of those that where keeps; None: all of them.
        :param depth: look into so many groups of the snapshot alone, without where and among, and
            put all other rows behind what is found there; None: every row in its place.
        """
        self.snapshot = snapshot
        self.vector = vector
        self.at_least: float | None = None  # only rows with this score or more; None: all of them
        self._where = where
        self._among = among
        self._depth = depth
        self._masks: dict[int, RowMask | None] = {}  # by part number; a predicate is asked once

    @property
    def is_parallel(self) -> bool:
        """True where the lake is so large that threads pay."""
        return sum(part.rows for part in self.snapshot.parts) >= PARALLEL_FROM_ROWS

    def top(self, count: int | None) -> Found:
        """The first count rows; None: all."""
        if self._depth is not None and count is not None:
            return self._near(self._depth, count)
        if count is None or count > WIDEST or not self.is_parallel or not half_precision_pays():
            found = self.merged(self._alone(count), count)
        else:
            found = self.merged(self.snapshot.scanner.top(self.order(count)), count)
        return found if self.at_least is None else found.at(found.scores >= self.at_least)

    def _near(self, depth: int, count: int) -> Found:
        """The first count rows, those of the nearest groups first.

        Only the first WIDEST of these come first: so rows further down have their place whatever
        the size of a page.
        """
        groups = self.snapshot.groups
        answers = None if groups is None else search(groups, self.vector, depth, min(count, WIDEST))
        if answers is None:
            return Ranking(self.snapshot, self.vector, None).top(count)
        first = self.merged(answers, min(count, WIDEST))
        if len(first) == count:
            return first
        masks = []
        for number, part in enumerate(self.snapshot.parts):
            mask = np.ones(part.rows, bool) if part.alive is None else part.alive.copy()
            mask[first.positions[first.parts == number]] = False
            masks.append(mask)
        rest = Ranking(self.snapshot, self.vector, None, masks).top(count - len(first))
        return Found(
            np.concatenate([first.scores, rest.scores]),
            np.concatenate([first.parts, rest.parts]),
            np.concatenate([first.positions, rest.positions]),
            np.concatenate([first.row_ids, rest.row_ids]),
        )

    def order(self, count: int) -> Order:
        """The first count rows, for a scanner to find."""
        return Order(self.vector, count, self.mask, lambda: self._alone(count))

    def _alone(self, count: int | None) -> list[Answer]:
        parts = self.snapshot.parts
        masks = for_each(self.mask, range(len(parts)), parallel=self.is_parallel)

        def search(block: Block) -> Answer:
            number, start, end = block
            wanted = min(count or end - start, end - start)
            return parts[number].nearest(self.vector, wanted, masks[number], start, end)

        # A small lake's parts are searched whole: to cut them up takes longer than it saves.
        largest = max((part.rows for part in parts), default=1)
        blocks = blocks_of(parts, BLOCK_ROWS if self.is_parallel else largest)
        return _by_part(
            len(parts), blocks, for_each(search, blocks, parallel=self.is_parallel), count
        )

    def merged(self, answers: Sequence[Answer], count: int | None) -> Found:
        """The first count rows of those found in the parts."""
        if not answers:
            return Found(np.empty(0, np.float32), *[np.empty(0, np.int64)] * 3)
        positions = [found for _, found in answers]
        parts = zip(self.snapshot.parts, positions, strict=True)
        all_of_them = Found(
            np.concatenate([scores for scores, _ in answers]),
            np.repeat(np.arange(len(answers)), [len(found) for found in positions]),
            np.concatenate(positions),
            np.concatenate([part.row_ids[found] for part, found in parts]),
        )
        return all_of_them.at(np.lexsort((all_of_them.row_ids, -all_of_them.scores))[:count])

    def mask(self, number: int) -> RowMask | None:
        """Of a part, the rows that are wanted, whatever their score; None: all of them."""
        if number not in self._masks:
            mask = self.snapshot.parts[number].mask(self._where)
            if self._among is not None:
                mask = self._among[number] if mask is None else self._among[number] & mask
            self._masks[number] = mask
        return self._masks[number]


def _by_part(
    parts: int, blocks: Sequence[Block], answers: Sequence[Answer], count: int | None
) -> list[Answer]:
    """Of each part what its blocks found, without what cannot be among the count best of all."""
    scores = np.concatenate([np.empty(0, np.float32), *(scores for scores, _ in answers)])
    positions = np.concatenate([np.empty(0, np.int64), *(found for _, found in answers)])
    numbers = np.repeat([number for number, _, _ in blocks], [len(found) for _, found in answers])
    if count is not None and len(scores) > count:
        stays = scores >= np.partition(scores, -count)[-count]
        scores, positions, numbers = scores[stays], positions[stays], numbers[stays]
    ends = np.searchsorted(numbers, np.arange(1, parts))
    pieces = zip(np.split(scores, ends), np.split(positions, ends), strict=True)
    return list(pieces) if parts else []
