"""Turns and the jobs that take them: who is next, what is left, and how a job is called off."""

from __future__ import annotations

import math
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from time import sleep

import pytest

from indexer.errors import UnreadableImage
from service.pictures.jobs import Job
from service.pictures.turns import Turns


def test_turns_of_others_come_between_those_of_one_asker() -> None:
    turns = Turns(1)
    assert turns.take(Job(asker="holder"), 0)
    served: list[str] = []

    def take(name: str) -> None:
        assert turns.take(Job(asker=name[0]), 10)
        served.append(name)
        turns.give()

    with ThreadPoolExecutor(6) as pool:
        done: list[Future[None]] = []
        for number, name in enumerate(["a1", "a2", "a3", "b1", "b2", "c1"], start=1):
            done.append(pool.submit(take, name))
            while len(turns._queue) < number:  # in this order
                sleep(0.001)
        turns.give()
        for future in done:
            future.result(10)
    # Each is served once before anybody is served twice.
    assert served == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_turn_is_waited_for_so_long_and_no_longer() -> None:
    turns = Turns(2)
    assert turns.take(Job(asker="a"), 0)
    assert turns.take(Job(asker="a"), 0)
    assert not turns.take(Job(asker="b"), 0.05)
    turns.give()
    assert turns.take(Job(asker="b"), 0)


def test_a_job_that_is_called_off_waits_no_longer() -> None:
    turns, job = Turns(1), Job(asker="a")
    assert turns.take(Job(), 0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(turns.take, job, 60)
        while not turns._queue:
            sleep(0.001)
        job.call_off()
        assert waiting.result(10) is False
    assert not turns.take(job, 60)  # nor is it waited for at all
    turns.give()
    assert turns.take(Job(), 0)


def test_a_job_has_so_many_seconds_for_all_its_images() -> None:
    now = 0.0
    job = Job(60.0, clock=lambda: now)
    for took_s, left_s in ((20.0, 40.0), (39.5, 0.5), (20.0, 0.0)):
        job.check("a.jpg")
        with job.decoding(lambda: None):
            now += took_s
        assert job.left_s == left_s
    with pytest.raises(UnreadableImage) as raised:
        job.check("b.jpg")
    assert str(raised.value) == (
        "b.jpg: 60 s of decoding are over, which is all that the images of one request get; "
        "send fewer at once"
    )
    assert raised.value.transient


def test_a_job_without_a_limit_has_all_the_time_there_is() -> None:
    job = Job()
    with job.decoding(lambda: None):
        pass
    assert job.left_s == math.inf
    job.check("a.jpg")


def test_calling_off_stops_what_runs_and_what_begins_later() -> None:
    job = Job()
    stopped: list[str] = []
    with job.decoding(lambda: stopped.append("first")):
        pass  # it is done: there is nothing to stop
    with job.decoding(lambda: stopped.append("second")):
        caller = threading.Thread(target=job.call_off)
        caller.start()
        caller.join()
    with job.decoding(lambda: stopped.append("third")):
        pass
    assert stopped == ["second", "third"]
    with pytest.raises(UnreadableImage, match=r"^c\.jpg: whoever sent it has gone$"):
        job.check("c.jpg")
