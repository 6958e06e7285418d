"""Ten million rows on one machine: written in pieces, with codes and groups, opened and served.

It may take an hour on two cores, and up to 30 GB of the disk that TMPDIR is on, rows' cache
included; so it runs when it is named, and not with all others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.approximate import DIM, K, found_of, making, queries_of
from benchmarks.codes import turning
from benchmarks.lakes import PhotoLike
from benchmarks.measure import Measurement, in_turn
from benchmarks.processes import anonymous_bytes, resident_bytes, watched_memory
from benchmarks.service import Client, search_body, served
from indexer.arrays import Vectors
from service.lake import Lake

RECALL = 0.99
COMPARED = 40  # queries of each kind that are searched exactly, too
OPENS_IN_S, ANSWERS_IN_MS, SERVED_IN_GB, BUILT_IN_GB = 1.0, 100.0, 4.0, 8.0


def measure_ten_million(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """300,000 rows instead, where it is quick."""
    # Gone with the lake: rows take some 4 GB there.
    os.environ.setdefault("LAKESIFT_CACHE", str(workspace / "cache"))
    drawn, rows = PhotoLike(DIM), 300_000 if quick else 10_000_000
    folder, label = workspace / f"{rows}.lake", f"{rows:,} rows"
    with watched_memory(os.getpid(), measured=anonymous_bytes) as peak:
        yield from making(folder, rows, drawn)
    yield Measurement(
        f"{label}: most memory while it was made, without mapped files",
        peak.bytes / 1e9,
        "GB",
        at_most=BUILT_IN_GB,
    )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    yield Measurement(f"{label}: the lake's folder", size / 1e9, "GB")
    start = time.perf_counter()
    with Lake.open(folder) as lake:
        seconds = time.perf_counter() - start
        yield Measurement(f"{label}: opening", seconds, "s", at_most=OPENS_IN_S)
        yield from _found(lake, drawn)
    yield from _served(folder, label, drawn, rounds=3 if quick else 30)


def _found(lake: Lake, drawn: PhotoLike) -> Iterator[Measurement]:
    for name, queries in queries_of(drawn, COMPARED):
        shares = [
            len(found_of(lake, query, RECALL) & found_of(lake, query, None)) / K
            for query in queries
        ]
        yield Measurement(
            f"{lake.rows:,} rows, by {name}, recall {RECALL:g} asked: found of the 10 nearest",
            float(np.mean(shares)),
            "of them",
            note=f"of {COMPARED} queries",
        )


def _served(folder: Path, label: str, drawn: PhotoLike, rounds: int) -> Iterator[Measurement]:
    start = time.perf_counter()
    with served(folder) as (port, pid):
        yield Measurement(f"{label}: served and at rest after", time.perf_counter() - start, "s")
        post = Client(port).post

        def ask(query: Vectors) -> None:
            post("/v1/search", search_body(query, recall=RECALL), "application/json")

        for name, queries in queries_of(drawn):
            jobs = [turning(queries, ask)]
            in_turn(jobs, rounds)  # pages come in
            yield Measurement(
                f"{label}, by {name}, recall {RECALL:g} asked: over HTTP, one client",
                1e3 * in_turn(jobs, rounds)[0],
                "ms",
                at_most=ANSWERS_IN_MS,
            )
        yield Measurement(
            f"{label}: resident memory of the server afterwards",
            resident_bytes(pid) / 1e9,
            "GB",
            at_most=SERVED_IN_GB,
            note=f"without mapped files {anonymous_bytes(pid) / 1e9:.2f} GB",
        )
