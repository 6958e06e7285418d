"""Hits and rows in another order than the best match first: worked out by hand, page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.address import Address
from indexer.arrays import Positions
from indexer.disk.tables import Place
from indexer.errors import BadRequest
from service import Lake, Query
from service.search import sorting
from service.search.browse import browse
from service.search.query import ByMoment, MaxPer
from service.search.sort import Sort
from service.snapshot import orders
from service.snapshot.snapshot import Snapshot
from tests.service.lakes import Maker, unit

RED = unit(1, 0, 0)
# Of rows 1 to 8: a number, a text, a yes or no; 7 dies, and 3 moves to the last segment.
NUMBERS = [5, None, -3, 5, 2**62, float("nan"), 1, -(2**62)]
TEXTS = ["b", "a", None, "B", "ä", "a", "zz", ""]


@pytest.fixture
def lake(maker: Maker) -> Lake:
    """Their cosines with red fall: row n has n degrees."""
    for n, (number, text) in enumerate(zip(NUMBERS, TEXTS, strict=True), 1):
        angle = np.radians(n)
        whole = None if number is None or number != number else int(number)
        maker.add(
            (np.cos(angle), np.sin(angle), 0),
            f"/photos/{'abcabcab'[n - 1]}/{9 - n}.png",
            whole=whole,
            real=None if number is None else float(number),
            text=text,
            ok=n % 2 == 0,
            path=n % 3,
        )
        if n == 4:
            first = maker.segment()
    second = maker.segment()
    with Lake.open(maker.layout.root, maker.model) as lake:
        place = lake.snapshot.find(3)
        assert place is not None
        [columns] = place[0].take(np.array([place[1]]))
        maker.commits.carry(
            columns, unit(np.cos(np.radians(3)), np.sin(np.radians(3)), 0), Place(first, place[1])
        )
    maker.commits.remove(Place(second, 2))
    return maker.open()


def rows(lake: Lake, sort: str, **options: Any) -> list[int]:
    return [row.row_id for row in lake.browse(sort=sort, **options)]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("whole", [8, 3, 1, 4, 5, 2, 6]),
        ("whole:down", [5, 1, 4, 3, 8, 2, 6]),
        # NaN is no value, either
        ("real", [8, 3, 1, 4, 5, 2, 6]),
        ("real:down", [5, 1, 4, 3, 8, 2, 6]),
        # byte by byte: capitals before small letters, and umlauts behind them
        ("text", [8, 4, 2, 6, 1, 5, 3]),
        ("text:down", [5, 1, 2, 6, 4, 8, 3]),
        ("ok", [1, 3, 5, 2, 4, 6, 8]),
        ("OK:down", [2, 4, 6, 8, 1, 3, 5]),
        ("path", [4, 1, 8, 5, 2, 6, 3]),
        ("path:down", [3, 6, 2, 5, 8, 1, 4]),
        ('"path"', [3, 6, 1, 4, 2, 5, 8]),
        ("row_id:down", [8, 6, 5, 4, 3, 2, 1]),
        ("place.latitude", [1, 2, 3, 4, 5, 6, 8]),
    ],
)
def test_each_order(lake: Lake, sort: str, expected: list[int]) -> None:
    assert rows(lake, sort) == expected
    # and of a search's hits, which are the same rows, with the scores that they have in any search
    hits = lake.search(vector=RED, sort=sort, k=None)
    assert [hit.row_id for hit in hits] == expected
    best = {hit.row_id: (hit.score, hit.z) for hit in lake.search(vector=RED, k=None)}
    assert {hit.row_id: (hit.score, hit.z) for hit in hits} == best
    assert Sort.parse(Sort.parse(sort).said) == Sort.parse(sort)


def test_the_worst_match_first(lake: Lake) -> None:
    found = [hit.row_id for hit in lake.search(vector=RED, sort="match:up", k=None)]
    assert found == [8, 6, 5, 4, 3, 2, 1]
    assert [h.row_id for h in lake.search(vector=RED, sort="match:up", k=2, offset=1)] == [6, 5]
    best = [hit.row_id for hit in lake.search(vector=RED, sort="match", k=None)]
    assert best == [1, 2, 3, 4, 5, 6, 8]


def test_equal_scores_come_by_row_id_in_both_directions(maker: Maker) -> None:
    for vector in ((1, 0, 0), (0, 1, 0), (1, 0, 0), (0, 1, 0)):
        maker.add(vector)
    lake = maker.open()
    hits = lake.search(vector=RED, sort="match:up")
    assert [(hit.row_id, hit.score) for hit in hits] == [(2, 0), (4, 0), (1, 1), (3, 1)]
    assert [str(hit.score) for hit in hits[:2]] == ["0.0", "0.0"]


def test_all_that_pass_and_no_others(lake: Lake) -> None:
    assert rows(lake, "whole:down", where="text IS NOT NULL AND row_id > 1") == [5, 4, 8, 2, 6]
    found = lake.search(vector=RED, sort="text", where="ok", k=3)
    assert [hit.row_id for hit in found] == [8, 4, 2]
    lake.tag("new", [8, 3, 4])
    assert rows(lake, "whole", where="tag = 'new'") == [8, 3, 4]
    assert rows(lake, "whole", where="row_id > 99") == []


def test_with_a_cut_what_matches_less_is_left_out(maker: Maker) -> None:
    """A hundred rows of 60 to 90 degrees, then ten of 0, 2, .. 18; n is row_id modulo 4."""
    for row_id in range(1, 111):
        angle = np.radians(60 + 0.3 * row_id if row_id <= 100 else 2 * (row_id - 101))
        maker.add((np.cos(angle), np.sin(angle), 0), n=row_id % 4)
    lake = maker.open()
    for sort, expected in (
        ("n:down", [103, 107, 102, 106, 110, 101, 105, 109, 104, 108]),
        ("match:up", [110, 109, 108, 107, 106, 105, 104, 103, 102, 101]),
    ):
        hits = lake.search(vector=RED, min_z=3, k=None, sort=sort)
        assert [hit.row_id for hit in hits] == expected
        narrow = lake.search(vector=RED, min_z=3, where="n > 1", k=2, sort=sort)
        assert [hit.row_id for hit in narrow] == [row for row in expected if row % 4 > 1][:2]
    assert len(lake.search(vector=RED, min_z=3, sort="random:3", k=None)) == 10


def test_at_random_by_a_seed(lake: Lake) -> None:
    orders = [tuple(rows(lake, f"random:{seed}")) for seed in range(20)]
    assert rows(lake, "random") == list(orders[0])
    assert all(sorted(order) == [1, 2, 3, 4, 5, 6, 8] for order in orders)
    # of 20 draws among 5,040 orders two are equal once in 27 times; these are not
    assert len(set(orders)) == 20
    # and no row is first too often: 20 draws of 7
    assert max(sum(order[0] == row for order in orders) for row in range(9)) <= 8
    assert [h.row_id for h in lake.search(vector=RED, sort="random:5", k=None)] == list(orders[5])


@pytest.mark.parametrize("sort", ["whole:down", "text", "random:4", "path"])
@pytest.mark.parametrize("where", [None, "row_id IN (1, 2, 5, 8)"])
def test_pages_fit_together(lake: Lake, sort: str, where: str | None) -> None:
    whole = rows(lake, sort, where=where)
    asked = Sort.parse(sort)
    for k in range(1, 9):
        seen: list[int] = []
        after: int | None = 0
        while after is not None:
            page = browse(lake.snapshot, where, after=after, k=k, sort=asked)
            seen += [row.row_id for row in page.rows]
            after = page.next_after
        assert seen == whole
        query = Query(vectors=[(RED, 1.0)], where=where, sort=asked, k=k)
        seen, offset = [], 0
        while offset is not None:
            found = lake.search_page(replace(query, offset=offset))
            seen += [hit.row_id for hit in found.hits]
            offset = found.next_offset  # type: ignore[assignment]
        assert seen == whole


def test_the_next_page_goes_on_whatever_is_tagged_meanwhile(lake: Lake) -> None:
    """By number of the order, not of those that pass: row 8, which comes first, is untagged."""
    lake.tag("new", [8, 3, 4, 5])
    sort = Sort.parse("whole")
    page = browse(lake.snapshot, "tag = 'new'", k=2, sort=sort)
    assert [row.row_id for row in page.rows] == [8, 3]
    lake.untag("new", [8])
    assert page.next_after is not None
    page = browse(lake.snapshot, "tag = 'new'", k=2, sort=sort, after=page.next_after)
    assert [row.row_id for row in page.rows] == [4, 5]


def test_near_images_and_values_fold_into_the_first_of_the_order(maker: Maker) -> None:
    for n, (camera, phash) in enumerate([("a", 0), ("b", 0), ("a", 2**64 - 1), ("b", 2**40)], 1):
        maker.add((1, n / 100, 0), camera=camera, phash=phash, n=n)
    lake = maker.open()
    hits = lake.search(vector=RED, sort="n:down", max_per=MaxPer("camera", 1))
    assert [hit.row_id for hit in hits] == [4, 3]
    folded = lake.search(vector=RED, sort="n:down", collapse=True)
    assert [hit.row_id for hit in folded] == [
        hit.row_id for hit in sorted(folded, key=lambda hit: -hit.row_id)
    ]
    assert {1, 2, 3, 4} == {row for hit in folded for row in (hit.row_id, *(hit.collapsed or ()))}


def test_by_date_taken_or_else_changed(maker: Maker) -> None:
    """Rows 1 and 3 say when they were taken; row 2 has its file's time, 2020-09-13."""
    taken = [datetime(2024, 5, 1, 12, 30), None, datetime(2019, 1, 1)]
    for n, at in enumerate(taken):
        maker.add((1, n, 0))
        maker.commits._pending.rows[-1]["captured_at"] = at
    lake = maker.open()
    assert rows(lake, "date") == [3, 2, 1]
    assert rows(lake, "date:down") == [1, 2, 3]
    assert rows(lake, "captured_at:down") == [1, 3, 2]


def test_a_path_goes_on_inside_its_file(maker: Maker) -> None:
    for n, name in enumerate(["9.jpg", "10.jpg", "a.jpg"]):
        maker.add((1, n, 0), Address("/b.tar", member=name, offset=n, length=1))
    maker.add((1, 0, 1), "/a.png")
    assert rows(maker.open(), "path") == [4, 2, 1, 3]


@pytest.mark.parametrize(
    ("sort", "sentence"),
    [
        ("txt", "sort: there is no column txt; did you mean text?"),
        ("place", "sort: place is several values; name one: place.latitude or place.longitude"),
        ("tag", "sort: tag is a list; name a column of single values"),
        ("group_size:down", "sort: group_size is known of groups, and is no column; ask for it in"),
        ("IS_BEST", "sort: IS_BEST is known of groups, and is no column"),
        ("path_bytes", "sort: path_bytes holds bytes, which have no order; sort by match, date"),
    ],
)
def test_what_cannot_be_sorted_by_is_told(lake: Lake, sort: str, sentence: str) -> None:
    for ask in (lambda: lake.search(vector=RED, sort=sort), lambda: lake.browse(sort=sort)):
        with pytest.raises(BadRequest) as told:
            ask()
        assert str(told.value).startswith(sentence)


def test_what_only_the_best_first_can_be(lake: Lake) -> None:
    with pytest.raises(BadRequest, match="sort: rows without a query match nothing; say what"):
        lake.browse(sort="match:up")
    for options in ({"moments": ByMoment(5)}, {"diversity": 0.5}):
        [name] = options
        with pytest.raises(BadRequest, match=f"{name}: it goes from the best match down; leave"):
            lake.search(vector=RED, sort="path", **options)


def test_an_order_is_made_once_and_the_last_few_are_kept(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = sorting._made

    def noted(snapshot: Snapshot, sort: Sort) -> Positions:
        made.append(sort.said)
        return make(snapshot, sort)

    monkeypatch.setattr(sorting, "_made", noted)
    for seed in range(orders.KEPT):
        rows(lake, f"random:{seed}")
    rows(lake, "random:0")
    assert made == [f"random:{seed}" for seed in range(orders.KEPT)]
    rows(lake, "whole")
    rows(lake, "random:0")
    assert made[orders.KEPT :] == ["whole:up"]
    rows(lake, "random:1")
    assert made[orders.KEPT :] == ["whole:up", "random:1"]


def test_an_empty_lake(tmp_path: Path) -> None:
    lake = Maker(tmp_path / "empty.lake").open()
    for sort in ("date", "path:down", "random", "width_px", "format"):
        assert rows(lake, sort) == []
        assert lake.search(vector=RED, sort=sort) == []
    assert lake.search(vector=RED, sort="match:up") == []
