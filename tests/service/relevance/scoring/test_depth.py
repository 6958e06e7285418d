from __future__ import annotations

import numpy as np
import pytest

from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.depth import (
    NOTHING_ASKED,
    Asked,
    Depth,
    advice,
    checkpoints,
    depth_of,
    looks,
    pile_of,
)
from service.relevance.scoring.scorer import Scored

# Rows 1 to 100 score 100 to 1: 50.5 on the mean, and 28.866 their spread. All above 80.5 are
# certain, all below have no chance.
HUNDRED = Scored(np.arange(1, 101), np.arange(100, 0, -1).astype(np.float32))
STEP = Calibration(slope=100_000.0, offset=-100_000.0 * 30 / 28.866)


def test_what_belongs_is_counted_down_the_ranking() -> None:
    # 20 by their chance, row 1 among them by its answer; 18 of 20 are the first 18.
    assert pile_of(HUNDRED, {1: True}, {1: 100.0}).top(STEP) == (18, 20)


def test_an_answered_row_stands_where_a_scorer_puts_it_that_has_not_seen_its_answer() -> None:
    known = {1: True, 2: True, 3: True}
    # 17 others belong, rows 4 to 20. The 18th of 20 is row 1, with 87 rows above it.
    assert pile_of(HUNDRED, known, {1: 10.5, 2: 9.5, 3: 8.5}).top(STEP) == (88, 20)
    # By the scorer that was taught with them they would be the best of all.
    assert pile_of(HUNDRED, known, {1: 100.0, 2: 99.0, 3: 98.0}).top(STEP) == (18, 20)


def test_a_no_takes_its_chance_away() -> None:
    known = dict.fromkeys(range(1, 11), False)
    pile = pile_of(HUNDRED, known, {row_id: 101.0 - row_id for row_id in known})
    assert pile.top(STEP) == (19, 10)  # rows 11 to 20 are left; nine of them


def test_rows_that_the_filter_does_not_look_at_do_not_count() -> None:
    assert pile_of(HUNDRED, {1: True, 500: True}, {1: 100.0, 500: 99.5}).top(STEP) == (18, 20)


def test_scores_are_asked_as_far_as_they_stand_from_the_mean() -> None:
    asked = Asked.of(HUNDRED, {100: False, 1: True, 500: True})
    assert asked.labels.tolist() == [False, True]
    assert asked.standings == pytest.approx([-49.5 / 28.866, 49.5 / 28.866], rel=1e-4)
    both = asked + Asked.of(HUNDRED, {50: True})
    assert both.labels.tolist() == [False, True, True]


def test_where_answers_tell_nothing_there_is_no_depth() -> None:
    assert depth_of(HUNDRED, {1: True}, {1: 100.0}, NOTHING_ASKED) is None
    alike = Asked(np.zeros(20), np.arange(20) < 10)  # one score, whatever was answered
    assert depth_of(HUNDRED, {1: True}, {1: 100.0}, alike) is None


def test_of_many_rows_it_is_off_by_little() -> None:
    scores = np.linspace(3, -3, 200_000)
    scored = Scored(np.arange(1, 200_001), scores.astype(np.float32))
    calibration = Calibration(4.0, -5.0)
    chances = calibration.probability(scores / scores.std()).astype(np.float64)
    exact = int(np.searchsorted(np.cumsum(chances), 0.9 * chances.sum())) + 1
    top, relevant = pile_of(scored, {}, {}).top(calibration)
    assert top == pytest.approx(exact, rel=0.01)
    assert relevant == pytest.approx(chances.sum(), abs=1)


def test_the_range_is_of_answers_drawn_anew_and_the_same_again() -> None:
    random = np.random.default_rng(2)
    standings = random.normal(size=80)
    asked = Asked(standings, standings + random.normal(size=80) > 0.5)
    falling = np.sort(random.normal(size=5_000)).astype(np.float32)[::-1]
    scored = Scored(np.arange(1, 5_001), falling)
    found = depth_of(scored, {1: True}, {1: 2.0}, asked)
    assert found is not None
    assert found.low < found.top < found.high
    assert depth_of(scored, {1: True}, {1: 2.0}, asked) == found


def test_the_scorers_of_then_are_asked_at_10_and_root_two_times_as_many_each() -> None:
    assert checkpoints(0) == checkpoints(10) == [0]
    assert checkpoints(100) == [0, 10, 14, 20, 28, 40, 57, 80]


def test_looks_back_are_at_10_and_twice_as_many_each() -> None:
    assert looks(10) == []
    assert looks(11) == [10]
    assert looks(100) == [10, 20, 40, 80]


TOO_FEW = "there are too few answers to tell whether more would make it better"
UNSURE = Depth(40, 110, 90, 151, 100)
TEN, TWENTY = Depth(10, 900, 900, 900, 90), Depth(20, 300, 300, 300, 90)


def depth(answers: int, top: int, relevant: int) -> Depth:
    return Depth(answers, top, top, top, relevant)


@pytest.mark.parametrize(
    ("now", "history", "yes", "what", "because"),
    [
        (None, [], 0, "teach", "no image that belongs is known yet, and it takes 5"),
        (depth(40, 100, 90), [], 4, "teach", "only 4 of what belongs are known yet, and it takes 5"),
        (None, [], 9, "teach", "the answers do not tell yet what belongs and what does not"),
        (depth(40, 150, 100), [], 9, "check", "among those are hardly more than the 100 that belong"),
        (UNSURE, [], 9, "teach", TOO_FEW),
        (depth(40, 151, 100), [], 9, "teach", TOO_FEW),
        (depth(40, 240, 100), [TEN, TWENTY], 9, "teach", "it still gets better: it was 300 after 20 answers"),
        (depth(79, 271, 100), [TWENTY], 9, "teach", TOO_FEW),
        (depth(80, 271, 100), [TWENTY], 9, "check", "it has hardly got better since 20 answers (300)"),
        # at 39 answers 20 are more than half
        (depth(39, 271, 100), [TEN, TWENTY], 9, "teach", "it still gets better: it was 900 after 10 answers"),
    ],
)  # fmt: skip
def test_good_enough_to_check_by_the_rule(
    now: Depth | None, history: list[Depth], yes: int, what: str, because: str
) -> None:
    assert advice(now, history, yes) == (what, because)
