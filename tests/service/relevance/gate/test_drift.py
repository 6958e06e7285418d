"""Drift by hand-worked numbers, against scipy's own test,
and over many batches that have not drifted.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from service.relevance.gate.drift import Sample, compare, distance, effective, groups, p_value

E_X = np.array([1, 0, 0], np.float32)
E_Y = np.array([0, 1, 0], np.float32)
PICTURE = 0xFFFFFFFF  # a hash with 32 bits set, as a photo has


def scores(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("then", "now", "largest"),
    [
        (
            scores(0, 1, 2, 3),
            scores(5, 3, 2, 4),
            0.5,
        ),  # at 1, half of the one and none of the other lie below
        (scores(0, 0, 0, 1), scores(1, 0, 1, 1), 0.5),  # at 0, 3/4 and 1/4
        (scores(0, 1), scores(7), 1.0),
        (scores(0, 0, 1, 1), scores(0, 1), 0.0),  # ties are no distance
    ],
)
def test_the_largest_distance(
    then: NDArray[np.float32], now: NDArray[np.float32], largest: float
) -> None:
    assert distance(then, now) == largest


def test_the_chance_of_a_distance() -> None:
    # 20 * 20 / 40 = 10; 2 * 10 / 4 = 5
    assert p_value(0.5, 20, 20) == pytest.approx(2 * math.exp(-5))
    assert p_value(0.5, 60, 30) == pytest.approx(2 * math.exp(-10))  # 60 * 30 / 90 = 20
    assert p_value(0.1, 20, 20) == 1.0


def test_it_is_scipy_s_test_but_never_surer() -> None:
    from scipy.stats import ks_2samp

    random = np.random.default_rng(5)
    for size, shift, digits in ((20, 0.0, 6), (25, 1.0, 6), (60, 0.7, 1), (200, 0.3, 0)):
        then = np.sort(random.normal(size=500).round(digits)).astype(np.float32)
        now = (random.normal(size=size) + shift).round(digits).astype(np.float32)
        expected = ks_2samp(then, now, method="exact")
        largest = distance(then, now)
        assert largest == pytest.approx(expected.statistic)
        assert p_value(largest, 500, size) >= expected.pvalue * (1 - 1e-9)


@pytest.mark.parametrize(
    ("sizes", "number"), [([1] * 5, 5), ([4], 1), ([2, 1, 1], 16 / 6), ([], 0)]
)
def test_copies_do_not_count(sizes: list[int], number: float) -> None:
    assert effective(sizes) == pytest.approx(number)


def test_near_identical_images_are_one_group_and_flat_ones_are_told_apart_by_their_vectors() -> (
    None
):
    hashes = np.array([PICTURE, PICTURE << 32, PICTURE ^ 0b111, 0, 1, 0], np.uint64)
    vectors = np.stack([E_X, E_X, E_Y, E_X, E_X, E_Y])
    # Rows 0 and 2 differ in 3 bits; 1 in 64; of the flat ones, 3 and 4 have one vector.
    assert sorted(groups(hashes, vectors)) == [1, 1, 2, 2]


def test_a_sample_stays_small_and_spread_over_all_that_comes() -> None:
    sample = Sample(most=4)
    for number in range(10):
        sample.add(number, E_X if number % 4 == 0 else E_Y)
    assert len(sample) == 3  # of 0, 4 and 8, all flat and alike
    assert sample.different == 1.0
    assert Sample().different == 0.0


EVEN = np.arange(100, dtype=np.float32)  # scores 0 to 99; half lie at or above 50


def test_a_batch_that_lies_elsewhere_is_warned_of_with_what_moved() -> None:
    # 40 images from 0 to 19.5: all of them below 20, where a fifth was. n = 100 * 40 / 140; p = 2
    # exp(-2 n 0.64).
    found = compare(EVEN, 100, (np.arange(40) / 2).astype(np.float32), 40, 50)
    assert found.warning
    assert found.distance == pytest.approx(0.8)
    assert found.p_value == pytest.approx(2 * math.exp(-2 * (4000 / 140) * 0.64))
    assert (found.above_line_then, found.above_line_now) == (0.5, 0.0)
    assert found.sentence == (
        "these images are not like those that were audited: 0.0 % of them score at or above the line, 50.0 % did then "
        "(median score 9.750 now, 49.500 then); what held then may not hold here: index them, and audit again"
    )


def test_a_batch_like_what_was_audited_is_not() -> None:
    found = compare(EVEN, 100, EVEN[::2], 50, 50)
    assert not found.warning
    assert found.distance == pytest.approx(0.01)
    assert found.sentence == "their scores are like those that were audited"


def test_a_hundred_copies_of_one_image_say_nothing() -> None:
    found = compare(EVEN, 100, np.zeros(100, np.float32), 1.0, 50)
    assert not found.warning
    assert found.distance is None
    assert found.sentence == (
        "too few different images (about 1, and 20 are needed) to tell whether their scores are like those that were "
        "audited"
    )
    assert compare(EVEN, 100, np.empty(0, np.float32), 0.0, 50).above_line_now is None


def test_copies_weaken_what_a_batch_shows() -> None:
    low = np.arange(40, dtype=np.float32)  # D = 0.6
    assert compare(EVEN, 100, low, 40, 50).warning  # p = 2 exp(-2 * 28.6 * 0.36) = 2e-9
    assert not compare(EVEN, 20, low, 21, 50).warning  # p = 2 exp(-2 * 10.2 * 0.36) = 1e-3 and more


def test_a_difference_too_small_to_act_on_is_no_warning_however_sure() -> None:
    then = np.arange(10_000, dtype=np.float32)
    found = compare(then, 10_000, then + 500, 10_000, 5_000)
    assert found.p_value is not None
    assert found.p_value < 1e-10
    assert found.distance == pytest.approx(0.05)
    assert not found.warning


def test_batches_that_have_not_drifted_are_hardly_ever_warned_of() -> None:
    """Of 3,000 batches at most 0.001 each; copies in bursts of up to 30, scores that tie."""
    random = np.random.default_rng(11)
    then = np.sort(random.normal(size=3_000).round(1)).astype(np.float32)
    warned = 0
    for _ in range(3_000):
        bursts = random.integers(1, 31, 60)
        now = np.repeat(random.choice(then, 60), bursts)
        warned += compare(then, 3_000, now, effective(bursts.tolist()), 0.5).warning
    assert warned <= 10  # 3 expected at most; more than 10 would come once in 3,000 such runs
    plain = sum(
        compare(then, 3_000, random.choice(then, 30), 30, 0.5).warning for _ in range(3_000)
    )
    assert plain <= 10
