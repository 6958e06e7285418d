from __future__ import annotations

import math

import numpy as np
import pytest

from service.relevance.promise.goal import Goal
from service.relevance.promise.martingale import (
    NO,
    STAKES,
    UNKNOWN,
    YES,
    Claims,
    Numbers,
    draw_strata,
    growth,
    parts_for,
    weigh,
    weigh_at,
)

# at least half of the relevant rows lie in stratum 0
HALF = Claims(np.array([[0.5, -0.5]]), np.array([0.0]))
SIZES, SHARES = np.array([1, 2]), np.array([1 / 3, 2 / 3])


def test_a_stratum_is_drawn_by_its_share_until_it_is_exhausted() -> None:
    uniforms = np.array([0.2, 0.2, 0.9, 0.5])
    assert draw_strata(SIZES, np.array([0.5, 0.5]), uniforms).tolist() == [0, 1, 1]
    assert draw_strata(SIZES, SHARES, np.array([0.34, 0.2])).tolist() == [1, 0]


def test_a_relevant_row_above_the_cut_speaks_for_the_claim() -> None:
    # Each row stands for 1 / (1/3) = 3; the worst draw would be -0.5 * 3, this one is 0.5 * 3: a
    # stake k gains k.
    evidence = weigh(SIZES, SHARES, np.array([0, 1, 1]), [YES], HALF)
    assert evidence.now[0] == pytest.approx(math.log(np.mean(1 + STAKES)))
    assert evidence.known.tolist() == [0.5]
    assert (evidence.drawn.tolist(), evidence.relevant.tolist()) == ([1, 0], [1, 0])
    # Then stratum 1 alone is drawn from: 2 rows, worst 0.5 - 0.5 * 2, "no" leaves 0.5. The row left
    # cannot break it.
    evidence = weigh(SIZES, SHARES, np.array([0, 1, 1]), [YES, NO], HALF)
    assert evidence.now[0] == pytest.approx(math.log(np.mean((1 + STAKES) ** 2)))
    assert evidence.best[0] == np.inf


def test_a_miss_takes_what_was_staked() -> None:
    evidence = weigh(SIZES, SHARES, np.array([1, 0, 1]), [YES], HALF)
    assert evidence.now[0] == pytest.approx(math.log(np.mean(1 - STAKES)))
    assert evidence.best[0] == 0  # the capital once was 1


@pytest.mark.parametrize(("stratum", "worst"), [(0, NO), (1, YES)])
def test_a_skipped_row_counts_as_what_speaks_against_the_claim(stratum: int, worst: int) -> None:
    strata = np.array([stratum, 1, 1])
    skipped = weigh(SIZES, SHARES, strata, [UNKNOWN], HALF)
    answered = weigh(SIZES, SHARES, strata, [worst], HALF)
    assert skipped.now.tolist() == answered.now.tolist()
    assert skipped.relevant.sum() == 0


def expected_capital(
    relevant: list[list[int]],
    claims: Claims,
    draws: int,
    parts: Numbers | None = None,
    goal: Goal | None = None,
) -> float:
    """The mean capital over every order in which the rows can be drawn, each with its chance."""

    def over(left: list[list[int]], strata: list[int], answers: list[int], chance: float) -> float:
        if len(strata) == draws or not any(left):
            return chance * math.exp(
                weigh(SIZES, SHARES, np.array(strata), answers, claims, parts, goal).now[0]
            )
        total = sum(share for share, rows in zip(SHARES, left, strict=True) if rows)
        mean = 0.0
        for stratum, rows in enumerate(left):
            for row in range(len(rows)):
                rest = [
                    r if s != stratum else rows[:row] + rows[row + 1 :] for s, r in enumerate(left)
                ]
                here = chance * float(SHARES[stratum]) / total / len(rows)
                mean += over(rest, [*strata, stratum], [*answers, rows[row]], here)
        return mean

    return over(relevant, [], [], 1.0)


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_nobody_can_expect_to_gain_where_the_claim_is_false(draws: int) -> None:
    fair = expected_capital([[1], [1, 0]], HALF, draws)  # D = 0.5 - 0.5 = 0: neither gain nor loss
    assert fair == pytest.approx(1)
    assert expected_capital([[0], [1, 0]], HALF, draws) < 0.9  # D = -0.5
    assert expected_capital([[1], [0, 0]], HALF, draws) > 1.1  # D = 0.5: true, and it pays


def test_a_forecast_of_stakes_lets_nobody_expect_to_gain_either() -> None:
    parts = parts_for(SIZES, SHARES, np.array([0.9, 0.1]), HALF)
    assert parts.sum() == pytest.approx(1)
    assert parts.min() >= 0.25 / len(STAKES)  # each stake keeps something
    for draws in (1, 2, 3):
        assert expected_capital([[1], [1, 0]], HALF, draws, parts) == pytest.approx(1)
        assert expected_capital([[0], [1, 0]], HALF, draws, parts) < 1


def test_most_is_staked_as_the_forecast_says() -> None:
    # Rates 1 above and 0 below: the boldest stake grows fastest, log(1.985) / 3 a label; the timid
    # ones hardly at all.
    bold = parts_for(SIZES, SHARES, np.array([1 - 1e-6, 1e-6]), HALF)[0]
    assert (np.diff(bold) >= 0).all()
    worth = np.exp(10 * (np.log1p(STAKES) / np.log1p(STAKES[-1]) - 1))
    assert bold == pytest.approx(0.75 * worth / worth.sum() + 0.25 / len(STAKES), rel=1e-3)
    # Where nothing is expected to grow, none is preferred.
    even = parts_for(SIZES, SHARES, np.array([1e-6, 1 - 1e-6]), HALF)[0]
    assert even == pytest.approx(np.full(len(STAKES), 1 / len(STAKES)), rel=1e-6)


def test_looks_share_one_pass_and_see_what_each_would_alone() -> None:
    generator = np.random.default_rng(3)
    sizes, shares = np.array([200, 300]), np.array([0.4, 0.6])
    strata = draw_strata(sizes, shares, generator.random(500))
    answers = generator.choice([YES, NO], 500, p=[0.2, 0.8]).tolist()
    looks = [0, 5, 5, 128, 300, 500]
    for look, seen in zip(
        looks, weigh_at(looks, sizes, shares, strata, answers, HALF), strict=True
    ):
        alone = weigh(sizes, shares, strata, answers[:look], HALF)
        assert seen.now == pytest.approx(alone.now)
        assert seen.best == pytest.approx(alone.best)
        assert seen.drawn.tolist() == alone.drawn.tolist()


def test_looks_in_pieces_say_the_same_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(7)
    sizes, shares = np.array([50, 100, 150]), np.array([0.3, 0.3, 0.4])
    strata = draw_strata(sizes, shares, generator.random(300))
    answers = generator.choice([YES, NO, UNKNOWN], 300, p=[0.3, 0.6, 0.1]).tolist()
    claims = Claims(np.array([[0.1, 0.1, -0.9], [0.1, -0.9, -0.9]]), np.array([0.3, 0.3]))
    whole = weigh(sizes, shares, strata, answers, claims)
    monkeypatch.setattr("service.relevance.promise.martingale.BLOCK_DRAWS", 1)
    pieces = weigh(sizes, shares, strata, answers, claims)
    assert pieces.now == pytest.approx(whole.now)
    assert pieces.best == pytest.approx(whole.best)
    assert pieces.drawn.tolist() == [50, 100, 150]


def test_a_forecast_is_the_mean_log_of_the_best_stake() -> None:
    # Rates 1 above and 0 below: a third of the draws gain 1 + k, the rest nothing; the boldest
    # stake is the best.
    found = growth(SIZES, SHARES, np.array([1.0, 0.0]), HALF, np.array([0.0]))
    assert found[0] == pytest.approx(math.log(1 + STAKES[-1]) / 3)
