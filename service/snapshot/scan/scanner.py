"""Queries that arrive while others are being answered share one pass over the rows.

A query that is alone reads every row's codes, or has FAISS read every vector where there are no
codes. Several queries share one reading of the rows: a pass scores each block of rows for all of
them. Its scores are a little off (`halves` and `coded` prove by how much at most), so each query
keeps every row that may belong to its best, and FAISS scores those few rows again. So an answer is
the same, bit for bit, whatever else was asked at the time.

The pass goes round and round. A query joins it at the next block of rows, and leaves it when it has
seen every block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, partial

from indexer.cores import usable_cores
from service.snapshot.nearest import Answer
from service.snapshot.part import Part
from service.snapshot.scan.rider import Order, Rider
from service.snapshot.scan.rows import Packed, Rows
from service.snapshot.threads import for_each, pool

# Queries scored on one block: 4 MB of scores. With more of them a query hardly gets cheaper.
MAX_RIDERS = 64


class Scanner:
    """Answers the queries on the parts of one snapshot, either one alone or several together.

    A scanner has no thread and no timer of its own. A query that finds the scanner idle is answered
    alone, in its own thread. A query that finds the scanner busy waits until that one is answered.
    If one query has waited, it is answered alone next; if several have, they share a pass: they
    ride. A query that arrives during a pass rides, too. Tasks of the pool of threads drive the
    pass; each task reads one block of rows, so that other work in the pool never waits long.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        # One query is being answered alone, and these wait until it is.
        self._one_is_alone = False
        self._waiting: list[Rider] = []
        # The riders that some block has not been taken for yet, in the order they came.
        self._riders: list[Rider] = []
        # Tasks that drive the pass. While there are any, no query is answered alone.
        self._drivers = 0
        self._next_block = 0

    def top(self, order: Order) -> Sequence[Answer]:
        """Find the order's answers, one a part.

        :raises Exception: whatever the order's own search raised, or the pass that it shared.
        """
        if not self._enters():
            # Masks are made here, before the query waits or rides: if one fails, it fails for this
            # query alone, and no other query waits for it to be made.
            for number in range(len(self._parts)):
                order.mask(number)
            rider = Rider(order, len(self._rows.blocks))
            if self._joins(rider):
                return self._answers(rider)
        try:
            return self._alone(order)
        finally:
            self._leaves()

    def together(self, orders: Sequence[Order]) -> list[Sequence[Answer]]:
        """Find the answers of several orders, which ride the pass together.

        :raises Exception: as `top`.
        """
        if len(orders) < 2:
            return [self.top(order) for order in orders]
        for order in orders:
            for number in range(len(self._parts)):
                order.mask(number)
        riders = [Rider(order, len(self._rows.blocks)) for order in orders]
        with self._lock:
            if self._one_is_alone:
                self._waiting += riders
                wanted = 0
            else:
                self._riders += riders
                wanted = self._wanted_drivers()
        self._start(wanted)
        return [self._answers(rider) for rider in riders]

    def _answers(self, rider: Rider) -> Sequence[Answer]:
        """What a rider waits for."""
        answers = rider.done.result()
        return self._rows.answers(rider) if answers is None else answers

    def _alone(self, order: Order) -> Sequence[Answer]:
        if not self._rows.has_codes:
            return order.alone()
        for_each(order.mask, range(len(self._parts)), parallel=True)
        packed = Packed([Rider(order, len(self._rows.blocks))])
        for_each(lambda block: self._rows.read(block, packed), self._rows.blocks, parallel=True)
        return self._rows.answers(packed.riders[0])

    @cached_property
    def _rows(self) -> Rows:
        return Rows(self._parts)

    def _enters(self) -> bool:
        """True: the scanner was idle, and the caller is answered alone until it leaves."""
        with self._lock:
            if self._one_is_alone or self._drivers:
                return False
            self._one_is_alone = True
            return True

    def _joins(self, rider: Rider) -> bool:
        """Let the rider wait or ride.

        :returns: False: the scanner has become idle meanwhile, and the caller has entered instead.
        """
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
        """The query that was alone is answered; those that waited for it are next."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._one_is_alone = len(waiting) == 1
            if len(waiting) > 1:
                self._riders = waiting
            wanted = self._wanted_drivers()
        if len(waiting) == 1:
            _begin(_apart(), partial(self._answer_alone, waiting[0]))
        self._start(wanted)

    def _answer_alone(self, rider: Rider) -> None:
        """Answer a query that has waited, in a thread of ours.

        The query's own thread only waits: were it interrupted while it is alone, it would never
        leave, and all later queries would wait for ever.
        """
        try:
            rider.done.set_result(self._alone(rider.order))
        except BaseException as error:  # noqa: BLE001 - the query's own thread raises it
            rider.done.set_exception(error)
        finally:
            self._leaves()

    def _wanted_drivers(self) -> int:
        """How many drivers to start: one a core in all, if anybody rides.

        The caller holds the lock, and starts them when it has let go of it.
        """
        wanted = min(usable_cores(), len(self._rows.blocks)) - self._drivers if self._riders else 0
        self._drivers += wanted
        return wanted

    def _start(self, drivers: int) -> None:
        for _ in range(drivers):
            _begin(pool(), self._drive)

    def _drive(self, packed: Packed | None = None) -> None:
        """Read one block for all riders, then queue up in the pool for the next block.

        :param packed: the queries of the block before, which serve again if the same ones ride.
        """
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
                packed = Packed(riders)
            self._rows.read(block, packed)
        except BaseException as raised:  # noqa: BLE001 - the riders' own threads raise it
            error = raised
        if self._put_off(riders, error):
            _begin(pool(), partial(self._drive, packed))

    def _put_off(self, riders: Sequence[Rider], error: BaseException | None) -> bool:
        """Answer the riders that have seen every block; after an error, all of these riders.

        :returns: True where somebody still rides.
        """
        with self._lock:
            for rider in riders:
                rider.to_read -= 1
            over = [rider for rider in riders if not rider.is_over and (error or not rider.to_read)]
            for rider in over:
                rider.is_over = True
            self._riders = [rider for rider in self._riders if not rider.is_over]
            goes_on = bool(self._riders)
            # Before anybody is answered: a query that comes right after its answer may be alone.
            self._drivers -= not goes_on
        for rider in over:
            if error:
                rider.done.set_exception(error)
            else:
                rider.done.set_result(None)
        return goes_on


@cache
def _apart() -> ThreadPoolExecutor:
    """Threads for queries that are answered alone after they have waited.

    They hold no core for long: they mostly wait for the pool of `service.snapshot.threads`, which
    searches the parts.
    """
    return ThreadPoolExecutor(4, "scan")


def _begin(executor: ThreadPoolExecutor, work: Callable[[], None]) -> None:
    try:
        executor.submit(work)
    # Python is about to end and starts no more tasks, but a query waits for this one.
    except RuntimeError:
        work()
