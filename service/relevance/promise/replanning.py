"""How the draws of an audit with a budget are shared out anew, once answers are there.

Before an audit little is known: a calibration that a few dozen answers taught, most of them of the
best matches. So `budget.py` plans for many forecasts, and for none of them well. At a few looks,
fixed with the audit, the answers that are there teach more, and the draws that are left are shared
out by them. Whatever is chosen is fixed before the next draw is looked at, by answers to draws
before it: so the chances of each draw are known before it is made, which is all that
`martingale.py` asks of them. A poor choice costs labels, never the promise. It is written down
before the first row that is drawn by it is shown (`shares.py`), so an answer that is taken back
later changes no draw.

At a look the calibration is fitted on all answers. With p the rate that it expects of a stratum, d
the answers to draws from it and y those that were yes, the rate is taken to be

    (A p + y) / (A + d),

made to fall from stratum to stratum by isotonic regression, weighted by A + d. About these rates
there are nine forecasts; the moves shrink with the root of the relevant rows found. Each way to
share out what is left is judged as `budget.py` does it, from what each line's gambler holds by now
and from the draws and rows that are left: the draws in proportion to the rows, and those for two
lines each. The best takes 0.9 of the draws and the first plan 0.1, so that no stratum is ever left
out; and only where it is expected to keep GAIN of the rows less than going on as before.

Why looks at all: even draws keep least where five in a hundred rows are relevant and the scorer is
good, and promise nothing where one is. The forecasts before the audit cannot tell the two apart; a
tenth of its labels often can. Measured by `python -m benchmarks budget`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from service.relevance.promise.applying import forecast, goals_of
from service.relevance.promise.audit import ANSWERED, Audit
from service.relevance.promise.budget import Held, chances, forecasts, kept, pairs
from service.relevance.promise.martingale import Evidence, Numbers, Wholes, parts_for, weigh
from service.relevance.promise.plan import shares_for
from service.relevance.promise.promise import Chain, Known, chains
from service.relevance.promise.shares import Shares, mark_of
from service.relevance.scoring.calibration import Calibration

# Of the labels granted, where draws are shared out anew.
LOOKS = (1 / 10, 1 / 5, 1 / 3, 1 / 2, 2 / 3)
FEWEST = 20  # labels at the first look, below which nothing is learnt
PRIOR_ANSWERS = 5.0  # A: what a stratum's expected rate weighs, in answers
SLOPES = (0.75, 1.0, 1.35)
MOVES = (-0.7, 0.0, 0.7)  # of the log-odds, where SURE relevant rows were found
SURE = 20.0
NEW = 0.9  # of the draws are shared out anew, the others as at first
GAIN = 0.02  # of the rows, that another way must be expected to keep less
# Of the wanted capital that a gambler holds, what counts: the mixture's part does not aim.
AIMED = 0.85


def looks(budget: int, rows: int) -> tuple[int, ...]:
    """The draws, rising, from each of which on they may be shared out anew.

    :param budget: labels granted; rows: that may be drawn.
    """
    found = sorted({int(budget * part) for part in LOOKS})
    return tuple(each for each in found if FEWEST <= each < min(budget, rows))


def shares_anew(
    audit: Audit, calibration: Calibration | None, answers: Mapping[int, str]
) -> Shares:
    """Those from the audit's next look on.

    :param audit: one with a look to come (`Audit.decided` is its draw).
    :param calibration: the one that the audit was begun with.
    :param answers: row_id -> yes, no, skip or conflict; only those to the draws up to the look
        count, and to rows that were answered before the audit.
    """
    design, first = audit.design, audit.decided
    strata, rows = audit.draws(first)
    said = np.array([answers.get(row_id, "") for row_id in rows.tolist()], object)
    count = len(design.sizes)
    settled = np.isin(said, ["yes", "no"])
    drawn = np.bincount(strata[settled], minlength=count)
    relevant = np.bincount(strata[said == "yes"], minlength=count)
    now = audit.later[-1].shares if audit.later else design.shares
    shares = np.array(now)
    if drawn.any():
        rates = _learnt(audit, calibration, answers, rows, drawn, relevant)
        shares = _chosen(audit, calibration, answers, rates, shares)
    return Shares(
        look=len(audit.later) + 1,
        first=first,
        answers=int(drawn.sum()),
        shares=tuple(float(share) for share in shares),
        of=mark_of(design.seed, audit.later),
    )


def _learnt(
    audit: Audit,
    calibration: Calibration | None,
    answers: Mapping[int, str],
    rows: Wholes,
    drawn: Wholes,
    relevant: Wholes,
) -> Numbers:
    """float64, (strata,), in (0, 1), falling: the rates by all answers.

    :param rows: row_ids drawn by now; drawn, relevant: (strata,), answered yes or no, and yes.
    """
    from scipy.optimize import isotonic_regression

    at, row_ids = audit.answered(
        {row: said for row, said in answers.items() if said in ("yes", "no")}
    )
    counts = (audit.strata[at] == ANSWERED) | np.isin(row_ids, rows)
    is_yes = np.array([answers[row_id] == "yes" for row_id in row_ids[counts].tolist()], bool)
    fitted = Calibration.fit(audit.scores[at[counts]], is_yes)
    expected = forecast(audit, fitted or calibration)
    weights = PRIOR_ANSWERS + drawn
    rates = (PRIOR_ANSWERS * expected + relevant) / weights
    falling = isotonic_regression(rates, weights=weights, increasing=False).x
    return np.asarray(np.clip(falling, 1e-5, 1 - 1e-5))


def _chosen(
    audit: Audit,
    calibration: Calibration | None,
    answers: Mapping[int, str],
    rates: Numbers,
    now: Numbers,
) -> Numbers:
    """float64, (strata,), sum 1: the chance of each stratum a draw from now on.

    :param rates: (strata,), by all answers; now: (strata,), the chances by now.
    """
    design, sizes = audit.design, audit.sizes
    delta = design.delta(design.target.confidence)
    chain = chains(design.target, sizes, audit.known(answers), delta)[0]
    evidence = _evidence(audit, calibration, answers, chain)
    taken = np.bincount(audit.draws(audit.decided)[0], minlength=len(sizes))
    left = sizes - taken
    to_come = (design.budget or 0) - audit.decided
    found = int(evidence.relevant.sum())
    moves = [move * min(1.0, SURE / (found + 1)) ** 0.5 for move in MOVES]
    likely = forecasts(sizes, rates, SLOPES, moves)
    held, first = _held(chain, evidence), np.array(design.shares)

    def keeps(shares: Numbers) -> float:
        return kept(sizes, chain, chances(left, shares, likely, chain, to_come, held))

    there = np.maximum(left, 1e-9)
    ways = [left / left.sum(), *(shares_for(there, rates, *pair) for pair in pairs(chain))]
    mixed = [NEW * way + (1 - NEW) * first for way in ways]
    expected = [keeps(way) for way in mixed]
    best = int(np.argmin(np.round(expected, 6)))
    return mixed[best] / mixed[best].sum() if expected[best] < keeps(now) - GAIN else now


def _evidence(
    audit: Audit, calibration: Calibration | None, answers: Mapping[int, str], chain: Chain
) -> Evidence:
    """What the answers so far say, as `applying.stand` weighs them."""
    design, said = audit.design, audit.prefix(answers)
    delta, rates = design.delta(design.target.confidence), forecast(audit, calibration)
    frozen = chains(design.target, audit.sizes, Known(0, 0), delta)[0]
    parts = parts_for(audit.sizes, audit.shares, rates, frozen.claims)
    strata, shares = audit.draws(len(said))[0], audit.shares_of(len(said))
    goal = goals_of(audit, rates)[0]
    return weigh(audit.sizes, shares, strata, said, chain.claims, parts, goal)


def _held(chain: Chain, evidence: Evidence) -> Held:
    lines = slice(chain.first_of_target(), None)
    part = np.clip(AIMED * np.exp(evidence.now[lines]) * chain.delta, 1e-12, 1 - 1e-9)
    holds = evidence.holds(np.full(len(chain.claims), chain.delta))[lines]
    return Held(evidence.known[lines], part, holds)
