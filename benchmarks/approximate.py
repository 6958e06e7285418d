"""Searches of a few groups beside exact ones: their time, and what they find that they promise.

The vectors are drawn to be like those of photos, and queries are photos of the lake and texts that
the groups were not measured with. Their neighbours are farther apart than those of real photos, so
a real lake needs fewer groups for the same recall.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.codes import SEGMENT_ROWS, bare, turning
from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.measure import Measurement, in_turn
from indexer.arrays import Vectors
from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from indexer.embed import Embedder
from indexer.errors import ModelUnavailable
from indexer.run.coding import add_codes
from indexer.run.grouping.making import add_groups
from indexer.run.grouping.probes import Probes
from service.lake import Lake
from service.search.query import Query

DIM = 512
QUERIES = 400
K = 10
RECALLS = (0.9, 0.95, 0.99)


def measure_approximate(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """200,000 and a million rows, as `index` leaves them; the larger lake is read by its codes."""
    drawn = PhotoLike(DIM)
    for rows in (60_000,) if quick else (200_000, 1_000_000):
        folder = workspace / f"{rows}.lake"
        write_synthetic_lake(
            folder, rows, DIM, segment_rows=SEGMENT_ROWS, vectors=drawn.photos, small_segments=11
        )
        layout = Layout(folder)
        add_codes(layout, read_manifest(layout)[0])
        texts = Probes(drawn.texts(1_000, np.random.default_rng(4)), "drawn")
        start = time.perf_counter()
        made = add_groups(layout, read_manifest(layout)[0], no_model, texts=texts)
        assert made.groups is not None
        yield Measurement(f"{rows:,} rows: making groups", time.perf_counter() - start, "s")
        size = sum(check.length for check in made.groups.files.values())
        yield Measurement(f"{rows:,} rows: groups on disk", size / rows, "bytes a row")
        start = time.perf_counter()
        with Lake.open(folder) as lake:
            yield Measurement(f"{rows:,} rows: opening", time.perf_counter() - start, "s")
            yield from _compared(lake, drawn, rounds=3 if quick else 30)


def no_model() -> Embedder:
    raise ModelUnavailable("drawn", "there is none")


def _compared(lake: Lake, drawn: PhotoLike, rounds: int) -> Iterator[Measurement]:
    random = np.random.default_rng(5)
    photos, texts = drawn.photos(QUERIES, random), drawn.texts(QUERIES, random)
    lake.snapshot.warm()
    for name, queries in (("photo", photos), ("text", texts)):
        exact = [found_of(lake, query, None) for query in queries]
        # One after the other in each round, the same queries for all.
        jobs: list[Callable[[], object]] = [
            turning(queries, partial(bare, lake, K)),
            turning(queries, partial(found_of, lake, recall=None)),
            *(turning(queries, partial(found_of, lake, recall=recall)) for recall in RECALLS),
        ]
        bare_s, exact_s, *seconds = in_turn(jobs, rounds)
        for recall, took_s in zip(RECALLS, seconds, strict=True):
            near = [found_of(lake, query, recall) for query in queries]
            shares = [len(one & other) / K for one, other in zip(near, exact, strict=True)]
            how = lake.understand(_query(queries[0], recall)).searched
            assert how is not None
            depth = how.why or f"{how.depth:,} of {how.groups:,} groups"
            yield Measurement(
                f"{lake.rows:,} rows, by {name}, recall {recall:g} asked: found of the 10 nearest",
                float(np.mean(shares)),
                "of them",
                at_least=recall,
                note=f"{depth}; {1e3 * took_s:.1f} ms in process with rows and z, exact "
                f"{1e3 * exact_s:.1f}, bare FAISS in blocks on all cores {1e3 * bare_s:.1f}",
            )


def _query(vector: Vectors, recall: float | None) -> Query:
    return Query(vectors=[(vector, 1.0)], k=K, recall=recall)


def found_of(lake: Lake, vector: Vectors, recall: float | None) -> set[int]:
    return {hit.row_id for hit in lake.search_query(_query(vector, recall))}
