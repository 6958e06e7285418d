"""Two sets of images compared, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.lake import Lake
from tests.lakes import Desk

COMPARE = "/v1/lakes/my/compare"


@pytest.fixture
def more(desk: Desk, client: TestClient) -> TestClient:
    """Thirty reds and thirty blues more."""
    for number in range(30):
        desk.add(f"red-{number}.png", (255, number, 0), size=(8, 8))
        desk.add(f"blue-{number}.png", (0, number, 255), size=(16, 8))
    desk.sync()
    client.app.state.hub.lake("my").lake.reload()  # type: ignore[attr-defined]
    return client


def test_what_differs_is_what_the_lake_says(desk: Desk, more: TestClient) -> None:
    body = {"a": "width_px = 8", "b": "width_px = 16", "phrases": ["red", "blue"], "seed": 3}
    found = more.post(COMPARE, json=body).json()
    with Lake.open(desk.lake, desk.model) as lake:
        assert (
            found
            == lake.compare(
                "width_px = 8", "width_px = 16", phrases=["red", "blue"], seed=3
            ).to_json()
        )
    assert (found["a"]["rows"], found["b"]["rows"], found["apart"]["p"]) == (31, 30, 0.001)
    assert {each["words"] for each in found["phrases"]} == {"red", "blue"}
    assert all(each["in_a"] * each["in_b"] == 0 for each in found["phrases"])


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"a": "width_px = 99"}, "a", "0 images are too few"),
        ({"a": "width_px = 8", "b": "row_id > 0"}, "b", "31 images pass both"),
        ({"a": "nope = 1"}, "where", "nope"),
        ({"a": "width_px = 8", "q": 0}, "q", "0"),
        ({"a": "width_px = 8", "one_per": "film"}, "one_per", "no column film"),
        ({}, "a", ""),
    ],
)
def test_mistakes_are_named(more: TestClient, body: dict[str, Any], field: str, said: str) -> None:
    answer = more.post(COMPARE, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert said in error["message"]


def test_one_at_a_time(more: TestClient) -> None:
    with more.app.state.comparing:  # type: ignore[attr-defined]
        busy = more.post(COMPARE, json={"a": "width_px = 8"})
        assert (busy.status_code, busy.headers["retry-after"]) == (429, "10")
    assert more.post(COMPARE, json={"a": "width_px = 8"}).status_code == 200
