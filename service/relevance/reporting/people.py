"""Who said what: labels spent, agreement, conflicts, and answers to the audit that were taken back or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from service.relevance.agreement import Agreement
from service.relevance.labels import LABELS, PURPOSES, Answer, Record
from service.snapshot import Snapshot


def labels_spent(records: Sequence[Record]) -> dict[str, Any]:
    """Every answer that was given, those taken back or given again too: each took a look."""
    given = [record for record in records if record.undo is None]
    names = sorted({record.labeller for record in given})
    return {
        **_counts(given),
        "undone": len(records) - len(given),
        "by": [
            {"labeller": name, **_counts([record for record in given if record.labeller == name])}
            for name in names
        ],
    }


def _counts(given: Sequence[Record]) -> dict[str, int]:
    purposes, labels = Counter(r.purpose for r in given), Counter(r.label for r in given)
    return {
        "given": len(given),
        **{name: purposes[name] for name in PURPOSES},
        **{name: labels[name] for name in LABELS},
    }


def agreement(answers: Mapping[int, Answer], snapshot: Snapshot) -> dict[str, Any]:
    """As `Agreement` has it, with the uri of each row in conflict."""
    found = Agreement.of(answers).to_json()
    uris = uris_of(snapshot, [conflict["row_id"] for conflict in found["conflicts"]])
    found["conflicts"] = [
        {
            "row_id": c["row_id"],
            "uri": uris.get(c["row_id"]),
            "labellers": dict(sorted(c["labellers"].items())),
        }
        for c in found["conflicts"]
    ]
    return found


def changed_audit_labels(records: Sequence[Record], snapshot: Snapshot) -> list[dict[str, Any]]:
    """Answers to the audit that were undone, or that the same person gave otherwise later; oldest first."""
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
    return [
        {
            "row_id": record.row_id,
            "uri": uris.get(record.row_id),
            "labeller": record.labeller,
            "said": record.label,
            "now": now,
        }
        for record, now in found
    ]


def uris_of(snapshot: Snapshot, row_ids: Sequence[int]) -> dict[int, str]:
    """row_id -> uri; rows that are gone are left out."""
    found = {}
    for row_id in row_ids:
        place = snapshot.find(row_id)
        if place is not None:
            part, position = place
            found[row_id] = str(part.columns(["uri"]).slice(position, 1)["uri"][0].as_py())
    return found
