"""Chooses the rows to ask a person about: what teaches most, or what an audit has drawn; of rows
that others are at none, and of a share of those that one other has answered each once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexer.errors import BadRequest
from service.lake import Lake
from service.relevance.definition import Definition
from service.relevance.filter_labels import Labels
from service.relevance.labels.agreement import person_of
from service.relevance.labels.book import UNNAMED, Answer, check_labeller
from service.relevance.labels.leases import Leases
from service.relevance.promise.auditing import Auditing
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored
from service.relevance.teacher import Teacher
from service.snapshot.snapshot import Snapshot, hash_row_ids

TRIES = 3  # when others take the rows that were just chosen


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is.

    :raises BadRequest: if double is no share, or said of nobody.
    """

    labeller: str | None  # None: nobody's, so that nothing is kept for them
    double: float = 0.0  # the share of what one other answered that is asked of this person, too

    def __post_init__(self) -> None:
        if self.labeller is not None:
            check_labeller(self.labeller)
        if not 0 <= self.double <= 1:
            raise BadRequest("double", f"{self.double:g} is no share from 0 to 1")
        if self.double and not self.is_named:
            raise BadRequest("double", "say who labels: a second answer is another person's")

    @property
    def is_named(self) -> bool:
        return self.labeller not in (None, UNNAMED)


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows to ask about."""

    snapshot: Snapshot
    rows: Sequence[int]  # row_ids, in the order in which to ask
    scored: Scored | None
    calibration: Calibration | None
    with_others: int = 0  # rows that others were handed and have not answered


class Asking:
    """What to ask next of one filter of an open lake. Safe from several threads."""

    def __init__(
        self, lake: Lake, teacher: Teacher, labels: Labels, auditing: Auditing, leases: Leases
    ) -> None:
        self._lake = lake
        self._teacher = teacher
        self._labels = labels
        self._auditing = auditing
        self._leases = leases

    def to_teach(self, definition: Definition, count: int, turn: Turn) -> Asked:
        """As `Teacher.to_ask` proposes."""

        def choose(busy: Collection[int], n: int) -> Asked:
            snapshot, rows, scored, taught = self._teacher.to_ask(definition, n, busy)
            return Asked(snapshot, rows, scored, taught.calibration)

        answers = self._labels.answers()
        again = second_looks(answers, turn, lambda answer: answer.purpose == "teach")
        return self._hand(turn, count, again, choose)

    def to_audit(self, definition: Definition, count: int, budget: int | None, turn: Turn) -> Asked:
        """What the audit has drawn, in its order; without scores: who knows what the filter expects
        is led to answer so.

        :param budget: labels that it may take instead of its own; None: its own.
        """
        audit, said = self._auditing.of(definition), self._labels.said()
        standing = self._auditing.stand(definition, said)
        snapshot = self._lake.at(audit.design.snapshot)
        if standing is None or not (standing.asks_on or budget is not None):
            return Asked(snapshot, [], None, None)
        may_take = budget or audit.design.budget

        def choose(busy: Collection[int], n: int) -> Asked:
            rows = self._auditing.pending(definition, said, n, may_take, busy)
            return Asked(snapshot, rows, None, None)

        purpose_of = self._auditing.purpose_of(definition, said)
        answers = self._labels.answers()
        again = second_looks(answers, turn, lambda answer: purpose_of(answer.row_id) == "audit")
        return self._hand(turn, count, again, choose)

    def _hand(
        self,
        turn: Turn,
        count: int,
        again: Sequence[int],
        choose: Callable[[Collection[int], int], Asked],
    ) -> Asked:
        """
        :param again: row_ids to be answered once more.
        :param choose: rows that nobody has answered, but for those; so many at most.
        """
        if turn.labeller is None or not turn.is_named:
            return choose((), count)
        for _ in range(TRIES):
            answered = {row: each.labellers for row, each in self._labels.answers().items()}
            busy = self._leases.of_others(turn.labeller, answered)
            free = [row_id for row_id in again if row_id not in busy]
            # The second looks first: a page asks for the next rows before it has come to the last.
            part = math.ceil(turn.double * count)
            asked = choose(busy, count - len(free[:part]))
            rows = [*free[:part], *asked.rows]
            # A scene is asked about as a whole, so there may be more than were wanted.
            rows += free[part : part + max(count - len(rows), 0)]
            if asked.scored is not None:
                seen = set(asked.scored.row_ids[np.isin(asked.scored.row_ids, rows)].tolist())
                rows = [row_id for row_id in rows if row_id in seen]
            taken = self._leases.take(rows, turn.labeller, answered)
            if taken or not rows:
                break
        with_others = sum(row_id not in answered for row_id in busy)
        return replace(asked, rows=taken, with_others=with_others)


def second_looks(
    answers: Mapping[int, Answer], turn: Turn, is_asked: Callable[[Answer], bool]
) -> list[int]:
    """The row_ids that exactly one other person answered yes or no and that fall in the share to be
    answered twice, first answered first.

    Which rows fall in it is drawn by their number: the same for everybody, and of a larger share
    those of a smaller one are part.
    """
    if not turn.double or turn.labeller is None:
        return []
    person = person_of(turn.labeller)  # nobody's second answer is their own, with another capital
    alone = [
        answer
        for answer in answers.values()
        if answer.label in ("yes", "no")
        and answer.settled is None
        and len(answer.labellers) == 1
        and person not in map(person_of, answer.labellers)
    ]
    drawn = hash_row_ids(np.array([answer.row_id for answer in alone], np.int64))
    shares = drawn.astype(np.float64) / 2.0**64
    chosen = [each for each, at in zip(alone, shares.tolist(), strict=True) if at < turn.double]
    return [each.row_id for each in sorted(chosen, key=lambda each: each.seq) if is_asked(each)]
