"""What lakes there are, their columns, their rows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

import orjson
import pyarrow as pa
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from indexer.errors import BadCursor, BadRequest, LakeDamaged, UnknownRow
from service.alike.names import names_of_groups
from service.api.cursor import Cursor, digest, stamp_of
from service.api.plans import decided_facts, rows_decided, snapshot_of
from service.api.schemas import (
    CURSOR_PATTERN,
    MAX_ROWS_CURSOR_CHARS,
    ColumnsAnswer,
    ErrorAnswer,
    LakesAnswer,
    RowAnswer,
    RowsAnswer,
)
from service.api.serving.hub import ServedLake
from service.api.signing import Signer
from service.search.browse import browse
from service.search.browse import row as row_of
from service.search.decided import Wanted
from service.search.query import PAGE_K
from service.search.query import Query as SearchQuery
from service.search.sort import MAX_CHARS
from service.snapshot.tagged_rows import tags_or_none
from service.tags.names import asked_as
from service.where.syntax import MAX_BYTES

router = APIRouter(prefix="/v1/lakes", tags=["lakes"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 410, 422, 429, 503)
}
LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]


@router.get("", response_model=LakesAnswer, summary="The lakes that are served")
def lakes(request: Request) -> dict[str, Any]:
    return {"lakes": [_facts(served) for served in request.app.state.hub.lakes]}


def _facts(served: ServedLake) -> dict[str, Any]:
    snapshot = served.lake.snapshot
    return {
        "name": served.name,
        "rows": snapshot.live_rows,
        "snapshot": snapshot.number,
        "model": snapshot.manifest.model_id,
        "dim": snapshot.manifest.dim,
        "committed_at": snapshot.manifest.created,
        "problems": list(served.problems),
    }


@router.get(
    "/{lake}/columns",
    response_model=ColumnsAnswer,
    responses=ERRORS,
    summary="What `where` can ask for",
)
def columns(request: Request, lake: LakeName) -> dict[str, Any]:
    """Every column of the lake's rows, with its type; fields of a struct as `place.latitude`.
    Once somebody tagged, `tag`; once near-identical images were grouped, `group` and so on.
    """
    snapshot = request.app.state.hub.lake(lake).lake.snapshot
    found = [c for field in snapshot.schema for c in _column(field)]
    if tags_or_none(snapshot.tag_book).names:
        found.append({"name": asked_as(snapshot.schema.names), "type": "list", "stored": False})
    with suppress(LakeDamaged):
        if snapshot.alike() is not None:
            found += [
                {
                    "name": name,
                    "type": "true or false" if ours == "is_best" else "number",
                    "stored": False,
                }
                for name, ours in names_of_groups(snapshot.schema.names).items()
            ]
    return {"snapshot": snapshot.number, "columns": found}


def _column(field: pa.Field, prefix: str = "") -> list[dict[str, Any]]:
    name = prefix + field.name
    if pa.types.is_struct(field.type):
        return [column for inner in field.type for column in _column(inner, f"{name}.")]
    return [{"name": name, "type": _type_name(field.type), "stored": True}]


def _type_name(kind: pa.DataType) -> str:
    """The words that `where`'s own messages use for kinds of values."""
    if pa.types.is_boolean(kind):
        return "true or false"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    if pa.types.is_timestamp(kind):
        return "time"
    if pa.types.is_list(kind):
        return "list"
    return "bytes" if pa.types.is_binary(kind) else "text"


@router.get(
    "/{lake}/rows",
    response_model=RowsAnswer,
    responses=ERRORS,
    summary="Rows without a query, by row_id or sorted",
)
def rows(
    request: Request,
    lake: LakeName,
    k: Annotated[int, Query(ge=1)] = PAGE_K,
    where: Annotated[str | None, Query(max_length=MAX_BYTES)] = None,
    filter: Annotated[
        str | None, Query(max_length=255, description="As search takes it; so is decision.")
    ] = None,
    decision: Annotated[list[Wanted] | None, Query(min_length=1, max_length=4)] = None,
    sort: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_CHARS,
            description="As search takes it, but for match; left out: by row_id.",
        ),
    ] = None,
    cursor: Annotated[
        str | None, Query(max_length=MAX_ROWS_CURSOR_CHARS, pattern=CURSOR_PATTERN)
    ] = None,
) -> Response:
    max_k = request.app.state.config.max_k
    if k > max_k:
        raise BadRequest("k", f"{k} is more than a page holds ({max_k}); follow next_cursor")
    served: ServedLake = request.app.state.hub.lake(lake)
    signer: Signer = request.app.state.signer
    said = {"where": where or None, "filter": filter or None, "decision": decision, "sort": sort}
    place = _place(served, _browsing(said), cursor, signer)
    snapshot = served.lake.snapshot if cursor is None else snapshot_of(served, place)
    by, decided = place.query.decided, None
    if by is not None:
        decided = rows_decided(served, snapshot, by)
        # pages to come are of the same version, whatever is applied meanwhile
        place = replace(place, query=replace(place.query, decided=decided.by))
    among = None if decided is None else decided.masks
    query = place.query
    page = browse(
        snapshot,
        query.where,
        after=query.offset,
        k=k,
        among=among,
        tags_act=query.tags_act,
        sort=query.sort,
    )
    place = replace(place, query=replace(query, tags_act=page.tags_act))
    answer: dict[str, Any] = {
        "snapshot": snapshot.number,
        "rows": [row.to_json() for row in page.rows],
        "next_cursor": None
        if page.next_after is None
        else place.at(page.next_after).encode(signer),
    }
    if decided is not None:
        answer["decided"] = decided_facts(decided)
    return Response(orjson.dumps(answer), media_type="application/json")


def _browsing(said: dict[str, Any]) -> SearchQuery:
    query = SearchQuery().with_options(said)
    query.check_browsing()
    return query


def _place(served: ServedLake, query: SearchQuery, text: str | None, signer: Signer) -> Cursor:
    """Where the page begins: at the cursor, or before the first row."""
    options = query.options_json()
    # as it always was where nothing but a where is said
    said = digest(options["where"] if options.keys() == {"where"} else options) if options else ""
    if text is None:
        manifest = served.lake.snapshot.manifest
        return Cursor(served.name, manifest.snapshot, stamp_of(manifest), query, said)
    cursor = Cursor.decode(text, signer)
    if cursor.has_query or cursor.lake != served.name:
        raise BadCursor("it belongs to another query; send it to where it came from")
    cursor.check_digest(said)
    return cursor


@router.get("/{lake}/rows/{row_id}", response_model=RowAnswer, responses=ERRORS, summary="One row")
def row(request: Request, lake: LakeName, row_id: Annotated[int, Path(ge=1, lt=2**53)]) -> Response:
    served: ServedLake = request.app.state.hub.lake(lake)
    snapshot = served.lake.snapshot
    found = row_of(snapshot, row_id)
    if found is None:
        raise UnknownRow(served.name, row_id)
    answer = {"snapshot": snapshot.number, "row": found.to_json()}
    return Response(orjson.dumps(answer), media_type="application/json")
