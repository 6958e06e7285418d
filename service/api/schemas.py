"""The shapes of requests and answers: what OpenAPI shows, and the limits that are checked before anything runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

MAX_TEXT_CHARS = 2_000
MAX_EXAMPLES = 64
MAX_DIM = 8_192
MAX_CURSOR_CHARS = 60_000  # a vector of MAX_DIM and a where of 4 kB
MAX_ROWS_CURSOR_CHARS = 8_000  # the same without the vector: it travels in the address
CURSOR_PATTERN = "^[A-Za-z0-9_-]*$"
MAX_FILTER_CHARS = 255
DEFAULT_K = 50


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "it is empty; say what you look for")
    return text


Decision = Literal["keep", "ask", "drop"]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Weight = Annotated[
    float, Field(ge=-1_000, le=1_000, allow_inf_nan=False, description="Below zero: unwanted.")
]
RowId = Annotated[int, Field(ge=1, lt=2**53)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS), AfterValidator(_not_blank)]


class Strict(BaseModel):
    """A misspelt field is a mistake worth knowing, not one to pass over."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _one_mistake(cls, said: Any) -> Any:
        """Of many unknown fields all but the first pass unseen: to describe 90,000, as 1 MB has, takes a second."""
        if not isinstance(said, dict):
            return said
        known = cls.model_fields
        unseen = set([name for name in said if name not in known][1:])
        return {name: value for name, value in said.items() if name not in unseen} if unseen else said


class TextExample(Strict):
    text: Text
    weight: Weight = 1.0


class RowExample(Strict):
    row_id: RowId
    weight: Weight = 1.0


def _text_alone(said: Any) -> Any:
    if isinstance(said, str):
        return {"text": said}
    if isinstance(said, dict | TextExample):
        return said
    raise PydanticCustomError("not_a_text", 'write it as "a cat", or as {"text": "a cat", "weight": 1}')


def _row_alone(said: Any) -> Any:
    if isinstance(said, int) and not isinstance(said, bool):
        return {"row_id": said}
    if isinstance(said, dict | RowExample):
        return said
    raise PydanticCustomError("not_a_row", 'write it as 7, or as {"row_id": 7, "weight": 1}')


# An example alone, without its object, has weight 1.
SaidText = Annotated[TextExample, BeforeValidator(_text_alone, json_schema_input_type=Text | TextExample)]
SaidRow = Annotated[RowExample, BeforeValidator(_row_alone, json_schema_input_type=RowId | RowExample)]


class SearchRequest(Strict):
    """What is wanted and unwanted; the query's vector is the weighted sum of the examples, normalised."""

    lake: str | None = Field(None, max_length=255, description="May be left out where one lake is served.")
    texts: list[SaidText] = Field(
        [],
        fail_fast=True,
        max_length=MAX_EXAMPLES,
        description='"a cat" is short for {"text": "a cat", "weight": 1}.',
    )
    images: list[SaidRow] = Field(
        [],
        fail_fast=True,
        max_length=MAX_EXAMPLES,
        description='Rows of the lake as examples; 7 is short for {"row_id": 7, "weight": 1}.',
    )
    vector: list[Finite] | None = Field(
        None,
        min_length=1,
        max_length=MAX_DIM,
        fail_fast=True,
        description="One more wanted example, made by the lake's own model; any length but zero.",
    )
    where: str | None = Field(None, description="SQL over the rows' columns, applied before the top k.")
    filter: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_FILTER_CHARS,
        description="Only rows that this filter decided as `decision` says. NAME, or NAME@VERSION where it is not to "
        "be the version applied last.",
    )
    decision: list[Decision] | None = Field(
        None, min_length=1, max_length=3, description="With `filter`: which rows. Left out: keep."
    )
    k: int | None = Field(
        None,
        ge=1,
        description=f"Hits a page, {DEFAULT_K} if not said. In a stream: hits in all, every row if not said.",
    )
    cursor: str | None = Field(
        None,
        max_length=MAX_CURSOR_CHARS,
        pattern=CURSOR_PATTERN,
        description="next_cursor of the page before, with the same query or alone.",
    )
    min_z: Finite | None = Field(
        None, description="Only hits that stand out by this many robust standard deviations."
    )
    collapse: bool | None = Field(None, description="True: near-identical images become one hit.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"texts": ["a cat"], "k": 10},
                {
                    "texts": [{"text": "a street"}, {"text": "rain", "weight": -0.5}],
                    "images": [{"row_id": 1, "weight": 1}],
                    "where": "width_px >= 640",
                    "collapse": True,
                },
            ]
        },
    )


class Hit(BaseModel):
    """One image found."""

    row_id: int
    score: float = Field(description="Cosine with the query, in [-1, 1].")
    z: float | None = Field(
        description="How far the score stands out from the lake's background; null under 100 rows."
    )
    uri: str
    width_px: int
    height_px: int
    columns: dict[str, Any] = Field(description="The row's other columns that have a value.")
    collapsed: list[int] | None = Field(
        None,
        description="Rows nearly identical to this one that it stands for; only where collapse was asked for.",
    )


class DecidedFacts(BaseModel):
    """Whose decisions a search was restricted to."""

    filter: str
    version: int
    decision: list[Decision]
    undecided: int = Field(
        description="Live rows without a decision of that version, which are not found: added since, or left out by "
        "the filter's where."
    )


class SearchAnswer(BaseModel):
    """A page of hits, best first; ties in order of row_id."""

    snapshot: int
    hits: list[Hit]
    next_cursor: str | None = Field(description="Null at the end.")
    decided: DecidedFacts | None = Field(None, description="Only where a filter was named.")


class Row(BaseModel):
    """One image of a lake."""

    row_id: int
    uri: str
    width_px: int
    height_px: int
    columns: dict[str, Any]


class RowAnswer(BaseModel):
    snapshot: int
    row: Row


class RowsAnswer(BaseModel):
    snapshot: int
    rows: list[Row]
    next_cursor: str | None


class LakeFacts(BaseModel):
    name: str
    rows: int
    snapshot: int
    model: str
    dim: int
    committed_at: str
    problems: list[str] = Field(description="What is damaged or out of reach, a sentence each.")


class LakesAnswer(BaseModel):
    lakes: list[LakeFacts]


class Column(BaseModel):
    name: str = Field(description="As `where` takes it.")
    type: str


class ColumnsAnswer(BaseModel):
    snapshot: int
    columns: list[Column]


class ErrorBody(BaseModel):
    code: str
    message: str = Field(description="One sentence that names the thing and the way out.")
    field: str | None


class ErrorAnswer(BaseModel):
    error: ErrorBody


class Ready(BaseModel):
    ready: bool
    lakes: dict[str, str] = Field(description="Name -> ok, or why it is not ready.")
