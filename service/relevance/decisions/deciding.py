"""Decides: what becomes of an audit that is applied, a ledger and the version that names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from indexer.report import Progress
from service.relevance.decisions import ledger
from service.relevance.decisions.nearest import known_sides, nearest_of
from service.relevance.decisions.store import FilterStore
from service.relevance.definition import Definition, now
from service.relevance.labels.book import Answer, labels_by_row, labels_used
from service.relevance.promise.applying import Applied, overruled
from service.relevance.promise.audit import Audit
from service.relevance.scoring.scored_rows import uris_of
from service.snapshot.snapshot import Snapshot


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
    uris, paths = uris_of(snapshot, audit.row_ids)
    labels = [said.get(row_id) for row_id in audit.row_ids.tolist()]
    sides = []
    for name, side in zip(
        ("wanted", "unwanted"), known_sides(snapshot, definition, said), strict=True
    ):
        if len(side.row_ids):
            progress.stage(f"like what is {name}", len(audit.row_ids))
        sides.append(nearest_of(snapshot, audit.row_ids, side, progress.advance))
    ledger.write(
        store.folder(before.name),
        definition.version,
        audit,
        uris,
        paths,
        decisions,
        labels,
        before.calibration,
        *sides,
    )
    store.add(definition)
    return definition
