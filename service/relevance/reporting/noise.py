"""How sure the answers themselves are, and what wrong ones would do to the promise.

Two people who each err with the chance e, on their own, disagree on a row with the chance d = 2 e
(1 - e). So from the share d of disagreeing pairs of answers

    e = (1 - sqrt(1 - 2 d)) / 2, and one half from d = 1/2 on.

Then that share of those audit answers which would hurt the most is taken to be wrong: of the `no`
below the line for recall, of the `yes` above it for precision, where one person alone answered.
They are turned round in two ways, and the worse one counts: the first in the order of the draws;
and those first that stand for the most rows. Then the audit is weighed again. More turned answers
never help, so the most that a promise stands is found by halving. A line is drawn as tight as the
answers allow, so a promise stands few; where it falls, the line that would still hold is told.

What this cannot see: mistakes that people share (they agree, and are wrong), a labeller who errs
more than those whose rows were answered twice, a `no` above the line that should be yes (it costs
that one image), and anything at all where nobody answered a row twice. That is told, not guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.words import count
from service.relevance.as_json import AsJson
from service.relevance.labels.book import Answer
from service.relevance.promise.applying import Standing, stand
from service.relevance.promise.martingale import NO, YES, Wholes
from service.relevance.promise.promise import Chain
from service.relevance.scoring.calibration import Calibration

FEW_PAIRS = 30  # of answers to one row: fewer tell little


@dataclass(frozen=True, slots=True)
class Doubles:
    """The rows that more than one person answered yes or no."""

    rows: int
    pairs: int  # of answers to one row
    disagreeing: int

    @classmethod
    def of(cls, answers: Mapping[int, Answer]) -> Doubles:
        rows = pairs = disagreeing = 0
        for answer in answers.values():
            said = [label for label in answer.labellers.values() if label != "skip"]
            if len(said) < 2:
                continue
            yes = said.count("yes")
            rows += 1
            pairs += len(said) * (len(said) - 1) // 2
            disagreeing += yes * (len(said) - yes)
        return cls(rows, pairs, disagreeing)

    @property
    def share_wrong(self) -> float | None:
        """Of all answers, estimated; None: nobody answered a row twice."""
        if not self.pairs:
            return None
        apart = self.disagreeing / self.pairs
        return 0.5 if apart >= 0.5 else (1 - math.sqrt(1 - 2 * apart)) / 2


def agreed_rows(answers: Mapping[int, Answer]) -> list[int]:
    """The row_ids that at least two people answered alike with yes or no, and nobody otherwise."""
    return [
        row_id
        for row_id, answer in answers.items()
        if answer.settled is None
        and answer.label in ("yes", "no")
        and list(answer.labellers.values()).count(answer.label) > 1
    ]


@dataclass(frozen=True, slots=True)
class Check(AsJson):
    """One promise, weighed again with wrong answers."""

    kind: str  # "recall" or "precision"
    answers: int  # of the audit, one person's each, that would hurt if they were wrong
    wrong: int | None  # so many are taken to be; None: the share is not known
    stands: int  # so many wrong ones leave the promise standing
    holds: bool | None  # with `wrong` of them
    rows: int  # that the line settles: recall: below it; precision: above it
    rows_then: int | None  # the same of the line that holds with `wrong` of them; 0: none does


@dataclass(frozen=True, slots=True)
class _Weighing:
    """The audit, to be weighed again and again."""

    standing: Standing
    chain: Chain
    cut: int
    said: Mapping[int, str]
    calibration: Calibration | None
    orders: tuple[Wholes, ...]  # row_ids, those that are turned first in front

    def reached(self, count: int) -> int:
        """How many claims hold when so many answers are turned, in the worse way."""
        return min(self._reached(order[:count]) for order in self.orders)

    def _reached(self, which: Wholes) -> int:
        turned = dict.fromkeys(which.tolist(), "yes" if self.chain.kind == "recall" else "no")
        found = stand(
            self.standing.audit, {**self.said, **turned}, self.calibration, self.standing.wanted
        )
        pairs = zip(found.chains, found.evidence, strict=True)
        return next(
            chain.reached(evidence) for chain, evidence in pairs if chain.kind == self.chain.kind
        )

    def stands(self, count: int) -> bool:
        return self.reached(count) > self.chain.cuts.index(self.cut, self._first)

    @property
    def _first(self) -> int:
        """The number of the first claim that is enough for what is wanted."""
        return self.chain.first_of(getattr(self.standing.wanted, self.chain.kind))

    def rows_settled(self, cut: int) -> int:
        sizes = self.standing.audit.sizes
        return int(sizes[cut:].sum() if self.chain.kind == "recall" else sizes[:cut].sum())

    def rows_then(self, count: int) -> int:
        reached = self.reached(count)
        return self.rows_settled(self.chain.cuts[reached - 1]) if reached > self._first else 0


def check(
    standing: Standing,
    said: Mapping[int, str],
    cuts: Mapping[str, int],
    share: float | None,
    calibration: Calibration | None,
    agreed: Collection[int] = (),
) -> list[Check]:
    """How each promise stands wrong answers.

    :param said: row_id -> the label that the audit counts; cuts: by kind, the cut that is promised.
    :param share: of wrong answers; None: not known.
    :param calibration: the one that the audit was begun with.
    :param agreed: row_ids that several people answered alike: these are not doubted.
    """
    answers = np.array(standing.audit.prefix(said), np.int64)
    strata, rows = standing.audit.draws(len(answers))
    doubted = ~np.isin(rows, list(agreed))
    return [
        _checked(
            standing,
            chain,
            said,
            calibration,
            (answers, strata, rows, doubted),
            cuts[chain.kind],
            share,
        )
        for chain in standing.chains
        if chain.kind in cuts
    ]


def _checked(
    standing: Standing,
    chain: Chain,
    said: Mapping[int, str],
    calibration: Calibration | None,
    draws: tuple[Wholes, Wholes, Wholes, NDArray[np.bool_]],
    cut: int,
    share: float | None,
) -> Check:
    """
    :param draws: (n,) each: the answer, the stratum and the row_id of each draw, and whether its
        answer is doubted.
    """
    answers, strata, rows, doubted = draws
    for_recall = chain.kind == "recall"
    side = strata >= cut if for_recall else strata < cut
    suspects = np.flatnonzero(side & doubted & (answers == (NO if for_recall else YES)))
    shares = np.broadcast_to(
        standing.audit.shares_of(len(answers)), (len(answers), len(standing.audit.sizes))
    )
    stand_for = standing.audit.sizes[strata[suspects]] / shares[suspects, strata[suspects]]
    orders = (rows[suspects], rows[suspects[np.argsort(-stand_for, kind="stable")]])
    weighing = _Weighing(standing, chain, cut, said, calibration, orders)
    wrong = None if share is None else math.ceil(share * len(suspects) - 1e-9)
    most = _most(weighing.stands, len(suspects))
    return Check(
        kind=chain.kind,
        answers=len(suspects),
        wrong=wrong,
        stands=max(most, 0),
        holds=None if wrong is None else wrong <= most,
        rows=weighing.rows_settled(cut),
        rows_then=None if wrong is None else weighing.rows_then(wrong),
    )


def _most(stands: Callable[[int], bool], count: int) -> int:
    """The largest number, up to count, that it stands; -1: not even 0."""
    low, high = -1, count
    while low < high:
        middle = (low + high + 1) // 2
        if stands(middle):
            low = middle
        else:
            high = middle - 1
    return low


def warning(doubles: Doubles, checks: Sequence[Check]) -> str | None:
    """A sentence for whoever relies on the promise; None: nothing that can be seen threatens it."""
    fallen = next((check for check in checks if check.holds is False), None)
    if fallen is None:
        return None
    answer, side = ("no", "below") if fallen.kind == "recall" else ("yes", "above")
    then = (
        f"only at a line with {count(fallen.rows_then, 'image')} {side} it, not {fallen.rows:,}"
        if fallen.rows_then
        else "at no line"
    )
    return (
        f"Wrong answers threaten the promise. People disagree as if {doubles.share_wrong or 0:.1%} of all answers were "
        f"wrong. Were {fallen.wrong:,} of the {fallen.answers:,} audit answers {answer} {side} the line wrong that one "
        f"person alone gave, {fallen.kind} would hold {then}. Let a second person answer those, and settle the "
        "conflicts."
    )


def seen(doubles: Doubles, labellers: int) -> str:
    """What is known of wrong answers, in a few sentences."""
    if not labellers:
        return "Nobody has answered yes or no yet."
    if not doubles.pairs:
        who = "One person labelled" if labellers == 1 else "No image was answered by two people"
        return (
            f"{who}, so how many answers are wrong cannot be known. Let a second person answer some of the same "
            "images."
        )
    few = (
        f" That is few: {count(doubles.pairs, 'pair tells', 'pairs tell')} little."
        if doubles.pairs < FEW_PAIRS
        else ""
    )
    return (
        f"{count(doubles.rows, 'image was', 'images were')} answered by more than one person, and "
        f"{doubles.disagreeing:,} of {doubles.pairs:,} pairs of answers disagree, "
        f"as if {doubles.share_wrong or 0:.1%} of all answers were wrong.{few} "
        "Mistakes that people share are not seen by this."
    )
