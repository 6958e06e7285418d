"""Columns counted over HTTP: the same answer as in Python, and mistakes by their field."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.lake import Lake
from service.relevance import Filters, Target
from tests.lakes import BLUE, GREEN, RED, Desk, write


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("facets"))
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        desk.add(f"{name}.png", colour)
        robot = "r1" if name < "c" else "r2"
        write(desk.photos / f"{name}.json", f'{{"robot": "{robot}"}}'.encode())
    desk.index()
    return desk


@pytest.fixture(scope="module")
def client(desk: Desk) -> Any:
    app = create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def test_what_columns_hold(client: TestClient, desk: Desk) -> None:
    where = "robot = 'r1' AND width_px = 4"
    answer = client.post("/v1/facets", json={"where": where, "columns": ["robot", "width_px"]})
    assert answer.json() == {
        "snapshot": desk.manifest.snapshot,
        "rows": 2,
        "facets": [
            {
                "name": "robot",
                "kind": "values",
                "rows": 3,
                "nulls": 0,
                "values": [{"value": "r1", "rows": 2}, {"value": "r2", "rows": 1}],
                "more_values": 0,
            },
            {
                "name": "width_px",
                "kind": "range",
                "rows": 2,
                "nulls": 0,
                "bins": [{"low": 4, "high": 4, "rows": 2}],
            },
        ],
        "places": [],
    }


def test_of_what_a_filter_decided(client: TestClient, desk: Desk) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        target = Target(0.5, None, 0.5)
        mine = Filters(lake).create("mine", keep_texts=["red"], target=target)
        while rows := mine.next(5, "audit")["rows"]:
            said = [("yes" if row["row_id"] == 1 else "no") for row in rows]
            mine.label(
                [
                    {"row_id": row["row_id"], "label": label}
                    for row, label in zip(rows, said, strict=True)
                ]
            )
        assert not mine.apply()["refused"]
    dropped = {"filter": "mine", "decision": ["drop"], "columns": ["robot"]}
    kept = client.post("/v1/facets", json={**dropped, "decision": None}).json()
    answers = [kept, client.post("/v1/facets", json=dropped).json()]
    assert sum(answer["rows"] for answer in answers) == 3
    assert kept["rows"] == 1
    assert kept["facets"][0]["values"] == [{"value": "r1", "rows": 1}]
    assert answers[1]["facets"][0]["values"] == [
        {"value": "r1", "rows": 1},
        {"value": "r2", "rows": 1},
    ]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"columns": ["robt"]}, "columns", "there is no column robt to count; there are robot,"),
        ({"where": "robt = 3"}, "where", "there is no column robt; did you mean robot?"),
        ({"values": 0}, "values", "greater than or equal to 1"),
        ({"decision": ["keep"]}, "decision", "decision"),
        ({"filter": "none"}, "filter", "my has no filter 'none'"),
        ({"lakes": "my"}, "lakes", "there is no such field"),
    ],
)
def test_mistakes_name_their_field(
    client: TestClient, body: dict[str, Any], field: str, message: str
) -> None:
    answer = client.post("/v1/facets", json=body)
    assert answer.status_code in (404, 422)
    error = answer.json()["error"]
    assert error["field"] == field
    assert message in error["message"], error
