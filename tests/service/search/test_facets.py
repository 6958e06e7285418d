"""What columns hold, counted: by hand on a few rows, and against plain Python on many."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import BadRequest, WhereError
from service.lake import Lake
from service.search.facets import Bin, Facet, Value, _bins, _not_finite
from tests.lakes import BLUE, GREEN, LONG_AGO_S, RED, YELLOW, Desk, write

NAMES = ("a", "b", "c", "d", "e")
COLUMNS: dict[str, dict[str, Any]] = {
    "a": {"body": "R5", "iso": 100, "ok": True},
    "b": {"body": "R5", "iso": 400, "ok": False},
    "c": {"body": "D850", "iso": 100, "ok": True},
    "d": {"body": "X-T5", "iso": 123},
    "e": {"iso": None},
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = Desk(tmp_path_factory.mktemp("facets"))
    day = 86_400
    for at, colour in enumerate((RED, GREEN, BLUE, YELLOW, (9, 9, 9))):
        name = NAMES[at]
        desk.add(f"{name}.png", colour, LONG_AGO_S + day * min(at, 2))
        write(desk.photos / f"{name}.json", json.dumps(COLUMNS[name]).encode())
    desk.index()
    return desk.lake


def facet(lake: Path, name: str, where: str | None = None, **options: Any) -> Facet:
    with Lake.open(lake) as opened:
        [found] = opened.facets(where, [name], **options).facets
        return found


def test_values_with_most_rows_first(lake: Path) -> None:
    assert facet(lake, "body") == Facet(
        "body", "values", 4, 1, (Value("R5", 2), Value("D850", 1), Value("X-T5", 1))
    )
    assert facet(lake, "body", values=1) == Facet(
        "body", "values", 4, 1, (Value("R5", 2),), more_values=2
    )
    assert facet(lake, "ok").values == (Value(value=True, rows=2), Value(value=False, rows=1))


def test_a_list_counts_once_for_each_of_its_different_values(tmp_path: Path) -> None:
    """The first image has a cat and a dog, the second two cats, the third nothing."""
    desk = Desk(tmp_path)
    for name, colour in zip("abc", (RED, GREEN, BLUE), strict=True):
        desk.add(f"{name}.png", colour)
    boxes = [(1, 1), (1, 2), (2, 1), (2, 1)]
    coco = {
        "images": [{"id": at, "file_name": f"{'abc'[at - 1]}.png"} for at in (1, 2, 3)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": at, "image_id": image, "category_id": category, "bbox": [0, 0, 2, 2]}
            for at, (image, category) in enumerate(boxes, 1)
        ],
    }
    desk.index(write(desk.photos / "instances.json", json.dumps(coco).encode()))
    found = facet(desk.lake, "labels")
    assert found.kind == "lists"
    assert found.values == (Value("cat", 2), Value("dog", 1))


def test_a_range_is_cut_into_bins_at_round_numbers(lake: Path) -> None:
    """100, 100, 123 and 400: 300 / 22 is 13.6, so by 20."""
    found = facet(lake, "iso")
    assert (found.kind, found.rows, found.nulls) == ("range", 4, 1)
    assert found.bins[0] == Bin(100, 120, 2)
    assert found.bins[1] == Bin(120, 140, 1)
    assert found.bins[-1] == Bin(380, 400, 1)
    assert [len(found.bins), sum(each.rows for each in found.bins)] == [15, 4]
    assert facet(lake, "width_px").bins == (Bin(4, 4, 5),)


@pytest.mark.parametrize(
    ("values", "first", "last", "bins"),
    [
        ([0.013, 0.9], (0.0, 0.05), (0.85, 0.9), 18),
        # each whole number has a bin of its own
        ([-7, 2], (-7, -6), (2, 2), 10),
        ([0, 1], (0, 1), (1, 1), 2),
        ([1e308, -1e308], (-1e308, -9e307), (9e307, 1e308), 20),
        # the step is 10^307, and nothing is above the largest double
        ([0.0, 1.797e308], (0.0, 1e307), (1.7e308, 1.7976931348623157e308), 18),
        ([5e-324, 0.0], (0.0, 5e-324), (0.0, 5e-324), 1),
        # two neighbours, and nothing between them
        ([0.1, 0.1 + 2**-56], (0.1, 0.1 + 2**-56), (0.1, 0.1 + 2**-56), 1),
        # 64 bits: the step is 10^18
        ([-(2**63), 2**63 - 1], (-(2**63), -9 * 10**18), (9 * 10**18, 2**63 - 1), 20),
        # 19 digits, of which a double holds 15: the step is 10^4
        (
            [10**18 + 1, 10**18 + 10_003],
            (10**18, 10**18 + 10_000),
            (10**18 + 10_000, 10**18 + 20_000),
            2,
        ),
        ([1e-9, 3e-9], (1e-9, 1.1e-9), (2.9e-9, 3e-9), 20),
        ([-1e300, 1e300], (-1e300, -9e299), (9e299, 1e300), 20),
        ([0, 2**53 - 1], (0, 5 * 10**14), (9 * 10**15, 95 * 10**14), 19),
    ],
)
def test_bins_are_round_and_hold_all(
    values: list[float], first: tuple[float, float], last: tuple[float, float], bins: int
) -> None:
    column = pa.chunked_array([pa.array(values)])
    found = _bins(column, column.type)
    assert (found[0].low, found[0].high) == pytest.approx(first, rel=1e-12)
    assert (found[-1].low, found[-1].high) == pytest.approx(last, rel=1e-12)
    assert len(found) == bins
    assert sum(each.rows for each in found) == 2
    lows = [float(each.low) for each in found]
    assert lows == sorted(set(lows))
    assert all(float(each.low) < float(each.high) for each in found[:-1])


def test_times_are_a_range_in_words_a_where_takes(lake: Path) -> None:
    """On three days from 13 September 2020, 12:26:40 on: one, one and three."""
    found = facet(lake, "modified")
    assert found.bins[0].low == "2020-09-13T12:00:00+00:00"
    assert found.bins[-1].high == "2020-09-15T15:00:00+00:00"
    assert [each.rows for each in found.bins if each.rows] == [1, 1, 3]
    with Lake.open(lake) as opened:
        kept = opened.facets(f"modified >= TIMESTAMPTZ '{found.bins[-1].low}'")
    assert kept.rows == 3


def test_a_column_is_counted_without_its_own_conditions(lake: Path) -> None:
    where = "body = 'R5' AND iso < 200"
    with Lake.open(lake) as opened:
        found = opened.facets(where, ["body", "iso", "ok"])
    assert found.rows == 1
    body, iso, ok = found.facets
    # those with iso < 200, whatever their camera
    assert body.values == (Value("D850", 1), Value("R5", 1), Value("X-T5", 1))
    # those of the R5, whatever their iso
    assert sum(each.rows for each in iso.bins) == 2
    assert ok.values == (Value(value=True, rows=1),)
    # A condition on two columns at once is nobody's own.
    assert facet(lake, "body", "body = 'R5' OR iso = 123").values == (
        Value("R5", 2),
        Value("X-T5", 1),
    )


def test_without_names_what_is_worth_choosing_by(lake: Path) -> None:
    with Lake.open(lake) as opened:
        names = [each.name for each in opened.facets().facets]
        empty = opened.facets("width_px > 10")
    assert names[:3] == ["body", "iso", "ok"]
    assert "width_px" in names and "source" in names
    assert "path_bytes" not in names  # bytes
    assert "place.latitude" not in names  # no row has one
    assert (empty.rows, [each.name for each in empty.facets]) == (0, ["width_px"])


def test_of_many_equals_those_that_come_first(tmp_path: Path) -> None:
    """Thirty names of one image each, and one of two: it, then the first two of the thirty."""
    desk = Desk(tmp_path)
    for number in range(32):
        desk.add(f"{number:02d}.png", (number, 255 - number, 9))
        name = "twice" if number > 29 else f"name {(7 * number) % 30:02d}"
        write(desk.photos / f"{number:02d}.json", json.dumps({"who": name}).encode())
    desk.index()
    found = facet(desk.lake, "who", values=3)
    assert found.values == (Value("twice", 2), Value("name 00", 1), Value("name 01", 1))
    assert found.more_values == 28
    with Lake.open(desk.lake) as opened:  # nobody chooses from such a list
        assert "who" not in [each.name for each in opened.facets().facets]


def test_mistakes_are_told(lake: Path) -> None:
    with Lake.open(lake) as opened:
        with pytest.raises(
            BadRequest, match="columns: there is no column kamera to count; there are body, iso"
        ):
            opened.facets(columns=["kamera"])
        with pytest.raises(BadRequest, match="there is no column path_bytes to count"):
            opened.facets(columns=["path_bytes"])
        with pytest.raises(BadRequest, match="values: 0 is no number of values; it is 1 to 1,000"):
            opened.facets(values=0)
        with pytest.raises(WhereError, match="there is no column isoo; did you mean iso"):
            opened.facets("isoo > 3 AND body = 'R5'")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["R5", "D850", "X-T5"]), unique=True),
    st.integers(90, 410),
)
def test_as_counted_one_by_one(lake: Path, bodies: list[str], iso: int) -> None:
    among = ", ".join(f"'{each}'" for each in bodies)
    where = f"iso <= {iso}" + (f" AND body IN ({among})" if bodies else "")
    with Lake.open(lake) as opened:
        found = opened.facets(where, ["body"])
    rows = [COLUMNS[name] for name in NAMES]
    below = [row for row in rows if row["iso"] is not None and row["iso"] <= iso]
    counts = Counter(row["body"] for row in below if "body" in row)
    assert {each.value: each.rows for each in found.facets[0].values} == counts
    assert found.rows == sum(not bodies or row.get("body") in bodies for row in below)


def test_what_no_bin_holds_is_told_apart() -> None:
    """Infinities and what is no number; a `where` of all bins leaves them out."""
    numbers = pa.chunked_array(
        [[0.0, float("inf"), 1.0, float("nan"), float("-inf"), float("inf")]]
    )
    assert _not_finite(numbers, numbers.type) == (
        Value("-inf", 1),
        Value("inf", 2),
        Value("nan", 1),
    )
    assert [(each.low, each.high, each.rows) for each in _bins(numbers, numbers.type)][-1][1:] == (
        1.0,
        1,
    )
    assert sum(each.rows for each in _bins(numbers, numbers.type)) == 2
    found = Facet("x", "range", 6, 0, _not_finite(numbers, numbers.type), bins=(Bin(0.0, 1.0, 2),))
    assert found.to_json() == {
        "name": "x",
        "kind": "range",
        "rows": 6,
        "nulls": 0,
        "bins": [{"low": 0.0, "high": 1.0, "rows": 2}],
        "values": [
            {"value": "-inf", "rows": 1},
            {"value": "inf", "rows": 2},
            {"value": "nan", "rows": 1},
        ],
    }
    whole = pa.chunked_array([[1, 2]])
    assert _not_finite(whole, whole.type) == ()
