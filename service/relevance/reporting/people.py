"""Who said what: agreement, conflicts, and answers to the audit that were taken back or changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexer.address import ADDRESS_COLUMNS
from indexer.disk.rows import printed_places
from service.relevance.as_json import AsJson
from service.relevance.labels.agreement import Agreement, conflicts, settled
from service.relevance.labels.book import SETTLE, Answer, Record
from service.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ChangedLabel(AsJson):
    """An answer to the audit that was taken back or given otherwise later."""

    row_id: int
    uri: str | None  # None: the row is gone
    labeller: str
    said: str
    now: str | None  # None: taken back


def agreement(answers: Mapping[int, Answer], snapshot: Snapshot) -> Agreement:
    """The labels seen side by side, with the uri of each row in conflict, settled or not."""
    disputed = [row.row_id for row in (*conflicts(answers), *settled(answers))]
    return Agreement.of(answers, uris_of(snapshot, disputed))


def changed_audit_labels(records: Sequence[Record], snapshot: Snapshot) -> tuple[ChangedLabel, ...]:
    """Answers to the audit that were undone,
    or that the same person gave otherwise later; oldest first.
    """
    undone = {record.undo for record in records if record.undo is not None}
    audited = {record.row_id for record in records if record.purpose == "audit"}

    def is_of_audit(record: Record) -> bool:
        is_settled = record.purpose == SETTLE and record.row_id in audited
        return record.purpose == "audit" or is_settled

    latest: dict[tuple[int, str], Record] = {}
    found: list[tuple[Record, str | None]] = []
    for record in records:
        if record.undo is not None:
            continue
        key = (record.row_id, record.labeller)
        if record.seq in undone:
            if is_of_audit(record):
                found.append((record, None))
            continue
        before = latest.get(key)
        if before is not None and is_of_audit(before) and before.label != record.label:
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
