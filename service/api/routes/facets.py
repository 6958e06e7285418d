"""What the columns of a lake hold, counted: what a `where` is chosen by."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.datastructures import State
from starlette.responses import Response

from indexer.errors import UnknownFilter
from service.api.forms import checked
from service.api.plans import Uploads, make_plan
from service.api.schemas import ErrorAnswer, Examples, Finite, SearchRequest
from service.api.serving.hub import ServedLake
from service.search.decided import Wanted
from service.search.facets import MAX_VALUES, VALUES, Facets
from service.search.facets import facets as count
from service.search.query import Query
from service.search.score_histogram import masks_above
from service.snapshot.snapshot import Snapshot
from service.where.syntax import MAX_BYTES

MAX_COLUMNS = 200

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 413, 422, 429, 503)
}

router = APIRouter(prefix="/v1", tags=["lakes"])


class FacetsRequest(Examples):
    """Which columns of which rows. Examples count only with a `min_z`."""

    where: str | None = Field(
        None,
        max_length=MAX_BYTES,
        description="As search takes it. A column is counted without the conditions that ask for it alone.",
        examples=["camera = 'Canon EOS R5' AND width_px >= 1024"],
    )
    filter: str | None = Field(None, max_length=300, description="As search takes it.")
    decision: list[Wanted] | None = Field(None, min_length=1, max_length=4)
    min_z: Finite | None = Field(
        None, description="With examples: only images whose match with them is so strong."
    )
    columns: Annotated[
        list[str] | None,
        Field(
            max_length=MAX_COLUMNS,
            description="Left out: those with a range or few values, the lake's own first.",
            examples=[["camera", "place.latitude"]],
        ),
    ] = None
    values: int = Field(VALUES, ge=1, le=MAX_VALUES, description="Of a column, at most.")


class FacetValue(BaseModel):
    value: str | bool
    rows: int


class FacetBin(BaseModel):
    low: float | str = Field(description="Times in ISO 8601.")
    high: float | str = Field(description="Not among its rows, but for the last bin's.")
    rows: int


class Facet(BaseModel):
    name: str
    kind: Literal["values", "lists", "range"] = Field(
        description="values: texts, true and false; lists: rows have several; range: numbers, times."
    )
    rows: int = Field(description="Rows that have a value.")
    nulls: int = Field(description="Rows that have none.")
    values: list[FacetValue] | None = Field(
        None,
        description="Those of most rows first; of a range -inf, inf and nan, which no bin holds, where there are any.",
    )
    more_values: int | None = Field(None, description="Different ones beyond these.")
    bins: list[FacetBin] | None = Field(
        None,
        description="Of equal width but for the last, of times by round dates; none where no value is finite.",
    )


class PlacesFacet(BaseModel):
    latitude: str = Field(description="A column as `where` writes it; so is longitude.")
    longitude: str
    rows: int = Field(description="Rows that have a place.")
    nulls: int = Field(description="Rows that have none.")
    box: tuple[float, float, float, float] | None = Field(
        description="South, west, north and east of all of them, in degrees. West is above east where the box "
        "crosses the antimeridian, as in GeoJSON."
    )
    across: int = Field(description="Cells of the grid over the box from west to east.")
    down: int = Field(description="Cells from north to south.")
    cells: list[tuple[int, int, int]] = Field(
        description="Those that have rows: its number from the west, from the north, its rows."
    )


class FacetsAnswer(BaseModel):
    snapshot: int
    rows: int = Field(description="Rows that pass all conditions.")
    facets: list[Facet]
    places: list[PlacesFacet] = Field(
        description="Where no columns were named: two that hold latitudes and longitudes, as one."
    )


@router.post(
    "/facets",
    response_model=FacetsAnswer,
    responses=ERRORS,
    summary="What columns hold, and how many rows have each value",
)
def facets(request: Request, body: FacetsRequest) -> Response:
    """Values with their numbers of rows, or a histogram, for each column; the exact number of rows
    that pass. Counted on one snapshot.
    """
    examples = body.model_dump(
        include={"query", "texts", "images", "vector"}, exclude_defaults=True
    )
    if examples and body.min_z is not None:
        snapshot, found = _above(request.app.state, body, examples)
    else:
        snapshot, found = _all(request.app.state.hub.lake(body.lake), body)
    answer = {
        "snapshot": snapshot.number,
        "rows": found.rows,
        "facets": [each.to_json() for each in found.facets],
        "places": [each.to_json() for each in found.places],
    }
    return Response(orjson.dumps(answer), media_type="application/json")


def _all(served: ServedLake, body: FacetsRequest) -> tuple[Snapshot, Facets]:
    query = Query().with_options(
        {
            "where": body.where or None,
            "filter": body.filter,
            "decision": body.decision,
            "min_z": body.min_z,
        }
    )
    snapshot = served.lake.snapshot
    try:
        return snapshot, served.lake.count_columns(
            query, body.columns, values=body.values, snapshot=snapshot
        )
    except UnknownFilter as error:  # callers need not know our folders
        raise UnknownFilter(served.name, str(body.filter), error.nearest, field="filter") from None


def _above(state: State, body: FacetsRequest, examples: dict[str, Any]) -> tuple[Snapshot, Facets]:
    """Among the images that match so strongly."""
    options = body.model_dump(include={"lake", "filter", "decision", "min_z"}, exclude_none=True)
    asked = make_plan(state, checked(SearchRequest, examples | options), Uploads()).asked
    among = masks_above(asked)
    found = count(asked.snapshot, body.where or None, body.columns, values=body.values, among=among)
    return asked.snapshot, found
