"""Bins of scores: all of one width, which is a round number."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.errors import BadRequest

FEWEST_BINS, MOST_BINS = 4, 1_000


@dataclass(frozen=True, slots=True)
class Bins:
    """Bin i reaches from edges[i] to below edges[i + 1]."""

    edges: NDArray[np.float64]  # (n + 1,): rising multiples of step
    step: float  # 1, 2 or 5 times a power of ten

    @classmethod
    def over(cls, lowest: float, highest: float, most: int) -> Bins:
        """At most so many bins, from the one that holds the lowest number to that of the highest.

        :param most: FEWEST_BINS or more.
        """
        step = _round_step((highest - lowest) / (most - 2))
        first = math.floor(lowest / step)
        digits = max(0, -math.floor(math.log10(step)))
        edges = np.round(np.arange(first, math.floor(highest / step) + 2) * step, digits)
        return cls(edges, step)


def check_bins(bins: int) -> None:
    """:raises BadRequest: if it is no number of bins that one may ask for."""
    if not FEWEST_BINS <= bins <= MOST_BINS:
        raise BadRequest(
            "bins", f"{bins} is no number of bins; it is {FEWEST_BINS} to {MOST_BINS:,}"
        )


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least this."""
    power = math.floor(math.log10(least))
    factor = next(each for each in (1, 2, 5, 10) if each * 10.0**power >= least * (1 - 1e-9))
    return float(f"{factor}e{power}")
