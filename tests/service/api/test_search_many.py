"""POST /v1/search/many: each search as alone, each mistake in its place.

Rows 1 to 4 are blue, green, red and yellow; "red" scores 1 with red, 0.7071 with yellow.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from indexer.disk.stored_vectors import half_precision_pays
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.search.ranking import PARALLEL_FROM_ROWS, Ranking
from service.snapshot.part import Block
from service.snapshot.scan.rows import Packed, Rows
from tests.lakes import Desk
from tests.service.api.conftest import HOST

ALL_KINDS: list[dict[str, Any]] = [
    {"texts": ["red"], "k": 2},
    {"query": "blue -green"},
    {"images": [4], "where": "row_id < 4", "explain": True},
    {"vector": [0, 1, 0], "diversity": 0.5, "k": 3},
    {"texts": ["red"], "collapse": True, "lake": "my"},
    {"texts": ["red"], "where": "row_id > 9"},
]


def many(reader: TestClient, *searches: Any) -> list[Any]:
    answer = reader.post("/v1/search/many", json={"searches": searches})
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"answers"}
    found = answer.json()["answers"]
    assert len(found) == len(searches)
    return list(found)


def refusal(reader: TestClient, body: Any) -> tuple[int, str | None, str]:
    answer = reader.post("/v1/search/many", json=body)
    error = answer.json()["error"]
    return answer.status_code, error["field"], error["message"]


def test_each_is_answered_as_alone_and_in_order(reader: TestClient) -> None:
    alone = [reader.post("/v1/search", json=body).json() for body in ALL_KINDS]
    assert many(reader, *ALL_KINDS) == alone
    assert many(reader, *reversed(ALL_KINDS)) == alone[::-1]
    assert [len(each["hits"]) for each in alone] == [2, 4, 3, 3, 4, 0]
    assert alone[-1]["nothing"]["where"] == 0


def test_pages_go_on_there(reader: TestClient) -> None:
    first, other = many(reader, {"texts": ["red"], "k": 1}, {"texts": ["green"], "k": 1})
    rest = many(reader, {"cursor": first["next_cursor"]}, {"cursor": other["next_cursor"], "k": 1})
    assert [[hit["row_id"] for hit in each["hits"]] for each in rest] == [[4, 1, 2], [4]]


def test_a_mistake_is_its_own_and_the_others_go_on(reader: TestClient) -> None:
    wrong: list[Any] = [
        {"texts": [""]},
        {"text": ["a cat"]},
        {"lake": "nope", "texts": ["red"]},
        {"texts": ["red"], "where": "nope = 1"},
        {"images": [99]},
        {"vector": [1, 2]},
        {"texts": ["red"], "k": 1_001},
        # more than all searches of one request may ask for, and still its own mistake
        {"texts": ["red"], "k": 99_999},
        {"texts": ["red"], "min_z": 1},
        {"cursor": "abc"},
        {},
        7,
    ]
    told = [reader.post("/v1/search", json=body) for body in wrong]
    assert {each.status_code for each in told} == {404, 422}
    good = {"texts": ["red"], "k": 1}
    answers = many(reader, good, *wrong, good)
    assert [hit["row_id"] for hit in answers[0]["hits"]] == [3]
    assert answers[-1] == answers[0]
    assert answers[1:-1] == [each.json() for each in told]
    assert answers[2]["error"]["field"] == "text"


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"searches": []}, "searches", "at least 1"),
        ({"searches": [{"texts": ["red"]}] * 65}, "searches", "at most 64"),
        ({"searches": {"texts": ["red"]}}, "searches", "list"),
        ({"searches": [{"texts": ["red"]}], "k": 3}, "k", "no such field"),
        ({}, "searches", "required"),
        (
            {"searches": [{"texts": ["red"], "k": 1_000}] * 11},
            "searches",
            "they ask for 11,000 hits together",
        ),
        ({"searches": [{"texts": ["red"] * 60}] * 5}, "searches", "they have 300 texts together"),
    ],
)
def test_what_is_too_much_together_is_refused(
    reader: TestClient, body: Any, field: str, words: str
) -> None:
    status, found, message = refusal(reader, body)
    assert (status, found) == (422, field)
    assert words in message


def test_the_model_reads_all_texts_in_its_batches(desk: Desk, tmp_path: Path) -> None:
    asked: list[list[str]] = []
    embed = desk.model.embed_texts

    def counting(texts: Any) -> Any:
        asked.append(list(texts))
        return embed(texts)

    desk.model.embed_texts = counting  # type: ignore[method-assign]
    app = create_app(
        {"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=KeyStore(tmp_path / "keys")
    )
    colours = ["red", "green", "blue", "yellow"]
    with TestClient(app, base_url=HOST) as client:
        texts = [f"{first} or {second}" for first in colours for second in colours]
        answers = many(client, *({"texts": [text]} for text in texts), {"texts": texts[:2]})
    assert all(len(each["hits"]) == 4 for each in answers)
    mine = [each for each in asked if set(each) <= set(texts)]  # the service tries its model, too
    assert sorted(text for each in mine for text in each) == sorted(texts), "each text once"
    assert len(mine) < 16


@pytest.mark.skipif(not half_precision_pays(), reason="numkong has nothing fast for this CPU")
def test_they_share_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_synthetic_lake(
        tmp_path / "large.lake", PARALLEL_FROM_ROWS, 16, segment_rows=PARALLEL_FROM_ROWS // 2
    )
    reads: Counter[Block] = Counter()
    read = Rows.read

    def counting(self: Rows, block: Block, packed: Packed) -> None:
        reads[block] += 1
        read(self, block, packed)

    def alone(self: Ranking, count: int | None) -> None:
        raise AssertionError("searched alone")

    vectors = random_unit_rows(12, 16, np.random.default_rng(0)).tolist()
    searches = [{"vector": vector, "k": 3, "where": "width_px > 0"} for vector in vectors]
    app = create_app(
        {"large": tmp_path / "large.lake"}, ServeConfig(), keys=KeyStore(tmp_path / "keys")
    )
    with TestClient(app, base_url=HOST) as client:
        expected = [client.post("/v1/search", json=body).json() for body in searches]
        monkeypatch.setattr(Rows, "read", counting)
        monkeypatch.setattr(Ranking, "_alone", alone)
        assert many(client, *searches) == expected
    assert set(reads.values()) == {1}
    assert sum(end - start for _, start, end in reads) == PARALLEL_FROM_ROWS
