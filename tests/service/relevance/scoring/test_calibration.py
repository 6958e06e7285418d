"""Chances from scores: worked out by hand where they can be, and within bounds everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.relevance.scoring.calibration import Calibration


def test_a_probability_is_the_sigmoid_of_slope_and_offset() -> None:
    chances = Calibration(2, -1).probability(np.array([0.5, 1, -1e9, 1e9], np.float32))
    assert chances.dtype == np.float32
    assert chances.tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-1)), 0, 1])


def test_two_scores_get_the_smoothed_share_of_relevant_rows_at_each() -> None:
    """A sigmoid has two numbers, so with two scores it is free at each;
    Firth adds half a yes and half a no to both.
    """
    scores = np.array([0] * 10 + [4] * 10, float)
    labels = np.array([True] * 2 + [False] * 8 + [True] * 7 + [False] * 3)
    fitted = Calibration.fit(scores, labels)
    assert fitted is not None
    expected = [2.5 / 11, 7.5 / 11]
    assert fitted.probability(np.array([0, 4])).tolist() == pytest.approx(expected, abs=1e-5)
    assert fitted.slope > 0


def test_scores_that_say_nothing_or_the_opposite_get_one_chance_for_all() -> None:
    labels = np.array([True] * 3 + [False] * 9)
    for scores in (np.zeros(12), np.arange(12.0)):
        fitted = Calibration.fit(scores, labels)
        assert fitted is not None and fitted.slope == 0
        assert fitted.probability(np.array([5.0]))[0] == pytest.approx(3.5 / 13)


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
    np.testing.assert_allclose(
        one.probability(scores), other.probability(1e4 * scores + 7), atol=1e-5
    )


@pytest.mark.parametrize("labels", [[True, False] * 4 + [True], [True] * 50, [False] * 50])
def test_too_few_labels_or_one_kind_of_them_give_no_chances(labels: list[bool]) -> None:
    assert Calibration.fit(np.arange(float(len(labels))), np.array(labels)) is None


def test_it_comes_back_from_json() -> None:
    assert Calibration.from_json(Calibration(1 / 3, -2.5).to_json()) == Calibration(1 / 3, -2.5)


def test_few_labels_do_not_flatten_the_slope() -> None:
    """Log-odds 3 s - 7.4, as where 5 % of normal scores lie 3 higher:
    the far side is nearly empty.
    """
    random = np.random.default_rng(5)
    slopes = []
    for _ in range(40):
        labels = np.arange(4_000) < 200
        scores = random.normal(size=4_000) + 3 * labels
        shown = np.concatenate([np.argsort(-scores)[:30], random.choice(4_000, 60, replace=False)])
        fitted = Calibration.fit(scores[shown], labels[shown])
        assert fitted is not None
        slopes.append(fitted.slope)
    assert 1.8 < np.median(slopes) < 3.5  # 1.5 with Platt's targets
