"""An audit that follows the lake: after images came and went it goes on with the answers it has,
and draws from the images that came alone. Why that may be: `follow.py`.

`audits/<number>-0001.json` and `.parquet` hold the first such piece, written before its rows are
shown: the population is every image that is there now, with the scores and strata it had before, or
has by the same scorer and edges; the column `is_new` says which are drawn from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.errors import BadRequest, LakeDamaged
from service.relevance.promise import plan
from service.relevance.promise.audit import ANSWERED, Audit, Design, fresh_seed
from service.relevance.promise.follow import Drawn, Followed, Stake, follow, missing
from service.relevance.promise.goal import Goal
from service.relevance.promise.martingale import (
    UNKNOWN,
    YES,
    Claims,
    Evidence,
    Numbers,
    Wholes,
    parts_for,
)
from service.relevance.promise.promise import Chain
from service.relevance.scoring.scorer import Scored


class Following(Audit):
    """A design and its population, and the parts that were drawn from before."""

    def __init__(
        self,
        design: Design,
        row_ids: Wholes,
        scores: NDArray[np.float32],
        strata: NDArray[np.int16],
        yes_before: NDArray[np.bool_] | None,
        is_new: NDArray[np.bool_],
        parts: Sequence[Audit],
    ) -> None:
        """:param is_new: (n,), rows that came since the part before; they alone are drawn from.

        :param parts: the audit, and what followed it before this; as many as `design.counts`.
        """
        super().__init__(design, row_ids, scores, strata, yes_before)
        self.is_new = is_new
        self.parts = tuple(parts)
        self._kept: tuple[Any, list[Followed]] | None = None

    @property
    def first(self) -> Audit:
        """The audit that is followed."""
        return self.parts[0]

    @property
    def drawn_before(self) -> int:
        """How many draws of the parts before count."""
        return sum(self.design.counts)

    @property
    def facts(self) -> dict[str, int]:
        """What came since the part before, what went, and how many answers from before count."""
        before = self.parts[-1].row_ids
        return {
            "came": int(np.count_nonzero(self.is_new)),
            "gone": int(np.count_nonzero(~np.isin(before, self.row_ids))),
            "labels_before": self.drawn_before,
        }

    @cached_property
    def _cells(self) -> Wholes:
        return np.where(self.is_new, self.strata.astype(np.int64), ANSWERED)

    @property
    def new_sizes(self) -> Wholes:
        """int64, (strata,): the rows that are drawn from."""
        return self.cell_sizes[:, 0]

    @cached_property
    def _before(self) -> tuple[Wholes, Wholes]:
        """int64, (n,) each: strata and row_ids of the draws before that count."""
        every = [
            part.own_draws(count)
            for part, count in zip(self.parts, self.design.counts, strict=True)
        ]
        strata, rows = zip(*every, strict=True)
        return np.concatenate(strata), np.concatenate(rows)

    @cached_property
    def gone(self) -> frozenset[int]:
        """The row_ids of draws before that count and whose rows are not there any more."""
        rows = self._before[1]
        return frozenset(rows[~np.isin(rows, self.row_ids)].tolist())

    def draws(self, count: int) -> tuple[Wholes, Wholes]:
        """As `Audit.draws`: those before that count, in their order, and then its own."""
        strata, rows = self._before
        if count <= len(rows):
            return strata[:count], rows[:count]
        own_strata, own_rows = self.own_draws(count - len(rows))
        return np.concatenate([strata, own_strata]), np.concatenate([rows, own_rows])

    @property
    def order(self) -> tuple[Wholes, Wholes]:
        return self.draws(self.drawn_before + int(self.new_sizes.sum()))

    def prefix(self, answers: Mapping[int, str]) -> list[int]:
        """As `Audit.prefix`. A row that went and whose answer was taken back is unknown: nobody can
        be asked about it.
        """
        return super().prefix({**dict.fromkeys(self.gone, "skip"), **answers})

    def pending(
        self, answers: Mapping[int, str], count: int, budget: int | None = None
    ) -> list[int]:
        """As `Audit.pending`; budget: of its own draws."""
        many = None if budget is None else self.drawn_before + budget
        drawn = islice(self._rows_drawn(), many)
        open_ = (row for row in drawn if row not in answers and row not in self.gone)
        return list(islice(open_, count))

    def with_all(self, said: Sequence[int]) -> list[tuple[Audit, Drawn]]:
        """The parts in their order, with what was answered of each.

        :param said: as `prefix` gives it.
        """
        found, start = [], 0
        for part, count in zip((*self.parts, self), (*self.design.counts, len(said)), strict=True):
            answers = list(said[start : start + count])
            sizes = part.new_sizes if isinstance(part, Following) else part.sizes
            strata = part.own_draws(len(answers))[0]
            found.append((part, Drawn(sizes, part.shares_of(len(answers)), strata, answers)))
            start += count
        return found

    # -- on disk

    def _more_columns(self) -> dict[str, Any]:
        return {"is_new": self.is_new}

    @classmethod
    def load(cls, folder: Path, number: int, piece: int = 0) -> Audit:
        """An audit, or what follows it; with all parts before.

        :raises LakeDamaged: if a file is missing or not what `save` writes.
        """
        parts: list[Audit] = [Audit.load(folder, number)]
        for each in range(1, piece + 1):
            bare = Audit.load(folder, number, each)
            path = str(folder / f"{number:06d}-{each:04d}.parquet")
            try:
                column = pq.read_table(path, columns=["is_new"])["is_new"]
                is_new = np.asarray(column.cast(pa.bool_()), np.bool_)
            except (OSError, pa.ArrowException, KeyError) as error:
                raise LakeDamaged(path, str(error)) from None
            design = bare.design
            if len(design.counts) != each or len(design.rates) != len(design.sizes):
                raise LakeDamaged(path, "it does not follow the audit beside it")
            parts.append(
                cls(design, bare.row_ids, bare.scores, bare.strata, bare.yes_before, is_new, parts)
            )
        return parts[-1]


def came(part: Audit) -> NDArray[np.bool_]:
    """bool, (n,): the rows of an audit that are of this part."""
    return part.is_new if isinstance(part, Following) else np.ones(len(part.row_ids), bool)


def check_assumed(design: Design) -> None:
    """:raises BadRequest: if the audit follows the lake, where nothing can be assumed."""
    if design.piece:
        raise BadRequest(
            "assume",
            "the audit in force follows the lake, where nothing is assumed of the tail: leave it out, or begin "
            "another audit (again)",
        )


def check_follow(design: Design) -> None:
    """:raises BadRequest: if nothing can follow an audit of this kind."""
    why = None
    if design.target.recall is None or design.target.precision is not None:
        why = "it promises precision"
    elif design.every is not None:
        why = f"it promises of every {design.every}"
    elif design.scene is not None:
        why = f"it promises of scenes of {design.scene}"
    elif design.assume is not None:
        why = "it assumes the tail"
    if why is not None:
        raise BadRequest(
            "follow",
            f"the audit in force cannot follow the lake, since {why}; begin another with again",
        )


def begin(
    audit: Audit, snapshot: int, scored: Scored, said: Mapping[int, str], cut: int, rates: Numbers
) -> Following:
    """What follows an audit, or another that follows; its caller saves it.

    :param scored: the rows that are there now, by the audit's scorer.
    :param said: row_id -> yes, no, skip or conflict; new rows answered yes or no are known.
    :param cut: the line that it is to hold at again, in strata; see `follow.py`.
    :param rates: (strata,), the share of relevant rows expected.
    :raises BadRequest: if draws that count have lost their answers.
    """
    parts, counts = [audit], [len(audit.prefix(said))]
    if isinstance(audit, Following):
        parts = [*audit.parts, audit]
        counts = [*audit.design.counts, counts[0] - audit.drawn_before]
        if counts[-1] < 0:
            raise BadRequest(
                "follow",
                "answers that the audit in force counts were taken back: answer those first",
            )
    strata = np.full(len(scored), ANSWERED, np.int16)
    scores = scored.scores.copy()
    is_yes = np.array([said.get(row) == "yes" for row in scored.row_ids.tolist()], bool)
    is_new = np.ones(len(scored), bool)
    for part in parts:
        own = np.flatnonzero(came(part))
        here = np.isin(part.row_ids[own], scored.row_ids)
        own = own[here]
        at = np.searchsorted(scored.row_ids, part.row_ids[own])
        strata[at], scores[at], is_new[at] = part.strata[own], part.scores[own], False
        is_yes[at] = True if part.yes_before is None else part.yes_before[own]
    new = np.flatnonzero(is_new)
    is_open = np.array(
        [said.get(row) not in ("yes", "no") for row in scored.row_ids[new].tolist()], bool
    )
    edges = np.array(audit.design.edges, np.float64)
    drawn = new[is_open]
    strata[drawn] = np.searchsorted(-edges, -scores[drawn].astype(np.float64), side="left")
    many = len(audit.design.sizes)
    sizes = np.bincount(strata[strata >= 0], minlength=many)
    new_sizes = np.bincount(strata[drawn], minlength=many)
    shares = np.full(many, 1 / many)
    if len(drawn):
        shares = plan.shares_for(new_sizes, rates, cut)
    design = replace(
        audit.design,
        seed=fresh_seed(),
        snapshot=snapshot,
        sizes=tuple(sizes.tolist()),
        shares=tuple(shares.tolist()),
        planned=None,
        budget=None,
        aims=False,
        aim=cut,
        looks=(),
        labels_before=None,
        piece=audit.design.piece + 1,
        counts=tuple(counts),
        rates=tuple(rates.tolist()),
    )
    return Following(design, scored.row_ids, scores, strata, is_yes, is_new, parts)


def followed(
    audit: Following,
    answers: Mapping[int, str],
    first_parts: Numbers,
    goal: Goal | None,
    first: Chain,
    delta: float,
    rates: Numbers,
) -> tuple[Chain, Evidence, tuple[float, ...]]:
    """The lines from the most generous to the one to be held again, what the answers say of each,
    and about how many more it takes until it and all before it hold.

    :param first: of the audit that is followed, with `first_parts` (claims, stakes) and `goal` as
        they were fixed with it.
    :param delta: of this promise; rates: (strata,), forecast before any label of an audit.
    """
    level, aim = first.levels[-1], audit.design.aim or 1
    start = first.first_of_target()
    cuts = range(len(audit.sizes) - 1, aim - 1, -1)
    numbers = [start + first.cuts[start:].index(cut) for cut in cuts]
    gains = first.claims.gains[numbers]
    said = audit.prefix(answers)
    parts = audit.with_all(said)
    drawn = [each for _, each in parts]
    known = [part.known_among((part.strata == ANSWERED) & came(part), answers) for part, _ in parts]
    constants = [(1 - level) * each.yes for each in known]
    went = _Went.of(audit, parts, answers)
    losses = [went.loss(gain, level) for gain in gains]
    key = (tuple(said), tuple(constants), tuple(losses), aim)
    kept = audit._kept
    if kept is None or kept[0] != key:
        every = []
        for number, gain, loss in zip(numbers, gains, losses, strict=True):
            stakes = [_first_stake(constants[0], first_parts[number], goal, number)]
            for at in range(1, len(parts)):
                stakes.append(_stake(parts, at, gain, constants[at], level))
            every.append(follow(drawn, stakes, gain, loss))
        kept = audit._kept = key, every
    found = kept[1]
    strata, rows = audit.draws(len(said))
    here = np.isin(rows, audit.row_ids)
    yes = np.asarray(said, np.int64) == YES
    now = audit.known(answers)
    many = len(audit.sizes)
    evidence = Evidence(
        best=np.array([each.best for each in found]),
        now=np.array([each.now for each in found]),
        known=np.array([(1 - level) * now.yes + gain[strata[here & yes]].sum() for gain in gains]),
        drawn=np.bincount(strata[here], minlength=many),
        relevant=np.bincount(strata[here & yes], minlength=many),
    )
    likely, wanted = plan.learned(rates, evidence), float(-np.log(delta))
    ahead, most = [], 0.0
    for each, gain, loss in zip(found, gains, losses, strict=True):
        need = missing(each, drawn[-1], gain, constants[-1], likely, loss, wanted - 1e-12)
        ahead.append(most := max(most, need))
    claims = Claims(gains, np.full(len(gains), (1 - level) * now.yes))
    chain = Chain("recall", claims, (level,) * len(gains), tuple(cuts), delta)
    return chain, evidence, tuple(ahead)


def _first_stake(constant: float, parts: Numbers, goal: Goal | None, number: int) -> Stake:
    if goal is not None:
        goal = replace(goal, constants=goal.constants[number : number + 1])
    return Stake(constant, parts, goal)


def _stake(
    parts: Sequence[tuple[Audit, Drawn]], at: int, gain: Numbers, constant: float, level: float
) -> Stake:
    """Shared out by what was expected when the part was begun: what the parts before it leave over
    is what the new rows may take.
    """
    part, drawn = parts[at]
    rates = np.array(part.design.rates)
    slack = (1 - level) * parts[0][0].known_at_first.yes
    slack += sum(float((before.sizes * rates) @ gain) for _, before in parts[:at])
    claims = Claims(gain[None], np.array([max(slack, 0.0)]))
    return Stake(constant, parts_for(drawn.sizes, drawn.shares, rates, claims)[0])


@dataclass(frozen=True, slots=True)
class _Went:
    """The rows of the parts before that are not there any more."""

    known: int  # answered before their part began, and yes
    unseen: Wholes  # (strata,): nobody was asked, or it is not known what was answered
    yes: Wholes  # (strata,): asked, and yes; of those with a no nothing is given back or taken

    @classmethod
    def of(
        cls,
        audit: Following,
        parts: Sequence[tuple[Audit, Drawn]],
        answers: Mapping[int, str],
    ) -> _Went:
        many = len(audit.sizes)
        known, unseen, yes = 0, np.zeros(many, np.int64), np.zeros(many, np.int64)
        for part, drawn in parts[:-1]:
            went = came(part) & ~np.isin(part.row_ids, audit.row_ids)
            known += part.known_among(went & (part.strata == ANSWERED), answers).yes
            strata, rows = part.own_draws(len(drawn.answers))
            unasked = went & (part.strata != ANSWERED) & ~np.isin(part.row_ids, rows)
            unseen += np.bincount(part.strata[unasked], minlength=many)
            said, lost = np.asarray(drawn.answers, np.int64), ~np.isin(rows, audit.row_ids)
            unseen += np.bincount(strata[lost & (said == UNKNOWN)], minlength=many)
            yes += np.bincount(strata[lost & (said == YES)], minlength=many)
        return cls(known, unseen, yes)

    def loss(self, gain: Numbers, level: float) -> float:
        """What they may have taken, at most."""
        unseen = float(self.unseen @ np.maximum(gain, 0.0))
        return (1 - level) * self.known + unseen + float(self.yes @ gain)
