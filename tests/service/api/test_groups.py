"""Searches of a few groups over HTTP: what they say, their pages, the service's own choice."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from indexer.errors import BadRequest, ModelUnavailable
from indexer.run.grouping import probes
from indexer.run.grouping.making import add_groups
from indexer.run.grouping.probes import Probes
from indexer.run.writing.compact import compact_lake
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving import recall_watch
from service.api.serving.keys import KeyStore
from service.api.serving.recall_watch import RecallWatch
from service.lake import Lake
from service.search import searched
from service.search.comparing import compare
from service.search.query import Query
from tests.fakes import ColourEmbedder
from tests.service.api.conftest import HOST

DIM = 16
DRAWN = PhotoLike(DIM, groups=60)


def _no_model() -> ColourEmbedder:
    raise ModelUnavailable("synthetic", "nobody has it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("near") / "my.lake"
    write_synthetic_lake(folder, 2_000, DIM, segment_rows=2_000, vectors=DRAWN.photos)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(probes, "PROBES", 300)
        texts = Probes(DRAWN.texts(300, np.random.default_rng(4)), "texts drawn")
        add_groups(Layout(folder), read_manifest(Layout(folder))[0], _no_model, texts=texts)
    return folder


@pytest.fixture(autouse=True)
def deep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searched, "_MOST", 1.0)


def app_of(folder: Path, tmp_path: Path, recall: float = 0.0) -> FastAPI:
    return create_app(
        {"my": folder},
        ServeConfig(recall=recall),
        embedder=ColourEmbedder(),
        keys=KeyStore(tmp_path / "state"),
    )


@pytest.fixture
def client(folder: Path, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(app_of(folder, tmp_path), base_url=HOST) as client:
        yield client


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_answer_says_how_it_was_searched(client: TestClient) -> None:
    images = [7]
    assert "searched" not in ask(client, images=images)
    near = ask(client, images=images, recall=0.9, k=5)
    assert near["searched"]["exact"] is False
    assert 0.9 <= near["searched"]["recall_at_10"]["image"] <= 1
    assert set(near["searched"]["recall_at_100"]) == {"image", "text"}
    assert near["hits"][0]["row_id"] == 7
    assert ask(client, images=images, recall=0.9, exact=True)["searched"] == {"exact": True}
    where = ask(client, images=images, recall=0.9, where="width_px > 0")
    assert where["searched"] == {"exact": True, "why": "a search with where is always exact"}


@pytest.mark.parametrize("recall", [0, -1, 1.01, "much"])
def test_what_is_no_share_is_refused(client: TestClient, recall: object) -> None:
    answer = client.post("/v1/search", json={"images": [7], "recall": recall})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "recall"


def test_pages_fit_together_and_keep_their_depth(client: TestClient) -> None:
    page = ask(client, images=[7], recall=0.8, k=10)
    first, seen = page["searched"], [hit["row_id"] for hit in page["hits"]]
    assert first["exact"] is False
    for k in (100, 7, 400):
        page = ask(client, cursor=page["next_cursor"], k=k)
        assert page["searched"] == first
        seen += [hit["row_id"] for hit in page["hits"]]
    assert len(seen) == len(set(seen)) == 517


def test_the_service_and_the_lake_may_choose_for_those_who_say_nothing(
    folder: Path, tmp_path: Path
) -> None:
    with TestClient(app_of(folder, tmp_path, recall=0.9), base_url=HOST) as client:
        assert ask(client, images=[7])["searched"]["exact"] is False
        assert ask(client, images=[7], exact=True)["searched"] == {"exact": True}
        assert ask(client, images=[7], recall=1)["searched"] == {"exact": True}
        lines = client.post(
            "/v1/search", json={"images": [7]}, headers={"Accept": "application/x-ndjson"}
        ).text.splitlines()
        assert len(lines) == 2_002, "a stream is exact, and ends with the last row"
    compact_lake(folder, max_segments=1, recall=0.8, load_model=_no_model)
    try:
        with TestClient(app_of(folder, tmp_path), base_url=HOST) as client:
            assert ask(client, images=[7])["searched"]["exact"] is False
        with TestClient(app_of(folder, tmp_path, recall=1.0), base_url=HOST) as client:
            assert ask(client, images=[7])["searched"] == {"exact": True}
    finally:
        compact_lake(folder, max_segments=1, recall=1.0, load_model=_no_model)
    with pytest.raises(BadRequest, match="2 is no share of the nearest; it is up to 1"):
        ServeConfig(recall=2)


def test_a_sample_of_the_traffic_is_measured(client: TestClient) -> None:
    for row_id in (7, 8, 9):
        ask(client, images=[row_id], recall=0.9)
    ask(client, images=[7])
    deadline = time.monotonic() + 60
    while 'recall_wanted_total{lake="my"' not in (text := client.get("/metrics").text):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert 'lakesift_near_searches_total{lake="my"} 3.0' in text
    assert 'lakesift_recall_wanted_total{lake="my",made_of="image"} 10.0' in text
    found = re.search(r'recall_found_total\{lake="my",made_of="image"\} (\d+)', text)
    assert found is not None
    assert 1 <= int(found[1]) <= 10


def test_it_tells_when_much_of_a_lake_was_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every third search of a few groups, and by one of every row."""
    monkeypatch.setattr(recall_watch, "TOLD_EVERY", 3)
    read: list[int] = []
    told = threading.Event()
    watch = RecallWatch(
        lambda *each: told.set(),
        lambda: True,
        every=1_000,
        was_read=lambda snapshot: read.append(snapshot.number),
    )
    with Lake.open(folder) as lake:
        near = lake.understand(Query(row_ids=[(7, 1.0)], recall=0.9))
        for _ in range(7):
            watch.answered("my", near)
        assert read == [lake.snapshot.number] * 2
        watch.start()
        assert told.wait(60)
        watch.close()
        assert read == [lake.snapshot.number] * 3


def test_what_is_compared_is_the_ten_nearest(folder: Path) -> None:
    with Lake.open(folder) as lake:
        shallow = lake.understand(Query(row_ids=[(7, 1.0)], recall=0.9, depth=1))
        deep = lake.understand(Query(row_ids=[(7, 1.0)], recall=0.9, depth=10_000))
        assert compare(deep) == (10, 10)
        near = {
            hit.row_id for hit in lake.search_query(Query(row_ids=[(7, 1.0)], recall=0.9, depth=1))
        }
        exact = {hit.row_id for hit in lake.search(row_id=7)}
        assert compare(shallow) == (len(near & exact), 10)


def test_every_nth_is_taken_one_at_a_time_and_only_at_rest(folder: Path) -> None:
    told: list[tuple[str, str, int, int]] = []
    busy = [True]
    watch = RecallWatch(lambda *each: told.append(each), lambda: not busy[0], every=2)
    with Lake.open(folder) as lake:
        near = lake.understand(Query(row_ids=[(7, 1.0)], recall=0.9))
        exact = lake.understand(Query(row_ids=[(7, 1.0)]))
        watch.start()
        for asked in (exact, near, near, near):
            watch.answered("my", asked)
        assert told == [], "somebody is served"
        busy[0] = False
        deadline = time.monotonic() + 60
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
        watch.close()
    assert told == [("my", "image", *compare(near))]
