"""Vectors in base64, as OpenAI's API writes them, beside lists of numbers."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from indexer.errors import BadRequest
from service.search.query import Query
from tests.lakes import RED, png


def coded(*numbers: float) -> str:
    """By hand, not by NumPy: four bytes a number, the lowest first."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_the_form_is_openais() -> None:
    assert coded(1, 0, -2) == "AACAPwAAAAAAAADA"


def test_it_finds_what_the_list_finds(reader: TestClient) -> None:
    for numbers in ((1, 0, 0), (0.6, 0.8, 0), (3, 0, -4), (1e30, 1e-30, 0), (0.1, 0.2, 0.3)):
        exact = [float(np.float32(number)) for number in numbers]
        listed = reader.post("/v1/search", json={"vector": exact, "k": 2}).json()
        answer = reader.post("/v1/search", json={"vector": coded(*numbers), "k": 2})
        assert answer.status_code == 200
        assert answer.json() == listed, "bit for bit, its cursor too"


def test_a_vector_of_v1_embeddings_goes_in_as_it_is(reader: TestClient) -> None:
    said = {"input": "yellow", "model": "my", "encoding_format": "base64"}
    vector = reader.post("/v1/embeddings", json=said).json()["data"][0]["embedding"]
    assert isinstance(vector, str)
    best = reader.post("/v1/search", json={"vector": vector, "k": 1}).json()["hits"][0]
    assert (best["row_id"], best["score"]) == (4, pytest.approx(1, abs=1e-3))


def test_cursors_fit_both_forms(reader: TestClient) -> None:
    first = reader.post("/v1/search", json={"vector": coded(1, 0, 0), "k": 1}).json()
    again = {"vector": [1, 0, 0], "k": 1, "cursor": first["next_cursor"]}
    assert reader.post("/v1/search", json=again).json()["hits"][0]["row_id"] == 4


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (
            "!",
            "it is no base64; send float32 numbers, little-endian, in base64, or a list of numbers",
        ),
        (coded(1, 0, 0)[:-1], "it is no base64"),
        (coded(1, 0, 0) + "\n", "it is no base64"),
        ("", "it is empty; send float32 numbers"),
        (base64.b64encode(bytes(13)).decode(), "its 13 bytes are no float32 numbers of 4 bytes"),
        (coded(1, math.nan, 0), "its number 1 (from 0) is nan; send finite numbers alone"),
        (coded(1, 0, -math.inf), "its number 2 (from 0) is -inf"),
        ("A" * 43_696, "it has more than 8,192 numbers"),
        (coded(0, 0, 0), "it must be finite and not all zero"),
    ],
)
def test_what_is_no_vector_gets_its_sentence(reader: TestClient, vector: str, message: str) -> None:
    answer = reader.post("/v1/search", json={"vector": vector})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["field"] == "vector"
    assert message in error["message"]


@pytest.mark.parametrize("numbers", [(1, 0), (1, 0, 0, 0)])
def test_another_models_length_is_told_with_both_numbers(
    reader: TestClient, numbers: tuple[float, ...]
) -> None:
    error = reader.post("/v1/search", json={"vector": coded(*numbers)}).json()["error"]
    assert (error["code"], error["field"]) == ("wrong_dimension", "vector")
    assert "3" in error["message"] and str(len(numbers)) in error["message"]


@pytest.mark.parametrize("said", [coded(0, 1, 0), json.dumps(coded(0, 1, 0)), "[0, 1, 0]"])
def test_the_form_takes_it_too(reader: TestClient, said: str) -> None:
    """Half red, half green: yellow."""
    files = [("files", ("a.png", png(RED)))]
    answer = reader.post("/v1/search/upload", files=files, data={"vector": said, "k": "1"})
    assert answer.json()["hits"][0]["row_id"] == 4


def test_in_the_form_a_bad_one_is_told_too(reader: TestClient) -> None:
    files = [("files", ("a.png", png(RED)))]
    for said in ("nonsense!", '"nonsense!"', "[1, 2"):
        answer = reader.post("/v1/search/upload", files=files, data={"vector": said})
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "vector")


def test_python_takes_the_same_json() -> None:
    [(vector, weight)] = Query.from_json({"vector": coded(3, 0, -4)}).vectors
    assert (vector.tolist(), weight) == ([0.75, 0.0, -1.0], 1.0)
    with pytest.raises(BadRequest, match="vector: it is no base64"):
        Query.from_json({"vector": "§"})


def test_other_types_are_still_refused(reader: TestClient) -> None:
    said: list[Any] = [7, {"a": 1}, True, [], ["x"], [[1, 0, 0]]]
    for vector in said:
        answer = reader.post("/v1/search", json={"vector": vector})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
