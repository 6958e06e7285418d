"""Search: a JSON query, or a multipart one with images; a page of hits, or all of them as a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from starlette.responses import Response, StreamingResponse

from service.api.forms import checked, json_of, only_fields
from service.api.plans import NDJSON, Plan, Uploads, make_plan
from service.api.schemas import (
    ErrorAnswer,
    Finite,
    SearchAnswer,
    SearchRequest,
    Weight,
)
from service.decided import DecidedRows
from service.hits import Hit
from service.search import search_page, stream

LINES_AT_ONCE = 100  # of a stream: some 30 kB

router = APIRouter(prefix="/v1", tags=["search"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 408, 410, 413, 415, 422, 429, 503)
}
UPLOAD_FIELDS = {"files", "weights", *SearchRequest.model_fields} - {"cursor"}
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {NDJSON: {"schema": {"type": "string"}}}}}


@router.post(
    "/search",
    response_model=SearchAnswer,
    responses={**ERRORS, **STREAM},
    summary="Find images by text, by example rows, by a vector, by metadata",
)
def search(request: Request, body: SearchRequest) -> Response:
    """The best hits first. With `Accept: application/x-ndjson` every hit, one a line, on one snapshot."""
    is_stream = NDJSON in request.headers.get("accept", "")
    plan = make_plan(request.app.state, body, Uploads(), is_stream=is_stream)
    if is_stream:
        hits = stream(plan.snapshot, plan.query, plan.served.embedder, plan.rows_decided)
        return StreamingResponse(_lines(plan, hits), media_type=NDJSON)
    return _page(plan)


@router.post(
    "/search/upload",
    response_model=SearchAnswer,
    responses=ERRORS,
    summary="Find images like the uploaded ones",
    dependencies=[Depends(only_fields(UPLOAD_FIELDS, "/docs lists those there are"))],
)
def search_by_upload(
    request: Request,
    files: Annotated[list[UploadFile], File(description="The example images.")],
    weights: Annotated[list[Weight], Form(description="One an image; none: 1 each.")] = [],  # noqa: B006
    lake: Annotated[str | None, Form()] = None,
    texts: Annotated[str | None, Form(description='JSON, as in search: ["a cat"]')] = None,
    images: Annotated[str | None, Form(description="JSON, as in search: [7]")] = None,
    vector: Annotated[str | None, Form(description="JSON: a list of numbers")] = None,
    where: Annotated[str | None, Form()] = None,
    filter: Annotated[str | None, Form(description="Only rows that it decided as decision says.")] = None,
    decision: Annotated[list[str], Form(description="With filter; none: keep.")] = [],  # noqa: B006
    k: Annotated[int | None, Form(ge=1)] = None,
    min_z: Annotated[Finite | None, Form()] = None,
    collapse: Annotated[bool | None, Form()] = None,
) -> Response:
    """As search, with images as further examples. For the next page send `next_cursor` to `POST /v1/search`, alone."""
    said: dict[str, Any] = {"lake": lake, "where": where, "k": k, "min_z": min_z, "collapse": collapse}
    said |= {"filter": filter, "decision": decision or None}
    for name, text in (("texts", texts), ("images", images), ("vector", vector)):
        if text is not None:
            said[name] = json_of(name, text)
    return _page(make_plan(request.app.state, checked(SearchRequest, said), Uploads(files, weights)))


def _page(plan: Plan) -> Response:
    started = time.perf_counter()
    page = search_page(plan.snapshot, plan.query, plan.served.embedder, plan.rows_decided)
    answer: dict[str, Any] = {
        "snapshot": plan.snapshot.number,
        "hits": [hit.to_json() for hit in page.hits],
        "next_cursor": None if page.next_offset is None else plan.cursor.at(page.next_offset).encode(),
    }
    if plan.decided is not None:
        answer["decided"] = _decided_facts(plan.decided)
    search_s = time.perf_counter() - started
    timing = f"embed;dur={plan.embed_s * 1000:.1f}, search;dur={search_s * 1000:.1f}"
    return Response(orjson.dumps(answer), media_type="application/json", headers={"Server-Timing": timing})


def _decided_facts(decided: DecidedRows) -> dict[str, Any]:
    by = decided.by
    return {
        "filter": by.filter,
        "version": by.version,
        "decision": by.decisions,
        "undecided": decided.undecided,
    }


def _lines(plan: Plan, hits: Iterator[Hit]) -> Iterator[bytes]:
    """The stream; its last line tells a whole answer from one that was cut off.

    Many lines go out at once: each piece is a turn of the event loop and of a thread, which took most of the time.
    """
    head: dict[str, Any] = {"snapshot": plan.snapshot.number}
    if plan.decided is not None:
        head["decided"] = _decided_facts(plan.decided)
    yield orjson.dumps(head) + b"\n"
    count = 0
    lines: list[bytes] = []
    for hit in hits:
        count += 1
        lines.append(orjson.dumps(hit.to_json()) + b"\n")
        if len(lines) == LINES_AT_ONCE:
            yield b"".join(lines)
            lines.clear()
    yield b"".join(lines) + orjson.dumps({"end": True, "hits": count}) + b"\n"
