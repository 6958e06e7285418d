"""Money by hand: an annotation costs 1, a label a half, a miss 10, where nothing else is said."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.errors import BadRequest
from service.relevance.promise.applying import DROP, KEEP
from service.relevance.promise.prices import Prices
from service.relevance.promise.promise import most_missed
from service.relevance.reporting.costs import Misses, ask_band, saved

PRICES = Prices.of(1, miss_price=10, currency="EUR")


@pytest.mark.parametrize(
    ("recall", "above", "found_below", "unseen", "missed"),
    [
        (0.9, 90, 0, 500, 10),  # 90 of 100 kept, 10 missed
        (0.9, 90, 4, 500, 6),  # 4 of the 10 below the line were found, and are kept
        (0.9, 90, 20, 500, 0),
        (0.9, 90, 0, 3, 3),  # no more than there are
        (0.8, 10, 0, 500, 2),  # 2.5
    ],
)
def test_the_most_that_are_missed_follow_from_the_promise(
    recall: float, above: int, found_below: int, unseen: int, missed: int
) -> None:
    assert most_missed(recall, above, found_below, unseen) == missed


def test_what_is_saved_has_an_estimate_and_two_ends() -> None:
    found = saved(
        PRICES,
        dropped=1_000,
        asked=0,
        asked_relevant=0,
        labels=200,
        misses=Misses(3.0, 8, promised=True),
    )
    assert found.to_json() == {
        "estimate": 870.0,  # 1,000 annotations less 200 labels at 0.5, less 3 misses at 10
        "at_least": 820.0,  # 8 misses
        "at_most": 900.0,  # none
        "not_annotated": 1000.0,
        "labels": 100.0,
        "looks": 0.0,
        "misses": 30.0,
        "misses_at_most": 80.0,
    }


def test_an_image_that_is_asked_about_costs_a_look_and_an_annotation_where_it_is_relevant() -> None:
    found = saved(
        PRICES,
        dropped=0,
        asked=100,
        asked_relevant=40,
        labels=0,
        misses=Misses(0, 0, promised=True),
    )
    assert (found["at_least"], found["estimate"], found["at_most"]) == (-50.0, 10.0, 50.0)


def test_a_look_pays_between_two_chances() -> None:
    """A look beats an annotation below 1 - 0.5 / 1 = 0.5,
    and a drop above 0.5 / (10 - 1) = 0.0556.
    """
    chances = np.array([0.9, 0.4, 0.1, 0.06, 0.05, 0.4])
    decisions = np.array([KEEP, KEEP, DROP, DROP, DROP, KEEP], np.int8)
    open_rows = np.array([True, True, True, True, True, False])  # a person answered the last one
    band = ask_band(PRICES, chances, decisions, open_rows, keeps_are_fixed=False)
    assert band.rows.tolist() == [False, True, True, True, False, False]
    assert band.below == 0.5
    assert band.above == pytest.approx(1 / 18)
    # kept 1 less (0.5 + 0.4); dropped 1 less (0.5 + 0.1), and 0.6 less (0.5 + 0.06)
    assert band.saves == pytest.approx(0.1 + 0.4 + 0.04)
    fixed = ask_band(PRICES, chances, decisions, open_rows, keeps_are_fixed=True)
    assert fixed.rows.tolist() == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"price": -1.0}, "price"),
        ({"price": 0.0}, "price"),
        ({"miss_price": float("nan")}, "miss_price"),
        ({"label_price": 2e9}, "label_price"),
        ({"currency": "x" * 17}, "currency"),
    ],
)
def test_prices_that_are_none(said: dict[str, float | str], field: str) -> None:
    with pytest.raises(BadRequest) as told:
        Prices.of(**said)  # type: ignore[arg-type]
    assert told.value.field == field
