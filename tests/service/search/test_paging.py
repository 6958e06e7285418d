"""One order of all rows: pages of it fit together,
whatever their sizes, and whatever FAISS does with ties.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from indexer.disk.tables import Place
from indexer.errors import BadRequest, WhereError
from service import Hit, Lake, Query
from service.search.ranking import PARALLEL_FROM_ROWS, Ranking
from service.search.search import READ_ROWS
from tests.service.lakes import Maker, unit

ROWS, MOTIFS = 240, 6
QUERY = unit(0.3, -0.5, 0.8)


def pages(lake: Lake, query: Query, sizes: Iterator[int]) -> list[Hit]:
    """Page after page, each asked with the vector of the first, until nothing follows."""
    page = lake.search_page(replace(query, k=next(sizes)))
    hits = list(page.hits)
    while page.next_offset is not None:
        rest = replace(
            query, texts=(), vectors=[(page.vector, 1.0)], offset=page.next_offset, k=next(sizes)
        )
        page = lake.search_page(rest)
        assert page.hits, "a page that was promised is not empty"
        hits += page.hits
    return hits


def row_ids(hits: list[Hit]) -> list[int]:
    return [hit.row_id for hit in hits]


def sizes(random: np.random.Generator, largest: int) -> Iterator[int]:
    while True:
        yield int(random.integers(1, largest + 1))


class CopiesOfAFew:
    """Many copies of a few motifs in several segments,
    row_ids interleaved, some rows dead; and their plain sort.
    """

    def __init__(self, folder: Path, random: np.random.Generator) -> None:
        motifs = random.normal(size=(MOTIFS, 3))
        maker = Maker(folder)
        rows: dict[int, int] = {}  # row_id -> motif
        for row_id in range(1, ROWS + 1):
            rows[row_id] = int(random.choice(MOTIFS, p=[0.5, 0.3, 0.1, 0.05, 0.03, 0.02]))
            maker.add(motifs[rows[row_id]], motif=rows[row_id])
            if random.random() < 0.03:
                maker.segment()
        maker.segment()
        self._move_and_bury(maker, random, rows, motifs)
        self.lake = maker.open()
        scores = motifs / np.linalg.norm(motifs, axis=1, keepdims=True) @ QUERY
        self.sorted = sorted(rows.items(), key=lambda row: (-scores[row[1]], row[0]))

    @staticmethod
    def _move_and_bury(
        maker: Maker, random: np.random.Generator, rows: dict[int, int], motifs: Any
    ) -> None:
        """A quarter of the rows go to a last segment under their row_ids; an eighth die."""
        with Lake.open(maker.layout.root, maker.model) as lake:
            for row_id in random.permutation(ROWS)[: 3 * ROWS // 8] + 1:
                place = lake.snapshot.find(int(row_id))
                assert place is not None
                old = Place(place[0].segment.entry.id, place[1])
                if random.random() < 1 / 3:
                    maker.commits.remove(old)
                    del rows[int(row_id)]
                else:
                    [row] = place[0].take(np.array([place[1]]))
                    maker.commits.carry(row, unit(*motifs[rows[int(row_id)]]), old)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("largest", [1, 7, 60])
def test_pages_of_any_size_are_one_slow_sort(tmp_path: Path, seed: int, largest: int) -> None:
    random = np.random.default_rng(seed)
    copies = CopiesOfAFew(tmp_path / "my.lake", random)
    query = Query(vectors=[(QUERY, 1.0)])
    assert len(copies.lake.snapshot.parts) > 2
    assert copies.lake.rows == len(copies.sorted) < ROWS
    everything = [row_id for row_id, _ in copies.sorted]
    some = [row_id for row_id, motif in copies.sorted if motif in (0, 2, 5)]
    assert row_ids(pages(copies.lake, query, sizes(random, largest))) == everything
    narrow = replace(query, where="motif IN (0, 2, 5)")
    assert row_ids(pages(copies.lake, narrow, sizes(random, largest))) == some


@pytest.mark.parametrize("where", [None, "motif > 0"])
def test_the_first_k_are_the_first_of_any_more(tmp_path: Path, where: str | None) -> None:
    lake = CopiesOfAFew(tmp_path / "my.lake", np.random.default_rng(9)).lake
    everything = row_ids(lake.search(vector=QUERY, where=where, k=None))
    for k in range(1, len(everything) + 2):
        assert row_ids(lake.search(vector=QUERY, where=where, k=k)) == everything[:k]


def test_scores_that_round_to_one_are_ties(maker: Maker) -> None:
    """Half precision makes some rows a little longer than 1:
    their scores are cut to 1, and row_id decides.
    """
    angles = 0.7 + np.random.default_rng(3).uniform(-1e-3, 1e-3, 60)
    for angle in angles:
        maker.add((np.cos(angle), np.sin(angle), 0))
    lake = maker.open()
    query = unit(np.cos(0.7), np.sin(0.7), 0)
    stored = np.array([np.cos(angles), np.sin(angles)]).astype(np.float16).astype(np.float64)
    raw = query[:2].astype(np.float64) @ stored
    beyond = np.flatnonzero(raw > 1 + 1e-6)
    assert len(beyond) > 5
    # FAISS alone would order them so
    assert np.argsort(-raw[beyond]).tolist() != list(range(len(beyond)))
    for k in range(1, len(beyond) + 1):
        hits = lake.search(vector=query, k=k)
        assert row_ids(hits) == (beyond[:k] + 1).tolist()
        assert {hit.score for hit in hits} == {1.0}


def test_a_lake_of_copies_alone_is_paged_by_row_id(maker: Maker) -> None:
    for number in range(2_000):
        maker.add((1, 0, 0))
        if number % 300 == 299:
            maker.segment()
    lake = maker.open()
    assert row_ids(lake.search("red", k=3, offset=1_500)) == [1501, 1502, 1503]
    page = lake.search_page(Query(texts=[("red", 1.0)], k=1_999))
    assert row_ids(page.hits) == list(range(1, 2_000))
    assert page.next_offset == 1_999


def test_the_last_page_says_that_nothing_follows(maker: Maker) -> None:
    for vector in ((1, 0, 0), (1, 1, 0), (0, 1, 0)):
        maker.add(vector)
    lake = maker.open()
    red = Query(texts=[("red", 1.0)])

    def seen(**changes: Any) -> tuple[list[int], int | None]:
        page = lake.search_page(replace(red, **changes))
        return row_ids(page.hits), page.next_offset

    assert seen(k=2) == ([1, 2], 2)
    assert seen(k=2, offset=2) == ([3], None)
    assert seen(k=3) == ([1, 2, 3], None)
    assert seen(k=1, offset=2) == ([3], None)
    assert seen(k=5, offset=3) == ([], None)
    assert seen(k=None, offset=1) == ([2, 3], None)
    assert seen(k=1, where="row_id > 1") == ([2], 1)
    assert seen(k=1, where="row_id > 2") == ([3], None)


def test_min_z_ends_the_pages(maker: Maker) -> None:
    """As in test_search: row i of 101 has score (i - 51)
    / 50, and z >= 1 from score 0.7413 on: rows 89 to 101.
    """
    for row in range(1, 102):
        score = (row - 51) / 50
        maker.add((score, (1 - score**2) ** 0.5, 0))
    lake = maker.open()
    query = Query(texts=[("red", 1.0)], min_z=1.0)
    assert row_ids(pages(lake, query, iter([5, 5, 3]))) == list(range(101, 88, -1))
    last = lake.search_page(replace(query, k=13))
    assert (len(last.hits), last.next_offset) == (13, None)
    assert lake.search_page(replace(query, k=12)).next_offset == 12


def test_the_vector_of_a_page_is_the_query_again_bit_for_bit(tmp_path: Path) -> None:
    write_synthetic_lake(tmp_path / "my.lake", 300, 512, segment_rows=100)
    random = np.random.default_rng(2)
    with Lake.open(tmp_path / "my.lake") as lake:
        for weight in (1.0, 0.3, 7.0):
            vectors = [(row, weight) for row in random_unit_rows(3, 512, random) * 3]
            first = lake.search_page(Query(vectors=vectors))
            again = lake.search_page(Query(vectors=[(first.vector, 1.0)]))
            assert first.vector.dtype == np.float32
            assert first.vector.shape == (512,)
            assert again.vector.tobytes() == first.vector.tobytes()
            assert again.hits == first.hits


def test_a_large_lake_searched_by_threads_is_in_the_same_order(tmp_path: Path) -> None:
    """Rows of threads and of one thread:
    the last segment repeats no row, so numpy's own sort tells.
    """
    write_synthetic_lake(
        tmp_path / "my.lake", PARALLEL_FROM_ROWS, 16, segment_rows=PARALLEL_FROM_ROWS // 4
    )
    query = random_unit_rows(1, 16, np.random.default_rng(1))[0]
    with Lake.open(tmp_path / "my.lake") as lake:
        assert Ranking(lake.snapshot, query, None).is_parallel
        codes = [part.vectors.take(np.arange(part.rows)) for part in lake.snapshot.parts]
        scores = np.concatenate(codes).astype(np.float64) @ query
        hits = lake.search(vector=query, k=500)
        assert row_ids(hits) == (np.argsort(-scores)[:500] + 1).tolist()
        assert np.allclose([hit.score for hit in hits], np.sort(scores)[::-1][:500], atol=1e-6)
        assert all(hit.z is not None for hit in hits)


# streams


def test_a_stream_is_the_search_in_the_same_order(tmp_path: Path) -> None:
    rows = 3 * READ_ROWS + 7
    write_synthetic_lake(tmp_path / "my.lake", rows, 8, segment_rows=800)
    query = Query(vectors=[(random_unit_rows(1, 8, np.random.default_rng(1))[0], 1.0)], k=None)
    with Lake.open(tmp_path / "my.lake") as lake:
        for asked in (
            query,
            replace(query, k=READ_ROWS + 1),
            replace(query, min_z=1.0),
            replace(query, offset=rows - 1),
        ):
            assert list(lake.stream(asked)) == lake.search_query(asked)
        assert len(list(lake.stream(query))) == rows


def test_a_stream_reads_rows_as_they_are_asked_for(tmp_path: Path) -> None:
    write_synthetic_lake(tmp_path / "my.lake", 20 * READ_ROWS, 8, segment_rows=20 * READ_ROWS)
    query = Query(vectors=[(np.ones(8, np.float32), 1.0)], k=None)
    with Lake.open(tmp_path / "my.lake") as lake:
        hits = lake.stream(query)
        tracemalloc.start()
        first = next(hits)
        for _ in range(5 * READ_ROWS):
            next(hits)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert first == lake.search_query(replace(query, k=1))[0]
        assert sum(1 for _ in hits) == 15 * READ_ROWS - 1
    assert (
        peak < 3_000 * 2 * READ_ROWS
    )  # bytes: a row read takes about 2 kB, and no more than two blocks live at once


def test_a_stream_refuses_before_its_first_hit(maker: Maker) -> None:
    maker.add((1, 0, 0))
    lake = maker.open()
    for mistake, error in (
        (Query(), BadRequest),
        (Query(texts=[("red", 1.0)], k=0), BadRequest),
        (Query(texts=[("red", 1.0)], min_z=1.0), BadRequest),
        (Query(texts=[("red", 1.0)], where="widht > 3"), WhereError),
    ):
        with pytest.raises(error):
            lake.stream(mistake)


def test_an_offset_below_zero_is_a_mistake(maker: Maker) -> None:
    maker.add((1, 0, 0))
    with pytest.raises(BadRequest) as caught:
        maker.open().search("red", offset=-1)
    assert str(caught.value) == "offset: -1 is not a number of hits; it must be at least 0"
