"""How many images are read at once, with rates and clocks worked out by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from indexer.sources.pace import HELD_RATES, LEAST, MOST, Pace, Rule


def limits(rule: Rule, at_once: int, rounds: int) -> Iterator[int]:
    """What a store allows that answers 10 reads a second to each of so many at most."""
    for _ in range(rounds):
        rule.measured(10 * min(rule.limit, at_once))
        yield rule.limit


def test_it_grows_by_eighths_until_more_brings_nothing_and_steps_back() -> None:
    """Of 20 at once: 20 to 22 brings nothing, where half of a tenth is asked for."""
    rule = Rule()
    assert rule.limit == 8
    found = list(limits(rule, 20, 13))
    assert found == [9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 20, 20]


def test_a_step_that_was_taken_back_is_tried_again_later() -> None:
    rule = Rule()
    found = list(limits(rule, 8, 2 + HELD_RATES + 2))
    assert found == [9, 8, *[8] * HELD_RATES, 9, 8]


def test_it_ends_at_the_most_there_may_be() -> None:
    rule = Rule()
    assert list(limits(rule, 1_000, 100))[-1] == MOST == 64


def test_a_store_that_is_asked_too_much_is_asked_half_as_much() -> None:
    rule = Rule()
    for expected in (4, 2, LEAST, LEAST):
        rule.slow_down()
        assert rule.limit == expected
    assert list(limits(rule, 100, HELD_RATES + 1)) == [*[2] * HELD_RATES, 3]


def read(pace: Pace, times: int) -> None:
    for _ in range(times):
        with pace:
            pass


def test_a_limit_that_nobody_waited_for_stays() -> None:
    seconds = iter(range(1_000))
    pace = Pace(clock=lambda: float(next(seconds)))
    read(pace, 500)
    assert pace.limit == 8


def test_those_that_are_told_at_once_to_slow_down_count_once() -> None:
    pace = Pace()
    with pace, pace, pace:
        pace.slow_down()
        pace.slow_down()
        assert pace.limit == 4
    pace.slow_down()  # of a read that began later
    assert pace.limit == 2


def test_a_fixed_number_stays_whatever_a_store_says() -> None:
    pace = Pace(3)
    pace.slow_down()
    assert (pace.limit, pace.most) == (3, 3)


@pytest.mark.parametrize("fixed", [0, 3])
def test_no_more_are_on_their_way_than_the_limit(fixed: int) -> None:
    pace = Pace(fixed)
    going, most, lock, full = 0, 0, threading.Lock(), threading.Event()

    def one() -> None:
        nonlocal going, most
        with pace:
            with lock:
                going += 1
                most = max(most, going)
                if going == pace.limit:
                    full.set()
            full.wait(60)
            with lock:
                going -= 1

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == (fixed or 8)


def test_those_who_wait_go_in_the_order_in_which_they_came() -> None:
    """Frames of a video that are read in any order cost a decoding each."""
    pace, order, threads = Pace(1), list[int](), list[threading.Thread]()

    def one(number: int) -> None:
        with pace:
            order.append(number)

    with pace:
        for number in range(20):
            threads.append(threading.Thread(target=one, args=(number,)))
            threads[-1].start()
            while len(pace._line) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == list(range(20))


def test_a_place_that_is_free_again_is_taken_at_once() -> None:
    pace = Pace(2)
    going = threading.Barrier(2, timeout=60)

    def one() -> None:
        with pace:
            going.wait()

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads) and not going.broken
