"""Searches that people saved by name: all users of the service have them."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from indexer.errors import BadRequest, UnknownSearch
from service.api.routes.tags import SENT, By, LakeName, signed
from service.api.schemas import ErrorAnswer, SearchRequest, Strict
from service.api.serving.hub import ServedLake
from service.search.saved import SavedSearch, SavedSearches
from service.tags.names import UNNAMED

router = APIRouter(prefix="/v1/lakes/{lake}/searches", tags=["saved searches"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 422, 429, 503)
}
SearchName = Annotated[
    str,
    Path(max_length=255, description="1 to 64 letters, digits, '-', '_', '.' and single spaces."),
]


class SaveRequest(Strict):
    """A query to be saved."""

    query: SearchRequest = Field(
        description="As `POST /v1/search` takes it, without lake and cursor: send it there as it is."
    )
    by: By = None


class SavedFacts(BaseModel):
    name: str
    query: dict[str, Any] = Field(description="As `POST /v1/search` takes it.")
    by: str
    at: str = Field(description="ISO 8601.")


class SearchesAnswer(BaseModel):
    searches: list[SavedFacts] = Field(description="By the alphabet.")


@router.get("", response_model=SearchesAnswer, responses=ERRORS, summary="A lake's saved searches")
def list_searches(request: Request, lake: LakeName) -> Response:
    every = _searches(request, lake).all()
    return _json({"searches": [each.to_json() for each in every]})


@router.get("/{name}", response_model=SavedFacts, responses=ERRORS, summary="A saved search")
def saved_search(request: Request, lake: LakeName, name: SearchName) -> Response:
    return _json(_known(request, lake, name).to_json())


@router.put(
    "/{name}",
    response_model=SavedFacts,
    responses={**ERRORS, **SENT},
    summary="Save a search, in place of the one of this name",
)
def save(request: Request, lake: LakeName, name: SearchName, body: SaveRequest) -> Response:
    """Night and night are one name."""
    said = body.query.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    for field in ("lake", "cursor"):
        if field in said:
            raise BadRequest(
                f"query.{field}", "a saved search is of its lake, from its first page on"
            )
    by = signed(request, body.by) or UNNAMED
    return _json(_searches(request, lake).save(name, said, by).to_json())


@router.delete(
    "/{name}", response_model=SavedFacts, responses=ERRORS, summary="Delete a saved search"
)
def delete(request: Request, lake: LakeName, name: SearchName) -> Response:
    """The answer is what it was."""
    _known(request, lake, name)
    return _json(_searches(request, lake).delete(name).to_json())


def _searches(request: Request, lake: str) -> SavedSearches:
    served: ServedLake = request.app.state.hub.lake(lake)
    return served.lake.searches


def _known(request: Request, lake: str, name: str) -> SavedSearch:
    try:
        return _searches(request, lake).get(name)
    except UnknownSearch as error:  # callers need not know our folders
        raise UnknownSearch(lake, name, error.nearest) from None


def _json(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
