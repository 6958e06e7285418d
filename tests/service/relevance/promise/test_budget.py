from __future__ import annotations

import numpy as np
import pytest

from service.relevance.promise.budget import (
    MOVES,
    RISK,
    SLOPES,
    chances,
    forecasts,
    kept,
    shares_within,
)
from service.relevance.promise.martingale import Claims
from service.relevance.promise.plan import shares_of
from service.relevance.promise.promise import Chain
from tests.service.relevance.promise.test_plan import the_chain

SIZES, SHARES = np.array([100, 900]), np.array([0.5, 0.5])
# Recall 0.9 at the line below the first stratum; of the goal 0.7 * 0.95 is held at first.
CHAIN = Chain("recall", Claims(np.array([[0.1, -0.9]]), np.array([0.0])), (0.9,), (1,), 0.95)


def test_how_likely_a_line_is_to_be_promised() -> None:
    # 100 labels, 50 in each stratum; all rows above are relevant, none below. Half way 25 were
    # found, P = 2.5, and 75 and 875 rows are left: a yes above brings 0.1 * 150 + 2.5, each other
    # draw 2.5, and the worst costs 0.9 * 1,750 - 2.5 = 1,572.5. L = (50 * 17.5 + 50 * 2.5) /
    # 1,572.5 = 0.6359, V / L = 50 * (17.5 / 1,572.5)^2 / L = 0.00974, no loss is expected.
    # (2 * sqrt(0.6359) + 0.4261) / sqrt(1.00974) = 2.0113, and Phi of that is 0.9779.
    found = chances(SIZES, SHARES, np.array([[1.0, 0.0]]), CHAIN, 100)
    assert found.tolist() == [[pytest.approx(0.9779, abs=1e-4)]]
    # Kept is then 0.1 of the rows, else all.
    assert kept(SIZES, CHAIN, found) == pytest.approx(1 - 0.9 * 0.9779, abs=1e-4)


def test_a_line_out_of_reach_keeps_everything() -> None:
    # 10 labels: L is below -log(0.665) = 0.408.
    found = chances(SIZES, SHARES, np.array([[1.0, 0.0]]), CHAIN, 10)
    assert found.tolist() == [[0.0]]
    assert kept(SIZES, CHAIN, found) == 1


def test_a_forecast_may_be_flat_or_steep_and_too_high_or_too_low() -> None:
    found = forecasts(SIZES, np.array([0.5, 0.1]))
    assert found.shape == (len(SLOPES) * len(MOVES), 2)
    # The middle is 0.14; as it stands, the calibration itself is one of them.
    assert found[SLOPES.index(1.0) * len(MOVES) + MOVES.index(0.0)] == pytest.approx([0.5, 0.1])
    log_odds = np.log(found / (1 - found))
    assert log_odds[0].mean() < log_odds[-1].mean()


def test_the_draws_are_shared_out_for_what_is_expected_to_keep_least() -> None:
    sizes = np.full(20, 500)
    rates = np.concatenate([[0.8, 0.3, 0.08], np.full(17, 0.001)])
    chain = the_chain(sizes)
    safe, _ = shares_of(sizes, rates, [chain], budget=400)
    shares = shares_within(sizes, rates, chain, 400, safe)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    likely = forecasts(sizes, rates)
    best, careful = (chances(sizes, way, likely, chain, 400) for way in (shares, safe))
    assert kept(sizes, chain, best) < kept(sizes, chain, careful) - 0.01
    assert best[:, 0].mean() >= careful[:, 0].mean() - RISK
