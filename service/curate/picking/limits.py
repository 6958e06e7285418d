"""What a pick keeps to: at most so many of a value, at least so many that pass a condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask


@dataclass(frozen=True, slots=True)
class AtMost:
    """Of all candidates of one value at most so many."""

    values: Positions  # int64, (candidates,): the number of each one's value, -1: it has none
    count: int  # candidates without a value are not limited


@dataclass(frozen=True, slots=True)
class AtLeast:
    """So many that pass, of what is picked in all."""

    passes: RowMask  # bool, (candidates,)
    count: int


class Limits:
    """Which candidates may be picked next.

    What is asked for at least is picked first, before a limit on values leaves no room for it: only
    such are open as bring what is owed, and bring it down fast enough for the picks that are left.
    """

    def __init__(
        self,
        candidates: int,
        count: int,
        at_most: Sequence[AtMost] = (),
        at_least: Sequence[AtLeast] = (),
    ) -> None:
        self._left = count
        self._at_most, self._at_least = at_most, at_least
        self._owed = [each.count for each in at_least]
        self._taken = [np.zeros(int(each.values.max(initial=-1)) + 1, np.int64) for each in at_most]
        self._free = np.ones(candidates, bool)
        for each in at_most:
            if each.count < 1:
                self._free &= each.values < 0

    @property
    def open(self) -> RowMask:
        """bool, (candidates,)"""
        owed = sum(self._owed)
        if not owed:
            return self._free
        brings = np.zeros(len(self._free), np.int64)
        for each, rest in zip(self._at_least, self._owed, strict=True):
            brings += each.passes if rest else 0
        most = int(brings[self._free].max(initial=0))
        # Where no candidate brings enough, those that bring most: as near as one can come; and all,
        # where none brings anything.
        least = min(-(-owed // max(self._left, 1)), most)
        found: NDArray[np.bool_] = self._free & (brings >= least)
        return found

    def take(self, candidate: int) -> None:
        self._left -= 1
        self._free[candidate] = False
        for limit, taken in zip(self._at_most, self._taken, strict=True):
            value = int(limit.values[candidate])
            if value < 0:
                continue
            taken[value] += 1
            if taken[value] >= limit.count:
                self._free &= limit.values != value
        for number, each in enumerate(self._at_least):
            if each.passes[candidate] and self._owed[number]:
                self._owed[number] -= 1
