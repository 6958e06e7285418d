"""Uploaded images: decoded in a process of their own,
embedded a batch at a time. Knows no routes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO

from fastapi import UploadFile
from starlette.datastructures import State

from indexer.arrays import InputShape, Vectors
from indexer.embed import Embedder
from indexer.errors import BadRequest, UnreadableImage
from indexer.images import ReadImage
from indexer.run.embedding.pipeline import embed_batch
from service.api.answers import Refused
from service.api.door.work import current_job
from service.pictures.jobs import Job
from service.relevance.definition import ExampleImage
from service.relevance.gate.answers import DecideAnswer, ImageDecided
from service.relevance.gate.gate import Gate
from service.relevance.gate.new_images import Read, decide_batch
from service.search.query import Query
from service.search.vector import query_vector
from service.snapshot.snapshot import Snapshot

LONGEST_NAME = 255  # characters that are said back, or kept


@dataclass(frozen=True, slots=True)
class Embedded:
    """An uploaded image, read, and the vector that the lake's model made of it."""

    read: ReadImage
    vector: Vectors  # float32, (dim,), unit length


def decoded(state: State, name: str, file: UploadFile, shape: InputShape, job: Job) -> ReadImage:
    """Read into memory when it is its turn, not before: 64 uploads at once may have 4 GB.

    :param job: the request's, as `current_job` has it.
    :raises UnreadableImage: if it is no image; Refused: if no decoder is free in time.
    """
    job.check(name)
    wait_s = state.config.upload_wait_s
    if not state.decoders.all_but_one.take(job, wait_s):
        job.check(name)
        message = f"other uploads are being decoded, and {wait_s:g} s were not enough; try again"
        raise Refused(429, "too_busy", message, headers={"Retry-After": "5"})
    try:
        read: ReadImage = state.decoders.decode(name, file.file.read(), shape, job)
    finally:
        state.decoders.all_but_one.give()
    return read


def in_text(field: str, text: str) -> UploadFile:
    """An image that was sent within JSON, in base64 or as a data URL, as if it was uploaded.

    :raises BadRequest: if it is neither.
    """
    head, comma, rest = text.partition(",")
    if comma and not head.endswith(";base64"):
        raise BadRequest(field, "it is a data URL of another kind; send data:image/jpeg;base64,...")
    try:
        data = base64.b64decode(rest if comma else text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(field, "it is no base64; send the bytes of an image file so") from None
    if not data:
        raise BadRequest(field, "it is empty; send the bytes of an image file in base64")
    return UploadFile(BytesIO(data), size=len(data), filename=field)


def check_count(state: State, field: str, count: int) -> None:
    """:raises BadRequest: if that many images are more than one upload may have as examples."""
    most = state.config.max_images
    if count > most:
        raise BadRequest(
            field, f"{count} images were sent; at most {most} are taken: leave out {count - most}"
        )


def embedded(
    state: State, load_embedder: Callable[[], Embedder], files: Sequence[tuple[str, UploadFile]]
) -> list[Embedded]:
    """All of them, in their order; the model is loaded only if there is one.

    :param files: each with the field that it was sent in, as "files[0]".
    :raises UnreadableImage: naming the first file that is no image, or that the model refuses.
    """
    if not files:
        return []
    model = load_embedder()
    job = current_job()
    read = [decoded(state, field, file, model.input_shape, job) for field, file in files]
    found = []
    for (field, _), image, vector in zip(
        files, read, embed_batch(model, [image.pixels for image in read]), strict=True
    ):
        if isinstance(vector, str):
            raise UnreadableImage(field, vector)
        found.append(Embedded(image, vector))
    return found


def examples_of(
    state: State,
    snapshot: Snapshot,
    load_embedder: Callable[[], Embedder],
    keep: Sequence[UploadFile],
    drop: Sequence[UploadFile],
) -> tuple[list[ExampleImage], list[ExampleImage]]:
    """A new filter's example images, wanted and unwanted;
    the very ones that `keep_images` makes of the same files.

    :raises BadRequest: if there are more than one upload may have, of both sides together.
    :raises UnreadableImage: naming the first file that is no image, or that the model refuses.
    """
    check_count(
        state,
        "keep_images" if len(keep) > state.config.max_images else "drop_images",
        len(keep) + len(drop),
    )
    files = [(f"keep_images[{number}]", file) for number, file in enumerate(keep)]
    files += [(f"drop_images[{number}]", file) for number, file in enumerate(drop)]
    made = []
    for (field, file), image in zip(files, embedded(state, load_embedder, files), strict=True):
        vector = query_vector(snapshot, Query(vectors=[(image.vector, 1.0)]), load_embedder)
        made.append(ExampleImage(_name(file, field), image.read.sha256, tuple(vector.tolist())))
    return made[: len(keep)], made[len(keep) :]


def _name(file: UploadFile, field: str) -> str:
    """Without the folders that some programs send: no filter has to know them."""
    return (re.split(r"[/\\]", file.filename or "")[-1] or field)[:LONGEST_NAME]


def decide_uploads(
    state: State, gate: Gate, files: Sequence[UploadFile], load_embedder: Callable[[], Embedder]
) -> DecideAnswer:
    """The gate's whole answer; the files are decoded side by side.

    :param state: of the app.
    :raises BadRequest: if there are more images than one batch may have.
    :raises Refused: if no decoder is free in time.
    """
    most = state.config.max_batch
    if len(files) > most:
        raise BadRequest(
            "files",
            f"{len(files)} images were sent; at most {most} are taken at once: send the rest after",
        )
    model = load_embedder()
    size = max(model.batch_size, 1)
    job = current_job()  # here: the threads below have no request
    found: list[ImageDecided] = []
    # As many threads as may decode at once: more would only wait for each other.
    with ThreadPoolExecutor(max(1, state.decoders.size - 1), "batch") as pool:
        for start in range(0, len(files), size):
            numbered = enumerate(files[start : start + size], start)
            read = pool.map(
                lambda each: _read(state, each[0], each[1], model.input_shape, job), numbered
            )
            found += decide_batch(gate, list(read), model)
    return gate.answer(found)


def _read(state: State, number: int, file: UploadFile, shape: InputShape, job: Job) -> Read:
    name = (file.filename or f"files[{number}]")[:LONGEST_NAME]
    try:
        return name, decoded(state, name, file, shape, job)
    except UnreadableImage as error:
        return name, error
