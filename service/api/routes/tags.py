"""Tags: what people call images, stored beside the lake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import State
from starlette.responses import Response

from indexer.arrays import Positions
from indexer.errors import BadRequest, UnknownFilter, UnknownRow
from service.api.door.access import IN_SCOPE, Access
from service.api.plans import Uploads, make_plan
from service.api.schemas import ErrorAnswer, RowId, SearchRequest, Strict
from service.api.serving.hub import ServedLake
from service.search.query import Query
from service.search.search import row_ids_found
from service.search.tagging import Tagged, choice_of, give_tag, tag_counts, take_tag
from service.tags.act import Act
from service.tags.names import MAX_CHARS, UNNAMED
from service.where.syntax import MAX_BYTES

MAX_ROW_IDS = 50_000  # of one request

router = APIRouter(prefix="/v1/lakes/{lake}/tags", tags=["tags"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 422, 429, 503)
}
SENT: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorAnswer, "description": "labeller_not_yours: acts are the key's own."},
    408: {"model": ErrorAnswer},
    413: {"model": ErrorAnswer},
}
# What Python calls it, and what a request does.
_CALLED = {"rows": "row_ids"}
LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]
By = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=MAX_CHARS,
        description="Who says so; without it nobody's name. Where keys are asked for it is the key's name, and no "
        "other is taken.",
    ),
]


class TagRequest(Strict):
    """Images, chosen by one of `row_ids`, `where` and `search`, get a tag or lose it."""

    name: str = Field(
        max_length=255,
        description="1 to 64 letters, digits, '-', '_', '.' and single spaces between them. Night and night are one "
        "tag, called as it was first.",
    )
    remove: bool = Field(
        False, description="True: they lose the tag; all images do, where none are chosen."
    )
    row_ids: list[RowId] | None = Field(
        None,
        fail_fast=True,
        min_length=1,
        max_length=MAX_ROW_IDS,
        description="Those that the lake has not are told in the answer; the rest is done.",
    )
    where: str | None = Field(
        None, max_length=MAX_BYTES, description="Every row that passes, as search takes it."
    )
    search: SearchRequest | None = Field(
        None,
        description="Its hits, as `POST /v1/search` finds them, all of them where k is left out: min_z is the cut. "
        "Without an example, every row that passes its where and filter.",
    )
    by: By = None

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "night", "row_ids": [1, 2]},
                {"name": "night", "where": "width_px >= 4", "remove": True},
                {"name": "cats", "search": {"texts": ["a cat"], "min_z": 3}},
            ]
        },
    )


class TagUndoRequest(Strict):
    by: By = None
    act: int | None = Field(
        None,
        ge=1,
        lt=2**53,
        description="The number of the act that is meant, as the answer to it had; without it the last one.",
    )


class TagFacts(BaseModel):
    name: str
    rows: int = Field(description="Images of the lake that have it.")


class ActFacts(BaseModel):
    """What one command or request did."""

    act: int = Field(description="Its number; they count up.")
    name: str = Field(description="The tag.")
    is_add: bool = Field(description="False: images lost the tag.")
    rows: int
    by: str
    at: str = Field(description="ISO 8601.")


class TagsAnswer(BaseModel):
    tags: list[TagFacts] = Field(description="By the alphabet.")
    last: ActFacts | None = Field(description="What `undo` would take back; null: nothing.")


class TaggedAnswer(BaseModel):
    name: str = Field(description="As the tag is called.")
    rows: int = Field(description="Images that were meant and are there.")
    missing: list[int] = Field(description="Of the `row_ids`, those the lake has not; 100 at most.")
    missing_count: int
    act: int | None = Field(description="Null: no image was meant, and nothing was done.")


class TagUndoneAnswer(BaseModel):
    undone: ActFacts | None = Field(description="Null: there was nothing to take back.")


@router.get("", response_model=TagsAnswer, responses=ERRORS, summary="A lake's tags")
def list_tags(request: Request, lake: LakeName) -> Response:
    """Those that an image has, and how many have each."""
    snapshot = _served(request, lake).lake.snapshot
    counts = tag_counts(snapshot)
    return _json(
        {
            "tags": [{"name": name, "rows": rows} for name, rows in counts.items()],
            "last": _facts(snapshot.tag_book.last()),
        }
    )


@router.post(
    "", response_model=TaggedAnswer, responses={**ERRORS, **SENT}, summary="Tag images, or untag"
)
def tag(request: Request, lake: LakeName, body: TagRequest) -> Response:
    """One act, however many images it is about: `undo` takes all of it back."""
    served = _served(request, lake)
    by = signed(request, body.by) or UNNAMED
    hits = None if body.search is None else _hits(request.app.state, served, body.search)
    snapshot = served.lake.snapshot
    change: Callable[..., Tagged] = take_tag if body.remove else give_tag
    try:
        choice = choice_of(snapshot, body.row_ids, body.where or None, hits)
        return _json(change(snapshot, body.name, choice, by).to_json())
    except UnknownRow as error:  # callers need not know our folders
        raise UnknownRow(served.name, error.row_id) from None
    except BadRequest as error:
        raise BadRequest(_CALLED.get(error.field, error.field), error.reason) from None


@router.post(
    "/undo",
    response_model=TagUndoneAnswer,
    responses={
        **ERRORS,
        **SENT,
        409: {"model": ErrorAnswer, "description": "cannot_undo: the act is not the last one."},
    },
    summary="Take the last act back",
)
def undo(request: Request, lake: LakeName, body: TagUndoRequest) -> Response:
    """The last one in force: of the key, where keys are asked for; of `by`, where it is said. An
    `act` that is not that one is refused: somebody tagged since.
    """
    book = _served(request, lake).lake.snapshot.tag_book
    return _json({"undone": _facts(book.undo(signed(request, body.by), body.act))})


def _hits(state: State, served: ServedLake, search: SearchRequest) -> Positions:
    """The row_ids of a search's hits, or of the rows that pass."""
    if search.cursor is not None:
        raise BadRequest(
            "search.cursor", "a page has a cursor; tag all hits, or name their row_ids"
        )
    body = search.model_copy(update={"lake": served.name})
    said = body.model_dump(exclude={"lake", "cursor"}, exclude_none=True)
    query = Query.from_json(said | {"where": body.where or None})
    if query.has_examples:
        return row_ids_found(make_plan(state, body, Uploads(), is_stream=True).asked)
    if query.where is None and query.decided is None:
        raise BadRequest("search", "it asks for nothing; say what to look for, or which rows pass")
    try:
        return served.lake.passing(query)[0].row_ids
    except UnknownFilter as error:
        name = str(search.filter)
        raise UnknownFilter(served.name, name, error.nearest, field="search.filter") from None


def signed(request: Request, said: str | None) -> str | None:
    """Under which name it is saved: the key's, where keys are asked for.

    :raises Refused: if another's is said.
    """
    access: Access = request.scope[IN_SCOPE]
    return access.labeller(request, {said}) or said


def _served(request: Request, lake: str) -> ServedLake:
    served: ServedLake = request.app.state.hub.lake(lake)
    return served


def _facts(act: Act | None) -> dict[str, Any] | None:
    return None if act is None else act.to_json()


def _json(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
