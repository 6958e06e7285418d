"""Stakes that aim at one capital by one draw: where a person has said how many labels there may be.

Pure numbers, as `martingale.py`, whose gambler this is another of: any stake in [0, 1) that is
known before its draw keeps the capital of a false claim from rising in expectation, so nothing here
can break a promise. A poor stake only costs labels.

Before draw t of n the gambler holds G and wants W. Of what the worst outcome could cost, a draw
brings the ratio A[s] with a relevant row of stratum s, and B with an irrelevant one; below the cut
a relevant row costs about all that is staked, the ratio -1. What the draws left are expected to
bring in its units is

    L = (n - t) * sum over s of q[s] * (p[s] * max(A[s], 0) + (1 - p[s]) * max(B, 0)).

Where the claim is false by a hair, losses of one come at the same rate, about: as many as a Poisson
number of mean L. The bet that pays most often at a fair price pays W if at most x losses come, and
is worth W * Q(x + 1, L) now, Q being the regularised upper incomplete gamma function (the
distribution function of a Poisson number, also between whole x). So x follows from

    Q(x + 1, L) = G / W,

and one loss takes the part

    1 - Q(x, L) / Q(x + 1, L)

of the capital: that is the stake. Below x = 0 not even a stretch without a loss is enough, and the
boldest stake is all that is left to do; at G >= W the aim is reached and nothing is staked.

*Rows that nobody could answer* (skips, conflicts) are to each claim what speaks against it, in the
stakes, too: relevant where that takes from D, else irrelevant. So the game that a claim sees with
skips is the game of another population, whose D' <= D, and a claim that is false of the lake is
false there. Who skips by what an image shows has fixed that population before the first draw, and
nothing else is needed. Who skips by the draws before it, as well, has not; but then Z has at most
the mean D + (P' - P) <= D, P' being what is known at worst, and any stake known before the draw is
fair. What neither covers is somebody who skips because of what later draws show, as one could who
is handed a hundred at once: fixed stakes only lose by any skip whatever, but these go on from what
is left, bolder. `python -m benchmarks skips` plays that person.

The equation is solved on a grid of L and G / W, once a process, and read between its points.

Sources: Shafer, "Testing by betting", JRSS-A 184 (2021), and Waudby-Smith and Ramdas (see
`martingale.py`) for stakes that depend on the past; Dubins and Savage, "How to gamble if you must"
(1965), for aiming at a capital; the fair price by a Poisson number of losses is worked out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Wholes = NDArray[np.int64]
Truths = NDArray[np.bool_]

SHARE = 0.7  # of the first capital; the mixture of fixed stakes has the rest
BOLDEST = 0.985  # as the boldest of the fixed stakes
PRIOR_LABELS = 5.0  # what a forecast rate weighs against the answers so far
# The grid: even steps of log L, and of the normal quantile of G / W.
LEAST_L, MOST_L = 1e-3, 1e5
LEAST_V, MOST_V = -8.0, 6.0
STEPS_L, STEPS_V = 160, 140


@dataclass(frozen=True, slots=True)
class Goal:
    """What is aimed at; fixed with the audit's design.

    :ivar draws: n, the labels that there may be.
    :ivar delta: the chance of error of the claims: SHARE of the capital is to become 1 / delta.
    :ivar rates: float64, (strata,), in (0, 1), forecast before the first draw.
    :ivar constants: float64, (claims,), of the claims as they were when the audit began: what
        becomes of earlier answers later may change a claim, but no stake.
    """

    draws: int
    delta: float
    rates: Numbers
    constants: Numbers

    @property
    def wanted(self) -> float:
        """W, in units of the gambler's own first capital."""
        return 1 / (SHARE * self.delta)


@dataclass(frozen=True, slots=True)
class Counts:
    """Of draws, by stratum: int64, (strata,); or (moments, strata), at each of several moments.

    :ivar drawn: all of them.
    :ivar relevant: answered yes.
    :ivar unknown: that nobody could answer.
    """

    drawn: Wholes
    relevant: Wholes
    unknown: Wholes

    @classmethod
    def none(cls, strata: int) -> Counts:
        return cls(*(np.zeros(strata, np.int64) for _ in range(3)))

    def along(self, one: Truths, is_yes: Truths, is_unknown: Truths) -> Counts:
        """(draws + 1, strata): before each of the draws that follow these, and after the last.

        :param one: (draws, strata), True at the stratum drawn; is_yes, is_unknown: (draws,).
        """
        every = (one, one & is_yes[:, None], one & is_unknown[:, None])
        begun = (self.drawn, self.relevant, self.unknown)
        return Counts(
            *(
                before + np.concatenate([np.zeros((1, len(before)), np.int64), each.cumsum(axis=0)])
                for before, each in zip(begun, every, strict=True)
            )
        )

    def __getitem__(self, moments: int | slice) -> Counts:
        return Counts(self.drawn[moments], self.relevant[moments], self.unknown[moments])


def hopes(
    goal: Goal,
    gains: Numbers,
    chances: Numbers,
    weights: Numbers,
    known: Numbers,
    counts: Counts,
    first: int,
) -> Numbers:
    """float64, (draws, claims), from 0: L before each of these draws.

    :param gains: (claims, strata).
    :param chances, weights: (draws, strata), before each draw: q, and the rows left over q.
    :param known: (draws, claims): P before each draw, with the goal's constants.
    :param counts: (draws, strata), before each draw.
    :param first: the number of the first of these draws, from 0.
    """
    found = np.empty_like(known)
    left = np.maximum(goal.draws - first - np.arange(len(known)), 0)
    for claim, gain in enumerate(gains):
        at_worst = counts.relevant + counts.unknown * (gain < 0)
        rates = (PRIOR_LABELS * goal.rates + at_worst) / (PRIOR_LABELS + counts.drawn)
        jumps = gain * weights  # (draws, strata)
        worst = known[:, claim] + np.minimum(jumps.min(axis=1), 0.0)
        scale = np.where(worst < 0, -worst, np.inf)[:, None]
        yes = np.maximum((known[:, claim, None] + jumps) / scale, 0.0)
        no = np.maximum(known[:, claim, None] / scale, 0.0)
        found[:, claim] = (chances * (rates * yes + (1 - rates) * no)).sum(axis=1)
    return np.asarray(found * left[:, None])


def run(capital: Numbers, ratios: Numbers, hope: Numbers, wanted: float) -> Numbers:
    """float64, (draws, claims): the log of the capital after each draw.

    :param capital: (claims,), its log before the first of them.
    :param ratios: (draws, claims): Z / -Zmin of each draw, from -1.
    :param hope: (draws, claims), as `hopes` gives it.
    """
    stakes = stakes_along(capital, ratios, hope, wanted)
    logs = np.log1p(stakes * np.maximum(ratios, -1.0))
    return np.asarray(np.cumsum(np.concatenate([capital[None], logs]), axis=0)[1:])


def stakes_along(capital: Numbers, ratios: Numbers, hope: Numbers, wanted: float) -> Numbers:
    """float64, (draws, claims), in [0, BOLDEST]: what is staked on each draw; as `run` has them."""
    found = np.zeros_like(ratios)
    rows, live = _rows_of(hope), np.flatnonzero((hope > 0).any(axis=1))
    last = int(live[-1]) + 1 if len(live) else 0  # behind it nothing is staked
    for draw in range(last):
        stake = _stakes(rows[draw], capital - np.log(wanted))
        stake[hope[draw] <= 0] = 0.0
        capital = capital + np.log1p(stake * np.maximum(ratios[draw], -1.0))
        found[draw] = stake
    return found


def _rows_of(hope: Numbers) -> Numbers:
    """Where L lies on the grid, in steps."""
    logs = np.log(np.clip(hope, LEAST_L, MOST_L))
    step = (np.log(MOST_L) - np.log(LEAST_L)) / (STEPS_L - 1)
    return np.asarray((logs - np.log(LEAST_L)) / step)


def _stakes(row: Numbers, log_part: Numbers) -> Numbers:
    """float64, (claims,), in [0, BOLDEST].

    :param row: (claims,), as `_rows_of` gives it; log_part: (claims,), the log of G / W.
    """
    from scipy.special import ndtri_exp

    grid = _grid()
    quantile = ndtri_exp(np.minimum(log_part, -1e-12))
    column = (np.clip(quantile, LEAST_V, MOST_V) - LEAST_V) * ((STEPS_V - 1) / (MOST_V - LEAST_V))
    i = np.minimum(row.astype(np.int64), STEPS_L - 2)
    j = np.minimum(column.astype(np.int64), STEPS_V - 2)
    u, v = row - i, column - j
    stake = (1 - u) * ((1 - v) * grid[i, j] + v * grid[i, j + 1]) + u * (
        (1 - v) * grid[i + 1, j] + v * grid[i + 1, j + 1]
    )
    return np.where(log_part >= 0, 0.0, np.clip(stake, 0.0, BOLDEST))


@cache
def _grid() -> Numbers:
    """float64, (STEPS_L, STEPS_V): the stake at each L and quantile of G / W."""
    from scipy.special import gammaincc, ndtr

    hope = np.geomspace(LEAST_L, MOST_L, STEPS_L)[:, None]
    part = ndtr(np.linspace(LEAST_V, MOST_V, STEPS_V))[None, :]
    low = np.zeros((STEPS_L, STEPS_V))
    high = np.broadcast_to(hope + 12 * np.sqrt(hope) + 60, low.shape).copy()
    for _ in range(60):
        middle = (low + high) / 2
        is_low = gammaincc(middle + 1, hope) < part
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    x = (low + high) / 2
    above, below = gammaincc(x, hope), gammaincc(x + 1, hope)
    stake = 1 - np.where(x > 0, above, 0.0) / np.maximum(below, 1e-300)
    return np.asarray(np.where(np.exp(-hope) >= part, BOLDEST, np.minimum(stake, BOLDEST)))
