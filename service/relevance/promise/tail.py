"""`--assume tail`: how many relevant rows can lie below a line,
if the log-odds go on falling there.

The assumption, by name. Given the frozen scores, whether a row is relevant is a coin of its own
with the log-odds eta(s). Above a line t, fixed before the first label (the band), eta is a straight
line, eta(s) = a + b (s - t) with b >= 0. Below it eta falls at least as fast: eta(s) <= a - b (t -
s). Nobody knows a and b.

1. *The band.* Audit rows are drawn without looking at what is relevant, so the answers y_1, y_2 ...
   of band rows are, in drawn order, independent coins of chances p(s_j; a, b), whatever the shares
   of the strata and however few rows are left. Let q_j be a forecast of y_j from the answers before
   it (here: a mixture over a grid of (a, b)). For the true (a, b) the product of q_j(y_j) / p(y_j;
   a, b) is a martingale that starts at 1; so, with the chance 1 - delta_a, the true pair is at
   every look in

       S = {(a, b): product of q_j(y_j) / p(y_j; a, b) < 1 / delta_a},

   a confidence sequence (Ville).

   An unknown answer counts as the one that keeps (a, b) in S: its factor is the smaller of the two,
   which is at most the factor of the truth.
2. *Below the line.* Each row's chance is at most sigmoid(a - b (t - s)); let L(a, b) be their sum.
   The number M of relevant rows is a sum of independent coins. It exceeds the delta_b-quantile of a
   Poisson variable of mean L with at most the chance delta_b (one event, since t is fixed). With L+
   the largest L in S: M <= m(L+) at every look, with the chance 1 - delta_a - delta_b.
3. *Above it*, nothing is assumed: the martingales of the claims D_m = (1 - R) kept - R missed above
   the line - R m >= 0, for m = m(L+) of the look, at the level delta_c. It is enough to be right
   for the true M: of two claims that differ in m alone the capital is nowhere larger for the larger
   m (each outcome's ratio to the worst one falls when a constant is taken from both), so whoever
   believes D_m with m >= M could believe D_M; and the claims D_M of all cuts are one fixed
   sequence. In all: delta_a + delta_b + delta_c = delta, at all looks at once.

The slope enters with its lower confidence bound: L falls with b, and the largest L lies at the edge
of S where a is large and b small. Labels buy S, which does not care how many rows there are below;
without the assumption they have to buy 3 d / m.

Whoever applies an audit with and without the assumption makes promises of two kinds; each kind is
held to its own confidence C and C', and both together to C + C' - 1 (`together`). The chance of
error is not parted between them, which would make every audit dearer for a promise that few take:
it is said wherever such a promise is told, even if the other one was only tried, and refused.

Sources: Wasserman, Ramdas and Balakrishnan, "Universal inference", PNAS 117 (2020), and its running
form in Ramdas et al., "Game-theoretic statistics and safe anytime-valid inference" (2023): the
ratio with a forecast in the numerator; Hoeffding, "On the distribution of the number of successes
in independent trials" (1956), and Anderson and Samuels (1967): the upper tail of a sum of coins
against Poisson's, for counts at least one above the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from indexer.errors import BadRequest
from service.relevance.definition import Target
from service.relevance.promise.audit import Audit
from service.relevance.promise.martingale import NO, UNKNOWN, YES, Numbers, Wholes
from service.relevance.promise.promise import Spared
from service.relevance.scoring.calibration import Calibration

TAIL = "tail"  # the assumption's name
BAND, BELOW, ABOVE = (
    0.4,
    0.1,
    0.5,
)  # of delta: for a and b, for the rows below the line, for the claims above it
# of the misses that are allowed, the part that may lie below the line, as forecast when it is fixed
ROOM = 0.5
# of the forecast's slope is left, about these log-odds, when the line is fixed
DOUBT, PIVOT = 0.8, -1.4
SPREAD_A, SPREAD_B = 1.2, 0.6  # of the forecast's prior: of a, in log-odds; of log b
PRIOR = np.linspace(-2.5, 2.5, 21)  # its grid, in spreads
COARSE, FINE = 40, 40  # slopes of S's grids: the second one lies where the first one finds S
STEPS = 24  # of a bisection in a
LEAST_A, MOST_A = -60.0, 15.0
POINTS = 500  # of the scores below the line: each row counts as the best of its point
# so improbable must the relevant rows found below the line be, for the check to fail
DOUBTFUL = 1e-3


Prior: TypeAlias = tuple[Numbers, Numbers, Numbers]  # (grid,) each: a, b, log weight


@dataclass(frozen=True, slots=True)
class Tail:
    """What the assumption says at one look."""

    line: int  # strata above t
    missed: int  # m: at most so many relevant rows below it
    slope: float  # the least slope in S, log-odds a unit of score
    found: int  # relevant rows among the audit's below the line
    looked: int  # of so many
    is_doubtful: bool  # more were found than the assumption makes likely

    @property
    def spared(self) -> Spared:
        return Spared(self.line, self.missed, ABOVE)

    def to_json(self, edge: float) -> dict[str, Any]:
        return {
            "name": TAIL,
            "says": sentence(edge, self.slope),
            "below": edge,
            "slope_at_least": round(self.slope, 4),
            "missed_at_most": self.missed,
            "check": {
                "labels": self.looked,
                "relevant": self.found,
                "passed": not self.is_doubtful,
            },
            "note": "a passed check is no proof of the assumption",
        }


def check_assumption(assume: str | None, target: Target) -> None:
    """:raises BadRequest: if there is no such assumption,
    or it says nothing of what is promised.
    """
    if assume not in (None, TAIL):
        raise BadRequest(
            "assume", f"{assume!r} is no assumption that can be made; the only one is {TAIL}"
        )
    if assume == TAIL and target.recall is None:
        raise BadRequest(
            "assume", "the tail is about what is missed; this filter promises precision alone"
        )


def sentence(edge: float, slope: float) -> str:
    """The assumption in words, as a report prints it."""
    return (
        f"assumed, not shown: above score {edge:.4g} the log-odds of relevance are a straight line in the score, and "
        f"below it they fall at least as fast (the audit shows a slope of at least {slope:.3g} a unit of score)"
    )


def together(confidence: float, other: float) -> float:
    """The confidence that neither of two promises is false, each of which has its own."""
    return max(0.0, round(confidence + other - 1, 6))


def line_of(audit: Audit, calibration: Calibration | None) -> int | None:
    """How many strata lie above the line:
    the fewest for which a good part of the allowed misses has room below it.

    It follows from what was frozen before the first label. None: no line is likely to do, or no
    recall is wanted.
    """
    recall = audit.design.target.recall
    if (
        recall is None
        or calibration is None
        or calibration.slope <= 0
        or len(audit.design.sizes) < 3
    ):
        return None
    forecast, doubted = (_by_stratum(audit, each) for each in (calibration, _doubted(calibration)))
    below = doubted.sum() - np.cumsum(doubted)  # below each stratum's lower edge
    room = ROOM * (1 - recall) * forecast.sum()
    fits = np.flatnonzero(_likely(below[:-1]) <= room)
    return int(fits[0]) + 1 if len(fits) else None


def _by_stratum(audit: Audit, calibration: Calibration) -> Numbers:
    """float64, (strata,): the relevant rows that a calibration expects."""
    inside = audit.strata >= 0
    chances = calibration.probability(audit.scores[inside]).astype(np.float64)
    return np.bincount(audit.strata[inside], chances, len(audit.design.sizes)).astype(np.float64)


def _doubted(calibration: Calibration) -> Calibration:
    """As flat as a few hundred labels may leave it, turned about the score where they tell most."""
    pivot = (PIVOT - calibration.offset) / calibration.slope
    slope = DOUBT * calibration.slope
    return Calibration(slope, PIVOT - slope * pivot)


def _likely(expected: Numbers) -> Numbers:
    """About how many the bound will say,
    where so many relevant rows are expected below a line; a forecast.
    """
    return np.asarray(expected + 2 * np.sqrt(expected) + 2)


def spared_by_plan(audit: Audit, calibration: Calibration | None) -> Spared | None:
    """What an audit is planned for that will assume the tail:
    the line, and what is likely to be said of it.
    """
    line = line_of(audit, calibration)
    if line is None or calibration is None:
        return None
    return Spared(line, int(_likely(_by_stratum(audit, _doubted(calibration))[line:].sum())), ABOVE)


def tail_of(
    audit: Audit, said: Sequence[int], calibration: Calibration | None, delta: float
) -> Tail | None:
    """What the assumption says after so many answers,
    at every look at once; None where there is no line for it.

    :param said: YES, NO or UNKNOWN of the first draws.
    :param delta: for all three parts; BAND and BELOW of it are spent here.
    """
    line = line_of(audit, calibration)
    if line is None or calibration is None:
        return None
    edge = audit.design.edges[line - 1]
    strata, rows = audit.draws(len(said))
    scores = audit.scores[np.searchsorted(audit.row_ids, rows)].astype(np.float64) - edge
    answers = np.asarray(said, np.int64)
    in_band = strata < line
    points, counts = _points(audit.scores[audit.strata >= line].astype(np.float64) - edge)
    middle = float(np.median(audit.scores[(audit.strata >= 0) & (audit.strata < line)])) - edge
    prior = _prior(edge * calibration.slope + calibration.offset, calibration.slope, middle)
    a, b = _outermost(scores[in_band], answers[in_band], prior, BAND * delta, calibration.slope)
    below = _chance(a[:, None] + b[:, None] * points) @ counts  # (slopes,)
    found = int(np.count_nonzero(answers[~in_band] == YES))
    hoped = float(_chance(a[:, None] + b[:, None] * scores[~in_band]).sum(axis=1).max(initial=0.0))
    return Tail(
        line=line,
        missed=min(_quantile(float(below.max()), BELOW * delta), int(counts.sum())),
        slope=float(b.min()),
        found=found,
        looked=int(np.count_nonzero(~in_band)),
        is_doubtful=found > _quantile(hoped, DOUBTFUL),
    )


def _points(scores: Numbers) -> tuple[Numbers, Numbers]:
    """(k,) scores and how many rows count as each:
    a row counts as the best of its point, which is on the safe side.
    """
    rising = np.sort(scores)
    ends = np.unique(np.linspace(0, len(rising), min(POINTS, len(rising)) + 1).astype(np.int64)[1:])
    return rising[ends - 1], np.diff(ends, prepend=0).astype(np.float64)


def _outermost(
    scores: Numbers, answers: Wholes, prior: Prior, delta: float, slope: float
) -> tuple[Numbers, Numbers]:
    """(k,) each: pairs (a, b) such that every pair in S has one with no smaller a and no larger b.

    S is convex where all answers are known, so what two grids of slopes find of it has no gaps.

    :param scores: (n,), of the band, less the line's; answers: (n,).
    :param slope: about where b is expected.
    """
    forecasts = _forecasts(scores, answers, prior)  # (n, 2): log q of no, of yes
    known = answers != UNKNOWN
    least = float(forecasts[np.flatnonzero(known), answers[known]].sum()) + np.log(delta)
    coarse = slope * np.concatenate([[0.0], np.geomspace(1e-2, 1e2, COARSE)])
    inside = np.flatnonzero(
        np.isfinite(_largest_a(coarse, scores, answers, forecasts, least, exact=False))
    )
    if not len(inside):  # S is smaller than the grid's meshes, or empty: claim nothing
        return np.array([MOST_A]), np.array([0.0])
    low, high = coarse[max(inside[0] - 1, 0)], coarse[min(inside[-1] + 1, COARSE)]
    slopes = np.linspace(low, high, FINE)
    most = _largest_a(slopes, scores, answers, forecasts, least)  # (slopes,); -inf: none
    if np.isfinite(most[-1]):  # S may go on past the grid
        most[-1] = MOST_A
    # Between two slopes of the grid: the smaller slope, and the larger a of both; by as much as the
    # next ones differ from the largest of all, the edge of S, which is concave, may rise between
    # two of them.
    both = np.maximum(most, np.append(most[1:], most[-1]))
    top = int(np.argmax(most))
    beside = [most[top] - each for each in most[max(top - 1, 0) : top + 2] if np.isfinite(each)]
    both[max(top - 1, 0) : top + 1] += max(beside, default=0.0)
    here = np.isfinite(both)
    return both[here], slopes[here]


def _prior(a: float, b: float, middle: float) -> Prior:
    """The grid about a forecast (a, b) and the log of its weights; frozen like the forecast.

    :param middle: the score, less the line's, at which the forecast's log-odds and its slope are
        doubted apart.
    """
    at_middle = a + b * middle + SPREAD_A * PRIOR[:, None] + np.zeros((1, len(PRIOR)))
    slopes = b * np.exp(SPREAD_B * PRIOR)[None, :] + np.zeros((len(PRIOR), 1))
    weights = -0.5 * (PRIOR[:, None] ** 2 + PRIOR[None, :] ** 2)
    weights -= np.log(np.exp(weights).sum())
    return (at_middle - slopes * middle).ravel(), slopes.ravel(), weights.ravel()


def _forecasts(scores: Numbers, answers: Wholes, prior: Prior) -> Numbers:
    """float64, (n, 2): the log of the chance of no and of yes, each from the answers before it."""
    a, b, weights = prior
    logits = a + b * scores[:, None]  # (n, grid)
    yes, no = _log_chance(logits), _log_chance(-logits)
    said = np.where(answers[:, None] == YES, yes, np.where(answers[:, None] == NO, no, 0.0))
    before = weights + np.cumsum(said, axis=0) - said
    before -= _log_sum(before)[:, None]
    return np.stack([_log_sum(before + no), _log_sum(before + yes)], axis=1)


def _largest_a(
    slopes: Numbers,
    scores: Numbers,
    answers: Wholes,
    forecasts: Numbers,
    least: float,
    *,
    exact: bool = True,
) -> Numbers:
    """float64, (slopes,): the largest a of S for each slope;
    -inf where there is none. If not exact, any number where there is one.

    Where every answer is known the log-likelihood is concave in a: climb to its top, then halve the
    way to the edge. Unknown ones may make it rise again; then all is looked at in small steps.
    """
    if (answers == UNKNOWN).any():
        return _largest_a_by_steps(slopes, scores, answers, forecasts, least)
    is_yes = answers == YES

    def likelihood(a: Numbers) -> Numbers:
        logits = a[:, None] + slopes[:, None] * scores
        return np.asarray(_log_chance(np.where(is_yes, logits, -logits)).sum(axis=1))

    low, high = np.full(len(slopes), LEAST_A * 4), np.full(len(slopes), MOST_A)
    for _ in range(STEPS):  # the top: where so many yes are expected as there are
        middle = (low + high) / 2
        expected = _chance(middle[:, None] + slopes[:, None] * scores).sum(axis=1)
        low, high = (
            np.where(expected < is_yes.sum(), middle, low),
            np.where(expected < is_yes.sum(), high, middle),
        )
    top = low
    inside = likelihood(top) >= least
    if not exact:
        return np.where(inside, top, -np.inf)
    low, high = top, np.full(len(slopes), MOST_A)
    for _ in range(STEPS):
        middle = (low + high) / 2
        good = likelihood(middle) >= least
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return np.where(inside, high, -np.inf)


def _largest_a_by_steps(
    slopes: Numbers, scores: Numbers, answers: Wholes, forecasts: Numbers, least: float
) -> Numbers:
    most = np.full(len(slopes), -np.inf)
    known = answers != UNKNOWN
    for a in np.arange(LEAST_A, MOST_A + 0.1, 0.1):
        logits = a + slopes[:, None] * scores
        yes, no = _log_chance(logits), _log_chance(-logits)
        said = np.where(answers == YES, yes, no)[:, known].sum(axis=1)
        kindest = np.maximum(no - forecasts[:, 0], yes - forecasts[:, 1])[:, ~known].sum(axis=1)
        most = np.where(said + kindest >= least, a + 0.1, most)
    return most


def _quantile(mean: float, delta: float) -> int:
    """The least m, at least the mean,
    that a Poisson variable exceeds with at most the chance delta.
    """
    from scipy.stats import poisson

    return int(max(poisson.isf(delta, mean), np.ceil(mean))) if mean > 0 else 0


def _chance(logits: Numbers) -> Numbers:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))


def _log_chance(logits: Numbers) -> Numbers:
    return np.asarray(-np.logaddexp(0.0, -logits))


def _log_sum(logs: Numbers) -> Numbers:
    top = logs.max(axis=-1)
    return np.asarray(top + np.log(np.exp(logs - top[..., None]).sum(axis=-1)))
