"""How sure it is that a number stands out of many: beyond a tail that falls off exponentially.

Nothing in numbers alone tells the far end of what is usual from what is not: the largest of a
thousand is always there. So one thing is assumed, and named: above the 90 % quantile what is usual
falls off at least as fast as an exponential with the mean excess that is seen between the 90 % and
the 98 % quantile. Up to 2 % of the numbers may be anything. The mean excess is worked out from
those between, with the others counted as larger than all of them (the estimate of greatest
likelihood of an exponential that is cut off), and raised to its upper bound at 95 %, so that few
numbers claim little.

Where the tail is heavier than that, more is said to stand out than should be; so numbers are to be
ones whose tail is light, as distances that have a bound.

Sources: Epstein and Sobel, "Life testing", JASA 48 (1953): the estimate and its bound; Pickands,
"Statistical inference using extreme order statistics", Annals of Statistics 3 (1975): what lies
beyond a high quantile is exponential, or lighter where there is a bound, or heavier.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

LOW, HIGH = 0.90, 0.98  # quantiles between which the tail is measured
SURE = 0.95  # of the bound of its mean excess
FEWEST = 100  # numbers; the tail of fewer is a matter of chance


def p_values(numbers: Numbers, usual: Numbers) -> Numbers:
    """float64, (n,): the chance that a usual number is as large as each; 1 up to the 98 % quantile
    of those that are usual.

    :param numbers: (n,); usual: (m,), m at least FEWEST; the same numbers, or others.
    """
    from scipy.stats import chi2

    low, high = np.quantile(usual, [LOW, HIGH])
    between = usual[(usual > low) & (usual <= high)]
    beyond = int(np.count_nonzero(usual > high))
    if not len(between) or not beyond:  # most are the same number
        return np.ones(len(numbers))
    excess = float((between - low).sum() + beyond * (high - low))
    # Twice the sum over the mean is a chi-squared number of two degrees a number between.
    mean = 2 * excess / float(chi2.ppf(1 - SURE, 2 * len(between)))
    over = np.maximum(numbers - high, 0.0)
    p = beyond / len(usual) * np.exp(-over / mean)
    return np.where(numbers > high, p, 1.0)
