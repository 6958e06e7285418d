"""Picks one image after the other, always the one that gains most.

What an image gains never grows as others are picked (the aims are submodular), so a gain worked out
earlier bounds it from above: images are looked at again by falling bound, until the best is known.
The picks are those of looking at all again each time; of a few thousand images a pick, some tens
are looked at. Source: Minoux, "Accelerated greedy algorithms for maximizing submodular set
functions", Optimization Techniques, 1978. Of all sets of the same size none has more than
1 / (1 - 1/e) = 1.58 times the value of the picks of coverage, where nothing limits them (Nemhauser,
Wolsey and Fisher, Mathematical Programming 14, 1978). Of diversity's no set has every image less
than half as far from its nearest pick, in Euclidean distance, whose order is that of 1 - cosine
(Gonzalez, Theoretical Computer Science 38, 1985).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.report import Progress
from service.curate.picking.limits import Limits

FIRST_LOOK, WIDEST_LOOK = 8, 256  # images looked at again at once
LOOKED_AT = 64  # at the beginning, at once


class Aim(Protocol):
    """What the picks are to be good at. Candidates are numbered from 0."""

    def gains(self, some: Positions) -> NDArray[np.float64]:
        """float64, (n,): what each of these would gain now; it never grows."""
        ...

    def take(self, candidate: int) -> None:
        """It is picked."""
        ...


def greedy(aim: Aim, candidates: int, count: int, limits: Limits, progress: Progress) -> list[int]:
    """The picks in their order, at most count: fewer, where no more are within the limits.

    Of equal gains the first candidate's counts.
    """
    progress.stage("comparing", candidates)
    bounds = np.empty(candidates, np.float64)
    for start in range(0, candidates, LOOKED_AT):
        some = np.arange(start, min(start + LOOKED_AT, candidates))
        bounds[some] = aim.gains(some)
        progress.advance(len(some))
    looked_at = np.zeros(candidates, np.int64)  # how many were picked when its bound was known
    picked: list[int] = []
    progress.stage("picking", count)
    while len(picked) < count:
        open_ones = np.flatnonzero(limits.open)
        if not len(open_ones):
            break
        best = _best(aim, bounds, looked_at, open_ones, len(picked))
        aim.take(best)
        limits.take(best)
        picked.append(best)
        progress.advance(1)
    return picked


def _best(
    aim: Aim, bounds: NDArray[np.float64], looked_at: Positions, open_ones: Positions, now: int
) -> int:
    """Which of the open ones gains most; bounds and looked_at are brought up to date."""
    width = FIRST_LOOK
    while True:
        best = int(open_ones[np.argmax(bounds[open_ones])])
        if looked_at[best] == now:
            return best
        stale = open_ones[looked_at[open_ones] < now]
        if len(stale) > width:
            stale = stale[np.argpartition(-bounds[stale], width)[:width]]
        # Of the same bounds the best is among them, since the largest one of all is stale.
        some = np.sort(stale)
        bounds[some] = aim.gains(some)
        looked_at[some] = now
        width = min(2 * width, WIDEST_LOOK)
