"""The rows of several segments under one count, in the order of the segments or of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask, Vectors
from indexer.disk.stored_vectors import StoredVectors


class Counted:
    """Rows counted through segments: the first of the second follows the last of the first."""

    def __init__(self, stores: Sequence[StoredVectors], alive: Sequence[RowMask | None]) -> None:
        """:param alive: of each segment, the rows that live; None: all."""
        self.stores = stores
        self.starts = np.cumsum([0, *(store.rows for store in stores)])  # (segments + 1,)
        self._alive = alive

    @property
    def rows(self) -> int:
        return int(self.starts[-1])

    @property
    def dim(self) -> int:
        return self.stores[0].dim

    def take(self, places: Positions) -> Vectors:
        """float32, (n, dim): the vectors at these places, in their order."""
        found = np.empty((len(places), self.dim), np.float32)
        numbers = np.searchsorted(self.starts, places, side="right") - 1
        for number in np.unique(numbers).tolist():
            here = numbers == number
            found[here] = self.stores[number].take(places[here] - self.starts[number])
        return found

    def alive(self, number: int) -> RowMask | None:
        """Of a segment, the rows that live; None: all."""
        return self._alive[number]

    def sample(self, count: int, seed: int) -> Positions:
        """int64, (n,): up to count places of living rows, drawn at random, rising."""
        alive = np.ones(self.rows, bool)
        for number, mask in enumerate(self._alive):
            if mask is not None:
                alive[self.starts[number] : self.starts[number + 1]] = mask
        living = np.flatnonzero(alive)
        if len(living) > count:
            living = np.random.default_rng(seed).choice(living, count, replace=False)
        return np.sort(living)


class Reordered:
    """The same rows in another order."""

    def __init__(self, counted: Counted, places: NDArray[np.unsignedinteger[Any]]) -> None:
        self._counted, self._places = counted, places

    @property
    def rows(self) -> int:
        return len(self._places)

    def take(self, positions: Positions, /) -> Vectors:
        return self._counted.take(self._places[positions].astype(np.int64))
