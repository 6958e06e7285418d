"""Where audit labels are planned to go, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from service.relevance.definition import Target
from service.relevance.promise.plan import (
    SAFE_SHARE,
    Option,
    best,
    options,
    options_of_all,
    shares_for,
    shares_of,
)
from service.relevance.promise.prices import LABEL_PRICE
from service.relevance.promise.promise import Chain, Known, chains

SIZES = np.array([100, 100, 200])
RATES = np.array([0.5, 0.1, 0.01])


def the_chain(sizes: np.ndarray) -> Chain:
    return chains(Target(0.9, None, 0.95), sizes, Known(0, 0), 0.04)[0]


def test_one_cut_gets_a_part_above_and_the_rest_by_size_below() -> None:
    # Above: 0.15. Below: 0.85, a third and two thirds. A twentieth of all falls evenly: 1/80, 1/80,
    # 1/40.
    assert shares_for(SIZES, RATES, 1) == pytest.approx(
        [0.95 * 0.15 + 1 / 80, 0.95 * 0.85 / 3 + 1 / 80, 0.95 * 0.85 * 2 / 3 + 1 / 40]
    )


def test_above_the_cut_more_is_drawn_where_relevant_rows_are_expected() -> None:
    # Square roots of 0.36 and 0.04: three to one, in strata of one size.
    shares = shares_for(np.array([100, 100, 200]), np.array([0.36, 0.04, 0.01]), 2)
    assert shares == pytest.approx(
        [0.95 * 0.15 * 3 / 4 + 1 / 80, 0.95 * 0.15 / 4 + 1 / 80, 0.95 * 0.85 + 1 / 40]
    )


def test_several_cuts_cost_the_same_multiple_of_what_each_would_cost_alone() -> None:
    # Below the boldest cut lie 300 rows, below the other one 200: 100/300 and 200/200, that is 1/4
    # and 3/4.
    shares = shares_for(SIZES, RATES, 2, 1)
    assert shares == pytest.approx(
        [0.95 * 0.15 + 1 / 80, 0.95 * 0.85 / 4 + 1 / 80, 0.95 * 0.85 * 3 / 4 + 1 / 40]
    )
    # Without what falls evenly: the chance of a row times the rows below the cut is the same for
    # both.
    under = (shares - 0.05 * SIZES / 400) / SIZES
    assert under[1] * 300 == pytest.approx(under[2] * 200)


def test_a_budget_buys_the_strictest_cut_that_is_likely_to_be_settled() -> None:
    generous, strict, dear = (
        Option(3, 300, 100, 1.0, 50),
        Option(2, 200, 200, 0.99, 69),
        Option(1, 100, 300, 0.95, 71),
    )
    assert SAFE_SHARE == 0.7
    assert best([generous, strict, dear], 400, budget=100) == strict
    assert best([generous, strict, dear], 400, budget=50) is None


def test_without_a_budget_labels_and_annotations_are_added_up() -> None:
    # 50 / 2 + 300 = 325, 300 / 2 + 200 = 350, 390 / 2 + 100 = 295.
    assert LABEL_PRICE == 0.5
    found = [
        Option(3, 300, 100, 1.0, 50),
        Option(2, 200, 200, 0.99, 300),
        Option(1, 100, 300, 0.95, 390),
    ]
    assert best(found, 400) == found[2]
    assert best(found[:2], 400) == found[0]
    # as many labels as rows: nothing is gained
    assert best([Option(1, 100, 300, 0.95, 400)], 400) is None


def test_the_labels_planned_are_those_of_the_shares_that_serve_other_cuts_too() -> None:
    sizes = np.full(20, 500)
    rates = np.concatenate([[0.8, 0.3, 0.08], np.full(17, 0.001)])
    chain = the_chain(sizes)
    shares, aim = shares_of(sizes, rates, [chain], budget=1_000)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    assert aim is not None
    alone = next(option for option in options(sizes, rates, chain) if option.cut == aim.cut)
    assert alone.labels <= aim.labels < 1.5 * alone.labels
    # Draws a row rise with every stratum below the boldest cut, never fall.
    assert (np.diff(shares[3:] / sizes[3:]) >= -1e-12).all()


def test_a_line_where_two_things_are_wanted_takes_the_labels_that_show_both() -> None:
    sizes, rates = np.array([1_000, 1_000, 2_000]), np.array([0.95, 0.05, 0.001])
    recall, precision = both = chains(Target(0.9, 0.8, 0.95), sizes, Known(0, 0), 0.04)
    strict, generous = options_of_all(sizes, rates, both)[::-1]
    # 950 of 1,000 kept are relevant, and 950 of 1,002 relevant ones are kept.
    assert strict.kept == 1_000
    assert strict.recall == pytest.approx(950 / 1_002)
    alone = [
        next(each.labels for each in options(sizes, rates, chain) if each.cut == strict.cut)
        for chain in both
    ]
    # Each gets half of the draws: the dearer one takes up to twice as many.
    assert max(alone) < strict.labels < 2 * max(alone) < np.inf
    # Of 2,000 kept ones 1,000 are relevant: that it is 80 % no labels show.
    assert (generous.kept, generous.labels) == (2_000, np.inf)
    assert options_of_all(sizes, rates, [recall]) == options(sizes, rates, recall)
    assert options_of_all(sizes, rates, [precision]) == options(sizes, rates, precision)
