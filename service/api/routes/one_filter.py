"""One filter, as routes name it: the parameters of its path, where it is open, how it answers."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import Path, Query, Request
from starlette.responses import Response

from service.api.schemas import ErrorAnswer
from service.relevance import Filter
from service.relevance.as_json import AsJson
from service.relevance.promise.prices import HIGHEST_PRICE, MAX_CURRENCY_CHARS

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 410, 422, 429, 503)
}

LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]
FilterName = Annotated[str, Path(max_length=255, description="A filter's name.")]
Price = Annotated[
    float | None, Query(ge=0, le=HIGHEST_PRICE, allow_inf_nan=False, description="In one currency.")
]
Currency = Annotated[str | None, Query(max_length=MAX_CURRENCY_CHARS, description="As EUR.")]
Version = Annotated[int | None, Query(ge=1, lt=2**31, description="Left out: the latest.")]


def in_json(answer: AsJson | dict[str, Any], status: int = 200) -> Response:
    document = answer.to_json() if isinstance(answer, AsJson) else answer
    return Response(orjson.dumps(document), status, media_type="application/json")


def filter_of(request: Request, lake: str, name: str) -> Filter:
    found: Filter = request.app.state.filters.get(lake, name)
    return found
