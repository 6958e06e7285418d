"""At most so many hits for each value of a column: by hand, and against one slow, obvious loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import BadRequest
from service import Hit, Lake, Query
from service.search.query import MaxPer
from tests.service.lakes import Maker, unit
from tests.service.search.test_paging import CopiesOfAFew

RED = Query(texts=[("red", 1.0)])
PHOTO = 0xFFFF_FFFF_0000_0000  # 32 bits set, as in every photo's hash
OTHER = 0x0000_FFFF_FFFF_0000  # 32 bits away from it
THIRD = 0x00FF_00FF_00FF_00FF


def ids(hits: list[Hit]) -> list[int]:
    return [hit.row_id for hit in hits]


def fall(maker: Maker, *rows: dict[str, Any]) -> Lake:
    """Rows 1, 2, ... whose scores for "red" fall from 1."""
    for number, columns in enumerate(rows):
        maker.add((1, number / 10, 0), **columns)
    return maker.open()


def cameras(*names: str | None) -> list[dict[str, Any]]:
    return [{"camera": name} for name in names]


def test_the_best_of_each_value_are_kept_and_k_is_filled(maker: Maker) -> None:
    lake = fall(maker, *cameras("A", "A", "A", "B", "A", "B", "C", "B"))
    assert ids(lake.search("red", max_per=("camera", 1))) == [1, 4, 7]
    assert ids(lake.search("red", max_per=("camera", 2))) == [1, 2, 4, 6, 7]
    assert ids(lake.search("red", max_per=("camera", 2), k=4)) == [1, 2, 4, 6]
    assert ids(lake.search("red", max_per=MaxPer("camera", 9), k=None)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_rows_without_a_value_count_as_one_value(maker: Maker) -> None:
    lake = fall(maker, *cameras(None, "A", None, None, "A", ""))
    assert ids(lake.search("red", max_per=("camera", 1))) == [1, 2, 6]
    assert ids(lake.search("red", max_per=("camera", 2))) == [1, 2, 3, 5, 6]


def test_a_column_that_some_segments_have_not(maker: Maker) -> None:
    maker.add((1, 0, 0), ward="north")
    maker.segment()
    maker.add((1, 0.1, 0))
    maker.add((1, 0.2, 0))
    maker.segment()
    maker.add((1, 0.3, 0), ward="north")
    maker.add((1, 0.4, 0), ward="south")
    assert ids(maker.open().search("red", max_per=("ward", 1))) == [1, 2, 5]


def test_a_field_of_a_struct_and_other_kinds_of_values(maker: Maker) -> None:
    lake = fall(
        maker,
        {"place": (1.0, 0.0), "size": 0.0, "good": True},
        {"place": (1.0, -0.0), "size": -0.0, "good": False},
        {"place": None, "size": float("nan"), "good": True},
        {"place": (2.0, 5.0), "size": float("nan"), "good": None},
    )
    assert ids(lake.search("red", max_per=("place.latitude", 1))) == [1, 3, 4]
    assert ids(lake.search("red", max_per=("place.longitude", 1))) == [1, 3, 4]
    assert ids(lake.search("red", max_per=("size", 1))) == [1, 3]
    assert ids(lake.search("red", max_per=("good", 1))) == [1, 2, 4]
    assert ids(lake.search("red", max_per=("ROW_ID", 1))) == [1, 2, 3, 4]


def test_where_and_min_z_come_first(maker: Maker) -> None:
    lake = fall(maker, *cameras("A", "A", "B", "B"))
    assert ids(lake.search("red", max_per=("camera", 1), where="row_id > 1")) == [2, 3]
    for number in range(
        300
    ):  # scores from 0 to 0.2: z of at most 1.4, where the first four have 12
        maker.add((number / 1_500, 0, 1), camera=f"C{number}")
    lake = maker.open()
    assert ids(lake.search("red", max_per=("camera", 1), min_z=3.0)) == [1, 3]
    assert len(lake.search("red", max_per=("camera", 1), k=None)) == 302


def test_pages_fit_together(maker: Maker) -> None:
    lake = fall(maker, *cameras("A", "A", "B", "A", None, "C", "B", "A", None))
    query = replace(RED, max_per=MaxPer("camera", 1), k=2)
    first = lake.search_page(query)
    assert (ids(first.hits), first.next_offset) == ([1, 3], 2)
    second = lake.search_page(replace(query, offset=2))
    assert (ids(second.hits), second.next_offset) == ([5, 6], None)
    assert ids(lake.search_page(replace(query, offset=4)).hits) == []
    assert ids(list(lake.stream(replace(query, k=None)))) == [1, 3, 5, 6]


def test_with_collapse_what_folds_does_not_count(maker: Maker) -> None:
    """Row 2 folds into row 1. Row 3 is one too many of camera A, and row 5, which is near to it
    alone, is a hit.
    """
    lake = fall(
        maker,
        {"camera": "A", "phash": PHOTO},
        {"camera": "A", "phash": PHOTO ^ 1},
        {"camera": "A", "phash": OTHER},
        {"camera": "B", "phash": PHOTO},
        {"camera": "B", "phash": OTHER ^ 1},
        {"camera": "B", "phash": THIRD},
        {"camera": "C", "phash": THIRD},
    )
    query = replace(RED, max_per=MaxPer("camera", 1), collapse=True)
    hits = lake.search_query(query)
    assert [(hit.row_id, hit.collapsed) for hit in hits] == [(1, (2, 4)), (5, ()), (7, ())]
    first = lake.search_page(replace(query, k=1))
    assert (ids(first.hits), first.next_offset) == ([1], 1)
    second = lake.search_page(replace(query, k=2, offset=1))
    assert (ids(second.hits), second.next_offset) == ([5, 7], None)


@pytest.mark.parametrize(
    ("max_per", "sentence"),
    [
        (("camra", 2), "max_per: there is no column camra; did you mean camera?"),
        (("place", 2), "max_per: place is several values; name one: place.latitude or place.longi"),
        (
            ("place.x", 2),
            "max_per: there is no column place.x; the columns are latitude, longitude",
        ),
        (("camera", 0), "max_per: 0 is not a number of hits; it must be at least 1"),
    ],
)
def test_mistakes_are_told(maker: Maker, max_per: tuple[str, int], sentence: str) -> None:
    def model() -> Any:
        raise AssertionError("the model was loaded before the mistake was found")

    lake = fall(maker, *cameras("A"))
    with pytest.raises(BadRequest) as told:
        lake.search("red", max_per=max_per)
    assert str(told.value).startswith(sentence)


def test_an_empty_lake(maker: Maker) -> None:
    assert maker.open().search("red", max_per=("camera", 1)) == []
    assert maker.open().search("red", max_per=("camera", 1), collapse=True) == []


# -- one slow, obvious loop


def slow(hits: list[Hit], column: str, n: int) -> list[int]:
    """Of all hits, best first: those whose value was not there n times before."""
    seen: Counter[Any] = Counter()
    kept = []
    for hit in hits:
        value = hit.columns[column]
        seen[value] += 1
        if seen[value] <= n:
            kept.append(hit.row_id)
    return kept


def slow_collapsed(hits: list[Hit], n: int) -> dict[int, list[int]]:
    """The same of cameras, where images whose hashes differ in at most 8 bits fold."""
    kept: list[Hit] = []
    folded: dict[int, list[int]] = {}
    seen: Counter[Any] = Counter()
    for hit in hits:
        near = [
            one for one in kept if (one.columns["phash"] ^ hit.columns["phash"]).bit_count() <= 8
        ]
        if near:
            folded[near[0].row_id].append(hit.row_id)
        elif seen[hit.columns["camera"]] < n:
            seen[hit.columns["camera"]] += 1
            kept.append(hit)
            folded[hit.row_id] = []
    return folded


def paged(lake: Lake, query: Query, size: Callable[[], int]) -> list[int]:
    found, offset = [], 0
    while True:
        page = lake.search_page(replace(query, offset=offset, k=size()))
        found += ids(page.hits)
        if page.next_offset is None:
            return found
        assert page.hits
        offset = page.next_offset


@pytest.mark.parametrize("seed", range(4))
def test_any_lake_is_as_the_slow_loop_says(tmp_path: Path, seed: int) -> None:
    """Ties, tombstones, moved rows, several segments; pages of any size."""
    random = np.random.default_rng(seed)
    lake = CopiesOfAFew(tmp_path / "my.lake", random).lake
    query = Query(vectors=[(unit(0.3, -0.5, 0.8), 1.0)], k=None)
    for where in (None, "motif IN (1, 2, 5)"):
        everything = lake.search_query(replace(query, where=where))
        for n in (1, 2, 7, 50, 1_000):
            asked = replace(query, where=where, max_per=MaxPer("motif", n))
            expected = slow(everything, "motif", n)
            assert ids(lake.search_query(asked)) == expected
            assert paged(lake, asked, lambda: int(random.integers(1, 9))) == expected
            for k in (1, 3, 10):
                assert ids(lake.search_query(replace(asked, k=k))) == expected[:k]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Rows of which a few cameras have most, some have one, and copies of any camera."""
    random = np.random.default_rng(11)
    maker = Maker(tmp_path_factory.mktemp("many") / "my.lake")
    motifs = [int(n) for n in random.integers(0, 2**63, 150)]
    names = [None, "A", "B", "C", *(f"rare {number}" for number in range(20))]
    shares = np.array([40, 30, 20, 8, *[0.1] * 20]) / 100
    for number in range(1_500):
        flips = random.choice(64, int(random.integers(0, 7)), replace=False)
        phash = motifs[int(random.integers(150))] ^ sum(1 << int(bit) for bit in flips)
        camera = names[int(random.choice(len(names), p=shares))]
        maker.add((1, number / 1000, 0), phash=phash, camera=camera)
        if number % 400 == 399:
            maker.segment()
    return maker.open()


@settings(max_examples=40, deadline=None)
@given(
    n=st.sampled_from([1, 2, 3, 10, 200]),
    k=st.sampled_from([1, 5, 24, 60, 400]),
    offset=st.sampled_from([0, 1, 7, 30]),
    collapse=st.booleans(),
)
def test_a_page_of_many_is_a_piece_of_the_slow_loop(
    many: Lake, n: int, k: int, offset: int, collapse: bool
) -> None:
    everything = many.search("red", k=None)
    if collapse:
        folded = slow_collapsed(everything, n)
        expected = list(folded)
    else:
        expected = slow(everything, "camera", n)
    asked = replace(RED, max_per=MaxPer("camera", n), collapse=collapse)
    page = many.search_page(replace(asked, k=k, offset=offset))
    assert ids(page.hits) == expected[offset : offset + k]
    assert page.next_offset == (offset + k if len(expected) > offset + k else None)
    if collapse:
        whole = many.search_query(replace(asked, k=None))
        assert {hit.row_id: list(hit.collapsed or ()) for hit in whole} == folded
