"""Sorted searches and rows over HTTP: pages that hold in one snapshot, whatever is asked beside."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.lakes import Desk

ROWS = "/v1/lakes/my/rows"


def ids(answer: dict[str, Any]) -> list[int]:
    return [each["row_id"] for each in answer.get("hits", answer.get("rows", []))]


def test_hits_come_as_they_are_sorted(reader: TestClient) -> None:
    """Row 3 is 8 px wide, the others 4; scores for red are 0, 0, 1 and 0.7."""
    body = {"texts": ["red"], "sort": "width_px:down"}
    answer = reader.post("/v1/search", json=body).json()
    assert ids(answer) == [3, 1, 2, 4]
    assert [round(hit["score"], 2) for hit in answer["hits"]] == [1, 0, 0, 0.71]
    assert ids(reader.post("/v1/search", json=body | {"sort": "match:up"}).json()) == [1, 2, 4, 3]
    assert ids(reader.post("/v1/search", json=body | {"sort": "match"}).json()) == [3, 4, 1, 2]


@pytest.mark.parametrize("is_alone", [True, False])
def test_pages_of_hits(reader: TestClient, is_alone: bool) -> None:
    body: dict[str, Any] = {"texts": ["red"], "sort": "path:down", "k": 3}
    first = reader.post("/v1/search", json=body).json()
    assert ids(first) == [4, 3, 2]
    said = {} if is_alone else body
    rest = {**said, "cursor": first["next_cursor"], "k": 3}
    assert ids(reader.post("/v1/search", json=rest).json()) == [1]
    other = reader.post("/v1/search", json={**body, "sort": "path", "cursor": first["next_cursor"]})
    assert other.status_code == 422
    assert "it belongs to another query" in other.json()["error"]["message"]


def test_pages_of_rows_are_of_the_snapshot_they_began_on(client: TestClient, desk: Desk) -> None:
    first = client.get(ROWS, params={"sort": "path:down", "k": 2}).json()
    assert ids(first) == [4, 3]
    desk.add("zz.png", (9, 9, 9))
    desk.sync()
    asked = {"sort": "path:down", "cursor": first["next_cursor"]}
    assert ids(client.get(ROWS, params=asked).json()) == [2, 1]
    refused = client.get(ROWS, params=asked | {"sort": "path"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad_cursor")


def test_rows_that_pass_and_a_stream(reader: TestClient) -> None:
    where = {"where": "row_id <> 2", "sort": "width_px:down"}
    assert ids(reader.get(ROWS, params=where).json()) == [3, 1, 4]
    lines = reader.post(
        "/v1/search",
        json={"texts": ["red"], "sort": "path:down"},
        headers={"accept": "application/x-ndjson"},
    ).text.splitlines()
    assert ['"row_id":4' in lines[1], '"row_id":1' in lines[4]] == [True, True]
    form = {"sort": "path:down", "query": "red", "k": "1"}
    refused = reader.post(
        "/v1/search/upload", data=form | {"sort": "colour"}, files={"files": b"x"}
    )
    assert refused.json()["error"]["field"] == "sort"


@pytest.mark.parametrize(
    ("sort", "message"),
    [
        ("colour", "sort: there is no column colour; the columns are"),
        ("match", "sort: rows without a query match nothing; say what you look for, too"),
        ("random:down", "sort: random has no direction; random:17 is another order"),
    ],
)
def test_what_rows_cannot_be_sorted_by(reader: TestClient, sort: str, message: str) -> None:
    refused = reader.get(ROWS, params={"sort": sort})
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert (error["field"], error["message"].startswith(message)) == ("sort", True)
