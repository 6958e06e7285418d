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
from benchmarks.service import Client, search_body, served
from indexer.arrays import Vectors
from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from indexer.embed import Embedder
from indexer.embed.models import load_embedder
from indexer.errors import ModelUnavailable
from indexer.run.coding import add_codes
from indexer.run.grouping.making import add_groups
from indexer.run.grouping.probes import PROBES_OF_LARGE, Probes
from service.lake import Lake
from service.search.query import Query

DIM = 512
QUERIES = 250
K = 10
RECALLS = (0.9, 0.95, 0.99)
BUDGET_MS = 10.0  # over HTTP, for a recall of 0.99, of a million rows


def measure_approximate(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """A million rows, as `index` leaves them; the exact searches read its codes."""
    drawn, rows = PhotoLike(DIM), 60_000 if quick else 1_000_000
    folder, rounds = workspace / f"{rows}.lake", 3 if quick else 20
    yield from making(folder, rows, drawn)
    start = time.perf_counter()
    with Lake.open(folder) as lake:
        yield Measurement(f"{rows:,} rows: opening", time.perf_counter() - start, "s")
        yield from _compared(lake, drawn, rounds)
    yield from over_http(folder, rows, drawn, rounds, None if quick else BUDGET_MS)


def making(folder: Path, rows: int, drawn: PhotoLike) -> Iterator[Measurement]:
    """Write a lake with codes and groups; its memory is that of one segment."""
    start = time.perf_counter()
    write_synthetic_lake(
        folder,
        rows,
        DIM,
        segment_rows=SEGMENT_ROWS,
        vectors=drawn.photos,
        small_segments=11,
        # So that `serve` finds its model; nothing is embedded.
        model=load_embedder("builtin"),
    )
    yield Measurement(f"{rows:,} rows: writing", time.perf_counter() - start, "s")
    layout, start = Layout(folder), time.perf_counter()
    add_codes(layout, read_manifest(layout)[0])
    yield Measurement(f"{rows:,} rows: making codes", time.perf_counter() - start, "s")
    texts = Probes(drawn.texts(PROBES_OF_LARGE, np.random.default_rng(4)), "drawn")
    start = time.perf_counter()
    made = add_groups(layout, read_manifest(layout)[0], no_model, texts=texts)
    assert made.groups is not None
    yield Measurement(f"{rows:,} rows: making groups", time.perf_counter() - start, "s")
    size = sum(check.length for check in made.groups.files.values())
    yield Measurement(f"{rows:,} rows: groups on disk", size / rows, "bytes a row")


def no_model() -> Embedder:
    raise ModelUnavailable("drawn", "there is none")


def queries_of(drawn: PhotoLike, count: int = QUERIES) -> list[tuple[str, Vectors]]:
    """Photos and texts that no lake was made or measured with."""
    random = np.random.default_rng(5)
    return [("photo", drawn.photos(count, random)), ("text", drawn.texts(count, random))]


def _compared(lake: Lake, drawn: PhotoLike, rounds: int) -> Iterator[Measurement]:
    lake.snapshot.warm()
    for name, queries in queries_of(drawn):
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


def over_http(
    folder: Path, rows: int, drawn: PhotoLike, rounds: int, at_most_ms: float | None
) -> Iterator[Measurement]:
    """One client that keeps its connection, by vector: exact and less exact searches in turn."""
    recalls: list[float | None] = [None, *RECALLS]
    with served(folder) as (port, _):
        post = Client(port).post
        for name, queries in queries_of(drawn):

            def ask(recall: float | None, query: Vectors) -> None:
                more = {"exact": True} if recall is None else {"recall": recall}
                post("/v1/search", search_body(query, **more), "application/json")

            jobs = [turning(queries, partial(ask, recall)) for recall in recalls]
            in_turn(jobs, 3)  # caches fill
            seconds = dict(zip(recalls, in_turn(jobs, rounds), strict=True))
            said = ", ".join(f"{each:g}: {1e3 * seconds[each]:.1f}" for each in RECALLS[:-1])
            yield Measurement(
                f"{rows:,} rows, by {name}, recall {RECALLS[-1]:g} asked: over HTTP, one client",
                1e3 * seconds[RECALLS[-1]],
                "ms",
                at_most=at_most_ms,
                note=f"{said}, exact {1e3 * seconds[None]:.1f}",
            )


def _query(vector: Vectors, recall: float | None) -> Query:
    return Query(vectors=[(vector, 1.0)], k=K, recall=recall)


def found_of(lake: Lake, vector: Vectors, recall: float | None) -> set[int]:
    return {hit.row_id for hit in lake.search_query(_query(vector, recall))}
