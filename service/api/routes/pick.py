"""Which images of a lake to label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from indexer.errors import BadRequest
from service.api.schemas import ErrorAnswer, Finite, Strict
from service.api.serving.hub import ServedLake
from service.curate.picking.pick import Picks
from service.relevance import Filter
from service.where.syntax import MAX_BYTES

MOST_PICKS = 1_000  # of one request: more take minutes
MOST_LIMITS = 20

router = APIRouter(prefix="/v1/lakes/{lake}/pick", tags=["curate"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 413, 422, 429, 503)
}
LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]
Where = Annotated[str, Field(min_length=1, max_length=MAX_BYTES)]


class AtMostAsked(Strict):
    column: str = Field(max_length=MAX_BYTES, description="As `where` writes it.")
    picks: int = Field(ge=1, lt=2**53, description="Of each of its values.")


class AtLeastAsked(Strict):
    """Picks that pass: a number of them, or a share of all."""

    where: Where
    picks: int | None = Field(None, ge=1, lt=2**53)
    share: Finite | None = Field(None, gt=0, le=1)


class PickRequest(Strict):
    n: int = Field(ge=1, le=MOST_PICKS, description="`lakesift curate pick` takes 20,000.")
    by: Literal["coverage", "diversity"] = Field(
        "coverage",
        description="coverage: each image of the lake is as near as can be to a pick; diversity: they lie far apart, "
        "the odd ones first.",
    )
    where: Where | None = Field(None, description="Pick of these, to stand for these alone.")
    labelled: Where | None = Field(
        None, description="Images that have labels: they count as picked before."
    )
    unsure_of: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="A filter: stand for what it is unsure of, instead of for all images alike. What "
        "people answered for it counts as labelled.",
    )
    at_most: list[AtMostAsked] = Field([], max_length=MOST_LIMITS)
    at_least: list[AtLeastAsked] = Field([], max_length=MOST_LIMITS)
    within: Finite | None = Field(
        None, ge=-1, le=1, description="A cosine: which share of the images has a pick this near."
    )
    seed: int = Field(0, ge=0, lt=2**53, description="Of what is drawn at random.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"n": 3},
                {
                    "n": 2,
                    "by": "diversity",
                    "where": "width_px >= 4",
                    "at_most": [{"column": "format", "picks": 1}],
                    "at_least": [{"where": "row_id < 3", "share": 0.5}],
                },
            ]
        },
    )


class WantedFacts(BaseModel):
    where: str
    count: int = Field(description="Asked for.")
    picked: int = Field(description="Picks that pass; fewer where no more keep to the limits.")


class WithinFacts(BaseModel):
    cosine: float
    share: float = Field(description="Of the images, that have a pick this near.")
    low: float = Field(description="Of an interval of 95 %.")
    high: float
    random_share: float = Field(description="Of as many picked at random.")


class ReachFacts(BaseModel):
    mean: float = Field(description="Cosine of an image to its nearest pick.")
    low: float = Field(description="Of an interval of 95 %.")
    high: float
    counted: int = Field(description="Images drawn to count it; all of a small lake.")
    random_mean: float = Field(description="Of as many picked at random.")
    random_needed: int | None = Field(
        description="So many picked at random come as near; null: more than were tried would."
    )
    random_tried: int
    within: WithinFacts | None = Field(description="Null: no cosine was named.")


class PicksAnswer(BaseModel):
    row_ids: list[int] = Field(
        description="In the order they were picked: any first so many are picks, too."
    )
    by: str
    seed: int
    snapshot: int
    rows: int = Field(description="Images that pass where.")
    compared: int = Field(description="Of these, that stood for all.")
    labelled: int = Field(description="That counted as picked before.")
    unsure_of: str | None = Field(
        description="The filter whose doubts they stand for; null: they stand for all images alike."
    )
    wanted: list[WantedFacts] = Field(description="What came of at_least.")
    reach: ReachFacts | None = Field(
        description="Null: nothing was picked, or there was nothing to stand for."
    )


@router.post(
    "",
    response_model=PicksAnswer,
    responses=ERRORS,
    summary="Images to label, and how much of the lake they stand for",
)
def pick(request: Request, lake: LakeName, body: PickRequest) -> Response:
    """As `lakesift curate pick`. Nothing is written: `POST /v1/lakes/{lake}/tags` keeps them. One
    request is worked out at a time; meanwhile others get 429.
    """
    served: ServedLake = request.app.state.hub.lake(lake)
    at_most = _each_once("at_most", [(each.column, each.picks) for each in body.at_most])
    at_least = _each_once("at_least", [(each.where, _number(each)) for each in body.at_least])
    with request.app.state.picking:
        picks = _picker(request, served, body.unsure_of)(
            body.n,
            by=body.by,
            where=body.where,
            labelled=body.labelled,
            at_most=at_most,
            at_least=at_least,
            within=body.within,
            seed=body.seed,
        )
    return Response(orjson.dumps(picks.to_json()), media_type="application/json")


def _picker(request: Request, served: ServedLake, unsure_of: str | None) -> Callable[..., Picks]:
    """:raises UnknownFilter: if there is no such filter."""
    if unsure_of is None:
        return served.lake.pick
    opened: Filter = request.app.state.filters.get(served.name, unsure_of)
    return opened.pick


def _each_once(field: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """:raises BadRequest: if two say something of the same: which one is meant nobody knows."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(field, f"it says something of {twice} twice; say one number")
    return found


def _number(asked: AtLeastAsked) -> int | float:
    """:raises BadRequest: if not one of a number and a share is said."""
    if (asked.picks is None) == (asked.share is None):
        raise BadRequest(
            "at_least", f"of {asked.where} it needs one of picks, a number, and share, as 0.2"
        )
    return asked.picks if asked.picks is not None else float(asked.share or 0)
