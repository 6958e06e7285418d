"""From evidence to a promise: which cut between kept and
dropped rows may be named, and how sure that is.

The strata are bands of scores, best first; cut k keeps the first k of them. Every claim is fixed
before the first label, and they are tested in one fixed order, each only when all before it hold.
The first false claim of the order has to be believed before any false one can be, so the chance of
ever promising falsely is at most its delta, whatever the number of cuts and of looks
(fixed-sequence testing; Maurer, Hothorn and Lehmacher 1995).

Recall: from the most generous cut to the strictest. The order begins with lower recalls at the most
generous cut, so that a refusal can say what holds now. Precision: from the strictest cut to the
most generous, likewise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from service.relevance.definition import Target
from service.relevance.promise.martingale import Claims, Evidence, Numbers, Wholes

# lower recalls and precisions that a refusal may name
LADDER = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
# of delta; each later audit of a filter gets a fifth of the one before: they sum to delta
FIRST_AUDIT_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Known:
    """Rows with a person's answer from before the audit; they are decided by it, and not drawn."""

    yes: int
    no: int
    # answered before the audit and not any more, or yes only since: kept, counted as irrelevant
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    """The claims of one kind in their order."""

    kind: str  # "recall" or "precision"
    claims: Claims
    levels: tuple[float, ...]  # of each claim
    cuts: tuple[int, ...]  # of each claim
    delta: float

    def first_of_target(self) -> int:
        """The number of the first claim at the target itself; those before it are the ladder."""
        return self.levels.index(self.levels[-1])

    def reached(self, evidence: Evidence) -> int:
        """How many claims, from the first on, hold."""
        holds = evidence.holds(np.full(len(self.claims), self.delta))
        return len(holds) if holds.all() else int(np.argmin(holds))

    def best_cut(self, evidence: Evidence, level: float | None = None) -> int | None:
        """The last cut of the order that holds for the target; None: not even the first.

        :param level: that is enough, where it is less than the target.
        """
        reached = self.reached(evidence)
        enough = self.levels[-1] if level is None else level
        return self.cuts[reached - 1] if reached and self.levels[reached - 1] >= enough else None

    def first_of(self, level: float) -> int:
        """The number of the first claim that is enough for a level up to the target."""
        return next(number for number, each in enumerate(self.levels) if each >= level)

    def ladder_level(self, evidence: Evidence) -> float | None:
        """The best level that holds at the first cut."""
        reached = min(self.reached(evidence), self.first_of_target() + 1)
        return self.levels[reached - 1] if reached else None


def delta_of(confidence: float, audit: int, one_in: int = 1) -> float:
    """The chance of a false promise that a filter's audit 1, 2, 3 ...
    may take: 0.8, 0.16, 0.032 ... of 1 - confidence.

    Whoever audits again and again until the answer pleases is still held to the stated confidence.

    :param one_in: the audit's lake has this part of the filter's chance of error; see `sharing.py`.
    """
    return (1 - confidence) * FIRST_AUDIT_SHARE * (1 - FIRST_AUDIT_SHARE) ** (audit - 1) / one_in


@dataclass(frozen=True, slots=True)
class Spared:
    """Strata that a recall's claims need not audit,
    since few relevant rows can lie there; see `tail.py`.
    """

    line: int  # strata above them
    missed: int  # relevant rows in them, at most
    part: float  # of delta that is left for the claims


def chains(
    target: Target, sizes: Wholes, known: Known, delta: float, spared: Spared | None = None
) -> list[Chain]:
    """The orders of claims of a target: one for recall,
    one for precision, as far as wanted; delta is shared by them.

    Empty where there is no cut, as when all rows have one score.
    """
    if len(sizes) < 2:
        return []
    wanted = [level for level in (target.recall, target.precision) if level is not None]
    share = delta / len(wanted)
    found = []
    if target.recall is not None:
        found.append(_recall_chain(target.recall, sizes, known, share, spared))
    if target.precision is not None:
        found.append(_precision_chain(target.precision, sizes, known, share))
    return found


def most_missed(recall: float, above: int, found_below: int, unseen_dropped: int) -> int:
    """How many relevant images are dropped at most, by a promise of recall: see
    `reporting/costs.py`.

    :param above: images above the line, or known before the audit, that may be relevant (K at
        most).
    :param found_below: images below the line that people answered with yes (u).
    :param unseen_dropped: dropped images without a yes or no.
    """
    bound = math.floor((1 - recall) / recall * above + 1e-9) - found_below
    return max(0, min(bound, unseen_dropped))


def _steps(level: float) -> list[float]:
    return [step for step in LADDER if step < level]


def _recall_chain(
    recall: float, sizes: Wholes, known: Known, delta: float, spared: Spared | None
) -> Chain:
    """Claim (r, k): relevant rows kept are at least r of all, (1 - r) kept - r missed >= 0;
    kept ones are those known, and those of the first k strata.

    A relevant row that the audit finds below the cut is kept too, by its label, but counts as
    missed here: on the safe side.
    """
    top, missed, part = len(sizes) - 1, 0, 1.0
    if spared is not None:
        top, missed, part = spared.line, spared.missed, spared.part
    pairs = [(step, top) for step in _steps(recall)] + [(recall, cut) for cut in range(top, 0, -1)]
    strata = np.arange(len(sizes))
    below = np.where(strata < (len(sizes) if spared is None else top), -1.0, 0.0)
    gains = np.array([np.where(strata < cut, 1 - level, level * below) for level, cut in pairs])
    constants = np.array([(1 - level) * known.yes - level * missed for level, _ in pairs])
    return _chain("recall", pairs, gains, constants, part * delta)


def _precision_chain(precision: float, sizes: Wholes, known: Known, delta: float) -> Chain:
    """Claim (p, k): the kept rows' relevant ones less p for each kept row are at least 0.

    Rows above the cut that the audit finds irrelevant are dropped, by their label, but count as
    kept here.
    """
    pairs = [(step, 1) for step in _steps(precision)] + [
        (precision, cut) for cut in range(1, len(sizes))
    ]
    strata = np.arange(len(sizes))
    gains = np.array([(strata < cut).astype(float) for _, cut in pairs])
    constants = np.array(
        [
            (1 - level) * known.yes - level * (known.withdrawn + int(sizes[:cut].sum()))
            for level, cut in pairs
        ]
    )
    return _chain("precision", pairs, gains, constants, delta)


def _chain(
    kind: str, pairs: list[tuple[float, int]], gains: Numbers, constants: Numbers, delta: float
) -> Chain:
    levels, cuts = zip(*pairs, strict=True)
    return Chain(kind, Claims(gains, constants), tuple(levels), tuple(cuts), delta)
