"""Is a promise that follows the lake kept, and how many labels does it save?

First, populations of 480 rows in eight strata and 60 more that came, a recall of 0.9 at a
confidence of 0.8; a first audit may break 16 %. A relevant row too many lies just below a line, so
that this line and all stricter ones are false, and those above it are true. Where the misses are
differs: all among the new rows, all among the old ones, half and half, or all but two among the
old. The old check is left at its luckiest look of 400 labels. Broken: at any look at the new rows
every line down to the false one holds. In the last row the rows that came are chosen after looking
at the old answers, so that the luckiest line is the false one: this is NOT covered by the proof,
and shows what it would cost.

Then the same by the product's own way, from an audit that is planned and begun to one that follows
it, with 480 rows, 60 that come and, in one case, 40 more: one relevant row too many lies below a
line. The audit is left at the look, of those where that line holds, at which its capital is the
largest; every row that came is answered. Broken: that line, or a stricter one, holds at any look.
Misses are among the new rows; among the old; half and half in two pieces; or the population falls
short as kept relevant rows go, or as they are skipped and go.

Then the labels until no more of them pay, as the product asks for them: of an audit of 10,000 rows
with the scores "good" of `coverage`, taught with 150 answers; of the same audit after 1,000 more of
the same kind came; and of one begun anew over all 11,000, taught with every answer so far and with
a first audit's chance of error, though a second one has but a fifth of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import p_value, population
from benchmarks.machine import describe_machine
from service.relevance.definition import Target
from service.relevance.promise import audit as audits
from service.relevance.promise import following, plan
from service.relevance.promise.applying import KEEP, Applied, decide, overruled, stand, stand_at
from service.relevance.promise.audit import Audit
from service.relevance.promise.auditing import planned
from service.relevance.promise.follow import Drawn, Stake, follow
from service.relevance.promise.martingale import (
    NO,
    STAKES,
    YES,
    Claims,
    Evidence,
    Numbers,
    Wholes,
    draw_strata,
    parts_for,
    weigh_at,
)
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

RECALL, LEVEL = 0.9, 0.16
OLD, NEW, STRATA = 60, np.array([8, 8, 8, 8, 7, 7, 7, 7]), 8  # rows of a stratum
LINE = 3  # strata above the false line
RELEVANT_OLD, RELEVANT_NEW = 100, 16  # above it
LOOKS = list(range(20, 401, 20))
CASES = ("new", "old", "split", "all but two old", "chosen after looking")
WHOLE = ("new", "old", "two pieces", "gone", "skipped and gone")
ALARM = 0.001
MOST_FIRST, LOOK_EVERY, TARGET = 400, 10, Target(RECALL, None, 1 - LEVEL / 0.8)
ROWS, CAME, PREVALENCES = 10_000, 1_000, (0.2, 0.05)
EVERY = 10  # labels between two looks at what pays; of what follows ten times as many from 100 on


@dataclass(frozen=True, slots=True)
class _Rows:
    sizes: Wholes
    shares: Numbers
    strata: Wholes
    answers: list[int]

    def first(self, count: int) -> Drawn:
        return Drawn(self.sizes, self.shares, self.strata[:count], self.answers[:count])


def _drawn(
    sizes: Wholes, relevant: list[NDArray[np.bool_]], generator: np.random.Generator
) -> _Rows:
    """All rows in a random order, as an audit that aims at LINE draws them."""
    shares = sizes * np.where(np.arange(STRATA) < LINE, 0.3, 1.0)
    shares = shares / shares.sum()
    strata = draw_strata(sizes, shares, generator.random(int(sizes.sum())))
    at, answers = np.zeros(STRATA, int), []
    for stratum in strata.tolist():
        answers.append(YES if relevant[stratum][at[stratum]] else NO)
        at[stratum] += 1
    return _Rows(sizes, shares, strata, answers)


def _relevant(
    sizes: Wholes, above: int, missed: dict[int, int], generator: np.random.Generator
) -> list[NDArray[np.bool_]]:
    """Of each stratum: so many relevant rows above LINE, best strata first, and those missed."""
    found = [np.zeros(size, bool) for size in sizes.tolist()]
    for stratum in range(LINE):
        count = min(above, int(sizes[stratum]) - 2)
        found[stratum][:count] = True
        above -= count
    for stratum, count in missed.items():
        found[stratum][:count] = True
    for each in found:
        generator.shuffle(each)
    return found


def _gain(cut: int) -> Numbers:
    return np.where(np.arange(STRATA) < cut, 1 - RECALL, -RECALL)


def _stake(rows: _Rows, gain: Numbers, slack: float) -> Stake:
    """As a planner stakes that knows about what is there, and hopes for a bit less missed."""
    rates = np.where(np.arange(STRATA) < LINE, 0.5, 0.02)
    parts = parts_for(rows.sizes, rows.shares, rates, Claims(gain[None], np.array([slack])))
    return Stake(0.0, parts[0])


def broken(case: str, generator: np.random.Generator) -> bool:
    """Whether a promise that is a row short was ever made."""
    old_sizes = np.full(STRATA, OLD)
    misses = int((RELEVANT_OLD + RELEVANT_NEW) * (1 - RECALL) / RECALL + 1e-9) + 1
    if case == "chosen after looking":
        return _broken_by_choice(old_sizes, misses, generator)
    old = {"new": 0, "old": misses, "split": misses // 2, "all but two old": misses - 2}[case]
    new = misses - old
    spread = {LINE: min(new, int(NEW[LINE])), LINE + 1: max(0, new - int(NEW[LINE]))}
    parts = [
        _drawn(sizes, _relevant(sizes, above, missed, generator), generator)
        for sizes, above, missed in (
            (old_sizes, RELEVANT_OLD, {LINE: old}),
            (NEW, RELEVANT_NEW, spread),
        )
    ]
    return _is_believed(parts, range(LINE, STRATA))


def _broken_by_choice(old_sizes: Wholes, misses: int, generator: np.random.Generator) -> bool:
    """The old misses lie in several strata; those that came make the luckiest line false."""
    spread = {LINE: 3, LINE + 1: 3, LINE + 2: 2}
    old = _drawn(old_sizes, _relevant(old_sizes, RELEVANT_OLD, spread, generator), generator)
    cuts = range(LINE, LINE + 3)
    lucky = [
        max(float(each.now[0]) for each in _evidence(old, cut))
        - 0.02 * (cut - LINE)  # of equal ones the strictest
        for cut in cuts
    ]
    cut = cuts[int(np.argmax(lucky))]
    below = sum(count for stratum, count in spread.items() if stratum >= cut)
    above = RELEVANT_OLD + sum(spread.values()) - below + RELEVANT_NEW
    short = int(above * (1 - RECALL) / RECALL + 1e-9) + 1 - below
    new = {cut: min(short, int(NEW[cut])), cut + 1: max(0, short - int(NEW[cut]))}
    came = _drawn(NEW, _relevant(NEW, RELEVANT_NEW, new, generator), generator)
    return _is_believed([old, came], range(cut, STRATA))


def _evidence(old: _Rows, cut: int) -> list[Evidence]:
    even = np.full((1, len(STAKES)), 1 / len(STAKES))
    claims = Claims(_gain(cut)[None], np.zeros(1))
    first = old.answers[: LOOKS[-1]]
    return weigh_at(LOOKS, old.sizes, old.shares, old.strata, first, claims, even)


def _is_believed(parts: list[_Rows], cuts: range) -> bool:
    """Whether every line down to the first of these cuts holds at one look."""
    old, new = parts
    evidence = [float(each.now[0]) for each in _evidence(old, cuts[0])]
    count = LOOKS[int(np.argmax(evidence))]
    drawn = [old.first(count), new.first(len(new.answers))]
    for cut in cuts:  # the false one first: it holds least often
        gain = _gain(cut)
        stakes = [_stake(old, gain, 0.0), _stake(new, gain, 2.0)]
        if follow(drawn, stakes, gain, 0.0).best < -np.log(LEVEL):
            return False
    return True


def whole(case: str, generator: np.random.Generator) -> tuple[bool, bool]:
    """(whether the line held in the first audit, whether a promise that follows is broken)."""
    scores = np.linspace(1, 0, 480).astype(np.float32)
    came = generator.permutation(scores)[:100]
    every = Scored(np.arange(1, 581), np.concatenate([scores, came]))
    old, first = np.arange(580) < 480, np.arange(580) < 540
    audit = audits.begin(1, 1, TARGET, Scored(every.row_ids[old], every.scores[old]), {})
    audit = planned(audit, None, {})
    strata = np.searchsorted(-np.array(audit.design.edges), -every.scores, side="left")
    line = len(audit.sizes) // 2
    above, below = strata < line, np.isin(strata, [line, line + 1])
    there = np.ones(580, bool) if case == "two pieces" else first
    relevant = np.zeros(580, bool)
    relevant[_some(above & old, 90, generator)] = True
    relevant[_some(above & there & ~old, min(10, int((above & there & ~old).sum())), generator)] = (
        True
    )
    went = np.zeros(580, bool)
    if "gone" in case:
        went[_some(above & old & relevant, 45, generator)] = True
    kept = int((relevant & above & there & ~went).sum())
    misses = int(kept * (1 - RECALL) / RECALL + 1e-9) + 1
    in_old = {"new": 0, "two pieces": misses // 3}.get(case, misses)
    in_new = min(misses - in_old, int((below & first & ~old).sum()))
    later = misses - in_old - in_new
    if case == "two pieces":
        in_new, later = (misses - in_old + 1) // 2, (misses - in_old) // 2
    for rows, count in ((old, in_old), (first & ~old, in_new), (there & ~first, later)):
        free = below & rows
        if int(free.sum()) < count:  # they lie farther below then
            free = ~above & rows
        relevant[_some(free, count, generator)] = True

    def heard(audit: Audit, count: int, said: dict[int, str]) -> dict[int, str]:
        told = _answered(audit, count, relevant, said)
        if case == "skipped and gone":
            told |= {row: "skip" for row in told if went[row - 1] and relevant[row - 1]}
        return told

    said = heard(audit, MOST_FIRST, {})
    looks = list(range(LOOK_EVERY, MOST_FIRST + 1, LOOK_EVERY))
    best, worth = None, -np.inf
    for look, standing in zip(looks, stand_at(looks, audit, said, None), strict=True):
        chain, evidence = standing.chains[0], standing.evidence[0]
        number = chain.cuts.index(line, chain.first_of_target())
        if chain.reached(evidence) > number and evidence.now[number] > worth:
            best, worth = look, float(evidence.now[number])
    if best is None:
        return False, False  # what follows names no line that is stricter than the audit's
    said = heard(audit, best, {})
    now: Audit = audit
    for piece in (first, there) if case == "two pieces" else (there,):
        standing = stand(now, said, None)
        cut = standing.best_cut(standing.chains[0], standing.evidence[0])
        if cut is None:
            return True, False
        here = piece & ~went
        rates = plan.learned(standing.rates, standing.evidence[0])
        scored = Scored(every.row_ids[here], every.scores[here])
        now = following.begin(now, 2, scored, said, cut, rates)
        said = heard(now, len(now.order[0]), said)
    standing = stand(now, said, None)
    cut = standing.best_cut(standing.chains[0], standing.evidence[0])
    if cut is None:
        return True, False
    held = relevant[now.row_ids - 1]
    return True, bool(held[now.strata < cut].sum() < RECALL * held.sum() - 1e-9)


def _some(
    among: NDArray[np.bool_], count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    return generator.permutation(np.flatnonzero(among))[:count]


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one lake: labels of the audit, of what follows, and of a new one; what is dropped then."""

    first: int
    follows: int
    anew: int
    follows_drops: int
    anew_drops: int
    is_broken: bool  # the promise that follows


def cost(prevalence: float, generator: np.random.Generator) -> _Cost | None:
    """None: the first audit never held."""
    relevant, scores = population("good", prevalence, ROWS + CAME, generator)
    row_ids = np.arange(1, ROWS + CAME + 1)
    top = np.argsort(-scores[:ROWS], kind="stable")[:20]
    shown = np.unique(np.concatenate([top, generator.choice(ROWS, 130, replace=False)]))
    said = {int(row) + 1: "yes" if relevant[row] else "no" for row in shown}
    calibration = Calibration.fit(scores[shown], relevant[shown])
    target = Target(RECALL, None, 0.95)
    fresh = audits.begin(1, 1, target, Scored(row_ids[:ROWS], scores[:ROWS]), said)
    audit = planned(fresh, calibration, said)
    first = _until_no_more_pay(audit, said, relevant, calibration)
    if first is None:
        return None
    said = _answered(audit, first, relevant, said)
    standing = stand(audit, said, calibration)
    cut = standing.best_cut(standing.chains[0], standing.evidence[0])
    assert cut is not None
    rates = plan.learned(standing.rates, standing.evidence[0])
    every = Scored(row_ids, scores)
    follows = following.begin(audit, 2, every, said, cut, rates)
    # From what was answered before on, a look at a time.
    more = 0
    heard = said
    while stand(follows, heard, calibration).asks_on and more < CAME:
        more = min(more + (EVERY if more < 10 * EVERY else 10 * EVERY), CAME)
        heard = _answered(follows, first + more, relevant, said)
    found = decide(stand(follows, heard, calibration), calibration)
    kept = None
    if isinstance(found, Applied):
        kept = overruled(follows, found.decisions, heard) == KEEP
    at = np.array(list(said)) - 1
    learned = Calibration.fit(scores[at], relevant[at])
    begun = planned(audits.begin(1, 2, target, every, said), learned, said)
    anew = _until_no_more_pay(begun, said, relevant, learned)
    other = _answered(begun, anew or 0, relevant, said)
    drops = stand(begun, other, learned).drops(other)
    return _Cost(
        first=first,
        follows=more,
        anew=ROWS + CAME if anew is None else anew,
        follows_drops=0 if kept is None else int((~kept).sum()),
        anew_drops=drops or 0,
        is_broken=kept is not None
        and bool((kept & relevant).sum() < RECALL * relevant.sum() - 1e-9),
    )


def _answered(
    audit: Audit, count: int, relevant: NDArray[np.bool_], said: dict[int, str]
) -> dict[int, str]:
    rows = audit.draws(count)[1].tolist()
    return said | {row: "yes" if relevant[row - 1] else "no" for row in rows}


def _until_no_more_pay(
    audit: Audit,
    said: dict[int, str],
    relevant: NDArray[np.bool_],
    calibration: Calibration | None,
) -> int | None:
    """How many labels; None: more than 5,000."""
    for start in range(0, 5_000, 10 * EVERY):
        looks = list(range(start + EVERY, start + 10 * EVERY + 1, EVERY))
        heard = _answered(audit, looks[-1], relevant, said)
        for look, standing in zip(looks, stand_at(looks, audit, heard, calibration), strict=True):
            if not standing.asks_on:
                return look
    return None


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks follow", description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000, help="a row short (default: 2,000)")
    parser.add_argument("--whole", nargs="*", default=WHOLE, choices=WHOLE, help="(default: all)")
    parser.add_argument("--whole-runs", type=int, default=400, help="of each (default: 400)")
    parser.add_argument("--cost-runs", type=int, default=20, help="of each cost (default: 20)")
    parser.add_argument("--cases", nargs="*", default=CASES, choices=CASES, help="(default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the populations (default: 0)")
    arguments = parser.parse_args(argv)
    print("| misses | promise broken | may be |\n|---|---|---|")
    alarms = 0
    for case in arguments.cases:
        generator = np.random.default_rng([arguments.seed, CASES.index(case)])
        count = sum(broken(case, generator) for _ in range(arguments.runs))
        alarms += p_value(count, arguments.runs, LEVEL) < ALARM and case != CASES[-1]
        print(
            f"| {case} | {count} of {arguments.runs:,} | {LEVEL * arguments.runs:.0f} |", flush=True
        )
    print("\n| the whole way: misses | held before | promise broken | may be |\n|---|---|---|---|")
    for case in arguments.whole:
        generator = np.random.default_rng([arguments.seed, 100 + WHOLE.index(case)])
        pairs = [whole(case, generator) for _ in range(arguments.whole_runs)]
        held, count = (sum(each) for each in zip(*pairs, strict=True))
        alarms += p_value(count, arguments.whole_runs, LEVEL) < ALARM
        runs = f"{arguments.whole_runs:,}"
        print(
            f"| {case} | {held} of {runs} | {count} | {LEVEL * arguments.whole_runs:.0f} |",
            flush=True,
        )
    print("\n| relevant | runs | first audit | follows | anew | dropped, follows | anew | broken |")
    print("|---|---|---|---|---|---|---|---|")
    costs = {}
    for prevalence in PREVALENCES:
        generator = np.random.default_rng([arguments.seed, int(prevalence * 100)])
        tried = [cost(prevalence, generator) for _ in range(arguments.cost_runs)]
        costs[prevalence] = found = [each for each in tried if each is not None]
        if found:
            told = [
                f"{np.median([getattr(each, name) for each in found]):,.0f}"
                for name in ("first", "follows", "anew", "follows_drops", "anew_drops")
            ]
            count = sum(each.is_broken for each in found)
            print(f"| {prevalence:g} | {len(found)} | {' | '.join(told)} | {count} |", flush=True)
    facts = {f"{each:g}": [asdict(one) for one in found] for each, found in costs.items()}
    print(json.dumps({"costs": facts}))
    print(json.dumps({"hardware": describe_machine(), "alarms": alarms}))
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
