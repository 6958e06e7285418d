"""Uploaded images for a filter to decide: decoded side by side, embedded a batch at a time. Knows no routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import UploadFile
from starlette.datastructures import State

from indexer.embed import Embedder, InputShape
from indexer.errors import BadRequest, UnreadableImage
from service.api.plans import decoded
from service.relevance.gate import Decided, Gate
from service.relevance.incoming import Read, decide_batch

LONGEST_NAME = 255  # characters that are said back


def decide_uploads(
    state: State, gate: Gate, files: Sequence[UploadFile], load_embedder: Callable[[], Embedder]
) -> dict[str, Any]:
    """The gate's whole answer.

    :param state: of the app.
    :raises BadRequest: if there are more images than one batch may have.
    :raises Refused: if no decoder is free in time.
    """
    most = state.config.max_batch
    if len(files) > most:
        raise BadRequest(
            "files", f"{len(files)} images were sent; at most {most} are taken at once: send the rest after"
        )
    model = load_embedder()
    size = max(model.batch_size, 1)
    found: list[Decided] = []
    # As many threads as may decode at once: more would only wait for each other.
    with ThreadPoolExecutor(max(1, state.decoders.size - 1), "batch") as pool:
        for start in range(0, len(files), size):
            numbered = enumerate(files[start : start + size], start)
            read = pool.map(lambda each: _read(state, each[0], each[1], model.input_shape), numbered)
            found += decide_batch(gate, list(read), model)
    return gate.to_json(found)


def _read(state: State, number: int, file: UploadFile, shape: InputShape) -> Read:
    name = (file.filename or f"files[{number}]")[:LONGEST_NAME]
    try:
        return name, decoded(state, name, file, shape)
    except UnreadableImage as error:
        return name, error
