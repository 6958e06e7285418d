"""Whether a lake is well, over HTTP."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.lakes import Desk

DOCTOR = "/v1/lakes/my/doctor"


def test_a_lake_that_is_well(
    desk: Desk, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = desk.model.embed_texts(["red"])
    monkeypatch.setattr(type(desk.model), "embed_texts", lambda _, texts: red[[0] * len(texts)])
    found = client.post(DOCTOR).json()
    assert (found["ok"], found["snapshot"]) == (True, 2)
    told = {each["what"]: each["detail"] for each in found["findings"]}
    assert told["source"] == f"{desk.photos} is there"
    assert told["rows"].endswith("every row id once")
    assert "as committed" in told["files"]
    assert told["model"].endswith(" or more to what is stored")
    assert all(each["ok"] for each in found["findings"])


def test_what_is_not_well_is_told_beside_what_is(desk: Desk, client: TestClient) -> None:
    desk.photos.rename(desk.photos.with_name("moved"))
    filters = desk.lake / "filters" / "mine"
    filters.mkdir(parents=True)
    (filters / "000001.json").write_text("{")
    found = client.post(DOCTOR).json()
    assert not found["ok"]
    wrong = {each["what"]: each["detail"] for each in found["findings"] if not each["ok"]}
    assert wrong["source"].startswith(f"{desk.photos}")
    assert wrong["filter"].startswith("mine: ")
    # The tests' model knows the names of colours alone.
    assert wrong["model"].endswith("loads, but does not embed: 'photo'")
    assert set(wrong) == {"source", "filter", "model"}
    assert any(each["what"] == "rows" and each["ok"] for each in found["findings"])


def test_one_at_a_time(client: TestClient) -> None:
    with client.app.state.examining:  # type: ignore[attr-defined]
        answer = client.post(DOCTOR)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert client.post("/v1/lakes/none/doctor").status_code == 404
