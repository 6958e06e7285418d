"""What other rules keep, and whether what they state holds, on the rows that `coverage` draws.

The populations of `python -m benchmarks coverage` with the same seed, and the same number of labels
for SUPG, BARGAIN and QBCB; the hypergeometric rule says itself how many rows people look at.
Broken: of the relevant rows fewer are kept than the rule states.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import bargain, stopping, supg
from benchmarks.coverage import PREVALENCES, SCORERS, Cell, recall_of, teach
from benchmarks.machine import describe_machine
from benchmarks.real_scores import read

SELECTING = ("SUPG", "BARGAIN", "QBCB")
SCREENING = "hypergeometric rule"


@dataclass
class Found:
    """What came of a cell's runs, a value a run.

    :ivar kept: shares of the rows; for the hypergeometric rule those that people looked at.
    :ivar broken: whether less than was stated was kept.
    """

    kept: list[float] = field(default_factory=list)
    broken: list[bool] = field(default_factory=list)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks rules", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000, help="of each cell (default: 1,000)")
    parser.add_argument(
        "--rows", type=int, default=5_000, help="of each population (default: 5,000)"
    )
    parser.add_argument("--recall", type=float, default=0.9, help="stated (default: 0.9)")
    parser.add_argument(
        "--confidence", type=float, default=0.95, help="of the statement (default: 0.95)"
    )
    parser.add_argument("--labels", type=int, default=1_000, help="of each rule (default: 1,000)")
    parser.add_argument("--scorers", nargs="+", default=SCORERS, choices=SCORERS)
    parser.add_argument("--prevalences", nargs="+", type=float, default=PREVALENCES)
    parser.add_argument(
        "--scores", nargs="+", type=Path, metavar="FILE", help="real scores, instead of drawn ones"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the populations (default: 0)")
    arguments = parser.parse_args(argv)
    names = [f"{name}: broken, kept" for name in SELECTING] + [f"{SCREENING}: broken, looked at"]
    print(f"| scorer | relevant | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    kinds = [
        (real.name, float(real.relevant.mean()), real) for real in map(read, arguments.scores or ())
    ]
    drawn = [
        (scorer, share, None) for scorer in arguments.scorers for share in arguments.prevalences
    ]
    cells = [Cell(scorer, share, real=real) for scorer, share, real in kinds or drawn]
    told = []
    for cell in cells:
        found = measure(cell, arguments)
        print(_line(cell, found), flush=True)
        told.append(
            {
                "scorer": cell.scorer,
                "prevalence": cell.prevalence,
                **{name: _told(each) for name, each in found.items()},
            }
        )
    facts = {
        name: getattr(arguments, name) for name in ("rows", "recall", "labels", "runs", "seed")
    }
    print(json.dumps({"hardware": describe_machine(), **facts, "cells": told}))
    return 0


def measure(cell: Cell, arguments: argparse.Namespace) -> dict[str, Found]:
    recall, delta = arguments.recall, 1 - arguments.confidence
    found = {name: Found() for name in (*SELECTING, SCREENING)}
    kind = 0 if cell.real else SCORERS.index(cell.scorer)
    # As `coverage` draws them; only SUPG takes its sample from the same generator there.
    generator = np.random.default_rng([arguments.seed, kind, int(cell.prevalence * 1e6)])
    apart = np.random.default_rng([arguments.seed, kind, int(cell.prevalence * 1e6), 1])
    for _ in range(arguments.runs):
        taught = teach(cell, arguments.rows, generator)
        scores, relevant = taught.scores, taught.relevant
        labels = min(arguments.labels, len(scores))
        stated = (relevant, recall, delta, labels)
        for name, kept in (
            ("SUPG", supg.select(taught.proxy(cell.real), *stated, generator)),
            ("BARGAIN", bargain.select(scores, *stated, apart)),
            ("QBCB", stopping.quantile_bound(scores, *stated, apart)),
        ):
            found[name].kept.append(float(kept.mean()))
            found[name].broken.append(recall_of(kept, relevant) < recall - 1e-9)
        screened = stopping.screen(scores, relevant, recall, delta)
        found[SCREENING].kept.append(screened.rows / len(scores))
        found[SCREENING].broken.append(screened.recall < recall - 1e-9)
    return found


def _line(cell: Cell, found: dict[str, Found]) -> str:
    each = [f"{np.mean(one.broken):.1%}, {np.median(one.kept):.0%}" for one in found.values()]
    return f"| {cell.scorer} | {cell.prevalence:.3g} | {' | '.join(each)} |"


def _told(found: Found) -> dict[str, float]:
    return {"broken": float(np.mean(found.broken)), "kept": round(float(np.median(found.kept)), 3)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
