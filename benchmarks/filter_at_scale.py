"""A filter over a very large lake: what `apply`, exports and a stream take, in time and memory.

The lake's vectors look like photos'; whether one is relevant is by a direction that the labels
teach. Each step runs in a process of its own, whose memory is told by getrusage: `peak` is all of
it, with the pages of the lake's files that happen to be mapped, and `own` what no other process and
no file has.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.measure import Measurement
from indexer.processes import python_code
from service.lake import Lake
from service.relevance import Filter, Filters, Target
from service.relevance.scoring.scorer import vectors_of

DIM = 512
NAME = "bench"
RELEVANT = 0.9  # of all rows
TAUGHT = 2_400  # so that 1,000 of a side are compared, the most there are
SIZES = (1_000_000, 4_000_000)
EXPORTS = ("txt", "csv", "parquet", "coco", "label_studio", "cvat", "fiftyone", "yolo")
BUDGETS_S = {"txt": 3.0}
OTHER_BUDGET_S = 10.0
LEAST_HITS = 100_000  # a second, of a stream

STEP = """
import json, resource, sys, threading, time
from pathlib import Path

def own_bytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024

before, peak, done = [0], [0], threading.Event()

def watch():
    while not done.wait(0.02):
        peak[0] = max(peak[0], own_bytes())

threading.Thread(target=watch, daemon=True).start()
from service.lake import Lake
from service.relevance import Filters
from service.search.query import Query
from service.search.search import Lines
lake, name, step, out = sys.argv[1:]
filter = Filters(Lake.open(Path(lake))).open(name)
snapshot = filter.lake.snapshot
snapshot.warm()
before[0] = own_bytes()
started = time.perf_counter()
if step == "apply":
    answer = filter.apply()
    assert not answer.refused, answer
    count = answer.rows
elif step == "stream":
    query = Query(vectors=[(snapshot.background[0], 1.0)], k=None)
    hits = Lines(filter.lake.understand(query))
    for _ in hits:
        pass
    count = hits.count
else:
    count = filter.export(step, Path(out), overwrite=True).items
seconds = time.perf_counter() - started
done.set()
whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
grown = peak[0] - before[0]
found = {"seconds": seconds, "count": count, "own": peak[0], "whole": whole, "grown": grown}
print(json.dumps(found))
"""


def measure_filter_at_scale(
    workspace: Path, *, quick: bool, rows: Sequence[int] | None = None
) -> Iterator[Measurement]:
    for count in rows or ((20_000,) if quick else SIZES):
        folder = workspace / f"{count}.lake"
        make_filtered_lake(folder, count, taught=200 if quick else TAUGHT)
        yield from _measures(folder, workspace, count)
        shutil.rmtree(folder)


def _measures(folder: Path, workspace: Path, rows: int) -> Iterator[Measurement]:
    label = f"{rows:,} rows"
    found = step(folder, "apply")
    at_most = 5.0 if rows <= SIZES[0] else 20.0
    yield Measurement(f"apply, {label}", found["seconds"], "s", at_most=at_most)
    yield from _memory(f"apply, {label}", found)
    found = step(folder, "stream")
    rate = found["count"] / found["seconds"]
    yield Measurement(f"a stream of {label}", rate, "hits/s", at_least=LEAST_HITS)
    yield from _memory(f"a stream of {label}", found)
    for format in EXPORTS:
        out = workspace / format
        found = step(folder, format, out)
        budget = BUDGETS_S.get(format, OTHER_BUDGET_S) * max(1, rows / SIZES[0])
        name = f"export {format}, {found['count']:,} images of {label}"
        yield Measurement(name, found["seconds"], "s", at_most=budget)
        yield from _memory(name, found)
        for path in workspace.glob(f"{format}*"):  # chunks, and the state beside them
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _memory(name: str, found: dict[str, Any]) -> Iterator[Measurement]:
    note = (
        f"{found['grown'] / 1e9:.2f} GB more than the open lake; "
        f"{found['whole'] / 1e9:.2f} GB with its mapped files"
    )
    yield Measurement(f"{name}: memory", found["own"] / 1e9, "GB", at_most=1.0, note=note)


def step(lake: Path, what: str, out: Path = Path()) -> dict[str, Any]:
    """Run one step in a process of its own: its seconds, images, and bytes of memory."""
    command = python_code(STEP, str(lake), NAME, what, str(out))
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def make_filtered_lake(folder: Path, rows: int, taught: int = TAUGHT) -> None:
    """A lake with a filter whose audit is answered, so that it can be applied."""
    like = PhotoLike(DIM)
    # Segments so large that their rows are mapped, as those of such lakes are.
    write_synthetic_lake(folder, rows, DIM, segment_rows=max(rows // 4, 1), vectors=like.photos)
    random = np.random.default_rng(3)
    with Lake.open(folder) as lake:
        wanted = lake.snapshot.background.mean(axis=0) + 0.02 * random.standard_normal(DIM)
        scores = lake.snapshot.background @ wanted
        line = float(np.quantile(scores, 1 - RELEVANT))
        best = int(np.argmax(vectors_of(lake.snapshot, range(1, 1_001)) @ wanted)) + 1
        filter = Filters(lake).create(NAME, keep_rows=[best], target=Target(0.95, None, 0.95))
        ids = random.choice(rows, min(taught, rows // 4), replace=False) + 1
        _answer(filter, ids.tolist(), wanted, line)
        while filter.apply().refused:
            asked = filter.next(200, "audit")
            if not asked.rows:
                raise RuntimeError("the audit asks for nothing more, and cannot be applied")
            _answer(filter, [row.row_id for row in asked.rows], wanted, line)


def _answer(filter: Filter, row_ids: list[int], wanted: Any, line: float) -> None:
    is_wanted = vectors_of(filter.lake.snapshot, row_ids) @ wanted >= line
    filter.label(
        [
            {"row_id": row_id, "label": "yes" if yes else "no"}
            for row_id, yes in zip(row_ids, is_wanted.tolist(), strict=True)
        ]
    )


if __name__ == "__main__":
    make_filtered_lake(Path(sys.argv[1]), int(sys.argv[2]))
