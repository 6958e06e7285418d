"""Scenes: of all sequences that show something relevant, at least R keep an image of it.

A curator of videos does not want each of two hundred frames of one wheelchair, but not to lose the
wheelchair. So the promise is about events, and each scene is looked at once.

*The population* are scenes: the rows that have one value of a column; a row without one is a scene
by itself. A scene is relevant if one of its rows is. It is *lost* at a line if it is relevant and
no relevant row of it is kept. A kept row that does not show the wheelchair saves nothing: who
annotates what was kept never meets it. The weaker claim, that any row is kept, would take fewer
labels, and no curator could use it.

*The claim.* For a line k, with v = 1 - R for a relevant scene that is not lost, -R for one that is
lost, and 0 for one that is not relevant: the sum of v over all scenes is at least 0, which is
(scenes not lost) >= R (relevant scenes). The lines are tested in the fixed order of `promise.py`.

*The draws.* The score of a scene is that of its best row that nobody has answered. Scenes are cut
into strata by it, and drawn as rows are: a stratum by its chance, in it a scene at random. Of a
drawn scene a person looks at the rows, the best first, until one is relevant, or all are answered
with no. The stratum t of that row says at which lines the scene is not lost: k > t. It is s, that
of the scene, or below. So v = gain[k, t] with the gains of a promise of rows, where t is known only
when the scene is looked at. It is never less than -R, for scenes above the line as well: their best
row may show nothing. `martingale.py` takes any value that is bounded from below, and that is all
that changes: the floor of every stratum is -R. The price is that scenes above the line have to be
drawn, too, where a promise of rows draws below it: about all scenes over those below the line times
the labels.

*On the safe side.* A row answered yes is kept by that answer, whatever it scores, and counts where
its score lies. Only rows answered yes count as relevant: others of the scene that were left out, or
skipped, could only be better ones. A scene with a skip or a conflict and no yes is lost at each
line. A scene with a yes from before the audit is not drawn: it keeps that row. Where that answer
was taken back, the scene is lost at each line. One whose rows all had a no before is not drawn, and
counts as not relevant, since a row that is answered otherwise now is kept. A no from before that
became a yes counts where nothing is kept. Each of these makes v less than it is, never more, and a
capital rises with v.

Everything else is as for rows: look whenever you like, and take any confidence afterwards. Nothing
is promised of rows. Nothing aims at a budget here, and no draws are shared out anew: what they gain
was shown for rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.disk.filter_checks import audit_names
from indexer.errors import BadRequest, LakeDamaged
from service.relevance.definition import Target
from service.relevance.promise import plan
from service.relevance.promise.audit import (
    ANSWERED,
    FIRST_DRAWS,
    Audit,
    Design,
    bands,
    fresh_seed,
)
from service.relevance.promise.counting import Counted
from service.relevance.promise.martingale import (
    NO,
    UNKNOWN,
    YES,
    Claims,
    Evidence,
    Numbers,
    Wholes,
    growth,
    parts_for,
    weigh,
)
from service.relevance.promise.plan import Option
from service.relevance.promise.promise import Chain, Known, chains, most_missed
from service.relevance.scoring.scorer import Scored

# of the draws, where scenes above the line are likely to be relevant: each speaks for the claim
ABOVE = 0.15


@dataclass(frozen=True, slots=True)
class Scenes:
    """Which scene each row is of."""

    column: str
    of_row: Wholes  # (n,), numbers from 0


@dataclass(frozen=True, slots=True)
class Heard:
    """What people said of the scenes that were drawn, up to the first that is open."""

    strata: Wholes  # (n,), of the draws
    said: Wholes  # (n,): YES, NO or UNKNOWN
    lies: Wholes  # (n,): the stratum of the best relevant row; where there is none, the draw's

    def counts(self, answer: int, strata: int, *, lying: bool = False) -> Wholes:
        """int64, (strata,): how many of the draws were answered so.

        :param lying: by where the relevant row lies, and not by the scene's own stratum.
        """
        where = self.lies if lying else self.strata
        return np.bincount(where[self.said == answer], minlength=strata)


class SceneAudit(Audit):
    """A design and its population, drawn scene by scene.

    `strata` are those of the rows, by which they are kept and dropped; `sizes` count scenes.
    """

    def __init__(
        self,
        design: Design,
        row_ids: Wholes,
        scores: NDArray[np.float32],
        strata: NDArray[np.int16],
        yes_before: NDArray[np.bool_],
        of_scene: Wholes,
    ) -> None:
        """:param of_scene: int64, (n,), the number of each row's scene, from 0."""
        super().__init__(design, row_ids, scores, strata, yes_before)
        self.of_scene = of_scene
        self._was_yes = yes_before

    @property
    def scenes(self) -> int:
        """How many there are, known ones too."""
        return len(self._rows_of)

    @cached_property
    def _rows_of(self) -> Wholes:
        """int64, (scenes,): how many rows each has."""
        return np.bincount(self.of_scene)

    @cached_property
    def _known_yes(self) -> NDArray[np.bool_]:
        """bool, (scenes,): a row of it was answered yes before the audit."""
        found = np.zeros(self.scenes, bool)
        found[self.of_scene[self._was_yes]] = True
        return found

    @cached_property
    def _in_order(self) -> tuple[Wholes, Wholes]:
        """int64, (n,), all rows scene by scene, in each the best first; (scenes + 1,), where each
        begins.
        """
        order = np.lexsort((self.row_ids, -self.scores, self.of_scene))
        return order, np.concatenate([[0], np.cumsum(self._rows_of)])

    @cached_property
    def _cells(self) -> Wholes:
        """As `Audit._cells`: of one row of each scene that is drawn, the best that is open."""
        best = first_of_each(self.of_scene, self.scores, self.strata >= 0, self._known_yes)
        found = np.full(len(self.row_ids), ANSWERED, np.int64)
        found[best] = self.strata[best]
        return found

    @property
    def drawn_strata(self) -> NDArray[np.integer[Any]]:
        return self._cells

    def rows_below(self, cut: int) -> int:
        """How many rows that nobody had answered before a line drops, by their scores."""
        return int(np.count_nonzero(self.strata >= cut))

    @property
    def rows_in(self) -> Wholes:
        """int64, (strata,): rows that nobody had answered before."""
        return np.bincount(self.strata[self.strata >= 0], minlength=len(self.design.sizes))

    def heard(self, answers: Mapping[int, str]) -> Heard:
        """
        :param answers: row_id -> yes, no, skip or conflict.
        """
        many = max(len(self.design.sizes), 1)
        at, row_ids = self.answered(answers)
        said = np.array([answers[row_id] for row_id in row_ids.tolist()], object)
        scene = self.of_scene[at]
        # What was answered otherwise before the audit counts where nothing is kept.
        lies = np.where(self.strata[at] >= 0, self.strata[at], many - 1).astype(np.int64)
        best = np.full(self.scenes, many, np.int64)
        np.minimum.at(best, scene[said == "yes"], lies[said == "yes"])
        is_open = np.bincount(scene, minlength=self.scenes) < self._rows_of
        is_unsure = np.zeros(self.scenes, bool)
        is_unsure[scene[(said == "skip") | (said == "conflict")]] = True
        found = np.where(is_unsure, UNKNOWN, NO)
        found[best < many] = YES
        is_open &= best == many
        strata, drawn = self._up_to_open(is_open)
        told = found[drawn]
        return Heard(strata, told, np.where(told == YES, best[drawn], strata))

    def _up_to_open(self, is_open: NDArray[np.bool_]) -> tuple[Wholes, Wholes]:
        """int64, (n,) each: strata and scenes of the draws before the first that is open."""
        count = FIRST_DRAWS
        while True:
            strata, rows = self.draws(count)
            drawn = self.scenes_of(rows)
            stops = np.flatnonzero(is_open[drawn])
            if len(stops):
                return strata[: stops[0]], drawn[: stops[0]]
            if len(rows) < count:
                return strata, drawn
            count *= 2

    def scenes_of(self, row_ids: Wholes) -> Wholes:
        """int64, (n,): the numbers of these rows' scenes.

        :param row_ids: (n,), rows of the audit.
        """
        return self.of_scene[np.searchsorted(self.row_ids, row_ids)]

    def rows_of_scene(self, scene: int) -> Wholes:
        """int64, (n,): the row_ids of one, the best first."""
        order, starts = self._in_order
        return self.row_ids[order[starts[scene] : starts[scene + 1]]]

    def prefix(self, answers: Mapping[int, str]) -> list[int]:
        """As `Audit.prefix`, scene by scene."""
        found: list[int] = self.heard(answers).said.tolist()
        return found

    def pending(
        self, answers: Mapping[int, str], count: int, budget: int | None = None
    ) -> list[int]:
        """The rows of drawn scenes that are open, scene after scene, in each the best first; whole
        scenes, until there are so many rows.

        :param budget: only of the first so many draws; None: of all.
        """
        found: list[int] = []
        for row_id in islice(self._rows_drawn(), budget):
            scene = int(self.scenes_of(np.array([row_id]))[0])
            rows = self.rows_of_scene(scene).tolist()
            if any(answers.get(row) == "yes" for row in rows):
                continue
            found += [row for row in rows if row not in answers]
            if len(found) >= count:
                break
        return found

    def asked(self, count: int) -> set[int]:
        """The row_ids of the first so many scenes drawn."""
        scenes = self.scenes_of(self.draws(count)[1]).tolist()
        return {row for scene in scenes for row in self.rows_of_scene(scene).tolist()}

    def known(self, answers: Mapping[int, str], group: int | None = None) -> Known:
        """The scenes that are not drawn; withdrawn: a row had a yes, and has none now."""
        was = self.row_ids[self._was_yes]
        still = np.array([answers.get(row_id) == "yes" for row_id in was.tolist()], bool)
        yes = len(np.unique(self.of_scene[self._was_yes][still]))
        every = int(np.count_nonzero(self._known_yes))
        return Known(yes, self.scenes - every - int(self.sizes.sum()), every - yes)

    # -- on disk

    def _more_columns(self) -> dict[str, Any]:
        return {"of_scene": self.of_scene}

    @classmethod
    def load(cls, folder: Path, number: int, piece: int = 0) -> SceneAudit:
        """:raises LakeDamaged: if a file is missing or not what `save` writes."""
        bare = Audit.read(folder, number, piece)
        path = str(folder / Path(audit_names(number)[1]).name)
        try:
            of_scene = np.asarray(pq.read_table(path, columns=["of_scene"])["of_scene"], np.int64)
        except (OSError, pa.ArrowException, KeyError) as error:
            raise LakeDamaged(path, str(error)) from None
        yes_before = bare.yes_before
        if yes_before is None or (len(of_scene) and of_scene.min() < 0):
            raise LakeDamaged(path, "its scenes are not those of the design")
        audit = cls(bare.design, bare.row_ids, bare.scores, bare.strata, yes_before, of_scene)
        if not np.array_equal(audit.cell_sizes[:, 0], bare.design.sizes):
            raise LakeDamaged(path, "its scenes are not those of the design")
        return audit


def first_of_each(
    of_scene: Wholes,
    scores: NDArray[np.float32],
    is_open: NDArray[np.bool_],
    is_known: NDArray[np.bool_],
) -> Wholes:
    """int64, (m,): where the best open row is of each scene that has one and is not known; of equal
    ones the first.

    :param of_scene: (n,); is_open: (n,), of the rows; is_known: (scenes,).
    """
    rows = np.flatnonzero(is_open & ~is_known[of_scene])
    rows = rows[np.lexsort((rows, -scores[rows], of_scene[rows]))]
    scenes = of_scene[rows]
    return np.asarray(rows[np.append(True, scenes[1:] != scenes[:-1])[: len(rows)]])


def check_scene(
    scene: str | None,
    target: Target,
    *,
    every: str | None = None,
    assume: str | None = None,
    prices: object | None = None,
    ask: bool = False,
) -> None:
    """:raises BadRequest: if scenes are wanted, and something that is not shown for them."""
    if scene is None:
        return
    if target.recall is None or target.precision is not None:
        raise BadRequest(
            "scene",
            "scenes are promised where recall alone is wanted; this filter promises precision",
        )
    others = {
        "every": (every, "in groups"),
        "assume": (assume, "with something assumed of the tail"),
        "prices": (prices, "by prices, which are of images"),
        "ask": (ask or None, "with images left to a person"),
    }
    for name, (said, how) in others.items():
        if said is not None:
            raise BadRequest("scene", f"scenes are not promised {how}; leave {name} or scene out")


def begin(
    number: int,
    snapshot: int,
    target: Target,
    scored: Scored,
    answers: Mapping[int, str],
    one_in: int,
    scenes: Scenes,
) -> SceneAudit:
    """The population of a new audit, as `audit.begin` has it; its shares are even."""
    said = np.array([answers.get(row_id) for row_id in scored.row_ids.tolist()], object)
    is_open, is_yes = (said != "yes") & (said != "no"), said == "yes"
    is_known = np.zeros(int(scenes.of_row.max(initial=-1)) + 1, bool)
    is_known[scenes.of_row[is_yes]] = True
    best = first_of_each(scenes.of_row, scored.scores, is_open, is_known)
    falling = -np.sort(-scored.scores[best])
    sizes = bands(falling)
    lowest = falling[np.cumsum(sizes) - 1] if sizes else np.empty(0, np.float32)
    edges = lowest[:-1].astype(np.float64)
    strata = np.full(len(scored), ANSWERED, np.int16)
    strata[is_open] = np.searchsorted(-edges, -scored.scores[is_open].astype(np.float64))
    design = Design(
        number=number,
        seed=fresh_seed(),
        snapshot=snapshot,
        target=target,
        edges=tuple(edges.tolist()),
        sizes=tuple(sizes),
        shares=tuple(size / max(len(best), 1) for size in sizes),
        planned=None,
        budget=None,
        aim=None,
        one_in=one_in,
        scene=scenes.column,
    )
    return SceneAudit(design, scored.row_ids, scored.scores, strata, is_yes, scenes.of_row)


def chains_of(audit: Audit, known: Known, delta: float) -> list[Chain]:
    """As `chains`: the claims about scenes; empty where there is no line to draw."""
    target, sizes = audit.design.target, audit.sizes
    found = []
    for chain in chains(target, sizes, Known(known.yes, known.no), delta):
        gains, levels = chain.claims.gains, np.array(chain.levels)
        # What lies below may be all that is relevant of a scene.
        floors = np.minimum.accumulate(gains[:, ::-1], axis=1)[:, ::-1]
        constants = chain.claims.constants - levels * known.withdrawn
        found.append(replace(chain, claims=Claims(gains, constants, np.minimum(floors, 0.0))))
    return found


def weighed(
    audit: SceneAudit, heard: Heard, chain: Chain, rates: Numbers, delta: float
) -> Evidence:
    """What the answers say of each claim.

    :param chain: of `chains_of`; rates: (strata,), forecast before the audit.
    """
    # Which stake gets what is fixed with the audit: it depends on nothing answered since.
    frozen = chains_of(audit, Known(0, 0), delta)[0]
    parts = parts_for(audit.sizes, audit.shares, rates, frozen.claims)
    return weigh(
        audit.sizes,
        audit.shares,
        heard.strata,
        heard.said.tolist(),
        chain.claims,
        parts,
        lies=heard.lies,
    )


def counted(audit: SceneAudit, heard: Heard, known: Known) -> Counted | None:
    """What was answered, where all scenes were; None: one is open, or nothing is known.

    A scene that is not clear may be lost at each line, unless all is kept.
    """
    many = len(audit.sizes)
    if len(heard.said) < int(audit.sizes.sum()):
        return None
    yes = heard.counts(YES, many, lying=True)
    unsure = np.zeros(many, np.int64)
    if many:
        unsure[-1] = int(np.count_nonzero(heard.said == UNKNOWN)) + known.withdrawn
    found = Counted(Known(known.yes, known.no), yes, heard.counts(NO, many), unsure)
    return found if found.relevant + known.no + int(found.no.sum()) else None


# -- what is promised


def facts(
    audit: SceneAudit,
    heard: Heard,
    known: Known,
    rates: Numbers,
    evidence: Evidence,
    recall: float,
    cut: int,
) -> dict[str, Any]:
    """What is promised of scenes at a line, and what is only estimated."""
    many = len(audit.sizes)
    left = audit.sizes - evidence.drawn
    likely = left * plan.learned(rates, evidence)
    yes, lying = heard.counts(YES, many), heard.counts(YES, many, lying=True)
    # Of scenes above the line found relevant, the share whose relevant row is below it.
    above = int(yes[:cut].sum())
    lost = (above - int(lying[:cut].sum())) / above if above else 0.0
    unsure = int(np.count_nonzero(heard.said == UNKNOWN))
    bound = most_missed(
        recall,
        known.yes + int(lying[:cut].sum()) + int(left[:cut].sum()),
        int(lying[cut:].sum()),
        int(left.sum()) + unsure + known.withdrawn,
    )
    missed = float(likely[cut:].sum()) + lost * float(likely[:cut].sum())
    return {
        "column": audit.design.scene,
        "scenes": audit.scenes,
        "at_least": recall,
        "relevant_estimate": round(known.yes + int(yes.sum()) + float(likely.sum()), 1),
        "missed_estimate": round(min(missed, bound), 1),
        "missed_at_most": bound,
    }


def facts_counted(audit: SceneAudit, counted: Counted, recall: float) -> dict[str, Any]:
    """As `facts`, where every scene was answered."""
    return {
        "column": audit.design.scene,
        "scenes": audit.scenes,
        "at_least": recall,
        "relevant_estimate": float(counted.relevant),
        "missed_estimate": 0.0,
        "missed_at_most": counted.open,
    }


def measured_so(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is measured where scenes are promised: of rows, nothing."""
    nothing = {"at_least": None, "estimate": None}
    return {"recall": nothing, "precision": nothing, "scenes": dict(facts)}


# -- how many labels


def shares_for(sizes: Wholes, rates: Numbers, cut: int) -> Numbers:
    """float64, (strata,), sum 1: in proportion to size, since every scene may be a lost one; and
    some more above the line, where those that are likely to be relevant speak for the claim.
    """
    likely = sizes * np.sqrt(np.maximum(rates, plan.LEAST_RATE)) * (np.arange(len(sizes)) < cut)
    shares = (1 - ABOVE) * sizes / sizes.sum()
    shares += ABOVE * likely / likely.sum()
    return np.asarray(shares / shares.sum())


def options(audit: SceneAudit, known: Known, rates: Numbers, delta: float) -> list[Option]:
    """Each line with the scenes that it is expected to take; kept and dropped are rows."""
    found = []
    for chain in chains_of(audit, known, delta):
        sizes, first = audit.sizes, chain.first_of_target()
        relevant = np.cumsum(sizes * rates)
        rows, total = np.cumsum(audit.rows_in), int(audit.rows_in.sum())
        for number in range(first, len(chain.claims)):
            cut, one = chain.cuts[number], chain.claims.one(number)
            shares = shares_for(sizes, rates, cut)
            rate = float(growth(sizes, shares, rates, one, one.constants)[0])
            labels = plan.labels_for(plan.MIXED - np.log(chain.delta), rate)
            kept = int(rows[cut - 1])
            part = float(relevant[cut - 1] / relevant[-1])
            found.append(Option(cut, kept, total - kept, part, labels))
    return found


def planned(
    audit: SceneAudit, known: Known, rates: Numbers, delta: float, budget: int | None = None
) -> SceneAudit:
    """The audit with its draws shared out for the line that is the least work, or for the strictest
    that a budget is likely to settle.
    """
    found = options(audit, known, rates, delta)
    if not found:
        return audit
    aim = plan.best(found, int(audit.sizes.sum()), budget)
    option = aim or min(found, key=lambda each: each.labels)
    design = replace(
        audit.design,
        shares=tuple(shares_for(audit.sizes, rates, option.cut).tolist()),
        planned=None if aim is None else int(np.ceil(aim.labels)),
        aim=None if aim is None else aim.cut,
        budget=budget,
    )
    return SceneAudit(
        design, audit.row_ids, audit.scores, audit.strata, audit._was_yes, audit.of_scene
    )


def paying(audit: SceneAudit, rates: Numbers, chain: Chain, evidence: Evidence) -> tuple[int, int]:
    """As `plan.worthwhile`: how many more scenes pay, and how many more rows they would drop."""
    needed = np.array(plan.until(audit.sizes, audit.shares, rates, chain, evidence))
    left = int((audit.sizes - evidence.drawn).sum())
    needed = np.where(needed >= left, np.inf, needed)
    return plan.paying(audit.rows_in, rates, chain, evidence, needed.tolist(), None)
