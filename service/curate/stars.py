"""Groups things that are near each other, each near the one in the middle of its group.

Chains are never made: that a is near b and b near c does not put a and c together, as single
linkage would until a walk through a building is one group. First the first thing that has no group
becomes the middle of one, and takes all near it that have none ("leader" clustering: Hartigan,
Clustering Algorithms, 1975, chapter 3). Then each group gets its medoid for a middle, and what is
not near that one looks for another. No random numbers: the same things in the same order give the
same groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask

BLOCK = 2_048  # things compared with each other at once
SAMPLE = 256  # of a large group, those that its medoid is chosen by


class Nearness(Protocol):
    """Which of `count` things are near each other: a symmetric relation; each is near itself."""

    count: int

    def among(self, some: Positions) -> NDArray[np.bool_]:
        """bool, (n, n): which of these are near each other. :param some: int64, (n,)"""
        ...

    def pairs(self, some: Positions) -> tuple[Positions, Positions]:
        """int64, (pairs,) each: for each of these all things near it, itself too: the number of
        the one in `some`, and the thing. :param some: int64, (n,)
        """
        ...

    def near(self, one: int, others: Positions) -> RowMask:
        """bool, (n,): which of the others are near this one."""
        ...

    def closeness(self, some: Positions, others: Positions) -> NDArray[np.float32]:
        """float32, (n, m): larger is closer."""
        ...


def stars(nearness: Nearness, advance: Callable[[int], None] = lambda done: None) -> Positions:
    """int64, (count,): for each thing the one in the middle of its group, itself where it is alone.

    :param advance: called with how many more things have a group.
    """
    middles = np.full(nearness.count, -1, np.int64)
    _lead(nearness, np.arange(nearness.count), middles, advance)
    moved, left = _centred(nearness, middles)
    alone = _alone_near(nearness, moved, middles)
    middles[alone] = -1
    left = np.sort(np.concatenate([left, alone]))
    _join(nearness, left, middles)
    _lead(nearness, left[middles[left] < 0], middles, lambda done: None)
    return middles


def _lead(
    nearness: Nearness, things: Positions, middles: Positions, advance: Callable[[int], None]
) -> None:
    """Give a group to each of these that has none.

    :param things: int64, (n,), rising.
    """
    at = 0
    while at < len(things):
        # Those that have a group by now are passed over, so that a block is full of work.
        waiting = things[at:]
        open_ = np.flatnonzero(middles[waiting[: 16 * BLOCK]] < 0)[:BLOCK]
        if not len(open_):
            at += 16 * BLOCK
            continue
        block = waiting[open_]
        leaders = block[_first_ones(nearness.among(block))]
        numbers, found = nearness.pairs(leaders)
        # The first leader that is near takes a thing.
        order = np.lexsort((numbers, found))
        numbers, found = numbers[order], found[order]
        is_first = np.append(True, found[1:] != found[:-1])[: len(found)]
        is_new = is_first & (middles[found] < 0)
        middles[found[is_new]] = leaders[numbers[is_new]]
        advance(int(np.count_nonzero(is_new)))
        # Nearness is rounded in more than one way: what only `among` takes for near comes again.
        again = open_[middles[block] < 0]
        at += int(again[0]) if len(again) else int(open_[-1]) + 1


def _first_ones(near: NDArray[np.bool_]) -> Positions:
    """int64, (m,): those that no earlier one of them is near. :param near: bool, (n, n)"""
    taken = np.zeros(len(near), bool)
    has_later = np.triu(near, k=1).any(axis=1)
    for number in np.flatnonzero(has_later).tolist():
        if not taken[number]:
            taken[number + 1 :] |= near[number, number + 1 :]
    return np.flatnonzero(~taken)


def _centred(nearness: Nearness, middles: Positions) -> tuple[Positions, Positions]:
    """Make the medoid of each group its middle.

    :returns: int64, (n,) each: the middles that are others now; the things that these are not near,
        which have no group now.
    """
    order = np.argsort(middles, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(middles[order]) != 0)[: len(order)])
    moved, left = [], [np.empty(0, np.int64)]
    sizes = np.diff(np.append(starts, len(order)))
    for start, size in zip(starts[sizes > 2].tolist(), sizes[sizes > 2].tolist(), strict=True):
        members = order[start : start + size]
        sample = members[:: -(-size // SAMPLE)]
        medoid = int(members[np.argmax(nearness.closeness(members, sample).sum(axis=1))])
        if medoid == middles[medoid]:
            continue
        is_near = nearness.near(medoid, members)
        middles[members] = np.where(is_near, medoid, -1)
        moved.append(medoid)
        left.append(members[~is_near])
    return np.array(moved, np.int64), np.concatenate(left)


def _alone_near(nearness: Nearness, moved: Positions, middles: Positions) -> Positions:
    """int64, (n,), rising: things that are alone, and near one of these middles."""
    known = middles[middles >= 0]
    is_alone = np.bincount(known, minlength=len(middles)) == 1
    is_alone &= middles == np.arange(len(middles))
    near = [
        nearness.pairs(moved[start : start + BLOCK])[1] for start in range(0, len(moved), BLOCK)
    ]
    found = np.unique(np.concatenate([np.empty(0, np.int64), *near]))
    alone: Positions = found[is_alone[found] & ~np.isin(found, moved)]
    return alone


def _join(nearness: Nearness, things: Positions, middles: Positions) -> None:
    """Put each of these into the group whose middle is closest, if one is near."""
    is_middle = middles == np.arange(len(middles))
    for start in range(0, len(things), BLOCK):
        some = things[start : start + BLOCK]
        numbers, found = nearness.pairs(some)
        numbers, found = numbers[is_middle[found]], found[is_middle[found]]
        for number in np.unique(numbers).tolist():
            others = found[numbers == number]
            close = nearness.closeness(some[number : number + 1], others)[0]
            middles[some[number]] = np.sort(others[close == close.max()])[0]
