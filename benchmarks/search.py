"""Opening and searching a million vectors of 512 numbers,
beside bare FAISS on one file of the same vectors.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from benchmarks.measure import Measurement, in_turn
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, publish
from indexer.disk.tables import Place, write_tombstones
from indexer.processes import python_code
from indexer.run.writing.compact import compact
from service.lake import Lake

DIM = 512
K = 10
WHERE = "width_px >= 1920 AND camera LIKE 'Canon%'"
OPEN_BUDGET_S = 0.3
RATIO_BUDGET = 1.1
TOMBSTONE_EVERY = 100
OPEN = """
import sys, time
from service.lake import Lake
start = time.perf_counter()
Lake.open(sys.argv[1])
print(time.perf_counter() - start)
"""


def measure_search(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """Three lakes: one segment; the segments a run leaves (at most 12);
    those with a hundredth of the rows deleted.
    """
    rows, rounds = (20_000, 3) if quick else (1_000_000, 15)
    one, many = workspace / "one.lake", workspace / "many.lake"
    whole = write_synthetic_lake(one, rows, DIM, segment_rows=rows)
    merged = write_synthetic_lake(many, rows, DIM, segment_rows=rows // 20)
    merged = compact(Layout(many), merged, max_segments=12)
    query = random_unit_rows(1, DIM, np.random.default_rng(1))[0]
    file = next(one.glob("segments/*/vectors.faiss"))
    bare = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
    search_bare = partial(bare.search, query[None], K)
    yield from _lake(one, f"{rows:,} rows, 1 segment", query, search_bare, rounds)
    yield from _lake(
        many, f"{rows:,} rows, {len(merged.segments)} segments", query, search_bare, rounds
    )
    for folder, manifest in ((one, whole), (many, merged)):
        _bury(Layout(folder), manifest)
        label = (
            f"{rows:,} rows, {len(manifest.segments)} segment(s), 1 in {TOMBSTONE_EVERY} deleted"
        )
        yield from _lake(folder, label, query, search_bare, rounds)
    with Lake.open(one) as lake:
        count = min(lake.rows, 100_000)
        lake.search(vector=query)
        start = time.perf_counter()
        assert len(lake.search(vector=query, k=count)) == count
        yield Measurement(
            f"the best {count:,} of {rows:,}, with their rows", time.perf_counter() - start, "s"
        )


def _lake(
    folder: Path,
    label: str,
    query: NDArray[np.float32],
    search_bare: Callable[[], object],
    rounds: int,
) -> Iterator[Measurement]:
    yield Measurement(
        f"{label}: open, in a new process", _opening_s(folder), "s", at_most=OPEN_BUDGET_S
    )
    with Lake.open(folder) as lake:
        start = time.perf_counter()
        lake.search(vector=query, k=K)
        yield Measurement(
            f"{label}: first search",
            time.perf_counter() - start,
            "s",
            note="once a machine it copies the rows",
        )
        search = partial(lake.search, vector=query, k=K)
        filtered = partial(lake.search, vector=query, k=K, where=WHERE)
        bare_s, search_s, filtered_s = in_turn([search_bare, search, filtered], rounds)
        yield Measurement(
            f"{label}: search, beside bare FAISS",
            search_s / bare_s,
            "times",
            at_most=RATIO_BUDGET,
            note=f"{1e3 * search_s:.0f} ms with the hits' rows and z, bare {1e3 * bare_s:.0f} ms",
        )
        yield Measurement(f"{label}: filtered search", 1e3 * filtered_s, "ms", note=WHERE)


def _opening_s(folder: Path) -> float:
    """Median of three new processes; imports are not counted."""
    command = python_code(OPEN, str(folder))
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(3)]
    return statistics.median(float(run.stdout) for run in runs)


def _bury(layout: Layout, manifest: Manifest) -> None:
    dead = [
        Place(s.id, position)
        for s in manifest.segments
        for position in range(0, s.rows, TOMBSTONE_EVERY)
    ]
    publish(layout, replace(manifest, tombstones=(write_tombstones(layout, dead),)))
