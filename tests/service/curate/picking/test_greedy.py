"""Greedy picks, beside looking at every candidate each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from indexer.arrays import Vectors
from indexer.report import Silent
from service.curate.picking.aims import Coverage, Diversity
from service.curate.picking.greedy import greedy
from service.curate.picking.limits import AtLeast, AtMost, Limits


def unit(rows: Sequence[Sequence[float]]) -> Vectors:
    vectors = np.array(rows, np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def cloud(count: int, seed: int) -> Vectors:
    random = np.random.default_rng(seed)
    return unit((random.standard_normal((count, 8)) + random.integers(0, 3, (count, 1))).tolist())


def covering(vectors: Vectors, known: Vectors | None = None) -> Coverage:
    start = np.full(len(vectors), -1, np.float32)
    return Coverage(vectors, vectors, start if known is None else (vectors @ known.T).max(axis=1))


def picks(
    aim: Coverage | Diversity, of: int, count: int, limits: Limits | None = None
) -> list[int]:
    return greedy(aim, of, count, limits or Limits(of, count), Silent())


def test_coverage_by_hand() -> None:
    """Three lie round (1, 0), two round (0, 1), one alone: the middle one of three stands for most.
    Sums of cosines to all: 0.96 + 1 + 0.96 + 0 + ... for number 1.
    """
    vectors = unit([(0.96, 0.28), (1, 0), (0.96, -0.28), (-0.28, -0.96), (0, -1), (-0.6, 0.8)])
    aim = covering(vectors)
    gains = aim.gains(np.arange(6))
    # Number 2 also has 0.28 * 0.96 - 0.96 * 0.28 = 0 of number 3 and 0.28 of number 4.
    assert gains.tolist() == pytest.approx(
        [
            1 + 0.96 + (0.96**2 - 0.28**2),
            0.96 + 1 + 0.96,
            (0.96**2 - 0.28**2) + 0.96 + 1 + 0.28,
            1 + 0.96,
            0.28 + 0.96 + 1,
            1,
        ],
        abs=1e-6,
    )
    # 2 has most: 3.0832. Beside it 3 adds 1 + (0.96 - 0.28), 4 adds 0.96 + 0.72, 5 adds 1; number
    # 3 and 4 add the same to a hair, so that what follows is asked of an aim that knows both.
    assert picks(aim, 6, 1) == [2]
    assert picks(covering(vectors, vectors[[2, 4]]), 6, 2) == [5, 0]


def test_diversity_takes_the_usual_one_first_and_then_the_farthest() -> None:
    vectors = unit([(0.8, 0.6), (1, 0), (0.8, -0.6), (-0.6, 0.8), (0, -1)])
    # The mean is (0.4, -0.04): its cosines are 0.296, 0.4, 0.344, -0.272, 0.04.
    # From 1 they are 0.8, 1, 0.8, -0.6, 0; from 3 and 1 at most 0.8, -, 0.8, -, 0; then from 4,
    # too, 0.8, -, 0.8: of two alike the first.
    assert picks(Diversity(vectors, None), 5, 5) == [1, 3, 4, 0, 2]
    known = vectors @ vectors[3]
    # From 3 they are 0, -0.6, -0.96, -, -0.8; then from 2, too, 0.28, 0.8, -, -, 0.6.
    assert picks(Diversity(vectors, known), 5, 2) == [2, 0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("by", ["coverage", "diversity"])
def test_lazy_picks_are_those_of_looking_at_all_each_time(by: str, seed: int) -> None:
    vectors = cloud(300, seed)
    one, other = (
        covering(vectors) if by == "coverage" else Diversity(vectors, None) for _ in range(2)
    )
    plain, left = [], np.arange(300)
    for _ in range(40):
        best = int(left[np.argmax(other.gains(left))])
        other.take(best)
        plain.append(best)
        left = left[left != best]
    assert picks(one, 300, 40) == plain


def test_limits_hold_and_what_is_owed_is_paid() -> None:
    vectors = cloud(200, 9)
    colours = np.arange(200) % 5
    colours[:20] = -1  # without a value: not limited
    rare = np.zeros(200, bool)
    rare[190:] = True
    limits = Limits(200, 30, [AtMost(colours, 4)], [AtLeast(rare, 7)])
    found = picks(covering(vectors), 200, 30, limits)
    assert len(set(found)) == 30
    counts = np.bincount(colours[found][colours[found] >= 0], minlength=5)
    assert counts.max() <= 4 and rare[found].sum() >= 7
    # It is picked first, before the limit on its colours leaves no room for it.
    assert rare[found[:7]].all()


def test_two_that_are_owed_are_paid_by_one_pick_where_there_is_room_for_one() -> None:
    vectors = cloud(50, 3)
    first, second = np.arange(50) % 2 == 0, np.arange(50) % 3 == 0  # both: 0, 6, 12, ...
    found = picks(
        covering(vectors), 50, 3, Limits(50, 3, [], [AtLeast(first, 3), AtLeast(second, 3)])
    )
    assert all(each % 6 == 0 for each in found)


def test_picks_end_where_no_more_are_within_the_limits() -> None:
    vectors = cloud(50, 3)
    assert (
        len(picks(covering(vectors), 50, 40, Limits(50, 40, [AtMost(np.arange(50) % 4, 3)]))) == 12
    )
    assert len(picks(covering(vectors), 50, 60)) == 50
    wanted = Limits(50, 10, [], [AtLeast(np.zeros(50, bool), 5)])
    assert len(picks(covering(vectors), 50, 10, wanted)) == 10
