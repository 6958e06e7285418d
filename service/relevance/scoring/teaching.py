"""What the labels teach, and what to label next: the few rows whose answers make the best ranking.

Knows nothing of people or labels' history.

Measured with benchmarks/teaching.py (benchmarks/RESULTS.md), on classes of about 1 % of the rows:

- Rows at the top of the ranking are both what is relevant and what is mistaken for it. Random rows
  of a rare class are nearly all "no". With a good draft, the rows that a classifier is least sure
  of are much the same as the top.
- Where the draft says the wrong thing, its whole top is "no", and the next rows are as those. So
  until there are a few "yes", most of what is proposed lies apart from what has been answered, and
  later some of it anywhere in the lake.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from indexer.arrays import Positions, Vectors
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.fitting import fit
from service.relevance.scoring.scorer import Scored, Scorer, score_rows, vectors_of
from service.snapshot.snapshot import Snapshot, hash_row_ids
from service.snapshot.threads import one_blas_thread

FEW_YES = 5  # below it the relevant rows are still looked for
LOOKED_AT = 3_000  # rows considered in each order; 6 MB of vectors at 512 dimensions
COMPARED = 500  # of the background, to learn how alike any two rows are
# Two rows are near-duplicates, or of one kind, where their cosine is so many standard deviations
# above that of any two rows: 0.8 and 0.5 with the built-in model, more with models whose cosines
# are all high.
SAME_SPREADS, ALIKE_SPREADS = 6.0, 3.5
SAME_AT_MOST, SAME_AT_LEAST = 0.98, 0.5
# answers; a draft whose best are hardly ever relevant by then says the wrong thing
TRUSTED_FOR = 40
# Shares of a proposal: while there are few "yes", up to where it is of the top, like those, and of
# other kinds by rank; the rest is of other kinds anywhere.
TOP_WHILE_FEW, NEAR_BY_WHILE_FEW, ALIKE_WHILE_FEW = 0.3, 0.5, 0.5
TOP_LATER, AT_RANDOM = 0.5, 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """Cosines from which two rows tell the same."""

    same: float  # near-duplicates
    alike: float  # of one kind


@dataclass(frozen=True, slots=True)
class Taught:
    """A scorer as the labels make it."""

    scorer: Scorer
    calibration: Calibration | None
    facts: Mapping[str, Any]
    # row_id -> the score of an answered row by a scorer that has not seen its answer
    unseen: Mapping[int, float] = field(default_factory=dict)


def teach(snapshot: Snapshot, draft: Scorer, said: Mapping[int, str]) -> Taught:
    """The best scorer that the labels allow, of all kinds; the draft where there are too few.

    :param said: row_id -> yes, no, skip or conflict; rows that the snapshot has not count for
        nothing.
    """
    known = {
        row_id: label == "yes" for row_id, label in sorted(said.items()) if label in ("yes", "no")
    }
    here = [row_id for row_id in known if snapshot.find(row_id)]  # a row may have gone since
    if not here:
        return Taught(draft, None, {})
    labels = np.array([known[row_id] for row_id in here])
    fitted = fit(vectors_of(snapshot, here), labels, draft, snapshot.background)
    unseen = dict(zip(here, fitted.unseen.tolist(), strict=True))
    return Taught(fitted.scorer, fitted.calibration, fitted.facts, unseen)


def propose(
    snapshot: Snapshot,
    scored: Scored,
    answers: Mapping[int, bool],
    n: int,
    draft: Scorer,
    passed_over: Collection[int] = (),
) -> list[int]:
    """The row_ids to label next, most useful first; the same for the same input.

    :param scored: all rows that may be proposed, scored by the draft, or by what was fitted on the
        answers.
    :param answers: row_id -> True is relevant; rows that are no longer in scored count too, if the
        snapshot has them.
    :param n: rows wanted; fewer come back only where fewer are left.
    :param draft: of the filter; not asked yet. What it prefers is in the scores.
    :param passed_over: row_ids not to propose, though they have no answer: skipped, or being
        labelled by somebody.
    """
    free = _free(scored, [*answers, *passed_over])
    if n < 1 or not len(free):
        return []
    best_first = free[np.lexsort((scored.row_ids[free], -scored.scores[free]))]
    yes = sum(answers.values())
    known = [row_id for row_id in answers if snapshot.find(row_id) is not None]
    choice = _Choice(snapshot, scored, n, vectors_of(snapshot, known))
    limits = _limits(snapshot)
    if yes < FEW_YES:
        choice.take(best_first, round(n * TOP_WHILE_FEW), limits.same)
        if yes:
            found = [row_id for row_id in known if answers[row_id]]
            choice.take(
                _nearest_first(snapshot, scored, free, found),
                round(n * NEAR_BY_WHILE_FEW),
                limits.same,
            )
        if len(answers) < TRUSTED_FOR:
            choice.take(best_first, n, limits.alike)
        choice.take(best_first, round(n * ALIKE_WHILE_FEW), limits.alike)
        choice.take(_scrambled(scored, free), n, limits.alike)
    else:
        choice.take(best_first, round(n * TOP_LATER), limits.same)
        choice.take(_scrambled(scored, free), len(choice.rows) + round(n * AT_RANDOM), limits.same)
        choice.take(_unsure_first(scored, free, answers), n, limits.same)
    choice.take(best_first, n, np.inf)  # too few that differ: what is left, best first
    return choice.rows


def _free(scored: Scored, taken: Sequence[int]) -> Positions:
    """int64, (m,): positions of the rows that may be proposed."""
    return np.flatnonzero(~np.isin(scored.row_ids, np.array(taken, np.int64)))


def _nearest_first(
    snapshot: Snapshot, scored: Scored, free: Positions, found: Sequence[int]
) -> Positions:
    """By how like the rows found to be relevant,
    of which there may be too few to fit anything on.
    """
    if not found:
        return free[:0]
    mean = vectors_of(snapshot, found).mean(axis=0, keepdims=True)
    near = score_rows(snapshot, Scorer("examples", mean, mean[:0]))
    scores = near.scores[np.searchsorted(near.row_ids, scored.row_ids[free])]
    return free[np.lexsort((scored.row_ids[free], -scores))]


def _unsure_first(scored: Scored, free: Positions, answers: Mapping[int, bool]) -> Positions:
    """By how near to even chances; the best first where answers do not tell where that is."""
    at = np.flatnonzero(np.isin(scored.row_ids, np.array(list(answers), np.int64)))
    labels = np.array([answers[row_id] for row_id in scored.row_ids[at].tolist()], bool)
    calibration = Calibration.fit(scored.scores[at], labels)
    even = (
        np.inf
        if calibration is None or not calibration.slope
        else -calibration.offset / calibration.slope
    )
    scores = scored.scores[free].astype(np.float64)
    away = -scores if np.isinf(even) else np.abs(scores - even)
    return free[np.lexsort((scored.row_ids[free], away))]


def _scrambled(scored: Scored, free: Positions) -> Positions:
    """An order that has nothing to do with the scores, and is the same every time."""
    return free[np.argsort(hash_row_ids(scored.row_ids[free]))]


def _limits(snapshot: Snapshot) -> Limits:
    """How alike two rows are that are the same, from how alike any two of the background are."""
    some = snapshot.background[:: max(1, len(snapshot.background) // COMPARED)][:COMPARED]
    if len(some) < 2:
        return Limits(SAME_AT_MOST, SAME_AT_MOST)
    cosines = np.vecdot(some[:-1], some[1:])
    mean, spread = float(cosines.mean()), float(cosines.std())
    same = min(SAME_AT_MOST, max(SAME_AT_LEAST, mean + SAME_SPREADS * spread))
    return Limits(same, min(same, mean + ALIKE_SPREADS * spread))


class _Choice:
    """Rows chosen so far; what comes next must differ from them, and from those answered before."""

    def __init__(self, snapshot: Snapshot, scored: Scored, n: int, answered: Vectors) -> None:
        self.rows: list[int] = []
        self._snapshot = snapshot
        self._scored = scored
        self._n = n
        self._kept = [answered]

    def take(self, order: Positions, until: int, limit: float) -> None:
        """Go down the order until there are so many rows;
        leave out what is nearer than limit to a row kept.
        """
        until = min(until, self._n)
        if len(self.rows) >= until:
            return
        row_ids = self._scored.row_ids[order[: max(LOOKED_AT, self._n) + len(self.rows)]]
        row_ids = row_ids[~np.isin(row_ids, self.rows)]
        vectors = vectors_of(self._snapshot, row_ids)
        with one_blas_thread():
            # (rows, kept) -> (rows,)
            allowed = (vectors @ np.concatenate(self._kept).T <= limit).all(axis=1)
        while len(self.rows) < until and allowed.any():
            at = int(np.argmax(allowed))
            self.rows.append(int(row_ids[at]))
            self._kept.append(vectors[at : at + 1])
            allowed &= np.vecdot(vectors, vectors[at]) <= limit
            allowed[at] = False
