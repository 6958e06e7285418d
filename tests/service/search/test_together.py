"""Several queries at once get, bit for bit, what each gets alone; and read the rows once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from indexer.disk.stored_vectors import half_precision_pays
from indexer.errors import BadRequest, LakeError, WhereError
from service import Lake, Query
from service.search.query import MaxPer
from service.search.ranking import PARALLEL_FROM_ROWS
from service.search.search import search_together
from service.snapshot.part import Block
from service.snapshot.scan.rows import Packed, Rows
from tests.service.lakes import Maker, unit

DIM = 16
pays = pytest.mark.skipif(not half_precision_pays(), reason="numkong has nothing fast for this CPU")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Just so many rows that a search is shared out to threads."""
    folder = tmp_path_factory.mktemp("together") / "my.lake"
    write_synthetic_lake(folder, PARALLEL_FROM_ROWS, DIM, segment_rows=PARALLEL_FROM_ROWS // 3)
    with Lake.open(folder) as lake:
        yield lake


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[Block]:
    """How often each block of rows was read, and by a search alone as (-1, 0, 0)."""
    counted: Counter[Block] = Counter()
    read, alone = Rows.read, (-1, 0, 0)

    def counting(self: Rows, block: Block, packed: Packed) -> None:
        counted[block] += 1
        read(self, block, packed)

    monkeypatch.setattr(Rows, "read", counting)
    from service.search.ranking import Ranking

    searched_alone = Ranking._alone

    def counting_alone(self: Ranking, count: int | None) -> object:
        counted[alone] += 1
        return searched_alone(self, count)

    monkeypatch.setattr(Ranking, "_alone", counting_alone)
    return counted


def some_queries(count: int, seed: int = 0) -> list[Query]:
    vectors = random_unit_rows(count, DIM, np.random.default_rng(seed))
    return [Query(vectors=[(vector, 1.0)], k=5) for vector in vectors]


def varied() -> list[Query]:
    """Each option that looks at more rows, or at others."""
    plain, where, deep, folded, few, mixed, strict, told = some_queries(8, 1)
    return [
        plain,
        replace(where, where="camera LIKE 'Canon%' AND width_px > 640"),
        replace(deep, offset=40, k=20),
        replace(folded, collapse=True),
        replace(few, max_per=MaxPer("camera", 2)),
        replace(mixed, diversity=0.3),
        replace(strict, min_z=2.0),
        replace(told, explain=True),
    ]


@pays
@pytest.mark.parametrize("count", [2, 8, 64])
def test_a_pass_is_shared(large: Lake, reads: Counter[Block], count: int) -> None:
    large.search_many(some_queries(count))
    assert set(reads.values()) == {1}, "each block is read once, for all of them"
    assert sum(end - start for _, start, end in reads) == PARALLEL_FROM_ROWS
    assert (-1, 0, 0) not in reads


@pays
def test_whatever_they_ask_for_they_share_it(large: Lake, reads: Counter[Block]) -> None:
    large.search_many(varied())
    assert set(reads.values()) == {1}
    assert (-1, 0, 0) not in reads


@pays
def test_more_than_ride_at_once_ride_after_each_other(large: Lake, reads: Counter[Block]) -> None:
    queries = some_queries(70)
    found = large.search_many(queries)
    assert max(reads.values()) <= 2
    assert (-1, 0, 0) not in reads
    assert found == [large.search_query(query) for query in queries]


def test_each_gets_what_it_gets_alone(large: Lake) -> None:
    queries = varied()
    found = large.search_many(queries)
    assert found == [large.search_query(query) for query in queries]
    assert [len(hits) for hits in found] == [5, 5, 20, 5, 5, 5, 5, 5]


def test_in_a_small_lake_too(maker: Maker) -> None:
    for number in range(40):
        maker.add((1, number / 10, 0))
    lake = maker.open()
    queries = [
        Query(texts=[("red", 1.0)], k=3),
        Query(texts=[("green", 1.0)], k=None),
        Query(row_ids=[(7, 1.0)], diversity=0.4, explain=True),
    ]
    assert lake.search_many(queries) == [lake.search_query(query) for query in queries]
    assert lake.search_many([]) == []


def test_a_mistake_is_told_as_of_a_search(maker: Maker) -> None:
    maker.add((1, 0, 0))
    lake = maker.open()
    with pytest.raises(WhereError, match="nope"):
        lake.search_many(
            [
                Query(vectors=[(unit(1, 0, 0), 1.0)]),
                Query.of("red").with_options({"where": "nope = 1"}),
            ]
        )


def test_what_fails_late_fails_alone(maker: Maker) -> None:
    """z scores need a hundred rows, which shows only when the answer is made."""
    for _ in range(3):
        maker.add((1, 0, 0))
    lake = maker.open()
    asked = [
        lake.understand(Query(texts=[("red", 1.0)], min_z=min_z)) for min_z in (None, 3.0, None)
    ]
    first, second, third = search_together(asked)
    assert isinstance(second, BadRequest) and "z scores need 100" in str(second)
    assert not isinstance(first, LakeError) and not isinstance(third, LakeError)
    assert [hit.row_id for hit in first.hits] == [1, 2, 3] == [hit.row_id for hit in third.hits]


@pays
def test_two_requests_at_once_and_one_alone(large: Lake) -> None:
    from concurrent.futures import ThreadPoolExecutor

    lists = [some_queries(9, seed) for seed in range(4)]
    with ThreadPoolExecutor(6) as pool:
        many = [pool.submit(large.search_many, queries) for queries in lists]
        alone = [pool.submit(large.search_query, queries[0]) for queries in lists]
        for queries, together, first in zip(lists, many, alone, strict=True):
            hits = together.result(60)
            assert hits[0] == first.result(60)
            assert hits == [large.search_query(query) for query in queries]


def test_one_alone_is_no_pass_of_several(
    large: Lake, reads: Counter[Block], tmp_path: Path
) -> None:
    [query] = some_queries(1)
    assert large.search_many([query]) == [large.search_query(query)]
