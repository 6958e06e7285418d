"""An app over a lake of one-coloured photos, whose scores can be worked out in one's head."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk

HOST = "http://127.0.0.1:8377"


def four_colours(root: Path) -> Desk:
    """Rows 1 to 4, in order of path: blue, green, red (8 x 4 px), yellow."""
    desk = Desk(root)
    desk.add("a-blue.png", BLUE)
    desk.add("b-green.png", GREEN)
    desk.add("c-red.png", RED, size=(8, 4))
    desk.add("d-yellow.png", YELLOW)
    desk.index()
    assert desk.ids() == {"a-blue.png": 1, "b-green.png": 2, "c-red.png": 3, "d-yellow.png": 4}
    return desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The four colours."""
    return four_colours(tmp_path)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of the four colours for tests that only read."""
    root = tmp_path_factory.mktemp("reader")
    desk = four_colours(root)
    keys = KeyStore(root / "state")
    app = create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=keys)
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def app(desk: Desk, tmp_path: Path) -> FastAPI:
    return create_app(
        {"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=KeyStore(tmp_path / "state")
    )


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        yield client
