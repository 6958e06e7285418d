"""What dropping saved and what it may have lost, in money; and which images a look is worth.

Everything is counted against annotating the whole population. With P the price of an annotation, L
of a label (or a look), M of a missed relevant image:

    saved = P * (dropped + asked - asked relevant) - L * (labels given + asked) - M * missed

A dropped image is not annotated; one that is asked about costs a look, and is annotated where it is
relevant. `missed` are the relevant images among the dropped that no person has answered yes to.

How many they are at most follows from the promise. What is promised is (1 - R) K >= R (m + u),
where K relevant images lie above the line or were known before the audit, m are missed, and u lie
below the line and were found by people, who keep them. K is at most the images there that nobody
answered with no. So with the promise's confidence

    m <= (1 - R) / R * K - u,

and never more than the dropped images that nobody answered (`most_missed`). Nothing is known of M
and P here, and nothing rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.relevance.as_json import AsJson
from service.relevance.promise.applying import DROP, KEEP
from service.relevance.promise.martingale import Numbers
from service.relevance.promise.prices import Prices


@dataclass(frozen=True, slots=True)
class Saved(AsJson):
    """What dropping saved, in the prices' currency, and what of it was spent."""

    estimate: float
    at_least: float
    at_most: float
    not_annotated: float
    labels: float
    looks: float
    misses: float
    misses_at_most: float


@dataclass(frozen=True, slots=True)
class Misses(AsJson):
    """Relevant images among the dropped."""

    estimate: float  # at most `at_most`
    at_most: int
    # at_most follows from a promise of recall; else it is only that all dropped images may be
    # relevant
    promised: bool


def saved(
    prices: Prices, *, dropped: int, asked: int, asked_relevant: float, labels: int, misses: Misses
) -> Saved:
    """The sum, with what it is at least and at most.

    At least: as many misses as there can be, and every image that is asked about is relevant. At
    most: no miss, and none of those is.
    """
    looks = prices.look * (labels + asked)

    def total(relevant: float, missed: float) -> float:
        return (
            prices.annotation * (dropped + asked - relevant) - looks - (prices.miss or 0.0) * missed
        )

    return Saved(
        estimate=round(total(asked_relevant, misses.estimate), 2),
        at_least=round(total(asked, misses.at_most), 2),
        at_most=round(total(0, 0), 2),
        not_annotated=round(prices.annotation * (dropped + asked - asked_relevant), 2),
        labels=round(prices.look * labels, 2),
        looks=round(prices.look * asked, 2),
        misses=round((prices.miss or 0.0) * misses.estimate, 2),
        misses_at_most=round((prices.miss or 0.0) * misses.at_most, 2),
    )


@dataclass(frozen=True, slots=True)
class AskBand:
    """The images that a look is the cheapest for, among those that nobody answered."""

    rows: NDArray[np.bool_]  # (n,)
    # the probability from which a look is cheaper than a drop; None: no price of a miss
    above: float | None
    below: float  # the probability up to which a look is cheaper than an annotation
    saves: float  # against what was decided; a forecast, as the probabilities are


def ask_band(
    prices: Prices,
    probability: Numbers,
    decisions: NDArray[np.int8],
    open_rows: NDArray[np.bool_],
    *,
    keeps_are_fixed: bool,
) -> AskBand:
    """Which images to ask about, by what is expected to be cheapest for each.

    With the chance p of being relevant, an image costs P kept, L + p P asked about, and p M
    dropped. So a look beats an annotation below p = 1 - L / P, and a drop above p = L / (M - P).
    Dropping is a choice only for images that the promise drops already; asking about those can but
    raise recall.

    :param probability: (n,); decisions: (n,), KEEP, ASK or DROP; open_rows: (n,), True where no
        person decided.
    :param keeps_are_fixed: precision is promised of what is kept, so kept images stay.
    """
    keep = np.full(len(probability), prices.annotation)
    ask = prices.look + prices.annotation * probability
    drop = (prices.miss or 0.0) * probability
    now = np.choose(decisions, [keep, ask, drop])
    may_ask = open_rows & ~((decisions == KEEP) & keeps_are_fixed)
    others = np.where(decisions == DROP, np.minimum(drop, keep), keep)
    rows = may_ask & (ask < others)
    dearer = (prices.miss or 0.0) - prices.annotation
    return AskBand(
        rows=rows,
        above=None
        if prices.miss is None
        else (min(1.0, prices.look / dearer) if dearer > 0 else 1.0),
        below=max(0.0, 1 - prices.look / prices.annotation),
        saves=float((now - ask)[rows].sum()),
    )
