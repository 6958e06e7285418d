"""A search among what a filter decided, on vectors and decisions worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.disk.layout import Layout
from indexer.disk.tables import Place
from indexer.errors import BadRequest, LakeDamaged, UnknownFilter
from service import Lake
from service.relevance.decisions.store import FilterStore
from service.relevance.definition import Thresholds
from service.search import ranking
from service.search.decided import DecidedBy
from service.search.query import Query
from service.search.search import Hit
from service.search.understood import understand
from tests.service.lakes import Maker
from tests.service.relevance.definitions import definition

HALF = 2**-0.5
ROUNDING = 1e-3  # vectors are stored in half precision
BY_HAND = {1: "keep", 2: "drop", 3: "drop", 4: "ask", 5: "drop", 6: "keep"}


def decide(
    lake: Lake, version: int, decisions: Mapping[int, str] | None, name: str = "reds"
) -> None:
    """Add a version, applied with these decisions; None: not applied."""
    store = FilterStore(Layout(lake.folder))
    made = definition(name, version)
    if decisions is not None:
        names = ("rows", "kept", "asked", "dropped", "recall", "precision", "confidence")
        measured = {name: {"at_least": None} for name in names}
        made = replace(made, reason="applied", thresholds=Thresholds(0.5, 0.5), measured=measured)
    store.add(made)
    if decisions is not None:
        folder = store.folder(name) / "ledger"
        folder.mkdir(exist_ok=True)
        rows = dict(sorted(decisions.items()))
        table = pa.table({"row_id": pa.array(rows, pa.int64()), "decision": list(rows.values())})
        pq.write_table(table, folder / f"{version:06d}.parquet")


@pytest.fixture
def maker(maker: Maker) -> Maker:
    """Six rows in two segments: red, green, blue; red-green, red-blue, nearly red."""
    for vector in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        maker.add(vector, kind="pure")
    maker.segment()
    for vector in ((1, 1, 0), (1, 0, 1), (4, 3, 0)):
        maker.add(vector, kind="mixed")
    return maker


@pytest.fixture
def lake(maker: Maker) -> Lake:
    opened = maker.open()
    decide(opened, 1, None)
    decide(opened, 2, BY_HAND)
    return opened


def found(hits: list[Hit]) -> list[tuple[int, Any]]:
    return [(hit.row_id, pytest.approx(hit.score, abs=ROUNDING)) for hit in hits]


def test_only_what_was_decided_so_is_found_before_the_top_k(lake: Lake) -> None:
    assert found(lake.search("red", filter="reds", decision="drop")) == [(5, HALF), (2, 0), (3, 0)]
    assert found(lake.search("red", filter="reds", decision="drop", k=1)) == [(5, HALF)]
    assert found(lake.search("red", filter="reds", decision=["drop", "ask"], k=2)) == [
        (4, HALF),
        (5, HALF),
    ]
    # without a decision: keep
    assert found(lake.search("red", filter="reds")) == [(1, 1), (6, 0.8)]
    assert found(lake.search("red", filter="reds", decision=("keep", "ask", "drop"))) == found(
        lake.search("red")
    )


def test_where_holds_too(lake: Lake) -> None:
    assert found(lake.search("red", filter="reds", decision="drop", where="kind = 'pure'")) == [
        (2, 0),
        (3, 0),
    ]
    assert lake.search("red", filter="reds", decision="ask", where="kind = 'pure'") == []


def test_pages_and_streams_are_of_what_was_decided_so(lake: Lake) -> None:
    query = replace(Query.of("red"), decided=DecidedBy("reds", ("drop",)), k=2)
    page = lake.search_page(query)
    assert [hit.row_id for hit in page.hits] == [5, 2]
    assert page.next_offset == 2
    assert [hit.row_id for hit in lake.search_page(replace(query, offset=2)).hits] == [3]
    assert [hit.row_id for hit in lake.stream(replace(query, k=None))] == [5, 2, 3]


def test_the_version_applied_last_counts_unless_one_is_named(lake: Lake) -> None:
    decide(lake, 3, dict.fromkeys(range(1, 7), "keep"))
    decide(lake, 4, None)  # an audit was begun again
    assert len(lake.search("red", filter="reds")) == 6
    assert [hit.row_id for hit in lake.search("red", filter="reds@2")] == [1, 6]
    assert lake.rows_decided(lake.snapshot, DecidedBy("reds")).by == DecidedBy("reds", ("keep",), 3)


def test_rows_added_since_have_no_decision_and_rows_gone_since_are_gone(
    maker: Maker, lake: Lake
) -> None:
    asked = DecidedBy("reds", ("drop",))
    whole = lake.rows_decided(lake.snapshot, asked)
    assert (whole.undecided, whole.note("my.lake")) == (0, None)
    first = maker.commits.manifest.segments[0].id
    maker.add((9, 0, 1), kind="late")  # row 7
    maker.commits.remove(Place(first, 1))  # row 2
    maker.commits.commit()
    lake.reload()
    assert [hit.row_id for hit in lake.search("red", filter="reds", decision="drop")] == [5, 3]
    assert [hit.row_id for hit in lake.search("red", k=1, where="kind = 'late'")] == [7]
    now = lake.rows_decided(lake.snapshot, asked)
    assert now.undecided == 1
    assert (now.note("my.lake") or "").startswith(
        "1 image has no decision of reds@2 and cannot be found with it"
    )
    assert found(lake.search("red", filter="reds", decision="undecided")) == [(7, 9 / 82**0.5)]
    both = DecidedBy("reds", ("drop", "undecided"))
    assert [row.row_id for row in lake.browse(filter="reds", decision=both.decisions)] == [3, 5, 7]
    assert lake.rows_decided(lake.snapshot, both).note("my.lake") is None
    decide(lake, 3, {1: "drop", 3: "drop"})  # rows that its where left out have none either
    assert lake.rows_decided(lake.snapshot, DecidedBy("reds")).undecided == 4


def test_a_ledger_is_read_once_and_again_for_new_segments_alone(maker: Maker, lake: Lake) -> None:
    before = found(lake.search("red", filter="reds", decision="drop"))
    path = lake.folder / "filters" / "reds" / "ledger" / "000002.parquet"
    path.rename(path.with_suffix(".away"))
    assert found(lake.search("red", filter="reds", decision="drop")) == before
    assert [hit.row_id for hit in lake.search("red", filter="reds", decision="ask")] == [4]
    maker.add((1, 0, 0), kind="late")
    maker.commits.commit()
    lake.reload()
    with pytest.raises(LakeDamaged, match=r"000002\.parquet"):
        lake.search("red", filter="reds", decision="drop")
    path.with_suffix(".away").rename(path)
    assert found(lake.search("red", filter="reds", decision="drop")) == before


def test_more_filters_than_are_kept_are_read_again(lake: Lake) -> None:
    for number in range(6):
        decide(lake, 1, {number + 1: "keep"}, f"only{number}")
    for _ in range(2):
        for number in range(6):
            assert [hit.row_id for hit in lake.search("red", filter=f"only{number}")] == [
                number + 1
            ]


def test_a_filter_of_the_same_name_made_anew_is_another(lake: Lake) -> None:
    assert len(lake.search("red", filter="reds")) == 2
    FilterStore(Layout(lake.folder)).delete("reds")
    with pytest.raises(UnknownFilter):
        lake.search("red", filter="reds")
    decide(lake, 1, None)
    decide(lake, 2, {3: "keep"})
    assert [hit.row_id for hit in lake.search("red", filter="reds")] == [3]


@pytest.mark.parametrize("parallel_from", [0, 50_000])
def test_it_is_a_search_of_everything_less_what_was_decided_otherwise(
    maker: Maker, parallel_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "PARALLEL_FROM_ROWS", parallel_from)
    rng = np.random.default_rng(5)
    for number in range(300):
        maker.add(rng.integers(1, 5, 3), kind="ab"[number % 2])  # many ties
        if number % 110 == 0:
            maker.segment()
    lake = maker.open()
    names = rng.choice(["keep", "ask", "drop"], 250).tolist()
    decisions = dict(zip(rng.permutation(306)[:250] + 1, names, strict=True))
    decide(lake, 1, {int(row_id): name for row_id, name in decisions.items()}, "any")
    for wanted in (("drop",), ("keep", "ask")):
        for where in (None, "kind = 'a'"):
            whole = [
                (hit.row_id, hit.score)
                for hit in lake.search("red", k=None, where=where)
                if decisions.get(hit.row_id) in wanted
            ]
            for k in (1, 7, None):
                hits = lake.search("red", k=k, where=where, filter="any", decision=wanted)
                assert [(hit.row_id, hit.score) for hit in hits] == whole[:k]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"filter": "blues"}, "has no filter 'blues'"),
        ({"filter": "red"}, "did you mean 'reds'"),
        ({"filter": "reds@1"}, "version: reds version 1 was not applied"),
        ({"filter": "reds@7"}, "version: 'reds' has no version 7; its latest is 2"),
        ({"filter": "reds@"}, "filter: 'reds@' is no filter's name, with or without a version"),
        ({"filter": "@2"}, "is no filter's name"),
        ({"filter": "a/b"}, "is no name for a filter"),
        ({"filter": "draft"}, "filter: draft was not applied yet, so nothing is decided"),
        (
            {"filter": "reds", "decision": "maybe"},
            "decision: 'maybe' is none of keep, ask, drop and undecided",
        ),
        ({"decision": "drop"}, "decision: it is a filter's; name the filter, too"),
    ],
)
def test_mistakes_are_one_sentence(lake: Lake, asked: dict[str, str], sentence: str) -> None:
    decide(lake, 1, None, "draft")
    with pytest.raises((BadRequest, UnknownFilter)) as raised:
        lake.search("red", filter=asked.get("filter"), decision=asked.get("decision"))
    assert sentence in str(raised.value)


def test_a_snapshot_alone_knows_no_filters(lake: Lake) -> None:
    query = replace(Query.of("red"), decided=DecidedBy("reds"))
    with pytest.raises(BadRequest, match="search that one, not its snapshot"):
        understand(lake.snapshot, query, lambda: lake.embedder)
