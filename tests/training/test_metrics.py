"""Every metric against figures worked out by hand, ties and refusals included."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.arrays import Vectors
from training.metrics import (
    average_precision,
    average_precision_at,
    copies_on_top,
    linear_ap,
    precision_at_10,
    recall_at_k,
    top_1,
)

AXES = np.eye(3, dtype=np.float32)


def at(*degrees: float) -> Vectors:
    """Unit vectors in the plane: the nearer in degrees, the larger the score."""
    angles = np.radians(np.array(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def flags(letters: str) -> np.ndarray:
    return np.array([letter == "+" for letter in letters])


def test_recall_counts_each_caption_by_the_rank_of_its_own_image() -> None:
    images, texts = at(0, 30, 60, 90), at(2, 28, 40, 5)
    own = np.array([0, 1, 2, 3])  # at ranks 1, 1, 2 (30 is nearer to 40 than 60), 4
    assert [recall_at_k(texts, images, own, k) for k in (1, 2, 3, 4)] == [0.5, 0.75, 0.75, 1.0]
    assert recall_at_k(at(1, 29), images, np.array([0, 0]), 1) == 0.5  # two captions of one image


def test_ties_count_against_recall() -> None:
    same = np.repeat(AXES[:1], 5, axis=0)
    assert recall_at_k(AXES[:1], same, np.array([0]), 4) == 0
    assert recall_at_k(AXES[:1], same, np.array([0]), 5) == 1


def test_recall_of_more_texts_than_are_scored_at_a_time() -> None:
    own = np.arange(3000) % 3
    assert recall_at_k(AXES[own], AXES, own, 1) == 1
    assert (
        recall_at_k(AXES[own], AXES, np.where(np.arange(3000) < 1500, own, (own + 1) % 3), 1) == 0.5
    )


def test_recall_refuses_nothing_and_a_k_of_0() -> None:
    with pytest.raises(ValueError, match="there is nothing to measure"):
        recall_at_k(AXES[:0], AXES, np.array([], int), 1)
    with pytest.raises(ValueError, match="k is 0"):
        recall_at_k(AXES, AXES, np.arange(3), 0)


def test_top_1_takes_a_class_as_the_mean_of_its_prompts() -> None:
    prompts = np.stack([at(0, 40), at(90, 90)])  # class 0 at 20 degrees, class 1 at 90
    images, labels = at(10, 50, 60, 80), np.array([0, 0, 0, 1])  # the border is at 55 degrees
    assert top_1(images, labels, prompts) == 0.75
    assert top_1(AXES[:1], np.array([0]), AXES[None, [2]].repeat(2, axis=0)) == 0  # a tie


def test_copies_on_top() -> None:
    assert copies_on_top(at(0, 10, 20), at(1, 16, 20)) == pytest.approx(2 / 3)  # 16 is nearer to 20
    # a twin ties with the original
    assert copies_on_top(np.repeat(AXES[:1], 2, axis=0), AXES[[0, 0]]) == 0


def test_average_precision_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert average_precision(scores, flags("+-+-")) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(scores, flags("---+")) == 0.25
    assert average_precision(scores[::-1], flags("---+")) == 1


def test_equal_scores_rank_negatives_first() -> None:
    assert average_precision(np.ones(4), flags("+---")) == 0.25
    assert average_precision(np.ones(4), flags("++--")) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_average_precision_refuses_what_it_cannot_rank() -> None:
    with pytest.raises(ValueError, match="none is positive"):
        average_precision(np.ones(2), flags("--"))
    with pytest.raises(ValueError, match="not a number"):
        average_precision(np.array([1, np.nan]), flags("+-"))


@pytest.mark.parametrize(
    ("letters", "prevalence", "found"),
    [
        # 4 positives of one score, behind 4 negatives: one positive is kept, at rank 5.
        ("----++++", 0.2, 1 / 5),
        # 1 positive behind 9 negatives: 4 negatives are kept; one is kept.
        ("---------+", 0.2, 1 / 5),
        ("---------+", 0.5, 1 / 2),
        # As it is: nothing to draw.
        ("--+-", 0.25, 1 / 3),
    ],
)
def test_average_precision_at_a_prevalence(letters: str, prevalence: float, found: float) -> None:
    scores = np.arange(len(letters), 0, -1.0)
    if letters == "----++++":
        scores[4:] = 0
    assert average_precision_at(prevalence, scores, flags(letters)) == pytest.approx(found)


def test_draws_are_seeded_and_averaged() -> None:
    scores, positive = (
        np.array([3.0, 2.0, 1.0]),
        flags("-+-"),
    )  # one negative is kept: above (1/2) or below (1)
    one_draw = {
        average_precision_at(0.5, scores, positive, draws=1, seed=seed) for seed in range(20)
    }
    assert one_draw == {0.5, 1.0}
    assert average_precision_at(0.5, scores, positive, draws=400) == pytest.approx(0.75, abs=0.05)
    again = [average_precision_at(0.5, scores, positive, draws=7, seed=3) for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize(("letters", "prevalence"), [("+++-", 0.01), ("----", 0.5), ("++++", 0.5)])
def test_a_prevalence_that_cannot_be_had(letters: str, prevalence: float) -> None:
    with pytest.raises(ValueError, match="cannot be brought to"):
        average_precision_at(prevalence, np.ones(4), flags(letters))


@pytest.mark.parametrize("prevalence", [0, 1])
def test_a_prevalence_is_a_share(prevalence: float) -> None:
    with pytest.raises(ValueError, match="expected above 0 and below 1"):
        average_precision_at(prevalence, np.ones(2), flags("+-"))


def test_precision_at_10_without_the_image_itself() -> None:
    close = np.linspace(0, 1, 11)
    vectors = at(*close, *(close + 90))
    labels = np.repeat([0, 1], 11)
    assert precision_at_10(vectors, labels) == 1
    labels[0] = 2  # it finds none of its own; ten others find 9 of 10; the second class is whole
    assert precision_at_10(vectors, labels) == pytest.approx((0 + 10 * 0.9 + 11) / 22)
    assert precision_at_10(at(0, 1, 90), np.array([0, 0, 1])) == pytest.approx((0.5 + 0.5 + 0) / 3)


def test_among_equal_neighbours_the_other_class_comes_first() -> None:
    labels = np.repeat([0, 1], 11)  # 10 of the 11 of the other class
    assert precision_at_10(np.repeat(AXES[:1], 22, axis=0), labels) == 0
    with pytest.raises(ValueError, match="at least 2 images"):
        precision_at_10(AXES[:1], labels[:1])


def test_a_line_finds_a_class_that_lies_apart() -> None:
    random = np.random.default_rng(0)
    vectors = at(*random.uniform(0, 20, 30), *random.uniform(60, 90, 170))
    positive = np.arange(200) < 30
    assert linear_ap(vectors, positive, positives=10, others=30, prevalence=0.06, draws=3) == 1


def test_a_line_learns_nothing_from_one_vector() -> None:
    vectors, positive = np.repeat(AXES[:1], 60, axis=0), np.arange(60) < 12
    # 2 of 12 and 10 of 48 are fitted on; of the rest, 10 + 38, at one half 10 + 10 are kept,
    # positives last.
    worst = np.mean([hits / (10 + hits) for hits in range(1, 11)])
    found = linear_ap(vectors, positive, positives=2, others=10, prevalence=0.5, draws=2)
    assert found == pytest.approx(worst)
    with pytest.raises(ValueError, match=r"12 \+ 10 leave none of 12 \+ 48"):
        linear_ap(vectors, positive, positives=12, others=10, prevalence=0.5)
