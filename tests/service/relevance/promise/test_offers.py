from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from unittest.mock import patch

import numpy as np

from service.relevance.definition import Target
from service.relevance.promise.applying import Applied, apply
from service.relevance.promise.audit import Audit, begin
from service.relevance.promise.auditing import planned
from service.relevance.promise.offers import OffersAnswer, offers_of
from service.relevance.promise.retarget import retargeted
from service.relevance.scoring.scorer import Scored
from tests.service.relevance.definitions import definition

RELEVANT = range(1, 201)  # the best tenth


def two_thousand(target: Target) -> Audit:
    """Scores 1999 to 0 of rows 1 to 2,000; drawn the same each time."""
    scored = Scored(np.arange(1, 2_001), np.arange(2_000, 0, -1).astype(np.float32))
    with patch("service.relevance.promise.audit.fresh_seed", lambda: "5eed" * 16):
        return planned(begin(1, 1, target, scored, {}), None, {})


def answered(audit: Audit, count: int, relevant: Collection[int] = RELEVANT) -> dict[int, str]:
    return {row: "yes" if row in relevant else "no" for row in audit.order[1][:count].tolist()}


def offered(audit: Audit, said: dict[int, str]) -> OffersAnswer:
    return offers_of(definition(target=audit.design.target, audit=1), audit, said)


def test_without_an_audit_or_answers_nothing_is_offered() -> None:
    found = offers_of(definition(), None, {})
    assert (found.filter, found.offers, found.tighter) == ("hospital", (), ())
    assert offered(two_thousand(Target(0.9)), {}).offers == ()


def test_what_is_offered_is_what_apply_does() -> None:
    audit = two_thousand(Target(0.9, None, 0.95))
    said = answered(audit, 260)
    found = offered(audit, said).offers
    assert found
    for offer in found:
        wanted = retargeted(audit.design.target, offer.recall, offer.confidence)
        applied = apply(audit, said, None, wanted=wanted, ask=offer.ask)
        assert isinstance(applied, Applied)
        assert applied.measured["recall"]["at_least"] == offer.recall
        assert offer.kept + offer.asked + offer.dropped == 2_000


def test_a_less_sure_promise_is_offered_only_where_it_brings_more() -> None:
    audit = two_thousand(Target(0.9, None, 0.95))
    found = offered(audit, answered(audit, 260)).offers
    confidences = [offer.confidence for offer in found]
    assert confidences == sorted(confidences, reverse=True)
    for before, after in pairwise(found):
        assert after.dropped > before.dropped or (after.recall or 0) > (before.recall or 0)


def test_what_does_not_hold_yet_is_priced_in_answers() -> None:
    audit = two_thousand(Target(0.9, None, 0.95))
    said = answered(audit, 60)
    found = offered(audit, said)
    assert 0.99 not in [offer.confidence for offer in found.offers]
    surer, *higher = found.tighter
    assert (surer.recall, surer.confidence, surer.own_audit) == (0.9, 0.99, False)
    assert surer.labels is not None
    assert surer.labels > 0
    assert [(each.recall, each.confidence, each.own_audit) for each in higher] == [
        (0.95, 0.95, True),
        (0.98, 0.95, True),
    ]
    # The line with the least work is taken for each; more recall never costs less work.
    work = [each.labels / 2 - each.dropped for each in higher if each.labels and each.dropped]
    assert len(work) == 2
    assert work[0] < work[1]


def test_precision_alone_has_no_lower_recall_and_no_higher_one() -> None:
    audit = two_thousand(Target(None, 0.8, 0.9))
    found = offered(audit, answered(audit, 400))
    assert {offer.recall for offer in found.offers} == {None}
    assert {offer.precision for offer in found.offers} == {0.8}
    assert not any(each.own_audit for each in found.tighter)


def test_where_every_image_is_answered_there_is_nothing_left_to_choose() -> None:
    audit = two_thousand(Target(0.9, None, 0.95))
    found = offered(audit, answered(audit, 2_000))
    assert (found.offers, found.tighter) == ((), ())
