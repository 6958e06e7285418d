"""A promise that follows the lake: images came and went since an audit, and its labels go on
counting. Only the images that came are drawn from.

Pure numbers: knows nothing of rows or filters.

*What is tested.* The scorer, the strata and a line stay as they were. Recall R on the images that
are there now says D >= 0 of D = (1 - R) * (relevant and kept) - R * (relevant and missed). The
images are the audit's population, part 0, and what came with each later look at the lake, parts 1,
2 ..., less those that went:

    D = x_0 + x_1 + ... + x_J - loss,

x_j being the same sum over all of part j, whether its rows went or not, and the loss that sum over
those that went. A row that went counts at its worst: it was kept and relevant, (1 - R), unless
people said no to it when the audit asked; one that people said yes to and that was missed gives R
back. (A skip says nothing.) So the loss is known and at least the true one, whichever rows went.

*The evidence.* Each part has a martingale of its own (`martingale.py`). Let E_j(a) be its capital
against x_j >= a. For a fixed stake it never rises with a: a draw multiplies it by 1 + k (Z - a) /
(a - Zmin), and (Z - a) / (a - Zmin) falls with a, since Z >= Zmin. So it is with a mixture of
stakes, and with any stake that is the same for all a and known before its draw: the goal's stakes
come from the path at a = 0. (A claim that is certain has an infinite capital.) At the truth,
E_j(x_j) is a capital of a fair game, or of a worse one: an answer that is unknown counts as what
hurts most, while x_j stays what it is, whoever chose what to skip. The draws of part j + 1 begin
when part j has been left as it is, so the product

    M = E_0(x_0) * E_1(x_1) * ... * E_J(x_J)

is the capital of one fair game, played on part after part, whatever was known when each part was
taken: it ever reaches 1 / delta with at most the chance delta. Nobody knows the x_j. But where the
claim is false they add up to less than the loss, so M is at least

    V = the least product of E_j(a_j) over all a_0 + ... + a_J <= loss,

and to believe the claim once V >= 1 / delta errs with at most the chance delta. That holds at every
look while the last part is drawn from; the parts before it count with the capital that they had
when the next one began, not with their best. V is bounded from below on a grid: where a_j lies
between two points, E_j at the upper one is no more than E_j(a_j), and the sum of the lower points
is no more than the sum of the a_j. (Where the claim is false the a_j may be taken a little above
the x_j, so that none of the E_j is one of a certain claim.)

CASH of each part's capital stays unstaked, so that a part of which much is not known takes no more
than log(1 / CASH) from what the others have shown.

*The line was chosen by looking.* An audit tests its lines from the most generous to the strictest,
each only where all before it hold; the first false one of that order has to be believed before any
false one is, and it is a property of the population, not of the draws (`promise.py`). A promise
that follows is held to the same order, over the same lines, for the images that are there now:
every line from the most generous to the one that is named has to reach V >= 1 / delta by the
product, with the old capital as it is and no credit for having been believed before. Which of these
lines is the first false one follows from the images that are there now. So the promise is false
with at most the chance delta, though its line was chosen by the old answers, as long as which
images came and went does not depend on which rows the dice fell on. (It may depend on anything
else.)

Each promise is one statement about one population, with a delta of its own: that the audit's own
and all that follow it are true together is not promised with 1 - delta. No part is ever drawn anew:
that would be another try.

Sources: Vovk and Wang, "E-values: calibration, combination and applications", Annals of Statistics
49 (2021): products of e-values made one after the other; Waudby-Smith and Ramdas (see
`martingale.py`); Spertus and Stark, "Sweeter than SUITE: supermartingale stratified
union-intersection tests of elections" (E-Vote-ID 2022): the least product over all ways to share
out an allowance between strata; Maurer, Hothorn and Lehmacher (see `promise.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.relevance.promise.goal import SHARE, Counts, Goal, hopes, stakes_along
from service.relevance.promise.martingale import (
    STAKES,
    UNKNOWN,
    YES,
    Claims,
    Numbers,
    Wholes,
    chances_at,
    growth,
)

CASH = 0.1  # of each part's capital, unstaked
POINTS = 96  # of a part's grid
CLOSE = 1e-9  # sums that differ by less are the same
CURVE = 1.5  # the grid is finer where more of the allowance is used elsewhere
MOST_STEPS = 256  # of several parts together
MIXED = 1.0  # what a mixture of stakes costs against the best one, as in `plan.py`
# Past the most that a part can be its grid goes on by so much: where x_j is that most, to claim no
# more than that is certain, and what counts is the capital against a claim that is false.
BEYOND = 1e-6


@dataclass(frozen=True, slots=True)
class Steps:
    """What a part's evidence costs: where its x is above `low`, its capital is `worth` or more."""

    low: Numbers  # (steps,), rising
    worth: Numbers  # (looks, steps), logs


@dataclass(frozen=True, slots=True)
class Drawn:
    """One part: how its rows are drawn, and what was answered so far, in drawn order."""

    sizes: Wholes  # (strata,), rows
    # (strata,), the chance of each a draw while it lasts; or (draws, strata), of each draw
    shares: Numbers
    strata: Wholes  # (draws,), of each answered draw
    answers: Sequence[int]  # (draws,), YES, NO or UNKNOWN


@dataclass(frozen=True, slots=True)
class Stake:
    """What one claim stakes on a part's draws; fixed before its first."""

    constant: float  # what of x is known before the first draw
    parts: Numbers  # (stakes,), of the staked capital, what goes to each; sum 1
    goal: Goal | None = None  # what SHARE of the stakes aims at, with one constant; None: nothing


@dataclass(frozen=True, slots=True)
class Followed:
    """One claim about all parts together."""

    best: float  # the log of the largest V so far; infinite where the claim is certain
    now: float  # the log of V after the last draw
    before: Steps  # all parts but the last; one look
    last: Steps  # the last part after its last draw; one look


@dataclass(frozen=True, slots=True)
class _Path:
    """One claim's way along the draws of a part."""

    known: Numbers  # (draws + 1,), P before each draw, and after the last
    outcome: Numbers  # (draws,), Z less P
    dearest: Numbers  # (draws,), Zmin less P
    least: float  # what x is at least, and at most, by now, whatever the unknown answers are
    most: float


def span(part: Drawn, gain: Numbers, constant: float) -> tuple[float, float]:
    """(at least, at most): what a part's x can be after these answers.

    :param gain: (strata,), as of a claim; constant: what is known before the first draw.
    """
    path = _path(part, gain, constant)
    return path.least, path.most


def follow(parts: Sequence[Drawn], stakes: Sequence[Stake], gain: Numbers, loss: float) -> Followed:
    """V of one claim, over all looks at the last part.

    :param parts: two or more, in the order in which they were drawn from.
    :param stakes: of each part; gain: (strata,), as of a claim.
    :param loss: what those rows that went may have taken.
    """
    spans = [
        span(part, gain, stake.constant)
        for part, stake in zip(parts[:-1], stakes[:-1], strict=True)
    ]
    # The last part's grid is fixed before its first draw, or its looks would not be one game's.
    unseen = Drawn(parts[-1].sizes, parts[-1].shares, parts[-1].strata[:0], [])
    spans.append(span(unseen, gain, stakes[-1].constant))
    least, most = sum(low for low, _ in spans), sum(high for _, high in spans)
    nothing = Steps(np.zeros(1), np.zeros((1, 1)))
    if least >= loss - CLOSE:
        return Followed(np.inf, np.inf, nothing, nothing)
    if most < loss - CLOSE:  # it cannot be true
        return Followed(0.0, 0.0, nothing, nothing)
    low, worth = np.zeros(1), np.zeros(1)
    for part, stake, (bottom, top) in zip(parts[:-1], stakes[:-1], spans[:-1], strict=True):
        points = _grid(bottom, top, loss - (most - top), loss - (least - bottom))
        found = steps(part, gain, stake, points, is_open=False)
        low, worth = _together(low, worth, found.low, found.worth[0])
    bottom, top = spans[-1]
    # Where the others are just above `low`, the last part's x is at most what is left of the loss.
    ends = np.clip(np.concatenate([[bottom], loss - low]), bottom, top)
    points = np.append(np.unique(ends), top + BEYOND)
    last = steps(parts[-1], gain, stakes[-1], points, is_open=True)
    before = Steps(low, worth[None])
    every = least_product([before, last], loss)
    if span(parts[-1], gain, stakes[-1].constant)[0] + (least - bottom) >= loss - CLOSE:
        every[-1] = np.inf
    return Followed(float(every.max()), float(every[-1]), before, Steps(last.low, last.worth[-1:]))


def steps(part: Drawn, gain: Numbers, stake: Stake, points: Numbers, *, is_open: bool) -> Steps:
    """A part's evidence on a grid.

    :param points: (points,), rising, from the least that x can be.
    :param is_open: the last part: there is a look after each number of draws, from none on; else
        there is one, after all of them.
    """
    path = _path(part, gain, stake.constant)
    aimed = _stakes_of(part, path, gain, stake.goal)
    return Steps(points[:-1], _capitals(path, points[1:], stake.parts, aimed, is_open=is_open))


def least_product(every: Sequence[Steps], loss: float) -> Numbers:
    """float64, (looks,): the log of V, infinite where the claim is certain.

    :param every: of each part; all but the last have one look.
    :param loss: what those rows that went may have taken.
    """
    low, worth = np.zeros(1), np.zeros(1)
    for part in every[:-1]:
        low, worth = _together(low, worth, part.low, part.worth[0])
    last = every[-1]
    # With the others' x above low, the last part's may be anywhere below what is left.
    found = np.full(len(last.worth), np.inf)
    running = np.minimum.accumulate(last.worth, axis=1)
    for each, value in zip(low.tolist(), worth.tolist(), strict=True):
        reach = int(np.searchsorted(last.low, loss - CLOSE - each, side="left"))
        if reach:
            found = np.minimum(found, value + running[:, reach - 1])
    return found


def missing(
    found: Followed,
    part: Drawn,
    gain: Numbers,
    constant: float,
    rates: Numbers,
    loss: float,
    goal: float,
) -> float:
    """About how many more labels of the last part until V reaches a goal; infinite: not even once
    all of them are known, unless they are better than expected.

    :param part: the last; constant: what of it is known before its first draw.
    :param rates: (strata,), forecast; goal: a log.
    """
    if found.best >= goal:
        return 0.0
    one = np.arange(len(part.sizes)) == part.strata[:, None]
    left = part.sizes - one.sum(axis=0)
    known = constant + float(gain[part.strata] @ (np.asarray(part.answers, np.int64) == YES))
    low = found.last.low
    claims = Claims(np.tile(gain, (len(low), 1)), known - low)
    # What a mixture costs is lost with the labels that are yet to come: see `plan.until`.
    rate = growth(left, part.shares, rates, claims, claims.constants) * goal / (goal + MIXED)
    few, many = 0, int(left.sum())
    while few < many:
        middle = (few + many) // 2
        grown = found.last.worth + (middle * rate if middle else 0.0)
        ahead = Steps(low, np.maximum(grown, np.log(CASH)))
        if least_product([found.before, ahead], loss)[0] >= goal:
            many = middle
        else:
            few = middle + 1
    if few < int(left.sum()):
        return float(few)
    # Once all of them are known the others are to make up for no more than they took; by chance
    # that is more than expected as often as less, so a standard deviation is kept in hand.
    spread = float(np.sqrt((left * rates * (1 - rates)) @ gain**2))
    expected = known + float((left * rates) @ gain) - spread
    others = found.before.worth[0][found.before.low < loss - CLOSE - expected]
    return float(few) if others.min(initial=np.inf) >= goal else np.inf


def _grid(bottom: float, top: float, lowest: float, highest: float) -> Numbers:
    """float64, (points,), rising: from the least that x can be, close where it matters.

    :param lowest, highest: below and above them the other parts cannot make up for it.
    """
    end = min(top, highest)
    start = min(max(bottom, lowest), end)
    points = start + (end - start) * np.linspace(0, 1, POINTS) ** CURVE
    return np.append(np.unique(np.concatenate([[bottom], points])), top + BEYOND)


def _together(
    low: Numbers, worth: Numbers, other: Numbers, more: Numbers
) -> tuple[Numbers, Numbers]:
    """The steps of two parts' sum: a product of capitals at every sum of lows."""
    lows, worths = (low[:, None] + other).ravel(), (worth[:, None] + more).ravel()
    order = np.argsort(lows, kind="stable")
    lows, worths = lows[order], worths[order]
    if len(lows) <= MOST_STEPS:
        return lows, worths
    # Fewer steps: several become one, at the lowest of them and with the least worth.
    starts = np.unique(np.linspace(0, len(lows), MOST_STEPS, endpoint=False).astype(np.int64))
    return lows[starts], np.minimum.reduceat(worths, starts)


def _path(part: Drawn, gain: Numbers, constant: float) -> _Path:
    said = np.asarray(part.answers, np.int64)
    strata = part.strata[: len(said)]
    one = np.arange(len(part.sizes)) == strata[:, None]  # (draws, strata)
    left = part.sizes - np.cumsum(one, axis=0) + one  # before each draw
    y = np.where(said == UNKNOWN, gain[strata] < 0, said == YES)
    gained = gain[strata] * y
    known = constant + np.concatenate([[0.0], np.cumsum(gained)])
    _, weights = chances_at(part.shares, left)
    rest = part.sizes - one.sum(axis=0)
    # At worst they count in what is known; at best so much more.
    better = float(np.abs(gain[strata[said == UNKNOWN]]).sum())
    return _Path(
        known=known,
        outcome=gained * weights[one],
        dearest=np.minimum((gain * weights).min(axis=1, initial=0.0), 0.0),
        least=float(known[-1] + rest @ np.minimum(gain, 0.0)),
        most=float(known[-1] + better + rest @ np.maximum(gain, 0.0)),
    )


def _stakes_of(part: Drawn, path: _Path, gain: Numbers, goal: Goal | None) -> Numbers | None:
    """float64, (draws,): the goal's stakes, the same for every shift: those at the shift 0 of the
    claim as it was when the audit began, whatever became of earlier answers since.
    """
    if goal is None:
        return None
    said, strata = np.asarray(part.answers, np.int64), part.strata[: len(part.answers)]
    one = np.arange(len(part.sizes)) == strata[:, None]
    along = Counts.none(len(part.sizes)).along(one, said == YES, said == UNKNOWN)
    chances, weights = chances_at(part.shares, part.sizes - along.drawn[:-1])
    changed = path.known[0] - goal.constants[0]
    begun = (path.known[:-1] - changed)[:, None]
    hope = hopes(goal, gain[None], chances, weights, begun, along[:-1], first=0)
    ratios = _ratios(path, np.array([changed]))
    return stakes_along(np.zeros(1), ratios, hope, goal.wanted)[:, 0]


def _ratios(path: _Path, shifts: Numbers) -> Numbers:
    """float64, (draws, shifts), from -1: Z / -Zmin of each draw, 0 where nothing can be lost."""
    known = path.known[:-1, None] - shifts
    worst = known + path.dearest[:, None]
    outcome = known + path.outcome[:, None]
    ratio = np.where(worst < 0, outcome / np.where(worst < 0, -worst, 1.0), 0.0)
    return np.asarray(np.maximum(ratio, -1.0))


def _capitals(
    path: _Path, shifts: Numbers, parts: Numbers, aimed: Numbers | None, *, is_open: bool
) -> Numbers:
    """float64, (looks, shifts): the log of the capital, as `steps` looks at it."""
    ratios = _ratios(path, shifts)
    staked = (1 - CASH) * (1.0 if aimed is None else 1 - SHARE)
    found = np.full((len(ratios) + 1 if is_open else 1, len(shifts)), np.log(CASH))

    def add(weight: float, stakes: float | Numbers) -> None:
        logs = np.log1p(stakes * ratios)
        if is_open:
            logs = np.concatenate([np.zeros((1, len(shifts))), np.cumsum(logs, axis=0)])
        else:
            logs = logs.sum(axis=0, keepdims=True)
        np.logaddexp(found, np.log(weight) + logs, out=found)

    for stake, weight in zip(STAKES.tolist(), parts.tolist(), strict=True):
        add(staked * weight, stake)
    if aimed is not None:
        add((1 - CASH) * SHARE, aimed[:, None])
    # From the first draw at which nothing could be lost, x is at least the shift.
    certain = (path.known[:-1, None] - shifts + path.dearest[:, None]) >= 0
    certain = np.concatenate([certain, np.broadcast_to(path.least >= shifts, (1, len(shifts)))])
    certain = np.logical_or.accumulate(certain, axis=0)
    return np.where(certain if is_open else certain[-1:], np.inf, found)
