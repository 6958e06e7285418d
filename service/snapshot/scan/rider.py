"""A query that reads the rows in blocks, and the rows it has seen that may be among its best.

Knows nothing of how a block is read: it is told, of some rows, between what FAISS's scores lie.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from service.snapshot.nearest import Answer

# Hits. A query that wants more is searched apart; a page of 1,000 that folds looks at 2,100.
WIDEST = 2_200
# Above minus infinity, which is the score of a row that the query's mask drops.
LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True, slots=True)
class Order:
    """A query that wants one answer of each part, its rows in any order.

    Together the answers hold the count best rows, and all rows that tie with the last of them.
    """

    vector: NDArray[np.float32]  # (dim,), unit length
    count: int  # hits, 1..WIDEST
    # The rows of a part that may be found, by the part's number; None: all. Asked again and again,
    # so it must remember what it worked out.
    mask: Callable[[int], RowMask | None]
    # Searches with FAISS, which reads every vector.
    alone: Callable[[], Sequence[Answer]]


class Rider:
    """An order on its way through the blocks."""

    def __init__(self, order: Order, blocks: int) -> None:
        self.order = order
        # Blocks that no driver has taken for it yet, and that none has read to the end. These two
        # and is_over change under the scanner's lock.
        self.to_take = self.to_read = blocks
        self.is_over = False
        # None: it has seen every block; its own thread then makes the answer.
        self.done: Future[Sequence[Answer] | None] = Future()
        # A row whose score is certainly lower cannot be among the best. Infinite: too many rows can
        # be, and FAISS answers the query alone.
        self.floor = LOWEST
        # True: the first half of the codes does not tell enough rows apart.
        self.wants_all_codes = False
        self._lock = threading.Lock()
        self._lower, self._upper = [np.empty(0)], [np.empty(0)]
        self._rows = [np.empty(0, np.int64)]
        self._held = self._new = 0
        # Rows held at most; if more than that tie, FAISS answers the query alone.
        self._room = 2 * order.count + 1_000

    @cached_property
    def half(self) -> NDArray[np.float16]:
        return self.order.vector.astype(np.float16)

    def least(self, epsilon: float) -> np.float32:
        """What a row must at least seem to score, where FAISS's score is off by at most epsilon."""
        if self.floor == LOWEST:
            return np.float32(LOWEST)
        return np.float32(np.nextafter(np.float32(self.floor - epsilon), np.float32(-np.inf)))

    def begin(self, scores: NDArray[np.float32], epsilon: float) -> None:
        """Set the floor by the scores of the first block, so that few of its rows are held.

        :param scores: float32, (n,): of different rows; FAISS's are off by at most epsilon.
        """
        count = self.order.count
        if len(scores) >= count:
            with self._lock:
                self._raise_floor(float(np.partition(scores, -count)[-count]) - epsilon)

    def add(self, lower: NDArray[np.float64], upper: NDArray[np.float64], rows: Positions) -> None:
        """Hold rows that may be among the best.

        :param lower: float64, (n,): FAISS's scores are at least these, and at most upper.
        :param rows: int64, (n,): counted through all parts.
        """
        with self._lock:
            self._lower.append(lower)
            self._upper.append(upper)
            self._rows.append(rows)
            self._held += len(rows)
            self._new += len(rows)
            if self._held > self._room or self._new >= self.order.count:
                self._sift()
                if self._held > self._room:
                    self.floor = np.inf

    def left(self) -> tuple[NDArray[np.float64], NDArray[np.float64], Positions] | None:
        """After the last block: the rows that may be among the best, by rising number of the row.

        :returns: lower, upper and rows; None: there are too many.
        """
        with self._lock:
            self._sift()
            if np.isinf(self.floor):
                return None
            by_row = np.argsort(self._rows[0])
            return self._lower[0][by_row], self._upper[0][by_row], self._rows[0][by_row]

    def _sift(self) -> None:
        lower, upper = np.concatenate(self._lower), np.concatenate(self._upper)
        rows, count = np.concatenate(self._rows), self.order.count
        if len(lower) >= count:
            self._raise_floor(float(np.partition(lower, -count)[-count]))
        kept = upper >= self.floor
        self._lower, self._upper, self._rows = [lower[kept]], [upper[kept]], [rows[kept]]
        self._held, self._new = len(self._rows[0]), 0

    def _raise_floor(self, least: float) -> None:
        """:param least: FAISS gives so much or more to as many rows as are wanted.

        So it does to each row of the answer. But scores above 1 are all cut to 1, and tie.
        """
        least = min(least, 1.0)
        if least > -1:  # else all that FAISS gives -1 or less may tie
            self.floor = max(self.floor, least)
