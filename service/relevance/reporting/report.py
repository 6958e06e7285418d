"""The report as values: what came in, what became of it, what is promised, what
it cost, and how sure people are. `facts` makes them, and says what each counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.relevance.as_json import AsJson
from service.relevance.definition import Target, Thresholds
from service.relevance.labels.agreement import Conflict, Pair, Settled
from service.relevance.labels.spent import LabelsSpent
from service.relevance.promise.prices import Prices
from service.relevance.reporting.costs import Misses, Saved
from service.relevance.reporting.duplicates import NearDuplicates
from service.relevance.reporting.examples import Example
from service.relevance.reporting.noise import Check
from service.relevance.reporting.people import ChangedLabel
from service.relevance.reporting.scores import Band, Histogram

IN = "in"  # as JSON calls `came_in`: a word that Python keeps


@dataclass(frozen=True, slots=True)
class Side(AsJson):
    """What one side of the filter looks like."""

    texts: tuple[str, ...]
    examples: int


@dataclass(frozen=True, slots=True)
class BrokenReason(AsJson):
    """Files that cannot be read, for one reason."""

    reason: str
    files: int


@dataclass(frozen=True, slots=True)
class Images(AsJson):
    """What came in, and what became of it. In JSON `came_in` is `in`."""

    came_in: int
    broken: int
    broken_reasons: tuple[BrokenReason, ...]  # the commonest first
    left_out: int  # by where
    looked_at: int
    keep: int | None  # None: nothing is decided
    ask: int | None
    drop: int | None
    near_duplicates: NearDuplicates

    def to_json(self) -> dict[str, Any]:
        found = AsJson.to_json(self)
        return {IN: found.pop("came_in"), **found}

    def __getitem__(self, name: str) -> Any:
        return AsJson.__getitem__(self, "came_in" if name == IN else name)


@dataclass(frozen=True, slots=True)
class Promised(AsJson):
    """What is promised of the decisions, and what is only estimated."""

    recall: Mapping[str, float | None] | None  # at_least, estimate
    precision: Mapping[str, float | None] | None
    confidence: float
    assumption: str | None  # in words
    audit: int | None
    audit_labels: int | None
    relevant_estimate: float | None
    counted: bool
    both: float | None  # see `Promise.both`
    # the column, and of each group of its values what `groups.measured` gives; None: of all images
    every: Mapping[str, Any] | None
    # what `scenes.facts` gives; None: nothing is promised of scenes
    scenes: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class NotDecided(AsJson):
    """Why nothing is decided."""

    reason: str
    can_promise: Mapping[str, float] | None
    labels_missing: int | None
    holds: bool  # it could be applied


@dataclass(frozen=True, slots=True)
class Looks(AsJson):
    """Which images a look is the cheapest for."""

    probability_above: float | None
    probability_below: float
    rows: int
    kept_now: int
    dropped_now: int
    score_from: float | None
    score_to: float | None
    saves: float
    row_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WrongAnswers(AsJson):
    """How many answers are wrong, and what that would do to the promise."""

    rows: int  # that several people answered
    pairs: int
    disagreeing: int
    share: float | None
    checks: tuple[Check, ...]
    seen: str
    warning: str | None


@dataclass(frozen=True, slots=True)
class People(AsJson):
    """Who agrees with whom; the first six as `Agreement` has them."""

    labellers: int
    rows: int
    alpha: float | None
    pairs: tuple[Pair, ...]
    conflicts: tuple[Conflict, ...]
    settled: tuple[Settled, ...]
    changed: tuple[ChangedLabel, ...]
    wrong_answers: WrongAnswers


@dataclass(frozen=True, slots=True)
class Report(AsJson):
    """Everything that the HTML report shows, but for the pictures."""

    filter: str
    version: int
    stage: str
    made_at: str
    lake: str
    snapshot: int
    keep: Side
    drop: Side
    where: str | None
    target: Target
    images: Images
    promise: Promised | None  # None: nothing is decided, and `refusal` says why
    refusal: NotDecided | None
    labels: LabelsSpent
    misses: Misses | None
    prices: Prices
    saved: Saved | None
    ask_band: Looks | None
    line: Thresholds | None
    scores: Histogram
    bands: tuple[Band, ...]
    people: People
    examples: Mapping[str, tuple[Example, ...]]  # by group, as `TITLES` names them
    notes: tuple[str, ...]
