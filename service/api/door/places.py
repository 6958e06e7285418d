"""Places for those who are served at once, and a share for each caller. Knows no requests."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.api.answers import Refused
from service.api.serving.shared_arrays import SharedArrays, number_of

MOST_OF_A_WORKER = 4_096  # places that one of several workers may hold of a kind


class Places:
    """So many at once. Where there are four or more, one caller leaves a quarter to others.
    For the event loop's thread alone.
    """

    def __init__(
        self,
        most: int,
        what: str,
        *,
        shared: bool = True,
        arrays: SharedArrays | None = None,
        name: str = "",
    ) -> None:
        """:param what: one of them, in a sentence, as "upload".
        :param shared: False: whoever comes first may have all of them.
        :param arrays: of the workers who have these places together; None: they are this process's.
        :param name: of these places among the arrays; none: `what`.
        """
        self._most = most
        self._what = what
        self._most_each = most - most // 4 if shared else most
        alone = arrays is None or arrays.is_alone
        self._taken: _Taken = (
            _Own() if arrays is None or alone else _OfAll(most, arrays, name or what)
        )

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, caller: str) -> None:
        """:raises Refused: 429, if all are taken, or all that this caller may have."""
        # Taken first and counted then: of two workers that want the last place both may be
        # refused, but never have both got it.
        everyones, callers = self._taken.add(caller)
        if everyones <= self._most and callers <= self._most_each:
            return
        self._taken.remove(caller)
        if everyones > self._most:
            before = min(everyones - 1, self._most)
            raise _busy(f"{self._are_answered(before)}, which is the limit")
        before = min(callers - 1, self._most_each)
        mine = self._are_answered(before, " of yours")
        raise _busy(f"{mine}, which is one caller's share")

    def give(self, caller: str) -> None:
        self._taken.remove(caller)

    def _are_answered(self, count: int, whose: str = "") -> str:
        if count == 1:
            return f"1 {self._what}{whose} is being answered"
        return f"{count} {self._what}s{whose} are being answered"


class _Taken(Protocol):
    """Who has how many places."""

    def __len__(self) -> int: ...

    def add(self, caller: str) -> tuple[int, int]:
        """One more; returns how many are taken, and how many of them by this caller."""

    def remove(self, caller: str) -> None: ...


class _Own:
    """Of this process."""

    def __init__(self) -> None:
        self._callers: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._callers.total()

    def add(self, caller: str) -> tuple[int, int]:
        self._callers[caller] += 1
        return len(self), self._callers[caller]

    def remove(self, caller: str) -> None:
        self._callers[caller] -= 1
        if not self._callers[caller]:
            del self._callers[caller]


class _OfAll:
    """Of all workers: a row for each, which it alone writes, and in it the callers' numbers."""

    def __init__(self, most: int, arrays: SharedArrays, name: str) -> None:
        self._most = most
        width = min(most, MOST_OF_A_WORKER) + 1
        shape = (arrays.workers, width)
        self._all: NDArray[np.uint64] = arrays.array(f"places-{name}", np.uint64, shape)
        self._mine: NDArray[np.uint64] = self._all[arrays.worker]
        self._mine[:] = 0  # of a worker before this one, which died
        self._alive = arrays.alive
        self._free = list(range(width))
        self._held: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return int(np.count_nonzero(self._of_living()))

    def add(self, caller: str) -> tuple[int, int]:
        number = number_of(caller)
        place = self._free.pop()
        self._held.setdefault(caller, []).append(place)
        self._mine[place] = number
        taken = self._of_living()
        everyones = int(np.count_nonzero(taken))
        if not self._free:  # the last of a row is only to try with
            everyones = max(everyones, self._most + 1)
        return everyones, int(np.count_nonzero(taken == number))

    def remove(self, caller: str) -> None:
        places = self._held[caller]
        place = places.pop()
        if not places:
            del self._held[caller]
        self._mine[place] = 0
        self._free.append(place)

    def _of_living(self) -> NDArray[np.uint64]:
        living: NDArray[np.uint64] = self._all[self._alive.astype(bool)]
        return living


def _busy(sentence: str) -> Refused:
    return Refused(
        429, "too_busy", f"{sentence}; try again in a second", headers={"Retry-After": "1"}
    )
