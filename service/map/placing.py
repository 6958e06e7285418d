"""Places images beside the landmarks that they look like.

An image lies amid the landmarks that are nearest to it, of those that lie near the very nearest: so
it is never put between two clusters, where nothing is like it.
"""

from __future__ import annotations

import faiss
import numpy as np

from indexer.arrays import Vectors
from service.map.stored import Places

NEAREST = 10  # landmarks looked at
REACH = 3.0  # how far from the nearest one they may lie, in usual distances between neighbours


class Placer:
    """Landmarks, ready for others to be placed beside them."""

    def __init__(self, vectors: Vectors, places: Places) -> None:
        """:param vectors: float32, (n, dim), unit rows; places: float32, (n, 2); n is at least 1"""
        self._places = places
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors))
        self._k = min(NEAREST, len(vectors))
        self._reach = REACH * _usual_distance(places)

    def place(self, vectors: Vectors) -> Places:
        """float32, (n, 2), amid landmarks. :param vectors: float32, (n, dim), unit rows."""
        if not len(vectors):
            return np.empty((0, 2), np.float32)
        cosines, near = self._index.search(np.ascontiguousarray(vectors), self._k)
        found = self._places[near]  # (n, k, 2)
        away = np.linalg.norm(found - found[:, :1], axis=2)
        # The nearest weighs 1, the last one looked at nearly nothing.
        span = np.maximum(cosines[:, :1] - cosines[:, -1:], 1e-6)
        weights = np.exp(-3 * (cosines[:, :1] - cosines) / span) * (away <= self._reach)
        placed = (found * weights[:, :, None]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
        return np.asarray(np.clip(placed, -1, 1), np.float32)


def _usual_distance(places: Places) -> float:
    """The median distance of a landmark to its NEAREST-th neighbour on the map."""
    index = faiss.IndexFlatL2(2)
    index.add(np.ascontiguousarray(places))
    squares, _ = index.search(places[:: -(-len(places) // 2_000)], min(NEAREST + 1, len(places)))
    return float(np.sqrt(np.maximum(np.median(squares[:, -1]), 0)))
