"""The connections of a real server whose limits are small: what each may hold, and for how long."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.api.config import ServeConfig
from service.api.door import connections
from service.api.door.limits import Limits
from service.api.server import listen
from tests.serving import running

CONFIG = ServeConfig(
    max_head_bytes=2_000,
    max_headers=10,
    head_patience_s=0.6,
    write_patience_s=0.5,
    max_connections=4,
)
HEAD = b"GET /v1/lakes HTTP/1.1\r\nHost: localhost\r\n"
EXPORT = b"GET /v1/lakes/my/filters/reds/export HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = 40_000_000  # bytes of an answer: more than the kernels at both ends hold for a connection


def app_of_this_test(config: ServeConfig = CONFIG) -> FastAPI:
    """A service with four routes behind its limits."""
    app = FastAPI()
    app.state.config = config

    @app.get("/v1/lakes")
    def lakes(request: Request) -> int:
        return len(request.headers)

    @app.post("/v1/search")
    async def search(request: Request) -> list[str]:
        await request.body()
        return sorted(request.headers)

    @app.get("/v1/large")
    def large() -> Response:
        return Response(bytes(LARGE))

    @app.get("/v1/stream")
    @app.get("/v1/lakes/my/filters/reds/export")
    def stream() -> StreamingResponse:
        return StreamingResponse(bytes(100_000) for _ in range(LARGE // 100_000))

    app.add_middleware(Limits, config=config)
    return app


@contextmanager
def served(app: FastAPI) -> Iterator[int]:
    """Its port."""
    with running(app) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(app_of_this_test(replace(CONFIG, max_connections=100))) as number:
        yield number


@contextmanager
def connected(port: int, **options: int) -> Iterator[socket.socket]:
    made = socket.socket()
    made.settimeout(4)
    for name, value in options.items():
        made.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    made.connect(("127.0.0.1", port))
    with made:
        yield made


def all_of(made: socket.socket) -> bytes:
    """What comes until the other end has said all."""
    said = b""
    with suppress(ConnectionResetError):
        while piece := made.recv(65_536):
            said += piece
    return said


def answer_of(made: socket.socket) -> bytes:
    """The answer that is next, however many pieces it comes in; its connection goes on."""
    said = b""
    while b"\r\n\r\n" not in said:
        piece = made.recv(65_536)
        assert piece, said
        said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    if length is not None:
        while len(body) < int(length[1]):
            body += made.recv(65_536)
    return head + b"\r\n\r\n" + body


def error_of(said: bytes) -> tuple[int, str, str]:
    head, _, body = said.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    return int(head.split()[1]), error["code"], error["message"]


TOO_LARGE = (
    431,
    "head_too_large",
    "a request's address and headers may have 2,000 bytes and 10 headers; send long queries in the "
    "body of a POST",
)


# -- heads


@pytest.mark.parametrize(
    "more",
    [
        b"X-Long: " + b"a" * 2_000 + b"\r\n\r\n",
        b"".join(b"X-%d: 1\r\n" % number for number in range(10)) + b"\r\n",  # and Host: eleven
    ],
    ids=["bytes", "headers"],
)
def test_a_whole_head_that_is_too_large_is_refused(port: int, more: bytes) -> None:
    with connected(port) as made:
        made.sendall(HEAD + more)
        said = answer_of(made)
        assert error_of(said) == TOO_LARGE
        assert b"x-content-type-options: nosniff" in said


def test_a_head_within_the_limits_is_taken(port: int) -> None:
    with connected(port) as made:
        more = b"".join(b"X-%d: 1\r\n" % number for number in range(8))  # Host, Connection: ten
        made.sendall(HEAD + b"Connection: close\r\n" + more + b"\r\n")
        assert all_of(made).endswith(b"\r\n\r\n10")


def test_a_head_without_end_is_refused_while_it_comes(port: int) -> None:
    with connected(port) as made:
        made.sendall(HEAD + b"X-Long: ")
        with suppress(ConnectionError):
            for _ in range(100):
                made.sendall(b"a" * 50_000)
        assert error_of(all_of(made)) == TOO_LARGE


def test_an_address_without_end_is_refused_too(port: int) -> None:
    with connected(port) as made:
        made.sendall(b"GET /v1/lakes?where=" + b"a" * 1_500)
        time.sleep(0.05)
        made.sendall(b"b" * 1_500)
        assert error_of(all_of(made)) == TOO_LARGE


def test_half_a_head_is_cut_off_in_time(port: int) -> None:
    with connected(port) as made:
        began = time.monotonic()
        made.sendall(HEAD)
        assert error_of(all_of(made)) == (
            408,
            "too_slow",
            "the request's head was not whole after 0.6 s",
        )
        assert time.monotonic() - began > 0.55


def test_a_head_that_dribbles_in_has_no_more_time_for_it(port: int) -> None:
    with connected(port) as made:
        with suppress(ConnectionError):
            made.sendall(HEAD)
            for number in range(30):
                time.sleep(0.05)
                made.sendall(b"X-%d: 1\r\n" % number)
        assert error_of(all_of(made))[0] == 408


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"], ids=["nothing", "line ends"])
def test_a_connection_without_a_request_is_closed_without_a_word(port: int, sent: bytes) -> None:
    with connected(port) as made:
        made.sendall(sent)
        assert all_of(made) == b""


def test_line_ends_after_a_request_do_not_keep_a_connection(port: int) -> None:
    with connected(port) as made:
        made.sendall(HEAD + b"\r\n")
        assert answer_of(made).endswith(b"\r\n\r\n1")
        made.sendall(b"\r\n")
        assert all_of(made) == b""


def test_a_kept_connection_has_its_whole_time_for_each_head(port: int) -> None:
    with connected(port) as made:
        for _ in range(3):
            made.sendall(HEAD)
            time.sleep(0.22)  # 0.66 s in all, of 0.6 s for each
            made.sendall(b"\r\n")
            assert answer_of(made).endswith(b"\r\n\r\n1")


# -- the framing of bodies

CHUNKED = (
    b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def test_chunks_of_one_byte_are_taken(port: int) -> None:
    with connected(port) as made:
        made.sendall(CHUNKED)
        for _ in range(3_000):  # 18 kB of framing and body, in many pieces
            made.sendall(b"1\r\nx\r\n")
        made.sendall(b"0\r\n\r\n")
        assert b" 200 " in answer_of(made)


@pytest.mark.parametrize(
    "start", [b"2;", b"2\r\n{}\r\n0\r\nX-Trailer: "], ids=["a chunk's extension", "a trailer"]
)
def test_framing_without_end_is_cut_off(port: int, start: bytes) -> None:
    with connected(port) as made:
        made.sendall(CHUNKED + start)
        with pytest.raises(ConnectionError):
            for _ in range(200):
                made.sendall(b"a" * 50_000)
                time.sleep(0.005)


def test_a_trailer_is_no_header(port: int) -> None:
    with connected(port) as made:
        made.sendall(CHUNKED + b"2\r\n{}\r\n0\r\nX-Api-Key: stolen\r\n\r\n")
        said = answer_of(made)
    assert json.loads(said.partition(b"\r\n\r\n")[2]) == [
        "content-type",
        "host",
        "transfer-encoding",
    ]


# -- answers that nobody reads


@pytest.mark.parametrize("path", ["/v1/large", "/v1/stream"])
def test_an_answer_of_which_nothing_is_read_is_cut_off(port: int, path: str) -> None:
    with connected(port, SO_RCVBUF=4_096) as made:
        made.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        time.sleep(1.2)  # half a second without movement, and the looks
        got = 0
        with suppress(ConnectionResetError):
            while piece := made.recv(1 << 20):
                got += len(piece)
        assert got < LARGE / 2


def test_an_unread_stream_gives_its_place_to_the_next() -> None:
    app = app_of_this_test(replace(CONFIG, max_streams=1))
    with served(app) as port, connected(port, SO_RCVBUF=4_096) as first, connected(port) as second:
        first.sendall(EXPORT)
        assert first.recv(10)
        second.sendall(EXPORT)
        assert error_of(answer_of(second)) == (
            429,
            "too_busy",
            "1 stream is being answered, which is the limit; try again in a second",
        )
        assert_answered(second)  # who streams keeps nobody else out
        until = time.monotonic() + 4
        while time.monotonic() < until:
            time.sleep(0.1)
            second.sendall(EXPORT)
            said = answer_of(second)
            if b" 200 " in said:
                return
            assert error_of(said)[:2] == (429, "too_busy")
    raise AssertionError("no place came free")


def test_a_slow_reader_is_waited_for(port: int) -> None:
    with connected(port, SO_RCVBUF=200_000) as made:
        made.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        got, until = 0, time.monotonic() + 2.0
        while time.monotonic() < until:  # four times as long as an unread answer has
            got += len(made.recv(100_000))
            time.sleep(0.1)
        while piece := made.recv(1 << 20):
            got += len(piece)
        assert got > LARGE


# -- how many


def test_when_all_connections_are_taken_the_one_that_waits_longest_goes() -> None:
    patient = app_of_this_test(replace(CONFIG, head_patience_s=60))
    with served(patient) as port, ExitStack() as open_ones:
        first, second, third, fourth = (
            open_ones.enter_context(connected(port)) for _ in range(CONFIG.max_connections)
        )
        second.sendall(HEAD)  # half a request is none
        time.sleep(0.05)
        fifth = open_ones.enter_context(connected(port))
        assert all_of(first) == b""
        assert_answered(fifth)
        for still in (second, third, fourth):
            still.settimeout(0.05)
            with pytest.raises(TimeoutError):
                still.recv(1)
        assert_answered(open_ones.enter_context(connected(port)))
        second.settimeout(4)
        assert all_of(second) == b""


def assert_answered(made: socket.socket) -> None:
    made.sendall(HEAD + b"\r\n")
    assert b" 200 " in answer_of(made)


def test_where_all_are_being_answered_the_next_is_told_so() -> None:
    patient = app_of_this_test(replace(CONFIG, write_patience_s=60))
    with served(patient) as port:
        with ExitStack() as open_ones:
            for _ in range(4):
                made = open_ones.enter_context(connected(port, SO_RCVBUF=4_096))
                made.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert made.recv(10)
            fifth = open_ones.enter_context(connected(port))
            assert error_of(all_of(fifth)) == (
                503,
                "too_busy",
                "4 connections are being answered, which is the limit; try again",
            )
        assert_answers(port)


def assert_answers(port: int) -> None:
    for _ in range(20):
        with connected(port) as made:
            made.sendall(HEAD + b"\r\n")
            if b" 200 " in answer_of(made):
                return
        time.sleep(0.05)
    raise AssertionError("no place came free")


def test_the_socket_leaves_little_in_the_kernel() -> None:
    option: Any = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is None:
        pytest.skip("this system cannot say so")
    with listen(replace(CONFIG, port=0)) as listening:
        assert listening.getsockopt(socket.IPPROTO_TCP, option) == connections.UNSENT_BYTES
