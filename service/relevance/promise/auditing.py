"""The audits of one filter: begins one, plans it,
tells how far it is, and what each line would cost before.

Knows no lake: the snapshot's number and the rows' scores come from the caller, and the new version
goes back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from indexer.disk.filter_checks import audit_names, check_file_of, is_shares_of
from indexer.errors import BadRequest, LakeDamaged, LakeError
from service.relevance.definition import Definition, Target, now
from service.relevance.labels.book import Answer, LabelBook, labels_by_row, labels_used
from service.relevance.promise import audit as audits
from service.relevance.promise import following, groups, plan, replanning, scenes
from service.relevance.promise import shares as shares_on_disk
from service.relevance.promise.applying import Standing, forecast, stand
from service.relevance.promise.audit import ANSWERED, Audit, Grouped
from service.relevance.promise.budget import shares_within
from service.relevance.promise.estimate import bounds_of_plan
from service.relevance.promise.following import Following
from service.relevance.promise.martingale import Numbers, Wholes
from service.relevance.promise.plan import Option
from service.relevance.promise.prices import Prices, Worth
from service.relevance.promise.progress import (
    Cheapest,
    CheapestLine,
    PlanAnswer,
    PlanCosts,
    PlanOption,
    PlanScenes,
    Progress,
)
from service.relevance.promise.promise import Known, chains
from service.relevance.promise.replanning import shares_anew
from service.relevance.promise.scenes import SceneAudit, Scenes
from service.relevance.promise.tail import TAIL, spared_by_plan
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored
from service.relevance.scoring.teaching import Taught

ASKED_AHEAD = 1_000  # rows that may have been asked for beyond the first that is not answered


class Auditing:
    """A filter's audits on disk, the one in force kept open. Safe from several threads."""

    def __init__(self, folder: Path, book: LabelBook) -> None:
        """
        :param folder: of the audits, as `filters/<name>/audits`; the first one makes it.
        :param book: the filter's.
        """
        self._folder = folder
        self._book = book
        self._kept: Audit | None = None

    def of(self, definition: Definition) -> Audit:
        """The audit that a version rests on.

        :raises LakeDamaged: if its files cannot be read, or are not those the version was made
            with.
        """
        number, pieces = definition.audit or 0, definition.pieces
        audit = self._kept  # once: another thread may put another version's in its place
        if audit is None or (audit.design.number, audit.design.piece) != (number, pieces):
            known = () if definition.checks is None else definition.checks.files
            names = [name for piece in range(pieces + 1) for name in audit_names(number, piece)]
            for name in (*names, *(each for each in known if is_shares_of(number, each))):
                check_file_of(self._folder.parent, name, definition.checks)
            kind = Following if definition.scene is None else SceneAudit
            audit = self._kept = kind.load(self._folder, number, pieces)
        while len(audit.later) < len(audit.design.looks) and shares_on_disk.is_there(
            self._folder, number, len(audit.later) + 1
        ):
            design = audit.design
            later = shares_on_disk.load(
                self._folder, number, design.seed, design.looks, len(design.sizes)
            )
            for each in later[len(audit.later) :]:
                audit = audit.shared_anew(each)
            self._kept = audit
        return audit

    def pending(
        self,
        definition: Definition,
        said: Mapping[int, str],
        count: int,
        budget: int | None = None,
        busy: Collection[int] = (),
    ) -> list[int]:
        """The first so many drawn rows that nobody has answered, in their order. Where they lie
        beyond a look, its draws are shared out anew first, by the answers that are there.

        :param budget: only of the first so many draws; None: of all.
        :param busy: row_ids that are passed over, too.
        :raises LakeError: if the folder cannot be written; LakeDamaged: as for `check_looks`.
        """
        passed = {**dict.fromkeys(busy, "skip"), **said}
        audit = self.of(definition)
        while True:
            rows = audit.pending(passed, count, budget)
            if len(rows) == count or not _has_look(audit, budget):
                return rows
            audit = self._share_anew(definition, audit, said)

    def catch_up(self, definition: Definition, said: Mapping[int, str]) -> None:
        """Share out the draws anew at each look that all draws before are answered of: rows beyond
        may be answered already, and count from then on.

        :raises LakeError: if the folder cannot be written.
        """
        if definition.audit is None:
            return
        audit = self.of(definition)
        while _has_look(audit, audit.design.budget) and len(audit.prefix(said)) == audit.decided:
            audit = self._share_anew(definition, audit, said)

    def check_looks(self, definition: Definition) -> None:
        """Whether the audit in force has lost how its draws go on from its next look on: people
        were asked for rows of it that it has not drawn by what is there. To share them out anew
        would be to choose after seeing what they bring.

        :raises LakeDamaged: if so.
        """
        if definition.audit is None:
            return
        audit = self.of(definition)
        design, before = audit.design, audit.design.labels_before
        if before is None or len(audit.later) == len(design.looks):
            return
        asked = {
            record.row_id
            for record in self._book.records()
            if record.purpose == "audit" and record.seq > before
        }
        asked &= set(audit.row_ids[audit.strata != ANSWERED].tolist())
        asked -= set(audit.order[1].tolist())
        # Somebody may have answered an audit before while this one was begun.
        if asked and not asked <= self._drawn_by_others(design.number):
            raise shares_on_disk.lost(
                self._folder,
                design.number,
                len(audit.later) + 1,
                "it is missing, and images that were drawn by it are answered",
            )

    def _drawn_by_others(self, number: int) -> set[int]:
        """The row_ids that other audits than this one have drawn, as far as they can be read."""
        found: set[int] = set()
        for other in audits.numbers(self._folder):
            pieces = len(list(self._folder.glob(f"{other:06d}-*.json")))
            for kind in (Following, SceneAudit) if other != number else ():
                with suppress(LakeDamaged):
                    audit = kind.load(self._folder, other, pieces)
                    found |= audit.asked(len(audit.order[1]))
        return found

    def _share_anew(self, definition: Definition, audit: Audit, said: Mapping[int, str]) -> Audit:
        self.check_looks(definition)
        found = shares_anew(audit, definition.calibration, said)
        try:
            found.save(self._folder, audit.design.number)
        except FileExistsError:  # somebody else was first, and theirs holds
            pass
        except OSError as error:
            raise LakeError(
                f"{self._folder} cannot be written ({error.strerror or error}); the audit cannot go on past its "
                f"draw {audit.decided:,}"
            ) from None
        return self.of(definition)

    def follow(
        self,
        before: Definition,
        snapshot: int,
        scored: Scored,
        answers: Mapping[int, Answer],
    ) -> Definition:
        """Let the audit in force follow the lake: draw and store what goes on from it; the version
        that rests on it, which is the caller's to add.

        :param snapshot: the number of the one that was scored.
        :param scored: its rows that the filter's where keeps, by the version's own scorer.
        :raises BadRequest: if this audit cannot, or shows nothing yet; LakeError: if the folder
            cannot be written.
        """
        said, audit = labels_by_row(answers), self.of(before)
        standing = stand(audit, said, before.calibration)
        evidence = standing.evidence
        cut = standing.best_cut(standing.chains[0], evidence[0]) if standing.chains else None
        if cut is None:
            raise BadRequest(
                "follow",
                "the audit in force shows no promise that could follow the lake yet; label what it asks for first, or "
                "begin another with again",
            )
        if not len(scored):
            raise BadRequest("follow", "no image is left that the filter looks at")
        rates = plan.learned(standing.rates, evidence[0])
        begun = following.begin(audit, snapshot, scored, said, cut, rates)
        ahead = stand(begun, said, before.calibration).missing
        if ahead is not None:
            begun.design = replace(begun.design, planned=begun.drawn_before + ahead)
        begun.save(self._folder)
        return replace(
            before,
            version=before.version + 1,
            created_at=now(),
            parent=before.version,
            reason=f"audit {begun.design.number} follows the lake",
            snapshot=snapshot,
            pieces=begun.design.piece,
            thresholds=None,
            labels=labels_used(answers),
            measured=None,
        )

    def begin(
        self,
        number: int,
        before: Definition,
        snapshot: int,
        scored: Scored,
        taught: Taught,
        answers: Mapping[int, Answer],
        budget: int | None,
        assume: str | None,
        one_in: int = 1,
        worth: Worth | None = None,
        grouped: Grouped | None = None,
        of_scene: Scenes | None = None,
    ) -> Definition:
        """Draw and store a new audit; the version that rests on it, which is the caller's to add.

        :param number: of the audit, as `FilterStore.next_audit` gives it.
        :param snapshot: the number of the one that was scored.
        :param scored: its rows that the filter's where keeps, by the taught scorer.
        :param budget, assume: as `Filter.next` has them.
        :param one_in: as `FilterStore.one_in` gives it.
        :param worth: what things cost, where a person said so.
        :param grouped: of whose groups something is promised; None: of all rows alone.
        :param of_scene: the scenes of which something is promised; None: it is of rows.
        :raises LakeError: if the folder cannot be written.
        """
        said = labels_by_row(answers)
        target = before.target
        fresh = (
            audits.begin(number, snapshot, target, scored, said, one_in, grouped)
            if of_scene is None
            else scenes.begin(number, snapshot, target, scored, said, one_in, of_scene)
        )
        audit = planned(fresh, taught.calibration, said, budget, assume, worth)
        if audit.design.looks:
            records = self._book.records()
            last = records[-1].seq if records else 0
            audit.design = replace(audit.design, labels_before=last)
        audit.save(self._folder)
        return replace(
            before,
            version=before.version + 1,
            created_at=now(),
            parent=before.version,
            reason=f"audit {number} begun",
            snapshot=snapshot,
            scorer=taught.scorer,
            calibration=taught.calibration,
            audit=number,
            pieces=0,
            scene=None if of_scene is None else of_scene.column,
            thresholds=None,
            labels=labels_used(answers),
            measured=dict(taught.facts) or None,
        )

    def stand(self, definition: Definition, said: Mapping[int, str]) -> Standing | None:
        """Where the audit stands, with what it was planned to assume; None before one was begun."""
        if definition.audit is None:
            return None
        audit = self.of(definition)
        return stand(audit, said, definition.calibration, assume=audit.design.assume)

    def purpose_of(self, definition: Definition, said: Mapping[int, str]) -> Callable[[int], str]:
        """Tells of a row whether the audit in force has asked for it;
        what a person picked teaches.
        """
        if definition.audit is None:
            return lambda row_id: "teach"
        audit = self.of(definition)
        answered = len(audit.prefix(said))
        drawn = audit.asked(answered + ASKED_AHEAD)
        return lambda row_id: "audit" if row_id in drawn else "picked"

    def scenes_of(self, definition: Definition, row_ids: Sequence[int]) -> list[int]:
        """The number of each row's scene, of an audit that draws scenes.

        :param row_ids: rows of the audit.
        :raises BadRequest: if it draws rows.
        """
        audit = None if definition.audit is None else self.of(definition)
        if not isinstance(audit, SceneAudit):
            raise BadRequest(
                "scene", "no audit that draws scenes is in force; begin one with scene"
            )
        found: list[int] = audit.scenes_of(np.array(row_ids, np.int64)).tolist()
        return found

    def none_of(
        self, definition: Definition, said: Mapping[int, str], row_ids: Sequence[int]
    ) -> dict[int, list[int]]:
        """For each of these rows, those of its scene that have neither a yes nor a no.

        :raises BadRequest: if the audit draws rows, has drawn none of a row's scene up to where it
            asks now, or the scene has a yes.
        """
        self.scenes_of(definition, ())
        audit = self.of(definition)
        assert isinstance(audit, SceneAudit)
        asked = audit.asked(len(audit.prefix(said)) + ASKED_AHEAD)
        found = {}
        for row_id in row_ids:
            if row_id not in asked:
                raise BadRequest("none", f"the audit did not ask about the scene of row {row_id}")
            rows = audit.rows_of_scene(self.scenes_of(definition, [row_id])[0]).tolist()
            if yes := [row for row in rows if said.get(row) == "yes"]:
                raise BadRequest(
                    "none",
                    f"the scene of row {row_id} has a yes, of row {yes[0]}: take that back first",
                )
            found[row_id] = [row for row in rows if said.get(row) != "no"]
        return found

    def progress(self, definition: Definition, said: Mapping[int, str]) -> Progress:
        """Counts of labels, and how far the audit is."""
        return Progress.of(definition, self.stand(definition, said), said)

    def plan(
        self,
        definition: Definition,
        number: int,
        snapshot: int,
        scored: Scored,
        calibration: Calibration | None,
        said: Mapping[int, str],
        one_in: int = 1,
        prices: Prices | None = None,
        grouped: Grouped | None = None,
        of_scene: Scenes | None = None,
    ) -> PlanAnswer:
        """What each cut would drop, and about how many labels the next
        audit would take for it; nothing is stored.

        :param number: of that audit; one_in: as `FilterStore.one_in` gives it.
        :param prices: what things cost, where a person said so: with them each line has a cost.
        :param grouped, of_scene: as `begin` has them.
        :raises BadRequest: if there are prices, and not recall alone is promised.
        """
        check_prices(prices, definition.target)
        audit = audits.begin(number, snapshot, definition.target, scored, said, one_in, grouped)
        rates = forecast(audit, calibration)
        delta = audit.design.delta(definition.target.confidence)
        wanted = chains(definition.target, audit.sizes, audit.known(said), delta)
        found = plan.options_of_all(audit.sizes, rates, wanted) if wanted else []
        if grouped is not None:
            found = groups.options(audit, _known_by_group(audit, said), rates, delta)
        by_scene = None
        if of_scene is not None:
            units = scenes.begin(
                number, snapshot, definition.target, scored, said, one_in, of_scene
            )
            by_scene = plan_of_scenes(units, calibration, said, delta)
        left = int(audit.sizes.sum())
        in_force = None if definition.audit is None else self.of(definition)
        confidence = definition.target.confidence
        least, most = bounds_of_plan(in_force, scored.row_ids, said, confidence)
        return PlanAnswer(
            rows=len(scored),
            at_least=least,
            at_most=most,
            confidence=None if most is None else confidence,
            options=tuple(
                _told(option, left, _cost(option, audit.sizes, rates, prices)) for option in found
            ),
            costs=None if prices is None else costs(found, audit.sizes, rates, prices),
            groups=None if grouped is None else len(grouped.names),
            scenes=by_scene,
        )


def plan_of_scenes(
    audit: SceneAudit, calibration: Calibration | None, said: Mapping[int, str], delta: float
) -> PlanScenes:
    """What a promise of scenes takes, line by line.

    :param said: row_id -> yes, no, skip or conflict; delta: what the promise may take.
    """
    found = scenes.options(audit, audit.known(said), forecast(audit, calibration), delta)
    left = int(audit.sizes.sum())
    return PlanScenes(
        column=audit.design.scene or "",
        scenes=audit.scenes,
        options=tuple(_told(option, left) for option in found),
    )


def _told(option: Option, left: int, cost: float | None = None) -> PlanOption:
    """:param left: that can be drawn: who labels all of them knows all, so no line takes more."""
    labels = None if option.labels == np.inf else min(round(option.labels), left)
    return PlanOption(option.dropped, option.kept, round(option.recall, 4), labels, cost)


def _cost(option: Option, sizes: Wholes, rates: Numbers, prices: Prices | None) -> float | None:
    """In the prices' currency; None where none are said, or no audit settles the line."""
    if prices is None or option.labels >= sizes.sum():
        return None
    cost = prices.worth.line(sizes, rates, option.cut, option.labels)
    return round(prices.annotation * cost, 2)


def costs(found: Sequence[Option], sizes: Wholes, rates: Numbers, prices: Prices) -> PlanCosts:
    """The cheapest line beside what needs no audit.

    :param found: as `plan.options` gives it; sizes, rates: (strata,).
    """
    worth = prices.worth
    line = plan.best(found, int(sizes.sum()), cost=plan.by_prices(sizes, rates, worth))
    every: dict[Cheapest, float] = {
        "annotate_everything": float(sizes.sum()),
        "label_everything": worth.label_everything(sizes, rates),
    }
    if line is not None:
        every["line"] = worth.line(sizes, rates, line.cut, line.labels)
    found_at = {way: round(prices.annotation * cost, 2) for way, cost in every.items()}
    # Of equal costs the way with the least to do for it.
    cheapest = min(every, key=lambda way: every[way])
    return PlanCosts(
        prices=prices,
        annotate_everything=found_at["annotate_everything"],
        label_everything=found_at["label_everything"],
        line=None
        if line is None
        else CheapestLine(
            dropped=line.dropped,
            labels=int(np.ceil(line.labels)),
            looks=worth.looks(sizes, rates, line.cut),
            cost=found_at["line"],
        ),
        cheapest=cheapest,
    )


def check_prices(prices: Prices | None, target: Target) -> None:
    """:raises BadRequest: if there are prices, and not recall alone is promised."""
    if prices is not None and (target.recall is None or target.precision is not None):
        raise BadRequest(
            "label_price",
            "prices decide between lines where recall alone is promised; this filter promises precision",
        )


def _known_by_group(audit: Audit, said: Mapping[int, str]) -> list[Known]:
    return [audit.known(said, number) for number in range(len(audit.design.groups))]


def planned(
    audit: Audit,
    calibration: Calibration | None,
    said: Mapping[int, str],
    budget: int | None = None,
    assume: str | None = None,
    worth: Worth | None = None,
) -> Audit:
    """The audit with its draws shared out for its target,
    for what will be assumed, and for the labels to be spent.
    """
    target = audit.design.target
    known: Known = audit.known(said)
    delta = audit.design.delta(target.confidence)
    if isinstance(audit, SceneAudit):
        return scenes.planned(audit, known, forecast(audit, calibration), delta, budget)
    if audit.design.every is not None:
        rates = forecast(audit, calibration)
        return groups.planned(audit, _known_by_group(audit, said), rates, delta, budget, worth)
    spared = spared_by_plan(audit, calibration) if assume == TAIL else None
    wanted = chains(target, audit.sizes, known, delta, spared)
    if not wanted:
        return audit
    sizes, rates = audit.sizes, forecast(audit, calibration)
    shares, option = plan.shares_of(sizes, rates, wanted, budget, spared, worth)
    looks: tuple[int, ...] = ()
    if budget is not None and spared is None and len(wanted) == 1 and wanted[0].kind == "recall":
        shares = shares_within(sizes, rates, wanted[0], budget, safe=shares)
        option = None if option is None else plan.under(option, sizes, shares, rates, wanted[0])
        looks = replanning.looks(budget, int(sizes.sum()))
    cut = None if option is None else option.cut
    labels = None if option is None else int(np.ceil(option.labels))
    return audits.with_plan(audit, shares, cut, labels, budget, assume, worth, looks)


def _has_look(audit: Audit, budget: int | None) -> bool:
    """Whether a look comes before the last draw that is wanted."""
    total = int(audit.sizes.sum())
    return audit.decided < (total if budget is None else min(budget, total))
