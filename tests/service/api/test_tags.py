"""Tags over HTTP. Rows 1 to 4 are blue, green, red (8 x 4 px) and yellow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.lakes import Desk
from tests.service.api.conftest import HOST

TAGS = "/v1/lakes/my/tags"


def post(client: TestClient, path: str = TAGS, **body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(client: TestClient, where: str) -> list[int]:
    found = client.get("/v1/lakes/my/rows", params={"where": where}).json()["rows"]
    return [row["row_id"] for row in found]


def test_images_get_tags_and_lose_them(client: TestClient) -> None:
    assert client.get(TAGS).json() == {"tags": [], "last": None}
    assert post(client, name="night", row_ids=[1, 3]) == {
        "name": "night", "rows": 2, "missing": [], "missing_count": 0, "act": 1,
    }  # fmt: skip
    assert post(client, name="Wide", where="width_px = 8")["rows"] == 1
    assert post(client, name="wide", row_ids=[4, 99])["missing"] == [99]
    listed = client.get(TAGS).json()
    assert listed["tags"] == [{"name": "night", "rows": 2}, {"name": "Wide", "rows": 2}]
    last = listed["last"]
    assert (last["act"], last["name"], last["is_add"], last["rows"], last["by"]) == (
        3, "Wide", True, 1, "unnamed",
    )  # fmt: skip
    assert rows(client, "tag = 'night' AND tag = 'wide'") == [3]
    assert post(client, name="night", remove=True, row_ids=[1, 2])["rows"] == 1
    assert post(client, name="WIDE", remove=True)["rows"] == 2
    assert client.get(TAGS).json()["tags"] == [{"name": "night", "rows": 1}]


def test_a_searchs_hits_and_all_that_pass_are_tagged(client: TestClient) -> None:
    assert post(client, name="warm", search={"texts": ["red"], "k": 2})["rows"] == 2
    assert rows(client, "tag = 'warm'") == [3, 4]
    every = post(client, name="every", search={"query": "red", "where": "row_id < 4"})
    assert every["rows"] == 3
    assert post(client, name="rest", search={"where": "tag <> 'warm'"})["rows"] == 2
    assert rows(client, "tag = 'rest'") == [1, 2]


def test_rows_hits_facets_and_columns_have_them(client: TestClient) -> None:
    before = client.get("/v1/lakes/my/columns").json()["columns"]
    assert "tag" not in [column["name"] for column in before]
    post(client, name="night", row_ids=[1, 3])
    after = client.get("/v1/lakes/my/columns").json()["columns"]
    assert after == [*before, {"name": "tag", "type": "list", "stored": False}]
    row = client.get("/v1/lakes/my/rows/3").json()["row"]
    assert row["columns"]["tags"] == ["night"]
    assert "tags" not in client.get("/v1/lakes/my/rows/2").json()["row"]["columns"]
    hits = client.post("/v1/search", json={"texts": ["red"]}).json()["hits"]
    assert {hit["row_id"]: hit["columns"].get("tags") for hit in hits} == {
        1: ["night"], 2: None, 3: ["night"], 4: None,
    }  # fmt: skip
    lines = client.post(
        "/v1/search", json={"texts": ["red"]}, headers={"accept": "application/x-ndjson"}
    ).text.splitlines()
    assert '"tags":["night"]' in lines[1]
    (facet,) = client.post("/v1/facets", json={"columns": ["tag"]}).json()["facets"]
    assert facet == {
        "name": "tag", "kind": "lists", "rows": 2, "nulls": 2,
        "values": [{"value": "night", "rows": 2}], "more_values": 0,
    }  # fmt: skip


def test_the_last_act_is_taken_back(client: TestClient) -> None:
    assert post(client, f"{TAGS}/undo") == {"undone": None}
    post(client, name="night", row_ids=[1], by="ann")
    post(client, name="rain", row_ids=[2], by="bob")
    undone = post(client, f"{TAGS}/undo", by="ann")["undone"]
    assert (undone["act"], undone["name"], undone["by"]) == (1, "night", "ann")
    assert client.get(TAGS).json()["tags"] == [{"name": "rain", "rows": 1}]
    refused = client.post(f"{TAGS}/undo", json={"act": 1})
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        {"code": "cannot_undo", "field": "act", "message": "act: act 1 was taken back already"},
    )
    assert post(client, f"{TAGS}/undo", act=2)["undone"]["name"] == "rain"


@pytest.mark.parametrize(
    ("body", "status", "code", "field", "message"),
    [
        ({"name": "a/b", "row_ids": [1]}, 422, "invalid_request", "name", "'a/b' is no name for a tag"),
        ({"name": "a"}, 422, "invalid_request", "row_ids", "say which images get the tag"),
        ({"name": "a", "row_ids": [9]}, 404, "unknown_row", "row_id", "my has no row 9; it may have"),
        ({"name": "a", "row_ids": [1], "where": "row_id = 1"}, 422, "invalid_request", "row_ids", "by one of"),
        ({"name": "a", "where": "nope = 1"}, 422, "bad_where", "where", "there is no column nope"),
        ({"name": "a", "remove": True}, 422, "invalid_request", "name", "no image has the tag a"),
        ({"name": "a", "search": {}}, 422, "invalid_request", "search", "it asks for nothing"),
        ({"name": "a", "search": {"cursor": "abc"}}, 422, "invalid_request", "search.cursor", "tag all"),
        ({"name": "a", "search": {"filter": "x", "where": "row_id = 1"}}, 404, "unknown_filter",
         "search.filter", "x"),
        ({"name": "a", "row_ids": []}, 422, "invalid_request", "row_ids", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_nothing_is_tagged(
    client: TestClient, body: dict[str, Any], status: int, code: str, field: str, message: str
) -> None:
    answer = client.post(TAGS, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (status, code, field)
    assert message in error["message"]
    assert client.get(TAGS).json() == {"tags": [], "last": None}


def test_a_filter_cannot_be_made_of_tags(client: TestClient) -> None:
    post(client, name="night", row_ids=[1])
    body = {"name": "f", "keep": {"texts": ["red"]}, "where": "tag = 'night'"}
    answer = client.post("/v1/lakes/my/filters", json=body)
    assert answer.status_code == 422
    assert "tag is not for filters" in answer.json()["error"]["message"]


@pytest.mark.parametrize("is_search", [True, False])
def test_further_pages_go_by_the_tags_of_the_first(client: TestClient, is_search: bool) -> None:
    """Best for red: 3, 4, then blue and green, 1 and 2; without a query: by row."""

    def page(where: str, cursor: str | None = None) -> tuple[list[int], str | None]:
        if is_search:
            said = {"texts": ["red"], "where": where, "k": 2} if cursor is None else {}
            answer = client.post("/v1/search", json=said | {"cursor": cursor, "k": 2}).json()
        else:
            at = {} if cursor is None else {"cursor": cursor}
            params: dict[str, str | int] = {"where": where, "k": 2, **at}
            answer = client.get("/v1/lakes/my/rows", params=params).json()
        hits = answer["hits" if is_search else "rows"]
        return [hit["row_id"] for hit in hits], answer["next_cursor"]

    order = [3, 4, 1, 2] if is_search else [1, 2, 3, 4]
    first, untagged = page("tag IS NULL")
    assert first == order[:2] and untagged is not None
    post(client, name="night", row_ids=order[1:])
    assert page("tag IS NULL", untagged) == (order[2:], None)
    first, tagged = page("tag = 'night'")
    assert first == order[1:3] and tagged is not None
    post(client, name="night", row_ids=order[:1])
    post(client, name="night", remove=True, row_ids=order[3:])
    assert page("tag = 'night'", tagged) == (order[3:], None)
    post(client, f"{TAGS}/undo")
    post(client, f"{TAGS}/undo")
    post(client, f"{TAGS}/undo")
    assert page("tag = 'night'", tagged) == (order[3:], None)
    assert page("tag = 'night'") == ([], None)


def test_a_cursor_whose_tags_are_gone_is_refused(client: TestClient, desk: Desk) -> None:
    post(client, name="night", row_ids=[1, 2, 3])
    search = {"texts": ["red"], "where": "tag = 'night'", "k": 2}
    cursor = client.post("/v1/search", json=search).json()["next_cursor"]
    (desk.lake / "tags" / "log.jsonl").unlink()
    answer = client.post("/v1/search", json={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == (
        "cursor: the tags that its first page went by are not in the lake's log any more; search again"
    )


@pytest.fixture
def guarded(desk: Desk, tmp_path: Path) -> Iterator[tuple[TestClient, dict[str, dict[str, str]]]]:
    keys = KeyStore(tmp_path / "state")
    heads = {
        name: {"X-API-Key": keys.add(name, scope)[1]}
        for name, scope in (("ann", "label"), ("bob", "label"), ("cem", "read"))
    }
    app = create_app(
        {"my": desk.lake}, ServeConfig(require_key=True), embedder=desk.model, keys=keys
    )
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        yield client, heads


def test_who_tags_is_the_key_and_takes_back_their_own(
    guarded: tuple[TestClient, dict[str, dict[str, str]]],
) -> None:
    client, heads = guarded
    body = {"name": "night", "row_ids": [1]}
    assert client.post(TAGS, json=body, headers=heads["cem"]).status_code == 403
    assert client.post(TAGS, json=body, headers=heads["ann"]).json()["act"] == 1
    assert client.post(TAGS, json=body, headers=heads["bob"]).json()["act"] == 2
    other = client.post(TAGS, json={**body, "by": "bob"}, headers=heads["ann"])
    assert (other.status_code, other.json()["error"]["code"]) == (403, "labeller_not_yours")
    undone = client.post(f"{TAGS}/undo", json={}, headers=heads["ann"]).json()["undone"]
    assert (undone["act"], undone["by"]) == (1, "ann")
    listed = client.get(TAGS, headers=heads["cem"]).json()
    assert (listed["tags"], listed["last"]["by"]) == ([{"name": "night", "rows": 1}], "bob")
