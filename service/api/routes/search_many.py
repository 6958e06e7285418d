"""Several searches in one request, which share a pass over the rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from starlette.datastructures import State
from starlette.responses import Response

from indexer.errors import BadRequest, LakeError
from service.api.errors import answer_to, answer_to_invalid
from service.api.json_bodies import QuickBody
from service.api.plans import Plan, Uploads, make_plan
from service.api.routes.search import ERRORS, page_json
from service.api.schemas import MAX_SEARCHES, ErrorAnswer, SearchAnswer, SearchRequest, Strict
from service.search.query import PAGE_K, Query
from service.search.search import search_together

MAX_TEXTS = 256  # of one request: each costs the model some ms, and others wait for it
MAX_HITS = 10_000  # of one request: each is a row read and some kB of memory

router = APIRouter(prefix="/v1", tags=["search"], route_class=QuickBody)


def _or_its_mistake(said: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(said)
    except ValidationError as error:
        return error


# One that is wrong is answered in its place, and the others go on.
Said = Annotated[SearchRequest, WrapValidator(_or_its_mistake)]


class ManyRequest(Strict):
    """Searches, each as `POST /v1/search` takes it."""

    searches: list[Said] = Field(
        min_length=1,
        max_length=MAX_SEARCHES,
        fail_fast=True,
        json_schema_extra={
            "examples": [[{"texts": ["a cat"], "k": 3}, {"query": "a dog -drawing"}]]
        },
    )


class ManyAnswer(BaseModel):
    answers: list[SearchAnswer | ErrorAnswer] = Field(
        description="In the order of the searches, each as `POST /v1/search` answers it, or its error."
    )


@router.post(
    "/search/many",
    response_model=ManyAnswer,
    responses=ERRORS,
    summary="Several searches at once",
)
def search_many(request: Request, body: ManyRequest) -> Response:
    """Up to 64 searches, which share a pass over the rows, and the model's batches. A search that
    is wrong has its error among the answers, and the others go on. In all at most 10,000 hits and
    256 texts; the time for `where` is that of one request.
    """
    state = request.app.state
    said: Sequence[SearchRequest | ValidationError] = body.searches
    _check_together(said, state.config.max_k)
    started = time.perf_counter()
    _embed_together(state, said)
    plans = [_planned(state, each) for each in said]
    embed_s = time.perf_counter() - started
    answers = [b"" if isinstance(each, Plan) else bytes(each.body) for each in plans]
    numbers = [number for number, each in enumerate(plans) if isinstance(each, Plan)]
    understood = [each for each in plans if isinstance(each, Plan)]
    pages = search_together([plan.asked for plan in understood])
    for number, plan, page in zip(numbers, understood, pages, strict=True):
        answers[number] = (
            bytes(answer_to(page).body)
            if isinstance(page, LakeError)
            else orjson.dumps(page_json(state, plan, page))
        )
    search_s = time.perf_counter() - started - embed_s
    timing = f"embed;dur={embed_s * 1000:.1f}, search;dur={search_s * 1000:.1f}"
    document = b'{"answers":[' + b",".join(answers) + b"]}"
    return Response(document, media_type="application/json", headers={"Server-Timing": timing})


def _check_together(said: Sequence[SearchRequest | ValidationError], max_k: int) -> None:
    """
    :param max_k: who asks for more alone is told so in its place.
    :raises BadRequest: if the searches are too much for one request together.
    """
    right = [
        each for each in said if isinstance(each, SearchRequest) and (each.k or PAGE_K) <= max_k
    ]
    hits = sum(each.k or PAGE_K for each in right)
    if hits > MAX_HITS:
        raise BadRequest(
            "searches",
            f"they ask for {hits:,} hits together ({PAGE_K} each where k is not said), and a request has at most "
            f"{MAX_HITS:,}; ask for fewer, or send them in several requests",
        )
    texts = sum(map(len, map(_texts, right)))
    if texts > MAX_TEXTS:
        raise BadRequest(
            "searches",
            f"they have {texts:,} texts together, and a request takes {MAX_TEXTS}; send them in several requests",
        )


def _texts(said: SearchRequest) -> list[str]:
    texts = [each.text for each in said.texts]
    if said.query is not None:
        with suppress(BadRequest):  # told when it is planned
            texts += [text for text, _ in Query.typed(said.query).texts]
    return texts


def _embed_together(state: State, said: Sequence[SearchRequest | ValidationError]) -> None:
    """Have the model read all texts in its batches; it keeps their vectors for the searches."""
    by_lake: dict[str | None, list[str]] = {}
    for each in said:
        if isinstance(each, SearchRequest) and each.cursor is None:
            by_lake.setdefault(each.lake, []).extend(_texts(each))
    for lake, texts in by_lake.items():
        if len(texts) > 1:
            # Whatever is wrong is told of the search that it is wrong with.
            with suppress(Exception):
                state.hub.lake(lake).embedder().embed_texts(list(dict.fromkeys(texts)))


def _planned(state: State, said: SearchRequest | ValidationError) -> Plan | Response:
    if isinstance(said, ValidationError):
        return answer_to_invalid(
            [{**each, "loc": ("body", *each["loc"])} for each in said.errors()]
        )
    try:
        return make_plan(state, said, Uploads(), on_engine=True)
    except LakeError as error:
        return answer_to(error)
