"""Nobody keeps the others out: a real service with small limits, and callers who mean no good."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from indexer.arrays import InputShape
from indexer.errors import UnreadableImage
from indexer.images import ReadImage
from indexer.images.decoder import Decoder, ReadSettings
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.cursor import Cursor
from service.api.serving.keys import KeyStore
from service.lake import Lake
from service.pictures.decoders import DecoderPool
from service.relevance import Filters, Target
from tests.lakes import RED, Desk, png
from tests.service.lakes import Maker
from tests.serving import running

SEARCH = {"vector": [1, 0, 0], "k": 1}
DECIDE = "/v1/lakes/my/filters/reds/decide"
UPLOAD = "/v1/search/upload"


class SlowDecoder(Decoder):
    """Images take it until somebody lets it go on; each is red."""

    go_on = threading.Event()
    begun: list[str] = []  # noqa: RUF012 - one list for all of a test's decoders
    stopped: list[str] = []  # noqa: RUF012

    def __init__(self, settings: ReadSettings) -> None:
        super().__init__(settings)
        self._name = ""
        self._over = threading.Event()

    def decode(
        self, uri: str, path: bytes | None, data: bytes | None, shape: InputShape | None = None
    ) -> ReadImage:
        assert shape is not None
        self._name = uri
        self._over.clear()
        self.begun.append(uri)
        for _ in range(2_000):
            if self._over.is_set():
                raise UnreadableImage(uri, "its decoder crashed")
            if self.go_on.wait(0.005):
                pixels = np.full((shape.height_px, shape.width_px, 3), RED, np.uint8)
                return ReadImage(pixels, "0" * 64, 0, 4, 4, "png", None, None, None)
        raise AssertionError("nobody let it go on")

    @property
    def is_running(self) -> bool:
        return True

    def stop(self) -> None:
        self.stopped.append(self._name)
        self._over.set()

    def close(self) -> None:
        self._over.set()


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """20 reddish rows and 60 bluish; the filter reds was applied."""
    desk = Desk(tmp_path_factory.mktemp("colours"))
    for number in range(20):
        desk.add(f"a{number:03d}.png", (255, number * 3, 0))
    for number in range(60):
        desk.add(f"b{number:03d}.png", (90 - number, 0, 160 + number))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        reds = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.9))
        while rows := reds.next(40, "audit")["rows"]:
            answers = {True: "yes", False: "no"}
            reds.label(
                [{"row_id": row["row_id"], "label": answers[row["row_id"] <= 20]} for row in rows]
            )
        assert not reds.apply()["refused"]
    return desk


@contextmanager
def served(
    desk: Desk, state: Path, config: ServeConfig | None = None
) -> Iterator[tuple[str, FastAPI]]:
    """Its URL, and the app; one decoder for uploads, which is slow."""
    SlowDecoder.go_on.clear()
    SlowDecoder.begun.clear()
    SlowDecoder.stopped.clear()
    config = config or ServeConfig()
    app = create_app({"my": desk.lake}, config, embedder=desk.model, keys=KeyStore(state))
    app.state.decoders.close()
    app.state.decoders = DecoderPool(decoders=2, start=SlowDecoder)
    with running(app) as url:
        try:
            yield url, app
        finally:
            SlowDecoder.go_on.set()


def files(*names: str) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (name, png(RED))) for name in names]


def until(condition: object, seconds: float = 5.0) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def connected(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def half_of(url: str, path: str, kind: str) -> socket.socket:
    """A request whose body does not come."""
    made = connected(url)
    made.sendall(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        "Content-Length: 500\r\n\r\n{".encode()
    )
    return made


def test_who_does_not_send_takes_nobodys_place(coloured: Desk, tmp_path: Path) -> None:
    config = ServeConfig(max_busy=2, max_uploads=1, max_streams=1)
    with served(coloured, tmp_path, config) as (url, _), ExitStack() as open_ones:
        for accept in ("application/json", "application/x-ndjson"):
            for _ in range(3):
                sent = half_of(url, "/v1/search", f"application/json\r\nAccept: {accept}")
                open_ones.enter_context(sent)
        open_ones.enter_context(half_of(url, UPLOAD, "multipart/form-data; boundary=x"))
        time.sleep(0.2)
        for _ in range(3):
            assert httpx.post(f"{url}/v1/search", json=SEARCH).status_code == 200
        stream = {"Accept": "application/x-ndjson"}
        assert httpx.post(f"{url}/v1/search", json=SEARCH, headers=stream).status_code == 200
        SlowDecoder.go_on.set()
        assert httpx.post(url + UPLOAD, files=files("a.png")).status_code == 200


def test_when_the_client_has_gone_its_images_are_not_decoded(
    coloured: Desk, tmp_path: Path
) -> None:
    with served(coloured, tmp_path) as (url, _):
        asked = httpx.Request("POST", url + DECIDE, files=files("1.png", "2.png", "3.png", "4.png"))
        with connected(url) as made:
            lines = [f"{name}: {value}" for name, value in asked.headers.items()]
            head = "\r\n".join([f"POST {DECIDE} HTTP/1.1", *lines, "", ""])
            made.sendall(head.encode() + asked.read())
            assert until(lambda: SlowDecoder.begun == ["1.png"])
        until(lambda: SlowDecoder.stopped == ["1.png"])
        assert SlowDecoder.stopped == ["1.png"]
        # The turn is free, with 10 s of work for each of its images still to do.
        SlowDecoder.go_on.set()
        answer = httpx.post(url + DECIDE, files=files("mine.png"))
        assert answer.json()["images"][0]["decision"] == "keep"
        assert SlowDecoder.begun == ["1.png", "mine.png"]


def test_a_request_has_so_much_decoding_and_the_rest_is_told_so(
    coloured: Desk, tmp_path: Path
) -> None:
    with served(coloured, tmp_path, ServeConfig(max_decode_s=0.2)) as (url, _):
        answer = httpx.post(url + DECIDE, files=files("1.png", "2.png", "3.png"))
        assert answer.status_code == 200
        over = (
            "0.2 s of decoding are over, which is all that the images of one request get; "
            "send fewer at once"
        )
        assert [each["error"] for each in answer.json()["images"]] == [over] * 3
        assert SlowDecoder.begun == SlowDecoder.stopped == ["1.png"]
        refused = httpx.post(url + UPLOAD, files=files("1.png", "2.png"))
        assert (refused.status_code, refused.json()["error"]) == (
            422,
            {"code": "unreadable_image", "message": f"files[0]: {over}", "field": "files[0]"},
        )


def test_callers_take_turns_image_by_image(coloured: Desk, tmp_path: Path) -> None:
    keys = KeyStore(tmp_path)
    many, few = keys.add("many")[1], keys.add("few")[1]
    with (
        served(coloured, tmp_path, ServeConfig(require_key=True)) as (url, app),
        ThreadPoolExecutor(3) as pool,
    ):

        def decide(key: str, *names: str) -> int:
            sent = files(*names)
            return httpx.post(url + DECIDE, files=sent, headers={"X-API-Key": key}).status_code

        waiting = app.state.decoders.all_but_one._queue
        asked = [pool.submit(decide, many, "m1", "m2", "m3")]
        assert until(lambda: SlowDecoder.begun == ["m1"])
        asked.append(pool.submit(decide, many, "m4", "m5"))
        assert until(lambda: len(waiting) == 1)
        asked.append(pool.submit(decide, few, "f1"))
        assert until(lambda: len(waiting) == 2)
        SlowDecoder.go_on.set()
        assert [each.result(10) for each in asked] == [200, 200, 200]
        # The second of those who wait is the first who was not served yet.
        assert SlowDecoder.begun[:2] == ["m1", "f1"]


def test_a_where_that_takes_long_is_a_sentence(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "my.lake")
    draw = np.random.default_rng(1)
    words = ["ward", "room", "aaaa", "bbab", "corridor", "gamma"]
    for _ in range(1_000):
        maker.add((1, 0, 0), caption=" ".join(draw.choice(words, 60)))
    maker.segment()
    costly = "caption LIKE '%" + "%".join("_" * 200 + letter for letter in "abz") + "%'"
    config = ServeConfig(max_where_s=0.0001)
    app = create_app(
        {"my": maker.layout.root}, config, embedder=maker.model, keys=KeyStore(tmp_path / "state")
    )
    with running(app) as url:
        for answer in (
            httpx.post(f"{url}/v1/search", json={**SEARCH, "where": costly}),
            httpx.get(f"{url}/v1/lakes/my/rows", params={"where": costly}),
        ):
            assert answer.status_code == 503, answer.text
            error = answer.json()["error"]
            assert (error["code"], error["field"]) == ("where_too_slow", "where")
            assert (
                "of 1,000 rows in 0.0001 s, which is all the time it gets here" in error["message"]
            )
        plain = {**SEARCH, "where": "caption LIKE '%ward%'"}
        assert httpx.post(f"{url}/v1/search", json=plain).status_code == 200


def test_a_cursor_does_not_pass_what_collapse_is_meant_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.plans.MAX_COLLAPSED", 100)  # 10,000: a lake too large here
    maker = Maker(tmp_path / "my.lake")
    draw = np.random.default_rng(1)
    for number in range(101):  # no two of them nearly the same
        maker.add((1, number / 1e6, 0), phash=int(draw.integers(2**63)))
    maker.segment()
    app = create_app(
        {"my": maker.layout.root},
        ServeConfig(),
        embedder=maker.model,
        keys=KeyStore(tmp_path / "state"),
    )
    with running(app) as url:
        ask = {**SEARCH, "k": 1, "collapse": True}
        first = httpx.post(f"{url}/v1/search", json=ask, timeout=30).json()
        cursor = Cursor.decode(first["next_cursor"], app.state.signer)

        def page(position: int, k: int, **headers: str) -> httpx.Response:
            body = {"cursor": cursor.at(position).encode(app.state.signer), "k": k}
            return httpx.post(f"{url}/v1/search", json=body, headers=headers, timeout=30)

        assert page(90, 10).status_code == 200  # its last hit is the 100th
        for headers in ({}, {"Accept": "application/x-ndjson"}):
            refused = page(91, 10, **headers)
            assert (refused.status_code, refused.json()["error"]) == (
                422,
                {
                    "code": "bad_cursor",
                    "message": "cursor: near-identical images are looked for among at most 100 "
                    "hits, and this page would end at 101; for those beyond search without "
                    "collapse",
                    "field": "cursor",
                },
            )
        alone = {"cursor": cursor.encode(app.state.signer)}
        stream = {"Accept": "application/x-ndjson"}
        refused = httpx.post(f"{url}/v1/search", json=alone, headers=stream)
        assert json.loads(refused.text)["error"]["field"] == "k"
