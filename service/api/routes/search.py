"""Search: a JSON query, or a multipart one with images; a page of hits, or all of them as a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
import orjson
from fastapi import APIRouter, File, Form, Request, UploadFile
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response, StreamingResponse

from indexer.errors import BadCursor, BadRequest, SnapshotGone, UnreadableImage
from indexer.pipeline import embed_batch
from service.api.schemas import (
    DEFAULT_K,
    ErrorAnswer,
    Finite,
    RowExample,
    SearchAnswer,
    SearchRequest,
    TextExample,
)
from service.cursor import Cursor, digest, stamp_of
from service.hits import Hit
from service.hub import ServedLake
from service.query import Query, query_vector
from service.search import search_page, stream
from service.snapshot import Snapshot
from service.where import Where

router = APIRouter(prefix="/v1", tags=["search"])

MAX_COLLAPSED = 10_000
NDJSON = "application/x-ndjson"
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 408, 410, 413, 415, 422, 429, 503)
}
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {NDJSON: {"schema": {"type": "string"}}}}}
_Examples = TypeVar("_Examples")


@dataclass(frozen=True, slots=True)
class _Plan:
    """One search as it will run: on one snapshot, from one vector."""

    served: ServedLake
    snapshot: Snapshot
    cursor: Cursor  # where this page begins
    k: int | None
    embed_s: float

    @property
    def query(self) -> Query:
        assert self.cursor.vector is not None
        return Query(
            vectors=[(self.cursor.vector, 1.0)],
            where=self.cursor.where,
            k=self.k,
            min_z=self.cursor.min_z,
            offset=self.cursor.position,
            collapse=self.cursor.collapse,
        )


@dataclass(frozen=True, slots=True)
class Uploads:
    """Example images as they were sent."""

    files: Sequence[UploadFile] = ()
    weights: Sequence[float] = ()  # one a file, or none


@router.post(
    "/search",
    response_model=SearchAnswer,
    responses={**ERRORS, **STREAM},
    summary="Find images by text, by example rows, by a vector, by metadata",
)
def search(request: Request, body: SearchRequest) -> Response:
    """The best hits first. With `Accept: application/x-ndjson` every hit, one a line, on one snapshot."""
    is_stream = NDJSON in request.headers.get("accept", "")
    plan = _plan(request, body, Uploads(), is_stream=is_stream)
    if is_stream:
        hits = stream(plan.snapshot, plan.query, plan.served.embedder)
        return StreamingResponse(_lines(plan, hits), media_type=NDJSON)
    return _page(plan)


@router.post(
    "/search/upload",
    response_model=SearchAnswer,
    responses=ERRORS,
    summary="Find images like the uploaded ones",
)
def search_by_upload(
    request: Request,
    files: Annotated[list[UploadFile], File(description="The example images.")],
    weights: Annotated[list[Finite], Form(description="One an image; none: 1 each.")] = [],  # noqa: B006
    lake: Annotated[str | None, Form()] = None,
    texts: Annotated[str | None, Form(description='JSON, as in search: [{"text": "a cat"}]')] = None,
    images: Annotated[str | None, Form(description='JSON, as in search: [{"row_id": 1}]')] = None,
    vector: Annotated[str | None, Form(description="JSON: a list of numbers")] = None,
    where: Annotated[str | None, Form()] = None,
    k: Annotated[int | None, Form(ge=1)] = None,
    min_z: Annotated[Finite | None, Form()] = None,
    collapse: Annotated[bool | None, Form()] = None,
) -> Response:
    """As search, with images as further examples. For the next page send `next_cursor` to `POST /v1/search`, alone."""
    body = SearchRequest(
        lake=lake,
        texts=_json("texts", texts, list[TextExample]) or [],
        images=_json("images", images, list[RowExample]) or [],
        vector=_json("vector", vector, list[Finite]),
        where=where,
        k=k,
        cursor=None,
        min_z=min_z,
        collapse=collapse,
    )
    return _page(_plan(request, body, Uploads(files, weights)))


def _json(field: str, text: str | None, kind: type[_Examples]) -> _Examples | None:
    if text is None:
        return None
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise BadRequest(field + where, f"{first['msg'][:1].lower()}{first['msg'][1:]}") from None


def _embedded(state: Any, served: ServedLake, uploads: Uploads) -> list[tuple[NDArray[np.float32], float]]:
    """The vectors of uploaded images, with their weights.

    :raises UnreadableImage: naming the first file that is no image, or that the model refuses.
    """
    files, weights = uploads.files, uploads.weights
    if len(files) > state.config.max_images:
        raise BadRequest(
            "files", f"{len(files)} images were sent; at most {state.config.max_images} are taken"
        )
    if weights and len(weights) != len(files):
        raise BadRequest(
            "weights", f"{len(weights)} were sent for {len(files)} files; send one a file, or none"
        )
    if not files:
        return []
    model = served.embedder()
    pixels = [
        state.decoders.decode(f"files[{number}]", file.file.read(), model.input_shape).pixels
        for number, file in enumerate(files)
    ]
    vectors = []
    for number, vector in enumerate(embed_batch(model, pixels)):
        if isinstance(vector, str):
            raise UnreadableImage(f"files[{number}]", vector)
        vectors.append((vector, weights[number] if weights else 1.0))
    return vectors


def _plan(
    request: Request,
    body: SearchRequest,
    uploads: Uploads,
    *,
    is_stream: bool = False,
) -> _Plan:
    max_k = request.app.state.config.max_k
    if not is_stream and body.k is not None and body.k > max_k:
        raise BadRequest(
            "k", f"{body.k} is more than a page holds ({max_k}); follow next_cursor, or ask for {NDJSON}"
        )
    k = body.k if is_stream else body.k or DEFAULT_K
    if body.collapse and (k is None or k > MAX_COLLAPSED):
        message = f"near-identical images are looked for among at most {MAX_COLLAPSED:,} hits; set k"
        raise BadRequest("k", message)  # each hit is compared with all before it
    if body.cursor is not None:
        return _continued(request, body, k)
    served: ServedLake = request.app.state.hub.lake(body.lake)
    snapshot = served.lake.snapshot
    started = time.perf_counter()
    if body.where:
        Where.parse(body.where, snapshot.schema)  # before any image is decoded
    vector = _vector_of(request.app.state, served, snapshot, body, uploads)
    cursor = Cursor(
        lake=served.name,
        snapshot=snapshot.number,
        stamp=stamp_of(snapshot.manifest),
        position=0,
        where=body.where or None,
        min_z=body.min_z,
        collapse=bool(body.collapse),
        query=_digest(body),
        vector=vector,
    )
    return _Plan(served, snapshot, cursor, k, time.perf_counter() - started)


def _vector_of(
    state: Any, served: ServedLake, snapshot: Snapshot, body: SearchRequest, uploads: Uploads
) -> NDArray[np.float32]:
    for number, example in enumerate(body.images):
        if snapshot.find(example.row_id) is None:
            raise BadRequest(
                f"images[{number}].row_id", f"there is no row {example.row_id} in {served.name} (any more)"
            )
    vectors = [] if body.vector is None else [(_scaled(body.vector), 1.0)]
    query = Query(
        texts=[(example.text, example.weight) for example in body.texts],
        row_ids=[(example.row_id, example.weight) for example in body.images],
        vectors=vectors + _embedded(state, served, uploads),
    )
    return query_vector(snapshot, query, served.embedder)


def _scaled(numbers: Sequence[float]) -> NDArray[np.float32]:
    """The vector with 1 as its largest number: JSON has larger ones than float32, and only the direction counts."""
    vector = np.array(numbers, np.float64)
    largest = np.abs(vector).max()
    return np.asarray(vector / largest if largest else vector, np.float32)


def _continued(request: Request, body: SearchRequest, k: int | None) -> _Plan:
    assert body.cursor is not None
    cursor = Cursor.decode(body.cursor)
    if cursor.vector is None:
        raise BadCursor("it is one of rows without a query; send it to where it came from")
    if body.lake not in (None, cursor.lake):
        raise BadCursor(f"it belongs to the lake {cursor.lake}")
    cursor.check_query(_digest(body))
    served: ServedLake = request.app.state.hub.lake(cursor.lake)
    return _Plan(served, snapshot_of(served, cursor), cursor, k, 0.0)


def snapshot_of(served: ServedLake, cursor: Cursor) -> Snapshot:
    """The snapshot that a cursor speaks of.

    :raises SnapshotGone: if it is not on disk any more, or another lake lies there now.
    """
    try:
        snapshot = served.lake.at(cursor.snapshot)
    except SnapshotGone:
        snapshot = None
    if snapshot is None or stamp_of(snapshot.manifest) != cursor.stamp:
        raise SnapshotGone(served.name, cursor.snapshot)  # by its name: callers need not know our folders
    return snapshot


def _digest(body: SearchRequest) -> str:
    """Which query a request is; empty for a cursor that comes alone."""
    said = body.model_dump(exclude={"lake", "k", "cursor"}, exclude_defaults=True)
    return digest(said) if said else ""


def _page(plan: _Plan) -> Response:
    started = time.perf_counter()
    page = search_page(plan.snapshot, plan.query, plan.served.embedder)
    answer = {
        "snapshot": plan.snapshot.number,
        "hits": [hit.to_json() for hit in page.hits],
        "next_cursor": None if page.next_offset is None else plan.cursor.at(page.next_offset).encode(),
    }
    search_s = time.perf_counter() - started
    timing = f"embed;dur={plan.embed_s * 1000:.1f}, search;dur={search_s * 1000:.1f}"
    return Response(orjson.dumps(answer), media_type="application/json", headers={"Server-Timing": timing})


def _lines(plan: _Plan, hits: Iterator[Hit]) -> Iterator[bytes]:
    """The stream; its last line tells a whole answer from one that was cut off."""
    yield orjson.dumps({"snapshot": plan.snapshot.number}) + b"\n"
    count = 0
    for hit in hits:
        count += 1
        yield orjson.dumps(hit.to_json()) + b"\n"
    yield orjson.dumps({"end": True, "hits": count}) + b"\n"
