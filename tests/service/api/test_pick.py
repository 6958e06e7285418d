"""Images to label, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.lake import Lake
from tests.lakes import Desk

PICK = "/v1/lakes/my/pick"


def refused(client: TestClient, body: dict[str, Any]) -> tuple[int, str, str]:
    answer = client.post(PICK, json=body)
    error = answer.json()["error"]
    return answer.status_code, error["field"], error["message"]


def test_picks_are_those_of_the_lake_and_a_tag_takes_them(desk: Desk, client: TestClient) -> None:
    for number in range(6):
        desk.add(f"red-{number}.png", (255, number, 0))
    desk.sync()
    client.app.state.hub.lake("my").lake.reload()  # type: ignore[attr-defined]
    found = client.post(PICK, json={"n": 3, "within": 0.9}).json()
    with Lake.open(desk.lake, desk.model) as lake:
        assert found == lake.pick(3, within=0.9).to_json()
        rows = lake.pick(3, where="row_id > 4").row_ids
    assert len(found["row_ids"]) == 3
    # Of ten images seven are red; blue, green and yellow, with a cosine of 0.71 to red and green,
    # are alone, and one of them has to do without.
    assert found["reach"]["within"]["share"] == 0.9
    of_some = client.post(PICK, json={"n": 3, "where": "row_id > 4"}).json()
    assert tuple(of_some["row_ids"]) == rows
    tagged = client.post("/v1/lakes/my/tags", json={"name": "next", "row_ids": found["row_ids"]})
    assert tagged.status_code == 200
    more = client.post(PICK, json={"n": 2, "labelled": "tag = 'next'"}).json()
    assert more["labelled"] == 3
    assert not {*more["row_ids"]} & {*found["row_ids"]}


def test_limits_are_kept_and_what_cannot_be_had_is_told(client: TestClient) -> None:
    body = {
        "n": 3,
        "at_most": [{"column": "width_px", "picks": 1}],
        "at_least": [{"where": "row_id = 3", "picks": 2}, {"where": "row_id = 1", "share": 0.1}],
    }
    found = client.post(PICK, json=body).json()
    # All images but row 3 are of one width.
    assert sorted(found["row_ids"]) == [1, 3]
    assert found["wanted"] == [
        {"where": "row_id = 3", "count": 2, "picked": 1},
        {"where": "row_id = 1", "count": 1, "picked": 1},
    ]


def test_one_at_a_time(client: TestClient) -> None:
    with client.app.state.picking:  # type: ignore[attr-defined]
        busy = client.post(PICK, json={"n": 1})
        assert busy.status_code == 429
        assert busy.headers["retry-after"] == "10"
        assert busy.json()["error"]["message"] == (
            "images are being picked for somebody else; try again in 10 seconds"
        )
    assert client.post(PICK, json={"n": 1}).status_code == 200
    assert client.post(PICK, json={"n": 1, "where": "nope = 1"}).status_code == 422
    assert client.post(PICK, json={"n": 1}).status_code == 200, "a mistake holds nobody up"


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"n": 0}, "n", "1"),
        ({"n": 1_001}, "n", "1000"),
        ({"n": 1, "by": "luck"}, "by", "diversity"),
        ({"n": 1, "at_most": [{"column": "nope", "picks": 1}]}, "at_most", "nope"),
        ({"n": 1, "at_least": [{"where": "row_id = 1"}]}, "at_least", "one of picks"),
        (
            {"n": 1, "at_least": [{"where": "row_id = 1", "picks": 1, "share": 0.5}]},
            "at_least",
            "one of picks",
        ),
        ({"n": 1, "at_least": [{"where": "row_id = 1", "picks": 5}]}, "at_least", "5 of 1"),
        (
            {"n": 1, "at_most": [{"column": "format", "picks": n} for n in (1, 2)]},
            "at_most",
            "format twice",
        ),
    ],
)
def test_a_mistake_is_named(
    client: TestClient, body: dict[str, Any], field: str, said: str
) -> None:
    status, named, message = refused(client, body)
    assert status == 422
    assert named is not None and named.startswith(field)
    assert said in message


def test_another_lake_is_not_found(client: TestClient) -> None:
    assert client.post("/v1/lakes/nope/pick", json={"n": 1}).status_code == 404


def test_what_a_filter_is_unsure_of(client: TestClient) -> None:
    assert client.post(PICK, json={"n": 1, "unsure_of": "reds"}).status_code == 404
    made = client.post("/v1/lakes/my/filters", json={"name": "reds", "keep": {"texts": ["red"]}})
    assert made.status_code == 201
    status, field, message = refused(client, {"n": 1, "unsure_of": "reds"})
    assert (status, field) == (422, "unsure_of") and "has learnt too little" in message
