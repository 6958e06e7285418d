"""Decides: what becomes of an audit that is applied, a ledger and the version that names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.report import Progress
from service.relevance.decisions import ledger
from service.relevance.decisions.nearest import known_sides, nearest_of
from service.relevance.decisions.store import FilterStore
from service.relevance.definition import Definition, now
from service.relevance.labels.book import Answer, labels_by_row, labels_used
from service.relevance.promise.applying import Applied, overruled
from service.relevance.promise.audit import Audit
from service.relevance.scoring.scored_rows import places_of
from service.snapshot.snapshot import Snapshot

GROUP_ROWS = 65_536  # in a row group of the ledger: some 30 MB while it is written


def commit(
    store: FilterStore,
    before: Definition,
    audit: Audit,
    snapshot: Snapshot,
    answers: Mapping[int, Answer],
    found: Applied,
    progress: Progress,
) -> Definition:
    """Write the ledger, then the version that names it; whole and durable when this returns.

    :param before: the version whose audit is applied.
    :param snapshot: the audit's.
    :raises LakeError: if the lake cannot be written; BadRequest: if another wrote the version
        meanwhile.
    """
    said = labels_by_row(answers)
    decisions = overruled(audit, found.decisions, said)
    counts = np.bincount(decisions, minlength=3).tolist()
    measured = {**found.measured, "rows": len(decisions)}
    measured |= dict(zip(("kept", "asked", "dropped"), counts, strict=True))
    definition = replace(
        before,
        version=before.version + 1,
        created_at=now(),
        parent=before.version,
        reason="applied",
        thresholds=found.thresholds,
        labels=labels_used(answers),
        measured=measured,
    )
    sides = known_sides(snapshot, definition, said)
    if any(len(side.row_ids) for side in sides):
        progress.stage("like what is known", len(audit.row_ids))
    yes, no = nearest_of(snapshot, audit.row_ids, sides, progress.advance)
    progress.stage("writing the ledger", len(audit.row_ids))
    ledger.write(
        store.folder(before.name),
        definition.version,
        audit,
        _places(snapshot, audit.row_ids, progress),
        decisions,
        _labels(audit, said),
        before.calibration,
        {"yes": yes, "no": no},
    )
    store.add(definition)
    return definition


def _places(snapshot: Snapshot, row_ids: Positions, progress: Progress) -> Iterator[pa.Table]:
    for start in range(0, len(row_ids), GROUP_ROWS):
        some = row_ids[start : start + GROUP_ROWS]
        yield places_of(snapshot, some)
        progress.advance(len(some))


def _labels(audit: Audit, said: Mapping[int, str]) -> NDArray[np.int8]:
    """int8, (n,): what people said of each row, as numbers in LABELS, or UNSAID."""
    labels = np.full(len(audit.row_ids), ledger.UNSAID, np.int8)
    at, numbers = audit.answered(said)
    labels[at] = [ledger.LABELS.index(said[row_id]) for row_id in numbers.tolist()]
    return labels
