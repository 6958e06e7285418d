"""The time limit of a `where`, on a clock of the test's own."""

from __future__ import annotations

import contextvars
import random
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from indexer.errors import WhereTooSlow
from service.snapshot.threads import for_each
from service.where import patience
from service.where.patience import FIRST_BYTES, Patience
from service.where.syntax import MAX_BYTES
from service.where.where import Where


class Clock:
    """Each row that is asked takes row_s."""

    def __init__(self, row_s: float) -> None:
        self.now, self.row_s = 0.0, row_s
        self.pieces: list[int] = []

    def __call__(self) -> float:
        return self.now

    def ask(self, table: pa.Table) -> NDArray[np.bool_]:
        self.pieces.append(table.num_rows)
        self.now += table.num_rows * self.row_s
        return np.asarray(table["n"].to_numpy() % 2 == 0)


LONGEST = "n" * MAX_BYTES


def numbers(rows: int) -> pa.Table:
    """8 bytes a row, so that a first piece is 2,048 of them for the longest predicate."""
    return pa.table({"n": pa.array(np.arange(rows, dtype=np.int64))})


def test_the_rows_are_asked_in_order_whatever_the_pieces() -> None:
    clock = Clock(row_s=2.0**-13)
    mask = Patience(10.0, clock=clock).mask(LONGEST, numbers(10_000), clock.ask)
    # 2,048 rows took a quarter of a second, so a sixteenth is what 512 take.
    assert clock.pieces == [2_048, *[512] * 15, 272]
    assert mask.tolist() == [number % 2 == 0 for number in range(10_000)]


def test_of_a_short_predicate_the_first_piece_is_large() -> None:
    clock = Clock(row_s=1e-6)
    Patience(10.0, clock=clock).mask("n" * (MAX_BYTES // 8), numbers(100_000), clock.ask)
    assert clock.pieces[0] == 8 * 2_048


def test_a_piece_is_at_most_sixteen_times_the_one_before() -> None:
    clock = Clock(row_s=1e-12)
    Patience(10.0, clock=clock).mask(LONGEST, numbers(1_000_000), clock.ask)
    assert clock.pieces == [2_048, 32_768, 524_288, 440_896]


def test_when_the_time_is_over_the_rest_is_not_asked() -> None:
    clock = Clock(row_s=2.0**-12)
    limit = Patience(2.0, clock=clock)
    # Half a second for the first 2,048, then 24 pieces of a sixteenth: 2 s.
    with pytest.raises(WhereTooSlow) as raised:
        limit.mask(LONGEST, numbers(100_000), clock.ask)
    assert clock.pieces == [2_048, *[256] * 24]
    assert str(raised.value) == (
        "where: it was answered for 8,192 of 100,000 rows in 2 s, which is all the time it gets "
        "here; a LIKE costs least with few _ and % in its pattern"
    )
    # What is left of one piece of work is left for all its predicates: nothing.
    with pytest.raises(WhereTooSlow, match="for 0 of 10 rows"):
        limit.mask(LONGEST, numbers(10), clock.ask)


def test_what_was_answered_is_not_refused_afterwards() -> None:
    clock = Clock(row_s=1.0)
    assert len(Patience(2.0, clock=clock).mask(LONGEST, numbers(5), clock.ask)) == 5


def test_long_texts_make_the_first_piece_small() -> None:
    long = pa.table({"text": ["x" * 10_000] * 100})
    pieces: list[int] = []

    def ask(table: pa.Table) -> NDArray[np.bool_]:
        pieces.append(table.num_rows)
        return np.ones(table.num_rows, np.bool_)

    Patience(10.0).mask(LONGEST, long, ask)
    assert pieces[0] == FIRST_BYTES * 100 // long.nbytes == 1


def test_a_costly_like_ends_in_time_and_is_answered_where_no_limit_is_set() -> None:
    draw = random.Random(1)
    words = ("ward", "room", "aaaa", "bbab", "corridor", "gamma")
    captions = [" ".join(draw.choices(words, k=60)) for _ in range(2_000)]
    table = pa.table({"caption": captions})
    # Each byte may be in any of 600 states: some 2 s for all rows at once.
    costly = "caption LIKE '%" + "%".join("_" * 200 + letter for letter in "abz") + "%'"
    where = Where.parse(costly, table.schema)
    began = time.thread_time()  # of this thread's own work, however busy the machine
    with patience.within(Patience(0.01)), pytest.raises(WhereTooSlow):
        where.mask(table)
    assert time.thread_time() - began < 1.0
    assert not where.mask(table.slice(0, 10)).any()


def test_in_pieces_or_at_once_the_answer_is_the_same() -> None:
    table = pa.table({"n": pa.array([*range(50_000), None], pa.int64())})
    where = Where.parse("n < 7 OR n > 49998", table.schema)
    at_once = where.mask(table)
    with patience.within(Patience(60.0)):
        in_pieces = where.mask(table)
    assert np.flatnonzero(at_once).tolist() == [0, 1, 2, 3, 4, 5, 6, 49_999]
    assert np.array_equal(at_once, in_pieces)


def test_the_limit_holds_in_threads_that_share_the_work_and_in_no_others() -> None:
    limit = Patience(1.0)
    with patience.within(limit):
        found = for_each(lambda _: patience.current(), range(4), parallel=True)
        with ThreadPoolExecutor(1) as apart:
            assert apart.submit(contextvars.Context().run, patience.current).result() is None
    assert found == [limit] * 4
    assert patience.current() is None
