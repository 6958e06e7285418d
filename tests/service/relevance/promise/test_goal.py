from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from service.relevance.definition import Target
from service.relevance.promise.applying import goals_of, stand
from service.relevance.promise.audit import Audit, Design, begin
from service.relevance.promise.auditing import planned
from service.relevance.promise.goal import BOLDEST, SHARE, Counts, Goal, hopes, run
from service.relevance.promise.martingale import (
    NO,
    STAKES,
    UNKNOWN,
    YES,
    Claims,
    draw_strata,
    weigh,
)
from service.relevance.promise.promise import Known
from service.relevance.promise.retarget import retargeted
from service.relevance.scoring.scorer import Scored
from tests.service.relevance.promise.test_martingale import (
    HALF,
    SHARES,
    SIZES,
    expected_capital,
)

RECALL = Target(0.9, None, 0.95)


def stake(hope: float, part: float) -> float:
    """What a loss of one takes of a capital of 1, where 1 / part is wanted."""
    lost = run(np.zeros(1), np.array([[-1.0]]), np.array([[hope]]), 1 / part)
    return 1 - math.exp(lost[0, 0])


def test_a_stake_is_what_one_loss_takes_of_the_fair_price() -> None:
    # At a mean of 3, at most two losses come with the chance e^-3 (1 + 3 + 4.5), at most one with
    # e^-3 (1 + 3): whoever can stand two, and loses once, can stand one.
    assert stake(3.0, math.exp(-3) * 8.5) == pytest.approx(1 - 4 / 8.5, abs=5e-4)
    # Of whoever can stand one: 1 of 4 is left.
    assert stake(3.0, math.exp(-3) * 4) == pytest.approx(0.75, abs=5e-4)
    assert stake(20.0, math.exp(-20) * (1 + 20 + 200)) == pytest.approx(1 - 21 / 221, abs=2e-3)


def test_nothing_is_staked_for_what_is_reached_and_most_where_no_loss_can_be_stood() -> None:
    assert stake(3.0, 1.0) == 0
    assert stake(3.0, 2.0) == 0
    assert stake(0.0, 0.1) == 0  # no draw is left
    assert stake(3.0, math.exp(-3) * 0.5) == pytest.approx(BOLDEST)


def hoped(
    goal: Goal,
    chances: Sequence[float],
    weights: Sequence[float],
    known: float,
    counts: tuple[list[int], list[int], list[int]],
    draw: int,
) -> float:
    """What one draw of HALF's population may bring; counts: drawn, relevant, unknown before it."""
    before = Counts(*(np.array([each]) for each in counts))
    chance, weight = (np.array([each], np.float64) for each in (chances, weights))
    found = hopes(goal, HALF.gains, chance, weight, np.array([[known]]), before, first=draw)
    return float(found[0, 0])


def test_what_the_draws_left_may_bring_is_worked_out_from_the_answers_before_them() -> None:
    goal = Goal(3, 0.6, np.array([0.99, 0.01]), np.array([0.0]))
    # Before the first: each row stands for 3, the worst is -1.5, a yes above brings 1.5. A third
    # of 3 draws, 0.99 of them yes.
    none = ([0, 0], [0, 0], [0, 0])
    assert hoped(goal, SHARES.tolist(), [3, 3], 0.0, none, draw=0) == pytest.approx(0.99)
    # After a yes above: P = 0.5, two rows are left below, the worst is 0.5 - 1. A no brings 1, in
    # each of 2 draws, with the chance 0.99.
    a_yes = ([1, 0], [1, 0], [0, 0])
    assert hoped(goal, [0, 1], [0, 2], 0.5, a_yes, draw=1) == pytest.approx(1.98)


def test_a_skip_counts_in_what_is_hoped_as_the_answer_that_speaks_against_the_claim() -> None:
    goal = Goal(3, 0.6, np.array([0.4, 0.4]), np.array([0.0]))
    # Of 5 labels' weight 2 are yes; one more draw was skipped. Above the line that is a no, and
    # 2 of 6 are expected to be relevant; below it a yes: 3 of 6. P = 0: only a yes above brings
    # something, the ratio 1 where each row stands for 3; a third of the 2 draws left is there.
    above, below = ([1, 0], [0, 0], [1, 0]), ([0, 1], [0, 0], [0, 1])
    assert hoped(goal, SHARES.tolist(), [3, 3], 0.0, above, draw=1) == pytest.approx(
        2 * (1 / 3) * (2 / 6)
    )
    assert hoped(goal, SHARES.tolist(), [3, 3], 0.0, below, draw=1) == pytest.approx(
        2 * (1 / 3) * 0.4
    )
    # P = 0.5: below the line a no brings 0.5 of the worst 1, in half of the draws there.
    assert hoped(goal, [0, 1], [0, 3], 0.5, below, draw=1) == pytest.approx(2 * 0.5 * 0.5)


def test_each_claim_sees_a_skip_as_its_own_worst_answer() -> None:
    """The game with skips is, claim by claim, one without: of another population."""
    generator = np.random.default_rng(9)
    sizes, shares = np.array([60, 240]), np.array([0.4, 0.6])
    strata = draw_strata(sizes, shares, generator.random(200))
    answers = generator.choice([YES, NO, UNKNOWN], 200, p=[0.2, 0.7, 0.1])
    goal = Goal(180, 0.04, np.array([0.7, 0.1]), np.array([3.0]))
    claims = Claims(HALF.gains, np.array([3.0]))
    at_worst = np.where(answers == UNKNOWN, np.where(strata == 1, YES, NO), answers)
    for look in (40, 128, 200):
        skipped, told = (
            weigh(sizes, shares, strata, each[:look].tolist(), claims, goal=goal)
            for each in (answers, at_worst)
        )
        assert skipped.now.tolist() == told.now.tolist()
        assert skipped.best.tolist() == told.best.tolist()
        assert skipped.relevant.sum() < told.relevant.sum()


@pytest.mark.parametrize("draws", [1, 2, 3])
@pytest.mark.parametrize("rates", [(0.99, 0.01), (0.2, 0.9)])
def test_nobody_can_expect_to_gain_by_aiming(draws: int, rates: tuple[float, float]) -> None:
    goal = Goal(3, 0.6, np.array(rates), np.array([0.0]))
    assert expected_capital([[1], [1, 0]], HALF, draws, goal=goal) == pytest.approx(1)
    assert expected_capital([[0], [1, 0]], HALF, draws, goal=goal) < 1


def test_what_is_said_later_changes_no_stake_before() -> None:
    generator = np.random.default_rng(5)
    sizes, shares = np.array([60, 240]), np.array([0.4, 0.6])
    strata = draw_strata(sizes, shares, generator.random(300))
    answers = generator.choice([YES, NO, UNKNOWN], 200, p=[0.3, 0.6, 0.1]).tolist()
    goal = Goal(150, 0.04, np.array([0.7, 0.1]), np.array([0.0]))
    for look in (1, 127, 129, 150, 170):
        alone = weigh(sizes, shares, strata, answers[:look], HALF, goal=goal)
        other = [*answers[:look], *[NO] * 20]
        beyond = weigh(sizes, shares, strata, other, HALF, goal=goal)
        assert beyond.best >= alone.best
        again = weigh(sizes, shares, strata, other[:look], HALF, goal=goal)
        assert again.now.tolist() == alone.now.tolist()


def test_a_part_aims_and_the_rest_stakes_as_ever() -> None:
    strata = np.array([1, 0, 1])
    aimed = weigh(
        SIZES,
        SHARES,
        strata,
        [YES],
        HALF,
        goal=Goal(3, 1e-9, np.array([0.5, 0.5]), np.array([0.0])),
    )
    # Out of reach: the boldest stake, and the worst outcome.
    expected = SHARE * (1 - BOLDEST) + (1 - SHARE) * np.mean(1 - STAKES)
    assert aimed.now[0] == pytest.approx(math.log(expected))


def audited(budget: int | None) -> Audit:
    scored = Scored(np.arange(1, 201), np.linspace(5, -5, 200, dtype=np.float32))
    answers = {1: "yes", 2: "yes", 200: "no", 199: "skip"}
    return planned(begin(1, 1, RECALL, scored, answers), None, answers, budget)


def test_an_audit_with_a_budget_aims_and_its_design_says_so() -> None:
    audit = audited(100)
    assert audit.design.aims
    assert audit.known_at_first == Known(2, 1)
    (goal,) = goals_of(audit, np.full(len(audit.sizes), 0.1))
    assert goal is not None
    assert goal.draws == 100
    assert goal.delta == pytest.approx(0.04)
    # Two relevant rows are known: each claim of recall r begins with (1 - r) * 2.
    assert goal.constants[-1] == pytest.approx(0.2)
    assert Design.from_json(audit.design.to_json(), "x") == audit.design
    assert not audited(None).design.aims
    assert goals_of(audited(None), np.full(len(audit.sizes), 0.1)) == [None]


def test_a_design_of_before_is_weighed_as_it_was() -> None:
    design = audited(100).design
    document = json.loads(design.to_json())
    del document["aims"]
    before = Design.from_json(json.dumps(document).encode(), "x")
    assert not before.aims
    audit = audited(100)
    old = Audit(before, audit.row_ids, audit.scores, audit.strata, audit.yes_before)
    assert goals_of(old, np.full(len(old.sizes), 0.1)) == [None]


def test_every_confidence_sees_one_capital() -> None:
    """What is aimed at is fixed with the audit; else a confidence could not be chosen last."""
    audit = audited(60)
    answers = {row: "yes" if row < 20 else "no" for row in audit.order[1][:60].tolist()}
    answers |= {1: "yes", 2: "yes", 200: "no"}
    wanted = stand(audit, answers, None)
    for confidence in (0.8, 0.99):
        other = stand(audit, answers, None, retargeted(RECALL, confidence=confidence))
        assert other.evidence[0].now.tolist() == wanted.evidence[0].now.tolist()
