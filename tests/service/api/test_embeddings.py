"""POST /v1/embeddings by OpenAI's own client; a colour's vector is its RGB at unit length."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.fakes import ColourEmbedder
from tests.lakes import GREEN, Desk, png
from tests.service.api.conftest import HOST
from tests.serving import running

RED_OF_UNIT_LENGTH = [1.0, 0.0, 0.0]


def data_url(image: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


@pytest.fixture
def ask(app: FastAPI) -> Iterator[openai.OpenAI]:
    with running(app) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        yield client


def test_their_client_gets_vectors_of_texts_and_images(ask: openai.OpenAI, desk: Desk) -> None:
    answer = ask.embeddings.create(input=["red", data_url(png(GREEN, (8, 8)))], model="my")
    assert [each.index for each in answer.data] == [0, 1]
    assert answer.data[0].embedding == pytest.approx(RED_OF_UNIT_LENGTH, abs=1e-6)
    assert answer.data[1].embedding == pytest.approx([0.0, 1.0, 0.0], abs=1e-6)
    assert answer.model == desk.manifest.model_id
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (0, 0)


def test_numbers_and_base64_are_the_same_vector(client: TestClient) -> None:
    numbers = embedding(client, encoding_format="float")
    text = embedding(client, encoding_format="base64")
    assert numbers == pytest.approx(RED_OF_UNIT_LENGTH, abs=1e-6)
    assert np.frombuffer(base64.b64decode(text), "<f4").tolist() == numbers


def embedding(client: TestClient, **said: Any) -> Any:
    answer = client.post("/v1/embeddings", json={"input": "red", "model": "my", **said})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"][0]["embedding"]


def test_the_vector_finds_what_the_text_finds(client: TestClient) -> None:
    body = {"vector": embedding(client), "k": 1}
    assert client.post("/v1/search", json=body).json()["hits"][0]["row_id"] == 3


def test_a_model_is_named_as_the_lakes_name_it(client: TestClient, desk: Desk) -> None:
    assert embedding(client, model=desk.manifest.model_id) == embedding(client, model="my")


def test_their_client_raises_what_it_knows(ask: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no lake and no model 'gpt-9' here"):
        ask.embeddings.create(input="red", model="gpt-9")
    with pytest.raises(openai.UnprocessableEntityError, match="tokens are another model's"):
        ask.embeddings.create(input=[[1, 2]], model="my")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"input": []}, "input"),
        ({"input": ["red", " "]}, "input[1]"),
        ({"input": "x" * 2_001}, "input[0]"),
        ({"input": ["red", "data:image/png,abc"]}, "input[1]"),
        ({"input": [data_url(b"no image")]}, "input[0]"),
        ({"input": ["data:image/png;base64,*"]}, "input[0]"),
        ({"input": ["red"] * 257}, "input"),
        ({"input": [data_url(png(GREEN))] * 17}, "input"),
        ({"dimensions": 2}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"input": 7}, "input"),
    ],
)
def test_a_mistake_is_told_by_its_field(
    client: TestClient, said: dict[str, Any], field: str
) -> None:
    answer = client.post("/v1/embeddings", json={"input": "red", "model": "my"} | said)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field), error


def test_two_models_of_one_name_are_told_apart_by_a_lake(tmp_path: Path) -> None:
    names = ("one", "two")
    desks = [Desk(tmp_path / name, ColourEmbedder(weights=name)) for name in names]
    for desk in desks:
        desk.add("green.png", GREEN)
        desk.index()
    lakes = {name: desk.lake for name, desk in zip(names, desks, strict=True)}
    app = create_app(lakes, ServeConfig(), keys=KeyStore(tmp_path / "keys"))
    with TestClient(app, base_url=HOST) as client:
        body = {"input": "red", "model": desks[0].manifest.model_id}
        answer = client.post("/v1/embeddings", json=body)
        assert answer.status_code == 422
        assert answer.json()["error"]["message"].endswith("name one: one, two")
