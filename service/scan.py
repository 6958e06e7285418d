"""Queries that arrive while others are being answered share one pass over the rows.

A query alone is answered by FAISS, which reads every row once a query. For several, numkong reads the rows once for all
of them: their scores come out a little wrong (`bound`), every row that may belong to the best is kept, and FAISS scores
those few. So an answer is the same, bit for bit, whatever else was asked at the time.

The pass goes round: a query gets on at the block of rows that is next, and off where it got on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, TypeAlias

import numkong
import numpy as np
from numpy.typing import NDArray

from indexer import ann
from service.threads import pool

if TYPE_CHECKING:
    from service.snapshot import Part

Positions: TypeAlias = NDArray[np.int64]
Answer: TypeAlias = tuple[
    NDArray[np.float32], Positions
]  # of a part: scores in [-1, 1], positions; in any order
Block: TypeAlias = tuple[int, int, int]  # number of the part; its rows from, to

WIDEST = 2_200  # hits; who wants more searches apart. A page of 1,000 that folds looks at 2,100
BLOCK_ROWS = 16_384
MAX_RIDERS = 64  # of one block: 4 MB of scores; with more a query hardly gets cheaper
LONGEST_ROW = 1.002  # rows are within 1e-3 of unit length, and half precision adds 2^-11 of that
LOWEST = np.finfo(np.float32).min  # above -inf, which a row that where drops is given


@dataclass(frozen=True, slots=True)
class Order:
    """A query that wants of each part an answer: together they hold its count best rows and all that tie with those."""

    vector: NDArray[np.float32]  # (dim,)
    count: int  # hits, 1..WIDEST
    mask: Callable[[int], ann.RowMask | None]  # by number of the part; keeps what it worked out
    alone: Callable[[], Sequence[Answer]]  # FAISS, with no help from here


@cache
def pays() -> bool:
    """False on a CPU for which numkong has only plain C: there a shared pass took 14 times as long."""
    return any(has for name, has in numkong.get_capabilities().items() if name != "serial")


class Scanner:
    """Answers the queries on the parts of one snapshot: one of them alone, or all that are there together.

    No thread belongs to it, and no timer. The query that finds it idle is answered in its own thread. Who comes
    meanwhile waits for that one; if two or more did, they ride, and so does who comes while anyone rides. The pass is
    driven by tasks of the pool, a block each, so that nothing else there waits long.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._one_is_alone = False
        self._waiting: list[_Rider] = []  # for that one
        self._riders: list[_Rider] = []  # for whom a block is left to take, by arrival
        self._drivers = 0  # while there are any, nobody is alone
        self._next_block = 0

    def top(self, order: Order) -> Sequence[Answer]:
        """:raises Exception: whatever the order's own search raised, or the pass that it shared."""
        if not self._enters():
            for number in range(len(self._parts)):
                order.mask(number)  # here: its mistakes are its own, and nobody waits for it
            rider = _Rider(order, len(self._rows.blocks))
            if self._joins(rider):
                answers = rider.done.result()
                return self._rows.answers(rider) if answers is None else answers
        try:
            return order.alone()
        finally:
            self._leaves()

    @cached_property
    def _rows(self) -> _Rows:
        return _Rows(self._parts)

    def _enters(self) -> bool:
        """Whether the caller is alone, until it leaves."""
        with self._lock:
            if self._one_is_alone or self._drivers:
                return False
            self._one_is_alone = True
            return True

    def _joins(self, rider: _Rider) -> bool:
        """False where all others have gone: then the caller has entered."""
        with self._lock:
            if self._one_is_alone:
                self._waiting.append(rider)
                return True
            if not self._drivers:
                self._one_is_alone = True
                return False
            self._riders.append(rider)
            wanted = self._wanted_drivers()
        self._start(wanted)
        return True

    def _leaves(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._one_is_alone = len(waiting) == 1
            if len(waiting) > 1:
                self._riders = waiting
            wanted = self._wanted_drivers()
        if len(waiting) == 1:
            _begin(_apart(), partial(self._answer_alone, waiting[0]))
        self._start(wanted)

    def _answer_alone(self, rider: _Rider) -> None:
        """Not in the thread that waits: if that one was interrupted, it would never leave."""
        try:
            rider.done.set_result(rider.order.alone())
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits
            rider.done.set_exception(error)
        finally:
            self._leaves()

    def _wanted_drivers(self) -> int:
        """How many to start, which the caller, who has the lock, then does: one a core, if anybody rides."""
        wanted = min(os.cpu_count() or 1, len(self._rows.blocks)) - self._drivers if self._riders else 0
        self._drivers += wanted
        return wanted

    def _start(self, drivers: int) -> None:
        for _ in range(drivers):
            _begin(pool(), self._drive)

    def _drive(self, packed: _Packed | None = None) -> None:
        """One block for all who ride; the next comes after what else waits in the pool."""
        with self._lock:
            riders = self._riders[:MAX_RIDERS]
            self._drivers -= not riders
            if not riders:
                return
            block = self._rows.blocks[self._next_block]
            self._next_block = (self._next_block + 1) % len(self._rows.blocks)
            for rider in riders:
                rider.to_take -= 1
            self._riders = [rider for rider in self._riders if rider.to_take]
        error = None
        try:
            if packed is None or packed.riders != riders:
                packed = _Packed(riders)
            self._rows.read(block, packed)
        except BaseException as raised:  # noqa: BLE001 - handed to those who wait
            error = raised
        if self._put_off(riders, error):
            _begin(pool(), partial(self._drive, packed))

    def _put_off(self, riders: Sequence[_Rider], error: BaseException | None) -> bool:
        """Those who have been all round, or all of them on an error; True where somebody still rides."""
        with self._lock:
            for rider in riders:
                rider.to_read -= 1
            over = [rider for rider in riders if not rider.is_over and (error or not rider.to_read)]
            for rider in over:
                rider.is_over = True
            self._riders = [rider for rider in self._riders if not rider.is_over]
            goes_on = bool(self._riders)
            self._drivers -= not goes_on  # before anybody is answered: who asks again at once may be alone
        for rider in over:
            if error:
                rider.done.set_exception(error)
            else:
                rider.done.set_result(None)
        return goes_on


@cache
def _apart() -> ThreadPoolExecutor:
    """Who waits here holds no core: the work is done in the pool of `service.threads`."""
    return ThreadPoolExecutor(4, "scan")


def _begin(executor: ThreadPoolExecutor, work: Callable[[], None]) -> None:
    try:
        executor.submit(work)
    except RuntimeError:  # Python is about to end and starts nothing any more, but somebody waits for this
        work()


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


class _Rider:
    """A query on its way round, and the rows seen so far that may be among its count best."""

    def __init__(self, order: Order, blocks: int) -> None:
        self.order = order
        # Blocks left; these and is_over change under the scanner's lock.
        self.to_take = self.to_read = blocks
        self.is_over = False
        self.done: Future[Sequence[Answer] | None] = Future()  # None: it has been all round
        self.half = order.vector.astype(np.float16)
        self.epsilon = bound(order.vector, self.half)
        self.floor = LOWEST  # a row whose score in the pass is less is out; infinite: too many are in
        self._lock = threading.Lock()
        self._scores = [np.empty(0, np.float32)]
        self._rows = [np.empty(0, np.int64)]
        self._held = 0
        self._room = 2 * order.count + 1_000  # rows; what ties with more than that is left to FAISS

    def begin(self, scores: NDArray[np.float32]) -> None:
        """The first block: from then on it is known how much is too little."""
        with self._lock:
            self._raise_floor(scores)

    def add(self, scores: NDArray[np.float32], rows: Positions) -> None:
        """:param rows: (n,): their numbers among all rows."""
        with self._lock:
            self._scores.append(scores)
            self._rows.append(rows)
            self._held += len(rows)
            if self._held > self._room:
                self._sift()
                if self._held > self._room:
                    self.floor = np.float32(np.inf)

    def left(self) -> tuple[NDArray[np.float32], Positions] | None:
        """After the last block: scores in the pass, and the rows in order; None: too many."""
        with self._lock:
            self._sift()
            if np.isinf(self.floor):
                return None
            by_row = np.argsort(self._rows[0])
            return self._scores[0][by_row], self._rows[0][by_row]

    def _sift(self) -> None:
        scores, rows = np.concatenate(self._scores), np.concatenate(self._rows)
        self._raise_floor(scores)
        kept = scores >= self.floor
        self._scores, self._rows = [scores[kept]], [rows[kept]]
        self._held = len(self._rows[0])

    def _raise_floor(self, scores: NDArray[np.float32]) -> None:
        """:param scores: of different rows, in the pass.

        Let t be the count-th best of them and e the bound. FAISS gives t - e or more to that many rows, hence to each
        row of the answer; so those have t - 2 e or more in the pass. But scores above 1 are all cut to 1, and tie.
        """
        count = self.order.count
        if len(scores) < count:
            return
        least = min(float(np.partition(scores, -count)[-count]) - self.epsilon, 1.0)
        if least > -1:  # else all that FAISS gives -1 or less may tie
            floor = np.nextafter(np.float32(least - self.epsilon), np.float32(-np.inf))
            self.floor = max(self.floor, floor)


def halves_of(codes: Sequence[NDArray[np.uint8]], block: Block) -> numkong.Tensor:
    """float16, (rows, dim): a view of stored rows, for numkong.

    :param codes: of each part, (rows, 2 dim), as `ann.codes_of` gives them.
    """
    number, start, end = block
    stored = codes[number][start:end]
    # By its address, which is odd: what NumPy has of half precision there, numkong does not take.
    address = stored.__array_interface__["data"][0]
    return numkong.from_pointer(address, (end - start, stored.shape[1] // 2), "float16", owner=stored)


class _Packed:
    """Queries as numkong wants them, to be used for as long as the same ones ride."""

    def __init__(self, riders: list[_Rider]) -> None:
        self.riders = riders
        self.queries = numkong.dots_pack(np.stack([rider.half for rider in riders]))


class _Rows:
    """The stored rows of all parts, in blocks."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._codes = [ann.codes_of(part.segment.index) for part in parts]
        self._starts = np.cumsum([0, *map(len, self._codes)])[:-1]  # (n_parts,): among all rows
        self.blocks: list[Block] = [
            (number, start, min(start + BLOCK_ROWS, len(codes)))
            for number, codes in enumerate(self._codes)
            for start in range(0, len(codes), BLOCK_ROWS)
        ]

    def read(self, block: Block, packed: _Packed) -> None:
        """Score the block for all of them, and let each keep what it may need."""
        number, start, end = block
        scores = np.asarray(
            numkong.dots_packed(halves_of(self._codes, block), packed.queries)
        )  # (rows, riders)
        for column, rider in enumerate(packed.riders):
            mask = rider.order.mask(number)
            if mask is not None:
                scores[~mask[start:end], column] = -np.inf
            if rider.floor == LOWEST:
                rider.begin(scores[:, column])
        floors = np.array([rider.floor for rider in packed.riders], np.float32)
        # Flat, against the floors written out: comparing (rows, n) with (n,) takes ten times as long.
        found = np.flatnonzero(scores.reshape(-1) >= np.tile(floors, end - start))
        rows, columns = np.divmod(found, len(floors))
        by_column = np.argsort(columns, kind="stable")
        ends = np.cumsum(np.bincount(columns, minlength=len(floors)))[:-1]
        few = np.split(scores.reshape(-1)[found[by_column]], ends)
        places = np.split(rows[by_column] + (start + self._starts[number]), ends)
        for rider, of_rider, here in zip(packed.riders, few, places, strict=True):
            if len(here):
                rider.add(of_rider, here)

    def answers(self, rider: _Rider) -> Sequence[Answer]:
        """After all blocks: the rows that are left, scored by FAISS."""
        left = rider.left()
        if left is None:
            return rider.order.alone()
        near, rows = left
        numbers = np.searchsorted(self._starts, rows, side="right") - 1  # of their parts
        ends = np.searchsorted(numbers, np.arange(1, len(self._codes)))
        here = np.split(rows - self._starts[numbers], ends)
        codes = [
            codes[positions] for codes, positions in zip(self._codes, here, strict=True) if len(positions)
        ]
        if not codes:
            return [(np.empty(0, np.float32), positions) for positions in here]
        scores = ann.score_codes(np.concatenate(codes), rider.order.vector)
        if not np.all(np.abs(scores - near) <= rider.epsilon):
            return rider.order.alone()  # these are no unit rows, or numkong sums otherwise on this machine
        return list(zip(np.split(np.clip(scores, -1, 1), ends), here, strict=True))
