"""What each example adds to a score, and hits that differ, over HTTP.

Rows 1 to 4 are blue, green, red and yellow; the model's vector of a colour is its RGB at unit
length, so "red" scores 1 with red, 0.7071 with yellow and 0 with green and blue.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.lakes import GREEN, RED, png

QUERY = {"texts": ["red", {"text": "blue", "weight": -0.5}], "images": [4], "vector": [0, 0, 2]}


def near(number: float) -> Any:
    return pytest.approx(number, abs=3e-4)


def page(reader: TestClient, **body: Any) -> Any:
    answer = reader.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusal(reader: TestClient, **body: Any) -> tuple[str | None, str]:
    answer = reader.post("/v1/search", json=body)
    assert answer.status_code == 422, answer.text
    return answer.json()["error"]["field"], answer.json()["error"]["message"]


def test_a_hit_says_what_each_example_adds(reader: TestClient) -> None:
    """red - blue / 2 + yellow + (0, 0, 1) is (1.7071, 0.7071, 0.5), of length 1.9142."""
    hits = page(reader, **QUERY, explain=True)["hits"]
    by_row = {hit["row_id"]: hit["explain"] for hit in hits}
    length = (1.5 + 2**0.5 + 0.75) ** 0.5
    assert by_row[4] == [
        {
            "kind": "text", "value": "red", "weight": 1.0,
            "cosine": near(0.5**0.5), "share": near(0.5**0.5 / length),
        },
        {"kind": "text", "value": "blue", "weight": -0.5, "cosine": 0.0, "share": 0.0},
        {"kind": "row", "value": 4, "weight": 1.0, "cosine": near(1), "share": near(1 / length)},
        {"kind": "vector", "value": 0, "weight": 1.0, "cosine": 0.0, "share": 0.0},
    ]  # fmt: skip
    assert [each["share"] for each in by_row[1]] == [
        0, near(-0.5 / length), 0, near(1 / length),
    ]  # fmt: skip
    for hit in hits:
        assert sum(each["share"] for each in hit["explain"]) == pytest.approx(
            hit["score"], abs=5e-6
        )


def test_who_did_not_ask_is_told_nothing(reader: TestClient) -> None:
    plain = page(reader, **QUERY)
    asked = page(reader, **QUERY, explain=True)
    assert plain == page(reader, **QUERY, explain=False)
    for hit in asked["hits"]:
        del hit["explain"]
    assert plain == asked, "nothing else is changed, the cursor neither"


def test_a_further_page_is_explained_where_its_query_comes_too(reader: TestClient) -> None:
    whole = page(reader, **QUERY, explain=True)["hits"]
    first = page(reader, **QUERY, explain=True, k=1)
    cursor = first["next_cursor"]
    rest = page(reader, **QUERY, explain=True, cursor=cursor)["hits"]
    assert first["hits"] + rest == whole
    assert all("explain" not in hit for hit in page(reader, **QUERY, cursor=cursor)["hits"])
    assert all("explain" not in hit for hit in page(reader, cursor=cursor)["hits"])
    alone = refusal(reader, cursor=cursor, explain=True)
    assert alone == ("explain", "explain: a cursor alone has no examples; send the query beside it")
    other = reader.post("/v1/search", json={"texts": ["red"], "explain": True, "cursor": cursor})
    assert other.json()["error"]["code"] == "bad_cursor"


def test_a_stream_is_explained(reader: TestClient) -> None:
    answer = reader.post(
        "/v1/search", json={**QUERY, "explain": True}, headers={"Accept": "application/x-ndjson"}
    )
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[1:-1] == page(reader, **QUERY, explain=True)["hits"]


def test_uploaded_images_are_numbered(reader: TestClient) -> None:
    """green - red + yellow: (-0.2929, 1.7071, 0), of length 1.7320."""
    files = [("files", ("a.png", png(GREEN))), ("files", ("b.png", png(RED)))]
    fields = {"weights": ["1", "-1"], "images": "[4]", "explain": "true", "k": "1"}
    answer = reader.post("/v1/search/upload", files=files, data=fields).json()
    [hit] = answer["hits"]
    assert hit["row_id"] == 2
    assert [(each["kind"], each["value"]) for each in hit["explain"]] == [
        ("image", 0),
        ("image", 1),
        ("row", 4),
    ]
    assert [each["share"] for each in hit["explain"]] == [
        near(3**-0.5),
        0,
        near(6**-0.5),
    ]
    # its next page knows the sum of the examples alone
    cursor = answer["next_cursor"]
    assert "explain" not in page(reader, cursor=cursor)["hits"][0]
    assert refusal(reader, images=[4], cursor=cursor, explain=True) == (
        "explain",
        "explain: the first page had uploaded images, which its cursor has not; leave explain out",
    )


def test_diversity_and_its_pages(reader: TestClient) -> None:
    """After red: yellow .7 x .707 - .3 x .707 = .283, blue and green 0. With 1 the least like."""
    orders = {0: [3, 4, 1, 2], 0.3: [3, 4, 1, 2], 0.6: [3, 1, 2, 4], 1: [3, 1, 2, 4]}
    for diversity, order in orders.items():
        body = {"texts": ["red"], "diversity": diversity}
        found = [hit["row_id"] for hit in page(reader, **body)["hits"]]
        assert found == order
        paged: list[int] = []
        cursor = None
        while cursor is not None or not paged:
            answer = page(reader, **body, k=1, **({"cursor": cursor} if cursor else {}))
            paged += [hit["row_id"] for hit in answer["hits"]]
            cursor = answer["next_cursor"]
            if cursor:  # alone it goes on just so
                alone = page(reader, cursor=cursor, k=1)["hits"][0]["row_id"]
                assert alone == order[len(paged)]
        assert paged == order


@pytest.mark.parametrize("diversity", [-0.01, 1.01, "much"])
def test_what_is_no_share_is_refused(reader: TestClient, diversity: object) -> None:
    field, _ = refusal(reader, texts=["red"], diversity=diversity)
    assert field == "diversity"
