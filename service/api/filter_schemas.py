"""The shapes of requests about filters; field names are those of `lakesift filter --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypeAliasType

from service.api.schemas import MAX_EXAMPLES, RowId, Strict, Text
from service.formats.format_list import downloads, names
from service.relevance.decisions.answers import AppliedAnswer, InForce, RefusedAnswer
from service.relevance.promise.prices import HIGHEST_PRICE
from service.relevance.promise.progress import Progress, Purpose

MAX_NEXT = 1_000
MAX_LABELS = 10_000  # of one request
MAX_LABELLER_CHARS = 64

Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Price = Annotated[float | None, Field(ge=0, le=HIGHEST_PRICE, allow_inf_nan=False)]
Labeller = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_LABELLER_CHARS),
    Field(
        description="Who answers; without it all answers are one unnamed person's. Where keys are "
        "asked for it is the key's name, and no other is taken."
    ),
]
if TYPE_CHECKING:
    Format = str
else:  # a Literal of what the list of formats says, which mypy cannot read
    Format = Literal[tuple(names(downloads()))]


def _with_examples(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class ExamplesSaid(Strict):
    """What one side looks like."""

    texts: list[Text] = Field(default=[], fail_fast=True, max_length=MAX_EXAMPLES)
    row_ids: list[RowId] = Field(
        default=[],
        fail_fast=True,
        max_length=MAX_EXAMPLES,
        description="Rows of the lake as examples.",
    )


class TargetSaid(Strict):
    """The wanted promise; recall 0.95 where neither recall nor precision is said."""

    recall: Share | None = Field(
        default=None,
        description="Of all relevant images, at least this share is kept or asked about.",
    )
    precision: Share | None = Field(
        default=None, description="Of all kept images, at least this share is relevant."
    )
    confidence: Share = 0.95


class NewFilter(Strict):
    """A draft: it scores, and promises nothing yet."""

    name: str = Field(
        max_length=255, description="1 to 64 of a-z, 0-9, _ . and -; a letter or digit first."
    )
    keep: ExamplesSaid = ExamplesSaid()
    drop: ExamplesSaid = ExamplesSaid()
    where: str | None = Field(
        None, description="SQL over the rows' columns: only these are looked at."
    )
    target: TargetSaid = TargetSaid()

    model_config = _with_examples(
        {
            "name": "hospital",
            "keep": {"texts": ["a hospital room", "a hospital corridor"]},
            "drop": {"texts": ["an office"]},
            "where": "width_px >= 640",
            "target": {"recall": 0.95, "confidence": 0.95},
        }
    )


class NextRequest(Strict):
    n: int = Field(20, ge=1, le=MAX_NEXT, description="Images wanted.")
    purpose: Purpose | None = Field(
        None,
        description="teach: the most useful; audit: drawn at random, to measure. The first request for audit begins "
        "one, which fixes the scorer. Left out: audit once one was begun.",
    )
    again: bool = Field(False, description="True begins a new audit; the one before is over.")
    follow: bool = Field(
        False,
        description="True lets the audit in force follow the lake: its answers go on counting, and images that came "
        "since are drawn from alone.",
    )
    budget: int | None = Field(
        None,
        ge=1,
        lt=2**31,
        description="Labels that an audit begun now may take, or one under way instead of its own; left out: the "
        "least work in all.",
    )

    assume: Literal["tail"] | None = Field(
        default=None, description="Share out an audit begun now for an apply that assumes the tail."
    )

    labeller: Labeller | None = Field(
        default=None,
        description="Who will answer: what others were handed in the last ten minutes is left out, "
        "and these rows are left out for others so long. Where keys are asked for it is the key's "
        "name. Left out: neither.",
    )
    double: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The share of what one other person answered that this labeller is asked, too.",
    )
    price: Price = Field(
        default=None,
        description="Of an annotation. With a price an audit begun now aims at the cheapest line.",
    )
    label_price: Price = Field(
        default=None, description="Of one yes or no; left out: half an annotation."
    )
    miss_price: Price = Field(
        default=None, description="Of a relevant image that is dropped; left out: none."
    )
    every: str | None = Field(
        default=None,
        min_length=1,
        max_length=1_000,
        description="A column: an audit begun now is to promise the recall in every group of its values.",
    )
    scene: str | None = Field(
        default=None,
        min_length=1,
        max_length=1_000,
        description="A column, or group: an audit begun now draws scenes, the images of one value of it, and is to "
        "promise the share of relevant scenes that keep a relevant image. It asks for whole scenes.",
    )

    model_config = _with_examples(
        {"n": 20},
        {"n": 50, "purpose": "audit"},
        {"n": 50, "purpose": "audit", "label_price": 0.03},
        {"n": 20, "labeller": "ann", "double": 0.1},
    )


class LabelSaid(Strict):
    """An answer about one image, named by row_id or by uri."""

    row_id: RowId | None = None
    uri: str | None = Field(None, min_length=1, max_length=8_192)
    label: Literal["yes", "no", "skip"]
    labeller: Labeller | None = None


class LabelRequest(Strict):
    labels: list[LabelSaid] = Field(min_length=1, max_length=MAX_LABELS, fail_fast=True)
    only_open: bool = Field(
        False,
        description="True passes over rows that another labeller has answered, as since they were "
        "shown, and tells which; no row gets two people's answers so.",
    )
    settle: bool = Field(
        False,
        description="True decides rows on which people disagree: these answers count until they are "
        "taken back. Of rows without a conflict they are of no use. Not with only_open.",
    )

    model_config = _with_examples(
        {"labels": [{"row_id": 1, "label": "yes", "labeller": "ann"}, {"row_id": 2, "label": "no"}]}
    )


class UndoRequest(Strict):
    """These answers, or the last one: of this row, by this person, at all; or of each of some."""

    seqs: list[Annotated[int, Field(ge=1, lt=2**53)]] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LABELS,
        fail_fast=True,
        description="Exactly these answers, by the numbers that `/label` gave, or none: 409 if one was taken back, "
        "or the same person answered its row since. Of two who say no name, neither takes back what the other said. "
        "Without rows and act.",
    )
    row_id: RowId | None = None
    row_ids: list[RowId] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NEXT,
        fail_fast=True,
        description="This labeller's last answer of each of these, all at once; instead of row_id.",
    )
    labeller: Labeller | None = None
    act: bool = Field(
        False,
        description="True: all that was answered in one request with the last answer; without rows.",
    )

    model_config = _with_examples({"seqs": [7]}, {"labeller": "ann"}, {"row_id": 12})


class ApplyRequest(Strict):
    ask: bool = Field(False, description="True leaves images between keep and drop to a person.")
    recall: Share | None = Field(
        default=None,
        description="Promise this recall, at most the filter's own. Left out: the filter's.",
    )
    confidence: Share | None = Field(
        default=None, description="Be so sure of the promise. Left out: as the filter has it."
    )

    assume: Literal["tail"] | None = Field(
        default=None,
        description="tail: below a line the log-odds of relevance go on falling with the score at least as fast as the "
        "audit shows above it. Left out: nothing is assumed.",
    )
    price: Price = Field(
        default=None,
        description="Of an annotation. With a price and ask, what is kept is asked about where a look is cheaper.",
    )
    label_price: Price = Field(
        default=None,
        description="Of one look; left out: half an annotation. Where no price is said, those that the audit was "
        "begun with count.",
    )

    model_config = _with_examples(
        {}, {"ask": True}, {"recall": 0.8, "confidence": 0.9}, {"assume": "tail"}
    )


# What one route alone answers; all other answers are the filter's own, see `service.relevance`.


class ProgressAnswer(BaseModel):
    filter: str
    version: int
    progress: Progress


class FilterAnswer(BaseModel):
    """One version of a filter, as `filters/<name>/<version>.json` has it but for its checksums,
    and where its labels stand now.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    version: int
    reason: str
    keep: dict[str, Any]
    drop: dict[str, Any]
    where: str | None
    target: dict[str, Any]
    snapshot: int
    versions: list[int]
    progress: Progress
    applied: InForce | None = Field(
        description="What the version applied last says now; null: none was applied."
    )


ApplyAnswer = TypeAliasType(
    "ApplyAnswer",
    Annotated[
        AppliedAnswer | RefusedAnswer,
        Field(description="Either what was decided and is promised, or why nothing was."),
    ],
)


class DeletedAnswer(BaseModel):
    deleted: str
    kept_in: str = Field(description="Where its files lie now, below the lake's folder.")
