"""Images that stand alone, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.lake import Lake
from tests.lakes import Desk

STRANGE = "/v1/lakes/my/strange"


@pytest.fixture
def more(desk: Desk, client: TestClient) -> TestClient:
    """A hundred and twenty reds, more or less dark, beside what is there."""
    for number in range(120):
        desk.add(f"red-{number}.png", (255 - number % 7, number % 40, 0), size=(8, 8))
    desk.sync()
    client.app.state.hub.lake("my").lake.reload()  # type: ignore[attr-defined]
    return client


def test_what_is_strange_is_what_the_lake_says(desk: Desk, more: TestClient) -> None:
    found = more.post(STRANGE, json={"n": 5, "q": 1}).json()
    with Lake.open(desk.lake, desk.model) as lake:
        assert found == lake.strange(5, q=1).to_json()
    assert found["images"] and found["rows"] == found["compared_with"] > 120
    assert len(found["images"]) == min(5, found["found"])


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"where": "width_px = 99"}, "where", "0 images are too few"),
        ({"where": "nope = 1"}, "where", "nope"),
        ({"labelled": "width_px = 99"}, "labelled", "0 images pass width_px = 99"),
        ({"n": 0}, "n", "1"),
        ({"q": 0}, "q", "0"),
        ({"far": 1}, "far", ""),
    ],
)
def test_mistakes_are_named(more: TestClient, body: dict[str, Any], field: str, said: str) -> None:
    answer = more.post(STRANGE, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert said in error["message"]


def test_one_at_a_time(more: TestClient) -> None:
    with more.app.state.straying:  # type: ignore[attr-defined]
        answer = more.post(STRANGE, json={})
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert more.post(STRANGE, json={}).status_code == 200
