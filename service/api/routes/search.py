"""Search: a JSON query, or a multipart one with images;
a page of hits, or all of them as a stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, signature
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from starlette.datastructures import State
from starlette.responses import Response, StreamingResponse

from service.api.answers import NDJSON
from service.api.forms import checked, json_of, only_fields
from service.api.json_bodies import QuickBody
from service.api.plans import Plan, Uploads, decided_facts, make_plan
from service.api.schemas import (
    ErrorAnswer,
    SearchAnswer,
    SearchRequest,
    Weight,
    limits_of,
    type_of,
)
from service.search.query import OPTIONS, Option
from service.search.search import Lines, Page, remarks, search_page
from service.search.understood import Understood

router = APIRouter(prefix="/v1", tags=["search"], route_class=QuickBody)

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 408, 410, 413, 415, 422, 429, 503)
}
UPLOAD_FIELDS = {"files", "weights", *SearchRequest.model_fields} - {"cursor"}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {NDJSON: {"schema": {"type": "string"}}}}
}


@router.post(
    "/search",
    response_model=SearchAnswer,
    responses={**ERRORS, **STREAM},
    summary="Find images by text, by example rows, by a vector, by metadata",
)
def search(request: Request, body: SearchRequest) -> Response:
    """The best hits first. With `Accept:
    application/x-ndjson` every hit, one a line, on one snapshot.
    """
    is_stream = NDJSON in request.headers.get("accept", "")
    plan = make_plan(
        request.app.state, body, Uploads(), is_stream=is_stream, on_engine=not is_stream
    )
    if is_stream:
        return StreamingResponse(_lines(plan.asked, Lines(plan.asked)), media_type=NDJSON)
    return _page(request.app.state, plan)


def _search_by_upload(
    request: Request,
    files: Annotated[list[UploadFile], File(description="The example images.")],
    weights: Annotated[list[Weight], Form(description="One an image; none: 1 each.")] = [],  # noqa: B006
    lake: Annotated[str | None, Form()] = None,
    query: Annotated[str | None, Form(description="As in search: a cat -drawing")] = None,
    texts: Annotated[str | None, Form(description='JSON, as in search: ["a cat"]')] = None,
    images: Annotated[str | None, Form(description="JSON, as in search: [7]")] = None,
    vector: Annotated[
        str | None, Form(description="JSON: a list of numbers; or base64, as in search")
    ] = None,
    **options: Any,
) -> Response:
    """As search, with images as further examples.
    For the next page send `next_cursor` to `POST /v1/search`, alone.
    """
    said: dict[str, Any] = {"lake": lake, "query": query, **options}
    if vector is not None:
        is_json = vector.lstrip().startswith(("[", '"'))
        said["vector"] = json_of("vector", vector) if is_json else vector
    objects = {option.name: options[option.name] for option in OPTIONS if option.is_object}
    said |= said_in_form({"texts": texts, "images": images, **objects})
    state = request.app.state
    request_ = checked(SearchRequest, said)
    return _page(state, make_plan(state, request_, Uploads(files, weights), on_engine=True))


def said_in_form(fields: Mapping[str, str | None]) -> dict[str, Any]:
    """What the fields of a form that hold JSON say, those that there are."""
    return {name: json_of(name, text) for name, text in fields.items() if text is not None}


def option_field(option: Option) -> Parameter:
    """A query's option as a field of the form; of a list, the field is repeated."""
    kind: Any = Annotated[type_of(option), Form(**limits_of(option))]
    if option.is_object:
        kind = Annotated[str | None, Form(description=f"JSON, as in search. {option.description}")]
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _with_options(endpoint: Callable[..., Response]) -> Callable[..., Response]:
    """The endpoint with a query's options in its signature, where FastAPI reads a form's fields."""
    known = signature(endpoint, eval_str=True)
    fields = [field for field in known.parameters.values() if field.kind != Parameter.VAR_KEYWORD]
    fields += [option_field(option) for option in OPTIONS]
    endpoint.__signature__ = known.replace(parameters=fields)  # type: ignore[attr-defined]
    return endpoint


search_by_upload = router.post(
    "/search/upload",
    response_model=SearchAnswer,
    responses=ERRORS,
    summary="Find images like the uploaded ones",
    name="search_by_upload",
    dependencies=[Depends(only_fields(UPLOAD_FIELDS, "/docs lists those there are"))],
)(_with_options(_search_by_upload))


def _page(state: State, plan: Plan) -> Response:
    started = time.perf_counter()
    answer = page_json(state, plan, search_page(plan.asked))
    search_s = time.perf_counter() - started
    timing = f"embed;dur={plan.embed_s * 1000:.1f}, search;dur={search_s * 1000:.1f}"
    return Response(
        orjson.dumps(answer), media_type="application/json", headers={"Server-Timing": timing}
    )


def page_json(state: State, plan: Plan, page: Page) -> dict[str, Any]:
    """A `SearchAnswer`."""
    answer: dict[str, Any] = {
        "snapshot": plan.asked.snapshot.number,
        "hits": [hit.to_json() for hit in page.hits],
        "next_cursor": None
        if page.next_offset is None
        else plan.cursor.at(page.next_offset, page.seen).encode(state.signer),
    }
    if plan.asked.decided is not None:
        answer["decided"] = decided_facts(plan.asked.decided)
    if page.searched is not None:
        answer["searched"] = page.searched.to_json()
        if page.searched.depth is not None:
            state.metrics.searched_near(plan.cursor.lake)
        if page.searched.engine is not None or page.searched.is_outage:
            state.metrics.searched_on_engine(plan.cursor.lake, is_outage=page.searched.is_outage)
        if page.searched.is_near:
            state.recalls.answered(plan.cursor.lake, plan.asked)
    if page.remarks is not None:
        answer |= page.remarks.to_json()
    return answer


def _lines(asked: Understood, hits: Lines) -> Iterator[bytes]:
    """The stream; its last line tells a whole answer from one that was cut off.

    Many lines go out at once: each piece is a turn of the event loop and of a thread.
    """
    head: dict[str, Any] = {"snapshot": asked.snapshot.number}
    if asked.decided is not None:
        head["decided"] = decided_facts(asked.decided)
    yield orjson.dumps(head) + b"\n"
    yield from hits
    end = {"end": True, "hits": hits.count} | remarks(asked, hits.best()).to_json()
    yield orjson.dumps(end) + b"\n"
