"""Chances from scores: worked out by hand where they can be, and within bounds everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.relevance.calibration import Calibration


def test_a_probability_is_the_sigmoid_of_slope_and_offset() -> None:
    chances = Calibration(2, -1).probability(np.array([0.5, 1, -1e9, 1e9], np.float32))
    assert chances.dtype == np.float32
    assert chances.tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-1)), 0, 1])


def test_two_scores_get_the_smoothed_share_of_relevant_rows_at_each() -> None:
    """A sigmoid has two numbers, so with two scores it goes through both means of Platt's targets."""
    scores = np.array([0] * 10 + [4] * 10, float)
    labels = np.array([True] * 2 + [False] * 8 + [True] * 7 + [False] * 3)
    fitted = Calibration.fit(scores, labels)
    assert fitted is not None
    high, low = 10 / 11, 1 / 13  # 9 yes, 11 no
    expected = [(2 * high + 8 * low) / 10, (7 * high + 3 * low) / 10]
    assert fitted.probability(np.array([0, 4])).tolist() == pytest.approx(expected, abs=1e-5)
    assert fitted.slope > 0


def test_scores_that_say_nothing_or_the_opposite_get_one_chance_for_all() -> None:
    labels = np.array([True] * 3 + [False] * 9)
    for scores in (np.zeros(12), np.arange(12.0)):
        fitted = Calibration.fit(scores, labels)
        assert fitted is not None and fitted.slope == 0
        # mean of the targets: (3 * 4/5 + 9 * 1/11) / 12
        assert fitted.probability(np.array([5.0]))[0] == pytest.approx((2.4 + 9 / 11) / 12)


def test_perfectly_parted_scores_do_not_run_away() -> None:
    scores, labels = np.arange(100.0), np.arange(100) >= 50
    fitted = Calibration.fit(scores, labels)
    assert fitted is not None and np.isfinite([fitted.slope, fitted.offset]).all()
    chances = fitted.probability(scores)
    assert np.all(np.diff(chances) >= 0) and chances[49] < 0.5 < chances[50]


def test_the_unit_of_the_scores_does_not_matter() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=200)
    labels = random.random(200) < 1 / (1 + np.exp(-scores))
    one, other = Calibration.fit(scores, labels), Calibration.fit(1e4 * scores + 7, labels)
    assert one is not None and other is not None
    np.testing.assert_allclose(one.probability(scores), other.probability(1e4 * scores + 7), atol=1e-5)


@pytest.mark.parametrize("labels", [[True, False] * 4 + [True], [True] * 50, [False] * 50])
def test_too_few_labels_or_one_kind_of_them_give_no_chances(labels: list[bool]) -> None:
    assert Calibration.fit(np.arange(float(len(labels))), np.array(labels)) is None


def test_it_comes_back_from_json() -> None:
    assert Calibration.from_json(Calibration(1 / 3, -2.5).to_json()) == Calibration(1 / 3, -2.5)
