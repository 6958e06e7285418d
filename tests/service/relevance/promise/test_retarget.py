from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from indexer.errors import BadRequest
from service.relevance.definition import Target
from service.relevance.promise.applying import (
    KEEP,
    Applied,
    Refusal,
    apply,
    decide,
    overruled,
    stand,
)
from service.relevance.promise.audit import Audit, begin
from service.relevance.promise.auditing import planned
from service.relevance.promise.martingale import Evidence
from service.relevance.promise.promise import Known, chains
from service.relevance.promise.retarget import retargeted
from service.relevance.scoring.scorer import Scored

RECALL = Target(0.9, None, 0.95)
NONE = np.zeros(3, np.int64)


def hundred(target: Target = RECALL) -> Audit:
    """Scores 99 to 0 of rows 1 to 100, five bands of twenty."""
    scored = Scored(np.arange(1, 101), np.arange(100, 0, -1).astype(np.float32))
    return planned(begin(1, 1, target, scored, {}), None, {})


def answered(audit: Audit, relevant: set[int], count: int) -> dict[int, str]:
    return {row: "yes" if row in relevant else "no" for row in audit.order[1][:count].tolist()}


def test_what_is_left_out_stays() -> None:
    assert retargeted(Target(0.9, 0.6, 0.95)) == Target(0.9, 0.6, 0.95)
    assert retargeted(Target(0.9, 0.6, 0.95), 0.8, 0.99) == Target(0.8, 0.6, 0.99)
    assert retargeted(Target(0.9, None, 0.95), 0.9) == Target(0.9, None, 0.95)


@pytest.mark.parametrize(
    ("target", "recall", "confidence", "field", "sentence"),
    [
        (Target(0.9), 0.91, None, "recall", "is planned for recall 0.9 and shows nothing above it; for 0.91 make"),
        (Target(None, 0.9), 0.5, None, "recall", "measures precision alone"),
        (Target(0.9), 1.5, None, "recall", "1.5 is not between 0 and 1"),
        (Target(0.9), float("nan"), None, "recall", "nan is not between 0 and 1"),
        (Target(0.9), None, 0.0, "confidence", "0 is not between 0 and 1"),
    ],
)  # fmt: skip
def test_what_the_audit_is_not_valid_for_is_refused(
    target: Target, recall: float | None, confidence: float | None, field: str, sentence: str
) -> None:
    with pytest.raises(BadRequest, match=sentence) as refused:
        retargeted(target, recall, confidence)
    assert refused.value.field == field


def test_a_rung_of_the_ladder_is_enough_for_every_level_up_to_it() -> None:
    (chain,) = chains(Target(0.9, None, 0.95), np.array([5, 5, 5]), Known(0, 0), 0.05)
    sure = float(
        np.log(20)
    )  # 1 / 0.05; the claims: 0.5, 0.6, 0.7, 0.8, 0.85, 0.9 at cut 2, then 0.9 at cut 1
    logs = np.array([sure] * 4 + [0, sure, sure])
    evidence = Evidence(logs, logs, np.zeros(7), NONE, NONE)
    assert [chain.best_cut(evidence, level) for level in (0.3, 0.75, 0.8, 0.81, None)] == [
        2,
        2,
        2,
        None,
        None,
    ]
    assert [chain.first_of(level) for level in (0.3, 0.75, 0.8, 0.9)] == [0, 3, 3, 5]
    logs = np.array([sure] * 7)
    assert (
        chain.best_cut(Evidence(logs, logs, np.zeros(7), NONE, NONE), 0.8) == 1
    )  # where the target itself holds


def test_what_a_refusal_can_promise_is_promised_when_asked_for() -> None:
    audit = hundred()
    # Each band but the second has missed rows: without the last, 5 of 6 are kept, 0.83.
    answers = answered(audit, {1, 2, 3, 41, 61, 81}, 100)

    def inferred(recall: float | None = None) -> Applied | Refusal:
        """As if it were not counted."""
        wanted = retargeted(audit.design.target, recall)
        return decide(replace(stand(audit, answers, None, wanted), counted=None), None)

    refused = inferred()
    assert isinstance(refused, Refusal)
    assert refused.can_promise == {"recall": 0.8, "confidence": 0.95, "dropped": 20}
    found = inferred(0.75)
    assert isinstance(found, Applied)
    assert found.measured["recall"]["at_least"] == 0.75
    assert np.flatnonzero(found.decisions == KEEP).tolist() == list(range(80))
    assert isinstance(inferred(0.85), Refusal)
    assert isinstance(apply(audit, answers, None), Applied)  # for every yes is kept


def test_less_confidence_needs_less_evidence_and_more_needs_more() -> None:
    scored = Scored(np.arange(1, 2_001), np.arange(2_000, 0, -1).astype(np.float32))
    audit = planned(begin(1, 1, RECALL, scored, {}), None, {})
    needed = []
    for confidence in (0.5, 0.95, 0.999):
        wanted = retargeted(RECALL, None, confidence)
        looks = (
            apply(audit, answered(audit, set(range(1, 601)), n), None, wanted=wanted)
            for n in range(0, 1_000, 10)
        )
        number, found = next((n, each) for n, each in enumerate(looks) if isinstance(each, Applied))
        assert found.measured["confidence"] == confidence
        needed.append(10 * number)
    assert needed[0] < needed[1] < needed[2]


def test_the_confidence_may_be_chosen_last() -> None:
    """Whoever takes the highest confidence that any recall is promised with,
    sees it broken as seldom as it says.
    """
    generator = np.random.default_rng(11)
    runs, confidences = 200, (0.5, 0.7, 0.9)
    broken = dict.fromkeys(confidences, 0)
    for _ in range(runs):
        # a useless scorer
        relevant = set((np.flatnonzero(generator.random(100) < 0.12) + 1).tolist())
        audit = hundred()
        answers = answered(audit, relevant, 60)
        stated = 0.0
        for confidence in confidences:
            for recall in (0.6, 0.9):
                found = apply(audit, answers, None, wanted=retargeted(RECALL, recall, confidence))
                if isinstance(found, Applied):
                    kept = overruled(audit, found.decisions, answers) == KEEP
                    right = sum(bool(kept[row - 1]) for row in relevant)
                    if right < recall * len(relevant) - 1e-9:
                        stated = confidence
        for confidence in confidences:
            broken[confidence] += stated >= confidence
    # At most 1 - C of the runs, and four standard errors of luck.
    for confidence, count in broken.items():
        level = 1 - confidence
        assert count / runs <= level + 4 * (level * confidence / runs) ** 0.5


@pytest.mark.parametrize("target", [RECALL, Target(0.8, 0.6, 0.9), Target(None, 0.5, 0.95)])
def test_how_sure_it_is_is_the_largest_confidence_at_which_it_holds(target: Target) -> None:
    scored = Scored(np.arange(1, 401), np.arange(400, 0, -1).astype(np.float32))
    audit = planned(begin(2, 1, target, scored, {}), None, {})
    told = []
    for count in (0, 20, 60, 100, 200):
        answers = answered(audit, set(range(1, 121)), count)
        sure = stand(audit, answers, None).sure
        assert sure is not None
        told.append(sure)
        for confidence in (0.05, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999):
            if abs(confidence - sure) > 1e-6:
                holds = stand(audit, answers, None, retargeted(target, None, confidence)).holds
                assert holds == (sure > confidence), (count, confidence, sure)
    assert told == sorted(told)
    assert told[0] == 0
