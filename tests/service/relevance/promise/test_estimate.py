from __future__ import annotations

import numpy as np
import pytest

from service.relevance.definition import Target
from service.relevance.promise.audit import Audit, begin
from service.relevance.promise.auditing import planned
from service.relevance.promise.estimate import bounds, bounds_of_plan
from service.relevance.promise.martingale import STAKES
from service.relevance.scoring.scorer import Scored

RECALL = Target(0.9, None, 0.95)


def audit_of(scores: list[float], answers: dict[int, str] | None = None) -> Audit:
    scored = Scored(np.arange(1, len(scores) + 1), np.array(scores, np.float32))
    return planned(begin(1, 1, RECALL, scored, answers or {}), None, answers or {})


def answered(audit: Audit, relevant: set[int], count: int) -> dict[int, str]:
    return {row: "yes" if row in relevant else "no" for row in audit.order[1][:count].tolist()}


def capital_reaches(claimed: int, said: list[int], total: int, *, is_upper: bool) -> bool:
    """Claim by claim, draw by draw, of rows that all have one score: each is as likely as any."""
    known = float(claimed if is_upper else -claimed)
    capital, best, left = [1 / len(STAKES)] * len(STAKES), 1.0, total
    for yes in said:
        worst = known - left if is_upper else known
        if worst >= 0:
            return True
        outcome = known + (-left if is_upper else left) * yes
        capital = [
            each * (1 + stake * outcome / -worst)
            for each, stake in zip(capital, STAKES, strict=True)
        ]
        best = max(best, sum(capital))
        known += -yes if is_upper else yes
        left -= 1
    return best >= 2 / 0.04 or (known - left if is_upper else known) >= 0


@pytest.mark.parametrize(("yes", "labels"), [(0, 60), (3, 60), (25, 60), (60, 60), (5, 140)])
def test_the_bounds_are_the_last_claims_that_the_labels_show(yes: int, labels: int) -> None:
    audit = audit_of([1.0] * 150)
    drawn = audit.order[1][:labels].tolist()
    step = labels // max(yes, 1)
    relevant = set(drawn[::step][:yes])
    said = [int(row in relevant) for row in drawn]
    assert sum(said) == yes
    least = max(a for a in range(151) if capital_reaches(a, said, 150, is_upper=False))
    most = min(b for b in range(151) if capital_reaches(b, said, 150, is_upper=True))
    assert bounds(audit, answered(audit, relevant, labels), 0.95) == (least, most)
    assert yes <= least <= most <= 150 - (labels - yes)


def test_what_people_said_before_is_counted_and_what_they_took_back_is_open() -> None:
    scores = [float(-row) for row in range(60)]
    audit = audit_of(scores, {1: "yes", 2: "yes", 60: "no"})
    assert bounds(audit, {1: "yes", 2: "yes", 60: "no"}, 0.95) == (2, 59)
    assert bounds(audit, {1: "yes", 60: "no"}, 0.95) == (1, 59)
    # A yes that came since counts for nothing, either way.
    assert bounds(audit, {1: "yes", 2: "yes", 60: "yes"}, 0.95) == (2, 60)


def test_when_all_is_answered_it_is_counted() -> None:
    audit = audit_of([float(-row) for row in range(60)])
    answers = answered(audit, {3, 9, 40}, 60)
    assert bounds(audit, answers, 0.95) == (3, 3)
    assert bounds(audit, answers | {9: "skip"}, 0.95) == (2, 3)


def test_more_labels_never_widen_them() -> None:
    audit = audit_of([float(-row) for row in range(300)])
    relevant = set(range(1, 40)) | {200}
    last = (0, 300)
    for labels in range(0, 301, 20):
        least, most = bounds(audit, answered(audit, relevant, labels), 0.95)
        assert last[0] <= least <= 40 <= most <= last[1]
        last = least, most
    assert last == (40, 40)


def test_a_higher_confidence_is_wider() -> None:
    audit = audit_of([float(-row) for row in range(300)])
    answers = answered(audit, set(range(1, 40)), 150)
    wide, narrow = bounds(audit, answers, 0.999), bounds(audit, answers, 0.5)
    assert wide[0] < narrow[0] <= narrow[1] < wide[1]


def test_bad_luck_never_shows_bounds_that_cross_and_what_is_counted_is_sure() -> None:
    """The first 25 of 60 drawn are all of the relevant ones: by then at least 45 are shown."""
    audit = audit_of([1.0] * 60)
    relevant = set(audit.order[1][:25].tolist())
    shown = [bounds(audit, answered(audit, relevant, labels), 0.5) for labels in range(61)]
    assert shown[25][0] > 25
    for labels, (least, most) in enumerate(shown):
        assert min(labels, 25) <= least <= most <= 60 - max(labels - 25, 0)
    assert shown[60] == (25, 25)


def test_rows_that_came_since_may_all_be_relevant_and_those_that_went_may_have_been() -> None:
    audit = audit_of([float(-row) for row in range(60)])
    answers = answered(audit, {3, 9, 40}, 60)
    assert bounds_of_plan(audit, np.arange(1, 61), answers, 0.95) == (3, 3)
    # rows 1 to 10 went, two of them relevant; 61 to 70 came, 49 of those that stayed got a no
    assert bounds_of_plan(audit, np.arange(11, 71), answers, 0.95) == (1, 11)


def test_before_an_audit_has_answers_nothing_but_what_people_said_is_known() -> None:
    audit = audit_of([float(-row) for row in range(60)], {1: "yes", 2: "no"})
    for each in (None, audit):
        assert bounds_of_plan(each, np.arange(1, 61), {1: "yes", 2: "no"}, 0.95) == (1, None)
