"""Is the promise kept? Thousands of simulated audits,
by the product's own code, and SUPG's on the same rows.

Each run draws a population with scores, teaches a calibration with 60 answers as a filter would,
plans an audit, and looks at it after 50, 200, 500, 1,000 and 2,000 labels. It is broken when at any
look a recall was promised that the kept rows do not have. No cell may have so many broken runs that
a one-sided binomial test against the stated level rejects at 0.001; refusals count as not broken.

The populations are drawn; or they are real: `--scores` reads files of scores with their truth (a
CSV with the columns label and score or proxy_score, such as SUPG's), `--lake` scores the photos of
a lake by a text, and their folders know what is relevant. Then only the teaching sample, the
audit's draws and SUPG's differ from run to run.

With `--assume tail` audits are planned for that, and applied with it. The scores of "good" and
"poor" are normal, so their log-odds are straight lines and the assumption is true; where they are
"ties" or "far tail" it is not, and may break. "One short": at recall 0.9 the most generous line
misses one row too many, so whatever is promised below it is broken.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from benchmarks.real_scores import Population, of_lake, read
from benchmarks.supg import select
from service.relevance.definition import Target
from service.relevance.promise import audit as audits
from service.relevance.promise.applying import (
    KEEP,
    Applied,
    Refusal,
    apply,
    decide,
    overruled,
    stand_at,
)
from service.relevance.promise.auditing import planned
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

LOOKS = (50, 200, 500, 1_000, 2_000)
PREVALENCES = (0.001, 0.01, 0.05, 0.2, 0.5)
SCORERS = ("good", "poor", "useless", "ties", "far tail", "three values", "one short")
BUDGET = 1_000  # labels that each audit is told it may take
TEACH_TOP, TEACH_ANYWHERE = 20, 40
ALARM = 0.001


@dataclass
class Cell:
    """What came of the runs of one kind of population."""

    scorer: str
    prevalence: float
    runs: int = 0
    broken: int = 0
    supg_broken: int = 0
    looks: tuple[int, ...] = LOOKS
    assume: str | None = None
    budget: int = BUDGET
    real: Population | None = None
    promised: list[int] = field(default_factory=list)  # of each look
    kept: list[list[float]] = field(default_factory=list)  # of each look, where promised
    supg_kept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.promised = [0] * len(self.looks)
        self.kept = [[] for _ in self.looks]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks coverage", description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000, help="of each cell (default: 2,000)")
    parser.add_argument(
        "--rows", type=int, default=5_000, help="of each population (default: 5,000)"
    )
    parser.add_argument("--recall", type=float, default=0.9, help="promised (default: 0.9)")
    parser.add_argument(
        "--confidence", type=float, default=0.95, help="of the promise (default: 0.95)"
    )
    parser.add_argument(
        "--scorers", nargs="+", default=SCORERS, choices=SCORERS, help="(default: all)"
    )
    parser.add_argument(
        "--prevalences", nargs="+", type=float, default=PREVALENCES, help="(default: all)"
    )
    parser.add_argument(
        "--looks",
        nargs="+",
        type=int,
        default=LOOKS,
        help="labels at each look (default: the five)",
    )
    parser.add_argument(
        "--scores", nargs="+", type=Path, metavar="FILE", help="real scores, instead of drawn ones"
    )
    parser.add_argument("--lake", type=Path, help="of photos in a folder a class; with --wanted")
    parser.add_argument(
        "--wanted",
        nargs="+",
        metavar="TEXT=CLASS[,CLASS]",
        help="a prompt, and the folders it is about",
    )
    parser.add_argument(
        "--budget", type=int, default=BUDGET, help="labels that each audit is told (default: 1,000)"
    )
    parser.add_argument("--assume", choices=["tail"], help="(default: nothing)")
    parser.add_argument("--seed", type=int, default=0, help="of the populations (default: 0)")
    arguments = parser.parse_args(argv)
    target = Target(arguments.recall, None, arguments.confidence)
    looks = " / ".join(f"{look:,}" for look in arguments.looks)
    print(f"| scorer | prevalence | broken | p | promised at {looks} labels | kept, at the same |"
          " SUPG, 1,000 labels: broken, kept |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    alarms = 0
    cells = []
    for cell in measure(_empty(arguments), target, arguments.rows, arguments.runs, arguments.seed):
        chance = p_value(cell.broken, cell.runs, 1 - target.confidence)
        alarms += chance < ALARM
        cells.append(
            {
                **{name: value for name, value in vars(cell).items() if name != "real"},
                "kept": [_median(kept) for kept in cell.kept],
                "supg_kept": _median(cell.supg_kept),
            }
        )
        print(_line(cell, chance), flush=True)
    facts = {"hardware": describe_machine(), "rows": arguments.rows, "recall": target.recall}
    print(
        json.dumps(
            {**facts, "confidence": target.confidence, "seed": arguments.seed, "cells": cells}
        )
    )
    return 1 if alarms else 0


def _empty(arguments: argparse.Namespace) -> list[Cell]:
    if (arguments.lake is None) != (arguments.wanted is None):
        raise SystemExit("--lake and --wanted belong together")
    real = [read(path) for path in arguments.scores or ()]
    if arguments.lake is not None:
        real += of_lake(arguments.lake, arguments.wanted)
    kinds: list[tuple[str, float, Population | None]] = [
        (known.name, float(known.relevant.mean()), known) for known in real
    ] or [
        (scorer, prevalence, None)
        for scorer in arguments.scorers
        for prevalence in arguments.prevalences
    ]
    shared: dict[str, Any] = {"looks": tuple(arguments.looks), "assume": arguments.assume}
    shared["budget"] = arguments.budget
    return [Cell(scorer, prevalence, real=known, **shared) for scorer, prevalence, known in kinds]


def measure(
    cells: Sequence[Cell], target: Target, rows: int, runs: int, seed: int
) -> Iterator[Cell]:
    """The cells, filled."""
    for cell in cells:
        # The audits' own seeds come from the operating system; only populations repeat.
        kind = 0 if cell.real else SCORERS.index(cell.scorer)
        generator = np.random.default_rng([seed, kind, int(cell.prevalence * 1e6)])
        for _ in range(runs):
            run(cell, target, rows, generator)
        yield cell


def p_value(broken: int, runs: int, level: float) -> float:
    """The chance of so many broken promises or more, if each run broke with the chance level."""
    from scipy.stats import binomtest

    return float(binomtest(broken, runs, level, alternative="greater").pvalue)


def population(
    scorer: str, prevalence: float, rows: int, generator: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """bool, (rows,): relevant; float32, (rows,): scores."""
    relevant = np.zeros(rows, bool)
    relevant[: max(1, round(prevalence * rows))] = True
    generator.shuffle(relevant)
    scores = generator.normal(size=rows) + {"poor": 1.0, "useless": 0.0}.get(scorer, 3.0) * relevant
    if scorer == "ties":
        scores = np.round(scores)
    if scorer == "three values":
        scores = np.clip(np.round(scores / 2), 0, 2)
    if scorer == "one short":  # as many rows at the very bottom as no line may leave there
        odd = np.flatnonzero(relevant)[: int(0.1 * relevant.sum() + 1e-9) + 1]
        scores[odd] = -9 - generator.random(len(odd))
    if scorer == "far tail":  # a fifth of the concept looks like the opposite of it
        odd = np.flatnonzero(relevant)[: max(1, int(relevant.sum()) // 5)]
        scores[odd] = -4 - generator.random(len(odd))
    return relevant, scores.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Taught:
    """A population, and what 60 answers taught of it.

    :ivar relevant: bool, (rows,); scores: float32, (rows,).
    :ivar said: the answers, by row id, from 1 on.
    """

    relevant: NDArray[np.bool_]
    scores: NDArray[np.float32]
    said: dict[int, str]
    calibration: Calibration | None

    def proxy(self, real: Population | None) -> NDArray[np.float64]:
        """float64, (rows,), in [0, 1]: what SUPG goes by."""
        if real and real.proxy is not None:
            return real.proxy
        chances = self.calibration.probability(self.scores) if self.calibration else None
        return (np.full(len(self.scores), 0.5) if chances is None else chances).astype(np.float64)


def teach(cell: Cell, rows: int, generator: np.random.Generator) -> Taught:
    if cell.real:
        relevant, scores = cell.real.relevant, cell.real.scores
    else:
        relevant, scores = population(cell.scorer, cell.prevalence, rows, generator)
    top = np.argsort(-scores, kind="stable")[:TEACH_TOP]
    anywhere = generator.choice(len(scores), TEACH_ANYWHERE, replace=False)
    shown = np.unique(np.concatenate([top, anywhere]))
    said = {int(row) + 1: "yes" if relevant[row] else "no" for row in shown}
    return Taught(relevant, scores, said, Calibration.fit(scores[shown], relevant[shown]))


def run(cell: Cell, target: Target, rows: int, generator: np.random.Generator) -> None:
    taught = teach(cell, rows, generator)
    relevant, scores, said = taught.relevant, taught.scores, taught.said
    calibration = taught.calibration
    row_ids = np.arange(1, len(scores) + 1)
    fresh = audits.begin(1, 1, target, Scored(row_ids, scores), said)
    audit = planned(fresh, calibration, said, cell.budget, cell.assume)
    drawn = audit.draws(max(cell.looks))[1].tolist()
    heard = [
        said | {row: "yes" if relevant[row - 1] else "no" for row in drawn[:look]}
        for look in cell.looks
    ]
    is_broken = False
    for number, (answers, found) in enumerate(
        zip(heard, _applied(cell, audit, heard, calibration), strict=True)
    ):
        if isinstance(found, Applied):
            kept = overruled(audit, found.decisions, answers) == KEEP
            cell.promised[number] += 1
            cell.kept[number].append(float(kept.mean()))
            is_broken |= recall_of(kept, relevant) < (target.recall or 0) - 1e-9
    cell.runs += 1
    cell.broken += is_broken
    proxy = taught.proxy(cell.real)
    chosen = select(proxy, relevant, target.recall or 0, 1 - target.confidence, 1_000, generator)
    cell.supg_broken += recall_of(chosen, relevant) < (target.recall or 0) - 1e-9
    cell.supg_kept.append(float(chosen.mean()))


def _applied(
    cell: Cell,
    audit: audits.Audit,
    heard: Sequence[dict[int, str]],
    calibration: Calibration | None,
) -> list[Applied | Refusal]:
    """What comes of each look. Where nothing is assumed,
    the looks share one pass over the draws.
    """
    if cell.assume is not None:
        return [apply(audit, answers, calibration, assume=cell.assume) for answers in heard]
    looks = [len(audit.prefix(answers)) for answers in heard]
    if not (standings := stand_at(looks, audit, heard[-1], calibration)):
        return [apply(audit, answers, calibration) for answers in heard]
    return [decide(standing, calibration) for standing in standings]


def recall_of(kept: NDArray[np.bool_], relevant: NDArray[np.bool_]) -> float:
    """1 where nothing is relevant."""
    return float((kept & relevant).sum() / relevant.sum()) if relevant.any() else 1.0


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 3) if values else None


def _line(cell: Cell, chance: float) -> str:
    promised = " / ".join(f"{count / cell.runs:.0%}" for count in cell.promised)
    kept = " / ".join("-" if not values else f"{np.median(values):.0%}" for values in cell.kept)
    supg = f"{cell.supg_broken / cell.runs:.1%}, {np.median(cell.supg_kept):.0%}"
    return (
        f"| {cell.scorer} | {cell.prevalence:.3g} | {cell.broken} of {cell.runs:,} | {chance:.2g} | {promised} "
        f"| {kept} | {supg} |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
