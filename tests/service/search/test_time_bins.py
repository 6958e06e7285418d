"""Bins of times at round dates."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from service.search.time_bins import time_edges


def counted(text: str) -> int:
    """us since 1970"""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


def said(edges: NDArray[np.int64]) -> list[str]:
    return [str(edge)[:19] for edge in edges.astype("datetime64[us]")]


LAST = ("1970-01-01T00:00:05", 21)


@pytest.mark.parametrize(
    ("low", "high", "first", "second", "last", "bins"),
    [
        # a year by months, and what is on the first of the next one has a bin, too
        ("2024-01-15", "2025-01-01", "2024-01-01", "2024-02-01", "2025-02-01", 13),
        ("2020-02-29", "2025-06-01", "2020-01-01", "2020-04-01", "2025-07-01", 22),
        ("1999-05-01", "2021-05-01", "1999-01-01", "2000-01-01", "2022-01-01", 23),
        ("1999-05-01", "2024-05-01", "1998-01-01", "2000-01-01", "2026-01-01", 14),
        # Mondays
        ("2024-05-01", "2024-06-30", "2024-04-29", "2024-05-06", "2024-07-01", 9),
        ("2024-05-01T07:00", "2024-05-20", "2024-05-01", "2024-05-02", "2024-05-21", 20),
        ("2024-05-01T07:10", "2024-05-02T06:00", "2024-05-01T07:00", "2024-05-01T08:00", "2024-05-02T07:00", 24),
        ("2024-05-01T07:10:01", "2024-05-01T07:30", "2024-05-01T07:10", "2024-05-01T07:11", "2024-05-01T07:31", 21),
        # by half seconds
        ("1969-12-31T23:59:55", "1970-01-01T00:00:05", "1969-12-31T23:59:55", "1969-12-31T23:59:55", *LAST),
        ("0001-01-01", "9999-12-31", "0001-01-01", "0500-01-01", "9999-12-31T23:59:59", 20),
    ],
)  # fmt: skip
def test_they_begin_at_round_dates(
    low: str, high: str, first: str, second: str, last: str, bins: int
) -> None:
    edges = said(time_edges(counted(low), counted(high), "us", 24))
    whole = [text if "T" in text else f"{text}T00:00" for text in (first, second, last)]
    assert [edges[0], edges[1], edges[-1]] == [
        text if text.count(":") == 2 else f"{text}:00" for text in whole
    ]
    assert len(edges) == bins + 1


def test_below_a_second_they_are_round_numbers() -> None:
    edges = time_edges(1_234_567, 1_234_600, "us", 24)
    assert edges.tolist() == [1_234_566 + 2 * at for at in range(19)]
    assert time_edges(5, 5, "us", 24).tolist() == [5, 5]
    assert time_edges(0, 40 * 86_400, "s", 24).tolist()[:3] == [-259_200, 345_600, 950_400]


def test_of_any_times_they_hold_all_and_are_few() -> None:
    draw = random.Random(7)
    for _ in range(500):
        ends = [
            draw.randint(-(2 ** draw.randint(1, 55)), 2 ** draw.randint(1, 57)) for _ in range(2)
        ]
        low, high = sorted(ends)
        edges = time_edges(low, high, "us", 24)
        assert edges[0] <= low
        assert high <= edges[-1]
        assert 1 <= len(edges) - 1 <= 24
        assert bool((np.diff(edges) > 0).all()) or low == high
