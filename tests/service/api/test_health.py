"""Alive, ready, counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from indexer.arrays import Vectors
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.fakes import ColourEmbedder
from tests.lakes import Desk
from tests.service.api.conftest import HOST


class Ailing(ColourEmbedder):
    """Embeds any text as red, until it breaks."""

    broken = False

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        if self.broken:
            raise RuntimeError("out of memory")
        return super().embed_texts(["red" for _ in texts])


def test_ready_means_that_an_embed_just_succeeded(desk: Desk, tmp_path: Path) -> None:
    model = Ailing()
    app = create_app(
        {"my": desk.lake}, ServeConfig(), embedder=model, keys=KeyStore(tmp_path / "state")
    )
    with TestClient(app, base_url=HOST) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "lakes": {"my": "ok"}})
        client.post("/v1/search", json={"texts": [{"text": "kept"}]})
        model.broken = True
        unready = client.get("/readyz")
        assert unready.status_code == 503
        assert unready.json()["lakes"]["my"] == "its model colours does not embed; see the log"
        assert client.get("/healthz").json() == {"alive": True}
        model.broken = False
        assert client.get("/readyz").status_code == 200


def test_who_has_no_key_is_told_whether_it_is_ready_and_no_names(
    desk: Desk, tmp_path: Path
) -> None:
    """Probes have no key, and strangers shall not keep the model busy."""
    asked = 0

    class Counting(Ailing):
        def embed_texts(self, texts: Sequence[str]) -> Vectors:
            nonlocal asked
            asked += 1
            return super().embed_texts(texts)

    keys = KeyStore(tmp_path / "state")
    _, secret = keys.add("me", "read")
    config = ServeConfig(require_key=True)
    model = Counting()
    app = create_app({"my": desk.lake}, config, embedder=model, keys=keys)
    with TestClient(app, base_url=HOST) as client:
        first = client.get("/readyz")
        assert (first.status_code, first.json()) == (200, {"ready": True, "lakes": {}})
        before = asked
        for _ in range(5):
            assert client.get("/readyz").status_code == 200
        assert asked == before  # within a second
        mine = client.get("/readyz", headers={"X-API-Key": secret})
        assert (mine.status_code, mine.json()["lakes"]) == (200, {"my": "ok"})
        assert client.get("/readyz", headers={"X-API-Key": "lks_wrong"}).status_code == 401
        model.broken = True
        time.sleep(1.1)
        broken = client.get("/readyz")
        assert (broken.status_code, broken.json()) == (503, {"ready": False, "lakes": {}})
        app.state.is_leaving = True
        stopping = client.get("/readyz", headers={"X-API-Key": secret})
        assert stopping.status_code == 503
        sentence = "the service is stopping; ask another one"
        assert stopping.json()["lakes"] == {"my": sentence}


def test_it_is_told_alive_while_every_request_waits(desk: Desk, tmp_path: Path) -> None:
    class Waiting(ColourEmbedder):
        go_on = threading.Event()

        def embed_texts(self, texts: Sequence[str]) -> Vectors:
            assert self.go_on.wait(60)
            return super().embed_texts(["red" for _ in texts])

    model = Waiting()
    config = ServeConfig(max_busy=2)
    app = create_app({"my": desk.lake}, config, embedder=model, keys=KeyStore(tmp_path / "state"))
    with TestClient(app, base_url=HOST) as client, ThreadPoolExecutor(3) as pool:

        def taken_in() -> int:
            while (
                answer := client.post("/v1/search", json={"texts": [{"text": "x"}]})
            ).status_code == 429:
                time.sleep(0.01)  # an empty query of below was just being refused
            return answer.status_code

        try:
            waiting = [pool.submit(taken_in) for _ in "12"]
            while client.post("/v1/search", json={}).status_code != 429:
                time.sleep(0.01)
            for path in ("/healthz", "/metrics", "/"):
                assert pool.submit(client.get, path).result(10).status_code == 200
        finally:
            model.go_on.set()
        assert [answer.result(10) for answer in waiting] == [200, 200]


def test_another_model_than_the_lake_s_is_not_ready(desk: Desk, tmp_path: Path) -> None:
    app = create_app(
        {"my": desk.lake},
        ServeConfig(),
        embedder=ColourEmbedder(weights="1"),
        keys=KeyStore(tmp_path / "state"),
    )
    with TestClient(app, base_url=HOST) as client:
        unready = client.get("/readyz")
        assert unready.status_code == 503
        assert "was built with colours (weights 0)" in unready.json()["lakes"]["my"]
        answer = client.post("/v1/search", json={"texts": [{"text": "red"}]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_unavailable")
        assert (
            client.post("/v1/search", json={"images": [{"row_id": 1}]}).status_code == 200
        )  # needs no model


def counted(client: TestClient) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (
            sample.name,
            *(f"{name}={value}" for name, value in sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_is_counted(client: TestClient, desk: Desk) -> None:
    end = time.monotonic() + 60  # the embed that the start makes beside the first requests
    batches = ("lakesift_embed_batch_size_count", "kind=text")
    while counted(client).get(batches, 0) < 1 and time.monotonic() < end:
        time.sleep(0.02)
    for words in ("red", "red", "green"):
        client.post("/v1/search", json={"texts": [{"text": words}]})
    client.post("/v1/search", json={})
    client.get("/v1/lakes/my/rows/99")
    client.get("/no/such/path/1")
    client.get("/no/such/path/2")
    counts = counted(client)
    requests = "lakesift_requests_total"
    assert counts[requests, "method=POST", "route=/v1/search", "status=200"] == 3
    assert counts[requests, "method=POST", "route=/v1/search", "status=422"] == 1
    assert counts[requests, "method=GET", "route=/v1/lakes/{lake}/rows/{row_id}", "status=404"] == 1
    # callers cannot make up routes
    assert counts[requests, "method=GET", "route=other", "status=404"] == 2
    assert counts["lakesift_request_seconds_count", "route=/v1/search"] == 4
    assert counts["lakesift_rows", "lake=my"] == 4
    assert counts["lakesift_snapshot", "lake=my"] == desk.manifest.snapshot
    assert counts["lakesift_problems", "lake=my"] == 0
    assert counts["lakesift_embed_lookups_total", "kept=yes", "kind=text"] == 1
    assert counts["lakesift_embed_lookups_total", "kept=no", "kind=text"] == 2
    assert counts[batches] == 1 + 2
    assert counts[("lakesift_requests_in_flight",)] == 1  # this one


def test_two_apps_count_apart(client: TestClient, desk: Desk, tmp_path: Path) -> None:
    client.post("/v1/search", json={"texts": [{"text": "red"}]})
    app = create_app(
        {"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=KeyStore(tmp_path / "other")
    )
    with TestClient(app, base_url=HOST) as other:
        assert ("lakesift_request_seconds_count", "route=/v1/search") not in counted(other)
