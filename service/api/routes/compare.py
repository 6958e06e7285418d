"""What one set of a lake's images has more of than another."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api.schemas import ErrorAnswer, Finite, Strict
from service.api.serving.hub import ServedLake
from service.curate.comparing.compare import Q, compare
from service.where.syntax import MAX_BYTES

MOST_PHRASES = 100

router = APIRouter(prefix="/v1/lakes/{lake}/compare", tags=["curate"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 413, 422, 429, 503)
}
LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]
Where = Annotated[str, Field(min_length=1, max_length=MAX_BYTES)]
Phrase = Annotated[str, Field(min_length=1, max_length=200)]


class CompareRequest(Strict):
    a: Where = Field(description="Images that pass are one set.")
    b: Where | None = Field(
        None, description="Images that pass are the other; left out: all that are not of a."
    )
    phrases: list[Phrase] = Field(
        [],
        max_length=MOST_PHRASES,
        description="To name differences by, beside a vocabulary of what photos are often of.",
    )
    one_per: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="A column: of each value one image of each set is taken, as of a video.",
    )
    q: Finite = Field(
        Q, gt=0, le=1, description="Of what is told at most this share may be there by chance."
    )
    seed: int = Field(0, ge=0, lt=2**53, description="Of what is drawn at random.")

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"a": "width_px < 100"}]}
    )


class SuccessionFacts(BaseModel):
    next: float = Field(
        description="Mean cosine of an image of the set with the one that follows it in the lake."
    )
    tenth: float = Field(description="With the one ten further on.")
    hangs_together: bool = Field(
        description="It is more like the next, or a copy of it, as frames of a video are: p and q are too small then. "
        "See one_per."
    )


class SideFacts(BaseModel):
    where: str | None = Field(description="Null: all that are not of the other.")
    rows: int = Field(description="That pass.")
    drawn: int = Field(description="Of these, that were compared.")
    succession: SuccessionFacts | None = Field(description="Null: they are too few to tell.")


class ApartFacts(BaseModel):
    auc: float = Field(
        description="Of an image of a and one of b, how often a line through the vectors tells which is "
        "which; 0.5 is by chance."
    )
    p: float = Field(
        description="How often sets that are mixed up at random are told apart as well."
    )
    permutations: int


class DifferenceFacts(BaseModel):
    words: str = Field(
        description="A phrase; of a cluster, the one that its images match more than others do."
    )
    in_a: int
    of_a: int = Field(description="Images of a that were counted.")
    in_b: int
    of_b: int
    share_a: float
    share_b: float
    p: float = Field(description="Fisher's exact test of these counts.")
    q: float = Field(description="Benjamini and Hochberg's, among all that were counted.")
    examples: list[int] = Field(description="row_ids of the set that has more of it.")


class ComparisonAnswer(BaseModel):
    snapshot: int
    seed: int
    a: SideFacts
    b: SideFacts
    apart: ApartFacts
    clusters: list[DifferenceFacts] = Field(description="That differ, the surest first.")
    clusters_counted: int
    phrases: list[DifferenceFacts] = Field(description="Likewise.")
    phrases_counted: int


@router.post(
    "",
    response_model=ComparisonAnswer,
    responses=ERRORS,
    summary="Whether two sets of images differ, where, and in words",
)
def compared(request: Request, lake: LakeName, body: CompareRequest) -> Response:
    """As `lakesift curate compare`. Nothing is written. One request is worked out at a time;
    meanwhile others get 429.
    """
    served: ServedLake = request.app.state.hub.lake(lake)
    with request.app.state.comparing:
        found = compare(
            served.lake.snapshot,
            body.a,
            body.b,
            embed=lambda texts: served.embedder().embed_texts(texts),
            phrases=body.phrases,
            one_per=body.one_per,
            q=body.q,
            seed=body.seed,
        )
    return Response(orjson.dumps(found.to_json()), media_type="application/json")
