"""Asking a predicate of a million rows: which of them does it keep?"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.lakes import write_synthetic_lake
from benchmarks.measure import Measurement, in_turn
from indexer.disk.layout import Layout
from indexer.run.writing.compact import compact
from service.lake import Lake
from service.snapshot.snapshot import Snapshot
from service.where.where import Where

BUDGET_MS = 50
PREDICATES = (
    "width_px >= 1920",
    "camera IN ('Canon EOS R6', 'GoPro HERO12')",
    "uri LIKE '/photos/2019/%'",
    "uri LIKE '%/2019/%'",
    "captured_at >= DATE '2020-09-20' AND place.latitude > 10 AND split = 'train'",
)


def measure_where(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """The vectors are of 8 numbers: `where` never looks at them."""
    rows, rounds = (20_000, 3) if quick else (1_000_000, 9)
    folder = workspace / "where.lake"
    manifest = write_synthetic_lake(folder, rows, 8, segment_rows=rows // 20)
    manifest = compact(Layout(folder), manifest, max_segments=12)
    with Lake.open(folder) as lake:
        snapshot = lake.snapshot
        jobs = [partial(_masks, snapshot, predicate) for predicate in PREDICATES]
        kept = [job() for job in jobs]  # also copies the rows to the cache, once
        for predicate, count, seconds in zip(PREDICATES, kept, in_turn(jobs, rounds), strict=True):
            yield Measurement(
                f"where {predicate}, {rows:,} rows, {len(manifest.segments)} segments",
                1e3 * seconds,
                "ms",
                at_most=BUDGET_MS,
                note=f"keeps {count:,}",
            )


def _masks(snapshot: Snapshot, predicate: str) -> int:
    """As a search does it: parse, then every segment in a thread. Returns the rows kept."""
    where = Where.parse(predicate, snapshot.schema)
    with ThreadPoolExecutor() as pool:
        masks = list(pool.map(lambda part: part.mask(where), snapshot.parts))
    return sum(int(mask.sum()) for mask in masks if mask is not None)
