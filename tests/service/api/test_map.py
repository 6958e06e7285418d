"""The map over HTTP. Rows 1 to 4 are blue, green, red (8 x 4 px) and yellow."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.lake import Lake
from service.relevance import Filters, Target
from tests.lakes import RED, Desk

MAP = "/v1/lakes/my/map"


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    end = data.index(b"\n") + 1
    assert end % 8 == 0
    return json.loads(data[:end]), data[end:]


@pytest.fixture
def mapped(desk: Desk) -> Desk:
    with Lake.open(desk.lake, desk.model) as lake:
        lake.make_map()
    return desk


def colours(client: TestClient, **body: Any) -> tuple[dict[str, Any], list[int]]:
    answer = client.post(f"{MAP}/colours", json=body)
    assert answer.status_code == 200, answer.text
    head, numbers = parts(answer.content)
    return head, list(numbers)


def test_a_lake_without_a_map_says_how_to_make_one(client: TestClient) -> None:
    for answer in (client.get(MAP), client.post(f"{MAP}/colours", json={})):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "no_map")
        assert error["message"] == "my has no map yet; make one with: lakesift map LAKE"


def test_points_come_by_row_id_and_only_when_they_are_others(
    mapped: Desk, client: TestClient
) -> None:
    answer = client.get(MAP)
    head, data = parts(answer.content)
    assert (head["points"], head["runs"], head["since"], head["landmarks"]) == (4, 1, 0, 4)
    assert np.frombuffer(data[:16], "<f8").tolist() == [1, 4]
    places = np.frombuffer(data[16:], "<u2").reshape(-1, 2)
    # the longer side of the map is filled
    assert places.shape == (4, 2) and places.max() == 65_535 and places.min() == 0
    etag = answer.headers["etag"]
    again = client.get(MAP, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    (mapped.photos / "b-green.png").unlink()
    mapped.add("e-red.png", RED)
    mapped.sync()
    client.app.state.hub.lake("my").lake.reload()  # type: ignore[attr-defined]
    other = client.get(MAP, headers={"If-None-Match": etag})
    head, data = parts(other.content)
    assert (other.status_code, head["points"], head["since"]) == (200, 3, 1)
    assert np.frombuffer(data[:32], "<f8").tolist() == [1, 1, 3, 2]


def test_points_are_coloured_by_what_the_rows_have(mapped: Desk, client: TestClient) -> None:
    assert colours(client) == ({"snapshot": 2, "points": 4, "kind": "none"}, [0, 0, 0, 0])
    head, numbers = colours(client, by="column", column="width_px")
    assert (head["kind"], head["low"], head["high"], numbers) == ("range", 4, 8, [0, 0, 250, 0])
    assert colours(client, by="column", column="camera")[1] == [255] * 4
    head, numbers = colours(client, by="column", column="format", where="row_id > 2")
    assert head["values"] == [{"value": "png", "rows": 4}]
    assert numbers == [254, 254, 0, 0]
    for name, rows in (("night", [1, 3, 4]), ("rain", [2, 3])):
        client.post("/v1/lakes/my/tags", json={"name": name, "row_ids": rows})
    head, numbers = colours(client, by="tag")
    assert head["values"] == [{"value": "night", "rows": 3}, {"value": "rain", "rows": 2}]
    assert numbers == [0, 1, 0, 0]
    for body, field in (
        ({"by": "column"}, "column"), ({"by": "column", "column": "nope"}, "columns"),
        ({"by": "match"}, "by"), ({"by": "decision"}, "decided_by"), ({"lake": "other"}, "lake"),
        ({"by": "decision", "decided_by": "nope"}, "decided_by"), ({"min_z": 1}, "min_z"),
        ({"filter": "nope"}, "filter"),
    ):  # fmt: skip
        error = client.post(f"{MAP}/colours", json=body).json()["error"]
        assert error["field"] == field, error


def test_points_are_coloured_by_match_and_decision(mapped: Desk, client: TestClient) -> None:
    head, numbers = colours(client, by="match", texts=["red"])
    # so few images have no z: cosines are 0, 0, 1 and 0.707
    assert (head["kind"], head["low"], head["high"]) == ("range", 0, 1)
    assert numbers == [0, 0, 250, 177]
    assert colours(client, by="match", texts=["red"], where="row_id <> 3")[1][2] == 254
    with Lake.open(mapped.lake, mapped.model) as lake:
        mine = Filters(lake).create("mine", keep_texts=["red"], target=Target(0.5, None, 0.5))
        while rows := mine.next(9, "audit")["rows"]:
            mine.label(
                [
                    {"row_id": r["row_id"], "label": "yes" if r["row_id"] == 3 else "no"}
                    for r in rows
                ]
            )
        mine.apply()
    head, numbers = colours(client, by="decision", decided_by="mine")
    assert [each["value"] for each in head["values"]] == ["keep", "ask", "drop"]
    assert numbers == [2, 2, 0, 2]
