"""Wrong keys are counted by address, over all workers."""

from __future__ import annotations

from pathlib import Path

from service.api.door.attempts import Attempts
from service.api.serving.shared_arrays import SharedArrays


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_eleventh_of_a_minute_waits_until_the_first_is_a_minute_old() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock)
    for clock.now in range(10):
        assert attempts.fail("10.0.0.1") == 0
    clock.now = 9.5
    assert attempts.fail("10.0.0.1") == 51  # 50.5, rounded up; the first was at 0
    assert attempts.fail("10.0.0.2") == 0
    clock.now = 60.0
    assert attempts.fail("10.0.0.1") == 0
    assert attempts.fail("10.0.0.1") == 1  # the second was at 1
    assert len(attempts) == 2


def test_the_address_that_failed_least_recently_is_forgotten() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock, max_addresses=2)
    for _ in range(10):
        attempts.fail("a")
    clock.now = 1.0
    attempts.fail("b")
    clock.now = 2.0
    assert attempts.fail("a") == 58
    attempts.fail("c")  # in the place of b
    assert attempts.fail("a") == 58
    assert len(attempts) == 2


def test_workers_count_together(tmp_path: Path) -> None:
    clock = Clock()
    first, second = (Attempts(clock=clock, arrays=SharedArrays(tmp_path, n, 2)) for n in range(2))
    assert [(first, second)[n % 2].fail("10.0.0.1") for n in range(11)] == [0] * 10 + [60]
    assert first.fail("10.0.0.1") == 60
