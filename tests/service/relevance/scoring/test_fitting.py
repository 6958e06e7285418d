"""Drafts and classifiers on vectors worked out by hand;
and on clouds where it is known what is best.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pytest

from indexer.arrays import Vectors
from indexer.embed import Embedder
from indexer.embed.vectors import unit_rows
from indexer.errors import BadRequest
from service.relevance.scoring.classifier import (
    Answered,
    Labels,
    average_precision,
    learn,
    out_of_fold,
)
from service.relevance.scoring.fitting import TEMPLATES, draft, fit, prompt_vectors
from service.relevance.scoring.scorer import Scorer
from tests.fakes import ColourEmbedder

DIM = 16
AXES = np.eye(DIM, dtype=np.float32)
NO_ROWS = np.empty((0, 3), np.float32)


def no_model() -> NoReturn:
    raise AssertionError("the model was loaded, though there is no text")


def model() -> Embedder:
    return ColourEmbedder()


def cloud(count: int, towards: Vectors, seed: int, strength: float = 1.0) -> Vectors:
    """float32, (count, DIM), unit rows: noise about one direction."""
    noise = np.random.default_rng(seed).standard_normal((count, DIM), np.float32) / np.sqrt(DIM)
    return unit_rows(noise + np.float32(strength) * towards)


def prompt(direction: Vectors) -> Scorer:
    return Scorer("prompts", unit_rows(direction[None]), np.empty((0, DIM), np.float32))


def quality_of(scorer: Scorer, vectors: Vectors, relevant: Labels) -> float:
    return average_precision(scorer.of(vectors).astype(np.float64), relevant, np.ones(len(vectors)))


def test_a_draft_of_a_text_scores_as_a_search_for_it() -> None:
    scorer = draft(["red"], [], NO_ROWS, NO_ROWS, model)
    assert (scorer.kind, scorer.keep.tolist(), scorer.drop.shape) == (
        "prompts",
        [[1, 0, 0]],
        (0, 3),
    )
    assert scorer.of(np.array([[0.6, 0.8, 0]], np.float32)).tolist() == pytest.approx([0.6])


def test_each_text_is_a_vector_of_its_side() -> None:
    scorer = draft(["red", "green"], ["blue"], NO_ROWS, NO_ROWS, model)
    assert scorer.keep.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert scorer.drop.tolist() == [[0, 0, 1]]


def test_a_text_is_said_in_every_template_once() -> None:
    class Listening(ColourEmbedder):
        def embed_texts(self, texts: object) -> Vectors:
            self.heard = list(texts)  # type: ignore[call-overload]
            return super().embed_texts(self.heard)

    for text in ("red", " a photo of red ", "A picture of red"):
        listening = Listening()
        prompt_vectors([text], listening)
        assert listening.heard == [template.format("red") for template in TEMPLATES]


def test_the_vector_of_a_text_is_the_unit_mean_over_the_templates() -> None:
    class Moody(ColourEmbedder):
        def embed_texts(self, texts: object) -> Vectors:
            return np.eye(4, dtype=np.float32)

    assert prompt_vectors(["red"], Moody()).tolist() == [[0.5, 0.5, 0.5, 0.5]]


def test_examples_alone_are_their_mean_and_need_no_model() -> None:
    shown = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    scorer = draft([], [], shown, np.array([[0, 0, 1]], np.float32), no_model)
    assert scorer.kind == "examples"
    assert scorer.keep.tolist()[0] == pytest.approx([0.7071, 0.7071, 0], abs=1e-3)
    assert scorer.drop.tolist() == [[0, 0, 1]]


def test_examples_move_the_texts_towards_them() -> None:
    scorer = draft(["red", "green"], [], np.array([[0, 0, 1]], np.float32), NO_ROWS, model)
    # (1, 0, 0.5) and (0, 1, 0.5), each over its length, the root of 1.25
    assert scorer.keep.tolist() == [
        pytest.approx([0.8944, 0, 0.4472], abs=1e-3),
        pytest.approx([0, 0.8944, 0.4472], abs=1e-3),
    ]


def test_a_draft_of_nothing_and_an_empty_text_are_refused() -> None:
    with pytest.raises(
        BadRequest, match="keep: say or show what you want: give at least one text or example image"
    ):
        draft([], [], NO_ROWS, NO_ROWS, no_model)
    with pytest.raises(BadRequest, match="text: it is empty; say what you look for"):
        draft(["red", " "], [], NO_ROWS, NO_ROWS, model)


def test_the_draft_stays_while_there_are_not_two_answers_of_each_kind() -> None:
    plain = prompt(AXES[0])
    vectors = cloud(30, AXES[0], 0)
    for yes in (0, 1, 29, 30):
        fitted = fit(vectors, np.arange(30) < yes, plain, cloud(100, AXES[1], 1))
        assert fitted.scorer == plain
        assert fitted.facts == {
            "chosen": "draft",
            "labels": 30,
            "yes": yes,
            "because": "there are fewer than 2 answers of each kind",
        }
    assert fit(vectors[:0], np.zeros(0, bool), plain).scorer == plain


def test_answers_correct_a_draft_that_is_beside_the_point() -> None:
    """Wanted is axis 0; the draft says axis 1, which says nothing of it."""
    relevant, others = cloud(200, AXES[0], 1), cloud(200, -AXES[0], 2)
    labels = np.arange(60) < 30
    fitted = fit(
        np.concatenate([relevant[:30], others[:30]]),
        labels,
        prompt(AXES[1]),
        cloud(500, 0 * AXES[0], 3),
    )
    unseen = np.concatenate([relevant[30:], others[30:]])
    truth = np.arange(len(unseen)) < 170
    assert quality_of(fitted.scorer, unseen, truth) > 0.95
    assert quality_of(prompt(AXES[1]), unseen, truth) < 0.7
    assert fitted.scorer.kind == "linear" and fitted.facts["chosen"] != "draft"
    assert fitted.calibration is not None and fitted.calibration.slope > 0
    assert set(fitted.facts["average_precision"]) == {
        "draft",
        "draft with labels",
        "linear without the draft",
    }


@pytest.mark.parametrize("wrong", [0, 2])
def test_a_few_answers_do_not_spoil_a_good_draft(wrong: int) -> None:
    """16 answers, some of either kind wrong, beside a draft that is as good as can be."""
    rows = np.concatenate([cloud(200, AXES[0], 1), cloud(200, 0 * AXES[0], 2)])
    truth = np.arange(400) < 200
    asked = np.r_[0:8, 200:208]
    answers = truth[asked]
    answers[: wrong // 2] = False
    answers[8 : 8 + wrong // 2] = True
    fitted = fit(rows[asked], answers, prompt(AXES[0]), rows[::3])
    rest = np.setdiff1d(np.arange(400), asked)
    before = quality_of(prompt(AXES[0]), rows[rest], truth[rest])
    assert quality_of(fitted.scorer, rows[rest], truth[rest]) >= before - 0.02


def test_the_background_tells_what_else_there_is() -> None:
    """People saw only near misses, axis 0 with axis 1;
    they never saw axis 2, where the rest of the lake lies.
    """
    wanted, near = AXES[0] + AXES[2] * 0.2, AXES[0] + AXES[1] - AXES[2] * 0.2
    seen = np.concatenate([cloud(20, wanted, 1, 3), cloud(20, near, 2, 3)])
    elsewhere = cloud(300, AXES[2], 3, 3)
    labels = np.arange(40) < 20
    found = cloud(100, wanted, 4, 3)
    plain = prompt(AXES[5])

    def quality(background: Vectors | None) -> float:
        scorer = fit(seen, labels, plain, background).scorer
        return quality_of(scorer, np.concatenate([found, elsewhere[150:]]), np.arange(250) < 100)

    assert quality(elsewhere[:150]) > 0.99
    assert quality(None) < quality(elsewhere[:150]) - 0.05


def test_the_same_answers_give_the_same_bytes() -> None:
    vectors = np.concatenate([cloud(20, AXES[0], 0), cloud(20, AXES[1], 1)])
    labels, background = np.arange(40) < 20, cloud(300, AXES[2], 2)
    one = fit(vectors, labels, prompt(AXES[0]), background)
    other = fit(vectors, labels, prompt(AXES[0]), background)
    assert (one.scorer, one.calibration, one.facts) == (
        other.scorer,
        other.calibration,
        other.facts,
    )
    assert one.unseen.tobytes() == other.unseen.tobytes()


def test_a_score_out_of_fold_is_not_of_a_classifier_that_saw_the_row() -> None:
    """Of noise, a classifier knows by heart what it saw, and nothing of what it did not."""
    vectors = cloud(60, 0 * AXES[0], 0)
    labels = np.random.default_rng(1).random(60) < 0.5
    answered = Answered(vectors, labels, vectors[:0], None)
    seen = learn(answered).of(vectors)
    unseen = out_of_fold(answered)
    ones = np.ones(60)
    assert average_precision(seen, labels, ones) > average_precision(unseen, labels, ones) + 0.15


def test_average_precision_is_the_mean_precision_at_each_relevant_row() -> None:
    scores, labels = np.array([4.0, 3, 2, 1]), np.array([True, False, True, False])
    assert average_precision(scores, labels, np.ones(4)) == pytest.approx((1 / 1 + 2 / 3) / 2)
    # the irrelevant row before the second relevant one counts as three
    assert average_precision(scores, labels, np.array([1.0, 3, 1, 1])) == pytest.approx(
        (1 + 2 / 5) / 2
    )
    # among equal scores the irrelevant come first
    assert average_precision(np.zeros(4), labels, np.ones(4)) == pytest.approx((1 / 3 + 2 / 4) / 2)
