"""BARGAIN's recall-target selection, plainly, to compare with.

Zeighami, Shankar and Parameswaran, "Cut costs, not accuracy: LLM-powered data processing with
guarantees", SIGMOD 2026, with their parameter beta at 0, the only choice under which they state the
guarantee without an assumption: rows are drawn uniformly with replacement, and of the relevant ones
among them each row's place is a threshold, tested from the lowest on. The test is a betting one for
the mean of values in [0, 1] (Waudby-Smith and Ramdas, "Estimating means of bounded random variables
by betting", JRSS B 86, 2024), here of whether each relevant row drawn lies at or above the
threshold; no correction for the many thresholds is needed, since the first that is not shown ends
it. The last one shown is taken, all rows where none is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 0.75  # of what may be lost at once, staked


def select(
    scores: NDArray[np.float32],
    relevant: NDArray[np.bool_],
    recall: float,
    delta: float,
    labels: int,
    generator: np.random.Generator,
) -> NDArray[np.bool_]:
    """bool, (n,): the rows kept, drawn relevant ones included.

    :param scores: (n,), higher is more likely relevant; relevant: (n,), asked only of drawn rows.
    :param labels: draws; a row drawn again counts again.
    """
    order = np.argsort(scores, kind="stable")
    drawn = generator.integers(len(scores), size=labels)
    places = drawn[relevant[order[drawn]]]
    least = 0
    for threshold in np.sort(places):
        if not shown(places >= threshold, recall, delta):
            break
        least = int(threshold)
    kept = np.zeros(len(scores), bool)
    kept[order[least:]] = True
    kept[order[places]] = True
    return kept


def shown(values: NDArray[np.bool_], mean: float, delta: float) -> bool:
    """Whether a bet that the mean is above the one given ever wins 1 / delta; stakes are their
    predictable ones for a sample of known size.

    :param values: (n,), independent, in the order drawn.
    """
    found = values.astype(np.float64)
    seen = np.arange(1, len(found) + 1)
    means = (0.5 + np.cumsum(found)) / (seen + 1)
    # Of values of 0 and 1, squares are the values: sum (x - m)^2 = sum x - 2 m sum x + t m^2.
    sums = np.cumsum(found)
    spread = (0.25 + sums - 2 * means * sums + seen * means**2) / (seen + 1)
    before = np.concatenate([[0.25], spread[:-1]])
    stakes = np.sqrt(2 * np.log(2 / delta) / (len(found) * before))
    capital = np.cumprod(1 + np.minimum(stakes, MOST / mean) * (found - mean))
    return bool((capital >= 1 / delta).any())
