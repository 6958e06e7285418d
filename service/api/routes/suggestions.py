"""What one may try in a lake: what the first screen offers."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from indexer.errors import LakeError
from service.api.schemas import ErrorAnswer
from service.api.serving.hub import ServedLake
from service.search.suggestions import Suggestion as Suggested

router = APIRouter(prefix="/v1/lakes/{lake}/suggestions", tags=["lakes"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 422, 429, 503)
}
LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]


class Suggestion(BaseModel):
    text: str = Field(description="As people read it.", examples=["weather: fog", "a cat"])
    query: str | None = Field(description="Words to search for.")
    where: str | None = Field(description="As search takes it. One of the two is there.")


class SuggestionsAnswer(BaseModel):
    snapshot: int
    suggestions: list[Suggestion]


@router.get(
    "", response_model=SuggestionsAnswer, responses=ERRORS, summary="What one may try in a lake"
)
def suggestions(
    request: Request,
    lake: LakeName,
    of: Annotated[
        Literal["columns", "words"],
        Query(
            description="columns: values of the lake's own columns, and its latest month or day; "
            "words: what many of its images show."
        ),
    ],
) -> dict[str, Any]:
    """Each finds something: a value is one that a row has, and a word is one that images match far
    beyond chance. Worked out once a snapshot; while it is, and where a lake has nothing to tell by,
    there are none. Words need the lake's model, and 100 images.
    """
    served: ServedLake = request.app.state.hub.lake(lake)
    snapshot, suggested = served.lake.snapshot, served.lake.suggested
    found: tuple[Suggested, ...] = ()
    if of == "columns":
        found = suggested.columns(snapshot)
    else:
        # They only help: a search says what is wrong with the model.
        with suppress(LakeError):
            found = suggested.words(snapshot, lambda texts: served.embedder().embed_texts(texts))
    return {"snapshot": snapshot.number, "suggestions": [each.to_json() for each in found]}
