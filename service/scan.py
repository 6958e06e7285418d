"""Queries that arrive while another is being answered wait and share the next pass over the rows.

A query alone is answered by FAISS, which reads every row once a query. For several, numkong reads the rows once for all
of them: their scores come out a little wrong (`Bound`), every row that may belong to the best is kept, and FAISS scores
those few. So an answer is the same, bit for bit, whatever else was asked at the time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numkong
import numpy as np
from numpy.typing import NDArray

from indexer import ann
from service.threads import for_each

if TYPE_CHECKING:
    from service.snapshot import Part

Positions: TypeAlias = NDArray[np.int64]
Answer: TypeAlias = tuple[
    NDArray[np.float32], Positions
]  # of a part: scores in [-1, 1] and positions, in any order

WIDEST = 2_200  # hits; who wants more searches apart. A page of 1,000 that folds looks at 2,100
MAX_BATCH = 32  # more hardly gain: 4.9 ms a query with 8, 4.5 with 64 (200,000 x 512, one core)
BLOCK_ROWS = 16_384  # 2 MB of scores for a whole batch
FIRST_ROWS = 1_024
LONGEST_ROW = 1.002  # rows are within 1e-3 of unit length, and half precision adds 2^-11 of that
LOWEST = np.finfo(np.float32).min  # above -inf, which a row that where drops is given


@dataclass(frozen=True, slots=True)
class Order:
    """A query that wants an answer of each part: together they hold its count best rows and all that tie with those."""

    parts: Sequence[Part]
    vector: NDArray[np.float32]  # (dim,)
    count: int  # hits, 1..WIDEST
    mask: Callable[[int], ann.RowMask | None]  # by number of the part; keeps what it worked out
    alone: Callable[[], Sequence[Answer]]  # FAISS, with no help from here
    done: Future[Sequence[Answer]] = field(default_factory=Future)


class Scanner:
    """Answers the queries on the parts of one snapshot: at any time one of them, or one batch.

    No thread belongs to it, and no timer: the query that finds it idle is answered in its own thread; who comes
    meanwhile waits, and the batch they make is answered in a thread that the process keeps for that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: list[Order] = []

    def top(self, order: Order) -> Sequence[Answer]:
        """:raises Exception: whatever the order's own search raised, or the pass that it shared."""
        if not self._enters():
            for number in range(len(order.parts)):
                order.mask(number)  # here: its mistakes are its own, and nobody waits for it
            if self._queues(order):
                return order.done.result()
        try:
            return order.alone()
        finally:
            self._goes_on()

    def _enters(self) -> bool:
        with self._lock:
            entered = not self._busy
            self._busy = True
            return entered

    def _queues(self, order: Order) -> bool:
        """False where there is nobody to wait for any more: then the caller has entered."""
        with self._lock:
            if self._busy:
                self._waiting.append(order)
                return True
            self._busy = True
            return False

    def _goes_on(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            self._busy = bool(batch)
        if batch:
            try:
                _batches().submit(self._answer, batch)
            except RuntimeError as error:  # Python is shutting down
                _fail(batch, error)
                self._goes_on()

    def _answer(self, batch: Sequence[Order]) -> None:
        try:
            for order, answers in zip(batch, answer_together(batch), strict=True):
                order.done.set_result(answers)
        except BaseException as error:  # noqa: BLE001 - handed to those who wait
            _fail(batch, error)
        finally:
            self._goes_on()


@cache
def _batches() -> ThreadPoolExecutor:
    """What waits here holds no core: the work is done in the pool of `service.threads`."""
    return ThreadPoolExecutor(4, "scan")


def _fail(batch: Sequence[Order], error: BaseException) -> None:
    for order in batch:
        if not order.done.done():
            order.done.set_exception(error)


def answer_together(batch: Sequence[Order]) -> list[Sequence[Answer]]:
    """The answers of orders that have the same parts."""
    if len(batch) == 1:
        return [batch[0].alone()]
    shared = _Pass(batch)
    first, *others = shared.blocks()
    shared.read(first)  # a small one: from then on all know how much is too little
    for_each(shared.read, others, parallel=True)
    return for_each(shared.answers, shared.sieves, parallel=True)


def bound(vector: NDArray[np.float32], rounded: NDArray[np.float16]) -> float:
    """How far a row's score from a shared pass may be from FAISS's score, at most.

    With q the query, h the query in half precision, x a row, R the longest row, and u = 2^-24 the unit round-off of
    float32: both sum dim products in float32, in whatever order, so each result is off the true sum by at most
    g |a|.|x| <= g |a| |x| where g = dim u / (1 - dim u) (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd
    edition, (3.5); products of half-precision numbers are exact in float32). The true sums differ by (q - h).x. Hence

        |pass - FAISS| <= R (|q - h| + g (|q| + |h|)).
    """
    exact, near = vector.astype(np.float64), rounded.astype(np.float64)
    roundings = len(vector) * 2.0**-24
    lengths = np.linalg.norm(exact) + np.linalg.norm(near)
    return float(
        LONGEST_ROW * (np.linalg.norm(exact - near) + roundings / (1 - roundings) * lengths) * (1 + 1e-9)
    )


class _Sieve:
    """Of one order: the rows seen so far that may be among its count best."""

    def __init__(self, order: Order, epsilon: float) -> None:
        self.order = order
        self.floor = LOWEST  # a row that scores less in the pass is out
        self.epsilon = epsilon
        self._scores = [np.empty(0, np.float32)]
        self._rows = [np.empty(0, np.int64)]
        self._held = 0
        self._lock = threading.Lock()
        self._room = 2 * order.count + 1_000  # rows; who ties with more than that is left to FAISS
        self._overflows = False

    def add(self, scores: NDArray[np.float32], rows: Positions) -> None:
        """:param rows: (n,): their numbers among all rows."""
        with self._lock:
            self._scores.append(scores)
            self._rows.append(rows)
            self._held += len(rows)
            if self._held > self._room or self.floor == LOWEST:
                self._shake()
                if self._held > self._room:
                    self._overflows = True
                    self.floor = np.float32(np.inf)

    def _shake(self) -> None:
        """Drop what cannot be among the best any more.

        The count-th best score in the pass, t, is below that many rows', which FAISS gives at least t - e; so a row of
        the answer has at least that there, and t - 2 e in the pass. Beyond 1 all scores are equal, and below -1.
        """
        scores, rows = np.concatenate(self._scores), np.concatenate(self._rows)
        if len(scores) > self.order.count and not self._overflows:
            best = float(np.partition(scores, -self.order.count)[-self.order.count])
            least = min(best - self.epsilon, 1.0)
            if least > -1:
                self.floor = max(
                    self.floor, np.nextafter(np.float32(least - self.epsilon), np.float32(-np.inf))
                )
        kept = scores >= self.floor
        self._scores, self._rows = [scores[kept]], [rows[kept]]
        self._held = len(self._rows[0])

    def left(self) -> tuple[NDArray[np.float32], Positions] | None:
        """After the last block: the pass's scores and the rows, in order; None: too many."""
        with self._lock:
            self._shake()
            by_row = np.argsort(self._rows[0])
            return None if self._overflows else (self._scores[0][by_row], self._rows[0][by_row])


Block: TypeAlias = tuple[int, int, int]  # number of the part; its rows from, to


class _Pass:
    """One reading of all rows for a batch."""

    def __init__(self, batch: Sequence[Order]) -> None:
        self._parts = batch[0].parts
        self.starts = np.cumsum([0, *(part.rows for part in self._parts)])[:-1]
        self.codes = [ann.codes_of(part.segment.index) for part in self._parts]
        halves = np.stack([order.vector for order in batch]).astype(np.float16)
        self._packed = numkong.dots_pack(halves)
        self.sieves = [
            _Sieve(order, bound(order.vector, half)) for order, half in zip(batch, halves, strict=True)
        ]

    def blocks(self) -> list[Block]:
        """All rows; the first block is small."""
        size = max(FIRST_ROWS, 4 * max(sieve.order.count for sieve in self.sieves))
        blocks = []
        for number, part in enumerate(self._parts):
            start = 0
            while start < part.rows:
                end = min(start + size, part.rows)
                blocks.append((number, start, end))
                start, size = end, BLOCK_ROWS
        return blocks

    def read(self, block: Block) -> None:
        """Score a block for all of the batch, and let each keep what it may need."""
        number, start, end = block
        scores = self._scores(number, start, end)  # (rows, n_orders)
        for column, sieve in enumerate(self.sieves):
            mask = sieve.order.mask(number)
            if mask is not None:
                scores[~mask[start:end], column] = -np.inf
        floors = np.array([sieve.floor for sieve in self.sieves], np.float32)
        # Flat, against the floors written out: comparing (rows, n) with (n,) takes ten times as long.
        above = np.flatnonzero(scores.reshape(-1) >= np.tile(floors, len(scores)))
        rows, columns = np.divmod(above, len(floors))
        by_column = np.argsort(columns, kind="stable")
        ends = np.cumsum(np.bincount(columns, minlength=len(floors)))[:-1]
        found = np.split(scores.reshape(-1)[above[by_column]], ends)
        places = np.split(rows[by_column] + (start + self.starts[number]), ends)
        for sieve, few, here in zip(self.sieves, found, places, strict=True):
            if len(few):
                sieve.add(few, here)

    def _scores(self, number: int, start: int, end: int) -> NDArray[np.float32]:
        codes = self.codes[number][start:end]
        # By its address, which is odd: NumPy has no half-precision array there that numkong takes.
        address = codes.__array_interface__["data"][0]
        rows = numkong.from_pointer(address, (end - start, codes.shape[1] // 2), "float16", owner=codes)
        return np.asarray(numkong.dots_packed(rows, self._packed))

    def answers(self, sieve: _Sieve) -> Sequence[Answer]:
        """After all blocks: those that are left, scored by FAISS."""
        left = sieve.left()
        if left is None:
            return sieve.order.alone()
        near, rows = left
        numbers = np.searchsorted(self.starts, rows, side="right") - 1  # of their parts
        positions = rows - self.starts[numbers]
        ends = np.searchsorted(numbers, np.arange(1, len(self._parts)))
        here = np.split(positions, ends)
        codes = [of_part[rows] for of_part, rows in zip(self.codes, here, strict=True) if len(rows)]
        if not codes:
            return [(np.empty(0, np.float32), rows) for rows in here]
        scores = ann.score_codes(np.concatenate(codes), sieve.order.vector)
        if not np.all(np.abs(scores - near) <= sieve.epsilon):
            return sieve.order.alone()  # these are no unit rows, or numkong sums otherwise on this machine
        return list(zip(np.split(np.clip(scores, -1, 1), ends), here, strict=True))
