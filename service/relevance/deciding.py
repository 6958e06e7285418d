"""What becomes of an audit that was applied: the version with its ledger, the answer, and what was decided narrowly."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from indexer.errors import BadRequest
from indexer.report import Progress
from service.decided import DECISIONS
from service.relevance import ledger
from service.relevance.applying import Applied, Refusal, overruled
from service.relevance.audit import Audit
from service.relevance.definition import Definition, now
from service.relevance.labels import Answer, labels_by_row, labels_used
from service.relevance.nearest import known_sides, nearest_of
from service.relevance.scored_rows import scored_json, uris_of
from service.relevance.scorer import Scored
from service.relevance.store import FilterStore
from service.snapshot import Snapshot

ORDERS = ("line", "random")


class Decisions:
    """The versions of a filter that were applied, and their ledgers."""

    def __init__(self, store: FilterStore, name: str) -> None:
        """:raises UnknownFilter: if there is none of this name."""
        self._store = store
        self._name = name
        self._folder: Path = store.folder(name) / "ledger"

    def commit(
        self,
        before: Definition,
        audit: Audit,
        snapshot: Snapshot,
        answers: Mapping[int, Answer],
        found: Applied,
        progress: Progress,
    ) -> Definition:
        """Write the ledger, then the version that names it; whole and durable when this returns.

        :param snapshot: the audit's.
        :raises LakeError: if the lake cannot be written; BadRequest: if another wrote the version meanwhile.
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
        for name, side in zip(("wanted", "unwanted"), known_sides(snapshot, definition, said), strict=True):
            if len(side.row_ids):
                progress.stage(f"like what is {name}", len(audit.row_ids))
            sides.append(nearest_of(snapshot, audit.row_ids, side, progress.advance))
        ledger.write(
            self._folder,
            definition.version,
            audit,
            uris,
            paths,
            decisions,
            labels,
            before.calibration,
            *sides,
        )
        self._store.add(definition)
        return definition

    def last(self) -> Definition:
        """The latest version with decisions.

        :raises BadRequest: if there is none.
        """
        for version in reversed(self._store.versions(self._name)):
            definition = self._store.read(self._name, version)
            if definition.thresholds is not None and definition.reason == "applied":
                return definition
        raise BadRequest(
            "filter", f"{self._name} was not applied yet, so nothing is decided; see: lakesift filter apply"
        )

    def version(self, version: int | None) -> Definition:
        """A version with decisions; None: the latest.

        :raises BadRequest: if there is none, or it was not applied.
        """
        if version is None:
            return self.last()
        definition = self._store.read(self._name, version)
        applied_json(definition)
        return definition

    def path(self, definition: Definition) -> Path:
        """The ledger's file."""
        return ledger.path_of(self._folder, definition.version)

    def whole(self, definition: Definition, columns: Sequence[str] | None = None) -> Any:
        """pyarrow.Table: the ledger, by row_id.

        :param columns: those that are needed; None: all.
        :raises LakeDamaged: if it cannot be read.
        """
        return ledger.read(self._folder, definition.version, columns)

    def table(self, definition: Definition, decisions: Collection[str]) -> Any:
        """pyarrow.Table: the ledger's rows of these decisions, by row_id.

        :raises BadRequest: if a decision is none of keep, ask and drop; LakeDamaged: if the ledger cannot be read.
        """
        for decision in decisions:
            if decision not in DECISIONS:
                raise BadRequest("decision", f"{decision!r} is none of keep, ask and drop")
        table = self.whole(definition)
        return table.filter(np.asarray([value in decisions for value in table["decision"].to_pylist()], bool))

    def samples(
        self,
        definition: Definition,
        audit: Audit,
        snapshot: Snapshot,
        decision: str,
        count: int,
        order: str,
        seed: int | None = None,
    ) -> dict[str, Any]:
        """Some rows of one decision, with what each is most like; rows of damaged segments are left out.

        :param audit, snapshot: the version's own.
        :param order: "line": those next to the line, kept or dropped narrowly; "random": each with the same chance.
        :param seed: of the draw, for the same rows again; None: the operating system's randomness.
        :raises BadRequest: if decision, count, order or seed is out of range.
        """
        if order not in ORDERS:
            raise BadRequest("order", f"{order!r} is neither line nor random")
        if count < 1:
            raise BadRequest("n", f"{count} is not a number of images; it must be at least 1")
        if seed is not None and seed < 0:
            raise BadRequest("seed", f"{seed} is below 0")
        table = self.table(definition, [decision])
        if order == "line":
            scores = np.asarray(table["score"])
            places = np.argsort(scores if decision == "keep" else -scores, kind="stable")[:count]
        else:
            places = np.random.default_rng(seed).permutation(table.num_rows)[:count]
        chosen = {row["row_id"]: row for row in table.take(places).to_pylist()}
        rows = scored_json(
            snapshot, list(chosen), Scored(audit.row_ids, audit.scores), definition.calibration
        )
        for row in rows:
            decided = chosen[row["row_id"]]
            row["label"] = decided["label"]
            row["nearest_yes"], row["nearest_no"] = (
                ledger.nearest_json(decided, side) for side in ("yes", "no")
            )
        return {
            "filter": definition.name,
            "version": definition.version,
            "decision": decision,
            "order": order,
            "of": table.num_rows,
            "rows": rows,
        }


def refused_json(definition: Definition, refusal: Refusal) -> dict[str, Any]:
    """What `apply` answers where nothing is decided."""
    return {
        "refused": True,
        "reason": refusal.reason,
        "can_promise": refusal.can_promise,
        "labels_missing": refusal.labels_missing,
        "filter": definition.name,
        "version": definition.version,
    }


def applied_json(definition: Definition) -> dict[str, Any]:
    """What `apply` answered for a version that was applied.

    :raises BadRequest: if it was not.
    """
    measured, thresholds = definition.measured or {}, definition.thresholds
    if thresholds is None:
        raise BadRequest("version", f"{definition.name} version {definition.version} was not applied")
    return {
        "refused": False,
        "filter": definition.name,
        "version": definition.version,
        "snapshot": definition.snapshot,
        **{name: measured[name] for name in ("rows", "kept", "asked", "dropped")},
        "thresholds": {"keep": thresholds.keep, "drop": thresholds.drop},
        "promise": {
            "recall": measured["recall"]["at_least"],
            "precision": measured["precision"]["at_least"],
            "confidence": measured["confidence"],
            "assumption": measured["assumption"]["name"] if measured.get("assumption") else None,
        },
        "measured": measured,
        "labels": None
        if definition.labels is None
        else {"count": definition.labels.count, "yes": definition.labels.yes, "no": definition.labels.no},
    }
