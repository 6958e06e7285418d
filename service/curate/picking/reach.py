"""How near a lake's images lie to picks, beside images picked at random.

It is the mean cosine of an image to its nearest pick, which is what `coverage` makes large; and,
for who names a cosine, the share of the images that have a pick within it. Both are counted over
images that are drawn at random, whatever was picked: the mean has the usual interval of a sample's
mean, the share Wilson's (Journal of the American Statistical Association 22, 1927), and both err on
the safe side where the images drawn are many of the lake's. Over all of them they are facts, and
have no interval. Where images weigh unlike, means and shares are of what they weigh.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from service.curate.rows import Rows, nearest

COUNTED_ROWS = 10_000
TIMES_AS_MANY = 16  # as many random picks are tried as would reach as far
STEP = 256  # of random picks
Z_95 = 1.959964  # of the normal distribution, two-sided


@dataclass(frozen=True, slots=True)
class Within:
    """The share of the images, 0 to 1, that have a pick within a cosine."""

    cosine: float
    share: float
    low: float  # of a 95 % interval; the share itself, where all images were counted
    high: float
    random_share: float  # of as many picked at random


@dataclass(frozen=True, slots=True)
class Reach:
    mean: float  # cosine of an image to its nearest pick
    low: float  # of a 95 % interval; the mean itself, where all images were counted
    high: float
    counted: int  # images
    random_mean: float  # of as many picked at random
    # So many picked at random come as near; None: more than `random_tried` would.
    random_needed: int | None
    random_tried: int
    within: Within | None  # None: no cosine was named

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def reach_of(
    rows: Rows, picked: Vectors, before: Rows, cosine: float | None, random: np.random.Generator
) -> Reach:
    """
    :param rows: all that could be picked, or were before; of one at least the weight is above 0.
    :param picked: float32, (n, dim), n > 0: the picks.
    :param before: rows that count as picked, for these picks and for random ones.
    :param cosine: of `Within`; None: it is not wanted.
    """
    counted = rows.stand_ins(COUNTED_ROWS, random)
    vectors, is_all = counted.vectors(), counted.weights is not None or len(counted) == len(rows)
    known = before.nearest_to(vectors)
    near = np.maximum(known, nearest(vectors, picked))
    order = random.permutation(len(rows))
    order = order[~np.isin(rows.row_ids[order], before.row_ids)]
    tried = rows.at(order[: TIMES_AS_MANY * len(picked)])
    by_chance = np.maximum(known, tried.at(np.arange(len(picked))).nearest_to(vectors))
    mean = _mean(near, counted.weights)
    half = 0.0 if is_all else Z_95 * float(near.std(dtype=np.float64)) / math.sqrt(len(near))
    within = None
    if cosine is not None:
        share = _mean(near >= cosine, counted.weights)
        low, high = (share, share) if is_all else wilson(share, len(near))
        within = Within(cosine, share, low, high, _mean(by_chance >= cosine, counted.weights))
    return Reach(
        mean,
        mean - half,
        mean + half,
        len(counted),
        _mean(by_chance, counted.weights),
        _needed(tried, vectors, known, mean, counted.weights),
        len(tried),
        within,
    )


def _mean(values: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    return float(np.average(values.astype(np.float64), weights=weights))


def _needed(
    tried: Rows,
    vectors: Vectors,
    known: NDArray[np.float32],
    mean: float,
    weights: NDArray[np.float64] | None,
) -> int | None:
    """How many of these, in their order, come as near; None: all of them do not."""
    for start in range(0, len(tried), STEP):
        here = np.arange(start, min(start + STEP, len(tried)))
        near = np.maximum.accumulate(vectors @ tried.at(here).vectors().T, axis=1)
        np.maximum(near, known[:, None], out=near)
        means = np.average(near.astype(np.float64), axis=0, weights=weights)
        if means[-1] >= mean:
            return start + 1 + int(np.argmax(means >= mean))
        known = near[:, -1]
    return None


def wilson(share: float, of: int) -> tuple[float, float]:
    """Bounds of a 95 % interval for a share of a binomial draw of so many."""
    z2 = Z_95**2 / of
    middle, half = share + z2 / 2, Z_95 * math.sqrt(share * (1 - share) / of + z2 / (4 * of))
    return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))
