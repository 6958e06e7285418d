"""What lakes there are, their columns, their rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.lakes import RED, Desk
from tests.service.api.conftest import HOST


def test_lakes_with_their_facts(client: TestClient, desk: Desk) -> None:
    assert client.get("/v1/lakes").json() == {
        "lakes": [
            {
                "name": "my",
                "rows": 4,
                "snapshot": desk.manifest.snapshot,
                "model": "colours",
                "dim": 3,
                "committed_at": desk.manifest.created,
                "problems": [],
            }
        ]
    }


def test_several_lakes_and_each_its_own_rows(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other")
    other.add("red.png", RED)
    other.index()
    lakes = {"my": desk.lake, "öther": other.lake}
    app = create_app(lakes, ServeConfig(), embedder=desk.model, keys=KeyStore(tmp_path / "state"))
    with TestClient(app, base_url=HOST) as client:
        assert [lake["name"] for lake in client.get("/v1/lakes").json()["lakes"]] == ["my", "öther"]
        assert (
            client.get("/v1/lakes/öther/rows/1")
            .json()["row"]["uri"]
            .endswith("other/photos/red.png")
        )
        answer = client.post("/v1/search", json={"texts": [{"text": "red"}]})
        assert answer.status_code == 422
        assert (
            answer.json()["error"]["message"] == "lake: several are served; name one of my, öther"
        )
        named = client.post("/v1/search", json={"texts": [{"text": "red"}], "lake": "öther"}).json()
        assert [hit["row_id"] for hit in named["hits"]] == [1]


def test_columns_by_the_names_that_where_takes(client: TestClient) -> None:
    columns = {
        column["name"]: column["type"]
        for column in client.get("/v1/lakes/my/columns").json()["columns"]
    }
    assert columns["row_id"] == columns["width_px"] == columns["place.latitude"] == "number"
    assert columns["uri"] == columns["camera"] == "text"
    assert columns["captured_at"] == columns["modified"] == "time"
    assert "place" not in columns
    for name in columns:
        answer = client.get("/v1/lakes/my/rows", params={"where": f"{name} IS NULL"})
        assert answer.status_code == 200, answer.text


def test_what_a_lake_is_made_of(client: TestClient, desk: Desk) -> None:
    told = client.get("/v1/lakes/my/about").json()
    assert (told["lake"], told["rows"], told["snapshot"]) == ("my", 4, desk.manifest.snapshot)
    assert [(s["uri"], s["rows"]) for s in told["sources"]] == [(str(desk.photos), 4)]
    assert told["formats"] == [{"format": "png", "rows": 4}]
    assert told["skipped"] == {"files": 0, "reasons": [], "more_reasons": 0, "shown": []}
    assert told["snapshots"][0]["rows"] == 4
    assert told["problems"] == []


def test_rows_without_a_query_a_page_at_a_time(client: TestClient) -> None:
    first = client.get("/v1/lakes/my/rows", params={"k": 3}).json()
    assert [row["row_id"] for row in first["rows"]] == [1, 2, 3]
    assert "score" not in first["rows"][0]
    second = client.get("/v1/lakes/my/rows", params={"k": 3, "cursor": first["next_cursor"]}).json()
    assert [row["row_id"] for row in second["rows"]] == [4]
    assert second["next_cursor"] is None


def test_rows_that_where_keeps(client: TestClient) -> None:
    answer = client.get("/v1/lakes/my/rows", params={"where": "width_px = 8"}).json()
    assert [row["row_id"] for row in answer["rows"]] == [3]
    bad = client.get("/v1/lakes/my/rows", params={"where": "nope = 8"})
    assert (bad.status_code, bad.json()["error"]["code"]) == (422, "bad_where")


def test_a_page_of_rows_stays_on_its_snapshot(client: TestClient, desk: Desk) -> None:
    first = client.get("/v1/lakes/my/rows", params={"k": 1}).json()
    (desk.photos / "b-green.png").unlink()
    desk.sync()
    client.app.state.hub.lake("my").look()  # type: ignore[attr-defined]
    second = client.get("/v1/lakes/my/rows", params={"cursor": first["next_cursor"]}).json()
    assert second["snapshot"] == first["snapshot"]
    assert [row["row_id"] for row in second["rows"]] == [2, 3, 4]
    assert [row["row_id"] for row in client.get("/v1/lakes/my/rows").json()["rows"]] == [1, 3, 4]


def test_a_cursor_of_a_search_is_no_cursor_of_rows(client: TestClient) -> None:
    cursor = client.post("/v1/search", json={"texts": [{"text": "red"}], "k": 1}).json()[
        "next_cursor"
    ]
    answer = client.get("/v1/lakes/my/rows", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_cursor")


def test_one_row(client: TestClient, desk: Desk) -> None:
    body = client.get("/v1/lakes/my/rows/3").json()
    assert body["snapshot"] == desk.manifest.snapshot
    assert body["row"]["row_id"] == 3
    assert body["row"]["uri"] == str(desk.photos / "c-red.png")
    assert (body["row"]["width_px"], body["row"]["height_px"]) == (8, 4)
    assert body["row"]["columns"]["source"] == str(desk.photos)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/lakes/my/rows/99", 404, "unknown_row"),
        ("/v1/lakes/my/rows/0", 422, "invalid_request"),
        ("/v1/lakes/my/rows/x", 422, "invalid_request"),
        ("/v1/lakes/my/rows/99999999999999999999999", 422, "invalid_request"),
        ("/v1/lakes/other/rows/1", 404, "unknown_lake"),
        ("/v1/lakes/other/columns", 404, "unknown_lake"),
        ("/v1/lakes/other/about", 404, "unknown_lake"),
        ("/v1/lakes/my/rows?k=0", 422, "invalid_request"),
        ("/v1/lakes/my/rows?k=1001", 422, "invalid_request"),
        ("/v1/lakes/my/rows?cursor=x", 422, "bad_cursor"),
        ("/v1/lakes/..%2f..%2fetc/rows/1", 404, "not_found"),
    ],
)
def test_mistakes(client: TestClient, path: str, status: int, code: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_row_that_was_deleted_says_so(client: TestClient, desk: Desk) -> None:
    (desk.photos / "b-green.png").unlink()
    desk.sync()
    client.app.state.hub.lake("my").look()  # type: ignore[attr-defined]
    answer = client.get("/v1/lakes/my/rows/2")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == (
        "my has no row 2; it may have gone with its image at the last sync: search again"
    )


def test_no_cache_on_the_way_may_show_one_caller_s_answers_to_another(client: TestClient) -> None:
    for path in ("/v1/lakes", "/v1/lakes/my/columns", "/v1/lakes/my/rows", "/v1/lakes/my/rows/1"):
        assert client.get(path).headers["cache-control"] == "private, no-cache"
    found = client.post("/v1/search", json={"images": [{"row_id": 1}]})
    assert found.headers["cache-control"] == "private, no-cache"
