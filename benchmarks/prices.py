"""Is the way that `filter plan` recommends for prices the cheapest, and what is really spent on it?

The cells of `budget`. Each run draws a population, teaches a calibration with so many answers (a
third of them the best matches, the rest at random), and asks for the cheapest way, as `plan` does
with prices. All costs are in annotations, of the images that nobody answered to teach:

- recommended: the way chosen, its cost worked out with the true share of relevant images of each
  stratum instead of the forecast;
- optimum: the cheapest way of all for somebody who knows these shares;
- spent: the audit is begun with the prices, goes on until it holds and no more labels pay, and is
  applied with ask; labels, looks, annotations and misses are counted. An audit that asks on after
  3,000 labels is given up for labelling everything. Where the plan says that no audit pays, what it
  recommends is done.

Broken: a promise that the kept rows do not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.budget import Cell, Rows, cells
from benchmarks.machine import describe_machine
from service.relevance.definition import Target
from service.relevance.promise import audit as audits
from service.relevance.promise import plan
from service.relevance.promise.applying import (
    ASK,
    DROP,
    KEEP,
    Applied,
    decide,
    forecast,
    overruled,
    stand_at,
)
from service.relevance.promise.audit import Audit
from service.relevance.promise.auditing import costs, planned
from service.relevance.promise.martingale import Numbers
from service.relevance.promise.prices import Prices, Worth
from service.relevance.promise.promise import Chain, chains
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

LABEL_PRICES = (0.03, 0.1, 0.5)
LEAST_RATE = 1e-6
STEP, MOST_LABELS = 50, 3_000


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one run, in annotations."""

    annotate_everything: float
    label_everything: float
    recommended: float
    optimum: float
    spent: float
    broken: bool


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks prices", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each cell (default: 20)")
    parser.add_argument("--taught", type=int, default=150, help="answers before (default: 150)")
    parser.add_argument("--label-prices", nargs="+", type=float, default=LABEL_PRICES)
    parser.add_argument("--miss-price", type=float, default=0.0, help="(default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    arguments = parser.parse_args(argv)
    print("| scores, relevant, recall | label | annotate all | label all | optimum |"
          " recommended | more than the optimum | spent | more than the optimum |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    found: list[Spent] = []
    seen: set[str] = set()
    for cell in cells([]):
        if cell.name in seen:
            continue
        seen.add(cell.name)
        for label in arguments.label_prices:
            generator = np.random.default_rng([arguments.seed, *cell.name.encode()])
            prices = Prices.of(None, arguments.miss_price, label)
            runs = [_run(cell, prices, arguments.taught, generator) for _ in range(arguments.runs)]
            found += runs
            print(_line(cell, label, runs), flush=True)
    facts = {"hardware": describe_machine(), "runs": arguments.runs, "seed": arguments.seed}
    told = {
        "taught": arguments.taught,
        "recommended_more": round(_more(found, "recommended"), 4),
        "spent_more": round(_more(found, "spent"), 4),
        "broken": sum(run.broken for run in found),
    }
    print(json.dumps({**facts, **told}))
    return 0


def _run(cell: Cell, prices: Prices, taught: int, generator: np.random.Generator) -> Spent:
    relevant, scores = rows = cell.draw(generator)
    top = np.argsort(-scores, kind="stable")[: taught // 3]
    anywhere = generator.choice(len(scores), taught - len(top), replace=False)
    shown = np.unique(np.concatenate([top, anywhere]))
    said = {int(row) + 1: "yes" if relevant[row] else "no" for row in shown}
    calibration = Calibration.fit(scores[shown], relevant[shown])
    target = Target(cell.recall, None, 0.95)
    fresh = audits.begin(1, 1, target, Scored(np.arange(1, len(scores) + 1), scores), said)
    sizes, rates = fresh.sizes, forecast(fresh, calibration)
    chain = chains(target, sizes, fresh.known(said), fresh.design.delta(0.95))[0]
    chosen = costs(plan.options(sizes, rates, chain), sizes, rates, prices)
    inside = fresh.strata >= 0
    true = np.bincount(fresh.strata[inside], relevant[inside], len(sizes)) / sizes
    known = np.clip(true, LEAST_RATE, 1 - LEAST_RATE)
    best = costs(plan.options(sizes, known, chain), sizes, known, prices)
    annotate, label = best.annotate_everything, best.label_everything
    if chosen.cheapest == "line" and chosen.line is not None:
        recommended = _with_truth(
            fresh, chain, chosen.line.dropped, rates, known, prices.worth, label
        )
        audit = planned(fresh, calibration, said, worth=prices.worth)
        spent, broken = _audited(audit, said, rows, calibration, prices.worth, cell.recall)
        if spent is None:
            spent = label
    else:
        recommended = getattr(best, chosen.cheapest)
        spent, broken = recommended, False
    optimum = min(annotate, label, np.inf if best.line is None else best.line.cost)
    return Spent(annotate, label, recommended, optimum, spent, broken)


def _with_truth(
    audit: Audit,
    chain: Chain,
    dropped: int,
    rates: Numbers,
    known: Numbers,
    worth: Worth,
    label_everything: float,
) -> float:
    """What a line costs where `known` is true, and the kept are looked at by the forecast `rates`.
    A line that no audit settles ends with every image labelled.
    """
    sizes = audit.sizes
    option = next(each for each in plan.options(sizes, known, chain) if each.dropped == dropped)
    if option.labels >= sizes.sum():
        return label_everything
    kept = np.where(rates >= worth.unseen_from, 1.0, worth.label + known)
    upkeep = float((sizes * kept)[: option.cut].sum())
    missed = float((sizes * known)[option.cut :].sum())
    return worth.label * option.labels + upkeep + worth.miss * missed


def _audited(
    audit: Audit,
    said: dict[int, str],
    rows: Rows,
    calibration: Calibration | None,
    worth: Worth,
    recall: float,
) -> tuple[float | None, bool]:
    """What is spent until no more labels pay, and whether the promise was broken; None: it does not
    hold with as many labels as are given.
    """
    relevant, _ = rows
    count = min(MOST_LABELS, int(audit.sizes.sum()) - 1)
    drawn = audit.draws(count)[1].tolist()
    answers = said | {row: "yes" if relevant[row - 1] else "no" for row in drawn}
    looks = list(range(STEP, count + 1, STEP))
    standings = stand_at(looks, audit, answers, calibration)
    ended = [number for number, standing in enumerate(standings) if not standing.asks_on]
    if not ended:
        return None, False
    look, standing = looks[ended[0]], standings[ended[0]]
    applied = decide(standing, calibration, ask=True)
    assert isinstance(applied, Applied), "it holds, so it can be applied"
    heard = said | {row: answers[row] for row in drawn[:look]}
    decisions = overruled(audit, applied.decisions, heard)
    is_open = np.ones(len(relevant), bool)
    is_open[np.array(sorted(heard)) - 1] = False
    yes = sum(answers[row] == "yes" for row in drawn[:look])
    per_row = np.select(
        [decisions == KEEP, decisions == ASK, decisions == DROP],
        [np.ones(len(relevant)), worth.label + relevant, worth.miss * relevant],
    )
    kept = float((relevant & (decisions != DROP)).sum() / relevant.sum())
    spent = worth.label * look + yes + float(per_row[is_open].sum())
    return spent, kept < recall - 1e-9


def _line(cell: Cell, label: float, runs: Sequence[Spent]) -> str:
    def mean(name: str) -> str:
        return f"{np.mean([getattr(run, name) for run in runs]):,.0f}"

    shown = " | ".join(map(mean, ("annotate_everything", "label_everything", "optimum")))
    ends = [f"{mean(name)} | {_more(runs, name):+.1%}" for name in ("recommended", "spent")]
    return f"| {cell.name} | {label:g} | {shown} | {' | '.join(ends)} |"


def _more(runs: Sequence[Spent], name: str) -> float:
    """Than the optimum, as a share of it; the mean of the runs."""
    return float(np.mean([getattr(run, name) / run.optimum - 1 for run in runs]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
