"""Two rules of document review that say when to stop, plainly, to compare with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, hypergeom

LOOK_EVERY = 50  # rows between two looks of the hypergeometric rule; fewer find it sooner


def quantile_bound(
    scores: NDArray[np.float32],
    relevant: NDArray[np.bool_],
    recall: float,
    delta: float,
    labels: int,
    generator: np.random.Generator,
) -> NDArray[np.bool_]:
    """bool, (n,): the rows kept by QBCB, drawn relevant ones included; all where it shows nothing.

    Lewis, Yang and Frieder, "Certifying one-phase technology-assisted reviews", CIKM 2021: of k
    relevant rows drawn at random the j-th lowest is a lower bound of the (1 - recall) quantile of
    all of them but for the chance that a binomial of k and 1 - recall is below j. The largest j is
    taken for which that is at most delta; k has to be log(delta) / log(recall) at least.

    :param scores: (n,), higher is more likely relevant; relevant: (n,), asked only of drawn rows.
    :param labels: rows drawn, at most n.
    """
    drawn = generator.choice(len(scores), labels, replace=False)
    found = drawn[relevant[drawn]]
    number = lowest(len(found), recall, delta)
    if not number:
        return np.ones(len(scores), bool)
    kept: NDArray[np.bool_] = scores >= np.sort(scores[found])[number - 1]
    kept[found] = True
    return kept


def lowest(relevant: int, recall: float, delta: float) -> int:
    """Which of so many relevant rows drawn, from the lowest on, bounds the line; 0: none does."""
    chances = binom.cdf(np.arange(relevant), relevant, 1 - recall)  # of the first, the second, ...
    return int((chances <= delta).sum())


@dataclass(frozen=True, slots=True)
class Screened:
    """:ivar rows: that people looked at, from the best score on; recall: of the relevant among
    them."""

    rows: int
    recall: float


def screen(
    scores: NDArray[np.float32], relevant: NDArray[np.bool_], recall: float, delta: float
) -> Screened:
    """Where screening by score stops by the hypergeometric rule.

    Callaghan and Mueller-Hansen, "Statistical stopping criteria for automated screening in
    systematic reviews", Systematic Reviews 9, 2020: at each look, what was seen since any earlier
    one is taken for a random sample of what was left then. If the recall were missed there were so
    many relevant rows left; screening stops when to have found no more of them than were found is
    less likely than delta for one of the earlier looks. It has no proof: rows come by score, not at
    random, and the least of many chances is taken.
    """
    order = np.argsort(-scores, kind="stable")
    found = np.concatenate([[0], np.cumsum(relevant[order])])
    rows, everything = len(scores), int(found[-1])
    for seen in range(LOOK_EVERY, rows, LOOK_EVERY):
        since = np.arange(0, seen, LOOK_EVERY)
        missing = np.floor(found[seen] / recall - found[since] + 1).astype(np.int64)
        left = rows - since
        chances = hypergeom.cdf(
            found[seen] - found[since], left, np.minimum(missing, left), seen - since
        )
        if (chances < delta).any():
            return Screened(seen, found[seen] / everything if everything else 1.0)
    return Screened(rows, 1.0)
