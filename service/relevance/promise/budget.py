"""How the draws of an audit are shared out where a person has said how many labels there may be.

Pure numbers. A forecast, as all of `plan.py`: a wrong one costs labels, never the promise.

The calibration before an audit was taught with few answers, and how flat or steep it is, and how
many relevant rows it expects far down, are often wrong by a multiple. Whoever plans for one
forecast aims at a line that is never reached, and the fallback is far. So each way to share out the
draws is judged by what it is expected to keep on the average of several forecasts, a refusal
keeping everything, among those that are refused hardly more often than the careful way.

What a way is expected to keep: the gambler of `goal.py` arrives at a line's claim if no more losses
come than he can pay for. With L, what the draws bring in units of the worst outcome, V the variance
of that, m the losses to come and w the part of the goal that he holds at first, that has about the
chance

    Phi((2 sqrt(L) - 2 sqrt(m) + Phi^-1(w)) / sqrt(1 + V / L)),

and none where L < -log w: not even a stretch without a loss pays then. (A Poisson number's root has
the standard deviation 1/2, about; Anscombe, "The transformation of Poisson, binomial and
negative-binomial data", Biometrika 35, 1948.) A line is promised if it and all more generous ones
are. L, m and V are taken half way, where a stratum has lost half of what is drawn of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.relevance.promise.goal import SHARE
from service.relevance.promise.martingale import Numbers, Wholes
from service.relevance.promise.plan import shares_for
from service.relevance.promise.promise import Chain

# The forecasts: the calibration's log-odds about their middle, flatter or steeper, and all of them
# moved. The moves reach further down than up: a calibration taught with few answers, most of them
# the best matches, expects too many relevant rows more often than too few. Chosen by simulation on
# drawn scores and on SUPG's.
SLOPES = (0.5, 0.75, 1.0, 1.35)
MOVES = (-2.0, -1.0, 0.0, 1.0)
LINES = 14  # of all, that draws may be shared out for
# of the draws, as they would be shared out for one forecast and a line well within reach
SAFE = 0.2
RISK = 0.08  # of the chance that anything is promised, what may be given up against that


@dataclass(frozen=True, slots=True)
class Held:
    """What the gamblers of a target's lines, in their order, have before the draws to come."""

    known: Numbers  # (lines,): P, the part of D known by now
    part: Numbers  # (lines,), in (0, 1): w, of the capital that is wanted
    holds: NDArray[np.bool_]  # (lines,): it was reached

    @classmethod
    def at_first(cls, chain: Chain) -> Held:
        """Before the first draw."""
        known = chain.claims.constants[chain.first_of_target() :]
        return cls(known, np.full(len(known), SHARE * chain.delta), np.zeros(len(known), bool))


def shares_within(
    sizes: Wholes, rates: Numbers, chain: Chain, budget: int, safe: Numbers
) -> Numbers:
    """float64, (strata,), sum 1: the chance of each stratum a draw.

    :param rates: (strata,), in (0, 1), forecast.
    :param chain: of recall.
    :param safe: (strata,), sum 1: a part of the draws goes by it, whatever is found.
    """
    ways = [
        safe,
        *(
            (1 - SAFE) * shares_for(sizes, rates, cut, boldest) + SAFE * safe
            for cut, boldest in pairs(chain)
        ),
    ]
    likely = forecasts(sizes, rates)
    arrivals = [chances(sizes, way, likely, chain, budget) for way in ways]
    careful = arrivals[0][:, 0].mean() - RISK
    kept_by = [
        round(kept(sizes, chain, each), 4) if each[:, 0].mean() >= careful else np.inf
        for each in arrivals
    ]
    return ways[int(np.argmin(kept_by))]


def pairs(chain: Chain) -> list[tuple[int, int]]:
    """Two lines each, as `shares_for` takes them, of up to LINES of the target's."""
    cuts = sorted(set(chain.cuts[chain.first_of_target() :]))
    some = np.linspace(0, len(cuts) - 1, min(LINES, len(cuts))).round().astype(int)
    cuts = [cuts[number] for number in some.tolist()]
    return [(cut, boldest) for cut in cuts for boldest in cuts if boldest <= cut]


def forecasts(
    sizes: Wholes,
    rates: Numbers,
    slopes: Sequence[float] = SLOPES,
    moves: Sequence[float] = MOVES,
) -> Numbers:
    """float64, (forecasts, strata), in (0, 1)."""
    odds = _log_odds(np.clip(rates, 1e-6, 1 - 1e-6))
    middle = _log_odds(np.clip(np.array(np.average(rates, weights=sizes)), 1e-6, 1 - 1e-6))
    found = [middle + slope * (odds - middle) + move for slope in slopes for move in moves]
    return np.asarray(1 / (1 + np.exp(-np.array(found))))


def kept(sizes: Wholes, chain: Chain, arrives: Numbers) -> float:
    """The share of the rows, in [0, 1], that the strictest line promised is expected to keep; a
    refusal keeps all.

    :param arrives: (forecasts, lines), as `chances` gives it; each forecast is as likely as the
        others.
    """
    cuts = np.array(chain.cuts[chain.first_of_target() :])
    stops = arrives - np.concatenate([arrives[:, 1:], np.zeros((len(arrives), 1))], axis=1)
    part = np.cumsum(sizes)[cuts - 1] / sizes.sum()
    return float(np.mean(1 - arrives[:, 0] + stops @ part))


def chances(
    sizes: Wholes,
    shares: Numbers,
    rates: Numbers,
    chain: Chain,
    budget: int,
    held: Held | None = None,
) -> Numbers:
    """float64, (forecasts, lines), in [0, 1], falling: how likely each line of the target is to
    be promised by the last label.

    :param sizes: (strata,), rows left; shares: (strata,), above 0 where there are any.
    :param budget: labels to come.
    :param held: by now; None: before the first draw.
    """
    from scipy.special import ndtr, ndtri

    held = held or Held.at_first(chain)
    gains = chain.claims.gains[chain.first_of_target() :]
    shares = np.where(sizes > 0, shares, 0.0)
    shares = shares / shares.sum()
    drawn = _drawn(sizes, shares, budget)
    known = held.known + (drawn / 2 * rates) @ gains.T  # (forecasts, lines)
    # (lines, strata)
    jumps = gains * np.where(sizes > 0, (sizes - drawn / 2) / np.where(sizes > 0, shares, 1.0), 0.0)
    worst = known + np.minimum(jumps.min(axis=1), 0.0)
    scale = np.where(worst < 0, -worst, np.inf)
    yes = (known[:, :, None] + jumps) / scale[:, :, None]
    no = np.maximum(known / scale, 0.0)
    relevant = (drawn * rates)[:, None, :]
    won, lost = np.maximum(yes, 0.0), np.maximum(-yes, 0.0)
    brought = (relevant * won).sum(axis=2) + no * (drawn.sum() - relevant.sum(axis=2))
    spread = (relevant * won**2).sum(axis=2) / np.maximum(brought, 1e-9)
    lacking = -np.log(held.part)
    ahead = 2 * np.sqrt(brought) - 2 * np.sqrt((relevant * lost).sum(axis=2)) + ndtri(held.part)
    found = np.where(brought < lacking, 0.0, ndtr(ahead / np.sqrt(1 + spread)))
    found = np.where((worst < 0) & ~held.holds, found, 1.0)
    return np.asarray(np.minimum.accumulate(found, axis=1))


def _drawn(sizes: Wholes, shares: Numbers, budget: int) -> Numbers:
    """float64, (strata,): how many rows of each are drawn, about: none twice."""
    drawn = np.zeros(len(sizes))
    for _ in sizes:
        open_ = np.where(drawn < sizes, shares, 0.0)
        left = min(budget, float(sizes.sum())) - drawn.sum()
        if left < 1e-6 or not open_.any():
            break
        drawn = np.minimum(drawn + left * open_ / open_.sum(), sizes)
    return drawn


def _log_odds(chance: Numbers) -> Numbers:
    return np.asarray(np.log(chance / (1 - chance)))
