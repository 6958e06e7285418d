"""One filter of an open lake: teach it, audit it, apply it.
What the command, the service and Python call.

Every answer is a value whose `to_json` is the document of the command line and of HTTP. A filter's
steps are here. What hangs on it is next door: what people say on `labels`, what was decided on
`decisions`, its definitions on `versions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeDamaged
from indexer.report import Progress as Watched
from indexer.report import Silent
from indexer.words import count
from service.curate.picking.pick import Picks, pick
from service.lake import Lake
from service.relevance.answers import FilterFacts, LabelAnswer, NextAnswer
from service.relevance.asking import Asking, Turn
from service.relevance.decisions.answers import AppliedAnswer, RefusedAnswer, SamplesAnswer
from service.relevance.decisions.deciding import commit
from service.relevance.decisions.decisions import Decisions
from service.relevance.decisions.store import FilterStore
from service.relevance.decisions.versions import Versions
from service.relevance.definition import Definition, Target
from service.relevance.doubts import doubts_of
from service.relevance.filter_labels import Labels
from service.relevance.gate.answers import DecideAnswer
from service.relevance.gate.gate import Gate, Gates
from service.relevance.labels.book import Answer, labels_by_row
from service.relevance.labels.leases import Leases
from service.relevance.promise.applying import Applied, Refusal, Standing, apply
from service.relevance.promise.auditing import Auditing, check_prices
from service.relevance.promise.estimate import Estimate, estimate_of
from service.relevance.promise.every import grouped_by
from service.relevance.promise.following import check_assumed, check_follow
from service.relevance.promise.groups import check_every
from service.relevance.promise.offers import OffersAnswer, offers_of
from service.relevance.promise.prices import Prices
from service.relevance.promise.progress import PlanAnswer, Progress, Purpose, stage_of
from service.relevance.promise.retarget import retargeted
from service.relevance.promise.scene_column import scenes_by
from service.relevance.promise.scenes import check_scene
from service.relevance.promise.sharing import one_in_left
from service.relevance.promise.tail import check_assumption, together
from service.relevance.reporting.document import document
from service.relevance.reporting.facts import facts
from service.relevance.reporting.material import Material
from service.relevance.reporting.pictures import Thumbnail, own_thumbnails, pictures
from service.relevance.reporting.report import Report
from service.relevance.scoring.depth import Ranking
from service.relevance.scoring.scored_rows import rows_to_label
from service.relevance.scoring.scorer import Scored, score_rows
from service.relevance.scoring.teaching import Taught
from service.relevance.teacher import Teacher
from service.search.query import ImageLike
from service.snapshot.snapshot import Snapshot

PURPOSES = ("teach", "audit")


class Filter:
    """One filter of an open lake."""

    def __init__(
        self,
        lake: Lake,
        store: FilterStore,
        name: str,
        embedder: Callable[[], Embedder] | None = None,
    ) -> None:
        """:raises UnknownFilter: if there is none of this name."""
        self.lake = lake
        self.name = name
        self._embedder = embedder or (lambda: lake.embedder)
        self._gates = Gates(lake)
        self._store = store
        book = store.labels(name)
        self._auditing = Auditing(store.folder(name) / "audits", book)
        self.versions = Versions(lake, store, name)
        self.decisions = Decisions(lake, store, name, book, self._auditing)
        self.labels = Labels(lake, name, self.versions, book, self._auditing, self.decisions)
        self.teacher = Teacher(lake, self.versions, self.labels)
        leases = Leases(store.folder(name))
        self._asking = Asking(lake, self.teacher, self.labels, self._auditing, leases)
        # A shorthand, as `answers`, `decided` and `samples` are.
        self.export = self.decisions.export

    @property
    def definition(self) -> Definition:
        """The latest version."""
        return self.versions.latest

    def answers(self) -> dict[int, Answer]:
        """Every labelled row's current answer, by row_id."""
        return self.labels.answers()

    # -- teaching

    def taught(self, snapshot: Snapshot | None = None) -> Taught:
        """The best scorer that the labels allow, of all kinds;
        the draft where there are too few.
        """
        return self.teacher.taught(snapshot or self.lake.snapshot)

    def ranking(self) -> Ranking:
        """How good the ranking is by now; see `Teacher.ranking`."""
        return self.teacher.ranking()

    def next(
        self,
        count: int = 20,
        purpose: str | None = None,
        *,
        again: bool = False,
        budget: int | None = None,
        assume: str | None = None,
        labeller: str | None = None,
        double: float = 0.0,
        prices: Prices | None = None,
        every: str | None = None,
        scene: str | None = None,
        follow: bool = False,
    ) -> NextAnswer:
        """What to label next. An audit is begun by the first call for it, which freezes the scorer.

        Rows of an audit have no score and no probability, so that these lead nobody's answer. Once
        one was begun, rows to teach have none either, and are in no order: it may draw them too.

        :param purpose: teach or audit; None: audit once one was begun.
        :param again: begin a new audit, with what was learnt since; the one before is over.
        :param budget: labels that an audit begun now may take; it is planned to drop as much as
            they are likely to settle. None: planned for the least work, where a label counts half
            an annotation. Of one that is under way: labels that it may take instead, as to go on.
        :param assume: "tail", if that will be assumed when an audit begun now is applied: few of
            its draws go where next to nothing can lie then. See `tail.py`.
        :param labeller: who will answer. What others were handed in the last ten minutes is left
            out, and these rows are left out for others so long. None or unnamed: neither.
        :param double: 0 to 1, the share of what one other person has answered that is asked of this
            labeller, too: how far people agree shows there alone.
        :param prices: an audit begun now aims at the line that is the cheapest by them, goes on
            while more labels pay by them, and apply with ask uses them. See `prices.py`. None: a
            label counts half an annotation, and what is kept is annotated.
        :param every: a column: an audit begun now is to promise the recall in every group of its
            values. See `groups.py`. None: of all images together.
        :param scene: a column, or `group`: an audit begun now draws scenes, the images of one value
            of it, and is to promise the recall of scenes: of all in which something relevant is to
            be seen so many keep a relevant image. See `scenes.py`. It asks for whole scenes, until
            there are `count` images. None: of images.
        :param follow: let the audit in force follow the lake, where images came or went since: what
            it has been told counts, and from now on it draws from the images that came alone. See
            `following.py`. Where nothing changed since it goes on as it is.
        :raises BadRequest: if count, purpose, budget, assume or double is out of range, or there
            are prices or groups and no audit is begun with them, or not for recall alone.
        """
        turn = Turn(labeller, double)
        if count < 1:
            raise BadRequest("n", f"{count} is not a number of images; it must be at least 1")
        if purpose not in (None, *PURPOSES):
            raise BadRequest("purpose", f"{purpose!r} is neither teach nor audit")
        if budget is not None and budget < 1:
            raise BadRequest("budget", f"{budget} is not a number of labels; it must be at least 1")
        definition = self.definition
        check_assumption(assume, definition.target)
        check_prices(prices, definition.target)
        is_teaching = definition.audit is None if purpose is None else purpose == "teach"
        wanted: Purpose = "teach" if is_teaching else "audit"
        check_every(every, definition.target, assume)
        check_scene(scene, definition.target, every=every, assume=assume, prices=prices)
        if follow:
            self._check_follow(
                definition,
                is_teaching=is_teaching,
                begins=again or budget is not None or assume is not None,
            )
        begins = not is_teaching and (definition.audit is None or again)
        self._check_fixed(prices, every, scene, definition, begins=begins, is_teaching=is_teaching)
        if wanted == "teach":
            asked = self._asking.to_teach(definition, count, turn)
        else:
            if definition.audit is None or again:
                definition = self._begin_audit(budget, assume, prices, every, scene, again=again)
            elif follow:
                definition = self._follow()
            asked = self._asking.to_audit(definition, count, budget, turn)
        rows = rows_to_label(asked.snapshot, asked.rows, asked.scored, asked.calibration)
        progress, others = self.progress(), asked.with_others
        of_scene = None
        if wanted == "audit" and definition.scene is not None:
            of_scene = self._auditing.scenes_of(definition, [row.row_id for row in rows])
        return NextAnswer(self.name, definition.version, wanted, rows, progress, of_scene, others)

    def label(
        self,
        labels: Sequence[Mapping[str, Any]],
        *,
        only_open: bool = False,
        settle: bool = False,
    ) -> LabelAnswer:
        """See `Labels.save`."""
        return self.labels.save(labels, only_open=only_open, settle=settle)

    # -- the audit

    def _check_fixed(
        self,
        prices: Prices | None,
        every: str | None,
        scene: str | None,
        definition: Definition,
        *,
        begins: bool,
        is_teaching: bool,
    ) -> None:
        """:raises BadRequest: if prices, groups or scenes are said that no audit is begun with."""
        if begins or (prices is None and every is None and scene is None):
            return
        design = None if is_teaching else self._auditing.of(definition).design
        when = (
            "when an audit is begun: say them with --purpose audit, and with --again where one is "
            "under way"
        )
        if prices is not None and (design is None or design.worth != prices.worth):
            raise BadRequest("label_price", f"prices are fixed {when}")
        if every is not None and (design is None or design.every != every):
            raise BadRequest("every", f"groups are fixed {when}")
        if scene is not None and (design is None or design.scene != scene):
            raise BadRequest("scene", f"scenes are fixed {when}")

    def _begin_audit(
        self,
        budget: int | None,
        assume: str | None,
        prices: Prices | None,
        every: str | None,
        scene: str | None,
        *,
        again: bool,
    ) -> Definition:
        with self._store.lock(self.name), self._store.next_audit(self.name) as number:
            before, snapshot = self.definition, self.lake.snapshot
            if before.audit is not None and not again:  # somebody else has just begun one
                return before
            taught = self.taught(snapshot)
            scored = score_rows(snapshot, taught.scorer, before.where)
            grouped = None if every is None else grouped_by(snapshot, scored.row_ids, every)
            definition = self._auditing.begin(
                number,
                before,
                snapshot.number,
                scored,
                taught,
                self.answers(),
                budget,
                assume,
                self._store.one_in(self.name),
                None if prices is None else prices.worth,
                grouped,
                None if scene is None else scenes_by(snapshot, scored.row_ids, scene),
            )
            self._store.add(definition)
            return definition

    def _check_follow(self, definition: Definition, *, is_teaching: bool, begins: bool) -> None:
        """:raises BadRequest: if no audit can follow the lake."""
        if is_teaching or definition.audit is None:
            raise BadRequest(
                "follow",
                "there is no audit that could follow the lake; begin one with purpose audit",
            )
        if begins:
            raise BadRequest(
                "follow",
                "an audit that follows the lake goes on as it was begun: leave again, budget and assume out",
            )
        check_follow(self._auditing.of(definition).design)

    def _follow(self) -> Definition:
        """The version whose audit follows the lake as it is now."""
        with self._store.lock(self.name):
            before, snapshot = self.definition, self.lake.snapshot
            audit = self._auditing.of(before)
            if audit.design.snapshot >= snapshot.number:
                return before
            scored = score_rows(snapshot, before.scorer, before.where)
            # Somebody may have tagged, and nothing came or went.
            if np.array_equal(scored.row_ids, audit.row_ids):
                return before
            definition = self._auditing.follow(before, snapshot.number, scored, self.answers())
            self._store.add(definition)
            return definition

    def standing(self) -> Standing | None:
        """Where the audit in force stands; None before one was begun."""
        return self._auditing.stand(self.definition, self.labels.said())

    def progress(self) -> Progress:
        """Counts of labels, and how far the audit is."""
        return self.labels.progress()

    def plan(
        self,
        prices: Prices | None = None,
        every: str | None = None,
        scene: str | None = None,
    ) -> PlanAnswer:
        """The arithmetic, before anybody labels:
        what each cut would drop, and about how many audit labels it takes.

        :param prices: with them each line has a cost, and the cheapest is told; see `prices.py`.
        :param every: a column: what a promise of every group of its values takes.
        :param scene: a column, or `group`: what a promise of scenes takes, beside the other.
        :raises BadRequest: if there are prices or groups, and not recall alone is promised.
        """
        snapshot, definition = self.lake.snapshot, self.definition
        check_every(every, definition.target, None)
        check_scene(scene, definition.target, every=every)
        taught = self.taught(snapshot)
        scored = score_rows(snapshot, taught.scorer, definition.where)
        grouped = None if every is None else grouped_by(snapshot, scored.row_ids, every)
        begun = self._store.copied_from(self.name)
        return self._auditing.plan(
            definition,
            begun.audits + 1,
            snapshot.number,
            scored,
            taught.calibration,
            self.labels.said(),
            one_in_left(begun.part),
            prices,
            grouped,
            None if scene is None else scenes_by(snapshot, scored.row_ids, scene),
        )

    def offers(self) -> OffersAnswer:
        """Other promises that the audit's answers show already, and what a tighter one would cost:
        see `promise/offers.py`.
        """
        definition = self.definition
        audit = None if definition.audit is None else self._auditing.of(definition)
        return offers_of(definition, audit, self.labels.said())

    def estimate(self, confidence: float | None = None) -> Estimate:
        """Between which bounds the number of relevant images lies: see `promise/estimate.py`.

        :param confidence: in (0, 1), of both bounds together; None: the filter's.
        :raises BadRequest: if it is not, or no audit was begun.
        """
        definition = self.definition
        audit = None if definition.audit is None else self._auditing.of(definition)
        sure = definition.target.confidence if confidence is None else confidence
        return estimate_of(definition, audit, self.labels.said(), sure)

    # -- applying

    def apply(
        self,
        *,
        ask: bool = False,
        recall: float | None = None,
        confidence: float | None = None,
        assume: str | None = None,
        prices: Prices | None = None,
        progress: Watched | None = None,
    ) -> AppliedAnswer | RefusedAnswer:
        """Decide every row, with the promise; or refuse,
        and say what is missing. A refusal changes nothing.

        :param ask: leave rows between keep and drop to a person.
        :param recall: promised instead of the filter's, where the audit is valid for it: not above
            it.
        :param confidence: likewise, any. See `retarget.py` for what it then means.
        :param assume: "tail": below a line the log-odds of relevance go on falling; see `tail.py`.
            None: nothing.
        :param prices: with ask, what a look and an annotation cost: what is kept is asked about
            where a look is cheaper. None: as the audit was begun with; or else a label counts half
            an annotation.
        :param progress: told as the ledger is worked out; a million rows take some seconds.
        :raises BadRequest: if the audit is not valid for that.
        """
        with self._store.lock(self.name):
            definition, answers = self.definition, self.answers()
            wanted = retargeted(definition.target, recall, confidence)
            check_assumption(assume, wanted)
            check_prices(prices, wanted)
            check_scene(definition.scene, definition.target, assume=assume, ask=ask)
            if definition.audit is not None and assume is not None:
                design = self._auditing.of(definition).design
                check_every(design.every, wanted, assume)
                check_assumed(design)
            if prices is not None and not ask:
                raise BadRequest(
                    "ask", "prices decide what is asked about, and nothing is asked: say --ask, too"
                )
            if definition.audit is None:
                return self._not_audited(definition)
            self._auditing.catch_up(definition, labels_by_row(answers))
            audit = self._auditing.of(definition)
            found = apply(
                audit,
                labels_by_row(answers),
                definition.calibration,
                ask=ask,
                wanted=wanted,
                assume=assume,
                unseen_from=None if prices is None else prices.worth.unseen_from,
            )
            if isinstance(found, Refusal):
                return RefusedAnswer.of(definition, found)
            if not found.measured.get("counted"):
                found = self._with_other(found, definition, wanted, assume)
            snapshot = self.lake.at(audit.design.snapshot)
            committed = commit(
                self._store, definition, audit, snapshot, answers, found, progress or Silent()
            )
            return AppliedAnswer.of(committed)

    def _with_other(
        self, found: Applied, definition: Definition, wanted: Target, assume: str | None
    ) -> Applied:
        """With the confidence of this promise and of the same audit's other one together, which
        assumes the tail where this one does not, and nothing where this one does.
        """
        others = [
            (each.measured or {})["confidence"]
            for each in map(self.versions.at, self.versions.numbers())
            if each.reason == "applied"
            and each.audit == definition.audit
            and each.pieces == definition.pieces
            and ("assumption" in (each.measured or {})) != (assume is not None)
            and not (each.measured or {}).get("counted")
        ]
        planned = self._auditing.of(definition).design.assume
        if not others and assume is None and planned is None:
            return found
        both = together(wanted.confidence, min(others, default=wanted.confidence))
        return replace(found, measured={**found.measured, "both": both})

    def _not_audited(self, definition: Definition) -> RefusedAnswer:
        ask = f"lakesift filter next {self.lake.folder.name} {self.name} --purpose"
        reason = f"filter {self.name} promises nothing before an audit; label what this asks for: {ask} audit"
        if not self.labels.said():
            reason += f"; nothing was taught yet, and a few dozen answers to this first save many of those: {ask} teach"
        possible = [each.labels for each in self.plan().options if each.labels is not None]
        return RefusedAnswer.of(definition, Refusal(reason, None, min(possible, default=None)))

    def decided(self, *decisions: str, version: int | None = None) -> Any:
        """See `Decisions.table`."""
        return self.decisions.table(*decisions, version=version)

    def samples(
        self,
        decision: str,
        count: int = 24,
        *,
        order: str = "line",
        seed: int | None = None,
        offset: int = 0,
    ) -> SamplesAnswer:
        """See `Decisions.samples`."""
        return self.decisions.samples(decision, count, order=order, seed=seed, offset=offset)

    # -- images to label elsewhere

    def pick(self, n: int, *, progress: Watched | None = None, **options: Any) -> Picks:
        """As `Lake.pick` by coverage, so that each image that the filter is unsure of is as near as
        can be to a pick: each weighs 4 p (1 - p), p its calibrated chance to be relevant. Images
        that people answered count as labelled.

        :param options: of `Lake.pick`.
        :raises BadRequest: if the answers do not tell chances apart yet; likewise.
        """
        snapshot, said = self.lake.snapshot, self.labels.said()
        answered = [row_id for row_id, label in said.items() if label in ("yes", "no")]
        taught = self.teacher.taught(snapshot, said)
        doubts = doubts_of(self.name, snapshot, self.definition, taught, answered)
        return pick(snapshot, n, doubts=doubts, progress=progress, **options)

    # -- new images

    def gate(self, *, ask: bool = False) -> Gate:
        """Decides images that are not in the lake,
        by the latest version that was applied. Nothing is promised of them.

        :param ask: leave images near the line to a person, as `apply` would.
        :raises BadRequest: if nothing was applied yet: without a promise there is no line;
            LakeDamaged: if a file of what was applied is damaged.
        """
        definition = self.decisions.last()
        self.decisions.check(definition)
        audit = self._auditing.of(definition)
        return self._gates.open(definition, audit, self.labels.said(), ask=ask)

    def decide(self, images: Sequence[ImageLike], *, ask: bool = False) -> DecideAnswer:
        """keep, drop or ask of each new image;
        one that cannot be read has an error instead. See `gate`.

        :param images: paths, encoded bytes, or uint8 RGB arrays (height, width, 3).
        """
        from service.relevance.gate.new_images import decide_images

        gate = self.gate(ask=ask)
        return gate.answer(decide_images(gate, images, self._embedder()))

    # -- the report

    def report(self, prices: Prices | None = None) -> Report:
        """What came of it: images, promise, labels, money,
        people, examples. See `service.relevance.reporting`.

        Of the last version that was applied; where none was, of the latest, and why nothing is
        decided.

        :param prices: None: everything is counted in annotations.
        """
        return facts(self._material(), prices or Prices())

    def report_page(
        self, prices: Prices | None = None, thumbnail: Thumbnail | None = None
    ) -> bytes:
        """The report as one HTML file of its own, UTF-8,
        below 2 MB, with pictures, without scripts.

        :param thumbnail: makes the pictures; None: with decoder processes of our own.
        """
        material = self._material()
        found = facts(material, prices or Prices())
        row_ids = list(
            dict.fromkeys(row.row_id for rows in found.examples.values() for row in rows)
        )
        with nullcontext(thumbnail) if thumbnail else own_thumbnails() as make:
            return document(found.to_json(), pictures(material.snapshot, row_ids, make))

    def _material(self) -> Material:
        latest = self.definition
        every = map(self.versions.at, reversed(self.versions.numbers()))
        applied = next((each for each in every if each.reason == "applied"), None)
        definition = applied or latest
        audit = None if definition.audit is None else self._auditing.of(definition)
        snapshot = self.lake.snapshot if audit is None else self.lake.at(definition.snapshot)
        if audit is None:
            scored = score_rows(snapshot, self.taught(snapshot).scorer, definition.where)
        else:
            scored = Scored(audit.row_ids, audit.scores)
        answers = self.answers()
        return Material(
            folder=self.lake.folder,
            definition=definition,
            stage=stage_of(definition, len(answers)),
            snapshot=snapshot,
            scored=scored,
            audit=audit,
            ledger=self.decisions.ledger(definition) if applied else None,
            answers=answers,
            records=self.labels.book.records(),
            newer=latest.version if latest.version > definition.version else None,
        )

    def summary(self) -> FilterFacts:
        """One line of a list of filters.

        :raises LakeDamaged: if its labels are gone.
        """
        definition, labels, path = self.definition, len(self.answers()), self.labels.book.path
        used = definition.labels
        if used is not None and used.count and not path.exists():
            made_with = f"version {definition.version} was made with {count(used.count, 'label')}"
            raise LakeDamaged(str(path), f"it is missing, and {made_with}; put it back")
        return FilterFacts(
            name=self.name,
            version=definition.version,
            stage=stage_of(definition, labels),
            target=definition.target,
            where=definition.where,
            snapshot=definition.snapshot,
            labels=labels,
            created_at=definition.created_at,
            applied=self.decisions.in_force(),
        )
