"""How strongly the rows of a lake match a query, counted: where one sets a cut."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from pydantic import BaseModel, Field, create_model
from starlette.datastructures import State
from starlette.responses import Response

from service.api.forms import checked, only_fields
from service.api.plans import Uploads, make_plan
from service.api.routes.search import ERRORS, option_field, said_in_form
from service.api.schemas import Examples, SearchRequest, Weight, limits_of, type_of
from service.search.query import OPTIONS
from service.search.score_bins import FEWEST_BINS, MOST_BINS
from service.search.score_histogram import BINS, score_histogram

# What narrows the rows, and the cut; how hits are put together does not count here.
COUNTED = [option for option in OPTIONS if option.name in ("where", "filter", "decision", "min_z")]

router = APIRouter(prefix="/v1", tags=["search"])

_fields: dict[str, Any] = {o.name: (type_of(o), Field(None, **limits_of(o))) for o in COUNTED}
_Said: Any = create_model("_Said", __base__=Examples, **_fields)


class ScoresRequest(_Said):  # type: ignore[misc]  # a type checker cannot see fields made from a list
    """A query as `POST /v1/search` takes it, without what only hits have."""

    bins: int = Field(BINS, ge=FEWEST_BINS, le=MOST_BINS, description="At most.")


class ScoresAnswer(BaseModel):
    """Bin i counts the rows from low + i step to below low + (i + 1) step."""

    snapshot: int
    unit: Literal["z", "score"] = Field(
        description="What low, step and best are in; score: the lake has no z."
    )
    rows: int = Field(description="That `where` and the filter keep.")
    low: float = Field(description="Where the first bin begins: a multiple of step.")
    step: float = Field(description="How wide a bin is: 1, 2 or 5 times a power of ten.")
    counts: list[int] = Field(
        description="Rows of each bin. From an edge up they are as many as a search with that min_z "
        "finds; below some 50,000 rows of a large lake, nearly as many."
    )
    best: float | None = Field(description="Of all rows; null: none passes.")
    chance: float | None = Field(
        description="The z that the best of so many rows has where nothing fits; null without z."
    )
    min_z: float | None
    above: int | None = Field(description="Rows whose z is at least min_z, exactly.")


@router.post(
    "/scores",
    response_model=ScoresAnswer,
    responses=ERRORS,
    summary="How strongly all images match a query, counted in bins",
)
def scores(request: Request, body: ScoresRequest) -> Response:
    """Every row that passes is scored: the histogram from which one chooses a `min_z`."""
    return _counted(request.app.state, body, Uploads())


def _scores_by_upload(
    request: Request,
    files: Annotated[list[UploadFile], File(description="The example images.")],
    weights: Annotated[list[Weight], Form(description="One an image; none: 1 each.")] = [],  # noqa: B006
    lake: Annotated[str | None, Form()] = None,
    query: Annotated[str | None, Form(description="As in search: a cat -drawing")] = None,
    texts: Annotated[str | None, Form(description='JSON, as in search: ["a cat"]')] = None,
    images: Annotated[str | None, Form(description="JSON, as in search: [7]")] = None,
    bins: Annotated[int, Form(ge=FEWEST_BINS, le=MOST_BINS, description="At most.")] = BINS,
    **options: Any,
) -> Response:
    """As scores, with images as further examples."""
    said = {"lake": lake, "query": query, "bins": bins, **options}
    said |= said_in_form({"texts": texts, "images": images})
    body = checked(ScoresRequest, said)
    return _counted(request.app.state, body, Uploads(files, weights))


def _with_options(endpoint: Any) -> Any:
    known = signature(endpoint, eval_str=True)
    fields = [each for each in known.parameters.values() if each.kind != Parameter.VAR_KEYWORD]
    fields += [option_field(option) for option in COUNTED]
    endpoint.__signature__ = known.replace(parameters=fields)
    return endpoint


scores_by_upload = router.post(
    "/scores/upload",
    response_model=ScoresAnswer,
    responses=ERRORS,
    summary="How strongly all images match uploaded ones, counted in bins",
    name="scores_by_upload",
    dependencies=[
        Depends(
            only_fields(
                {"files", "weights", *ScoresRequest.model_fields} - {"vector"},
                "/docs lists those there are",
            )
        )
    ],
)(_with_options(_scores_by_upload))


def _counted(state: State, body: ScoresRequest, uploads: Uploads) -> Response:
    said = body.model_dump(exclude={"bins"}, exclude_none=True)
    plan = make_plan(state, checked(SearchRequest, said), uploads)
    found = score_histogram(plan.asked, body.bins)
    answer = {"snapshot": plan.asked.snapshot.number} | found.to_json()
    return Response(orjson.dumps(answer), media_type="application/json")
