from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.relevance.definition import Target, Thresholds
from service.relevance.promise.applying import (
    ASK,
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
from service.relevance.promise.audit import Audit, begin
from service.relevance.promise.auditing import planned
from service.relevance.promise.plan import options
from service.relevance.promise.promise import Known
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

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
    # Two bands hold 38 of 40, 0.95; one band 20 of 40. Row 40 has score 60, the lowest of the
    # second band.
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


def test_a_refusal_names_the_answers_that_became_yes_since_the_audit_began() -> None:
    before = {1: "no", 2: "yes", 3: "yes"}
    audit = audit_of([float(100 - row) for row in range(1, 101)], Target(None, 0.6, 0.95), before)
    now = {**before, 1: "yes", 3: "skip"}
    assert audit.known(now) == Known(1, 0, 2)
    refused = apply(audit, now, None)
    assert isinstance(refused, Refusal)
    assert refused.reason.endswith(
        "; 2 answers from before the audit were taken back since, or became yes, and count as irrelevant images that "
        "are kept: a new audit takes them as they are"
    )
    assert "before the audit" not in apply(audit, before, None).reason  # type: ignore[union-attr]


def test_a_line_that_misses_too_much_is_never_promised() -> None:
    audit = hundred()
    relevant = {1, 2, 3, 41, 61, 81}  # each band past the second holds a sixth
    standing = replace(stand(audit, answered(audit, relevant, 100), None), counted=None)
    found = decide(standing, None)
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
    # Precision 0.8 holds for one band alone (20 of 20; 25 of 40 for two), recall 0.9 needs three
    # (29 of 30).
    relevant = set(range(1, 26)) | {41, 42, 43, 44} | {81}
    # One row is open, whichever: recall at three bands is 28 of 30 at worst, or 29 of 31.
    answers = answered(audit, relevant, 99)
    refused = apply(audit, answers, None)
    assert isinstance(refused, Refusal)
    assert "not at one line" in refused.reason
    found = apply(audit, answers, None, ask=True)
    assert isinstance(found, Applied)
    assert found.thresholds == Thresholds(80, 40)
    # Counted, there is one line, too, since each image is kept or dropped by its own answer.
    for each, cuts in ((answers, (1, 3)), (answered(audit, relevant, 100), (3, 3))):
        standing = stand(audit, each, None)
        assert (standing.cuts, standing.needs_ask) == (cuts, cuts[0] < cuts[1])
        decided = decide(standing, None, ask=standing.needs_ask)
        assert isinstance(decided, Applied)
        dropped = overruled(audit, decided.decisions, each) == DROP
        assert standing.drops(each) == int(dropped.sum())
    counted = apply(audit, answered(audit, relevant, 100), None, ask=True)
    assert isinstance(counted, Applied)
    assert counted.thresholds == Thresholds(80, 40)


def test_one_line_is_enough_where_both_hold() -> None:
    audit = hundred(Target(0.9, 0.8, 0.95))
    found = apply(audit, answered(audit, set(range(1, 37)), 100), None)  # 36 of 40 in two bands
    assert isinstance(found, Applied)
    assert found.thresholds == Thresholds(60, 60)
    assert not stand(audit, answered(audit, set(range(1, 37)), 100), None).needs_ask


def test_rows_with_one_score_have_no_line() -> None:
    found = apply(audit_of([1.0] * 50, RECALL), {}, None)
    assert isinstance(found, Refusal)
    assert "all rows have the same score" in found.reason


def test_when_people_had_answered_everything_it_is_counted() -> None:
    """Rows of one score, all answered while teaching: no draw, no line between them."""
    said = {row: "yes" if row <= 20 else "no" for row in range(1, 51)}
    audit = audit_of([1.0] * 50, Target(0.95, 0.95, 0.99), said)
    found = apply(audit, said, None)
    assert isinstance(found, Applied)
    assert (overruled(audit, found.decisions, said) == KEEP).nonzero()[0].tolist() == list(
        range(20)
    )
    assert found.thresholds == Thresholds(1.0, 1.0)  # an image like these would be kept
    assert found.measured["recall"] == {"at_least": 0.95, "estimate": 1.0}
    assert found.measured["precision"] == {"at_least": 0.95, "estimate": 1.0}
    assert found.measured["counted"] is True
    standing = stand(audit, said, None)
    assert (standing.holds, standing.still_needed, standing.more) == (True, 0, (0, 0))
    nothing = apply(audit_of([], RECALL), {}, None)
    assert isinstance(nothing, Refusal)
    assert "none has a yes or no" in nothing.reason


def test_what_no_line_shows_is_counted_once_all_is_answered() -> None:
    """Every second row is relevant, wherever it scores: no line has 0.9 of them above."""
    audit = hundred()
    relevant = set(range(1, 101, 2))
    missing_one = apply(audit, answered(audit, relevant, 99), None)
    assert isinstance(missing_one, Refusal)
    said = answered(audit, relevant, 100)
    found = apply(audit, said, None)
    assert isinstance(found, Applied)
    kept = (overruled(audit, found.decisions, said) == KEEP).nonzero()[0] + 1
    assert set(kept.tolist()) == relevant
    # Of the five bands four have 40 of 50: the line of 0.9 is the lowest score, that of row 100.
    assert found.thresholds == Thresholds(0, 0)
    assert found.measured["recall"]["estimate"] == found.measured["precision"]["estimate"] == 1.0
    assert (found.measured["relevant_estimate"], found.measured["missed_estimate"]) == (50, 0)


def test_open_rows_count_as_what_hurts_when_all_is_answered() -> None:
    """Of 100 rows 16 are relevant, the first; the last four were skipped."""
    target = Target(0.9, None, 0.95)
    audit = hundred(target)
    said = answered(audit, set(range(1, 17)), 100) | dict.fromkeys(range(97, 101), "skip")
    found = apply(audit, said, None)
    assert isinstance(found, Applied)
    # Were they relevant and dropped, recall would be 16 of 20: the line keeps them.
    assert found.thresholds == Thresholds(0, 0)
    kept = (overruled(audit, found.decisions, said) == KEEP).nonzero()[0] + 1
    assert kept.tolist() == [*range(1, 17), *range(97, 101)]
    # At 16 of 96 relevant: 0.67 of the four, so 16.67 of 20 kept.
    assert found.measured["precision"]["estimate"] == round((16 + 4 / 6) / 20, 4)
    assert found.measured["relevant_estimate"] == 16.7
    # 0.8 is what dropping them leaves: the line of the first band will do.
    less = apply(audit, said, None, wanted=Target(0.8, None, 0.95))
    assert isinstance(less, Applied)
    assert less.thresholds == Thresholds(80, 80)
    assert less.measured["missed_estimate"] == 0.7


def test_open_rows_may_leave_recall_and_precision_no_line() -> None:
    """16 yes and four skips: kept, precision is 16 of 20; dropped, recall is 16 of 20."""
    audit = hundred(Target(0.9, 0.9, 0.95))
    said = answered(audit, set(range(1, 17)), 100) | dict.fromkeys(range(97, 101), "skip")
    found = apply(audit, said, None)
    assert isinstance(found, Refusal)
    assert found.labels_missing == 4
    assert "ask a person about those (ask)" in found.reason
    assert "4 audit labels are skips or conflicts" in found.reason
    asked = apply(audit, said, None, ask=True)
    assert isinstance(asked, Applied)
    decided = overruled(audit, asked.decisions, said)
    assert (decided == ASK).nonzero()[0].tolist() == [96, 97, 98, 99]
    assert (decided == KEEP).nonzero()[0].tolist() == list(range(16))
    assert apply(audit, said, None, wanted=Target(0.8, 0.8)).__class__ is Applied
    # An answer from before that was taken back is kept, and counts as irrelevant.
    before = dict.fromkeys(range(1, 5), "yes")
    audit = audit_of([float(100 - row) for row in range(1, 101)], Target(None, 0.9, 0.95), before)
    said = {row: "yes" if row <= 16 else "no" for row in range(1, 101)}
    del said[1], said[2]  # 14 of 16 kept are relevant: 0.875
    refused = apply(audit, said, None)
    assert isinstance(refused, Refusal)
    assert refused.labels_missing == 2
    said[1] = "yes"  # 15 of 16
    assert isinstance(apply(audit, said, None), Applied)


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
    assert standing.still_needed == 0
    found = apply(audit, answers, calibration)
    assert isinstance(found, Applied)
    kept = np.flatnonzero(found.decisions == KEEP) + 1
    assert len(relevant & set(kept.tolist())) >= 900
    assert len(kept) < 2_500


def test_what_applying_would_drop_is_told_before() -> None:
    audit = audit_of([float(100 - row) for row in range(1, 101)], RECALL, {1: "yes", 2: "no"})
    assert stand(audit, {}, None).drops({}) is None
    relevant = {1, *range(3, 40), 90}
    answers = {1: "yes", 2: "no", **answered(audit, relevant, 97)}
    (left,) = set(range(1, 101)) - set(answers)
    for said in (answers, {**answers, left: "yes"}, {**answers, left: "no", 7777: "no"}):
        standing = stand(audit, said, None)
        decided = decide(standing, None)
        assert isinstance(decided, Applied)
        dropped = int((overruled(audit, decided.decisions, said) == DROP).sum())
        assert standing.drops(said) == dropped
        no = sum(label == "no" for row_id, label in said.items() if row_id <= 100)
        assert dropped == no + (left not in said and 100 - left < decided.thresholds.drop)


@pytest.mark.parametrize("recall", [0.5, 0.9])
def test_the_same_labels_give_the_same_answer(recall: float) -> None:
    audit = hundred(Target(recall, None, 0.95))
    answers = answered(audit, {1, 2, 3}, 60)
    first, second = apply(audit, answers, None), apply(audit, answers, None)
    assert repr(first) == repr(second)


def test_looks_at_once_decide_as_each_does_alone() -> None:
    audit = hundred()
    answers = answered(audit, set(range(1, 31)), 80)
    for look, standing in zip(
        (10, 60, 80), stand_at([10, 60, 80], audit, answers, None), strict=True
    ):
        alone = apply(audit, answered(audit, set(range(1, 31)), look), None)
        assert repr(decide(standing, None)) == repr(alone)


def test_the_plan_and_the_audit_say_the_same_of_a_small_lake() -> None:
    """Sixty rows: more labels than rows are forecast for every line,
    so all rows are labelled, and that settles it.
    """
    audit = audit_of([float(60 - row) for row in range(60)], RECALL)
    standing = stand(audit, {}, None)
    assert standing.missing == 60
    (chain,) = standing.chains
    assert min(option.labels for option in options(audit.sizes, standing.rates, chain)) > 60
