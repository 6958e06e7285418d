"""Each hospital, camera or year keeps its share: one promise for every group of rows.

*The claim.* With one line for all rows, "every group keeps at least R of its relevant rows" is
false as soon as one group does not. Each group's claim is weighed by itself, at the whole chance of
error delta, and the common one is believed once all are. If it is false, some group's claim is
false, and that one, too, has to be believed, which happens with at most the chance delta. So "all
of these hold" needs no correction for their number (the intersection-union test; Berger,
"Multiparameter hypothesis testing and acceptance sampling", Technometrics 24, 1982). The common
claims stand in the fixed order of `promise.py`, line after line: the first false one of them is
believed with at most the chance delta, and all that `retarget.py` says holds likewise.

That these and those groups hold while others are open is another statement, chosen by looking. It
takes Holm's correction ("A simple sequentially rejective multiple test procedure", Scandinavian
Journal of Statistics 6, 1979): of the k groups left, the surest one has to reach delta / k.
If the claims of m groups are false, the first false one that is listed needs 1 / (largest capital)
<= delta / m, whose chance is at most delta, at all looks together. This list and the common promise
each hold with the stated confidence.

*The draws.* They are made from cells, a stratum's rows of one group, each with a chance fixed
before. Given what was drawn before, and that the next draw falls into group g, it takes a cell of g
with a chance in proportion to its share, and a row at random in it: so the draws of a group, in
their order, are an audit of that group by itself, whatever became of the others', and are weighed
as one (`martingale.py`). Groups get draws by what their claims are expected to take, and as a share
of the draws falls to a group by luck, two standard deviations more.

*What it costs.* Each group needs its own labels, d (1 - delta^(1/m)) with its own d and m: about as
many times the labels of one promise as there are groups. A group of three rows, or one in which
nothing is relevant, is answered nearly as a whole below the line: a single relevant row there would
break it. Rows whose column has no value are a group of their own, so all rows are in one, and the
shares together hold for all rows.

The groups are those of the audit's snapshot, written down with its population: what becomes of the
column later changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from indexer.errors import BadRequest
from service.relevance.as_json import AsJson, told
from service.relevance.definition import Target
from service.relevance.promise import audit as audits
from service.relevance.promise import plan
from service.relevance.promise.audit import Audit
from service.relevance.promise.martingale import (
    NO,
    Evidence,
    Numbers,
    Wholes,
    parts_for,
    weigh,
)
from service.relevance.promise.plan import Option
from service.relevance.promise.prices import Worth
from service.relevance.promise.promise import Chain, Known, chains, most_missed

NO_VALUE = "(no value)"  # the name, for people, of the group of rows without one
SPARE = 2.0  # standard deviations of the draws that fall to a group


@dataclass(frozen=True, slots=True)
class GroupFound(AsJson):
    """Where one group stands."""

    name: str | None = field(metadata=told("Its value of the column; null: it has none."))
    rows: int
    labels: int = field(metadata=told("Audit answers about it."))
    holds: bool = field(
        metadata=told(
            "It keeps what is wanted where next to nothing is dropped: all that hold together with "
            "the wanted confidence."
        )
    )


@dataclass(frozen=True, slots=True)
class Group:
    """One group's own audit, with the answers so far."""

    name: str | None
    rows: int  # those that were answered before the audit, too
    sizes: Wholes  # (strata,)
    shares: Numbers  # (strata,), sum 1; all 0 where it has no rows to draw
    chain: Chain
    evidence: Evidence
    known: Known
    no: Wholes  # (strata,): drawn, and answered no

    @property
    def left(self) -> Wholes:
        """int64, (strata,): rows that were not drawn."""
        return self.sizes - self.evidence.drawn


def check_every(every: str | None, target: Target, assume: str | None) -> None:
    """:raises BadRequest: if groups are wanted, and not recall alone, or the tail is assumed."""
    if every is None:
        return
    if target.recall is None or target.precision is not None:
        raise BadRequest(
            "every",
            "each group's recall is promised where recall alone is; this filter promises precision",
        )
    if assume is not None:
        raise BadRequest(
            "every", "groups are promised with nothing assumed; leave out one of the two"
        )


def stand_by_group(
    audit: Audit, answers: Mapping[int, str], said: Sequence[int], rates: Numbers, delta: float
) -> list[Group]:
    """Each group's evidence; empty where there is no line to draw.

    :param answers: row_id -> yes, no, skip or conflict; said: as `Audit.prefix` has them.
    :param rates: (strata,), forecast before the audit.
    """
    if len(audit.sizes) < 2:
        return []
    target, heard = audit.design.target, np.asarray(said, np.int64)
    strata, of_group = np.divmod(audit.cells_drawn(len(said)), len(audit.design.groups))
    found = []
    for number, name in enumerate(audit.design.groups):
        sizes, shares = audit.cell_sizes[:, number], audit.cell_shares[:, number]
        shares = shares / shares.sum() if shares.any() else shares
        known, mine = audit.known(answers, number), of_group == number
        # What goes to which stake is fixed with the audit.
        frozen = chains(target, sizes, Known(0, 0), delta)[0]
        parts = parts_for(sizes, shares, rates, frozen.claims)
        chain = chains(target, sizes, known, delta)[0]
        evidence = weigh(sizes, shares, strata[mine], heard[mine].tolist(), chain.claims, parts)
        no = np.bincount(strata[mine & (heard == NO)], minlength=len(sizes))
        rows = int(np.count_nonzero(audit.of_group == number))
        found.append(Group(name, rows, sizes, shares, chain, evidence, known, no))
    return found


def together(groups: Sequence[Group]) -> Evidence:
    """The evidence that all groups' claims hold."""
    every = [group.evidence for group in groups]
    return Evidence(
        best=np.min([each.best for each in every], axis=0),
        now=np.min([each.now for each in every], axis=0),
        known=np.sum([each.known for each in every], axis=0),
        drawn=np.sum([each.drawn for each in every], axis=0),
        relevant=np.sum([each.relevant for each in every], axis=0),
    )


def found_of(groups: Sequence[Group], level: float) -> list[GroupFound]:
    """Where each group stands, and which hold, by Holm's correction.

    :param level: the wanted recall.
    """
    if not groups:
        return []
    claim, goal = groups[0].chain.first_of(level), -np.log(groups[0].chain.delta)
    best = np.array([group.evidence.best[claim] for group in groups])
    order, holds = np.argsort(-best, kind="stable"), np.zeros(len(groups), bool)
    for rank, number in enumerate(order.tolist()):
        if best[number] < goal + np.log(len(groups) - rank) - 1e-12:
            break
        holds[number] = True
    return [
        GroupFound(group.name, group.rows, int(group.evidence.drawn.sum()), bool(each))
        for group, each in zip(groups, holds, strict=True)
    ]


def measured(
    groups: Sequence[Group], rates: Numbers, recall: float, drop_cut: int
) -> list[dict[str, Any]]:
    """What is promised of each group at a line, and what is only estimated."""
    found = []
    for group in groups:
        evidence = group.evidence
        likely = group.left * plan.learned(rates, evidence)
        unsure = evidence.drawn - evidence.relevant - group.no
        above = group.known.yes + int((group.sizes - group.no)[:drop_cut].sum())
        bound = most_missed(
            recall,
            above,
            int(evidence.relevant[drop_cut:].sum()),
            int((group.left + unsure)[drop_cut:].sum()),
        )
        missed = min(float(likely[drop_cut:].sum()), bound)
        relevant = group.known.yes + int(evidence.relevant.sum()) + float(likely.sum())
        found.append(
            {
                "name": group.name,
                "rows": group.rows,
                "labels": int(evidence.drawn.sum()),
                "relevant_estimate": round(relevant, 1),
                "missed_estimate": round(missed, 1),
                "missed_at_most": bound,
            }
        )
    return found


def relevant_left(groups: Sequence[Group], rates: Numbers) -> Numbers:
    """float64, (strata,): how many relevant rows are expected among those not drawn."""
    every = [group.left * plan.learned(rates, group.evidence) for group in groups]
    return np.asarray(np.sum(every, axis=0))


# -- how many labels


def options(audit: Audit, known: Sequence[Known], rates: Numbers, delta: float) -> list[Option]:
    """Each cut with the labels that all groups together are expected to take."""
    needs = _needs(audit, known, rates, delta)
    if not len(needs):
        return []
    every = chains(audit.design.target, audit.sizes, Known(0, 0), delta)[0]
    found = plan.options(audit.sizes, rates, every)
    return [
        replace(option, labels=float(need))
        for option, need in zip(found, needs.sum(axis=1), strict=True)
    ]


def _needs(audit: Audit, known: Sequence[Known], rates: Numbers, delta: float) -> Numbers:
    """float64, (cuts, groups): labels that each is expected to take; whoever answers all rows of a
    group knows all.
    """
    found = []
    for number, each in enumerate(known):
        sizes = audit.cell_sizes[:, number]
        chain = chains(audit.design.target, sizes, each, delta)
        if not chain or not sizes.any():
            found.append([0.0] * max(len(audit.sizes) - 1, 0))
            continue
        needed = [option.labels for option in plan.options(sizes, rates, chain[0])]
        found.append([min(labels, float(sizes.sum())) for labels in needed])
    return np.array(found).T


def planned(
    audit: Audit,
    known: Sequence[Known],
    rates: Numbers,
    delta: float,
    budget: int | None = None,
    worth: Worth | None = None,
) -> Audit:
    """The audit with its draws shared out for what each group is expected to take at the cheapest
    line for all.

    :param known: of each group, what was answered before.
    """
    found = options(audit, known, rates, delta)
    if not found:
        return audit
    cost = plan.by_prices(audit.sizes, rates, worth)
    aim = plan.best(found, int(audit.sizes.sum()), budget, cost)
    option = aim or min(found, key=lambda each: each.labels)
    needs = _needs(audit, known, rates, delta)[found.index(option)]
    parts = needs + SPARE * np.sqrt(needs) + 1
    parts = np.where(audit.cell_sizes.any(axis=0), parts, 0.0)
    shares = np.zeros(audit.cell_sizes.shape)
    for number, part in enumerate(parts.tolist()):
        sizes = audit.cell_sizes[:, number]
        if part:
            shares[:, number] = part * plan.shares_for(sizes, rates, option.cut)
    shares /= shares.sum()
    labels = None if aim is None else int(np.ceil(aim.labels))
    cut = None if aim is None else aim.cut
    fresh = audits.with_plan(audit, shares.sum(axis=1), cut, labels, budget, worth=worth)
    design = replace(
        fresh.design, aims=False, cell_shares=tuple(float(share) for share in shares.ravel())
    )
    return Audit(
        design, audit.row_ids, audit.scores, audit.strata, audit.yes_before, audit.of_group
    )


def until(audit: Audit, groups: Sequence[Group], rates: Numbers) -> Numbers:
    """float64, (claims,): about how many more labels until each claim, and all before it, hold for
    every group; at most as many as there are rows left, after which everything is counted.
    """
    open_ = np.stack([np.where(group.left > 0, 1.0, 0.0) for group in groups], axis=1)
    falls = audit.cell_shares * open_  # (strata, groups)
    parts = falls.sum(axis=0) / max(float(falls.sum()), 1e-300)
    left = float(sum(group.left.sum() for group in groups))
    found = []
    for group, part in zip(groups, parts.tolist(), strict=True):
        chain, evidence = group.chain, group.evidence
        needed = np.array(plan.until(group.sizes, group.shares, rates, chain, evidence))
        if part:
            found.append(np.minimum(needed, float(group.left.sum())) / part)
        else:  # it is answered as a whole: what it does not show by now it never will
            found.append(np.where(needed > 0, left, 0.0))
    return np.asarray(np.minimum(np.max(found, axis=0), left))
