"""How sure audit labels make a claim, at every look,
for a finite population drawn without replacement.

Pure numbers: knows nothing of rows, scores or filters.

A population is cut into strata of `sizes` rows. One draw takes stratum s with the fixed chance q_s
(its share among the strata that are not exhausted), and in it a row at random among those not drawn
yet. A claim says D >= 0 of

    D = constant + sum over the rows of gain[s] * y,    y = 1 for a relevant row, else 0.

Let P be the part of D known from the rows drawn so far and l_s the rows left in stratum s. Then

    Z = P + gain[s] * (l_s / q_s) * y

has, given what was drawn before, the mean D: each row left is drawn next with the chance q_s / l_s.
Where D < 0, a gambler who starts with 1 and stakes the fixed fraction k of what the worst outcome
Zmin < 0 could cost has a capital

    product of (1 + k * Z / -Zmin)

that is never negative and falls in expectation, so it ever reaches 1 / delta with at most the
chance delta (Ville's inequality). So does a mean over several fractions k, with weights fixed
before the first draw. Hence: look whenever you like, and believe the claim once the capital has
been 1 / delta or more. Nothing is assumed of the scores, and a poor choice of shares or weights
only costs labels.

What a row adds need not be 0 or gain[s]. With any value v between a floor[s] <= 0 and whatever is
its most, Z = P + (l_s / q_s) * v has the mean D for the same reason, and is at least Zmin = P + the
least (l_s / q_s) * floor[s]; nothing else was used. See `scenes.py` for values that are known only
when a row is looked at.

Sources: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B
86 (2024): betting, and sampling without replacement; Shekhar, Xu, Lipton, Liang and Ramdas,
"Risk-limiting financial audits via weighted sampling without replacement" (UAI 2023): weighted
draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.relevance.promise.goal import SHARE, Counts, Goal, hopes, run

Numbers: TypeAlias = NDArray[np.float64]
Wholes: TypeAlias = NDArray[np.int64]

# An answer to a drawn row; an unknown one counts as whatever speaks against the claim.
YES, NO, UNKNOWN = 1, 0, -1
# Fractions staked, a part of the capital each; see `parts_for`. Close to 1 a stretch of irrelevant
# rows pays as much as in an exact test, but one relevant row among the dropped takes nearly all;
# the timid ones stand that. A mixture of these needed as few labels in simulation as stakes fitted
# to the answers, and nothing has to be estimated for it.
STAKES = np.array([0.01, 0.03, 0.06, 0.12, 0.25, 0.4, 0.55, 0.7, 0.8, 0.88, 0.94, 0.97, 0.985])


BLOCK_DRAWS = 128  # weighed at once: some 5 MB at 40 claims and 40 strata
DRAWN_AT_ONCE = 8_192
# of what a forecast gives to the stake that should grow most, against one that grows half as much
SHARPNESS = 10.0
FORESEEN = 0.75  # of the capital is staked by the forecast, the rest evenly


@dataclass(frozen=True, slots=True)
class Claims:
    """Several claims about one population; claim c says D[c] >= 0."""

    gains: Numbers  # (claims, strata): what one relevant row of a stratum adds to D
    constants: Numbers  # (claims,): what of D is known before the first draw
    # (claims, strata), at most 0: the least that a row of a stratum may add; None: as gains have it
    floors: Numbers | None = None

    def __len__(self) -> int:
        return len(self.constants)

    @property
    def least(self) -> Numbers:
        """float64, (claims, strata): the least that a row of a stratum may add, 0 at most."""
        return np.minimum(self.gains, 0.0) if self.floors is None else self.floors

    def one(self, number: int) -> Claims:
        """One of them alone."""
        at = slice(number, number + 1)
        floors = None if self.floors is None else self.floors[at]
        return Claims(self.gains[at], self.constants[at], floors)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a prefix of the draws says."""

    # (claims,): log of the largest capital so far; infinite where the claim is certain
    best: Numbers
    now: Numbers  # (claims,): log of the capital after the last draw
    known: Numbers  # (claims,): P, the part of D known by now, unknown answers at their worst
    drawn: Wholes  # (strata,)
    relevant: Wholes  # (strata,): answered yes among the drawn

    def holds(self, deltas: Numbers) -> NDArray[np.bool_]:
        """bool, (claims,): believed at the level delta, each by itself."""
        return self.best >= -np.log(deltas) - 1e-12


def draw_strata(sizes: Wholes, shares: Numbers, uniforms: Numbers) -> Wholes:
    """int64, (n,): the stratum of each draw, n <= the rows there are.

    The chances change only when a stratum is exhausted; the draws between two such ends are made at
    once.

    :param sizes: (strata,), rows; shares: (strata,), above 0; uniforms: (n,), in [0, 1), one a
        draw.
    """
    left = sizes.astype(np.int64).copy()
    found = np.empty(min(len(uniforms), int(left.sum())), np.int64)
    start, stop = 0, DRAWN_AT_ONCE
    while start < len(found):
        ends = np.cumsum(_chances(left, shares))
        stop = min(stop, len(found))
        strata = np.searchsorted(ends, uniforms[start:stop] * ends[-1], side="right")
        drawn = np.bincount(strata, minlength=len(left))
        over = np.flatnonzero((drawn >= left) & (left > 0))
        if len(over):  # only the draws up to the first end are good
            first = (
                min(int(np.flatnonzero(strata == one)[left[one] - 1]) for one in over.tolist()) + 1
            )
            strata = strata[:first]
            drawn = np.bincount(strata, minlength=len(left))
        found[start : start + len(strata)] = strata
        left -= drawn
        start += len(strata)
        stop = start + DRAWN_AT_ONCE
    return found


def _chances(left: Wholes, shares: Numbers) -> Numbers:
    chances = np.where(left > 0, shares, 0.0)
    total = chances.sum()
    return np.asarray(chances / total if total else chances)


def weigh(
    sizes: Wholes,
    shares: Numbers,
    strata: Wholes,
    answers: Sequence[int],
    claims: Claims,
    parts: Numbers | None = None,
    goal: Goal | None = None,
    lies: Wholes | None = None,
) -> Evidence:
    """The evidence of the first len(answers) draws for each claim. See `weigh_at`."""
    return weigh_at([len(answers)], sizes, shares, strata, answers, claims, parts, goal, lies)[0]


def weigh_at(
    looks: Sequence[int],
    sizes: Wholes,
    shares: Numbers,
    strata: Wholes,
    answers: Sequence[int],
    claims: Claims,
    parts: Numbers | None = None,
    goal: Goal | None = None,
    lies: Wholes | None = None,
) -> list[Evidence]:
    """The evidence for each claim after so many draws, at every look, in one go.

    :param looks: numbers of draws, rising, at most len(answers).
    :param sizes: (strata,); shares: (strata,), as the draws were made with; or (n, strata), those
        of each draw, where they were shared out anew on the way.
    :param strata: of the draws, in their order; at least as many as answers.
    :param answers: YES, NO or UNKNOWN of each draw.
    :param parts: (claims, stakes), each claim's sum to 1: of the first capital, what goes to each
        stake; None: even.
    :param goal: what a part of the first capital aims at (`goal.py`); None: all of it goes to the
        fixed stakes.
    :param lies: of each draw the stratum whose gain a yes brings, where the claims have floors that
        allow for it; None: that of the draw.
    """
    said = np.asarray(answers, np.int64)
    gives = strata if lies is None else lies
    seen = Counts.none(len(sizes))
    known = claims.constants.astype(np.float64)
    even = np.full((len(claims), len(STAKES)), 1 / len(STAKES))
    capital = np.log(even if parts is None else parts)
    if goal is not None:
        capital += np.log(1 - SHARE)
    aimed = np.zeros(len(claims))  # the log of what the goal's gambler has, who began with 1
    best = np.where(_certain(claims, known, sizes), np.inf, 0.0)
    now = np.zeros(len(claims))
    found = []
    for start, stop in _blocks(looks):
        block = slice(start, stop)
        if start == stop:  # a look
            found.append(Evidence(best, now, known, seen.drawn, seen.relevant))
            continue
        there, answer = strata[block], said[block]
        one = np.arange(len(sizes)) == there[:, None]  # (draws, strata)
        along = seen.along(one, answer == YES, answer == UNKNOWN)
        left = sizes - along.drawn[:-1]  # before each draw
        # (draws, claims)
        by_yes = claims.gains[:, gives[block]].T * (answer == YES)[:, None]
        gained = np.where(answer[:, None] == UNKNOWN, claims.least[:, there].T, by_yes)
        after = known + np.cumsum(gained, axis=0)
        chances, weights = chances_at(shares if shares.ndim == 1 else shares[block], left)
        ratios = _ratios(claims, after - gained, gained, weights, one)
        logs = capital + np.cumsum(np.log1p(STAKES * ratios[:, :, None]), axis=0)
        sums = _log_sum(logs)  # (draws, claims)
        if goal is not None:
            before = after - gained - claims.constants + goal.constants
            hope = hopes(goal, claims.gains, chances, weights, before, along[:-1], first=start)
            reached = run(aimed, ratios, hope, goal.wanted)
            sums, aimed = np.logaddexp(sums, np.log(SHARE) + reached), reached[-1]
        sums_or_certain = np.where(_certain(claims, after, left - one), np.inf, sums)
        best = np.maximum(best, sums_or_certain.max(axis=0))
        known, capital, now, seen = after[-1], logs[-1], sums[-1], along[-1]
    return found


def _blocks(looks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(start, stop) of the draws that are weighed at once; start == stop where somebody looks."""
    start = 0
    for look in looks:
        for stop in range(min(start + BLOCK_DRAWS, look), look + BLOCK_DRAWS, BLOCK_DRAWS):
            if start < min(stop, look):
                yield start, min(stop, look)
                start = min(stop, look)
        yield look, look


def chances_at(shares: Numbers, left: Wholes) -> tuple[Numbers, Numbers]:
    """float64, (draws, strata) each: the chance of each stratum, and its rows left over that.

    :param left: (draws, strata), rows before each draw.
    """
    chances = np.where(left > 0, shares, 0.0)
    chances /= chances.sum(axis=1, keepdims=True)
    return chances, np.where(left > 0, left / np.where(chances > 0, chances, 1.0), 0.0)


def _ratios(
    claims: Claims, known: Numbers, gained: Numbers, weights: Numbers, one: NDArray[np.bool_]
) -> Numbers:
    """float64, (draws, claims), from -1: Z / -Zmin; 0 where nothing can be lost.

    :param known: (draws, claims), before each draw; gained: (draws, claims), by it; weights:
        (draws, strata), as `chances_at` gives them; one: (draws, strata), True at the stratum
        drawn.
    """
    dearest = (claims.least * weights[:, None, :]).min(axis=2)  # (draws, claims)
    worst = known + dearest
    outcome = known + gained * weights[one][:, None]
    ratio = np.where(worst < 0, outcome / np.where(worst < 0, -worst, 1.0), 0.0)
    return np.asarray(np.maximum(ratio, -1.0))


def _certain(claims: Claims, known: Numbers, left: Wholes) -> NDArray[np.bool_]:
    """bool, (..., claims): D >= 0 whatever the rows are that nobody has looked at.

    :param known: (..., claims); left: (..., strata).
    """
    return np.asarray(known + left @ claims.least.T >= -1e-9)


def _log_sum(logs: Numbers) -> Numbers:
    top = logs.max(axis=-1)
    return np.asarray(top + np.log(np.exp(logs - top[..., None]).sum(axis=-1)))


def parts_for(sizes: Wholes, shares: Numbers, rates: Numbers, claims: Claims) -> Numbers:
    """float64, (claims, stakes), above 0, sum 1:
    more of the capital for the stakes that a forecast makes grow.

    :param rates: (strata,), forecast before the first draw.
    """
    grown = growths(sizes, shares, rates, claims, claims.constants)  # (stakes, claims)
    grown = np.where(np.isfinite(grown), grown, 0.0)
    best = np.maximum(grown.max(axis=0), 1e-9)
    likely = np.exp(np.clip((grown / best - 1) * SHARPNESS, -50, 0)).T
    likely /= likely.sum(axis=1, keepdims=True)
    return np.asarray(FORESEEN * likely + (1 - FORESEEN) / len(STAKES))


def growth(
    sizes: Wholes, shares: Numbers, rates: Numbers, claims: Claims, known: Numbers
) -> Numbers:
    """float64, (claims,): how much the log of the best stake's capital grows a label,
    if these were the rates; infinite where the claim is certain.

    A forecast for planning; no promise rests on it. See `growths`.
    """
    return np.asarray(growths(sizes, shares, rates, claims, known).max(axis=0))


def growths(
    sizes: Wholes, shares: Numbers, rates: Numbers, claims: Claims, known: Numbers
) -> Numbers:
    """float64, (stakes, claims): how much the log of each stake's capital grows a label.

    :param sizes: (strata,), rows left; rates: (strata,), the expected share of relevant rows, in
        (0, 1).
    :param known: (claims,), as in Evidence.
    """
    chances = _chances(sizes, shares)
    weights = np.where(sizes > 0, sizes / np.where(chances > 0, chances, 1.0), 0.0)
    jumps = claims.gains * weights  # (claims, strata)
    worst = known + (claims.least * weights).min(axis=1)
    scale = np.where(worst < 0, -worst, 1.0)[:, None]
    yes = np.maximum((known[:, None] + jumps) / scale, -1.0)
    no = np.maximum(known[:, None] / scale, -1.0)
    found = [
        (chances * (rates * np.log1p(stake * yes) + (1 - rates) * np.log1p(stake * no))).sum(axis=1)
        for stake in STAKES
    ]
    return np.asarray(np.where(worst < 0, found, np.inf))
