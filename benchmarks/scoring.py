"""Scoring every row of a lake for a filter,
beside a bare half-precision product; and a round of teaching.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from benchmarks.measure import Measurement, in_turn
from indexer.arrays import Vectors
from indexer.disk.layout import Layout
from indexer.disk.stored_vectors import HalfQueries
from indexer.run.writing.compact import compact
from service.lake import Lake
from service.relevance.scoring.fitting import fit
from service.relevance.scoring.scorer import Scorer, score_rows, vectors_of
from service.relevance.scoring.teaching import propose
from service.snapshot.part import blocks_of
from service.snapshot.snapshot import Snapshot
from service.snapshot.threads import for_each

DIM = 512
BUDGET_S = 0.1
TEACH_BUDGET_S = 1.0
ANSWERS = 200
WHERE = "width_px >= 1920 AND camera LIKE 'Canon%'"


def measure_scoring(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    rows, rounds = (20_000, 3) if quick else (1_000_000, 15)
    random = np.random.default_rng(1)
    none = np.empty((0, DIM), np.float32)
    linear = Scorer("linear", random_unit_rows(1, DIM, random), none)
    prompts = Scorer("prompts", random_unit_rows(3, DIM, random), random_unit_rows(3, DIM, random))
    folder = workspace / "scoring.lake"
    merged = write_synthetic_lake(folder, rows, DIM, segment_rows=rows // 20)
    merged = compact(Layout(folder), merged, max_segments=12)
    label = f"{rows:,} rows, {len(merged.segments)} segments"
    with Lake.open(folder) as lake:
        snapshot = lake.snapshot
        bare = partial(_bare, snapshot, linear.keep)
        ours = [
            partial(score_rows, snapshot, linear),
            partial(score_rows, snapshot, prompts),
            partial(score_rows, snapshot, linear, WHERE),
        ]
        jobs: list[Callable[[], object]] = [bare, *ours]
        # the first pass also copies the rows, once a machine, and reads the vectors
        for job in jobs:
            job()
        bare_s, linear_s, prompts_s, where_s = in_turn(jobs, rounds)
    note = f"{linear_s / bare_s:.2f} times a bare half-precision product on the same threads, {1e3 * bare_s:.0f} ms"
    yield Measurement(
        f"score by a linear scorer, {label}", linear_s, "s", at_most=BUDGET_S, note=note
    )
    note = f"{prompts_s / bare_s:.2f} times the bare product with one vector"
    yield Measurement(f"score by 3 + 3 prompts, {label}", prompts_s, "s", note=note)
    yield Measurement(f"score what where keeps, {label}", where_s, "s", note=WHERE)
    yield _measure_teaching(workspace, rows // 10, rounds)


def _bare(snapshot: Snapshot, vectors: Vectors) -> None:
    """The products alone: no masks, no row_ids, one number a row, thrown away."""
    queries = HalfQueries(vectors)
    blocks = [
        (snapshot.parts[number].vectors, start, end)
        for number, start, end in blocks_of(snapshot.parts)
    ]
    for_each(lambda block: block[0].score(queries, block[1], block[2]), blocks, parallel=True)


def _measure_teaching(workspace: Path, rows: int, rounds: int) -> Measurement:
    """What a person waits for between two pages of rows to label: fit, score, propose."""
    folder = workspace / "teaching.lake"
    write_synthetic_lake(folder, rows, DIM, segment_rows=rows)
    random = np.random.default_rng(2)
    drafted = Scorer("prompts", random_unit_rows(1, DIM, random), np.empty((0, DIM), np.float32))
    with Lake.open(folder) as lake:
        snapshot = lake.snapshot
        best = np.argsort(-score_rows(snapshot, drafted).scores)[: 2 * ANSWERS : 2]
        row_ids = (best + 1).tolist()
        answers = {
            row_id: bool(answer)
            for row_id, answer in zip(row_ids, random.random(ANSWERS) < 0.3, strict=True)
        }

        def teach() -> list[int]:
            labels = np.fromiter(answers.values(), bool)
            fitted = fit(vectors_of(snapshot, answers), labels, drafted, snapshot.background)
            return propose(snapshot, score_rows(snapshot, fitted.scorer), answers, 20, drafted)

        teach()
        (seconds,) = in_turn([teach], max(3, rounds // 3))
    name = f"fit on {ANSWERS} answers, score {rows:,} rows, propose 20"
    return Measurement(name, seconds, "s", at_most=TEACH_BUDGET_S)
