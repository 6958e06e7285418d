"""Who said what: labels spent, agreement, conflicts,
and answers to the audit that were taken back or changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexer.address import ADDRESS_COLUMNS
from indexer.disk.rows import printed_places
from service.relevance.as_json import AsJson
from service.relevance.labels.agreement import Agreement, conflicts
from service.relevance.labels.book import LABELS, PURPOSES, Answer, Record
from service.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class LabelsBy(AsJson):
    """Answers that one person gave: in all, by purpose, and by what was said."""

    labeller: str
    given: int
    teach: int
    audit: int
    picked: int
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
    yes: int
    no: int
    skip: int
    undone: int
    by: tuple[LabelsBy, ...]  # by name


@dataclass(frozen=True, slots=True)
class ChangedLabel(AsJson):
    """An answer to the audit that was taken back or given otherwise later."""

    row_id: int
    uri: str | None  # None: the row is gone
    labeller: str
    said: str
    now: str | None  # None: taken back


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


def agreement(answers: Mapping[int, Answer], snapshot: Snapshot) -> Agreement:
    """The labels seen side by side, with the uri of each row in conflict."""
    return Agreement.of(answers, uris_of(snapshot, [row.row_id for row in conflicts(answers)]))


def changed_audit_labels(records: Sequence[Record], snapshot: Snapshot) -> tuple[ChangedLabel, ...]:
    """Answers to the audit that were undone,
    or that the same person gave otherwise later; oldest first.
    """
    undone = {record.undo for record in records if record.undo is not None}
    latest: dict[tuple[int, str], Record] = {}
    found: list[tuple[Record, str | None]] = []
    for record in records:
        if record.undo is not None:
            continue
        key = (record.row_id, record.labeller)
        if record.seq in undone:
            if record.purpose == "audit":
                found.append((record, None))
            continue
        before = latest.get(key)
        if before is not None and before.purpose == "audit" and before.label != record.label:
            found.append((before, record.label))
        latest[key] = record
    found.sort(key=lambda pair: pair[0].seq)
    uris = uris_of(snapshot, [record.row_id for record, _ in found])
    return tuple(
        ChangedLabel(record.row_id, uris.get(record.row_id), record.labeller, record.label, now)
        for record, now in found
    )


def uris_of(snapshot: Snapshot, row_ids: Sequence[int]) -> dict[int, str]:
    """row_id -> uri; rows that are gone are left out."""
    found = {}
    for row_id in row_ids:
        place = snapshot.find(row_id)
        if place is not None:
            part, position = place
            row = part.columns(list(ADDRESS_COLUMNS)).slice(position, 1)
            found[row_id] = str(printed_places(row)[0].as_py())
    return found
