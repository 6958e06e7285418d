"""May somebody skip a promise into being? Claims that are false by one row, weighed at every label.

Each run draws from a population of two strata, above and below a line, whose recall is one row
short of 0.9, with stakes that aim at the labels told (`goal.py`). Broken: the claim was believed.
Three people answer the same draws: one who skips nothing; one who skips a tenth of all images,
whatever they show; and one who knows all draws and answers beforehand: she tries skip after skip
and keeps each that lifts the largest capital, or else the last one.

No person may have so many broken runs that a one-sided binomial test against the chance of error
rejects at 0.001.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass

import numpy as np

from benchmarks.coverage import ALARM, p_value
from benchmarks.machine import describe_machine
from service.relevance.promise.goal import Goal
from service.relevance.promise.martingale import (
    NO,
    UNKNOWN,
    YES,
    Claims,
    Wholes,
    draw_strata,
    weigh,
)

CLAIM = Claims(np.array([[0.1, -0.9]]), np.zeros(1))
SHARES = np.array([0.3, 0.7])
DELTA = 0.04
PEOPLE = ("nothing", "a tenth", "knowing all draws")


@dataclass(frozen=True, slots=True)
class Cell:
    """Rows above and below the line, and how many of them are relevant."""

    rows: tuple[int, int]
    relevant: tuple[int, int]


# Recall 0.9 of 59 relevant rows may miss 5, of 201 rows 20, of 310 rows 31.
CELLS = (
    Cell((60, 140), (53, 6)),
    Cell((200, 300), (180, 21)),
    Cell((500, 700), (278, 32)),
)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks skips", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000, help="of each cell (default: 1,000)")
    parser.add_argument("--labels", type=int, default=120, help="told (default: 120)")
    parser.add_argument("--tries", type=int, default=5, help="skips tried, a run (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    arguments = parser.parse_args(argv)
    print("| rows above, below | broken, skipping " + " | ".join(PEOPLE) + " | skips kept |")
    print("|---|" + "---|" * (len(PEOPLE) + 1))
    alarms, told = 0, []
    for number, cell in enumerate(CELLS):
        generator = np.random.default_rng([arguments.seed, number])
        runs = [
            run(cell, arguments.labels, arguments.tries, generator) for _ in range(arguments.runs)
        ]
        best, kept = zip(*runs, strict=True)
        broken = (np.array(best) >= -np.log(DELTA)).sum(axis=0).tolist()
        alarms += sum(p_value(each, len(runs), DELTA) < ALARM for each in broken)
        shown = " | ".join(f"{each} of {len(runs):,}" for each in broken)
        print(f"| {cell.rows[0]}, {cell.rows[1]} | {shown} | {sum(kept):,} |", flush=True)
        told.append(dict(zip(PEOPLE, broken, strict=True)))
    facts = {"hardware": describe_machine(), **vars(arguments), "level": DELTA}
    print(json.dumps({**facts, "broken": told}))
    return 1 if alarms else 0


def run(
    cell: Cell, labels: int, tries: int, generator: np.random.Generator
) -> tuple[tuple[float, float, float], int]:
    """The log of the largest capital by each person, and the skips that the last one kept."""
    sizes = np.array(cell.rows)
    strata = draw_strata(sizes, SHARES, generator.random(labels))
    truth = [
        generator.permutation(np.arange(n) < yes)
        for n, yes in zip(cell.rows, cell.relevant, strict=True)
    ]
    said = np.empty(labels, np.int64)
    for stratum, rows in enumerate(truth):
        drawn = strata == stratum
        said[drawn] = np.where(rows[: drawn.sum()], YES, NO)
    goal = Goal(labels, DELTA, np.array(cell.relevant) / sizes, np.zeros(1))

    def capital(heard: Wholes) -> tuple[float, float]:
        found = weigh(sizes, SHARES, strata, heard.tolist(), CLAIM, goal=goal)
        return round(float(found.best[0]), 9), round(float(found.now[0]), 9)

    plain = capital(said)
    by_chance = capital(np.where(generator.random(labels) < 0.1, UNKNOWN, said))
    heard, most, kept = said, plain, 0
    # A skip of what speaks against the claim anyhow changes nothing.
    others = np.flatnonzero(said == np.where(strata == 0, YES, NO))
    for at in generator.permutation(others)[:tries].tolist():
        other = heard.copy()
        other[at] = UNKNOWN
        if (more := capital(other)) > most:
            heard, most, kept = other, more, kept + 1
    return (plain[0], by_chance[0], most[0]), kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
