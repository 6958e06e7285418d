"""Exact searches by codes beside the same searches by vectors: one query alone, and eight at once.

The lakes are as `index` leaves them: very large segments, and eleven of 5,000 rows. Their vectors
are drawn to be like those of photos; queries are photos of the lake and texts. Both sides are the
same lake, opened before it got codes and after, and are timed in turn; bare FAISS is what both have
to beat.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import faiss
import numpy as np

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.measure import Measurement, in_turn
from indexer.arrays import Vectors
from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from indexer.run.coding import add_codes
from service.lake import Lake
from service.search.ranking import Ranking
from service.snapshot.part import blocks_of

DIM = 512
AT_ONCE = 8
SEGMENT_ROWS = 500_000
BUDGET = 0.65  # of bare FAISS's time


def measure_codes(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """400,000 and a million rows: smaller lakes do not read their codes."""
    drawn = PhotoLike(DIM)
    for rows in (60_000,) if quick else (400_000, 1_000_000):
        folder = workspace / f"{rows}.lake"
        write_synthetic_lake(
            folder, rows, DIM, segment_rows=SEGMENT_ROWS, vectors=drawn.photos, small_segments=11
        )
        layout = Layout(folder)
        with Lake.open(folder) as flat:
            start = time.perf_counter()
            add_codes(layout, read_manifest(layout)[0], segment_from_rows=1 if quick else 20_000)
            yield Measurement(f"{rows:,} rows: making codes", time.perf_counter() - start, "s")
            with Lake.open(folder) as coded:
                yield from _compared(flat, coded, drawn, rounds=3 if quick else 30)


def _compared(flat: Lake, coded: Lake, drawn: PhotoLike, rounds: int) -> Iterator[Measurement]:
    random = np.random.default_rng(1)
    places = random.integers(0, flat.rows, 64)
    photos = np.stack([_vector(flat, int(row_id) + 1) for row_id in places])
    for name, queries in (("photo", photos), ("text", drawn.texts(64, random))):
        _same(flat, coded, queries)
        for k in (10, 100):
            jobs = [
                turning(queries, partial(bare, flat, k)),
                turning(queries, partial(_search, flat, k)),
                turning(queries, partial(_search, coded, k)),
            ]
            bare_s, flat_s, coded_s = in_turn(jobs, rounds)
            yield Measurement(
                f"{flat.rows:,} rows, by {name}, top {k}: codes beside bare FAISS",
                coded_s / bare_s,
                "times",
                at_most=BUDGET,
                note=f"in process with rows and z {1e3 * coded_s:.1f} ms, without codes "
                f"{1e3 * flat_s:.1f}, bare FAISS in blocks on all cores {1e3 * bare_s:.1f}",
            )
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [partial(_at_once, pool, lake, queries) for lake in (flat, coded)]
            flat_s, coded_s = in_turn(jobs, max(rounds // 4, 1))
        yield Measurement(
            f"{flat.rows:,} rows, by {name}, {AT_ONCE} at once: codes beside vectors",
            flat_s / coded_s,
            "times as many",
            note=f"{len(queries) / coded_s:.0f} queries/s, without codes {len(queries) / flat_s:.0f}",
        )


def _vector(lake: Lake, row_id: int) -> Vectors:
    place = lake.snapshot.find(row_id)
    assert place is not None
    return np.asarray(place[0].vectors.take(np.array([place[1]]))[0], np.float32)


def _same(flat: Lake, coded: Lake, queries: Vectors) -> None:
    """Not one bit differs."""
    assert not any(part.codes for part in flat.snapshot.parts)
    assert any(part.codes for part in coded.snapshot.parts)
    for query in queries[:8]:
        one, other = (Ranking(lake.snapshot, query, None).top(100) for lake in (flat, coded))
        assert one.row_ids.tolist() == other.row_ids.tolist()
        assert one.scores.tobytes() == other.scores.tobytes()


def turning(queries: Vectors, search: Callable[[Vectors], object]) -> Callable[[], object]:
    """Another query each time, the same ones for every job."""
    turn = iter(range(10**9))
    return lambda: search(queries[next(turn) % len(queries)])


_POOL = ThreadPoolExecutor(os.cpu_count())


def bare(lake: Lake, k: int, query: Vectors) -> object:
    """FAISS alone on the lake's own vectors, in the same blocks, a thread a core."""
    parts = lake.snapshot.parts

    def search(block: tuple[int, int, int]) -> object:
        faiss.omp_set_num_threads(1)
        return parts[block[0]].vectors.between(*block[1:]).index.search(query[None], k)

    return list(_POOL.map(search, blocks_of(parts)))


def _search(lake: Lake, k: int, query: Vectors) -> object:
    return lake.search(vector=query, k=k)


def _at_once(pool: ThreadPoolExecutor, lake: Lake, queries: Vectors) -> None:
    found = pool.map(lambda query: lake.search(vector=query, k=10), queries)
    assert all(len(hits) == 10 for hits in found)
