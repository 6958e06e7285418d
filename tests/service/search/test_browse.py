from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.disk.tables import Place
from indexer.errors import BadRequest, WhereError
from service import Lake, Query
from service.search import browse as browsing
from service.search.browse import browse, passing, row
from service.search.hits import Row, row_json
from service.search.query import MaxPer
from tests.service.lakes import Maker, unit


@pytest.fixture
def moved(maker: Maker) -> Lake:
    """Ten rows, n is row_id: 1 to 6, then 7 to 10; 2 and 8 moved to a third segment, 5 is dead."""
    for n in range(1, 7):
        maker.add((1, n, 0), n=n)
    first = maker.segment()
    for n in range(7, 11):
        maker.add((1, n, 0), n=n)
    second = maker.segment()
    with Lake.open(maker.layout.root, maker.model) as lake:
        for row_id, segment in ((2, first), (8, second)):
            place = lake.snapshot.find(row_id)
            assert place is not None
            [columns] = place[0].take(np.array([place[1]]))
            maker.commits.carry(columns, unit(1, row_id, 0), Place(segment, place[1]))
    maker.commits.remove(Place(first, 4))
    return maker.open()


def ids(rows: list[Row]) -> list[int]:
    return [row.row_id for row in rows]


def test_rows_come_by_row_id_across_segments(moved: Lake) -> None:
    page = browse(moved.snapshot)
    assert (ids(page.rows), page.next_after) == ([1, 2, 3, 4, 6, 7, 8, 9, 10], None)
    assert [row.columns["n"] for row in page.rows] == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert page.rows[1].uri == "/photos/2.png"


def test_pages_of_rows_fit_together(moved: Lake) -> None:
    for where, expected in (
        (None, [1, 2, 3, 4, 6, 7, 8, 9, 10]),
        ("n IN (2, 4, 5, 8, 10)", [2, 4, 8, 10]),
        ("n > 7", [8, 9, 10]),
        ("n > 99", []),
    ):
        for k in range(1, 11):
            seen: list[int] = []
            after: int | None = 0
            while after is not None:
                page = browse(moved.snapshot, where, after=after, k=k)
                seen += ids(page.rows)
                assert len(page.rows) <= k
                assert page.rows or not expected
                after = page.next_after
            assert seen == expected


def test_a_position_may_be_of_no_live_row(moved: Lake) -> None:
    assert ids(browse(moved.snapshot, after=4, k=2).rows) == [6, 7]
    assert ids(browse(moved.snapshot, after=5, k=2).rows) == [6, 7]
    assert browse(moved.snapshot, after=10).rows == []
    assert browse(moved.snapshot, after=2**80).rows == []


def test_an_empty_lake_has_no_rows(maker: Maker) -> None:
    page = browse(maker.open().snapshot, "width_px > 3")
    assert (page.rows, page.next_after) == ([], None)


def test_one_row(moved: Lake) -> None:
    found = row(moved.snapshot, 8)
    assert found is not None
    assert (found.row_id, found.uri, found.columns["n"]) == (8, "/photos/8.png", 8)
    assert row(moved.snapshot, 5) is None
    assert row(moved.snapshot, 11) is None


def test_mistakes_are_one_sentence(moved: Lake) -> None:
    for k, after, sentence in (
        (0, 0, "k: 0 is not a number of rows; it must be at least 1"),
        (1, -1, "after: -1 is not a row_id; it must be at least 0"),
    ):
        with pytest.raises(BadRequest) as caught:
            browse(moved.snapshot, k=k, after=after)
        assert str(caught.value) == sentence
    with pytest.raises(WhereError):
        browse(moved.snapshot, "nn > 3")


def test_a_row_as_json_is_a_hit_without_score_and_z(moved: Lake, tmp_path: Path) -> None:
    [hit] = moved.search("red", k=1)
    found = row(moved.snapshot, hit.row_id)
    assert found is not None
    assert found.to_json() == {
        name: value for name, value in hit.to_json().items() if name not in ("score", "z")
    }
    assert list(found.to_json()) == ["row_id", "uri", "width_px", "height_px", "columns"]
    assert "phash" not in found.to_json()["columns"]


def test_bytes_are_hexadecimal_and_numbers_that_json_lacks_are_texts() -> None:
    columns = {
        "row_id": 1,
        "uri": "/a",
        "width_px": 2,
        "height_px": 3,
        "digest": b"\x00\xff",
        "share": float("nan"),
    }
    assert row_json(columns)["columns"] == {"digest": "00ff", "share": "nan"}


@pytest.mark.parametrize("read_rows", [1, 2, 1_000])
def test_all_rows_that_pass(moved: Lake, monkeypatch: pytest.MonkeyPatch, read_rows: int) -> None:
    monkeypatch.setattr(browsing, "READ_ROWS", read_rows)
    for where, expected in (
        (None, [1, 2, 3, 4, 6, 7, 8, 9, 10]),
        ("n IN (2, 4, 5, 8, 10)", [2, 4, 8, 10]),
        ("n > 99", []),
    ):
        found = passing(moved.snapshot, where)
        assert (len(found), ids(list(found))) == (len(expected), expected)
        assert ids(list(found.first(3))) == expected[:3]
        assert [row.columns["n"] for row in found] == expected
    with pytest.raises(WhereError):
        passing(moved.snapshot, "m > 1")


def test_rows_that_pass_among_some(moved: Lake) -> None:
    """A mask a part, as what a filter decided: dead rows and those moved away do not come back."""
    parts = moved.snapshot.parts
    masks = [part.row_ids % 2 == 0 for part in parts]
    assert ids(list(passing(moved.snapshot, None, masks))) == [2, 4, 6, 8, 10]
    assert ids(list(passing(moved.snapshot, "n < 7", masks))) == [2, 4, 6]
    masks = [np.ones(part.rows, bool) for part in parts]
    assert ids(list(passing(moved.snapshot, None, masks))) == [1, 2, 3, 4, 6, 7, 8, 9, 10]


def test_browsing_a_lake_in_python(moved: Lake) -> None:
    assert ids(list(moved.browse("n > 7"))) == [8, 9, 10]
    assert len(moved.browse()) == 9
    with pytest.raises(BadRequest, match="decision: it is a filter's; name the filter, too"):
        moved.browse(decision="keep")
    for option in ({"min_z": 2.0}, {"collapse": True}, {"max_per": MaxPer("n", 1)}):
        [name] = option
        with pytest.raises(BadRequest, match=f"{name}: rows without a query have no order"):
            moved.passing(Query().with_options(option))


def test_browsing_an_empty_lake(maker: Maker) -> None:
    assert list(maker.open().browse()) == []
