"""Is a promise for every group kept, and what does it cost?

First, audits of three groups of 60, 30 and 10 % of 600 rows, a quarter of them relevant, at a
confidence of 0.8, looked at every 40 labels up to 480. In the groups named a relevant row too many
lies below every line, so whatever is promised is broken: counted is whether a promise held at any
look whose line misses too many of a group, and whether such a group was ever in the list of those
that hold. A first audit may break 16 %.

Then the labels until a third of the strata lies below a line that holds for all groups, of 10,000
rows with the scores "good" of `coverage`, after 150 answers that teach.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import p_value, population
from benchmarks.machine import describe_machine
from service.relevance.definition import Target
from service.relevance.promise import audit as audits
from service.relevance.promise.applying import stand
from service.relevance.promise.audit import Audit, Grouped
from service.relevance.promise.auditing import planned
from service.relevance.promise.groups import found_of
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

ROWS, PARTS, RECALL, CONFIDENCE = 600, (0.6, 0.3, 0.1), 0.9, 0.8
LEVEL = 0.8 * (1 - CONFIDENCE)  # what a first audit may spend
SHORT = {"the smallest group": [2], "the largest group": [0], "all three": [0, 1, 2]}
LOOKS = range(40, 481, 40)
ALARM = 0.001
COSTLY_ROWS, PREVALENCES, GROUPS = 10_000, (0.2, 0.05), (1, 3, 10)


@dataclass(frozen=True, slots=True)
class Rows:
    """What is audited, and what is true."""

    relevant: NDArray[np.bool_]
    scores: NDArray[np.float32]
    of_group: NDArray[np.int16]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks groups", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000, help="a row short (default: 1,000)")
    parser.add_argument("--cost-runs", type=int, default=10, help="of each cost (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the populations (default: 0)")
    arguments = parser.parse_args(argv)
    generator = np.random.default_rng(arguments.seed)
    print("| a row short in | promise broken | wrongly listed |\n|---|---|---|")
    alarms = 0
    for name, short in SHORT.items():
        found = [_short_by_one(short, generator) for _ in range(arguments.runs)]
        broken, listed = np.array(found).sum(axis=0).tolist() if found else (0, 0)
        for count in (broken, listed):
            alarms += bool(found) and p_value(count, arguments.runs, LEVEL) < ALARM
        print(f"| {name} | {broken} of {arguments.runs:,} | {listed} |", flush=True)
    print("\n| relevant | groups | labels |\n|---|---|---|")
    for prevalence in PREVALENCES:
        for groups in GROUPS:
            labels = [_labels(prevalence, groups, generator) for _ in range(arguments.cost_runs)]
            print(f"| {prevalence:g} | {groups} | {np.mean(labels):,.0f} |", flush=True)
    print(json.dumps({"hardware": describe_machine(), "seed": arguments.seed}))
    return 1 if alarms else 0


def _short_by_one(short: list[int], generator: np.random.Generator) -> tuple[bool, bool]:
    """Whether a promise was broken at any look, and a group wrongly listed."""
    of_group = generator.choice(len(PARTS), ROWS, p=PARTS).astype(np.int16)
    relevant = generator.random(ROWS) < 0.25
    scores = (generator.normal(size=ROWS) + 2.5 * relevant).astype(np.float32)
    for group in short:
        mine = np.flatnonzero(relevant & (of_group == group))
        odd = mine[: int((1 - RECALL) * len(mine) + 1e-9) + 1]
        scores[odd] = -9 - generator.random(len(odd))
    shown = generator.choice(ROWS, 40, replace=False)
    rows = Rows(relevant, scores, of_group)
    audit, said, calibration = _audit(rows, shown, len(PARTS), CONFIDENCE)
    drawn = audit.draws(max(LOOKS))[1].tolist()
    is_broken = is_listed = False
    for look in LOOKS:
        answers = said | {row: "yes" if relevant[row - 1] else "no" for row in drawn[:look]}
        standing = stand(audit, answers, calibration)
        if standing.cuts is not None:
            is_broken |= bool((_kept(audit, rows, standing.cuts[1]) < RECALL - 1e-9).any())
        wide = _kept(audit, rows, standing.chains[0].cuts[0])
        listed = [group.holds for group in found_of(standing.groups, RECALL)]
        is_listed |= bool((np.array(listed) & (wide < RECALL - 1e-9)).any())
    return is_broken, is_listed


def _kept(audit: Audit, rows: Rows, cut: int) -> NDArray[np.float64]:
    """float64, (groups,): the recall of a line by the score alone, as the claim has it."""
    above = (audit.strata < cut) & rows.relevant
    every = np.bincount(rows.of_group[rows.relevant], minlength=len(PARTS))
    return np.bincount(rows.of_group[above], minlength=len(PARTS)) / np.maximum(every, 1)


def _labels(prevalence: float, groups: int, generator: np.random.Generator) -> int:
    relevant, scores = population("good", prevalence, COSTLY_ROWS, generator)
    of_group = generator.integers(0, groups, COSTLY_ROWS).astype(np.int16)
    top = np.argsort(-scores, kind="stable")[:50]
    anywhere = generator.choice(COSTLY_ROWS, 100, replace=False)
    shown = np.unique(np.concatenate([top, anywhere]))
    rows = Rows(relevant, scores, of_group)
    audit, said, calibration = _audit(rows, shown, groups, 0.95)
    drawn = audit.draws(COSTLY_ROWS)[1].tolist()
    looks: list[int] = [*range(50, 1_000, 50), *range(1_000, COSTLY_ROWS, 250)]
    for look in looks:
        answers = said | {row: "yes" if relevant[row - 1] else "no" for row in drawn[:look]}
        cuts = stand(audit, answers, calibration).cuts
        if cuts is not None and cuts[1] <= len(audit.sizes) * 2 // 3:
            return look
    return COSTLY_ROWS


def _audit(
    rows: Rows, shown: NDArray[np.int64], groups: int, confidence: float
) -> tuple[Audit, dict[int, str], Calibration | None]:
    """An audit of these groups (1: of all rows alone), what was answered before, and what that
    taught.
    """
    said = {int(row) + 1: "yes" if rows.relevant[row] else "no" for row in shown}
    calibration = Calibration.fit(rows.scores[shown], rows.relevant[shown])
    names = tuple(str(number) for number in range(groups))
    grouped = None if groups == 1 else Grouped("camera", names, rows.of_group)
    scored = Scored(np.arange(1, len(rows.scores) + 1), rows.scores)
    target = Target(RECALL, None, confidence)
    fresh = audits.begin(1, 1, target, scored, said, grouped=grouped)
    return planned(fresh, calibration, said), said, calibration


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
