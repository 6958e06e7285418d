"""What things cost, by hand: 100, 200 and 700 images, of which 98 %, 40 % and 1 % are relevant."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.errors import BadRequest
from service.relevance.definition import Target, Thresholds
from service.relevance.promise.applying import ASK, Applied, apply, stand
from service.relevance.promise.audit import Audit, Design, begin
from service.relevance.promise.auditing import check_prices, costs, planned
from service.relevance.promise.plan import Option, best, by_prices
from service.relevance.promise.prices import Prices, Worth
from service.relevance.promise.progress import CheapestLine
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored
from tests.service.relevance.promise.test_applying import RECALL, answered

SIZES, RATES = np.array([100, 200, 700]), np.array([0.98, 0.4, 0.01])
STRICT = Option(1, 100, 900, 0.53, 2_000)  # out of reach: more labels than images
MIDDLE = Option(2, 300, 700, 0.96, 300)
WIDE = Option(3, 1_000, 0, 1.0, 20)
# only the best band of twenty is all relevant; of the next one 9.5 of 20, of the others none
STEEP = Calibration(1.0, -70.0)


def hundred(worth: Worth | None) -> Audit:
    """Scores 99 to 0 of rows 1 to 100, five bands of twenty."""
    scored = Scored(np.arange(1, 101), np.arange(99, -1, -1).astype(np.float32))
    return planned(begin(1, 1, RECALL, scored, {}), STEEP, {}, worth=worth)


def test_a_line_costs_labels_looks_annotations_and_misses() -> None:
    # 300 * 0.03, then 100 kept unseen (0.98 + 0.03 is over 1) and 200 * 0.43.
    assert Worth(0.03).line(SIZES, RATES, 2, 300) == pytest.approx(9 + 100 + 86)
    # 7 relevant ones below it, at 5 each
    assert Worth(0.03, 5).line(SIZES, RATES, 2, 300) == pytest.approx(195 + 35)
    assert Worth(0.03).looks(SIZES, RATES, 2) == 200
    # from 1 - 0.03 on nobody looks
    assert Worth(0.03).looks(SIZES, np.array([0.97, 0.4, 0.01]), 2) == 200
    assert Worth(0.01).looks(SIZES, RATES, 2) == 300
    # 1,000 * 0.03 and 98 + 80 + 7 relevant ones
    assert Worth(0.03).label_everything(SIZES, RATES) == pytest.approx(215)


def test_the_cheapest_line_depends_on_the_prices() -> None:
    found = [STRICT, MIDDLE, WIDE]
    # 20 * 0.03 + 100 + 86 + 700 * 0.04 = 214.6 against 195
    assert best(found, 1_000, cost=by_prices(SIZES, RATES, Worth(0.03))) == MIDDLE
    # 214.6 against 195 + 7 * 3
    assert best(found, 1_000, cost=by_prices(SIZES, RATES, Worth(0.03, 3))) == WIDE
    # Nobody said prices: 300 / 2 + 300 against 20 / 2 + 1,000.
    assert best(found, 1_000, cost=by_prices(SIZES, RATES, None)) == MIDDLE


def test_the_plan_says_which_way_is_the_cheapest() -> None:
    euros = costs([STRICT, MIDDLE], SIZES, RATES, Prices.of(2, None, 0.06, "EUR"))
    assert euros.to_json() == {
        "prices": {"annotation": 2, "label": 0.06, "miss": None, "currency": "EUR"},
        "annotate_everything": 2_000.0,
        "label_everything": 430.0,
        "line": {"dropped": 700, "labels": 300, "looks": 200, "cost": 390.0},
        "cheapest": "line",
    }
    # 195 + 7 * 5 = 230 against 215
    dear_misses = costs([STRICT, MIDDLE], SIZES, RATES, Prices.of(None, 5, 0.03))
    assert (dear_misses.cheapest, dear_misses.label_everything) == ("label_everything", 215.0)
    assert dear_misses.line == CheapestLine(700, 300, 200, 230.0)
    # 3 * 300 + 300 against 1,000 annotations
    dear_labels = costs([STRICT, MIDDLE], SIZES, RATES, Prices.of(None, None, 3))
    assert (dear_labels.cheapest, dear_labels.line) == (
        "annotate_everything",
        CheapestLine(700, 300, 0, 1_200.0),
    )
    nothing = costs([STRICT], SIZES, RATES, Prices.of(None, None, 0.03))
    assert (nothing.cheapest, nothing.line) == ("label_everything", None)


def test_prices_are_of_use_where_recall_alone_is_promised() -> None:
    prices = Prices.of(None, None, 0.03)
    check_prices(prices, Target(0.9))
    check_prices(None, Target(None, 0.9))
    for target in (Target(None, 0.9), Target(0.9, 0.9)):
        with pytest.raises(BadRequest, match="where recall alone is promised"):
            check_prices(prices, target)


def test_no_price_said_decides_nothing() -> None:
    assert Prices.said(currency="EUR") is None
    assert Prices.said(2) == Prices.of(2)
    # half an annotation
    assert Prices.of(2).worth == Worth(0.5)
    assert Prices.of(2, 10, 0.06).worth == Worth(0.03, 5.0)


def test_an_audit_remembers_its_prices() -> None:
    design = hundred(Worth(0.03, 2)).design
    assert (design.label_price, design.miss_price) == (0.03, 2)
    assert Design.from_json(design.to_json(), "a").worth == Worth(0.03, 2)
    assert hundred(None).design.worth is None


def test_asked_about_is_what_a_look_is_cheaper_for() -> None:
    relevant = set(range(1, 39)) | {50}  # 38 of 39 in the first two bands
    for worth, said, keep in (
        (None, None, 80),  # even odds
        (None, 1 - 0.03, 80),
        (None, 1 - 0.6, 60),  # the second band is 47.5 % relevant
        (None, 1.0, 99),  # looks are free: every kept image is looked at
        (Worth(0.6), None, 60),
        (Worth(0.03), 1 - 0.6, 60),
    ):
        audit = hundred(worth)
        # One image is open, or none: then everything is counted.
        for count in (99, 100):
            answers = answered(audit, relevant, count)
            found = apply(audit, answers, STEEP, ask=True, unseen_from=said)
            assert isinstance(found, Applied)
            if said == 1.0:
                keep_from = np.nextafter(np.float32(99), np.float32(np.inf))
                assert found.thresholds == Thresholds(float(keep_from), 60)
                assert (found.decisions[:40] == ASK).all()
            else:
                assert found.thresholds == Thresholds(keep, 60)
            unseen = said if said is not None else None if worth is None else 1 - worth.label
            # What prices decided is written down, for images to come.
            assert found.measured.get("unseen_from") == (
                None if unseen is None else pytest.approx(unseen)
            )


def test_more_labels_are_asked_for_while_they_pay_by_the_prices() -> None:
    """All relevant images are in the first of 20 bands; half are drawn, and the promise holds."""
    scores = np.arange(2_000, 0, -1).astype(np.float32)
    calibration, relevant = Calibration(0.05, -0.05 * 1_900), set(range(1, 101))

    def more(worth: Worth | None) -> tuple[int, int]:
        scored = Scored(np.arange(1, 2_001), scores)
        audit = begin(1, 1, RECALL, scored, {})
        audit = planned(audit, calibration, {}, worth=worth)
        standing = stand(audit, answered(audit, relevant, 700), calibration)
        assert standing.holds
        return standing.more

    free, drops = more(Worth(0.0))
    assert drops > 0
    assert free > 0
    # A label that costs a hundred annotations never pays, nor does dropping what costs a fortune to
    # miss.
    assert more(Worth(100.0)) == (0, 0)
    assert more(Worth(0.0, 1e6)) == (0, 0)
