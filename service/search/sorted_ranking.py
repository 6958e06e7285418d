"""All rows that pass in another order than the best match first: as many from the top as asked for.

A row has the score that it has in any search; only those of a page are scored, unless a cut says
which rows pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from service.search.ranking import Found, Ranking
from service.search.scored import Scored, scores_at
from service.search.sort import Sort
from service.search.sorting import order_of
from service.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from service.where.where import Where


def sorted_ranking(
    snapshot: Snapshot,
    vector: NDArray[np.float32],
    where: Where | None,
    among: Sequence[RowMask] | None,
    sort: Sort,
) -> Ranking:
    """The rows that where and among keep, by a sort that is not the best match first."""
    if sort.by == "match":
        return _Worst(snapshot, vector, where, among)
    return _Sorted(snapshot, vector, where, among, sort)


class _Worst(Ranking):
    """By rising score, then by rising row_id: the best first of the opposite direction.

    The score with the opposite vector is the score's opposite, to the last bit.
    """

    def top(self, count: int | None) -> Found:
        masks = None if self.at_least is None else Scored(self).masks(self.at_least)
        opposite = Ranking(
            self.snapshot,
            -self.vector,
            self._where if masks is None else None,
            self._among if masks is None else masks,
        )
        found = opposite.top(count)
        # not -0
        return Found(0.0 - found.scores, found.parts, found.positions, found.row_ids)

    def shares_passes(self, count: int) -> bool:
        return False

    def among(self, masks: Sequence[RowMask]) -> Ranking:
        narrower = _Worst(self.snapshot, self.vector, None, masks)
        narrower.at_least = self.at_least
        return narrower


class _Sorted(Ranking):
    """By a column, date or path, or at random."""

    def __init__(
        self,
        snapshot: Snapshot,
        vector: NDArray[np.float32],
        where: Where | None,
        among: Sequence[RowMask] | None,
        sort: Sort,
    ) -> None:
        super().__init__(snapshot, vector, where, among)
        self._sort = sort

    def top(self, count: int | None) -> Found:
        wanted = self._wanted[:count]
        row_ids, places = self.snapshot.places
        numbers, positions = self.snapshot.locate(places[wanted])
        scores = scores_at(self.snapshot, self.vector, numbers, positions)
        return Found(scores, numbers, positions, row_ids[wanted])

    @cached_property
    def _wanted(self) -> Positions | NDArray[np.unsignedinteger]:
        """(n,): the numbers of the rows that pass, in order, among all live rows by row_id."""
        order = order_of(self.snapshot, self._sort)
        parts = self.snapshot.parts
        masks: list[RowMask | None] = [self.mask(number) for number in range(len(parts))]
        if self.at_least is not None:
            masks = [*Scored(self).masks(self.at_least)]
        if not parts or all(mask is None for mask in masks):
            return order
        whole = np.concatenate(
            [
                np.ones(part.rows, bool) if mask is None else mask
                for part, mask in zip(parts, masks, strict=True)
            ]
        )
        passing: Positions | NDArray[np.unsignedinteger]
        passing = order[whole[self.snapshot.places[1]][order]]
        return passing

    def shares_passes(self, count: int) -> bool:
        return False

    def among(self, masks: Sequence[RowMask]) -> Ranking:
        narrower = _Sorted(self.snapshot, self.vector, None, masks, self._sort)
        narrower.at_least = self.at_least
        return narrower
