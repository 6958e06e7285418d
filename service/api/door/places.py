"""Places for those who are served at once, and a share for each caller. Knows no requests."""

from __future__ import annotations

from collections import Counter

from service.api.answers import Refused


class Places:
    """So many at once. Where there are four or more, one caller leaves a quarter to others.
    For the event loop's thread alone.
    """

    def __init__(self, most: int, what: str, *, shared: bool = True) -> None:
        """:param what: one of them, in a sentence, as "upload".
        :param shared: False: whoever comes first may have all of them.
        """
        self._most = most
        self._what = what
        self._most_each = most - most // 4 if shared else most
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._taken.total()

    def take(self, caller: str) -> None:
        """:raises Refused: 429, if all are taken, or all that this caller may have."""
        if len(self) >= self._most:
            raise _busy(f"{self._are_answered(len(self))}, which is the limit")
        if self._taken[caller] >= self._most_each:
            mine = self._are_answered(self._taken[caller], " of yours")
            raise _busy(f"{mine}, which is one caller's share")
        self._taken[caller] += 1

    def give(self, caller: str) -> None:
        self._taken[caller] -= 1
        if not self._taken[caller]:
            del self._taken[caller]

    def _are_answered(self, count: int, whose: str = "") -> str:
        if count == 1:
            return f"1 {self._what}{whose} is being answered"
        return f"{count} {self._what}s{whose} are being answered"


def _busy(sentence: str) -> Refused:
    return Refused(
        429, "too_busy", f"{sentence}; try again in a second", headers={"Retry-After": "1"}
    )
