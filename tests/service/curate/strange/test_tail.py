from __future__ import annotations

import math

import numpy as np
import pytest

from service.curate.strange.tail import p_values


def test_p_values_by_hand() -> None:
    # 0 to 99: the 90 % quantile is 89.1, the 98 % one 97.02. Between lie 90 to 97, whose excess is
    # 0.9 + 1.9 + ... + 7.9 = 35.2; two beyond count 7.92 each.
    numbers = np.arange(100.0)
    # The bound: twice 51.04 over the 5 % quantile of chi-squared with 16 degrees, 7.9616.
    mean = 2 * 51.04 / 7.9616
    p = p_values(numbers, numbers)
    assert p[:98].tolist() == [1.0] * 98
    assert p[98] == pytest.approx(0.02 * math.exp(-0.98 / mean), rel=1e-4)
    assert p[99] == pytest.approx(0.02 * math.exp(-1.98 / mean), rel=1e-4)
    # How far the last is makes no difference to what the tail is.
    more = np.append(numbers[:99], 500.0)
    further = p_values(more, more)
    assert further[98] == p[98]
    # Beside the usual ones, others.
    assert p_values(np.array([5.0, 98.0, 500.0]), numbers).tolist() == [1.0, p[98], further[99]]
    assert further[99] == pytest.approx(0.02 * math.exp(-402.98 / mean), rel=1e-3)


def test_of_numbers_that_are_the_same_none_stands_out() -> None:
    assert p_values(np.full(200, 0.5), np.full(200, 0.5)).tolist() == [1.0] * 200
    few = np.append(np.zeros(199), 1.0)
    assert p_values(few, few).tolist() == [1.0] * 200  # there is no tail to go by


def test_usual_numbers_are_as_rarely_told_as_is_said() -> None:
    """Of exponential numbers 0.001 at most have p up to 0.001, whatever their mean is."""
    random = np.random.default_rng(2)
    drawn = 3.0 * random.exponential(size=(400, 1_000))
    told = sum(int(np.count_nonzero(p_values(each, each) <= 0.001)) for each in drawn)
    # 400 are expected of 400,000 at most; 470 are 3.5 standard errors more.
    assert 100 < told < 470
