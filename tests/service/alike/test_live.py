"""What rows have of their groups, by hand. 1, 3 and 5 are nearly the same (3 in the middle, 5 is
best), 2 and 4 are (2 is best), 7 is like no other, 9 was never compared.
"""

from __future__ import annotations

import numpy as np
import pytest

from indexer.arrays import Positions
from service.alike.live import GroupOfRows, LiveGroups, best_first
from service.alike.stored import About, StoredGroups

ABOUT = About(3, "2026-01-01T00:00:00+00:00", 8, 0.5, 0)


def rows(*numbers: int) -> Positions:
    return np.array(numbers, np.int64)


STORED = StoredGroups(
    ABOUT, rows(1, 2, 3, 4, 5, 7), rows(3, 2, 3, 2, 3, 7), np.array([1, 0, 2, 1, 0, 0], np.int32)
)


def told(groups: LiveGroups, *row_ids: int) -> list[tuple[int | None, int | None, bool | None]]:
    columns = [
        [None if is_null else value for value, is_null in zip(values.tolist(), nulls, strict=True)]
        for values, nulls in groups.columns(rows(*row_ids))
    ]
    return list(zip(*columns, strict=True))


def test_rows_know_their_group_its_size_and_whether_they_are_best() -> None:
    groups = LiveGroups(STORED, rows(1, 2, 3, 4, 5, 7, 9))
    assert told(groups, 9, 5, 1, 7, 4, 2, 100) == [
        (None, None, None), (3, 3, True), (3, 3, False), (None, 1, True),
        (2, 2, False), (2, 2, True), (None, None, None),
    ]  # fmt: skip
    assert (groups.count, groups.copies, groups.largest, groups.since) == (2, 3, 3, 1)
    assert groups.page(0, 10) == [GroupOfRows(3, (5, 1, 3)), GroupOfRows(2, (2, 4))]
    assert groups.page(1, 1) == [GroupOfRows(2, (2, 4))]
    assert groups.page(2, 1) == []
    assert groups.group_of(1) == GroupOfRows(3, (5, 1, 3))
    assert (groups.group_of(7), groups.group_of(9)) == (None, None)


def test_rows_that_are_gone_count_no_more() -> None:
    # the best and the middle of the one are gone, and all but one of the other
    groups = LiveGroups(STORED, rows(1, 4, 7))
    assert told(groups, 1, 4) == [(None, 1, True), (None, 1, True)]
    assert (groups.count, groups.copies, groups.page(0, 9)) == (0, 0, [])
    without_best = LiveGroups(STORED, rows(1, 2, 3))
    assert told(without_best, 1, 3, 2) == [(3, 2, True), (3, 2, False), (None, 1, True)]
    nothing = LiveGroups(STORED, rows())
    assert told(nothing, 1) == [(None, None, None)]
    assert (nothing.count, nothing.largest) == (0, 1)


def test_row_ids_that_lie_far_apart_are_found() -> None:
    far = 2**52
    stored = StoredGroups(ABOUT, rows(1, far), rows(1, 1), np.array([0, 1], np.int32))
    assert told(LiveGroups(stored, rows(1, far)), far, 2, 1) == [
        (1, 2, False), (None, None, None), (1, 2, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sharpness", "pixels", "sizes", "ranks"),
    [
        # nearly as sharp: the largest
        ([100, 80, 10], [5, 9, 20], [1, 1, 1], [1, 0, 2]),
        # not nearly: the sharper one, then by sharpness
        ([100, 70, 60], [5, 9, 20], [1, 1, 1], [0, 1, 2]),
        # the same size: most bytes, then the first
        ([100, 100, 100], [5, 5, 5], [1, 2, 1], [1, 0, 2]),
        # nobody measured one of them, or any
        ([float("nan"), 3, 3], [9, 5, 6], [1, 1, 1], [2, 1, 0]),
        ([float("nan")] * 3, [5, 9, 7], [1, 1, 1], [2, 0, 1]),
    ],
)
def test_the_best_is_the_sharpest_then_the_largest(
    sharpness: list[float], pixels: list[int], sizes: list[int], ranks: list[int]
) -> None:
    # a group of one before it, which changes nothing
    found = best_first(
        rows(1, 4, 4, 4), np.array([500.0, *sharpness]), rows(99, *pixels), rows(9, *sizes),
        rows(1, 2, 3, 4), nearly=0.75,
    )  # fmt: skip
    assert found.tolist() == [0, *ranks]
