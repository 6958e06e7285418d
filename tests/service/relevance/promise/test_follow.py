"""The product of what several parts of a population show, by values worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from service.relevance.promise.follow import (
    CASH,
    Drawn,
    Stake,
    Steps,
    follow,
    least_product,
    missing,
    span,
    steps,
)
from service.relevance.promise.goal import Goal
from service.relevance.promise.martingale import (
    NO,
    STAKES,
    UNKNOWN,
    YES,
    Claims,
    draw_strata,
    weigh,
)

EVEN = np.full(len(STAKES), 1 / len(STAKES))
GAIN = np.array([0.1, -0.9])  # recall 0.9, a stratum above the line and one below it


def drawn(sizes: list[int], strata: list[int], answers: list[int]) -> Drawn:
    return Drawn(np.array(sizes), np.array([0.5, 0.5]), np.array(strata, np.int64), answers)


def test_what_a_part_can_be() -> None:
    # Of 4 + 2 rows a relevant one above the line and an irrelevant one below it: 0.1 + 0 is known;
    # the 3 left above add 0.3 at most, the one left below takes 0.9.
    part = drawn([4, 2], [0, 1], [YES, NO])
    assert span(part, GAIN, 0.2) == pytest.approx((0.3 - 0.9, 0.3 + 0.3))


def test_an_unknown_answer_is_what_hurts_most() -> None:
    # At least: the one above the line is no relevant one, the one below it is; at most the reverse.
    part = drawn([1, 1], [0, 1], [UNKNOWN, UNKNOWN])
    assert span(part, GAIN, 0.0) == pytest.approx((-0.9, 0.1))
    # Against x >= -0.3 both draws lose what they can: Z is 0, then -0.9, of -1.8, then -0.9, at
    # worst; so (0 + 0.3) / (1.8 - 0.3) is won, and all that is staked is lost.
    worth = steps(part, GAIN, Stake(0.0, EVEN), np.array([-9.0, -0.3]), is_open=False).worth
    after = CASH + (1 - CASH) * np.mean((1 + 0.2 * STAKES) * (1 - STAKES))
    assert worth[0, 0] == pytest.approx(np.log(after))


def test_one_draw_by_hand() -> None:
    # A stratum below the line of two rows, nothing known: Z is 0 - 0.9 * 2 / 1 for a yes, 0 for a
    # no. Against x >= -0.6 a no pays (0 + 0.6) / (1.8 - 0.6) = 0.5 of what is staked.
    part = Drawn(np.array([2]), np.array([1.0]), np.array([0]), [NO])
    found = steps(part, np.array([-0.9]), Stake(0.0, EVEN), np.array([-1.8, -0.6]), is_open=True)
    after = CASH + (1 - CASH) * np.mean(1 + 0.5 * STAKES)
    assert found.low.tolist() == [-1.8]
    assert found.worth[0, 0] == pytest.approx(0.0)
    assert found.worth[1, 0] == pytest.approx(np.log(after))


def test_without_a_shift_it_is_the_audit_s_own_capital_but_for_the_cash() -> None:
    generator = np.random.default_rng(3)
    sizes, shares = np.array([30, 50]), np.array([0.4, 0.6])
    strata = draw_strata(sizes, shares, generator.random(25))
    said = np.where(strata == 0, YES, NO).tolist()
    goal = Goal(40, 0.04, np.array([0.5, 0.02]), np.array([0.3]))
    for aim in (None, goal):
        claims = Claims(GAIN[None], np.array([0.3]))
        whole = np.exp(weigh(sizes, shares, strata, said, claims, EVEN[None], aim).now[0])
        part = Drawn(sizes, shares, strata, said)
        stake = Stake(0.3, EVEN, aim)
        found = steps(part, GAIN, stake, np.array([-9.0, 0.0]), is_open=False)
        assert np.exp(found.worth[0, 0]) == pytest.approx(CASH + (1 - CASH) * whole)


def test_the_capital_never_rises_with_what_is_claimed() -> None:
    generator = np.random.default_rng(5)
    goal = Goal(60, 0.04, np.array([0.5, 0.02]), np.array([0.0]))
    for _ in range(20):
        sizes, shares = np.array([40, 60]), np.array([0.3, 0.7])
        strata = draw_strata(sizes, shares, generator.random(60))
        said = generator.choice([YES, NO, UNKNOWN], 60, p=[0.2, 0.7, 0.1]).tolist()
        points = np.linspace(-50, 4, 80)
        part = Drawn(sizes, shares, strata, said)
        for aim in (None, goal):
            found = steps(part, GAIN, Stake(0.0, EVEN, aim), points, is_open=True).worth
            with np.errstate(invalid="ignore"):
                assert not (np.diff(found, axis=1) > 1e-9).any()


def test_the_least_product_is_over_all_ways_to_share_the_loss_out() -> None:
    # Above -2, -1 and 0 the first part has the capitals e^3, e^2, e^1; above -1 and 0 the other
    # e^2 and e^0. Sums below 0.5: (-2, 0): 3; (-1, 0): 2; (0, 0): 1; (-2, -1): 5, ...
    one = Steps(np.array([-2.0, -1.0, 0.0]), np.array([[3.0, 2.0, 1.0]]))
    other = Steps(np.array([-1.0, 0.0]), np.array([[2.0, 0.0]]))
    assert least_product([one, other], 0.5).tolist() == [1.0]
    # Below -0.5 only (0, -1): 3, (-1, 0): 2, (-1, -1): 4, (-2, 0): 3 and (-2, -1): 5 are left.
    assert least_product([one, other], -0.5).tolist() == [2.0]
    assert least_product([one, other], -3.5).tolist() == [np.inf]  # nobody can lose so much


def test_the_bound_is_below_every_way_to_share_it_out() -> None:
    """Against a fine search over what the old rows may hold, for two and for three parts."""
    generator = np.random.default_rng(8)
    for count in (2, 3):
        parts = []
        for number in range(count):
            sizes = np.array([30, 50]) // (1 + number)
            strata = draw_strata(sizes, np.array([0.3, 0.7]), generator.random(20))
            said = np.where(generator.random(20) < np.where(strata == 0, 0.6, 0.02), YES, NO)
            parts.append(Drawn(sizes, np.array([0.3, 0.7]), strata, said.tolist()))
        stakes = [Stake(0.0, EVEN) for _ in parts]
        found = follow(parts, stakes, GAIN, 0.2)
        spans = [span(part, GAIN, 0.0) for part in parts]
        exact = []
        tries = [np.linspace(low, high, 60) for low, high in spans[:-1]]
        for shifts in itertools.product(*tries):
            last = 0.2 - sum(shifts)
            if spans[-1][0] <= last <= spans[-1][1]:
                worths = [
                    steps(part, GAIN, stake, np.array([-99.0, shift]), is_open=False).worth[0, 0]
                    for part, stake, shift in zip(parts, stakes, [*shifts, last], strict=True)
                ]
                exact.append(sum(worths))
        assert found.now <= min(exact) + 1e-9
        assert found.now >= min(exact) - 1.0  # and not far below


def test_it_is_certain_once_every_row_is_known() -> None:
    old = drawn([4, 1], [0, 0, 0, 0, 1], [YES, YES, YES, YES, NO])
    new = drawn([1, 2], [1, 0, 1], [NO, YES, NO])
    stakes = [Stake(0.0, EVEN), Stake(0.0, EVEN)]
    assert follow([old, new], stakes, GAIN, 0.0).now == np.inf
    # 0.5 is there: what went may have been so much, and no more.
    assert follow([old, new], stakes, GAIN, 0.5).now == np.inf
    assert follow([old, new], stakes, GAIN, 0.6).best == 0.0


def test_new_rows_that_are_the_best_there_can_be_prove_nothing_of_the_old() -> None:
    # Nobody has looked at the old rows, of which all may be missed; all new ones are kept and
    # relevant, so that to claim no more than that is certain.
    old = drawn([10, 10], [], [])
    new = drawn([3, 0], [0, 0, 0], [YES, YES, YES])
    found = follow([old, new], [Stake(0.0, EVEN), Stake(0.0, EVEN)], GAIN, 0.0)
    assert found.best <= 0.0
    none = drawn([0, 0], [], [])
    assert follow([old, none], [Stake(0.0, EVEN), Stake(0.0, EVEN)], GAIN, 0.0).best <= 0.0


def test_what_is_still_missing_falls_to_nothing() -> None:
    generator = np.random.default_rng(1)
    old_strata = draw_strata(np.array([100, 400]), np.array([0.2, 0.8]), generator.random(200))
    old = Drawn(
        np.array([100, 400]),
        np.array([0.2, 0.8]),
        old_strata,
        np.where(old_strata == 0, YES, NO).tolist(),
    )
    sizes, shares = np.array([10, 40]), np.array([0.2, 0.8])
    strata = draw_strata(sizes, shares, generator.random(50))
    said = np.where(strata == 0, YES, NO).tolist()
    stakes = [Stake(0.0, EVEN), Stake(0.0, EVEN)]
    goal, rates = np.log(25), np.array([0.9, 0.001])
    left = []
    for count in range(51):
        new = Drawn(sizes, shares, strata[:count], said[:count])
        found = follow([old, new], stakes, GAIN, 0.0)
        left.append(missing(found, new, GAIN, 0.0, rates, 0.0, goal))
        if not left[-1]:
            break
    needed = len(left) - 1
    assert 0 < needed < 50
    assert left[-1] == 0
    assert left[0] == pytest.approx(needed, rel=0.5)  # told before the first answer
