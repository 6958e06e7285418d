"""Blocks of vectors scored in half precision, for several queries at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import RowMask
from indexer.disk.stored_vectors import HalfQueries, StoredVectors
from service.snapshot.scan.rider import LOWEST, Rider

# Rows are within 1e-3 of unit length, and half precision adds 2^-11 of that.
LONGEST_ROW = 1.002


def bound(vector: NDArray[np.float32], rounded: NDArray[np.float16]) -> float:
    """The most by which a row's score in half precision can differ from FAISS's score.

    With q the query, h the query in half precision, x a row, R the longest row, and u = 2^-24 the
    unit round-off of float32: both sum dim products in float32, in whatever order, so each result
    is off the true sum by at most g |a|.|x| <= g |a| |x| where g = dim u / (1 - dim u) (Higham,
    "Accuracy and Stability of Numerical Algorithms", 2nd edition, (3.5); products of half-precision
    numbers are exact in float32). The true sums differ by (q - h).x. Hence

        |half - FAISS| <= R (|q - h| + g (|q| + |h|)).
    """
    exact, near = vector.astype(np.float64), rounded.astype(np.float64)
    roundings = len(vector) * 2.0**-24
    lengths = np.linalg.norm(exact) + np.linalg.norm(near)
    return float(
        LONGEST_ROW
        * (np.linalg.norm(exact - near) + roundings / (1 - roundings) * lengths)
        * (1 + 1e-9)
    )


class Halves:
    """Riders' queries in half precision."""

    def __init__(self, riders: Sequence[Rider]) -> None:
        self._riders = riders
        self._queries = HalfQueries(np.stack([rider.half for rider in riders]))
        self._epsilons = [bound(rider.order.vector, rider.half) for rider in riders]

    def read(
        self,
        vectors: StoredVectors,
        start: int,
        end: int,
        masks: Sequence[RowMask | None],
        first_row: int,
    ) -> None:
        """Score the rows from start to end, and let each rider hold those that it may need.

        :param masks: of each rider, (vectors.rows,), or None.
        :param first_row: the number of the vectors' first row, counted through all parts.
        """
        scores = vectors.score(self._queries, start, end)  # (rows, riders)
        for column, (rider, mask) in enumerate(zip(self._riders, masks, strict=True)):
            if mask is not None:
                scores[~mask[start:end], column] = -np.inf
            if rider.floor == LOWEST:
                rider.begin(scores[:, column], self._epsilons[column])
        least = [
            rider.least(epsilon)
            for rider, epsilon in zip(self._riders, self._epsilons, strict=True)
        ]
        rows, columns = at_least(scores, least)
        for column in np.unique(columns).tolist():
            here = rows[columns == column]
            near, epsilon = scores[here, column].astype(np.float64), self._epsilons[column]
            self._riders[column].add(near - epsilon, near + epsilon, here + (start + first_row))


def at_least(
    scores: NDArray[np.float32], least: Sequence[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the scores that are as large as the least of their column.

    The scores are laid flat and the least ones repeated for each row: comparing (rows, n) with (n,)
    takes ten times as long.
    """
    rows, columns = scores.shape
    wanted = np.tile(np.array(least, np.float32), rows) if columns > 1 else least[0]
    found = np.flatnonzero(scores.reshape(-1) >= wanted)
    return np.divmod(found, columns)
