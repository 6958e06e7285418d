"""Vectors of texts and images, as OpenAI's clients ask for them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from starlette.datastructures import State
from starlette.responses import Response

from indexer.arrays import Vectors
from indexer.errors import BadRequest
from service.api.answers import Refused
from service.api.schemas import MAX_TEXT_CHARS, ErrorAnswer
from service.api.serving.hub import ServedLake
from service.api.uploaded import check_count, embedded, in_text

DATA_URL = "data:"  # what a text that is an image begins with
MAX_INPUTS = 256

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 413, 415, 422, 429, 503)
}

router = APIRouter(prefix="/v1", tags=["embeddings"])


def _not_tokens(said: Any) -> Any:
    listed = said if isinstance(said, list) else [said]
    if any(isinstance(each, int | list) for each in listed):
        raise PydanticCustomError(
            "tokens",
            "numbers of tokens are another model's; send texts "
            "(LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False))",
        )
    return listed


class EmbeddingsRequest(BaseModel):
    """What OpenAI's `/v1/embeddings` takes; `user` and fields of other services are passed over."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"input": "a cat", "model": "lakesift-2"}]}
    )
    input: Annotated[
        list[str],
        BeforeValidator(_not_tokens, json_schema_input_type=str | list[str]),
        Field(
            min_length=1,
            max_length=MAX_INPUTS,
            description="Texts; one that begins with data: is an image as a data URL.",
        ),
    ]
    model: str = Field(
        max_length=1_000,
        description="A lake's name, or the name of its model as GET /v1/lakes has it.",
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, description="Only the model's own.")


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(
        description="Of length 1; with base64, its float32 numbers in little-endian order."
    )


class Usage(BaseModel):
    prompt_tokens: int = Field(0, description="Nothing is counted here: 0.")
    total_tokens: int = 0


class EmbeddingsAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


@router.post(
    "/embeddings",
    response_model=EmbeddingsAnswer,
    responses=ERRORS,
    summary="Vectors of texts and images, as OpenAI's clients ask",
)
def embeddings(request: Request, body: EmbeddingsRequest) -> Response:
    """A vector of length 1 for each input, by the model of a lake: what `vector` of a search takes.
    Texts and images have one space, so that a text's vector finds images.
    """
    served = _served(request.app.state, body.model)
    dim = served.lake.manifest.dim
    if body.dimensions not in (None, dim):
        raise BadRequest("dimensions", f"vectors of this model have {dim} numbers; leave it out")
    vectors = _vectors(request.app.state, served, body.input)
    said: list[Any] = (
        [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]
        if body.encoding_format == "base64"
        else list(vectors)
    )
    answer = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": each}
            for index, each in enumerate(said)
        ],
        "model": served.lake.manifest.model_id,
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
    document = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(document, media_type="application/json")


def _served(state: State, model: str) -> ServedLake:
    """The lake that is named, or one whose model is.

    :raises Refused: 404, if there is none.
    :raises BadRequest: if two models have the name.
    """
    lakes: Sequence[ServedLake] = state.hub.lakes
    by_name = [served for served in lakes if served.name == model]
    by_model = [served for served in lakes if served.lake.manifest.model_id == model]
    found = by_name or by_model
    if not found:
        known = {name for each in lakes for name in (each.name, each.lake.manifest.model_id)}
        message = (
            f"there is no lake and no model {model[:100]!r} here, only {', '.join(sorted(known))}"
        )
        raise Refused(404, "model_not_found", message)
    if any(each.lake.manifest.fingerprint != found[0].lake.manifest.fingerprint for each in found):
        names = ", ".join(each.name for each in found)
        raise BadRequest("model", f"lakes have different models of this name; name one: {names}")
    return found[0]


def _vectors(state: State, served: ServedLake, inputs: Sequence[str]) -> Vectors:
    """float32, (inputs, dim), of length 1 each."""
    images = [number for number, text in enumerate(inputs) if text.startswith(DATA_URL)]
    texts = [number for number in range(len(inputs)) if number not in set(images)]
    for number in texts:
        _check_text(f"input[{number}]", inputs[number])
    check_count(state, "input", len(images))
    sent = [(f"input[{number}]", in_text(f"input[{number}]", inputs[number])) for number in images]
    made = np.empty((len(inputs), served.lake.manifest.dim), np.float32)
    for number, image in zip(images, embedded(state, served.embedder, sent), strict=True):
        made[number] = image.vector
    if texts:
        made[texts] = served.embedder().embed_texts([inputs[number] for number in texts])
    return made


def _check_text(field: str, text: str) -> None:
    if not text.strip():
        raise BadRequest(field, "it is empty; leave it out")
    if len(text) > MAX_TEXT_CHARS:
        raise BadRequest(field, f"it has {len(text):,} characters; send {MAX_TEXT_CHARS:,} at most")
