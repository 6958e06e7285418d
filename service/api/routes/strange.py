"""Which images of a lake stand alone."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api.schemas import ErrorAnswer, Finite, Strict
from service.api.serving.hub import ServedLake
from service.curate.strange.strange import Q, strange
from service.where.syntax import MAX_BYTES

MOST_TOLD = 1_000  # of one answer

router = APIRouter(prefix="/v1/lakes/{lake}/strange", tags=["curate"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 413, 422, 429, 503)
}
LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]
Where = Annotated[str, Field(min_length=1, max_length=MAX_BYTES)]


class StrangeRequest(Strict):
    n: int = Field(100, ge=1, le=MOST_TOLD, description="Told at most, the strangest first.")
    where: Where | None = Field(
        None, description="Look at these alone; 100 images at least must pass."
    )
    labelled: Where | None = Field(
        None,
        description="Images that have labels: what is far from all of them is looked for, instead of what is far from "
        "all others.",
    )
    q: Finite = Field(
        Q, gt=0, le=1, description="Of what is found at most this share may be there by chance."
    )
    seed: int = Field(
        0, ge=0, lt=2**53, description="Of what is drawn at random of more than 20,000 images."
    )

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"n": 20}]})


class StrangeFacts(BaseModel):
    row_id: int
    cosine: float = Field(
        description="With the tenth nearest of the others, or the nearest of those labelled."
    )
    nearest: int = Field(
        description="row_id of what it is most like of all that it was compared with."
    )
    nearest_cosine: float
    p: float = Field(
        description="The chance that a usual image is as far, if the tail of distances falls off above as below."
    )
    q: float = Field(description="Benjamini and Hochberg's, among all images that were looked at.")
    group: int = Field(description="Which of `groups` it is of, from 1.")


class StrangeGroupFacts(BaseModel):
    words: str = Field(
        description="The phrase, of those that photos are often of, that they match more than the lake does."
    )
    row_ids: list[int] = Field(description="The strangest first.")


class StrangeAnswer(BaseModel):
    snapshot: int
    seed: int
    rows: int = Field(description="Images that were looked at.")
    compared_with: int = Field(
        description="Images, drawn of a large lake, that they were compared with."
    )
    labelled: int | None = Field(description="Null: they were compared with each other.")
    usual: float = Field(description="The cosine, as of `images`, of the image in the middle.")
    found: int = Field(description="With q small enough; `images` has n of them at most.")
    images: list[StrangeFacts]
    groups: list[StrangeGroupFacts] = Field(description="Strange images that are like each other.")


@router.post(
    "",
    response_model=StrangeAnswer,
    responses=ERRORS,
    summary="Images that stand alone, in groups that have a name",
)
def strange_images(request: Request, lake: LakeName, body: StrangeRequest) -> Response:
    """As `lakesift curate strange`. Nothing is written: `POST /v1/lakes/{lake}/tags` keeps them.
    One request is worked out at a time; meanwhile others get 429.
    """
    served: ServedLake = request.app.state.hub.lake(lake)
    with request.app.state.straying:
        found = strange(
            served.lake.snapshot,
            body.n,
            where=body.where,
            labelled=body.labelled,
            embed=lambda texts: served.embedder().embed_texts(texts),
            q=body.q,
            seed=body.seed,
        )
    return Response(orjson.dumps(found.to_json()), media_type="application/json")
