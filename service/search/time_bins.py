"""Bins of times that begin at round dates: years, months, weeks, days, hours, minutes, seconds."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Unit: TypeAlias = Literal["s", "ms", "us", "ns"]

PER_SECOND: dict[Unit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_S, _WEEK_S = 86_400, 7 * 86_400
_SECONDS = (1, 5, 15, 30, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, _DAY_S, _WEEK_S)
_MONTHS = (1, 3, 12, 24, 60, 120, 240, 600, 1_200, 2_400, 6_000, 12_000)
_MONDAY_S = 4 * _DAY_S  # 1970-01-05: weeks begin there
# The first second of the year 1 and the last of 9999, which Python's datetime holds.
_ENDS_S = (-62_135_596_800, 253_402_300_799)


def time_edges(low: int, high: int, unit: Unit, most: int) -> NDArray[np.int64]:
    """int64, (bins + 1,), rising: of at most so many bins, the finest that will do. The last
    edge is above all times, but for the calendar's end.

    :param low, high: the first and the last time, counted in the unit from 1970 on.
    :param most: at least 12.
    """
    if low == high:
        return np.array([low, high], np.int64)
    scale = PER_SECOND[unit]
    for step in _fractions(scale):
        if (found := _steps(low, high, step, 0, most)) is not None:
            return _held(found, scale)
    for seconds in _SECONDS:
        first = _MONDAY_S if seconds == _WEEK_S else 0
        if (found := _steps(low, high, seconds * scale, first * scale, most)) is not None:
            return _held(found, scale)
    months = [
        int(np.datetime64(each, unit).astype("datetime64[M]").astype(int)) for each in (low, high)
    ]
    for step in _MONTHS:
        # The year 1970 is no round one of every step; the year 0 is.
        if (found := _steps(months[0], months[1], step, -1_970 * 12, most)) is not None:
            seconds_of = found.astype("datetime64[M]").astype("datetime64[s]").astype(np.int64)
            return _held(np.clip(seconds_of, *_ENDS_S) * scale, scale)
    raise AssertionError("the calendar has ten thousand years")


def _fractions(scale: int) -> list[int]:
    """Steps below a second: 1, 2 and 5 times a power of ten."""
    steps = [factor * 10**digits for digits in range(9) for factor in (1, 2, 5)]
    return [step for step in steps if step < scale]


def _steps(low: int, high: int, step: int, first: int, most: int) -> NDArray[np.int64] | None:
    """Multiples of a step, counted from `first`, around both ends; None: there are too many."""
    start, end = (low - first) // step, (high - first) // step + 1
    return None if end - start > most else first + step * np.arange(start, end + 1, dtype=np.int64)


def _held(edges: NDArray[np.int64], scale: int) -> NDArray[np.int64]:
    """Within what Python's datetime holds."""
    last = (_ENDS_S[1] + 1) * scale - 1 if scale < PER_SECOND["ns"] else edges[-1]
    return np.unique(np.clip(edges, min(_ENDS_S[0] * scale, edges[-1]), last))
