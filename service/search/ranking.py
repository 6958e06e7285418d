"""All rows of a snapshot in one order,
as many from the top as are asked for: score first, then row_id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask, Vectors
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
        first: Found | None = None,
    ) -> None:
        """:param among: a mask a part: only these rows,
        of those that where keeps; None: all of them.
        :param depth: look into so many groups of the snapshot alone, without where and among, and
            put all other rows behind what is found there; None: every row in its place.
        :param first: rows that come first, in this order, all others behind them; they are among
            those that where and among keep.
        """
        self.snapshot = snapshot
        self.vector = vector
        self.at_least: float | None = None  # only rows with this score or more; None: all of them
        self._where = where
        self._among = among
        self._depth = depth
        self._first = first
        self._masks: dict[int, RowMask | None] = {}  # by part number; a predicate is asked once
        self._known: tuple[int, Found] | None = None  # the first so many rows, found beforehand

    @property
    def is_parallel(self) -> bool:
        """True where the lake is so large that threads pay."""
        return sum(part.rows for part in self.snapshot.parts) >= PARALLEL_FROM_ROWS

    def top(self, count: int | None) -> Found:
        """The first count rows; None: all."""
        if self._known is not None and count is not None and count <= self._known[0]:
            found = self._known[1].at(slice(count))
        elif self._first is not None and count is not None:
            return self._behind(self._first, count)
        elif self._depth is not None and count is not None:
            return self._near(self._depth, count)
        elif count is None or not self.shares_passes(count):
            found = self.merged(self._alone(count), count)
        else:
            found = self.merged(self.snapshot.scanner.top(self.order(count)), count)
        return found if self.at_least is None else found.at(found.scores >= self.at_least)

    def shares_passes(self, count: int) -> bool:
        """Whether the first count rows are found by the scanner, which several queries share."""
        is_of_all = self._depth is None and self._first is None
        return is_of_all and count <= WIDEST and self.is_parallel and half_precision_pays()

    def _near(self, depth: int, count: int) -> Found:
        """The first count rows, those of the nearest groups first.

        Only the first WIDEST of these come first: so rows further down have their place whatever
        the size of a page.
        """
        groups = self.snapshot.groups
        answers = None if groups is None else search(groups, self.vector, depth, min(count, WIDEST))
        if answers is None:
            return Ranking(self.snapshot, self.vector, None).top(count)
        return self._behind(self.merged(answers, min(count, WIDEST)), count)

    def _behind(self, first: Found, count: int) -> Found:
        """The first count rows, where these come first and all others in their order."""
        if len(first) >= count:
            return first.at(slice(count))
        masks = []
        for number, part in enumerate(self.snapshot.parts):
            known = self.mask(number)
            mask = np.ones(part.rows, bool) if known is None else known.copy()
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

    def keep(self, answers: Sequence[Answer], count: int) -> None:
        """Have the scanner's answers to `order(count)` at hand for `top`."""
        self._known = (count, self.merged(answers, count))

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

    def among(self, masks: Sequence[RowMask]) -> Ranking:
        """The same order, of these rows alone.

        :param masks: bool, (rows of the part,), a mask a part.
        """
        narrower = Ranking(self.snapshot, self.vector, None, masks)
        narrower.at_least = self.at_least
        return narrower

    def mask(self, number: int) -> RowMask | None:
        """Of a part, the rows that are wanted, whatever their score; None: all of them."""
        if number not in self._masks:
            mask = self.snapshot.parts[number].mask(self._where)
            if self._among is not None:
                mask = self._among[number] if mask is None else self._among[number] & mask
            self._masks[number] = mask
        return self._masks[number]


def find_together(wanted: Sequence[tuple[Ranking, int]]) -> None:
    """Find each ranking's first rows, those of one snapshot in one pass over its rows.

    Rankings of lakes too small for that are left to `top`.

    :param wanted: rankings whose masks are made, and how many rows of each are asked for.
    """
    by_scanner: dict[int, list[tuple[Ranking, int]]] = {}
    for ranking, count in wanted:
        if ranking.shares_passes(count):
            by_scanner.setdefault(id(ranking.snapshot.scanner), []).append((ranking, count))
    for few in by_scanner.values():
        scanner = few[0][0].snapshot.scanner
        answers = scanner.together([ranking.order(count) for ranking, count in few])
        for (ranking, count), answer in zip(few, answers, strict=True):
            ranking.keep(answer, count)


def vectors_of(snapshot: Snapshot, found: Found) -> Vectors:
    """float32, (n, dim), in the order of found."""
    vectors = np.empty((len(found), snapshot.manifest.dim), np.float32)
    for number in np.unique(found.parts):
        here = found.parts == number
        vectors[here] = snapshot.parts[number].vectors.take(found.positions[here])
    return vectors


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
