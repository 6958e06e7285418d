"""The answers that join rooms: of a filter's steps, of its labels, and of a lake's filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from service.relevance.as_json import AsJson, told
from service.relevance.decisions.answers import InForce
from service.relevance.definition import Target
from service.relevance.labels.agreement import Agreement
from service.relevance.labels.book import Record
from service.relevance.labels.labelling import LineProblem, NamedProblem, Problem
from service.relevance.labels.spent import LabelsSpent
from service.relevance.promise.progress import Progress, Purpose, Stage
from service.relevance.scoring.scored_rows import RowToLabel


@dataclass(frozen=True, slots=True)
class FilterFacts(AsJson):
    """One line of a list of filters."""

    name: str
    version: int
    stage: Stage
    target: Target
    where: str | None
    snapshot: int
    labels: int
    created_at: str
    applied: InForce | None = field(
        metadata=told("What the version applied last says now; null: none was applied.")
    )


@dataclass(frozen=True, slots=True)
class DamagedFilter(AsJson):
    """A filter that cannot be used."""

    name: str
    message: str = field(metadata=told("What is wrong with it, and the way out."))


@dataclass(frozen=True, slots=True)
class FiltersAnswer(AsJson):
    """A lake's filters, by name. One that is damaged is told, and hides none of the others."""

    filters: tuple[FilterFacts, ...]
    problems: tuple[DamagedFilter, ...] = field(
        metadata=told("Filters that cannot be used; the others can.")
    )


@dataclass(frozen=True, slots=True)
class NextAnswer(AsJson):
    """What to label next."""

    filter: str
    version: int
    purpose: Purpose
    rows: Sequence[RowToLabel] = field(
        metadata=told("Empty: nothing is left to ask, but for what is with others.")
    )
    progress: Progress
    scenes: Sequence[int] | None = field(
        metadata=told(
            "Of each row the number of its scene: one yes answers a scene, and so does a no to each of "
            "its rows. Null: no scenes are drawn."
        )
    )
    with_others: int = field(
        metadata=told(
            "Images that others were handed in the last ten minutes and have not answered; 0 where "
            "no labeller was said."
        )
    )


@dataclass(frozen=True, slots=True)
class LabelAnswer(AsJson):
    """What became of answers that were given one by one."""

    saved: int
    seqs: Sequence[int] = field(
        metadata=told("The numbers of those that were saved, in their order: `undo` takes them.")
    )
    problems: Sequence[Problem] = field(metadata=told("Labels of no use; the others are saved."))
    passed_over: Sequence[int] = field(
        metadata=told(
            "With only_open: the row_ids that another labeller has answered; nothing was saved."
        )
    )
    progress: Progress


@dataclass(frozen=True, slots=True)
class LabelFileAnswer(AsJson):
    """What became of the answers of a CSV file."""

    saved: int
    problems: Sequence[LineProblem]
    progress: Progress


@dataclass(frozen=True, slots=True)
class LabelExportAnswer(AsJson):
    """What became of the answers of an annotation tool's file."""

    saved: int
    problems: Sequence[NamedProblem]
    unanswered: int  # images without an answer
    progress: Progress


@dataclass(frozen=True, slots=True)
class RestoreAnswer(AsJson):
    """What became of images that were to come back."""

    saved: int
    problems: Sequence[NamedProblem]
    restored: Sequence[int]  # row_ids: a yes each now
    version: int  # that had dropped them
    progress: Progress


@dataclass(frozen=True, slots=True)
class Undone(AsJson):
    """The answer that was taken back."""

    row_id: int
    label: str
    labeller: str
    seq: int = field(metadata=told("Its number; they count up."))

    @classmethod
    def of(cls, record: Record) -> Undone:
        return cls(record.row_id, record.label, record.labeller, record.seq)


@dataclass(frozen=True, slots=True)
class UndoAnswer(AsJson):
    """What was taken back."""

    undone: Undone | None = field(metadata=told("Null: there was nothing to take back."))
    rows: Sequence[Undone] = field(metadata=told("All that was taken back."))
    progress: Progress


@dataclass(frozen=True, slots=True)
class TeamAnswer(AsJson):
    """Who did how much, and how far they agree."""

    filter: str
    labels: LabelsSpent
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class ConflictsAnswer(AsJson):
    """Who agrees with whom, and where people disagree; in JSON one flat object."""

    filter: str
    agreement: Agreement

    def to_json(self) -> dict[str, Any]:
        return {"filter": self.filter, **self.agreement.to_json()}
