"""A store that is slow, or never answers, keeps nobody else waiting, and nobody for long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from indexer.errors import ImageUnreachable
from indexer.sources.guard import remember_sites
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.pictures.fetches import HANGING, REST_S, TOO_LATE, TOO_MANY, Fetches, Shares
from tests.crafted import change_manifest, set_values
from tests.lakes import GREEN, RED, Desk
from tests.serving import running

pytestmark = pytest.mark.usefixtures("nothing_named")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(fetches: Fetches, site: str) -> str:
    with pytest.raises(ImageUnreachable) as caught, fetches.waiting("a.png", site):
        fetches.fetch("a.png", site, lambda: b"", 0)
    return caught.value.reason


def test_what_is_read_or_raised_comes_back() -> None:
    fetches = Fetches()
    assert fetches.fetch("a", "s3://b", lambda: b"bytes", 5) == b"bytes"
    for error in (ValueError("no"), TimeoutError("the store's own")):
        with pytest.raises(type(error)) as caught:
            fetches.fetch("a", "s3://b", lambda error=error: _raise(error), 5)  # type: ignore[misc]
        assert caught.value is error


def _raise(error: Exception) -> bytes:
    raise error


def test_a_fetch_that_takes_too_long_is_given_up_and_its_share_comes_back_when_it_ends() -> None:
    fetches, gate = Fetches(3, patience_s=0.01), threading.Event()  # one at once of a site
    with pytest.raises(ImageUnreachable) as caught:
        fetches.fetch("a.png", "s3://slow", lambda: bytes(gate.wait(60)), 0)
    assert str(caught.value) == f"a.png cannot be read now: {TOO_LATE}; see to it and try again"
    assert refused(fetches, "s3://slow") == TOO_LATE  # its only share is taken
    assert fetches.fetch("b.png", "s3://fast", lambda: b"b", 0) == b"b"
    gate.set()
    patient = Fetches(3, patience_s=60)
    patient._running = fetches._running
    assert patient.fetch("c.png", "s3://slow", lambda: b"c", 0) == b"c"


def test_a_large_image_gets_a_second_more_for_each_megabyte() -> None:
    fetches, gate = Fetches(patience_s=0.0), threading.Event()
    threading.Timer(0.05, gate.set).start()
    assert fetches.fetch("a", "s3://b", lambda: bytes([gate.wait(60)]), 60_000_000) == b"\x01"


def test_too_many_who_wait_for_one_site_or_for_all_are_refused_at_once() -> None:
    fetches = Fetches(6)  # four for one site

    def wait(site: str, then: threading.Event, stays: threading.Event) -> None:
        with fetches.waiting("x", site), fetches.waiting("x", site):
            then.set()
            stays.wait(60)

    stays, threads = threading.Event(), []
    for site in [*["s3://a"] * 4, *["s3://b"] * 2]:
        then = threading.Event()
        threads.append(threading.Thread(target=wait, args=(site, then, stays)))
        threads[-1].start()
        assert then.wait(60)
        if len(threads) == 4:
            assert refused(fetches, "s3://a") == TOO_MANY
            with fetches.waiting("x", "s3://c"):
                pass
    assert refused(fetches, "s3://c") == TOO_MANY
    stays.set()
    for thread in threads:
        thread.join()
    with fetches.waiting("x", "s3://a"):
        assert fetches.fetch("x", "s3://a", lambda: b"x", 0) == b"x"
    assert not fetches._waiting and not fetches._running._taken


def test_a_site_that_hangs_is_left_alone_for_a_while() -> None:
    clock, gate = Clock(), threading.Event()
    fetches = Fetches(30, patience_s=0.0, clock=clock)
    for _ in range(HANGING):
        with pytest.raises(ImageUnreachable):
            fetches.fetch("a", "s3://slow", lambda: bytes(gate.wait(60)), 0)
    asked: list[float] = []

    def ask() -> bytes:
        asked.append(clock.now)
        return bytes(gate.wait(60))

    for clock.now in (REST_S - 1, REST_S):
        with pytest.raises(ImageUnreachable), fetches.waiting("a", "s3://slow"):
            fetches.fetch("a", "s3://slow", ask, 0)
    gate.set()
    assert asked == [REST_S]


def test_shares_are_of_a_key() -> None:
    shares = Shares(2)
    assert [shares.take(key, 0) for key in "aabba"] == [True, True, True, True, False]
    shares.give("a")
    assert [shares.take(key, 0) for key in "ab"] == [True, False]


class Hanging:
    """A server that takes connections and never answers."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.site = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.came = threading.Event()
        self._held: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self._held.append(self._server.accept()[0])
                self.came.set()

    def end(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._held:
            connection.close()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    server = Hanging()
    yield server
    with suppress(OSError):
        server.end()


def desk_beside(root: Path, site: str, large: bool) -> Desk:
    """Row 1 lies on the server that hangs, and is large if so; row 2 on this disk."""
    desk = Desk(root)
    desk.add("a.png", RED)
    desk.add("b.png", GREEN)
    desk.index()
    row = desk.rows()["b.png"]
    size_bytes = 17_000_000 if large else row["size_bytes"]
    set_values(desk.lake, uri=[f"{site}/a.png", row["uri"]], size_bytes=[size_bytes, 17_000_000])
    change_manifest(desk.lake, lambda body: body["sources"].append({"uri": site, "columns": None}))
    remember_sites([site])
    return desk


@pytest.mark.parametrize("large", [False, True])
def test_a_store_that_never_answers_blocks_no_search_and_no_other_picture(
    tmp_path: Path, hanging: Hanging, large: bool
) -> None:
    desk = desk_beside(tmp_path, hanging.site, large)
    config = ServeConfig(thumbnail_cache_bytes=0, fetch_patience_s=600)
    app = create_app(
        {"my": desk.lake}, config, embedder=desk.model, keys=KeyStore(tmp_path / "keys")
    )
    rows = "/v1/lakes/my/rows"
    with (
        running(app) as url,
        ThreadPoolExecutor(80) as threads,
        httpx.Client(base_url=url, timeout=120, limits=httpx.Limits()) as client,
    ):
        # More than there are requests at once, of pictures and of originals.
        paths = [f"{rows}/1/{kind}" for kind in ("image", "thumbnail") for _ in range(40)]
        asked = [threads.submit(client.get, path) for path in paths]
        assert hanging.came.wait(60)
        for number in range(5):
            found = client.post("/v1/search", json={"texts": ["red"], "k": 1})
            assert found.status_code == 200, (number, found.text)
            assert found.json()["hits"][0]["row_id"] == 1
            assert client.get(f"{rows}/2/thumbnail").status_code == 200
            assert client.get(f"{rows}/2/image").status_code == 200
        assert not all(future.done() for future in asked)
        statuses = {future.result().status_code for future in asked if future.done()}
        assert statuses <= {429, 503}
        hanging.end()
        assert {future.result().status_code for future in asked} <= {429, 503}


def test_a_picture_that_does_not_come_in_time_is_a_sentence(
    tmp_path: Path, hanging: Hanging
) -> None:
    desk = desk_beside(tmp_path, hanging.site, large=False)
    config = ServeConfig(thumbnail_cache_bytes=0, fetch_patience_s=0.05)
    app = create_app(
        {"my": desk.lake}, config, embedder=desk.model, keys=KeyStore(tmp_path / "keys")
    )
    with running(app) as url:
        for kind in ("image", "thumbnail"):
            answer = httpx.get(f"{url}/v1/lakes/my/rows/1/{kind}", timeout=120)
            assert answer.status_code == 503
            assert answer.json()["error"] == {
                "code": "image_unreachable",
                "message": f"{hanging.site}/a.png cannot be read now: {TOO_LATE}; see to it and try again",
                "field": None,
            }
            assert int(answer.headers["retry-after"]) > 0
