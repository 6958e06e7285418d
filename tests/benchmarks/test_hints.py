"""How often the hint is wrong: rates worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.hint_queries import (
    ENGLISH,
    LATER,
    LATIN,
    OTHER_SCRIPTS,
    invented_words,
    random_letters,
)
from benchmarks.hints import Asking, Rate, hints_table
from benchmarks.quality_models import QualityModel, VectorCache
from indexer.arrays import InputShape, Pixels, Vectors
from indexer.embed import Reading


class Circle:
    """A text is a direction in the plane; "there" and "hund" are those of the last photo."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        known = {"there": (0, 1), "hund": (0, 1), "nowhere": (1, 0)}
        return np.array([known[text] for text in texts], np.float32)

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        raise AssertionError("the photos are given")

    def read(self, text: str) -> Reading:
        return Reading(4, 4, 4, 1) if text == "there" else Reading(4, 4, 0, 4)


def asking() -> Asking:
    """100 photos a little right or left of (1, 0), and one at (0, 1), which stands out by far."""
    angles = np.append(np.linspace(-0.1, 0.1, 100), np.pi / 2)
    photos = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    circle = Circle()
    shape = InputShape(4, 4)
    model = QualityModel("circle", {}, shape, 1, circle.embed_images, circle.embed_texts)
    return Asking("circle", photos, model, circle, VectorCache(None))  # type: ignore[arg-type]


def test_a_strange_word_whose_photo_stands_out_gets_no_hint() -> None:
    rate = asking().rate("strange", ["hund", "nowhere", "there"])
    assert (rate.queries, rate.said) == (3, 1)
    assert abs(rate.share - 1 / 3) < 1e-9


def test_photos_can_be_taken_out_first() -> None:
    last = np.arange(101) == 100
    rate = asking().rate("strange", ["hund", "there"], [last, last])
    assert (rate.queries, rate.said) == (2, 1)  # "there" is a word that is known


def test_only_those_with_a_right_photo_among_the_first_are_counted() -> None:
    last = np.arange(101) == 100
    rate = asking().rate_found("found", ["hund", "nowhere"], [last, last])
    assert (rate.queries, rate.said) == (1, 0)  # to (1, 0) the last photo is the farthest


def test_the_table_has_a_line_a_rate() -> None:
    table = hints_table([Rate("aid", 1_900, "there", 40, 2, 3.25)])
    assert table.splitlines()[2] == "| aid | 1,900 | there | 40 | 5.0% | 3.2 |"


def test_every_language_says_the_same_twelve_things() -> None:
    for texts in (LATIN | LATER | OTHER_SCRIPTS).values():
        assert len(set(texts)) == len(ENGLISH) == 12


def test_nonsense_is_the_same_for_a_seed() -> None:
    for make in (random_letters, invented_words):
        assert make(5, 1) == make(5, 1) != make(5, 2)
        assert len(make(7)) == 7
