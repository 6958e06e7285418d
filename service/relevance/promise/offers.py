"""What an audit supports beside the promise that is wanted of it: other promises that its answers
show already, and what a tighter one would still cost.

A promise may be chosen from these with all answers on the table (`retarget.py`). What more costs is
a forecast, and no promise rests on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from service.relevance.as_json import AsJson, told
from service.relevance.definition import Definition, Target
from service.relevance.promise import plan
from service.relevance.promise.applying import (
    ASK,
    DROP,
    KEEP,
    Applied,
    Standing,
    decide,
    forecast,
    overruled,
    stand,
)
from service.relevance.promise.audit import Audit
from service.relevance.promise.audit import begin as begin_audit
from service.relevance.promise.promise import LADDER, chains
from service.relevance.promise.retarget import retargeted
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

CONFIDENCES = (0.99, 0.95, 0.9, 0.8)
RECALLS = (*LADDER, 0.99)
TIGHTER_RECALLS = 2  # above the wanted one, that are told


@dataclass(frozen=True, slots=True)
class Offer(AsJson):
    """A promise that holds now: `apply` with this recall and confidence goes through."""

    recall: float | None
    precision: float | None
    confidence: float
    ask: bool = field(metadata=told("It holds at two lines: apply it with ask."))
    kept: int
    asked: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Tighter(AsJson):
    """A promise that does not hold yet, and what it may cost."""

    recall: float | None
    precision: float | None
    confidence: float
    labels: int | None = field(metadata=told("About how many more; null: out of sight."))
    dropped: int | None = field(
        metadata=told("About how many images it would drop then; null: out of sight.")
    )
    own_audit: bool = field(
        metadata=told("It takes a filter of its own with that recall, taught with these answers.")
    )


@dataclass(frozen=True, slots=True)
class OffersAnswer(AsJson):
    """What the audit in force supports, and what more would cost."""

    filter: str
    version: int
    offers: tuple[Offer, ...] = field(
        metadata=told(
            "Surest first; a less sure one is named only where it drops more, or keeps more of what "
            "is wanted. Empty: there is no audit, nothing holds yet, or every image was answered."
        )
    )
    tighter: tuple[Tighter, ...]
    scene: str | None = field(
        metadata=told(
            "The column of whose scenes each recall here is: the share of the relevant ones that "
            "keep a relevant image; labels count scenes. Null: recall is of images."
        )
    )


def offers_of(definition: Definition, audit: Audit | None, said: Mapping[int, str]) -> OffersAnswer:
    """:param definition: the latest version; audit: the one that it rests on, None: there is none.

    :param said: row_id -> yes, no, skip or conflict.
    """
    found: list[Offer] = []
    tighter: list[Tighter] = []
    if audit is not None:
        target, calibration = audit.design.target, definition.calibration
        for confidence in sorted({*CONFIDENCES, target.confidence}, reverse=True):
            wanted = retargeted(target, confidence=confidence)
            standing = stand(audit, said, calibration, wanted)
            if standing.counted is not None:
                break
            offer = _best(standing, calibration, said)
            if offer is not None and _earns(offer, found):
                found.append(offer)
            if confidence > target.confidence and not standing.holds:
                tighter.append(_surer(standing))
        else:
            tighter += _higher_recalls(audit, calibration, said)
    return OffersAnswer(
        definition.name, definition.version, tuple(found), tuple(tighter), definition.scene
    )


def _best(
    standing: Standing, calibration: Calibration | None, said: Mapping[int, str]
) -> Offer | None:
    """The highest recall that holds with this confidence, up to the target's."""
    for wanted in _recalls_below(standing.wanted):
        for ask in (False, True):
            found = decide(replace(standing, wanted=wanted), calibration, ask=ask)
            # Nobody is asked where one line will do.
            if isinstance(found, Applied) and (not ask or wanted.precision is not None):
                decisions = overruled(standing.audit, found.decisions, said)
                counts = np.bincount(decisions, minlength=3).tolist()
                return Offer(
                    wanted.recall,
                    wanted.precision,
                    wanted.confidence,
                    ask,
                    counts[KEEP],
                    counts[ASK],
                    counts[DROP],
                )
    return None


def _recalls_below(wanted: Target) -> Iterator[Target]:
    yield wanted
    if wanted.recall is not None:
        for recall in reversed(LADDER):
            if recall < wanted.recall:
                yield replace(wanted, recall=recall)


def _earns(offer: Offer, surer: list[Offer]) -> bool:
    """Whether it is worth being less sure, or is the surest."""
    return all(
        offer.dropped > each.dropped or (offer.recall or 0) > (each.recall or 0) for each in surer
    )


def _surer(standing: Standing) -> Tighter:
    """At the line that the audit is planned for."""
    wanted, labels = standing.wanted, standing.missing
    dropped = None
    if labels is not None:
        chain, aim = standing.chains[0], standing.audit.design.aim
        cut = aim if aim in chain.cuts else chain.cuts[0]
        dropped = standing.audit.rows_below(cut)
    return Tighter(
        wanted.recall, wanted.precision, wanted.confidence, labels, dropped, own_audit=False
    )


def _higher_recalls(
    audit: Audit, calibration: Calibration | None, said: Mapping[int, str]
) -> Iterator[Tighter]:
    """By the plan of a first audit of another filter, to which all answers are known."""
    target = audit.design.target
    if target.recall is None or audit.design.every or audit.design.scene:
        return
    scored = Scored(audit.row_ids, audit.scores)
    for recall in [each for each in RECALLS if each > target.recall][:TIGHTER_RECALLS]:
        wanted = replace(target, recall=recall)
        another = begin_audit(1, audit.design.snapshot, wanted, scored, said)
        delta = another.design.delta(wanted.confidence)
        found = chains(wanted, another.sizes, another.known(said), delta)
        rates = forecast(another, calibration)
        options = plan.options(another.sizes, rates, found[0]) if found else []
        best = plan.best(options, int(another.sizes.sum()))
        labels = None if best is None else int(np.ceil(best.labels))
        dropped = None if best is None else best.dropped
        yield Tighter(recall, wanted.precision, wanted.confidence, labels, dropped, own_audit=True)
