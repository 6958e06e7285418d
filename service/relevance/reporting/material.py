"""All that a report is made of, read once: nothing in it changes while the report is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.relevance.definition import Definition, Target
from service.relevance.labels.book import Answer, Record
from service.relevance.promise.applying import DROP, KEEP, Standing, stand
from service.relevance.promise.audit import Audit
from service.relevance.promise.counting import cut_of
from service.relevance.promise.tail import TAIL
from service.relevance.scoring.scorer import Scored
from service.search.decided import DECISIONS
from service.snapshot.snapshot import Snapshot


@dataclass(frozen=True)
class Material:
    """One version of a filter, its population with scores, and what people said.

    Of a version that was applied the decisions and the labels they rest on come from its ledger, so
    that a report of it stays the same whatever is labelled later; agreement, conflicts and labels
    spent are those of today.
    """

    folder: Path  # of the lake
    definition: Definition
    stage: str
    snapshot: Snapshot
    scored: Scored
    audit: Audit | None
    ledger: Any  # pyarrow.Table, by row_id; None: it was not applied
    answers: Mapping[int, Answer]
    records: Sequence[Record]
    newer: int | None  # a later version of the filter, which decided nothing yet

    @cached_property
    def said(self) -> dict[int, str]:
        """row_id -> the label that counts.

        It is the one of when the version was applied; where it was not applied, the one of now.
        """
        if self.ledger is None:
            return {row_id: answer.label for row_id, answer in self.answers.items()}
        rows = zip(self.ledger["row_id"].to_pylist(), self.ledger["label"].to_pylist(), strict=True)
        return {row_id: label for row_id, label in rows if label is not None}

    @cached_property
    def decisions(self) -> NDArray[np.int8] | None:
        """int8, (n,): KEEP, ASK or DROP of each row of `scored`; None: nothing is decided."""
        if self.ledger is None:
            return None
        codes = {name: code for code, name in enumerate(DECISIONS)}
        return np.array([codes[name] for name in self.ledger["decision"].to_pylist()], np.int8)

    @cached_property
    def labels(self) -> list[str | None]:
        """Of each row of `scored`."""
        return [self.said.get(row_id) for row_id in self.scored.row_ids.tolist()]

    @cached_property
    def wanted(self) -> Target:
        """What is promised, which may be less than the filter's own target.

        Where the version was not applied it is that target.
        """
        target, measured = self.definition.target, self.definition.measured
        if self.ledger is None or measured is None:
            return target
        of = measured["scenes"] if self.is_of_scenes else measured["recall"]
        return replace(target, recall=of["at_least"], confidence=measured["confidence"])

    @property
    def is_of_scenes(self) -> bool:
        """Whether what is wanted of recall is wanted of scenes, and nothing of images."""
        return self.definition.scene is not None

    @property
    def assumption(self) -> Mapping[str, Any] | None:
        """What the decisions rest on beside the answers; None: nothing, or nothing is decided."""
        measured = self.definition.measured or {}
        return None if self.ledger is None else measured.get("assumption")

    @cached_property
    def standing(self) -> Standing | None:
        """Of the audit, with `said`; None: there is none."""
        if self.audit is None:
            return None
        assume = TAIL if self.assumption else None
        return stand(self.audit, self.said, self.definition.calibration, self.wanted, assume)

    @cached_property
    def cuts(self) -> dict[str, int]:
        """By kind of promise, how many strata lie above its line.

        It is the line that was applied, or else where it would be now.
        """
        standing, thresholds = self.standing, self.definition.thresholds
        if standing is None:
            return {}
        if thresholds is not None and self.audit is not None:
            lines = {"recall": thresholds.drop, "precision": thresholds.keep}
            return {
                kind: cut_of(self.audit, line)
                for kind, line in lines.items()
                if getattr(self.wanted, kind) is not None
            }
        pairs = zip(standing.chains, standing.evidence, strict=True)
        found = {chain.kind: standing.best_cut(chain, evidence) for chain, evidence in pairs}
        return {kind: cut for kind, cut in found.items() if cut is not None}

    @cached_property
    def open_rows(self) -> NDArray[np.bool_]:
        """bool, (n,): True where no person said yes or no."""
        return np.array([label not in ("yes", "no") for label in self.labels], bool)

    def decided(self, decision: int) -> NDArray[np.bool_]:
        """bool, (n,)."""
        if self.decisions is None:
            return np.zeros(len(self.scored), bool)
        return np.asarray(self.decisions == decision)

    @property
    def kept(self) -> NDArray[np.bool_]:
        return self.decided(KEEP)

    @property
    def dropped(self) -> NDArray[np.bool_]:
        return self.decided(DROP)
