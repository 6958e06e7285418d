"""How many answers were given, by whom, and why: what the labels of a book have cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from service.relevance.as_json import AsJson
from service.relevance.labels.book import LABELS, PURPOSES, Record


@dataclass(frozen=True, slots=True)
class LabelsBy(AsJson):
    """Answers that one person gave: in all, by purpose, and by what was said."""

    labeller: str
    given: int
    teach: int
    audit: int
    picked: int
    settle: int  # decided where others disagreed
    yes: int
    no: int
    skip: int


@dataclass(frozen=True, slots=True)
class LabelsSpent(AsJson):
    """Answers that were given: in all, by purpose, by what was said, and by whom."""

    given: int
    teach: int
    audit: int
    picked: int
    settle: int
    yes: int
    no: int
    skip: int
    undone: int
    by: tuple[LabelsBy, ...]  # by name


def labels_spent(records: Sequence[Record]) -> LabelsSpent:
    """Every answer that was given, those taken back or given again too: each took a look."""
    given = [record for record in records if record.undo is None]
    names = sorted({record.labeller for record in given})
    return LabelsSpent(
        **_counts(given),
        undone=len(records) - len(given),
        by=tuple(
            LabelsBy(name, **_counts([record for record in given if record.labeller == name]))
            for name in names
        ),
    )


def _counts(given: Sequence[Record]) -> dict[str, int]:
    purposes, labels = Counter(r.purpose for r in given), Counter(r.label for r in given)
    return {
        "given": len(given),
        **{name: purposes[name] for name in PURPOSES},
        **{name: labels[name] for name in LABELS},
    }
