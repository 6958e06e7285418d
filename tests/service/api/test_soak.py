"""`sync` commits while clients search, page and look:
no request fails, and no answer mixes two snapshots.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.disk.manifest import Manifest
from indexer.disk.rows import lake_schema
from indexer.disk.segment import Segment
from indexer.disk.tables import dead_positions
from indexer.run import coding
from indexer.run.grouping import making, probes
from indexer.run.grouping.probes import Probes
from indexer.run.writing.compact import vacuum
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving import mapped_memory, recall_watch
from service.api.serving.keys import KeyStore
from service.search import ranking, searched
from service.snapshot.scan import rows as scanned
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk
from tests.serving import running

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE, "yellow": YELLOW}
CLIENTS = 6
COMMITS, CODED_COMMITS = 10, 4  # the latter take three times as long


@dataclass
class Seen:
    """What clients were answered."""

    # snapshot, all its row_ids
    searches: list[tuple[int, frozenset[int]]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    near: int = 0  # answers from a few groups


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    for number in range(40):
        desk.add(f"{number:03d}.png", list(COLOURS.values())[number % 4], size=(4 + number, 4))
    desk.index()
    return desk


@pytest.fixture(params=["rows alone", "codes and groups"])
def knobs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of each run; the second as if the lake were very large."""
    if request.param == "rows alone":
        return {}
    texts = Probes(ColourEmbedder().embed_texts(list(COLOURS)), "words")
    monkeypatch.setattr(making, "of_texts", lambda *_: texts)
    for module, name, small in (
        (coding, "SEGMENT_FROM_ROWS", 1),
        (making, "LEAST_ROWS", 1),
        (probes, "PROBES", 8),
        (ranking, "PARALLEL_FROM_ROWS", 1),
        (scanned, "pay_from_rows", lambda: 1),
        (searched, "_MOST", 1.0),
        (recall_watch, "TOLD_EVERY", 1),
        (mapped_memory, "is_much", lambda: True),
    ):
        monkeypatch.setattr(module, name, small)
    return {"codes_from_rows": 1, "groups_from_rows": 1}


def test_commits_under_load(desk: Desk, tmp_path: Path, knobs: dict[str, Any]) -> None:
    commits = CODED_COMMITS if knobs else COMMITS
    if knobs:
        desk.sync(**knobs)
    app = create_app(
        {"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=KeyStore(tmp_path / "state")
    )
    truth = rows_of_snapshots(desk)
    seen, done = Seen(), threading.Event()
    with running(app) as url, ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, url, number, seen, done) for number in range(CLIENTS)]
        try:
            for number in range(commits):
                truth |= change(desk, number, knobs)
        finally:
            done.set()
        for future in clients:
            future.result()
        end = time.monotonic() + 60
        while (
            app.state.hub.lake("my").lake.snapshot.number != desk.manifest.snapshot
            and time.monotonic() < end
        ):
            time.sleep(0.02)
        assert app.state.hub.lake("my").lake.snapshot.number == desk.manifest.snapshot
    assert seen.failures == []
    assert (seen.near > 2 * commits) == bool(knobs)
    if knobs:
        assert desk.manifest.groups is not None
        assert all(entry.codes is not None for entry in desk.manifest.segments)
    assert len(seen.searches) > 2 * commits
    # They did move along.
    assert len({number for number, _ in seen.searches}) > commits // 2
    for number, row_ids in seen.searches:
        assert row_ids == truth[number], f"snapshot {number}"


def change(desk: Desk, number: int, knobs: dict[str, Any]) -> dict[int, frozenset[int]]:
    """One run: photos come, go and move; now and then the past is deleted.
    The snapshots until then, and their rows.
    """
    photos = sorted(desk.photos.iterdir())
    photos[number % len(photos)].unlink()
    photos[-1].rename(desk.photos / f"moved-{number}.png")
    for more in range(2):
        desk.add(
            f"new-{number}-{more}.png",
            list(COLOURS.values())[number % 4],
            size=(5 + number, 5 + more),
        )
    desk.sync(**knobs)
    truth = rows_of_snapshots(desk)
    if number % 4 == 3:
        layout = Layout(desk.lake)
        with writer(layout):
            vacuum(layout, desk.manifest, keep_s=0)
    return truth


def rows_of_snapshots(desk: Desk) -> dict[int, frozenset[int]]:
    """The live row_ids of every snapshot on disk:
    one run may commit several. Read without the read side.
    """
    layout = Layout(desk.lake)
    truth = {}
    for path in layout.snapshots():
        manifest = Manifest.from_json(path.read_bytes(), str(path))
        dead = dead_positions(layout, manifest)
        truth[manifest.snapshot] = frozenset(
            row_id
            for entry in manifest.segments
            for position, row_id in enumerate(
                Segment(layout, entry)
                .read_rows(lake_schema(manifest.columns), ["row_id"])["row_id"]
                .to_pylist()
            )
            if position not in dead.get(entry.id, ())
        )
    return truth


def client(url: str, number: int, seen: Seen, done: threading.Event) -> None:
    rng = random.Random(number)
    with httpx.Client(base_url=url, timeout=30) as http:
        while not done.is_set():
            try:
                snapshot, pages = all_pages(http, rng, seen)
                seen.searches.append((snapshot, pages))
                look(http, rng.choice(sorted(pages)), seen)
            except (httpx.HTTPError, AssertionError) as error:
                seen.failures.append(repr(error))


def all_pages(http: httpx.Client, rng: random.Random, seen: Seen) -> tuple[int, frozenset[int]]:
    """Every hit of a search, a page at a time: each row once, all from one snapshot."""
    body: dict[str, Any] = {"texts": [{"text": rng.choice(list(COLOURS))}], "k": rng.randint(5, 30)}
    if rng.random() < 0.7:
        body["recall"] = 0.2
    row_ids: list[int] = []
    snapshots = set()
    for answer in answers(http, body):
        snapshots.add(answer["snapshot"])
        seen.near += not answer.get("searched", {"exact": True})["exact"]
        row_ids += [hit["row_id"] for hit in answer["hits"]]
        time.sleep(rng.random() * 0.05)  # a person reads
    assert len(snapshots) == 1, f"pages of one search came from snapshots {snapshots}"
    assert len(row_ids) == len(set(row_ids)), "a row came twice"
    return snapshots.pop(), frozenset(row_ids)


def answers(http: httpx.Client, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    while True:
        answer = http.post("/v1/search", json=body)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if answer.json()["next_cursor"] is None:
            return
        body = {"cursor": answer.json()["next_cursor"], "k": body["k"]}


def look(http: httpx.Client, row_id: int, seen: Seen) -> None:
    """A thumbnail; the row may have gone with its photo meanwhile, and then a sentence says so."""
    answer = http.get(f"/v1/lakes/my/rows/{row_id}/thumbnail")
    if answer.status_code != 200 and answer.json()["error"]["code"] not in (
        "unknown_row",
        "image_gone",
    ):
        seen.failures.append(answer.text)
