"""What the live rows of one snapshot have of their groups: rows that are gone count no more."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from service.alike.stored import About, StoredGroups

_DENSE_SPARE = 1 << 20


@dataclass(frozen=True, slots=True)
class GroupOfRows:
    """Images that are nearly the same."""

    group: int  # the row_id of the image in the middle of them, which may be gone
    row_ids: tuple[int, ...]  # all that live, the best first


class LiveGroups:
    """Groups of a snapshot's live rows. Immutable."""

    def __init__(self, stored: StoredGroups, live: Positions) -> None:
        """:param live: int64, (n,), rising: the row_ids of all live rows."""
        self.about: About = stored.about
        here = _are_among(stored.row_ids, live)
        self.row_ids: Positions = stored.row_ids[here]  # live and compared
        self.since = len(live) - len(self.row_ids)  # live rows that were not compared
        middles, ranks = stored.middles[here], stored.ranks[here]
        # By group, the best first, then by row_id: a damaged rank changes an order, no more.
        self._order = np.lexsort((self.row_ids, ranks, middles))
        sorted_middles = middles[self._order]
        is_first = np.append(True, sorted_middles[1:] != sorted_middles[:-1])[: len(middles)]
        self._starts: Positions = np.flatnonzero(is_first)
        self._sizes: Positions = np.diff(np.append(self._starts, len(middles)))
        self._middles = middles
        numbers = np.cumsum(is_first) - 1
        self.sizes = np.empty(len(middles), np.int64)  # of each row's group
        self.sizes[self._order] = self._sizes[numbers]
        self.is_best = np.zeros(len(middles), bool)
        self.is_best[self._order[self._starts]] = True

    @property
    def count(self) -> int:
        """Groups of two images and more."""
        return int(np.count_nonzero(self._sizes > 1))

    @property
    def copies(self) -> int:
        """Images that are not the best of their group."""
        return int(len(self.row_ids) - len(self._sizes))

    @property
    def largest(self) -> int:
        """Images of the largest group; 1: there is no group."""
        return int(self._sizes.max(initial=1))

    @cached_property
    def _by_size(self) -> Positions:
        """Numbers of the groups of two and more, the largest first, then by their middle."""
        numbers = np.flatnonzero(self._sizes > 1)
        return numbers[np.argsort(-self._sizes[numbers], kind="stable")]

    def page(self, offset: int, k: int) -> list[GroupOfRows]:
        """Groups of two images and more, the largest first.

        :param offset: groups to pass over; k: groups wanted at most.
        """
        return [self._group(number) for number in self._by_size[offset : offset + k].tolist()]

    def _group(self, number: int) -> GroupOfRows:
        start = int(self._starts[number])
        here = self._order[start : start + int(self._sizes[number])]
        return GroupOfRows(int(self._middles[here[0]]), tuple(self.row_ids[here].tolist()))

    def group_of(self, row_id: int) -> GroupOfRows | None:
        """The group of a row; None: nothing is nearly the same, or it was not compared."""
        (at,) = self._places(np.array([row_id], np.int64))
        if at < 0 or self.sizes[at] < 2:
            return None
        first = np.searchsorted(self._middles[self._order[self._starts]], self._middles[at])
        return self._group(int(first))

    def columns(
        self, row_ids: Positions
    ) -> tuple[tuple[Positions, RowMask], tuple[Positions, RowMask], tuple[RowMask, RowMask]]:
        """Of each row `group`, `group_size` and `is_best`, each with a mask: True where it is NULL.

        A row that is like no other has no group, the size 1, and is best; one that was not compared
        has nothing.

        :param row_ids: int64, (n,)
        """
        at = self._places(row_ids)
        unknown = at < 0
        if not len(self.row_ids):
            nothing = np.zeros(len(row_ids), np.int64)
            return (nothing, unknown), (nothing, unknown), (nothing.astype(bool), unknown)
        sizes = self.sizes[at]
        return (
            (self._middles[at], unknown | (sizes < 2)),
            (sizes, unknown),
            (self.is_best[at], unknown),
        )

    def _places(self, row_ids: Positions) -> Positions:
        """int64, (n,): where each row stands in `self.row_ids`, -1: nowhere."""
        if not len(self.row_ids):
            return np.full(len(row_ids), -1, np.int64)
        dense = self._dense
        if dense is not None:
            found: Positions = dense[np.minimum(row_ids, len(dense) - 1)].astype(np.int64)
            return found
        at = np.minimum(np.searchsorted(self.row_ids, row_ids), len(self.row_ids) - 1)
        return np.where(self.row_ids[at] == row_ids, at, -1)

    @cached_property
    def _dense(self) -> NDArray[np.int32] | None:
        """The place of every row_id up to the last one; None: they lie too far apart."""
        if self.row_ids[-1] > 16 * len(self.row_ids) + _DENSE_SPARE:
            return None
        dense = np.full(int(self.row_ids[-1]) + 2, -1, np.int32)
        dense[self.row_ids] = np.arange(len(self.row_ids), dtype=np.int32)
        return dense


def _are_among(row_ids: Positions, live: Positions) -> RowMask:
    """bool, (n,): which of these rows live; both rise."""
    if not len(live):
        return np.zeros(len(row_ids), bool)
    at = np.minimum(np.searchsorted(live, row_ids), len(live) - 1)
    found: RowMask = live[at] == row_ids
    return found


def best_first(
    middles: Positions,
    sharpness: NDArray[np.float64],
    pixels: Positions,
    sizes_bytes: Positions,
    row_ids: Positions,
    *,
    nearly: float,
) -> NDArray[np.int32]:
    """int32, (n,): each image's place in its group: the sharpest first, then the largest.

    Images nearly as sharp as the sharpest count as equally sharp: of these the one with most
    pixels is best, then with most bytes, then the one that came first.

    :param middles: int64, (n,): which group each is of; all (n,).
    :param sharpness: NaN: nobody measured it, which counts as not sharp.
    :param nearly: 0 to 1: what share of the sharpest one's sharpness is nearly as sharp.
    """
    known = np.nan_to_num(sharpness, nan=-1.0)
    groups, numbers = np.unique(middles, return_inverse=True)
    sharpest = np.full(len(groups), -np.inf)
    np.maximum.at(sharpest, numbers, known)
    is_blurred = known < nearly * sharpest[numbers]
    blur = np.where(is_blurred, -known, 0.0)
    order = np.lexsort((row_ids, -sizes_bytes, -pixels, blur, is_blurred, numbers))
    starts = np.searchsorted(numbers[order], np.arange(len(groups)))
    ranks = np.empty(len(middles), np.int32)
    ranks[order] = np.arange(len(middles)) - starts[numbers[order]]
    return ranks
