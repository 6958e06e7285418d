"""How long a `where` may be asked of rows: a limit that whoever serves many sets around one's work.

Arrow's kernels cannot be interrupted once they run, and one LIKE over long texts took 18 s. So the
rows are asked in pieces, small ones first, and the clock is looked at between them. Without a limit
nothing of this happens: all rows are asked at once. Knows no HTTP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.errors import WhereTooSlow
from service.where.syntax import MAX_BYTES

Ask = Callable[[pa.Table], NDArray[np.bool_]]

# A byte of a row takes at most some 5 ns for each byte of the predicate, as a LIKE of many _ does;
# 14 ns were measured on two cores that had seven times as much to do. So a first piece takes a
# third of a second at worst, or one: this large it is for the longest predicate.
FIRST_BYTES = 16_384
PIECE_S = 1 / 16  # a piece is made so large that it takes about that long
GROWS = 16  # times the piece before, at most: later rows may hold longer texts


class Patience:
    """The time that is left to all predicates of one piece of work together."""

    def __init__(self, limit_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """:param limit_s: seconds; the time that the asking itself takes counts, no other."""
        self.limit_s = limit_s
        self._clock = clock
        self._spent_s = 0.0
        self._lock = threading.Lock()

    def mask(self, where: str, table: pa.Table, ask: Ask) -> NDArray[np.bool_]:
        """Ask every row of a table, a piece at a time.

        :param where: its text.
        :param ask: answers for the rows of a piece, bool, (n_rows,).
        :returns: bool, (n_rows,).
        :raises WhereTooSlow: if the time is over and not all rows were asked.
        """
        first_bytes = FIRST_BYTES * MAX_BYTES / len(where)
        rows = max(1, int(first_bytes * table.num_rows / max(table.nbytes, 1)))
        asked, masks = 0, [np.empty(0, np.bool_)]
        while asked < table.num_rows:
            self._check(where, asked, table.num_rows)
            began = self._clock()
            masks.append(ask(table.slice(asked, rows)))
            took_s = self._clock() - began
            with self._lock:
                self._spent_s += took_s
            asked += len(masks[-1])
            rows = max(1, int(rows * min(GROWS, PIECE_S / max(took_s, 1e-9))))
        return np.concatenate(masks)

    def _check(self, where: str, asked: int, rows: int) -> None:
        if self._spent_s >= self.limit_s:
            raise WhereTooSlow(where, self.limit_s, asked, rows)


_CURRENT: ContextVar[Patience | None] = ContextVar("patience", default=None)


def current() -> Patience | None:
    """The limit that this work stands under; None: it may take as long as it takes."""
    return _CURRENT.get()


@contextmanager
def within(patience: Patience) -> Iterator[None]:
    """Put the work inside under a limit, also in threads that have its context."""
    token = _CURRENT.set(patience)
    try:
        yield
    finally:
        _CURRENT.reset(token)
