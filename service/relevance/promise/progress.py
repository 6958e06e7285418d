"""Answers about labels and audits: how far they are, and what each line would cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from service.relevance.as_json import AsJson, told
from service.relevance.definition import Definition
from service.relevance.promise.applying import Standing
from service.relevance.promise.following import Following
from service.relevance.promise.groups import GroupFound, found_of
from service.relevance.promise.prices import LABEL_PRICE, Prices

Purpose = Literal["teach", "audit"]
Stage = Literal["draft", "teach", "audit", "applied"]


@dataclass(frozen=True, slots=True)
class More(AsJson):
    """What more labels would do than the promise needs."""

    labels: int
    drop: int


@dataclass(frozen=True, slots=True)
class Follows(AsJson):
    """Of an audit that follows the lake."""

    came: int = field(metadata=told("Images that came since; it draws from them alone."))
    gone: int = field(metadata=told("Images that went since; each counts as what hurts most."))
    labels_before: int = field(metadata=told("Answers from before that go on counting."))


@dataclass(frozen=True, slots=True)
class AuditProgress(AsJson):
    """Where the audit in force stands."""

    number: int
    answered: int
    planned: int | None
    holds: bool = field(metadata=told("The promise holds: apply goes through."))
    still_needed: int | None = field(
        metadata=told("About how many labels until it holds; null: out of sight.")
    )
    more: More | None = field(
        metadata=told("What more labels would do, where that pays: images they may drop.")
    )
    budget: int | None = field(
        metadata=told("Labels that it may take, where a person said so; null: nobody did.")
    )
    rows: int = field(metadata=told("Images that it decides, if it is applied."))
    drops: int | None = field(
        metadata=told("How many of them apply would drop now; null: the promise does not hold.")
    )
    sure: float | None = field(
        metadata=told(
            "How sure it is by now, from 0 to 1, that what is wanted holds if hardly anything is "
            "dropped: it rises with the answers, and never falls. Null: the tail is assumed, or "
            "there is nothing to draw a line between."
        )
    )
    recall_shown: float | None = field(
        metadata=told("The recall that holds already with the wanted confidence; null: none yet.")
    )
    precision_shown: float | None = field(metadata=told("Likewise of precision."))
    needs_ask: bool = field(
        metadata=told("Recall and precision hold, but at two lines: apply goes through with ask.")
    )
    label_price: float = field(
        metadata=told("What a label counts in `more`, in annotations: the price it was begun with.")
    )
    every: str | None = field(
        metadata=told("The column in every group of which recall is wanted; null: of all images.")
    )
    groups: tuple[GroupFound, ...]
    scene: str | None = field(
        metadata=told(
            "The column of whose scenes it draws: answered, planned, budget and labels count scenes "
            "then; null: it draws images."
        )
    )
    scenes_shown: float | None = field(
        metadata=told(
            "The share of relevant scenes of which a relevant image is kept that holds already with "
            "the wanted confidence; null: none yet, or it draws images."
        )
    )
    follows: Follows | None = field(
        metadata=told("Where it follows the lake, what came and went since; null: it does not.")
    )

    @classmethod
    def of(cls, standing: Standing, said: Mapping[int, str]) -> AuditProgress:
        """:param said: row_id -> yes, no, skip or conflict."""
        audit, (labels, drop) = standing.audit, standing.more
        worth = audit.design.worth
        return cls(
            number=audit.design.number,
            answered=len(audit.prefix(said)),
            planned=audit.design.planned,
            budget=audit.design.budget,
            rows=len(audit.row_ids),
            drops=standing.drops(said),
            sure=None if standing.sure is None else round(standing.sure, 4),
            recall_shown=None if audit.design.scene else standing.shown.get("recall"),
            precision_shown=standing.shown.get("precision"),
            needs_ask=standing.needs_ask,
            holds=standing.holds,
            still_needed=standing.still_needed,
            more=More(labels, drop) if labels else None,
            label_price=LABEL_PRICE if worth is None else round(worth.label, 6),
            every=audit.design.every,
            groups=tuple(found_of(standing.groups, standing.wanted.recall or 0.0)),
            scene=audit.design.scene,
            scenes_shown=standing.shown.get("recall") if audit.design.scene else None,
            follows=Follows(**audit.facts) if isinstance(audit, Following) else None,
        )

    @property
    def is_spent(self) -> bool:
        """Whether it has taken all labels that it may take, and does not hold."""
        return self.budget is not None and self.answered >= self.budget and not self.holds


@dataclass(frozen=True, slots=True)
class Progress(AsJson):
    """Counts of labels, and how far the audit is."""

    labels: int
    yes: int
    no: int
    skipped: int
    conflicts: int = field(
        metadata=told("Rows that one person answered with yes and another with no.")
    )
    purpose: Purpose
    audit: AuditProgress | None
    stage: Stage

    @classmethod
    def of(
        cls, definition: Definition, standing: Standing | None, said: Mapping[int, str]
    ) -> Progress:
        """:param standing: of the audit in force; None: none was begun.
        :param said: row_id -> yes, no, skip or conflict.
        """
        labels = list(said.values())
        return cls(
            labels=len(labels),
            yes=labels.count("yes"),
            no=labels.count("no"),
            skipped=labels.count("skip"),
            conflicts=labels.count("conflict"),
            purpose="teach" if standing is None else "audit",
            audit=None if standing is None else AuditProgress.of(standing, said),
            stage=stage_of(definition, len(labels)),
        )


@dataclass(frozen=True, slots=True)
class PlanOption(AsJson):
    """One line between kept and dropped images, and what it costs."""

    dropped: int
    kept: int
    recall: float
    labels: int | None = field(
        metadata=told(
            "About how many audit labels it takes to show all that is wanted; null: more than there "
            "are images."
        )
    )
    cost: float | None = field(
        metadata=told(
            "Of labels, looks, annotations and misses, in the prices' currency; null: no prices were "
            "said, or labelling everything takes no more labels."
        )
    )


Cheapest = Literal["line", "label_everything", "annotate_everything"]


@dataclass(frozen=True, slots=True)
class CheapestLine(AsJson):
    """The line that costs least, as forecast."""

    dropped: int
    labels: int
    looks: int = field(
        metadata=told("Kept images that somebody looks at before they are annotated (ask).")
    )
    cost: float


@dataclass(frozen=True, slots=True)
class PlanCosts(AsJson):
    """What is still to be spent on images that nobody has answered, in the prices' currency."""

    prices: Prices
    annotate_everything: float
    label_everything: float = field(
        metadata=told("Somebody looks at every image, and what is relevant is annotated.")
    )
    line: CheapestLine | None = field(
        metadata=told("Null: no line is settled by fewer labels than there are images.")
    )
    cheapest: Cheapest


@dataclass(frozen=True, slots=True)
class PlanScenes(AsJson):
    """What a promise of scenes takes; the options beside it are those of images."""

    column: str
    scenes: int
    options: tuple[PlanOption, ...] = field(
        metadata=told(
            "dropped and kept count images, labels scenes that are looked at; recall is of scenes: the "
            "share of the relevant ones of which the best image is kept."
        )
    )


@dataclass(frozen=True, slots=True)
class PlanAnswer(AsJson):
    """The arithmetic before anybody labels."""

    rows: int
    at_least: int = field(
        metadata=told(
            "So many images are relevant: what people said yes to, or more by the labels of the audit in force."
        )
    )
    at_most: int | None = field(
        metadata=told("No more are; null: not known, since no audit has labels yet.")
    )
    confidence: float | None = field(
        metadata=told("The chance that both bounds hold, at least; null where at_most is.")
    )
    options: tuple[PlanOption, ...]
    costs: PlanCosts | None = field(metadata=told("Null: no prices were said."))
    groups: int | None = field(
        metadata=told("In how many groups recall is to hold; null: of all images together.")
    )
    scenes: PlanScenes | None = field(
        metadata=told("Likewise for a promise of scenes; null: no column was said.")
    )


def stage_of(definition: Definition, labels: int) -> Stage:
    """:param labels: how many rows have an answer."""
    if definition.reason == "applied":
        return "applied"
    if definition.audit is not None:
        return "audit"
    return "teach" if labels else "draft"
