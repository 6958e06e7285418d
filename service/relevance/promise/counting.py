"""An audit in which every row was answered: what is promised of it is counted, and not inferred.

Where a person has answered every row of the population, its relevant ones are known, each is kept
by its own answer, and no bound is needed. Skips, conflicts and answers that were taken back are
rows that may be either; they fall on the line's sides by their scores, and count as what hurts the
promise most. The line itself is for images to come, of which nothing is promised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.relevance.definition import Target
from service.relevance.promise.audit import Audit
from service.relevance.promise.martingale import NO, UNKNOWN, YES, Wholes
from service.relevance.promise.promise import Known

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Counted:
    """What people said of every row; cut k keeps the first k strata by their score."""

    known: Known  # before the audit began
    yes: Wholes  # (strata,)
    no: Wholes  # (strata,)
    unsure: Wholes  # (strata,): skips and conflicts

    @property
    def relevant(self) -> int:
        """Rows with a yes: all are kept."""
        return self.known.yes + int(self.yes.sum())

    @property
    def open(self) -> int:
        """Rows that may be either."""
        return self.known.withdrawn + int(self.unsure.sum())

    @property
    def last(self) -> int:
        """The cut that keeps whatever has a score."""
        return max(len(self.yes), 1)

    def holds(self, target: Target, cut: int) -> bool:
        """Whether the decisions at a cut keep what is wanted, whatever the open rows are."""
        kept = self.known.withdrawn + int(self.unsure[:cut].sum())
        missed, yes = int(self.unsure[cut:].sum()), self.relevant
        return _is_share(yes, yes + missed, target.recall) and _is_share(
            yes, yes + kept, target.precision
        )

    def cuts(self, target: Target, *, ask: bool = False) -> tuple[int, int] | None:
        """(above which is kept, below which is dropped), in strata, for rows without an answer.

        Nearest to the line that the score alone would need: the strictest with the recall, or else
        the most generous with the precision. None: no cut holds.

        :param ask: the two may differ; rows in between are left to a person.
        """
        recall, precision = self._strictest(target.recall), self._widest(target.precision)
        if ask and target.recall is not None and target.precision is not None:
            keep = min(recall, precision)
            return (keep, recall) if self.holds(Target(None, target.precision), keep) else None
        best = precision if target.recall is None else recall
        good = [cut for cut in range(self.last + 1) if self.holds(target, cut)]
        if not good:
            return None
        cut = min(good, key=lambda cut: (abs(cut - best), cut))
        return cut, cut

    def _strictest(self, recall: float | None) -> int:
        """The first cut above which the score alone finds so much."""
        for cut in range(1, self.last):
            found = self.known.yes + int(self.yes[:cut].sum())
            missed = int((self.yes + self.unsure)[cut:].sum())
            if _is_share(found, found + missed, recall):
                return cut
        return self.last

    def _widest(self, precision: float | None) -> int:
        """The last cut above which so much of what is kept by score is relevant; 0: none."""
        for cut in range(self.last, 0, -1):
            found = self.known.yes + int(self.yes[:cut].sum())
            kept = int((self.no + self.unsure)[:cut].sum()) + self.known.withdrawn
            if _is_share(found, found + kept, precision):
                return cut
        return 0

    def measured(self, keep_cut: int, drop_cut: int, target: Target) -> dict[str, Any]:
        """What is counted; where rows are open, they are taken to be relevant as often as the
        others.
        """
        yes, no = self.relevant, self.known.no + int(self.no.sum())
        rate = yes / (yes + no)
        kept = self.known.withdrawn + int(self.unsure[:keep_cut].sum())
        missed = rate * int(self.unsure[drop_cut:].sum())
        relevant = yes + rate * self.open
        return {
            "recall": {"at_least": target.recall, "estimate": _share(relevant - missed, relevant)},
            "precision": {
                "at_least": target.precision,
                "estimate": _share(yes + rate * kept, yes + kept),
            },
            "relevant_estimate": round(relevant, 1),
            "missed_estimate": round(missed, 1),
            "counted": True,
        }


def count(audit: Audit, answers: Mapping[int, str], said: Sequence[int]) -> Counted | None:
    """None: a row of the audit was not asked about yet, or no row has a yes or no.

    :param said: as `Audit.prefix` has it.
    """
    if len(said) < int(audit.sizes.sum()):
        return None
    strata, told = audit.draws(len(said))[0], np.asarray(said, np.int64)
    yes, no, unsure = (
        np.bincount(strata[told == answer], minlength=len(audit.sizes))
        for answer in (YES, NO, UNKNOWN)
    )
    counted = Counted(audit.known(answers), yes, no, unsure)
    answered = counted.relevant + counted.known.no + int(no.sum())
    return counted if answered else None


def line_of(audit: Audit, cut: int) -> float:
    """The lowest score that a cut keeps; 0 strata: above every score."""
    if cut == 0:
        return float(np.nextafter(audit.scores.max(), np.float32(np.inf)))
    edges = audit.design.edges
    return edges[cut - 1] if cut <= len(edges) else float(audit.scores.min())


def cut_of(audit: Audit, line: float) -> int:
    """The cut that a line is of: how many strata it keeps."""
    edges = audit.design.edges
    if line in edges:
        return edges.index(line) + 1
    return 0 if line > float(audit.scores.max()) else len(audit.sizes)


def _is_share(part: float, whole: float, least: float | None) -> bool:
    return least is None or part >= least * whole - ROUNDING


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole > 0 else None
