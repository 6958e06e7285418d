"""A line for each request, and nothing in it of what people search for."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from indexer.errors import BadRequest
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.lakes import Desk
from tests.service.api.conftest import HOST


def client_of(desk: Desk, tmp_path: Path, config: ServeConfig) -> TestClient:
    keys = KeyStore(tmp_path / "state")
    app = create_app({"my": desk.lake}, config, embedder=desk.model, keys=keys)
    return TestClient(app, base_url=HOST)


def test_each_request_has_a_line_without_what_was_searched(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with client_of(desk, tmp_path, ServeConfig(access_log="json")) as client:
        answer = client.post("/v1/search", json={"texts": ["a secret red"], "k": 1})
        client.get("/v1/lakes/my/suggestions", params={"q": "a secret red"})
        client.get("/nowhere/%1b[31mred")
        client.get("/v1/lakes", headers={"host": "evil.example"})
    out = capsys.readouterr().out
    assert "secret" not in out and "\x1b" not in out
    found = [json.loads(line) for line in out.splitlines()]
    assert [(each["method"], each["route"], each["status"]) for each in found[:1]] == [
        ("POST", "/v1/search", 200)
    ]
    first = found[0]
    assert list(first) == [
        "time", "method", "path", "route", "status", "seconds", "bytes", "whole", "client",
    ]  # fmt: skip
    assert first["bytes"] == len(answer.content) and first["whole"] is True
    assert first["client"] == "testclient" and 0 < first["seconds"] < 60
    assert first["time"].endswith("Z")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert [each["status"] for each in found[2:]] == [404, 403]  # refused at the door, too
    assert found[2]["path"] == "/nowhere/\x1b[31mred"


def test_by_default_there_is_none(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with client_of(desk, tmp_path, ServeConfig()) as client:
        client.get("/healthz")
    assert capsys.readouterr().out == ""


def test_another_form_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match=r"--access-log: 'apache' is no form of a log; json is"):
        ServeConfig.from_env({"LAKESIFT_ACCESS_LOG": "apache"})
