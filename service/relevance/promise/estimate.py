"""How many rows are relevant, between two bounds, from the labels of an audit: "between 180 and 246
of 10,000, 95 % sure", "at most 2".

The lower bound is the largest a, the upper one the smallest b, of the claims

    relevant rows - a >= 0        and        b - relevant rows >= 0

that the labels show, each with half of the chance of error. The claims are weighed as any other
(`martingale.py`), with the stakes even whatever is claimed. Then each factor of a capital falls as
a rises, and rises with b: Z / -Zmin of a draw is (P + w y) / -P for the first, with P = found - a,
and (P - w y) / (M - P) for the second, with P = b - found, w = rows left / chance of the drawn
stratum and M the largest of those. So the claims that are shown are all those up to a bound, the
first false one, a = relevant + 1 or b = relevant - 1, is the easiest to believe of the false ones,
and it is ever believed with at most its part of the chance of error. Look whenever you like.

An audit's draws are shared out for its promise; the bounds hold for any shares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from indexer.errors import BadRequest
from service.relevance.as_json import AsJson, told
from service.relevance.definition import Definition
from service.relevance.promise import plan
from service.relevance.promise.applying import forecast
from service.relevance.promise.audit import Audit
from service.relevance.promise.following import Following
from service.relevance.promise.martingale import NO, YES, Claims, Evidence, Wholes, weigh
from service.relevance.scoring.calibration import Calibration

AT_ONCE = 32  # claims that share a pass over the labels


@dataclass(frozen=True, slots=True)
class Estimate(AsJson):
    """How many images are relevant."""

    filter: str
    version: int
    rows: int = field(
        metadata=told("Images that were there, and in `where`, when the audit began.")
    )
    relevant: int = field(metadata=told("About how many are; nothing is promised of it."))
    at_least: int
    at_most: int
    confidence: float = field(
        metadata=told("The chance that both bounds hold, however often you look, at least.")
    )
    audit: int = field(metadata=told("Whose labels show it."))
    labels: int


def estimate_of(
    definition: Definition, audit: Audit | None, said: Mapping[int, str], confidence: float
) -> Estimate:
    """:param audit: the one that the version rests on; None: there is none.

    :param said: row_id -> yes, no, skip or conflict.
    :raises BadRequest: if there is no audit of all images together, or confidence is not in (0, 1).
    """
    if not 0 < confidence < 1:
        raise BadRequest("confidence", f"{confidence:g} is not between 0 and 1; 0.95 means 95 %")
    if audit is None:
        raise BadRequest(
            "name",
            f"no image of {definition.name} was drawn at random yet, so nothing is known of how many belong: "
            "begin an audit (purpose audit) and answer what it asks",
        )
    if audit.design.every is not None:
        raise BadRequest(
            "name",
            f"the audit in force draws from every {audit.design.every} by itself, which bounds no number of all; "
            "begin one of all images together (--again)",
        )
    if audit.design.scene is not None:
        raise BadRequest(
            "name",
            f"the audit in force draws scenes of {audit.design.scene}, which bounds no number of images; begin one of "
            "all images together (--again)",
        )
    if isinstance(audit, Following):
        raise BadRequest(
            "name",
            "the audit in force follows images that came later and draws from those alone, which bounds no number of "
            "all; begin one of all images together (--again)",
        )
    least, most = bounds(audit, said, confidence)
    return Estimate(
        filter=definition.name,
        version=definition.version,
        rows=len(audit.row_ids),
        relevant=min(max(_about(audit, said, definition.calibration), least), most),
        at_least=least,
        at_most=most,
        confidence=confidence,
        audit=audit.design.number,
        labels=len(audit.prefix(said)),
    )


def bounds_of_plan(
    audit: Audit | None, row_ids: Wholes, said: Mapping[int, str], confidence: float
) -> tuple[int, int | None]:
    """(at least, at most) of the rows that a plan is for; None: not known.

    What was asked to teach says nothing of the others: those were the best matches that there were.
    Rows that came since the audit began may all be relevant, and those that went may have been.

    :param audit: the one in force; None: there is none.
    :param row_ids: int64, (n,), rising.
    :param said: row_id -> yes, no, skip or conflict.
    :param confidence: in (0, 1), of both together.
    """
    answers = [said.get(row_id) for row_id in row_ids.tolist()] if said else []
    yes, no = answers.count("yes"), answers.count("no")
    if isinstance(audit, Following):
        audit = audit.first
    if audit is None or audit.design.every is not None or audit.design.scene is not None:
        return yes, None
    if not len(audit.prefix(said)):
        return yes, None
    least, most = bounds(audit, said, confidence)
    stayed = len(np.intersect1d(row_ids, audit.row_ids, assume_unique=True))
    gone, came = len(audit.row_ids) - stayed, len(row_ids) - stayed
    # What people said is sure, where bounds erred: see `bounds`.
    open_ = len(row_ids) - no
    return min(max(yes, least - gone), open_), max(min(most + came, open_), yes)


def bounds(audit: Audit, said: Mapping[int, str], confidence: float) -> tuple[int, int]:
    """(at least, at most), of the audit's rows.

    :param said: row_id -> yes, no, skip or conflict.
    :param confidence: in (0, 1), of both together.
    """
    known, answers = audit.known(said), audit.prefix(said)
    strata, _ = audit.draws(len(answers))
    sizes, shares = audit.sizes, audit.shares_of(len(answers))
    delta = audit.design.delta(confidence) / 2
    ones = np.ones(len(sizes))

    def shown(gain: float, constants: list[float]) -> list[bool]:
        claims = Claims(np.tile(gain * ones, (len(constants), 1)), np.array(constants))
        evidence = weigh(sizes, shares, strata, answers, claims)
        return [bool(each) for each in evidence.holds(np.full(len(claims), delta))]

    unsure = known.yes + known.withdrawn
    total = int(sizes.sum())
    more = _last(0, total, lambda numbers: shown(1.0, [-float(each) for each in numbers]))
    # Counted from the most there may be downwards.
    fewer = _last(0, total, lambda numbers: shown(-1.0, [float(total - each) for each in numbers]))
    found = known.yes + answers.count(YES)
    open_ = unsure + total - answers.count(NO)
    # What is counted is sure, whatever the claims say.
    least, most = min(known.yes + more, open_), max(unsure + total - fewer, found)
    # By bad luck, whose chance the confidence allows for, both claims may be shown of which one is
    # false. Nobody can tell which, so what they say is between them.
    return min(least, most), max(least, most)


def _last(first: int, last: int, holds: Callable[[list[int]], list[bool]]) -> int:
    """The last number of those from first to last that holds; all before it do, and the first."""
    while first < last:
        some = np.unique(np.linspace(first + 1, last, min(AT_ONCE, last - first)).round())
        numbers = some.astype(int).tolist()
        found = holds(numbers)
        good = found.index(False) if False in found else len(found)
        first, last = (
            numbers[good - 1] if good else first,
            numbers[good] - 1 if good < len(numbers) else last,
        )
    return first


def _about(audit: Audit, said: Mapping[int, str], calibration: Calibration | None) -> int:
    answers = audit.prefix(said)
    strata, _ = audit.draws(len(answers))
    evidence: Evidence = weigh(
        audit.sizes,
        audit.shares_of(len(answers)),
        strata,
        answers,
        Claims(np.zeros((0, len(audit.sizes))), np.zeros(0)),
    )
    rates = plan.learned(forecast(audit, calibration), evidence)
    left = float((audit.sizes - evidence.drawn) @ rates)
    return round(audit.known(said).yes + int(evidence.relevant.sum()) + left)
