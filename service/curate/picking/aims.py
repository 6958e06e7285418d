"""What picks are to be good at: standing for the lake, or lying far apart.

Both look at cosines of unit vectors. `Coverage` is facility location: the sum, over images that
stand for the lake, of the cosine to the nearest pick, below 0 counted as 0, times what each
image weighs. `Diversity` is the
k-centre problem: the next pick is the image that lies farthest from all picks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from service.curate.rows import COMPARED_ROWS, nearest


class Coverage:
    """See `service.curate.picking.greedy.Aim`."""

    def __init__(
        self,
        lake: Vectors,
        candidates: Vectors,
        known: NDArray[np.float32],
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        """
        :param lake: float32, (m, dim), unit rows: the images that stand for the lake.
        :param candidates: float32, (n, dim), unit rows.
        :param known: float32, (m,): the cosine of each of the lake's to the nearest image that
            counts as picked before.
        :param weights: (m,), 0 at least: how much each of the lake's counts; None: 1 each.
        """
        self._lake, self._candidates = lake, candidates
        self._weights = None if weights is None else weights.astype(np.float32)
        # float32, (m,): of each the cosine to the nearest pick
        self._nearest = np.maximum(known, 0)

    def gains(self, some: Positions) -> NDArray[np.float64]:
        asked = self._candidates[some].T
        gains = np.zeros(len(some), np.float64)
        for start in range(0, len(self._lake), COMPARED_ROWS):
            here = slice(start, start + COMPARED_ROWS)
            more = self._lake[here] @ asked
            more -= self._nearest[here, None]
            np.maximum(more, 0, out=more)
            if self._weights is not None:
                more *= self._weights[here, None]
            gains += more.sum(axis=0, dtype=np.float64)
        return gains

    def take(self, candidate: int) -> None:
        np.maximum(self._nearest, self._lake @ self._candidates[candidate], out=self._nearest)


class Diversity:
    """See `service.curate.picking.greedy.Aim`. The first pick, where nothing counts as picked, is
    the image that lies nearest the mean of all.
    """

    def __init__(self, candidates: Vectors, known: NDArray[np.float32] | None) -> None:
        """
        :param candidates: float32, (n, dim), unit rows.
        :param known: float32, (n,): the cosine of each to the nearest image that counts as picked
            before; None: none does.
        """
        self._candidates = candidates
        self._picks: list[Vectors] = []
        if known is None:
            # Above any distance, which is 2 at most: distances never grow.
            mean = candidates.sum(axis=0, dtype=np.float32) / max(1, len(candidates))
            known = -2 - candidates @ mean
        self._far = 1 - known.astype(np.float64)
        self._compared = np.zeros(len(candidates), np.int64)  # with so many of the picks

    def gains(self, some: Positions) -> NDArray[np.float64]:
        # Those that were compared with the fewest picks say with which all are compared.
        behind = self._picks[int(self._compared[some].min(initial=len(self._picks))) :]
        if behind:
            far = 1 - nearest(self._candidates[some], np.concatenate(behind))
            self._far[some] = np.minimum(self._far[some], far)
            self._compared[some] = len(self._picks)
        return self._far[some]

    def take(self, candidate: int) -> None:
        self._picks.append(self._candidates[candidate][None])
        self._far[candidate] = 0
