"""Frames of one video as one hit, over HTTP and by the command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer.address import Address
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.cli.main import main
from service.lake import Lake
from tests.service.api.conftest import HOST
from tests.service.lakes import Maker

SCORES = (0, 0.7, 0.8, 0, 0, 0, 0.6, 0, 0, 0, 0, 0.5, 0.55)
EXPECTED = [(3, (1, 2, 2)), (7, (6, 6, 1)), (13, (11, 12, 2))]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """One frame a second, each with its score for "red"."""
    maker = Maker(tmp_path / "my.lake")
    for second, score in enumerate(SCORES):
        place = Address("/clips/a.mp4", stream="video", time_us=60_000_000 + second * 1_000_000)
        maker.add((score, (1 - score * score) ** 0.5, 0), place)
    return maker.open()


@pytest.fixture
def client(lake: Lake, tmp_path: Path) -> Iterator[TestClient]:
    model = lake.embedder
    keys = KeyStore(tmp_path / "state")
    app = create_app({"my": lake.folder}, ServeConfig(), embedder=model, keys=keys)
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        yield client


def found(hits: list[dict[str, Any]]) -> list[tuple[int, tuple[int, int, int]]]:
    """row_id, and the span in seconds of the film, with its number of frames."""
    spans = [(hit["row_id"], hit["span"]) for hit in hits]
    return [
        (row, (s["from_us"] // 10**6 - 60, s["to_us"] // 10**6 - 60, s["frames"]))
        for row, s in spans
    ]


def test_pages_of_moments_fit_together(client: TestClient) -> None:
    asked: dict[str, Any] = {"texts": ["red"], "moments": {"gap_s": 1}, "k": 1}
    page = client.post("/v1/search", json=asked).json()
    hits = page["hits"]
    while page["next_cursor"] is not None and len(hits) < 3:
        page = client.post("/v1/search", json={"cursor": page["next_cursor"], "k": 1}).json()
        hits += page["hits"]
    assert found(hits) == EXPECTED
    whole = client.post("/v1/search", json={**asked, "k": 3}).json()
    assert found(whole["hits"]) == EXPECTED
    plain = client.post("/v1/search", json={"texts": ["red"], "k": 3}).json()["hits"]
    assert [(hit["row_id"], "span" in hit) for hit in plain] == [(3, False), (2, False), (7, False)]


@pytest.mark.parametrize(
    ("moments", "field", "words"),
    [
        ({"gap_s": -1}, "moments.gap_s", "greater than or equal to 0"),
        ({"gap_s": 86_401}, "moments.gap_s", "less than or equal to 86400"),
        ({}, "moments.gap_s", "required"),
        ("5s", "moments", ""),
    ],
)
def test_mistakes_are_named(client: TestClient, moments: object, field: str, words: str) -> None:
    answer = client.post("/v1/search", json={"texts": ["red"], "moments": moments})
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert words in error["message"]


def test_the_command_says_when(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", str(lake.folder), "--row", "3", "--moments"]
    assert main([*words, "1s", "-k", "1"]) == 0
    shown = capsys.readouterr().out.splitlines()[1]
    assert shown.endswith("/clips/a.mp4#stream=video&t=62.000000  1:01 to 1:02 (2 frames)")
    with pytest.raises(SystemExit):
        main([*words, "soon"])
    assert "--moments: 'soon' is no time of whole milliseconds" in capsys.readouterr().err
