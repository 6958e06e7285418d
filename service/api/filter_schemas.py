"""The shapes of requests and answers about filters; field names are those of `lakesift filter --json`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.api.schemas import MAX_EXAMPLES, Decision, Row, RowId, Strict, Text

MAX_NEXT = 1_000
MAX_LABELS = 10_000  # of one request
MAX_LABELLER_CHARS = 64

Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Labeller = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_LABELLER_CHARS),
    Field(description="Who answers; without it all answers are one unnamed person's."),
]
Format = Literal["txt", "csv", "parquet", "coco", "label_studio"]  # those that are one file of names
Order = Literal["line", "random"]
Purpose = Literal["teach", "audit"]
Stage = Literal["draft", "teach", "audit", "applied"]


def _with_examples(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class ExamplesSaid(Strict):
    """What one side looks like."""

    texts: list[Text] = Field(default=[], fail_fast=True, max_length=MAX_EXAMPLES)
    row_ids: list[RowId] = Field(
        default=[], fail_fast=True, max_length=MAX_EXAMPLES, description="Rows of the lake as examples."
    )


class TargetSaid(Strict):
    """The wanted promise; recall 0.95 where neither recall nor precision is said."""

    recall: Share | None = Field(
        default=None, description="Of all relevant images, at least this share is kept or asked about."
    )
    precision: Share | None = Field(
        default=None, description="Of all kept images, at least this share is relevant."
    )
    confidence: Share = 0.95


class NewFilter(Strict):
    """A draft: it scores, and promises nothing yet."""

    name: str = Field(max_length=255, description="1 to 64 of a-z, 0-9, _ . and -; a letter or digit first.")
    keep: ExamplesSaid = ExamplesSaid()
    drop: ExamplesSaid = ExamplesSaid()
    where: str | None = Field(None, description="SQL over the rows' columns: only these are looked at.")
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
    budget: int | None = Field(
        None,
        ge=1,
        lt=2**31,
        description="Labels that an audit begun now may take; left out: the least work in all.",
    )

    assume: Literal["tail"] | None = Field(
        default=None, description="Share out an audit begun now for an apply that assumes the tail."
    )

    model_config = _with_examples({"n": 20}, {"n": 50, "purpose": "audit"})


class LabelSaid(Strict):
    """An answer about one image, named by row_id or by uri."""

    row_id: RowId | None = None
    uri: str | None = Field(None, min_length=1, max_length=8_192)
    label: Literal["yes", "no", "skip"]
    labeller: Labeller | None = None


class LabelRequest(Strict):
    labels: list[LabelSaid] = Field(min_length=1, max_length=MAX_LABELS, fail_fast=True)

    model_config = _with_examples(
        {"labels": [{"row_id": 1, "label": "yes", "labeller": "ann"}, {"row_id": 2, "label": "no"}]}
    )


class UndoRequest(Strict):
    """The last answer: of this row, by this person, or at all."""

    row_id: RowId | None = None
    labeller: Labeller | None = None

    model_config = _with_examples({"labeller": "ann"}, {"row_id": 12})


class ApplyRequest(Strict):
    ask: bool = Field(False, description="True leaves images between keep and drop to a person.")
    recall: Share | None = Field(
        default=None, description="Promise this recall, at most the filter's own. Left out: the filter's."
    )
    confidence: Share | None = Field(
        default=None, description="Be so sure of the promise. Left out: as the filter has it."
    )

    assume: Literal["tail"] | None = Field(
        default=None,
        description="tail: below a line the log-odds of relevance go on falling with the score at least as fast as the "
        "audit shows above it. Left out: nothing is assumed.",
    )

    model_config = _with_examples({}, {"ask": True}, {"recall": 0.8, "confidence": 0.9}, {"assume": "tail"})


class FilterFacts(BaseModel):
    name: str
    version: int
    stage: Stage
    target: dict[str, Any]
    where: str | None
    snapshot: int
    labels: int
    created_at: str


class DamagedFilter(BaseModel):
    name: str
    message: str = Field(description="What is wrong with it, and the way out.")


class FiltersAnswer(BaseModel):
    filters: list[FilterFacts]
    problems: list[DamagedFilter] = Field(description="Filters that cannot be used; the others can.")


class More(BaseModel):
    labels: int
    drop: int


class AuditProgress(BaseModel):
    number: int
    answered: int
    planned: int | None
    holds: bool = Field(description="The promise holds: apply goes through.")
    still_needed: int | None = Field(description="About how many labels until it holds; null: out of sight.")
    more: More | None = Field(description="What more labels would do, where that pays: images they may drop.")


class Progress(BaseModel):
    labels: int
    yes: int
    no: int
    skipped: int
    conflicts: int = Field(description="Rows that one person answered with yes and another with no.")
    purpose: Purpose
    audit: AuditProgress | None
    stage: Stage


class ProgressAnswer(BaseModel):
    filter: str
    version: int
    progress: Progress


class FilterAnswer(BaseModel):
    """One version of a filter, as `filters/<name>/<version>.json` has it, and where its labels stand now."""

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


class RowToLabel(Row):
    score: float
    probability: float | None = Field(
        description="A calibrated chance of being relevant; null before there are labels."
    )


class NextAnswer(BaseModel):
    filter: str
    version: int
    purpose: Purpose
    rows: list[RowToLabel] = Field(description="Empty: nothing is left to ask.")
    progress: Progress


class Problem(BaseModel):
    index: int = Field(description="Of the label, from 0.")
    message: str


class LabelAnswer(BaseModel):
    saved: int
    problems: list[Problem] = Field(description="Labels of no use; the others are saved.")
    progress: Progress


class Undone(BaseModel):
    row_id: int
    label: str
    labeller: str


class UndoAnswer(BaseModel):
    undone: Undone | None = Field(description="Null: there was nothing to take back.")
    progress: Progress


class PlanOption(BaseModel):
    dropped: int
    kept: int
    recall: float
    labels: int | None = Field(
        description="About how many audit labels it takes; null: more than there are images."
    )


class PlanAnswer(BaseModel):
    rows: int
    relevant: int = Field(description="A forecast of how many images are relevant.")
    options: list[PlanOption]


class ApplyAnswer(BaseModel):
    """Either what was decided and is promised, or why nothing was."""

    model_config = ConfigDict(extra="allow")

    refused: bool
    filter: str
    version: int


class NearestKnown(BaseModel):
    """The image most like it that is known to be wanted, or unwanted: a row, or an example from outside the lake."""

    row_id: int | None
    image: str | None = Field(description="The example's name, where it is not a row.")
    cosine: float = Field(description="Of the two images' vectors, in [-1, 1].")


class RowSampled(RowToLabel):
    label: str | None
    nearest_yes: NearestKnown | None = Field(description="Null: nothing is known to be wanted.")
    nearest_no: NearestKnown | None = Field(description="Null: nothing is known to be unwanted.")


class SamplesAnswer(BaseModel):
    filter: str
    version: int
    decision: Decision
    order: Order
    of: int = Field(description="How many images were decided so.")
    rows: list[RowSampled]


class ImageDecided(BaseModel):
    name: str = Field(description="The file's name as it was sent; files[0] and so on where it has none.")
    decision: Decision | None = Field(description="Null: there is none, and error says why.")
    score: float | None
    probability: float | None = Field(
        description="A calibrated chance of being relevant; null without a calibration."
    )
    label: Literal["yes", "no"] | None = Field(
        description="What a person said of the same image in the lake; the decision follows it."
    )
    error: str | None


class DecideCounts(BaseModel):
    keep: int
    ask: int
    drop: int
    outside: int = Field(description="Images that the filter's where leaves out.")
    unreadable: int


class DriftFound(BaseModel):
    """How the scores compare with those that were audited."""

    warning: bool
    sentence: str
    images: int
    different: float = Field(description="About how many; near-identical ones count together.")
    distance: float | None = Field(
        description="Between the two distributions, 0 to 1; null: too few images to say."
    )
    p_value: float | None = Field(description="At most the chance of such a distance without any drift.")
    above_line_then: float = Field(description="The share at or above the line of what was audited.")
    above_line_now: float | None


class DecideAnswer(BaseModel):
    filter: str
    version: int = Field(description="The latest that was applied.")
    thresholds: dict[str, float]
    promised: Literal[False]
    note: str
    images: list[ImageDecided] = Field(description="One a file, in their order.")
    counts: DecideCounts
    drift: DriftFound


class DeletedAnswer(BaseModel):
    deleted: str
    kept_in: str = Field(description="Where its files lie now, below the lake's folder.")
