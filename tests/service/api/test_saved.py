"""Saved searches over HTTP. Rows 1 to 4 are blue, green, red and yellow."""

from __future__ import annotations

from fastapi.testclient import TestClient

SEARCHES = "/v1/lakes/my/searches"


def test_a_search_is_saved_sent_and_deleted(client: TestClient) -> None:
    assert client.get(SEARCHES).json() == {"searches": []}
    query = {"query": "red", "where": "row_id < 4", "k": 2}
    saved = client.put(f"{SEARCHES}/Warm ones", json={"query": query, "by": "ann"})
    assert saved.status_code == 200, saved.text
    assert (saved.json()["name"], saved.json()["query"], saved.json()["by"]) == (
        "Warm ones", query, "ann",
    )  # fmt: skip
    assert client.get(SEARCHES).json() == {"searches": [saved.json()]}
    again = client.get(f"{SEARCHES}/warm%20ones").json()["query"]
    hits = client.post("/v1/search", json=again).json()["hits"]
    assert [hit["row_id"] for hit in hits] == [3, 1]
    assert client.delete(f"{SEARCHES}/warm ones").json() == saved.json()
    assert client.get(SEARCHES).json() == {"searches": []}


def test_mistakes_are_sentences(client: TestClient) -> None:
    gone = client.get(f"{SEARCHES}/x")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "unknown_search")
    assert "my has no saved search 'x'" in gone.json()["error"]["message"]
    assert client.delete(f"{SEARCHES}/x").status_code == 404
    for body, field in (
        ({"query": {"cursor": "abc"}}, "query.cursor"),
        ({"query": {"lake": "my"}}, "query.lake"),
        ({"query": {"textz": ["a"]}}, "query.textz"),
        ({}, "query"),
    ):
        answer = client.put(f"{SEARCHES}/x", json=body)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert client.put(f"{SEARCHES}/a,b", json={"query": {}}).status_code == 422
    assert client.get(SEARCHES).json() == {"searches": []}
