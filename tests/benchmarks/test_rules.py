"""The rules that filters are measured beside: what they keep, where that can be said beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import bargain, rules, stopping

SCORES = np.arange(1_000, dtype=np.float32)


def test_a_bet_wins_once_enough_values_are_all_one() -> None:
    # Every stake is at its most, 0.75 / 0.9, and a one wins a tenth of it: 1.0833 to the power of
    # 38 is 20.95, of 37 is 19.3, and 20 are wanted.
    assert not bargain.shown(np.ones(37, bool), 0.9, 0.05)
    assert bargain.shown(np.ones(38, bool), 0.9, 0.05)


def test_a_zero_costs_three_quarters() -> None:
    # Of the mean 0.5 every stake is at its most here, 1.5, or 1.49: a zero leaves a quarter of the
    # capital, a one makes 1.75 of it, and 2 are wanted: 0.25 x 1.75^3 = 1.34, 0.25 x 1.75^4 = 2.34.
    assert not bargain.shown(np.array([0, 1, 1, 1], bool), 0.5, 0.5)
    assert bargain.shown(np.array([0, 1, 1, 1, 1], bool), 0.5, 0.5)


def test_bargain_keeps_all_rows_with_too_few_relevant_ones_drawn() -> None:
    relevant = SCORES >= 970
    kept = bargain.select(SCORES, relevant, 0.9, 0.05, 500, np.random.default_rng(0))
    assert kept.all()  # about 15 of the 38 that it needs


def test_bargain_keeps_little_more_than_it_must() -> None:
    relevant = SCORES >= 800
    kept = bargain.select(SCORES, relevant, 0.9, 0.05, 5_000, np.random.default_rng(0))
    assert 0.18 <= kept.mean() < 0.2  # 0.9 of 200 relevant rows, and nothing else
    assert kept[relevant].mean() >= 0.9


def test_qbcb_takes_the_lowest_of_twenty_nine_and_none_of_twenty_eight() -> None:
    # 0.9 to the power of 29 is 0.047, of 28 is 0.052. All rows are drawn.
    kept = [
        stopping.quantile_bound(
            SCORES, 1_000 - many <= SCORES, 0.9, 0.05, 1_000, np.random.default_rng(0)
        ).sum()
        for many in (28, 29)
    ]
    assert kept == [1_000, 29]
    # The second lowest of 46: 0.9^46 + 46 x 0.1 x 0.9^45 is 0.048; of 45 it is 0.052.
    assert [stopping.lowest(many, 0.9, 0.05) for many in (28, 29, 45, 46)] == [0, 1, 1, 2]


def test_screening_stops_where_what_is_left_is_unlikely_to_hold_enough() -> None:
    # 100 relevant rows come first, and none after them. Recall 0.9 would be missed if floor(100 /
    # 0.9 - 100 + 1) = 12 were among the 900 left. That none of them is among the 150 seen since by
    # row 250 has about the chance (1 - 150 / 900)^12 = 0.11; among 200 by row 300 (1 - 200 /
    # 900)^12 = 0.049, and a little less without replacement.
    relevant = SCORES >= 900
    found = stopping.screen(SCORES, relevant, 0.9, 0.05)
    assert (found.rows, found.recall) == (300, 1.0)


def test_screening_misses_what_comes_last() -> None:
    # The one relevant row of 2,000 is the last. That it is not among 1,900 at random has the chance
    # 0.05, among 1,950 half of that.
    scores = np.arange(2_000, dtype=np.float32)
    found = stopping.screen(scores, scores < 1, 0.9, 0.04)
    assert (found.rows, found.recall) == (1_950, 0.0)


def test_the_command_tells_a_line_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--runs", "2", "--rows", "400", "--labels", "200"]
    assert rules.main([*sizes, "--scorers", "good", "--prevalences", "0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].count("broken, kept") == 3 and lines[2].startswith("| good | 0.5 | 0.0%, ")
