from __future__ import annotations

import numpy as np
import pytest

from service.relevance.applying import (
    DROP,
    KEEP,
    Applied,
    Refusal,
    apply,
    decide,
    overruled,
    stand,
    stand_at,
)
from service.relevance.audit import Audit, begin
from service.relevance.auditing import planned
from service.relevance.calibration import Calibration
from service.relevance.definition import Target, Thresholds
from service.relevance.plan import options
from service.relevance.scorer import Scored

RECALL = Target(0.9, None, 0.95)


def audit_of(scores: list[float], target: Target, answers: dict[int, str] | None = None) -> Audit:
    scored = Scored(np.arange(1, len(scores) + 1), np.array(scores, np.float32))
    return planned(begin(1, 1, target, scored, answers or {}), None, answers or {})


def hundred(target: Target = RECALL) -> Audit:
    """Scores 99 to 0 of rows 1 to 100, five bands of twenty."""
    return audit_of([float(100 - row) for row in range(1, 101)], target)


def answered(audit: Audit, relevant: set[int], count: int) -> dict[int, str]:
    return {row: "yes" if row in relevant else "no" for row in audit.order[1][:count].tolist()}


def test_when_all_is_answered_the_strictest_true_line_is_certain() -> None:
    audit = hundred()
    relevant = set(range(1, 39)) | {
        50,
        90,
    }  # 40: 38 in the first two bands, one in the third, one in the last
    found = apply(audit, answered(audit, relevant, 100), None)
    assert isinstance(found, Applied)
    # Two bands hold 38 of 40, 0.95; one band 20 of 40. Row 40 has score 60, the lowest of the second band.
    assert found.thresholds == Thresholds(60, 60)
    assert np.flatnonzero(found.decisions == KEEP).tolist() == list(range(40))
    decided = overruled(audit, found.decisions, answered(audit, relevant, 100))
    assert set((np.flatnonzero(decided == KEEP) + 1).tolist()) == relevant
    assert found.measured["recall"] == {"at_least": 0.9, "estimate": 1.0}
    assert found.measured["audit_labels"] == 100


def test_without_answers_it_refuses_and_says_how_many_are_missing() -> None:
    found = apply(hundred(), {}, None)
    assert isinstance(found, Refusal)
    assert found.can_promise is None
    assert found.labels_missing is not None
    assert 0 < found.labels_missing <= 100
    assert "0 audit labels do not yet show recall 0.9" in found.reason


def test_a_refusal_names_the_skips_and_conflicts_that_stand_in_its_way() -> None:
    audit = hundred()
    said = dict.fromkeys(audit.order[1][:9].tolist(), "skip")
    said |= dict.fromkeys(audit.order[1][9:11].tolist(), "conflict")
    found = apply(audit, said, None)
    assert isinstance(found, Refusal)
    assert found.reason.endswith(
        "; 11 audit labels are skips or conflicts, which count as what hurts the promise most: settle those"
    )
    assert "skips" not in apply(audit, {}, None).reason  # type: ignore[union-attr]


def test_a_line_that_misses_too_much_is_never_promised() -> None:
    audit = hundred()
    relevant = {1, 2, 3, 41, 61, 81}  # each band past the second holds a sixth
    found = apply(audit, answered(audit, relevant, 100), None)
    assert isinstance(found, Refusal)
    assert found.can_promise == {
        "recall": 0.8,
        "confidence": 0.95,
        "dropped": 20,
    }  # 5 of 6 without the last band


def test_no_relevant_row_at_all_counts_as_kept() -> None:
    audit = hundred()
    found = apply(audit, answered(audit, set(), 100), None)
    assert isinstance(found, Applied)
    assert found.thresholds == Thresholds(80, 80)  # the first band alone is kept by score
    assert (overruled(audit, found.decisions, answered(audit, set(), 100)) == DROP).all()


def test_precision_keeps_the_most_generous_line_that_holds() -> None:
    audit = hundred(Target(None, 0.6, 0.95))
    relevant = set(range(1, 31))  # of the first band 20 of 20, of two 30 of 40, of three 30 of 60
    found = apply(audit, answered(audit, relevant, 100), None)
    assert isinstance(found, Applied)
    assert found.thresholds == Thresholds(60, 60)
    assert found.measured["precision"]["at_least"] == 0.6


def test_recall_and_precision_may_need_to_ask_in_between() -> None:
    audit = hundred(Target(0.9, 0.8, 0.95))
    # Precision 0.8 holds for one band alone (20 of 20; 25 of 40 for two), recall 0.9 needs three (29 of 30).
    relevant = set(range(1, 26)) | {41, 42, 43, 44} | {81}
    answers = answered(audit, relevant, 100)
    refused = apply(audit, answers, None)
    assert isinstance(refused, Refusal)
    assert "not at one line" in refused.reason
    found = apply(audit, answers, None, ask=True)
    assert isinstance(found, Applied)
    assert found.thresholds == Thresholds(80, 40)


def test_one_line_is_enough_where_both_hold() -> None:
    audit = hundred(Target(0.9, 0.8, 0.95))
    found = apply(audit, answered(audit, set(range(1, 37)), 100), None)  # 36 of 40 in two bands
    assert isinstance(found, Applied)
    assert found.thresholds == Thresholds(60, 60)


def test_rows_with_one_score_have_no_line() -> None:
    found = apply(audit_of([1.0] * 50, RECALL), {}, None)
    assert isinstance(found, Refusal)
    assert "all rows have the same score" in found.reason


def test_when_people_have_answered_everything_there_is_nothing_to_decide() -> None:
    everything = dict.fromkeys(range(1, 51), "no")
    found = apply(audit_of([1.0] * 50, RECALL, everything), everything, None)
    assert isinstance(found, Refusal)
    assert "answer already" in found.reason


def test_skipping_everything_promises_nothing() -> None:
    audit = hundred()
    found = apply(audit, dict.fromkeys(range(1, 101), "skip"), None)
    assert isinstance(found, Refusal)


def test_labels_below_the_line_settle_it_and_then_none_are_missing() -> None:
    generator = np.random.default_rng(3)
    scores = np.sort(generator.normal(size=4_000))[::-1].tolist()
    audit = audit_of(scores, Target(0.9, None, 0.9))
    relevant = set(range(1, 1_001))  # the best quarter
    calibration = Calibration(8.0, -8 * scores[1_000])
    audit = planned(audit, calibration, {})
    answers = answered(audit, relevant, 600)
    standing = stand(audit, answers, calibration)
    assert standing.holds
    assert standing.facts()["still_needed"] == 0
    found = apply(audit, answers, calibration)
    assert isinstance(found, Applied)
    kept = np.flatnonzero(found.decisions == KEEP) + 1
    assert len(relevant & set(kept.tolist())) >= 900
    assert len(kept) < 2_500


@pytest.mark.parametrize("recall", [0.5, 0.9])
def test_the_same_labels_give_the_same_answer(recall: float) -> None:
    audit = hundred(Target(recall, None, 0.95))
    answers = answered(audit, {1, 2, 3}, 60)
    first, second = apply(audit, answers, None), apply(audit, answers, None)
    assert repr(first) == repr(second)


def test_looks_at_once_decide_as_each_does_alone() -> None:
    audit = hundred()
    answers = answered(audit, set(range(1, 31)), 80)
    for look, standing in zip((10, 60, 80), stand_at([10, 60, 80], audit, answers, None), strict=True):
        alone = apply(audit, answered(audit, set(range(1, 31)), look), None)
        assert repr(decide(standing, None)) == repr(alone)


def test_the_plan_and_the_audit_say_the_same_of_a_small_lake() -> None:
    """Sixty rows: more labels than rows are forecast for every line, so all rows are labelled, and that settles it."""
    audit = audit_of([float(60 - row) for row in range(60)], RECALL)
    standing = stand(audit, {}, None)
    assert standing.missing == 60
    (chain,) = standing.chains
    assert min(option.labels for option in options(audit.sizes, standing.rates, chain)) > 60
