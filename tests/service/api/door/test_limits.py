"""The limits, against a real server where a client's behaviour counts."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from fastapi import FastAPI, UploadFile
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Scope

from service.api.config import ServeConfig
from service.api.door.headers import EVERYWHERE, PAGE
from service.api.door.limits import Limits

CONFIG = ServeConfig(max_body_bytes=10_000, max_upload_bytes=3_000_000, max_busy=2)


class Item(BaseModel):
    text: str


def app_of_this_test() -> FastAPI:
    """What the service does with bodies: JSON by FastAPI,
    uploads by its form parser, and a slow route.
    """
    app = FastAPI()
    app.state.release = threading.Event()
    app.state.entered = threading.Semaphore(0)

    @app.post("/v1/search")
    def search(item: Item) -> dict[str, int]:
        return {"length": len(item.text)}

    @app.post("/v1/search/upload")
    def upload(files: list[UploadFile]) -> dict[str, int]:
        return {"files": len(files)}

    @app.post("/v1/session", status_code=204)
    def session(item: Item) -> None: ...

    @app.get("/v1/slow")
    def slow(request: Request) -> str:
        request.app.state.entered.release()
        request.app.state.release.wait(30)
        return "slow"

    @app.post("/v1/search/many")
    def many(item: Item, request: Request) -> str:
        return slow(request)

    @app.get("/v1/stream")
    def stream() -> Response:
        return StreamingResponse((f"{number}\n" for number in range(3)), media_type="text/plain")

    @app.get("/v1/trickle")
    def trickle() -> Response:
        def slowly() -> Iterator[str]:
            for number in range(4):
                yield f"{number}\n"
                time.sleep(0.3)

        return StreamingResponse(slowly(), media_type="text/plain")

    @app.get("/v1/own")
    def own() -> Response:
        return PlainTextResponse(
            "", headers={"content-security-policy": "sandbox", "X-Frame-Options": "SAMEORIGIN"}
        )

    @app.get("/{path:path}")
    def other(path: str) -> str:
        return path

    return app


@pytest.fixture
def made() -> Iterator[TestClient]:
    app = app_of_this_test()
    app.add_middleware(Limits, config=CONFIG)
    with TestClient(app) as client:
        yield client


@contextmanager
def served(app: ASGIApp, http: Any) -> Iterator[int]:
    """A real server on a free port."""
    server = uvicorn.Server(
        uvicorn.Config(app, http=http, ws="none", log_level="warning", lifespan="off")
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(params=["h11", "httptools"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with served(
        Limits(app_of_this_test(), replace(CONFIG, body_patience_s=0.5), linger_s=2), request.param
    ) as number:
        yield number


def refused(answer: Any, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (list(error), error["code"], error["field"]) == (
        ["code", "message", "field"],
        code,
        None,
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    return str(error["message"])


def json_of(length: int) -> bytes:
    """A valid body of exactly so many bytes."""
    return b'{"text": "' + b"x" * (length - 12) + b'"}'


JSON = {"Content-Type": "application/json"}


# -- size


def test_a_body_may_be_as_large_as_the_limit_and_no_larger(made: TestClient) -> None:
    assert made.post("/v1/search", content=json_of(10_000), headers=JSON).json() == {
        "length": 9_988
    }
    answer = made.post("/v1/search", content=json_of(10_001), headers=JSON)
    assert refused(answer, 413, "too_large") == (
        "the request's body is larger than 10,000 bytes, which is the most taken here"
    )
    assert answer.headers["connection"] == "close"


def test_a_body_without_a_length_is_counted_while_it_comes(made: TestClient) -> None:
    assert made.post("/v1/search", content=iter([json_of(10_000)]), headers=JSON).status_code == 200
    began = time.monotonic()
    refused(
        made.post("/v1/search", content=iter([json_of(10_001)]), headers=JSON), 413, "too_large"
    )
    refused(made.post("/v1/search", content=iter([b" "] * 10_001), headers=JSON), 413, "too_large")
    assert time.monotonic() - began < 4  # nobody lingers for a body that is in already


def test_uploads_and_keys_have_limits_of_their_own(made: TestClient) -> None:
    def upload(size: int) -> Any:
        return made.post("/v1/search/upload", files=[("files", ("a.jpg", b"x" * size))])

    assert upload(2_900_000).json() == {"files": 1}
    assert "larger than 3,000,000 bytes" in refused(
        upload(3_000_000), 413, "too_large"
    )  # with what frames it
    assert made.post("/v1/session", content=json_of(4_096), headers=JSON).status_code == 204
    refused(made.post("/v1/session", content=json_of(4_097), headers=JSON), 413, "too_large")


def test_an_upload_cut_short_leaves_no_temporary_files_open(made: TestClient) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    parts = iter([head, *[b"x" * 500_000] * 8])  # rolled over to disk at 1 MB, refused at 3 MB
    answer = made.post(
        "/v1/search/upload",
        content=parts,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    # an open file would be a ResourceWarning, which is an error here
    refused(answer, 413, "too_large")


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "+5", "\u00b2", "1, 1"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    assert _status_of_headers([(b"content-length", length.encode("latin-1"))]) == 400


@pytest.mark.parametrize("length", ["10001", "9" * 30, "9" * 5_000])
def test_a_huge_length_is_refused_unread(length: str) -> None:
    assert _status_of_headers([(b"content-length", length.encode())]) == 413


def _status_of_headers(headers: list[tuple[bytes, bytes]]) -> int:
    """Where server and client would not let such headers pass."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope: Scope = {
        "type": "http", "method": "POST", "path": "/v1/search", "headers": [(b"content-type", b"application/json"),
        *headers],
    }  # fmt: skip
    anyio.run(Limits(app_of_this_test(), CONFIG), scope, receive, send)
    return int(sent[0]["status"])


def test_a_length_that_lies_is_counted() -> None:
    """No server passes it on; were one to, the limit would hold."""
    sent: list[Message] = []
    chunks = [b"x" * 6_000] * 3

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": chunks.pop(), "more_body": bool(chunks)}

    scope: Scope = {
        "type": "http", "method": "POST", "path": "/v1/search", "query_string": b"", "scheme": "http",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"5")],
    }  # fmt: skip
    anyio.run(Limits(app_of_this_test(), CONFIG), scope, receive, send)
    assert sent[0]["status"] == 413
    assert sum(message["type"] == "http.response.start" for message in sent) == 1


# -- kind


@pytest.mark.parametrize(
    "sent",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "",
        "application/jsonx",
    ],
)
def test_json_routes_take_json_alone(made: TestClient, sent: str) -> None:
    answer = made.post(
        "/v1/search", content=b'{"text": "x"}', headers={"Content-Type": sent} if sent else {}
    )
    message = refused(answer, 415, "unsupported_media_type")
    named = sent.partition(";")[0] or "of no Content-Type"
    assert message == f"/v1/search takes application/json, and this is {named}"


def test_spellings_of_json_are_taken(made: TestClient) -> None:
    for sent in ("application/json", "Application/JSON; charset=utf-8", "application/json;x=y"):
        assert (
            made.post(
                "/v1/search", content=b'{"text": "x"}', headers={"Content-Type": sent}
            ).status_code
            == 200
        )


def test_uploads_take_forms_alone(made: TestClient) -> None:
    answer = made.post("/v1/search/upload", content=b"{}", headers=JSON)
    assert refused(answer, 415, "unsupported_media_type").startswith(
        "/v1/search/upload takes multipart/form-data"
    )


def test_an_empty_body_is_the_routes_own_affair(made: TestClient) -> None:
    assert made.post("/v1/search").status_code == 422


# -- many at once


def test_more_than_the_limit_at_once_are_told_to_come_again(made: TestClient) -> None:
    app = made.app
    assert isinstance(app, FastAPI)
    threads = [threading.Thread(target=made.get, args=("/v1/slow",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert app.state.entered.acquire(timeout=10)
    try:
        answer = made.get("/v1/stream")
        assert refused(answer, 429, "too_busy").startswith(
            "2 requests are being answered, which is the limit"
        )
        assert answer.headers["retry-after"] == "1"
        for path in (
            "/",
            "/page/search/search.js",
            "/favicon.ico",
            "/healthz",
            "/readyz",
            "/metrics",
        ):
            assert made.get(path).status_code == 200
        assert made.post("/v1/session", json={"text": "x"}).status_code == 204
    finally:
        app.state.release.set()
        for thread in threads:
            thread.join()
    assert made.get("/v1/stream").text == "0\n1\n2\n"


def test_one_caller_leaves_lists_of_searches_to_others() -> None:
    """Each is as much work as 64 searches."""
    app = app_of_this_test()
    app.add_middleware(Limits, config=replace(CONFIG, max_busy=32))
    with TestClient(app) as client:
        item = {"text": "x"}

        def ask() -> None:
            client.post("/v1/search/many", json=item)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert app.state.entered.acquire(timeout=10)
        try:
            answer = client.post("/v1/search/many", json=item)
            assert refused(answer, 429, "too_busy").startswith(
                "6 /v1/search/many requests of yours are being answered, which is one caller's share"
            )
            assert client.post("/v1/search", json=item).json() == {"length": 1}
        finally:
            app.state.release.set()
            for thread in threads:
                thread.join()
        assert client.post("/v1/search/many", json=item).json() == "slow"


def test_a_failed_request_gives_its_place_back() -> None:
    app = FastAPI()

    @app.get("/v1/bad")
    def bad() -> None:
        raise RuntimeError("on purpose")

    app.add_middleware(Limits, config=CONFIG)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert [client.get("/v1/bad").status_code for _ in range(5)] == [500] * 5
    with TestClient(app) as client, pytest.raises(RuntimeError, match="on purpose"):
        client.get("/v1/bad")  # errors that are not ours go on to whoever logs them


# -- headers


def test_every_answer_has_the_security_headers(made: TestClient) -> None:
    for path in ("/v1/stream", "/v1/nonsense", "/docs", "/healthz"):
        answer = made.get(path)
        for name, value in EVERYWHERE.items():
            assert answer.headers[name] == value
    for path in ("/", "/page/search/search.js"):
        assert {name: made.get(path).headers[name] for name in PAGE} == dict(PAGE)
    assert "default-src 'self'" in PAGE["Content-Security-Policy"]
    assert "unsafe" not in PAGE["Content-Security-Policy"]


def test_a_routes_own_headers_stay(made: TestClient) -> None:
    headers = made.get("/v1/own").headers
    assert headers.get_list("content-security-policy") == ["sandbox"]
    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert headers["x-content-type-options"] == "nosniff"


# -- a real server and real clients


def test_a_client_that_is_still_sending_gets_its_answer(port: int) -> None:
    url = f"http://127.0.0.1:{port}/v1/search"
    for body in (b"x" * 30_000_000, (b"x" * 100_000 for _ in range(300))):
        refused(httpx.post(url, content=body, headers=JSON), 413, "too_large")
    assert httpx.post(url, json={"text": "abc"}).json() == {"length": 3}


def test_a_refused_body_is_not_kept_in_memory(port: int) -> None:
    def flood() -> Iterator[bytes]:
        for _ in range(2_000):
            yield bytes(50_000)  # 100 MB in all

    tracemalloc.start()
    try:
        refused(
            httpx.post(f"http://127.0.0.1:{port}/v1/search", content=flood(), headers=JSON),
            413,
            "too_large",
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def raw(port: int, head: str, body: Iterable[bytes] = ()) -> bytes:
    """Everything that a server says, until it hangs up,
    to a caller who goes on sending meanwhile.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:

        def talk() -> None:
            with suppress(OSError):  # it hung up
                for part in body:
                    connection.sendall(part)

        connection.sendall(head.replace("\n", "\r\n").encode())
        talking = threading.Thread(target=talk)
        talking.start()
        said = b""
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                said += part
        talking.join(10)
        return said


HEAD = "POST /v1/search HTTP/1.1\nHost: localhost\nContent-Type: application/json\n"


def dribble(count: int, pause_s: float) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x"
        time.sleep(pause_s)


def test_a_body_that_dribbles_in_is_cut(port: int) -> None:
    began = time.monotonic()
    said = raw(port, f"{HEAD}Content-Length: 9000\n\n", dribble(80, 0.1))
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in said
    assert b"connection: close" in said.lower()
    # half a second of patience, two to linger, and not eight
    assert 0.5 < time.monotonic() - began < 8


def test_a_body_that_never_comes_is_cut(port: int) -> None:
    assert raw(port, f"{HEAD}Content-Length: 9000\n\n").startswith(b"HTTP/1.1 408 ")
    assert raw(port, f"{HEAD}Transfer-Encoding: chunked\n\n").startswith(b"HTTP/1.1 408 ")


def test_whoever_announces_too_much_and_sends_nothing_is_answered_and_left(port: int) -> None:
    began = time.monotonic()
    said = raw(port, f"{HEAD}Content-Length: 90000000000\n\n")
    assert said.startswith(b"HTTP/1.1 413 ")
    assert 1.5 < time.monotonic() - began < 5  # linger_s


def test_a_refused_caller_who_never_stops_is_left(port: int) -> None:
    """Also one whom a route answers without reading: 405 here, or the guard's 401."""
    began = time.monotonic()
    chunks = (b"5\r\nxxxxx\r\n" for _ in iter(lambda: time.sleep(0.05), 0))
    said = raw(
        port, f"{HEAD.replace('/v1/search', '/v1/slow')}Transfer-Encoding: chunked\n\n", chunks
    )
    assert said == b"" or said.startswith(
        b"HTTP/1.1 405 "
    )  # what was said may be lost on one who does not listen
    assert 1.5 < time.monotonic() - began < 6


def test_a_refused_caller_who_sent_all_is_not_waited_for(port: int) -> None:
    began = time.monotonic()
    said = raw(port, f"{HEAD.replace('/v1/search', '/v1/slow')}Content-Length: 5\n\n", [b"12345"])
    assert said.startswith(b"HTTP/1.1 405 ")
    assert time.monotonic() - began < 2  # linger_s


def test_a_connection_is_kept_where_the_body_was_read(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for answer in (
            client.post("/v1/search", json={"text": "abc"}),
            client.post("/v1/search", json={"wrong": 1}),
        ):
            assert "connection" not in answer.headers
        assert client.get("/v1/stream").headers.get("connection") is None


def test_whoever_asks_before_sending_is_spared_the_sending(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = f"{HEAD}Expect: 100-continue\nContent-Length: 90000\n\n"
        connection.sendall(head.replace("\n", "\r\n").encode())
        said = connection.recv(12)
    assert said == b"HTTP/1.1 413"


def test_a_slow_line_is_not_a_dribble() -> None:
    """64 kB are worth a second: a steady 100 kB in 1.2 s pass, with half a second of patience."""
    config = ServeConfig(max_body_bytes=1_000_000)
    body = json_of(120_000)
    with served(
        Limits(app_of_this_test(), replace(config, body_patience_s=0.5)), "httptools"
    ) as number:

        def steadily() -> Iterator[bytes]:
            for start in range(0, 120_000, 10_000):
                time.sleep(0.1)
                yield body[start : start + 10_000]

        answer = httpx.post(
            f"http://127.0.0.1:{number}/v1/search", content=steadily(), headers=JSON
        )
    assert answer.json() == {"length": 119_988}


def test_a_long_answer_is_not_cut(port: int) -> None:
    """Whoever streams listens for the caller to go away;
    that wait is no slow body, promised or not.
    """
    head = "GET /v1/trickle HTTP/1.1\nHost: localhost\nConnection: close\n"
    for more in ("", "Content-Length: 10\n"):
        said = raw(port, f"{head}{more}\n")
        assert said.startswith(b"HTTP/1.1 200 ")
        assert [line for line in said.split(b"\r\n") if line.endswith(b"\n")] == [
            b"0\n",
            b"1\n",
            b"2\n",
            b"3\n",
        ]
