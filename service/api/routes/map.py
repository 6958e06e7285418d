"""The map of a lake: its points, and what they are coloured by, as plain bytes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Path, Request
from pydantic import Field, create_model
from starlette.datastructures import State
from starlette.responses import Response

from indexer.arrays import RowMask
from indexer.errors import BadRequest, NoMap, UnknownFilter
from service.api.forms import checked
from service.api.plans import Uploads, make_plan
from service.api.routes.images import has_copy
from service.api.routes.scores import COUNTED
from service.api.schemas import ErrorAnswer, Examples, SearchRequest, limits_of, type_of
from service.api.serving.hub import ServedLake
from service.map.colours import Coloured, by_column, by_decision, by_match, by_nothing, hide
from service.map.points import Points, with_head
from service.map.stored import MapFile
from service.search.browse import passing_rows
from service.search.decided import DecidedBy
from service.search.query import Query
from service.search.score_histogram import masks_above
from service.snapshot.snapshot import Snapshot
from service.tags.names import asked_as

BYTES = "application/octet-stream"

router = APIRouter(prefix="/v1/lakes/{lake}/map", tags=["map"])

ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "no_map: `lakesift map` makes one."},
    422: {"model": ErrorAnswer},
    429: {"model": ErrorAnswer},
    503: {"model": ErrorAnswer},
}
SENT: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (403, 408, 413)}
SHOWN: dict[int | str, dict[str, Any]] = {200: {"content": {BYTES: {}}}}
LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]

_fields: dict[str, Any] = {o.name: (type_of(o), Field(None, **limits_of(o))) for o in COUNTED}
_Said: Any = create_model("_SaidOfAMap", __base__=Examples, **_fields)


class ColoursRequest(_Said):  # type: ignore[misc]  # a type checker cannot see fields made from a list
    """What the points are coloured by. Where, filter and min_z say which are hidden, and examples
    what they match. `lake` is the path's, and is left out.
    """

    by: Literal["nothing", "match", "decision", "tag", "column"] = "nothing"
    column: str | None = Field(None, max_length=255, description="With by: column.")
    decided_by: str | None = Field(
        None, max_length=255, description="With by: decision: the filter, as search takes it."
    )


@router.get(
    "",
    response_class=Response,
    responses={
        **ERRORS,
        **SHOWN,
        304: {"description": "The caller's copy (If-None-Match) is still good."},
    },
    summary="Where all images lie on the map",
)
def points(request: Request, lake: LakeName) -> Response:
    """A line of JSON, padded to a multiple of 8 bytes: `snapshot`, `points`, `runs`, `since`
    (images that are not on the map), `made_at`, `landmarks`, `names` of clusters with their place
    from -1 to 1. Then little-endian: `runs` pairs of float64, a row_id and how many follow one
    another from it; `points` pairs of uint16, x and y: 0 is -1, 65,535 is 1. Points are by rising
    row_id.
    """
    served = _served(request, lake)
    snapshot = served.lake.snapshot
    stamp = MapFile(snapshot.layout.map).stamp()
    if stamp is None:
        raise NoMap(served.name)
    mark = "-".join(f"{each:x}" for each in (snapshot.number, *stamp))
    headers = {"ETag": f'"{mark}"', "Cache-Control": "private, no-cache"}
    if has_copy(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    found = _points(served, snapshot)
    return Response(found.to_bytes(snapshot), media_type=BYTES, headers=headers)


@router.post(
    "/colours",
    response_class=Response,
    responses={**ERRORS, **SENT, **SHOWN},
    summary="What the points of the map are coloured by",
)
def colours(request: Request, lake: LakeName, body: ColoursRequest) -> Response:
    """A line of JSON as `GET .../map` has it: `snapshot`, `points`, `kind` and, of kind values,
    `values` with their numbers of images; of kind range, `low` and `high`. Then a byte for each
    point: the number of its value, or 0 to 250 from low to high; 254: it does not pass; 255: it has
    no value.
    """
    served = _served(request, lake)
    snapshot, coloured = _coloured(request.app.state, served, body)
    found = _points(served, snapshot)
    numbers = coloured.numbers[snapshot.places[1]][found.is_on]
    head = {"snapshot": snapshot.number, "points": len(numbers), **coloured.to_json()}
    return Response(with_head(head) + numbers.tobytes(), media_type=BYTES)


def _served(request: Request, lake: str) -> ServedLake:
    served: ServedLake = request.app.state.hub.lake(lake)
    return served


def _points(served: ServedLake, snapshot: Snapshot) -> Points:
    found = Points.of(snapshot)
    if found is None:
        raise NoMap(served.name)
    return found


def _coloured(state: State, served: ServedLake, body: ColoursRequest) -> tuple[Snapshot, Coloured]:
    if body.lake not in (None, served.name):
        raise BadRequest("lake", f"the path names {served.name}; leave lake out")
    examples = body.model_dump(
        include={"query", "texts", "images", "vector"}, exclude_defaults=True
    )
    options = body.model_dump(include={o.name for o in COUNTED}, exclude_none=True)
    options["where"] = options.get("where") or None
    if examples and (body.by == "match" or body.min_z is not None):
        said = {"lake": served.name, **examples, **options}
        asked = make_plan(state, checked(SearchRequest, said), Uploads()).asked
        if body.by == "match" and body.min_z is None:
            return asked.snapshot, by_match(asked)
        coloured = by_match(asked) if body.by == "match" else _plain(served, asked.snapshot, body)
        return asked.snapshot, hide(coloured, np.concatenate(masks_above(asked)))
    if body.by == "match":
        raise BadRequest("by", "there is no match without examples; say what to look for")
    snapshot = served.lake.snapshot
    passes = _passing(served, snapshot, Query().with_options(options))
    return snapshot, hide(_plain(served, snapshot, body), passes)


def _plain(served: ServedLake, snapshot: Snapshot, body: ColoursRequest) -> Coloured:
    if body.by == "column":
        if body.column is None:
            raise BadRequest("column", "name the column")
        return by_column(snapshot, body.column)
    if body.by == "tag":
        return by_column(snapshot, asked_as(snapshot.schema.names))
    if body.by == "decision":
        if body.decided_by is None:
            raise BadRequest("decided_by", "name the filter")
        return by_decision(snapshot, lambda one: _decided(served, snapshot, body, one))
    return by_nothing(snapshot)


def _decided(
    served: ServedLake, snapshot: Snapshot, body: ColoursRequest, decision: str
) -> list[RowMask]:
    name = str(body.decided_by)
    try:
        found = served.lake.rows_decided(snapshot, DecidedBy.parse(name, decision))
    except UnknownFilter as error:  # callers need not know our folders
        raise UnknownFilter(served.name, name, error.nearest, field="decided_by") from None
    return list(found.masks)


def _passing(served: ServedLake, snapshot: Snapshot, query: Query) -> RowMask:
    """bool, (rows of all parts,)"""
    query.check_browsing()
    by, among = query.decided, None
    if by is not None:
        try:
            among = served.lake.rows_decided(snapshot, by).masks
        except UnknownFilter as error:  # callers need not know our folders
            raise UnknownFilter(served.name, by.filter, error.nearest, field="filter") from None
    return passing_rows(snapshot, query.where, among)
