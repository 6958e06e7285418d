"""Answers about decisions: what `apply` says, and samples of what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from indexer.errors import BadRequest
from indexer.words import count
from service.relevance.as_json import AsJson, told
from service.relevance.definition import Definition, Target, Thresholds
from service.relevance.promise.applying import Refusal
from service.relevance.scoring.scored_rows import RowToLabel
from service.search.decided import Decision

Order = Literal["line", "random", "people"]


@dataclass(frozen=True, slots=True)
class Promise(AsJson):
    """What is promised: at least these shares, with this confidence."""

    recall: float | None
    precision: float | None
    confidence: float
    assumption: str | None = field(metadata=told("What it rests on beside the answers, by name."))
    both: float | None = field(
        default=None,
        metadata=told(
            "The confidence that both this promise and the same audit's other one hold, which assumes "
            "the tail where this one does not, and nothing where this one does; null: there is no other."
        ),
    )
    every: str | None = field(
        default=None,
        metadata=told("The column in every group of which recall holds; null: of all images."),
    )
    scenes: float | None = field(
        default=None,
        metadata=told(
            "Of all scenes in which something relevant is to be seen, the share that keeps a relevant "
            "image; null: nothing is promised of scenes."
        ),
    )
    scene: str | None = field(
        default=None, metadata=told("The column whose values those scenes are; null: none are.")
    )

    @classmethod
    def wanted(cls, target: Target) -> Promise:
        """The promise that a filter is made for."""
        return cls(target.recall, target.precision, target.confidence, None)

    @property
    def can_follow(self) -> bool:
        """Whether its audit can follow the lake; see `promise/following.py`."""
        others = (self.precision, self.assumption, self.every, self.scene)
        return all(each is None for each in others)

    @property
    def sentence(self) -> str:
        """As in "recall at least 0.95, with confidence 0.95"; and what it assumes, if anything."""
        shares = (("recall", self.recall), ("precision", self.precision))
        parts = [f"{kind} at least {share:g}" for kind, share in shares if share]
        assuming = f", assuming the {self.assumption}" if self.assumption else ""
        if self.every is not None:
            parts[0] += f" in every {self.every}"
        if self.scenes is not None:
            parts.append(scenes_kept(self.scenes, self.scene))
        said = f"{' and '.join(parts)}, with confidence {self.confidence:g}{assuming}"
        if self.both is None:
            return said
        other = "assumes nothing" if self.assumption else "assumes the tail"
        return (
            f"{said}; {self.both:g} that this and the same audit's promise that {other} both hold"
        )


def scenes_kept(share: float, column: str | None) -> str:
    """As in "a relevant image kept of at least 0.95 of all relevant scenes (sequence)"."""
    return f"a relevant image kept of at least {share:g} of all relevant scenes ({column})"


@dataclass(frozen=True, slots=True)
class AnswersUsed(AsJson):
    """The answers that a version was applied with."""

    count: int
    yes: int
    no: int


@dataclass(frozen=True, slots=True)
class AppliedAnswer(AsJson):
    """What was decided, and is promised."""

    refused: Literal[False]
    filter: str
    version: int
    snapshot: int
    rows: int
    kept: int
    asked: int
    dropped: int
    thresholds: Thresholds
    promise: Promise
    measured: Mapping[str, Any] = field(
        metadata=told("Bounds that are promised, and estimates that are not.")
    )
    labels: AnswersUsed | None

    @classmethod
    def of(cls, definition: Definition) -> AppliedAnswer:
        """What `apply` answered for a version that was applied.

        :raises BadRequest: if it was not.
        """
        measured, used = definition.measured or {}, definition.labels
        if definition.thresholds is None:
            raise BadRequest(
                "version", f"{definition.name} version {definition.version} was not applied"
            )
        assumption = measured.get("assumption")
        return cls(
            refused=False,
            filter=definition.name,
            version=definition.version,
            snapshot=definition.snapshot,
            rows=measured["rows"],
            kept=measured["kept"],
            asked=measured["asked"],
            dropped=measured["dropped"],
            thresholds=definition.thresholds,
            promise=Promise(
                recall=measured["recall"]["at_least"],
                precision=measured["precision"]["at_least"],
                confidence=measured["confidence"],
                assumption=assumption["name"] if assumption else None,
                both=measured.get("both"),
                every=(measured.get("every") or {}).get("column"),
                scenes=(measured.get("scenes") or {}).get("at_least"),
                scene=(measured.get("scenes") or {}).get("column"),
            ),
            measured=measured,
            labels=None if used is None else AnswersUsed(used.count, used.yes, used.no),
        )


@dataclass(frozen=True, slots=True)
class InForce(AsJson):
    """What the version applied last still says of the lake as it is now."""

    version: int
    promise: Promise
    smaller: str | None = field(
        metadata=told("Why less is promised than the filter is made for; null: it is not less.")
    )
    undecided: int | None = field(
        metadata=told(
            "Images that the filter looks at and that have no decision, as those added since; "
            "null: they cannot be counted."
        )
    )

    @classmethod
    def of(cls, definition: Definition, undecided: int | None) -> InForce:
        """:param definition: a version that was applied."""
        promise = AppliedAnswer.of(definition).promise
        return cls(definition.version, promise, _why_smaller(promise, definition), undecided)

    def note(self, lake: str, name: str) -> str | None:
        """A sentence about what has no decision; None where there is nothing."""
        if not self.undecided:
            return None
        images = count(self.undecided, "image has", "images have")
        since = f"{images} no decision: added since version {self.version} was audited"
        ask = f"lakesift filter next {lake} {name} --purpose audit"
        if self.promise.can_follow:
            return f"{since}; the same audit takes them in: {ask} --follow"
        return f"{since}; a new audit takes them in: {ask} --again"


def _why_smaller(promise: Promise, definition: Definition) -> str | None:
    target = definition.target
    if promise.scenes is not None:
        return (
            f"version {definition.version} promises nothing of images, but of scenes of {promise.scene}; an audit "
            "begun anew without a scene does"
        )
    pairs = (
        (promise.recall, target.recall),
        (promise.confidence, target.confidence),
        (promise.precision, target.precision),
    )
    if all(wanted is None or (said or 0.0) >= wanted for said, wanted in pairs):
        return None
    return (
        f"version {definition.version} was applied for less than the filter's own "
        f"{Promise.wanted(target).sentence}; apply without a recall or confidence to ask for that"
    )


@dataclass(frozen=True, slots=True)
class RefusedAnswer(AsJson):
    """Why nothing was decided."""

    refused: Literal[True]
    reason: str
    can_promise: Mapping[str, float] | None = field(
        metadata=told(
            "What holds now: recall or precision, with the confidence, and how many images that "
            "would drop; null: nothing."
        )
    )
    labels_missing: int | None = field(
        metadata=told("About how many; null: no number of labels is likely to be enough.")
    )
    filter: str
    version: int

    @classmethod
    def of(cls, definition: Definition, refusal: Refusal) -> RefusedAnswer:
        return cls(
            refused=True,
            reason=refusal.reason,
            can_promise=refusal.can_promise,
            labels_missing=refusal.labels_missing,
            filter=definition.name,
            version=definition.version,
        )


@dataclass(frozen=True, slots=True)
class NearestKnown(AsJson):
    """The image most like it that is known to be wanted, or unwanted:
    a row, or an example from outside the lake.
    """

    row_id: int | None
    image: str | None = field(metadata=told("The example's name, where it is not a row."))
    cosine: float = field(metadata=told("Of the two images' vectors, in [-1, 1]."))


@dataclass(frozen=True, slots=True)
class RowSampled(RowToLabel):
    """An image that was decided, and what it is most like."""

    score: float
    label: str | None
    nearest_yes: NearestKnown | None = field(metadata=told("Null: nothing is known to be wanted."))
    nearest_no: NearestKnown | None = field(metadata=told("Null: nothing is known to be unwanted."))


@dataclass(frozen=True, slots=True)
class SamplesAnswer(AsJson):
    """Some images of one decision."""

    filter: str
    version: int
    decision: Decision
    order: Order
    of: int = field(metadata=told("How many images were decided so."))
    by_people: int = field(
        metadata=told(
            "How many of those people's own answers decided, and not the score: none is next to "
            "the line."
        )
    )
    rows: tuple[RowSampled, ...]


@dataclass(frozen=True, slots=True)
class Change(AsJson):
    """A field that differs between two versions; values are as in JSON."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class DiffAnswer(AsJson):
    """What changed from one version to another."""

    changes: tuple[Change, ...]
