"""Applies an audit: either cuts that are promised,
with a decision for every row, or a refusal that says what lacks.

Knows no lake and no files: an audit, the answers, and out comes the same every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import words
from service.relevance.definition import Target, Thresholds
from service.relevance.promise import plan, scenes
from service.relevance.promise.audit import ANSWERED, Audit
from service.relevance.promise.counting import Counted, count, line_of
from service.relevance.promise.following import Following, followed
from service.relevance.promise.goal import Goal
from service.relevance.promise.groups import (
    NO_VALUE,
    Group,
    measured,
    relevant_left,
    stand_by_group,
    together,
    until,
)
from service.relevance.promise.martingale import (
    UNKNOWN,
    Evidence,
    Numbers,
    parts_for,
    weigh,
    weigh_at,
)
from service.relevance.promise.prices import LABEL_PRICE
from service.relevance.promise.promise import Chain, Known, Spared, chains
from service.relevance.promise.scenes import Heard, SceneAudit
from service.relevance.promise.tail import TAIL, Tail, spared_by_plan, tail_of
from service.relevance.scoring.calibration import Calibration

# at least, that more is needed where what is assumed of the tail does not say enough yet
LABELS_FOR_TAIL = 20
KEEP, ASK, DROP = 0, 1, 2  # as DECISIONS has their names
GROUPS_NAMED = 5  # in a sentence
# the probability from which a row is kept unseen, where asking is wanted, only recall promised, and
# no prices were said: where a label costs half an annotation
EVEN_ODDS = 1 - LABEL_PRICE


@dataclass(frozen=True, slots=True)
class Applied:
    """A promise that holds, and what follows from it."""

    thresholds: Thresholds
    decisions: NDArray[np.int8]  # (n,), KEEP, ASK or DROP of each row of the audit
    measured: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing is decided."""

    reason: str  # a sentence
    can_promise: Mapping[str, float] | None
    labels_missing: int | None  # None: no number of labels is likely to be enough


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an audit stands with the answers so far."""

    audit: Audit
    known: Known
    chains: tuple[Chain, ...]
    evidence: tuple[Evidence, ...]  # of each chain
    rates: Numbers  # (strata,), forecast before the audit
    wanted: Target  # the audit's own, or another that it is valid for
    tail: Tail | None = None  # where the tail is assumed
    # the first chain, once little is left to doubt about the tail
    hoped: tuple[Chain, Evidence] | None = None
    counted: Counted | None = None  # where every row is answered
    groups: tuple[Group, ...] = ()  # where something is promised of each
    # where the audit follows the lake: labels until each claim, and all before it, hold; forecast
    ahead: tuple[float, ...] = ()
    open_new: int = 0  # and rows that came and were not drawn yet
    heard: Heard | None = None  # where something is promised of scenes

    def best_cut(self, chain: Chain, evidence: Evidence) -> int | None:
        """The strictest cut for what is wanted of a chain's kind; None: none holds."""
        return chain.best_cut(evidence, getattr(self.wanted, chain.kind))

    @property
    def holds(self) -> bool:
        """Whether all that is wanted holds at some cut: it can be applied."""
        if self.counted is not None:
            return any(self.counted.cuts(self.wanted, ask=ask) is not None for ask in (False, True))
        pairs = zip(self.chains, self.evidence, strict=True)
        return bool(self.chains) and all(
            self.best_cut(chain, evidence) is not None for chain, evidence in pairs
        )

    @property
    def sure(self) -> float | None:
        """How sure it is by now, in [0, 1], that what is wanted holds where next to nothing is
        dropped: it never falls from one answer to the next. See `retarget.py` for why this
        confidence may be told at every look. None where the tail is assumed.
        """
        if self.counted is not None:
            return float(self.holds)
        if self.tail is not None or not self.chains:
            return None
        design = self.audit.design
        found = []
        for chain, evidence in zip(self.chains, self.evidence, strict=True):
            last = chain.first_of(getattr(self.wanted, chain.kind))
            # The adjusted p-value: no claim is believed before all that stand before it.
            chance = float(np.exp(-evidence.best[: last + 1].min()))
            found.append(1 - chance * len(self.chains) / design.delta(0.0))
        return max(0.0, min(found))

    @property
    def shown(self) -> dict[str, float | None]:
        """The recall and precision that hold already with the wanted confidence, at any cut."""
        pairs = zip(self.chains, self.evidence, strict=True)
        return {chain.kind: chain.ladder_level(evidence) for chain, evidence in pairs}

    @property
    def more(self) -> tuple[int, int]:
        """Once recall holds: about how many more labels would pay,
        and how many more rows they would drop.
        """
        if self.counted is not None or not self.holds or self.chains[0].kind != "recall":
            return 0, 0
        if isinstance(self.audit, SceneAudit):
            return scenes.paying(self.audit, self.rates, self.chains[0], self.evidence[0])
        if self.groups or self.ahead:
            if self.groups:
                needed = until(self.audit, self.groups, self.rates).tolist()
            else:
                # Where all that came would have to be known, it is as likely in vain.
                needed = [each * (2 if each >= self.open_new else 1) for each in self.ahead]
            worth = self.audit.design.worth
            labels, dropped = plan.paying(
                self.audit.sizes, self.rates, self.chains[0], self.evidence[0], needed, worth
            )
            return (min(labels, self.open_new) if self.ahead else labels), dropped
        return plan.worthwhile(
            self.audit.sizes,
            self.audit.shares_now,
            self.rates,
            self.chains[0],
            self.evidence[0],
            self.audit.design.worth,
        )

    @property
    def asks_on(self) -> bool:
        """Whether more answers are asked for: to hold, to drop more where that pays, or to spend
        what was granted.
        """
        return self.audit.design.budget is not None or not self.holds or self.more[0] > 0

    @property
    def cuts(self) -> tuple[int, int] | None:
        """(above which is kept, below which is dropped), in strata; None: what is wanted does not
        hold. What lies between them is left to a person.
        """
        if not self.holds:
            return None
        if self.counted is not None:
            return self.counted.cuts(self.wanted) or self.counted.cuts(self.wanted, ask=True)
        pairs = zip(self.chains, self.evidence, strict=True)
        best = {chain.kind: self.best_cut(chain, evidence) for chain, evidence in pairs}
        drop_cut, keep_cut = _cuts(best)
        return keep_cut, drop_cut

    @property
    def needs_ask(self) -> bool:
        """Whether it holds, but not at one line: rows between two are left to a person."""
        return self.cuts is not None and self.cuts[0] < self.cuts[1]

    def drops(self, answers: Mapping[int, str]) -> int | None:
        """How many rows would be dropped now; None: what is wanted does not hold.

        :param answers: row_id -> yes, no, skip or conflict.
        """
        if self.cuts is None:
            return None
        said = [
            (row_id, label == "no") for row_id, label in answers.items() if label in ("yes", "no")
        ]
        row_ids, is_no = np.array([*said, (-1, False)], np.int64).T
        dropped = self.audit.strata >= self.cuts[1]
        at = np.searchsorted(self.audit.row_ids, row_ids)
        here = at < len(dropped)
        here[here] = self.audit.row_ids[at[here]] == row_ids[here]
        dropped[at[here]] = is_no[here] == 1
        return int(np.count_nonzero(dropped))

    @property
    def still_needed(self) -> int | None:
        """About how many labels until it holds; None: it is out of sight."""
        return 0 if self.holds else self.missing

    @property
    def missing(self) -> int | None:
        """About how many labels until all that is wanted holds where
        it was planned to; None: it is out of sight.
        """
        if self.counted is not None:
            return self.counted.open
        design = self.audit.design
        if self.ahead:
            return None if self.ahead[-1] == np.inf else int(self.ahead[-1])
        if self.groups:
            drawn = int(self.evidence[0].drawn.sum())
            if drawn == int(self.audit.sizes.sum()):  # what is not counted yet is open
                no = sum(int(group.no.sum()) for group in self.groups)
                return drawn - no - int(self.evidence[0].relevant.sum()) + self.known.withdrawn
            chain = self.chains[0]
            first, level = chain.first_of_target(), self.wanted.recall or 0.0
            last = (
                chain.cuts.index(design.aim, first) if design.aim in chain.cuts[first:] else first
            )
            last = last if level >= chain.levels[-1] else chain.first_of(level)
            return int(np.ceil(until(self.audit, self.groups, self.rates)[last]))
        pairs = list(zip(self.chains, self.evidence, strict=True))
        if self.hoped is not None:
            pairs[0] = self.hoped
        found = [
            plan.missing(
                self.audit.sizes,
                self.audit.shares_now,
                self.rates,
                chain,
                evidence,
                design.aim,
                getattr(self.wanted, chain.kind),
            )
            for chain, evidence in pairs
        ]
        known = [number for number in found if number is not None]
        if not known or len(known) < len(found):
            return None
        # What is lacking of the tail alone: about a third of the labels that there are.
        return max(
            *known,
            0 if self.hoped is None else LABELS_FOR_TAIL,
            int(pairs[0][1].drawn.sum()) // 3 if self.hoped else 0,
        )


def stand(
    audit: Audit,
    answers: Mapping[int, str],
    calibration: Calibration | None,
    wanted: Target | None = None,
    assume: str | None = None,
) -> Standing:
    """Weigh the answers to the audit's draws.

    :param assume: TAIL, or None for nothing; see `tail.py`.
    :param wanted: as `retargeted` gives it; None: what the audit was planned for.
    """
    design, known = audit.design, audit.known(answers)
    wanted = wanted or design.target
    if isinstance(audit, Following):
        return _stand_following(audit, answers, calibration, wanted)
    if isinstance(audit, SceneAudit):
        return _stand_scenes(audit, answers, calibration, wanted)
    said, delta = audit.prefix(answers), design.delta(wanted.confidence)
    tail = (
        tail_of(audit, said, calibration, delta / _kinds(design.target)) if assume == TAIL else None
    )
    # The claims are the audit's own, whatever is wanted of them.
    order = tuple(
        chains(design.target, audit.sizes, known, delta, None if tail is None else tail.spared)
    )
    strata, _ = audit.draws(len(said))
    rates = forecast(audit, calibration)
    if design.every is not None:
        groups = stand_by_group(audit, answers, said, rates, delta)
        counted = count(audit, answers, said)
        # Counted is what all rows together keep, and each group alone where no row is open.
        counted = None if counted is None or counted.open else counted
        found = (together(groups),) if groups else ()
        return Standing(
            audit, known, order, found, rates, wanted, counted=counted, groups=tuple(groups)
        )
    likely = None if tail is None else spared_by_plan(audit, calibration)
    # What goes to which stake is fixed with the audit: it may depend on nothing that was answered
    # since.
    frozen = chains(design.target, audit.sizes, Known(0, 0), delta, likely)
    parts = [parts_for(audit.sizes, audit.shares, rates, chain.claims) for chain in frozen]
    goals = goals_of(audit, rates, likely)
    shares = audit.shares_of(len(said))
    evidence = tuple(
        weigh(audit.sizes, shares, strata, said, chain.claims, part, goal)
        for chain, part, goal in zip(order, parts, goals, strict=True)
    )
    hoped = None
    if tail is not None and likely is not None and likely.missed < tail.missed:
        chain = chains(design.target, audit.sizes, known, delta, likely)[0]
        hoped = (
            chain,
            weigh(audit.sizes, shares, strata, said, chain.claims, parts[0], goals[0]),
        )
    counted = count(audit, answers, said)
    return Standing(audit, known, order, evidence, rates, wanted, tail, hoped, counted)


def _stand_following(
    audit: Following,
    answers: Mapping[int, str],
    calibration: Calibration | None,
    wanted: Target,
) -> Standing:
    """As `stand`, where an audit follows the lake; nothing is assumed then."""
    rates = forecast(audit, calibration)
    first, delta = audit.first, audit.design.delta(wanted.confidence)
    begun = forecast(first, calibration)
    # As it was fixed with the audit that is followed: see `stand`.
    frozen = chains(first.design.target, first.sizes, Known(0, 0), delta)[0]
    parts = parts_for(first.sizes, first.shares, begun, frozen.claims)
    goal = goals_of(first, begun)[0]
    chain, evidence, ahead = followed(audit, answers, parts, goal, frozen, delta, rates)
    drawn = max(0, len(audit.prefix(answers)) - audit.drawn_before)
    return Standing(
        audit,
        audit.known(answers),
        (chain,),
        (evidence,),
        rates,
        wanted,
        ahead=ahead,
        open_new=int(audit.new_sizes.sum()) - drawn,
    )


def _stand_scenes(
    audit: SceneAudit,
    answers: Mapping[int, str],
    calibration: Calibration | None,
    wanted: Target,
) -> Standing:
    """As `stand`, where something is promised of scenes; nothing is assumed then."""
    rates, delta = forecast(audit, calibration), audit.design.delta(wanted.confidence)
    known, heard = audit.known(answers), audit.heard(answers)
    order = tuple(scenes.chains_of(audit, known, delta))
    evidence = tuple(scenes.weighed(audit, heard, chain, rates, delta) for chain in order)
    counted = scenes.counted(audit, heard, known)
    return Standing(audit, known, order, evidence, rates, wanted, counted=counted, heard=heard)


def stand_at(
    looks: Sequence[int], audit: Audit, answers: Mapping[int, str], calibration: Calibration | None
) -> list[Standing]:
    """As `stand` with nothing assumed, after the first so many draws, at every look; in one go.

    :param looks: rising; at most as many as the first draws that are answered.
    """
    if audit.design.every is not None or audit.design.scene is not None:
        heard = [audit.asked(look) for look in looks]
        every = audit.asked(audit.decided)
        before = {row: said for row, said in answers.items() if row not in every}
        return [
            stand(
                audit, before | {row: answers[row] for row in rows if row in answers}, calibration
            )
            for rows in heard
        ]
    design, known, said = audit.design, audit.known(answers), audit.prefix(answers)
    delta, rates = design.delta(design.target.confidence), forecast(audit, calibration)
    order, frozen = (
        chains(design.target, audit.sizes, each, delta) for each in (known, Known(0, 0))
    )
    strata, _ = audit.draws(len(said))
    weighed = [
        weigh_at(
            looks,
            audit.sizes,
            audit.shares_of(len(said)),
            strata,
            said,
            chain.claims,
            parts_for(audit.sizes, audit.shares, rates, plan_.claims),
            goal,
        )
        for chain, plan_, goal in zip(order, frozen, goals_of(audit, rates), strict=True)
    ]
    return [
        Standing(audit, known, tuple(order), tuple(each), rates, design.target)
        for each in zip(*weighed, strict=True)
    ]


def goals_of(audit: Audit, rates: Numbers, likely: Spared | None = None) -> list[Goal] | list[None]:
    """What the stakes of each chain aim at, as it was fixed with the audit.

    :param rates: (strata,), forecast before the audit; likely: as `spared_by_plan` gives it.
    """
    design = audit.design
    begun = chains(
        design.target,
        audit.sizes,
        audit.known_at_first,
        design.delta(design.target.confidence),
        likely,
    )
    if design.budget is None or not design.aims:
        return [None] * len(begun)
    return [Goal(design.budget, each.delta, rates, each.claims.constants) for each in begun]


def _kinds(target: Target) -> int:
    """Among how many chains delta is shared out."""
    return sum(level is not None for level in (target.recall, target.precision))


def forecast(audit: Audit, calibration: Calibration | None) -> Numbers:
    """float64, (strata,): the share of relevant rows expected in
    each stratum, from the calibration alone.

    Without one, a guess: half of the best stratum, falling with the rank.
    """
    count = len(audit.design.sizes)
    if calibration is None:
        return np.asarray(0.5 ** (1 + 8 * np.cumsum(audit.sizes) / max(int(audit.sizes.sum()), 1)))
    inside = audit.drawn_strata >= 0
    probability = calibration.probability(audit.scores[inside]).astype(np.float64)
    sums = np.bincount(audit.drawn_strata[inside], probability, count)
    return np.clip(sums / np.maximum(audit.sizes, 1), 1e-6, 1 - 1e-6)


def apply(
    audit: Audit,
    answers: Mapping[int, str],
    calibration: Calibration | None,
    *,
    ask: bool = False,
    wanted: Target | None = None,
    assume: str | None = None,
    unseen_from: float | None = None,
) -> Applied | Refusal:
    """The strictest cut whose promise holds, or why there is none.

    :param wanted: as `retargeted` gives it; None: what the audit was planned for.
    :param assume: TAIL, or None for nothing; see `tail.py`.
    :param ask: leave rows between two cuts to a person: where recall and precision need different
        cuts; or, where only recall is promised, rows that cannot be dropped and are less likely
        relevant than `unseen_from`.
    :param unseen_from: see `unseen_from_of`; None: by the prices that the audit was begun with.
    """
    standing = stand(audit, answers, calibration, wanted, assume)
    found = decide(standing, calibration, ask=ask, assume=assume, unseen_from=unseen_from)
    if isinstance(found, Applied):
        return found
    told = []
    if unsure := audit.prefix(answers).count(UNKNOWN):
        told.append(
            words.count(
                unsure,
                "audit label is a skip or a conflict, which counts as what hurts the promise most: settle it",
                "audit labels are skips or conflicts, which count as what hurts the promise most: settle those",
            )
        )
    if standing.wanted.precision is not None and standing.known.withdrawn:
        told.append(
            words.count(
                standing.known.withdrawn,
                "answer from before the audit was taken back since, or became yes, and counts as an irrelevant image "
                "that is kept: a new audit takes it as it is",
                "answers from before the audit were taken back since, or became yes, and count as irrelevant images "
                "that are kept: a new audit takes them as they are",
            )
        )
    return replace(found, reason="; ".join([found.reason, *told]))


def decide(
    standing: Standing,
    calibration: Calibration | None,
    *,
    ask: bool = False,
    assume: str | None = None,
    unseen_from: float | None = None,
) -> Applied | Refusal:
    """As `apply`, from what is known to stand."""
    audit = standing.audit
    unseen = unseen_from_of(audit) if unseen_from is None else unseen_from
    if standing.counted is not None:
        return _counted(standing, standing.counted, calibration, unseen, ask=ask)
    if not standing.chains:
        return Refusal(_no_cut(audit), None, None)
    if assume == TAIL and (standing.tail is None or standing.tail.is_doubtful):
        return Refusal(_no_tail(standing.tail), None, None)
    best = {
        chain.kind: standing.best_cut(chain, evidence)
        for chain, evidence in zip(standing.chains, standing.evidence, strict=True)
    }
    if None in best.values():
        return _refuse(standing, best)
    drop_cut, keep_cut = _cuts(best)
    if drop_cut > keep_cut and not ask:
        reason = (
            "recall and precision hold, but not at one line; ask a person about the rows in between (ask), or "
            "teach the filter more and audit again"
        )
        return Refusal(reason, _can_promise(standing), None)
    if ask and "precision" not in best:
        keep_cut = min(drop_cut, likely_cut(audit, calibration, unseen))
        return _asking(_applied(standing, keep_cut, drop_cut), unseen)
    return _applied(standing, keep_cut, drop_cut)


def _asking(applied: Applied, unseen_from: float) -> Applied:
    """With what was asked about, where prices decided it."""
    if unseen_from == EVEN_ODDS:
        return applied
    return replace(applied, measured={**applied.measured, "unseen_from": round(unseen_from, 6)})


def _counted(
    standing: Standing,
    counted: Counted,
    calibration: Calibration | None,
    unseen_from: float,
    *,
    ask: bool,
) -> Applied | Refusal:
    """As `decide`, where every row is answered: nothing is left to chance."""
    audit, wanted = standing.audit, standing.wanted
    cuts = counted.cuts(wanted, ask=ask)
    if cuts is None:
        what = "image" if standing.heard is None else "scene"
        reason = (
            f"every {what} is answered, but {counted.open:,} without a yes or no leave open whether "
            "what is wanted holds at one line"
        )
        if not ask and counted.cuts(wanted, ask=True) is not None:
            reason += "; ask a person about those (ask)"
        return Refusal(reason, None, counted.open)
    keep_cut, drop_cut = cuts
    asks = ask and wanted.precision is None and len(audit.sizes) > 0
    if asks:
        keep_cut = min(drop_cut, likely_cut(audit, calibration, unseen_from))
    thresholds = Thresholds(line_of(audit, keep_cut), line_of(audit, drop_cut))
    found = counted.measured(keep_cut, drop_cut, wanted)
    if isinstance(audit, SceneAudit):
        facts = scenes.facts_counted(audit, counted, wanted.recall or 0.0)
        found = {**scenes.measured_so(facts), "counted": True}
    measured = {
        **found,
        "confidence": wanted.confidence,
        "audit": audit.design.number,
        "audit_labels": int(audit.sizes.sum()),
        **_every(standing, drop_cut),
    }
    applied = Applied(thresholds, _decisions(audit, keep_cut, drop_cut), measured)
    return _asking(applied, unseen_from) if asks else applied


def _no_cut(audit: Audit) -> str:
    if not audit.sizes.sum():
        return "no row is left to ask about, and none has a yes or no; answer some"
    return "all rows have the same score, so there is no line to draw between them; describe more of what you want"


def _no_tail(tail: Tail | None) -> str:
    if tail is None:
        return (
            "the tail cannot be assumed here: too few relevant rows are expected, or scores do not tell them apart "
            "well enough, for a line below which next to none can lie; teach the filter more, or assume nothing"
        )
    return (
        f"the assumption does not fit: {tail.found:,} of {tail.looked:,} audit labels below the line are relevant, "
        "more than falling log-odds make likely; assume nothing"
    )


def _cuts(best: Mapping[str, int | None]) -> tuple[int, int]:
    """(below which is dropped, above which is kept), in strata."""
    recall, precision = best.get("recall"), best.get("precision")
    if recall is None or precision is None:
        cut = recall if precision is None else precision
        return cut or 0, cut or 0
    return recall, min(recall, precision)


def unseen_from_of(audit: Audit) -> float:
    """The share of relevant rows from which a stratum is kept unseen: below it a look is cheaper,
    by the prices that the audit was begun with.
    """
    return EVEN_ODDS if audit.design.worth is None else audit.design.worth.unseen_from


def likely_cut(audit: Audit, calibration: Calibration | None, unseen_from: float) -> int:
    """How many strata are so likely relevant, on the whole, that they are kept unseen; from 0."""
    likely = forecast(audit, calibration) >= unseen_from
    return int(likely.argmin()) if not likely.all() else len(likely)


def _refuse(standing: Standing, best: Mapping[str, int | None]) -> Refusal:
    target = standing.wanted
    failed = " and ".join(kind for kind, cut in best.items() if cut is None)
    answered = int(standing.evidence[0].drawn.sum())
    missing = standing.missing
    wanted = " and ".join(f"{kind} {getattr(target, kind):g}" for kind in best)
    way_out = (
        "teach the filter more, or ask for less"
        if missing is None
        else f"about {missing:,} more may do"
    )
    labels = words.count(answered, "audit label does", "audit labels do")
    if standing.heard is not None:
        labels = words.count(answered, "scene looked at does", "scenes looked at do")
        wanted = f"that {target.recall:g} of the relevant scenes of {standing.audit.design.scene} keep a relevant image"
    failed += " is open"
    if standing.groups:
        wanted += f" in every {standing.audit.design.every}"
        failed = _open_groups(standing.groups, target.recall or 0.0)
    reason = f"{labels} not yet show {wanted} ({failed}); {way_out}"
    return Refusal(reason, _can_promise(standing), missing)


def _open_groups(groups: Sequence[Group], level: float) -> str:
    """Which groups do not show the recall yet."""
    claim, goal = groups[0].chain.first_of(level), -np.log(groups[0].chain.delta)
    names = [each.name or NO_VALUE for each in groups if each.evidence.best[claim] < goal - 1e-12]
    # The order of claims may be open where no group's last claim is.
    names = names or [each.name or NO_VALUE for each in groups]
    some = ", ".join(names[:GROUPS_NAMED])
    more = f" and {len(names) - GROUPS_NAMED:,} more" if len(names) > GROUPS_NAMED else ""
    return f"open: {some}{more}"


def _can_promise(standing: Standing) -> Mapping[str, float] | None:
    """What holds of the first chain at its first cut, however little that drops or keeps."""
    chain, evidence = standing.chains[0], standing.evidence[0]
    level = chain.ladder_level(evidence)
    if level is None:
        return None
    kind = chain.kind if standing.heard is None else "scenes"
    dropped = standing.audit.rows_below(chain.cuts[0])
    return {kind: level, "confidence": standing.wanted.confidence, "dropped": dropped}


def _applied(standing: Standing, keep_cut: int, drop_cut: int) -> Applied:
    audit = standing.audit
    decisions = _decisions(audit, keep_cut, drop_cut)
    thresholds = Thresholds(line_of(audit, keep_cut), line_of(audit, drop_cut))
    return Applied(thresholds, decisions, _measured(standing, keep_cut, drop_cut))


def _decisions(audit: Audit, keep_cut: int, drop_cut: int) -> NDArray[np.int8]:
    """int8, (n,): by the score alone; what was answered before the audit is kept."""
    decisions = np.full(len(audit.row_ids), ASK, np.int8)
    decisions[audit.strata < keep_cut] = KEEP
    decisions[audit.strata >= drop_cut] = DROP
    decisions[audit.strata == ANSWERED] = KEEP  # unless a person says otherwise, see `overruled`
    return decisions


def overruled(
    audit: Audit, decisions: NDArray[np.int8], answers: Mapping[int, str]
) -> NDArray[np.int8]:
    """The decisions where people's own answers stand above the score's."""
    decided = decisions.copy()
    at, row_ids = audit.answered(answers)
    for number, row_id in zip(at.tolist(), row_ids.tolist(), strict=True):
        if answers[row_id] in ("yes", "no"):
            decided[number] = KEEP if answers[row_id] == "yes" else DROP
    return decided


def decided_by_score(audit: Audit, is_open: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool, (n,): the rows whose side of the line is their score's, and no person's.

    Rows that were answered before the audit are kept where that answer was taken back, whatever
    they score.

    :param is_open: (n,), of each row of the audit: True where nobody said yes or no.
    """
    return np.asarray(is_open & (audit.strata != ANSWERED))


def _measured(standing: Standing, keep_cut: int, drop_cut: int) -> dict[str, Any]:
    """Bounds that are promised, and estimates that are not:
    each stratum's share of yes, times its size.
    """
    audit, evidence = standing.audit, standing.evidence[0]
    if isinstance(audit, SceneAudit) and standing.heard is not None:
        recall, known = standing.wanted.recall or 0.0, standing.known
        return {
            **scenes.measured_so(
                scenes.facts(
                    audit, standing.heard, known, standing.rates, evidence, recall, drop_cut
                )
            ),
            "confidence": standing.wanted.confidence,
            "audit": audit.design.number,
            "audit_labels": int(evidence.drawn.sum()),
        }
    rates = plan.learned(standing.rates, evidence)
    left = (audit.sizes - evidence.drawn) * rates  # expected among the rows that nobody looked at
    if standing.groups:
        left = relevant_left(standing.groups, standing.rates)
    yes = standing.known.yes + int(evidence.relevant.sum())
    missed = float(left[drop_cut:].sum())
    relevant = yes + float(left.sum())
    kept_rows = float((audit.sizes - evidence.drawn)[:keep_cut].sum()) + yes
    kept_relevant = yes + float(left[:keep_cut].sum())
    target = standing.wanted
    return {
        "recall": {"at_least": target.recall, "estimate": _share(relevant - missed, relevant)},
        "precision": {"at_least": target.precision, "estimate": _share(kept_relevant, kept_rows)},
        "confidence": target.confidence,
        "audit": audit.design.number,
        "audit_labels": int(evidence.drawn.sum()),
        "relevant_estimate": round(relevant, 1),
        "missed_estimate": round(missed, 1),
        **(
            {"assumption": standing.tail.to_json(audit.design.edges[standing.tail.line - 1])}
            if standing.tail
            else {}
        ),
        **_every(standing, drop_cut),
        **_follows(audit),
    }


def _follows(audit: Audit) -> dict[str, Any]:
    """What came and went, where the audit follows the lake; empty where it does not."""
    if not isinstance(audit, Following):
        return {}
    return {"follows": audit.facts}


def _every(standing: Standing, drop_cut: int) -> dict[str, Any]:
    """What is promised of each group; empty where nothing is."""
    design, recall = standing.audit.design, standing.wanted.recall
    if design.every is None or recall is None:
        return {}
    groups = measured(standing.groups, standing.rates, recall, drop_cut)
    return {"every": {"column": design.every, "groups": groups}}


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole > 0 else None
