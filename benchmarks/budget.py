"""What does an audit keep that is told how many labels it may take?

Eleven cells, drawn and real. Each run draws a population with scores, teaches a calibration with 60
answers, plans an audit for the cell's labels and reads it there, in three ways that share
population, answers and seed of the draws: as the product does; with fixed stakes and one forecast,
as it did before stakes aimed; and not told of the budget. Kept is the mean share of the rows, a
refusal counted as 1. Broken: a promise that the kept rows do not hold.

The real cells need the public scores of SUPG's authors with their truth (`--scores tacred.csv
onto.csv`; columns label and proxy_score); without them eight are run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import TEACH_ANYWHERE, TEACH_TOP, answered, population
from benchmarks.machine import describe_machine
from benchmarks.real_scores import Population, read
from service.relevance.definition import Target
from service.relevance.promise import audit as audits
from service.relevance.promise import plan
from service.relevance.promise.applying import KEEP, Applied, apply, forecast, overruled
from service.relevance.promise.audit import Audit
from service.relevance.promise.auditing import planned
from service.relevance.promise.promise import chains
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

Rows = tuple[NDArray[np.bool_], NDArray[np.float32]]  # relevant, scores
WAYS = ("now", "as planned", "before", "not told")


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of population, what is promised of it, and the labels."""

    name: str
    recall: float
    labels: int
    draw: Callable[[np.random.Generator], Rows]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of all runs of a cell, by each way."""

    kept: NDArray[np.float64]  # (runs, ways)
    broken: NDArray[np.bool_]  # (runs, ways)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks budget", description=__doc__)
    parser.add_argument("--runs", type=int, default=60, help="of each cell (default: 60)")
    parser.add_argument("--scores", nargs="+", type=Path, default=[], metavar="FILE")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    arguments = parser.parse_args(argv)
    print("| scores, relevant, recall | labels | " + " | ".join(WAYS) + " | now less before |")
    print("|---|---|" + "---|" * (len(WAYS) + 1))
    means, broken = [], 0
    for cell in cells(arguments.scores):
        found = measure(cell, arguments.runs, arguments.seed)
        means.append(found.kept.mean(axis=0))
        broken += int(found.broken.sum())
        print(_line(cell, found), flush=True)
    mean = np.mean(means, axis=0)
    print(f"| mean | | {' | '.join(f'{each:.3f}' for each in mean)} | {mean[0] - mean[2]:+.3f} |")
    facts = {"hardware": describe_machine(), "runs": arguments.runs, "seed": arguments.seed}
    told = dict(zip(WAYS, mean.round(4).tolist(), strict=True))
    print(json.dumps({**facts, "broken": broken, "mean": told}))
    return 0


def cells(files: list[Path]) -> Iterator[Cell]:
    """Those that need no file, and those of the files that are there, by their names."""
    yield Cell("good, 5 %, 0.9", 0.9, 1_000, partial(population, "good", 0.05, 5_000))
    for apart in (3.0, 2.0):
        name = f"normal d' {apart:g}, 12 % of 10,000, 0.95"
        yield Cell(name, 0.95, 600, partial(_normal, apart, 0.12, 10_000))
    for labels in (1_000, 2_000):
        yield Cell("good, 1 %, 0.9", 0.9, labels, partial(population, "good", 0.01, 5_000))
    for labels in (200, 300):
        yield Cell("good, 20 %, 0.9", 0.9, labels, partial(population, "good", 0.2, 5_000))
    yield Cell("poor, 20 %, 0.9", 0.9, 500, partial(population, "poor", 0.2, 5_000))
    for path in files:
        known = read(path)
        for labels in (1_000, 2_000) if path.stem == "tacred" else (1_000,):
            yield Cell(f"{path.stem}, 0.9", 0.9, labels, partial(_as_they_are, known))


def _as_they_are(known: Population, generator: np.random.Generator) -> Rows:
    return known.relevant, known.scores


def _normal(apart: float, prevalence: float, rows: int, generator: np.random.Generator) -> Rows:
    relevant = np.zeros(rows, bool)
    relevant[: round(prevalence * rows)] = True
    generator.shuffle(relevant)
    return relevant, (generator.normal(size=rows) + apart * relevant).astype(np.float32)


def measure(cell: Cell, runs: int, seed: int) -> Outcome:
    generator = np.random.default_rng([seed, cell.labels, *cell.name.encode()])
    found = [_run(cell, generator) for _ in range(runs)]
    kept, broken = zip(*found, strict=True)
    return Outcome(np.array(kept), np.array(broken))


def _run(cell: Cell, generator: np.random.Generator) -> tuple[list[float], list[bool]]:
    relevant, scores = cell.draw(generator)
    rows = len(relevant)
    top = np.argsort(-scores, kind="stable")[:TEACH_TOP]
    shown = np.unique(np.concatenate([top, generator.choice(rows, TEACH_ANYWHERE, replace=False)]))
    said = {int(row) + 1: "yes" if relevant[row] else "no" for row in shown}
    calibration = Calibration.fit(scores[shown], relevant[shown])
    seed = generator.bytes(32).hex()
    kept, broken = [], []
    for way in (_now, _as_planned, _before, _not_told):
        with mock.patch.object(audits, "fresh_seed", lambda: seed):
            scored = Scored(np.arange(1, rows + 1), scores)
            fresh = audits.begin(1, 1, Target(cell.recall, None, 0.95), scored, said)
        audit = way(fresh, calibration, said, cell.labels)
        audit, answers = answered(audit, calibration, said, relevant, cell.labels)
        applied = apply(audit, answers, calibration)
        decisions = (
            overruled(audit, applied.decisions, answers) == KEEP
            if isinstance(applied, Applied)
            else np.ones(rows, bool)
        )
        kept.append(float(decisions.mean()))
        broken.append(bool((decisions & relevant).sum() < cell.recall * relevant.sum() - 1e-9))
    return kept, broken


def _now(fresh: Audit, calibration: Calibration | None, said: dict[int, str], labels: int) -> Audit:
    return planned(fresh, calibration, said, labels)


def _as_planned(
    fresh: Audit, calibration: Calibration | None, said: dict[int, str], labels: int
) -> Audit:
    audit = planned(fresh, calibration, said, labels)
    audit.design = replace(audit.design, looks=())
    return audit


def _before(
    fresh: Audit, calibration: Calibration | None, said: dict[int, str], labels: int
) -> Audit:
    target, sizes = fresh.design.target, fresh.sizes
    delta = fresh.design.delta(target.confidence)
    wanted = chains(target, sizes, fresh.known(said), delta)
    shares, _ = plan.shares_of(sizes, forecast(fresh, calibration), wanted, labels)
    audit = audits.with_plan(fresh, shares, None, None, labels)
    design = replace(audit.design, aims=False)
    return Audit(design, audit.row_ids, audit.scores, audit.strata, audit.yes_before)


def _not_told(
    fresh: Audit, calibration: Calibration | None, said: dict[int, str], labels: int
) -> Audit:
    return planned(fresh, calibration, said)


def _line(cell: Cell, found: Outcome) -> str:
    mean = found.kept.mean(axis=0)
    less = found.kept[:, WAYS.index("now")] - found.kept[:, WAYS.index("before")]
    error = less.std() / max(len(less), 1) ** 0.5
    shown = " | ".join(f"{each:.3f}" for each in mean)
    return f"| {cell.name} | {cell.labels:,} | {shown} | {less.mean():+.3f} (standard error {error:.3f}) |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
