"""A worker whose supervisor is gone, and what the two say to each other."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.errors import BadRequest, LakeError, LakeNotFound
from indexer.processes import python_command
from service.api.config import ServeConfig
from service.api.metrics import counted_in
from service.api.server import listen
from service.api.workers.messages import Duty, Lines, Report
from service.api.workers.supervisor import WORKER, check_workers
from service.api.workers.worker import share_of
from tests.lakes import RED, Desk


def test_one_whose_supervisor_is_gone_ends_and_takes_the_folder_along(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.index()
    shared = tmp_path / "shared"
    shared.mkdir()
    config = ServeConfig(port=0, workers=2)
    ours, theirs = socket.socketpair()
    with listen(config) as sock, ours:
        with theirs:
            worker = subprocess.Popen(
                python_command(WORKER, str(theirs.fileno()), str(sock.fileno())),
                pass_fds=(theirs.fileno(), sock.fileno()),
                env={**os.environ, **counted_in(shared), "LAKESIFT_STATE": str(tmp_path / "state")},
                stderr=subprocess.DEVNULL,
            )
        try:
            ours.sendall(Duty((str(desk.lake),), config, str(shared), 1, False).to_line())
            with ours.makefile("rb") as heard:
                opened, serving = (Report.from_line(heard.readline()) for _ in range(2))
            assert (opened.kind, serving.kind) == ("opened", "serving")
            assert opened.sentences[0] == "my: 1 image, snapshot 2"
            assert list((desk.lake / "readers").glob("*.lock")) != []
            ours.shutdown(socket.SHUT_RDWR)  # as the system does, when a supervisor dies
            assert worker.wait(120) == 0
        finally:
            worker.kill()
            worker.wait()
    assert not shared.exists()
    assert list((desk.lake / "readers").glob("*.lock")) == []


def test_a_duty_comes_as_it_went() -> None:
    config = ServeConfig(allow_hosts=("a.example", "b.example"), workers=3, max_where_s=0.5)
    duty = Duty(("photos/\udcff.lake", "b.lake"), config, "/tmp/shared", 2, True)
    [line] = Lines().of(duty.to_line())
    assert Duty.from_line(line) == duty


@pytest.mark.parametrize(
    "error", [LakeNotFound("my.lake"), BadRequest("LAKE", "it is given twice")]
)
def test_an_error_comes_as_one_of_the_same_words_and_exit_code(error: LakeError) -> None:
    back = Report.from_line(Report.of_error(error).to_line()).error()
    assert str(back) == str(error)
    assert isinstance(back, BadRequest) == isinstance(error, BadRequest)


def test_lines_are_whole_however_they_come() -> None:
    lines = Lines()
    assert list(lines.of(b"a")) == []
    assert list(lines.of(b"b\nc\n\nd")) == [b"ab", b"c", b""]
    assert list(lines.of(b"\n")) == [b"d"]


def test_connections_are_dealt_out_to_the_last_one() -> None:
    config = ServeConfig(max_connections=11, workers=4)
    shares = [share_of(config, worker).max_connections for worker in range(4)]
    assert shares == [3, 3, 3, 2]
    assert share_of(config, 0) == replace(config, max_connections=3)


@pytest.mark.parametrize("number", [0, 65])
def test_a_number_that_cannot_be_is_a_sentence(number: int) -> None:
    with pytest.raises(BadRequest) as raised:
        check_workers(ServeConfig(workers=number))
    assert str(raised.value) == (
        f"--workers: {number} is no number of processes to answer with; those are 1 to 64"
    )


def test_more_workers_than_connections_are_refused() -> None:
    check_workers(ServeConfig(workers=7, max_connections=7))
    check_workers(ServeConfig(workers=1, max_connections=0))
    with pytest.raises(BadRequest) as raised:
        check_workers(ServeConfig(workers=8, max_connections=7))
    assert str(raised.value) == (
        "--workers: 8 processes cannot share 7 connections, which LAKESIFT_MAX_CONNECTIONS "
        "allows; take fewer of them, or allow more"
    )
