"""The shapes of requests and answers: what OpenAPI shows,
and the limits that are checked before anything runs.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from indexer.errors import BadRequest
from service.search.decided import Decision as Decision
from service.search.decided import Wanted
from service.search.json_values import numbers_of
from service.search.query import OPTIONS, Option

MAX_TEXT_CHARS = 2_000
MAX_EXAMPLES = 64
MAX_DIM = 8_192
MAX_BASE64_CHARS = 43_692  # of MAX_DIM float32 numbers
MAX_SEARCHES = 64  # in one request
MAX_CURSOR_CHARS = 60_000  # a vector of MAX_DIM and a where of 4 kB
MAX_ROWS_CURSOR_CHARS = 8_000  # the same without the vector: it travels in the address
_SIZE = "Upright; null where the row was imported and its image was not read yet."
CURSOR_PATTERN = "^[A-Za-z0-9_-]*$"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "it is empty; say what you look for")
    return text


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
        """Of many unknown fields all but the first pass unseen:
        to describe 90,000, as 1 MB has, takes a second.
        """
        if not isinstance(said, dict):
            return said
        known = cls.model_fields
        unseen = set([name for name in said if name not in known][1:])
        return (
            {name: value for name, value in said.items() if name not in unseen} if unseen else said
        )


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
    raise PydanticCustomError(
        "not_a_text", 'write it as "a cat", or as {"text": "a cat", "weight": 1}'
    )


def _row_alone(said: Any) -> Any:
    if isinstance(said, int) and not isinstance(said, bool):
        return {"row_id": said}
    if isinstance(said, dict | RowExample):
        return said
    raise PydanticCustomError("not_a_row", 'write it as 7, or as {"row_id": 7, "weight": 1}')


def _from_base64(said: Any) -> Any:
    if not isinstance(said, str):
        return said
    if len(said) > MAX_BASE64_CHARS:
        raise PydanticCustomError("too_long", f"it has more than {MAX_DIM:,} numbers")
    try:
        return numbers_of(said)
    except BadRequest as error:
        raise PydanticCustomError("base64", "{reason}", {"reason": error.reason}) from None


_Listed = Annotated[list[Finite], Field(min_length=1, max_length=MAX_DIM, fail_fast=True)]
_InBase64 = Annotated[str, Field(max_length=MAX_BASE64_CHARS, json_schema_extra={"format": "byte"})]
# A vector as a list of numbers, or in base64.
Numbers = Annotated[
    _Listed, BeforeValidator(_from_base64, json_schema_input_type=_Listed | _InBase64)
]
# An example alone, without its object, has weight 1.
SaidText = Annotated[
    TextExample, BeforeValidator(_text_alone, json_schema_input_type=Text | TextExample)
]
SaidRow = Annotated[
    RowExample, BeforeValidator(_row_alone, json_schema_input_type=RowId | RowExample)
]


class Examples(Strict):
    """What is wanted and unwanted."""

    lake: str | None = Field(
        None, max_length=255, description="May be left out where one lake is served."
    )
    query: Text | None = Field(
        None,
        description="As a person types it: words outside quotes are one wanted text, words in quotes one of their "
        'own, and -word or -"some words" is unwanted: `"hospital room" at night -baby`. Each has weight 1, or -1; '
        "texts are taken as they are.",
    )
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
    vector: Numbers | None = Field(
        None,
        description="One more wanted example, made by the lake's own model; any length but zero. A list of numbers, "
        "or its float32 numbers, little-endian, in base64, as `POST /v1/embeddings` gives them.",
    )


def type_of(option: Option) -> Any:
    """The type of a query's option, as a request may say it or leave it out."""
    if option.is_object:
        return object_of(option.type) | None
    return (Finite if option.type is float else option.type) | None


@cache
def object_of(kind: type) -> type[Strict]:
    """A dataclass of an option's values, as a request says it."""
    kinds = get_type_hints(kind)
    said: dict[str, Any] = {
        field.name: (kinds[field.name], Field(..., **_limits(**field.metadata)))
        for field in fields(kind)
    }
    return create_model(kind.__name__, __base__=Strict, __doc__=kind.__doc__, **said)


def limits_of(option: Option) -> dict[str, Any]:
    """The limits and the description of a query's option, as pydantic's fields take them."""
    return _limits(option.at_least, option.lengths, option.at_most) | {
        "description": option.description
    }


def _limits(
    at_least: int | None = None,
    lengths: tuple[int | None, int | None] = (None, None),
    at_most: int | None = None,
) -> dict[str, Any]:
    return {"ge": at_least, "le": at_most, "min_length": lengths[0], "max_length": lengths[1]}


# A query's options are listed once, in `service.search.query`.
_fields: dict[str, Any] = {o.name: (type_of(o), Field(None, **limits_of(o))) for o in OPTIONS}
_Said: Any = create_model("_Said", __base__=Examples, **_fields)


class SearchRequest(_Said):  # type: ignore[misc]  # a type checker cannot see fields made from a list
    """What is wanted and unwanted; the query's vector is the
    weighted sum of the examples, normalised.
    """

    cursor: str | None = Field(
        None,
        max_length=MAX_CURSOR_CHARS,
        pattern=CURSOR_PATTERN,
        description="next_cursor of the page before, with the same query or alone.",
    )

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"texts": ["a cat"], "k": 10},
                {"query": "a hospital room -baby", "k": 10},
                {
                    "texts": [{"text": "a street"}, {"text": "rain", "weight": -0.5}],
                    "images": [{"row_id": 1, "weight": 1}],
                    "where": "width_px >= 640",
                    "collapse": True,
                },
            ]
        },
    )


class Span(BaseModel):
    """From when to when a video or a recording shows what was found, as `time_us` counts."""

    from_us: int
    to_us: int = Field(description="When its last frame is shown, or until when it stays so.")
    frames: int = Field(description="Rows in it that fit; not each row between may.")


class Share(BaseModel):
    """What one of the query's examples adds to a hit's score."""

    kind: Literal["text", "image", "row", "vector"]
    value: str | int = Field(
        description="The text; the row_id; the number of an uploaded image or of a vector, from 0."
    )
    weight: float
    cosine: float = Field(description="Of this example alone with the hit, in [-1, 1].")
    share: float = Field(
        description="weight x cosine / the length of the weighted sum of all examples, each of length 1. The shares "
        "of a hit add up to its score, but for rounding."
    )


class Hit(BaseModel):
    """One image found."""

    row_id: int
    score: float = Field(description="Cosine with the query, in [-1, 1].")
    z: float | None = Field(
        description="How far the score stands out from the lake's background; null under 100 rows."
    )
    uri: str
    width_px: int | None = Field(description=_SIZE)
    height_px: int | None = Field(description=_SIZE)
    columns: dict[str, Any] = Field(description="The row's other columns that have a value.")
    collapsed: list[int] | None = Field(
        None,
        description="Rows nearly identical to this one that it stands for; only where collapse was asked for.",
    )
    span: Span | None = Field(
        None,
        description="Of the moment whose best frame this is; only where moments was asked for, and of frames of "
        "videos and recordings alone.",
    )
    explain: list[Share] | None = Field(
        None, description="A share for each example of the query; only where explain was asked for."
    )


class SearchedFacts(BaseModel):
    """How a search was done that was asked, or set, to be less than exact."""

    exact: bool = Field(description="True: every row was searched.")
    recall_at_10: dict[str, float] | None = Field(
        None,
        description="Of queries that are an image and of those that are a text: the share of the 10 nearest rows "
        "that a search as deep as this found, in the mean, when it was measured on this lake.",
    )
    recall_at_100: dict[str, float] | None = Field(None, description="The same of the 100 nearest.")
    engine: str | None = Field(
        None,
        description="What named the candidates, pgvector or milvus; their scores and order are the lake's own. "
        "The recalls are then what was measured on searches that people did, left out until one was.",
    )
    candidates: int | None = Field(None, description="That it was asked for.")
    why: str | None = Field(None, description="Why it was exact, though less was asked for.")


class DecidedFacts(BaseModel):
    """Whose decisions a search was restricted to."""

    filter: str
    version: int
    decision: list[Wanted]
    undecided: int = Field(
        description="Live rows without a decision of that version, which are not found: added since, or left out by "
        "the filter's where."
    )


class Nothing(BaseModel):
    """Why no image was found, and the best that there is."""

    message: str = Field(description="One sentence that names what excludes them.")
    rows: int = Field(description="Images of the lake.")
    where: int | None = Field(description="Those that `where` keeps; null: there is none.")
    filter: int | None = Field(description="Those that the filter decided so; null: none is named.")
    passing: int = Field(description="Those that pass both.")
    best: Hit | None = Field(
        description="Of those that pass, whatever its z; where none passes, of all images."
    )


class SearchAnswer(BaseModel):
    """A page of hits, best first, or as `sort` says; ties in order of row_id."""

    snapshot: int
    hits: list[Hit]
    next_cursor: str | None = Field(description="Null at the end.")
    decided: DecidedFacts | None = Field(None, description="Only where a filter was named.")
    searched: SearchedFacts | None = Field(
        None,
        description="Only where less than an exact search was asked for, by `recall` or as the service or the lake "
        "is set, or `exact`.",
    )
    hint: str | None = Field(
        None,
        description="Only on the first page, and where there is one: the model hardly knows the words, "
        "as of another language, and the hits show it.",
    )
    nothing: Nothing | None = Field(
        None, description="Only on the first page, and where no image was found: why."
    )


class Row(BaseModel):
    """One image of a lake."""

    row_id: int
    uri: str
    width_px: int | None = Field(description=_SIZE)
    height_px: int | None = Field(description=_SIZE)
    columns: dict[str, Any]


class RowAnswer(BaseModel):
    snapshot: int
    row: Row


class RowsAnswer(BaseModel):
    snapshot: int
    rows: list[Row]
    next_cursor: str | None
    decided: DecidedFacts | None = Field(None, description="Only where a filter was named.")


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
    stored: bool = Field(
        description="False: only `where` and counts know it; nothing is sorted by it, and no row has it."
    )


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
    engines: dict[str, str] | None = Field(
        None, description="Of lakes that are searched on an engine: ok, or that it cannot be asked."
    )
