"""One filter of an open lake: teach it, audit it, apply it. What the command, the service and Python call.

Every answer is JSON values, the same in Python, on the command line and over HTTP. The work is done next door: answers
are taken by `labelling`, audits by `auditing`, decisions by `deciding`, new images by `gate`, reports by `reporting`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeDamaged, WrongModel
from indexer.models import what_differs
from indexer.report import Progress, Silent
from service.export import ExportReport, Handover, export
from service.export.reading import reader_of
from service.lake import Lake
from service.originals import Originals
from service.query import ImageLike
from service.relevance.applying import Refusal, Standing, apply
from service.relevance.audit import Audit
from service.relevance.auditing import Auditing, stage_of
from service.relevance.calibration import Calibration
from service.relevance.deciding import Decisions, applied_json, refused_json
from service.relevance.definition import Definition
from service.relevance.gate import Gate, Gates
from service.relevance.handover import Items, handover_of
from service.relevance.labelling import Labelling
from service.relevance.labels import UNNAMED, Answer, LabelBook, labels_by_row
from service.relevance.reporting.costs import Prices
from service.relevance.reporting.document import document
from service.relevance.reporting.facts import facts
from service.relevance.reporting.material import Material
from service.relevance.reporting.people import agreement
from service.relevance.reporting.pictures import Thumbnail, own_thumbnails, pictures
from service.relevance.retarget import retargeted
from service.relevance.scored_rows import scored_json
from service.relevance.scorer import Scored, score_rows
from service.relevance.store import FilterStore, diff
from service.relevance.tail import check_assumption
from service.relevance.teaching import Taught, propose, teach
from service.snapshot import Snapshot

PURPOSES = ("teach", "audit")


class Filter:
    """One filter of an open lake."""

    def __init__(
        self, lake: Lake, store: FilterStore, name: str, embedder: Callable[[], Embedder] | None = None
    ) -> None:
        """:raises UnknownFilter: if there is none of this name."""
        self.lake = lake
        self.name = name
        self._embedder = embedder or (lambda: lake.embedder)
        self._gates = Gates(lake)
        self._store = store
        self._book: LabelBook = store.labels(name)
        self._auditing = Auditing(store.folder(name) / "audits")
        self._decisions = Decisions(store, name)

    @property
    def definition(self) -> Definition:
        """The latest version."""
        return self.at(None)

    def at(self, version: int | None) -> Definition:
        """:raises BadRequest: if there is no such version; WrongModel: if it is of another model than the lake's."""
        definition = self._store.read(self.name, version)
        _check_model(definition, self.lake)
        return definition

    def versions(self) -> list[int]:
        return self._store.versions(self.name)

    def diff(self, before: int, after: int) -> list[tuple[str, Any, Any]]:
        """What changed from one version to another: field, before, after."""
        return diff(self.at(before), self.at(after))

    def answers(self) -> dict[int, Answer]:
        return self._book.answers()

    def _said(self) -> dict[int, str]:
        return labels_by_row(self._book.answers())

    # -- teaching

    def taught(self, snapshot: Snapshot | None = None) -> Taught:
        """The best scorer that the labels allow, of all kinds; the draft where there are too few."""
        return teach(snapshot or self.lake.snapshot, self.at(1).scorer, self._said())

    def next(
        self,
        count: int = 20,
        purpose: str | None = None,
        *,
        again: bool = False,
        budget: int | None = None,
        assume: str | None = None,
    ) -> dict[str, Any]:
        """What to label next. An audit is begun by the first call for it, which freezes the scorer.

        :param purpose: teach or audit; None: audit once one was begun.
        :param again: begin a new audit, with what was learnt since; the one before is over.
        :param budget: labels that an audit begun now may take; it is planned to drop as much as they are likely to
            settle. None: planned for the least work, where a label counts half an annotation.
        :param assume: "tail", if that will be assumed when an audit begun now is applied: few of its draws go where
            next to nothing can lie then. See `tail.py`.
        :raises BadRequest: if count, purpose, budget or assume is out of range.
        """
        if count < 1:
            raise BadRequest("n", f"{count} is not a number of images; it must be at least 1")
        if purpose not in (None, *PURPOSES):
            raise BadRequest("purpose", f"{purpose!r} is neither teach nor audit")
        if budget is not None and budget < 1:
            raise BadRequest("budget", f"{budget} is not a number of labels; it must be at least 1")
        definition = self.definition
        check_assumption(assume, definition.target)
        if purpose is None:
            purpose = "teach" if definition.audit is None else "audit"
        if purpose == "teach":
            return self._next_to_teach(definition, count)
        if definition.audit is None or again:
            definition = self._begin_audit(budget, assume, again=again)
        audit = self._audit_of(definition)
        standing = self._auditing.stand(definition, self._said())
        pending = audit.pending(self._said(), count) if standing and standing.asks_on else []
        scored = Scored(audit.row_ids, audit.scores)
        snapshot = self.lake.at(audit.design.snapshot)
        return self._next(definition, purpose, snapshot, pending, scored, definition.calibration)

    def _next_to_teach(self, definition: Definition, count: int) -> dict[str, Any]:
        snapshot = self.lake.snapshot
        taught = self.taught(snapshot)
        scored = score_rows(snapshot, taught.scorer, definition.where)
        said = self._said()
        known = {row_id: label == "yes" for row_id, label in said.items() if label in ("yes", "no")}
        passed: Collection[int] = [row_id for row_id in said if row_id not in known]
        rows = propose(snapshot, scored, known, count, self.at(1).scorer, passed_over=passed)
        return self._next(definition, "teach", snapshot, rows, scored, taught.calibration)

    def _next(
        self,
        definition: Definition,
        purpose: str,
        snapshot: Snapshot,
        row_ids: Sequence[int],
        scored: Scored,
        calibration: Calibration | None,
    ) -> dict[str, Any]:
        return {
            "filter": self.name,
            "version": definition.version,
            "purpose": purpose,
            "rows": scored_json(snapshot, row_ids, scored, calibration),
            "progress": self.progress(),
        }

    # -- labels

    def label(self, labels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Save answers, each {"row_id" or "uri", "label": yes/no/skip, "labeller"?}; those of no use are told."""
        return {**self._labelling().save(labels), "progress": self.progress()}

    def label_file(self, path: str | Path, labeller: str = UNNAMED) -> dict[str, Any]:
        """Save the answers of a CSV file: columns uri or row_id, label, and labeller where there are several."""
        return {**self._labelling().save_file(path, labeller), "progress": self.progress()}

    def label_export(
        self,
        path: str | Path,
        format: str,
        labeller: str = UNNAMED,
        *,
        yes: Sequence[str] = (),
        empty_is_no: bool = False,
        root: str | None = None,
    ) -> dict[str, Any]:
        """Save the answers of an annotation tool's file; format, yes, empty_is_no and root as `read_labels` has them.

        :raises BadRequest: if the file cannot be read, or is not of this format.
        """
        saved = self._labelling().save_export(
            Path(path), format, labeller, yes=yes, empty_is_no=empty_is_no, root=root
        )
        return {**saved, "progress": self.progress()}

    def restore(self, rows: Sequence[int | str], labeller: str = UNNAMED) -> dict[str, Any]:
        """Bring back rows that were dropped: a person's yes for each, so that the next `apply` keeps it.

        A spelling of `label` that takes nothing but what the version applied last has dropped. It is recorded and taken
        back (`undo`) like any answer; where somebody else says no it is a conflict, which is told. The promise stays
        as it is: this counts as an audit's answer only where the audit in force has drawn the row, and else decides
        its own row alone. The ledger stays as it was.

        :param rows: row_ids, or uris.
        :returns: {"saved", "problems": [{"about", "message"}], "restored": row_ids, "version", "progress"}.
        :raises BadRequest: if nothing was applied yet.
        """
        definition = self.last_applied()
        table = self._decisions.whole(definition, ["row_id", "decision"])
        decisions = dict(zip(table["row_id"].to_pylist(), table["decision"].to_pylist(), strict=True))
        saved = self._labelling().restore(rows, labeller, decisions, definition.version)
        return {**saved, "version": definition.version, "progress": self.progress()}

    def _labelling(self) -> Labelling:
        purpose_of = self._auditing.purpose_of(self.definition, self._said())
        return Labelling(self._book, self.lake.folder.name, self._snapshots(), purpose_of)

    def _snapshots(self) -> list[Snapshot]:
        """Whose rows may be labelled: the audit's, where one was begun, whatever has gone since; and the current."""
        definition = self.definition
        audited = [] if definition.audit is None else [self.lake.at(definition.snapshot)]
        return [*audited, self.lake.snapshot]

    def undo(self, row_id: int | None = None, labeller: str | None = None) -> dict[str, Any]:
        """Take back the last answer: of a row, by a labeller, or at all."""
        record = self._book.undo(row_id, labeller)
        undone = record and {"row_id": record.row_id, "label": record.label, "labeller": record.labeller}
        return {"undone": undone, "progress": self.progress()}

    # -- the audit

    def _begin_audit(self, budget: int | None, assume: str | None, *, again: bool) -> Definition:
        with self._store.lock(self.name), self._store.next_audit(self.name) as number:
            before, snapshot = self.definition, self.lake.snapshot
            if before.audit is not None and not again:  # somebody else has just begun one
                return before
            taught = self.taught(snapshot)
            scored = score_rows(snapshot, taught.scorer, before.where)
            definition = self._auditing.begin(
                number, before, snapshot.number, scored, taught, self.answers(), budget, assume
            )
            self._store.add(definition)
            return definition

    def _audit_of(self, definition: Definition) -> Audit:
        return self._auditing.of(definition)

    def standing(self) -> Standing | None:
        """Where the audit in force stands; None before one was begun."""
        return self._auditing.stand(self.definition, self._said())

    def progress(self) -> dict[str, Any]:
        """Counts of labels, and how far the audit is."""
        return self._auditing.progress(self.definition, self.answers())

    def plan(self) -> dict[str, Any]:
        """The arithmetic, before anybody labels: what each cut would drop, and about how many audit labels it takes."""
        snapshot, definition = self.lake.snapshot, self.definition
        taught = self.taught(snapshot)
        scored = score_rows(snapshot, taught.scorer, definition.where)
        number = self._store.audits_begun(self.name) + 1
        return self._auditing.plan(
            definition, number, snapshot.number, scored, taught.calibration, self._said()
        )

    # -- applying

    def apply(
        self,
        *,
        ask: bool = False,
        recall: float | None = None,
        confidence: float | None = None,
        assume: str | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Decide every row, with the promise; or refuse, and say what is missing. A refusal changes nothing.

        :param ask: leave rows between keep and drop to a person.
        :param recall: promised instead of the filter's, where the audit is valid for it: not above it.
        :param confidence: likewise, any. See `retarget.py` for what it then means.
        :param assume: "tail": below a line the log-odds of relevance go on falling; see `tail.py`. None: nothing.
        :param progress: told as the ledger is worked out; a million rows take a minute.
        :raises BadRequest: if the audit is not valid for that.
        """
        with self._store.lock(self.name):
            definition, answers = self.definition, self.answers()
            wanted = retargeted(definition.target, recall, confidence)
            check_assumption(assume, wanted)
            if definition.audit is None:
                return self._not_audited(definition)
            audit = self._audit_of(definition)
            found = apply(
                audit, labels_by_row(answers), definition.calibration, ask=ask, wanted=wanted, assume=assume
            )
            if isinstance(found, Refusal):
                return refused_json(definition, found)
            snapshot = self.lake.at(audit.design.snapshot)
            committed = self._decisions.commit(
                definition, audit, snapshot, answers, found, progress or Silent()
            )
            return applied_json(committed)

    def _not_audited(self, definition: Definition) -> dict[str, Any]:
        reason = (
            f"filter {self.name} promises nothing before an audit; label what this asks for: "
            f"lakesift filter next {self.lake.folder.name} {self.name} --purpose audit"
        )
        possible = [option["labels"] for option in self.plan()["options"] if option["labels"] is not None]
        return refused_json(definition, Refusal(reason, None, min(possible, default=None)))

    def applied(self, definition: Definition) -> dict[str, Any]:
        """What `apply` answered for a version that was applied.

        :raises BadRequest: if it was not.
        """
        return applied_json(definition)

    def last_applied(self) -> Definition:
        """The latest version with decisions.

        :raises BadRequest: if there is none.
        """
        return self._decisions.last()

    def decided(self, *decisions: str, version: int | None = None) -> Any:
        """pyarrow.Table: the ledger's rows of these decisions, by row_id.

        :raises BadRequest: if nothing was applied, or a decision is none of keep, ask and drop.
        """
        return self._decisions.table(self._decisions.version(version), decisions)

    def items(self, *decisions: str, version: int | None = None) -> tuple[Items, Handover]:
        """What was decided so, to be handed over with `service.export`; and what is said about it there.

        :raises BadRequest: as `decided` does.
        """
        definition = self._decisions.version(version)
        table = self._decisions.table(definition, decisions)
        handed = Items(self.lake.at(definition.snapshot), table, self.answers())
        return handed, handover_of(applied_json(definition), decisions)

    def export(
        self,
        format: str,
        out: Path | None,
        decisions: Sequence[str] = ("keep",),
        *,
        version: int | None = None,
        chunk: int | None = None,
        root: str | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
        stdout: BinaryIO | None = None,
    ) -> ExportReport:
        """Hand over the images that were decided so; the rest as `service.export.export` has it."""
        items, handover = self.items(*decisions, version=version)
        report = export(
            items,
            handover,
            format,
            out,
            chunk,
            reader_of(Originals()),
            progress,
            count=len(items),
            root=root,
            schema=items.schema,
            overwrite=overwrite,
            stdout=stdout,
        )
        report.skipped.extend(items.missing)
        return report

    def ledger_path(self, version: int | None = None) -> Path:
        """The Parquet file with the decision of every row.

        :raises BadRequest: if nothing was applied, or not this version.
        """
        return self._decisions.path(self._decisions.version(version))

    def samples(
        self, decision: str, count: int = 24, *, order: str = "line", seed: int | None = None
    ) -> dict[str, Any]:
        """Some rows of one decision, with what each is most like: to look at what was kept or dropped.

        :param order: "line": those next to the line, kept or dropped narrowly; "random": each with the same chance.
        :param seed: of that draw, for the same rows again; None: the operating system's randomness.
        :raises BadRequest: if nothing was applied yet, or decision, count, order or seed is out of range.
        """
        definition = self.last_applied()
        audit, snapshot = self._audit_of(definition), self.lake.at(definition.snapshot)
        return self._decisions.samples(definition, audit, snapshot, decision, count, order, seed)

    # -- new images

    def gate(self, *, ask: bool = False) -> Gate:
        """Decides images that are not in the lake, by the latest version that was applied. Nothing is promised of them.

        :param ask: leave images near the line to a person, as `apply` would.
        :raises BadRequest: if nothing was applied yet: without a promise there is no line.
        """
        definition = self.last_applied()
        return self._gates.open(definition, self._audit_of(definition), self._said(), ask=ask)

    def decide(self, images: Sequence[ImageLike], *, ask: bool = False) -> dict[str, Any]:
        """keep, drop or ask of each new image; one that cannot be read has an error instead. See `gate`.

        :param images: paths, encoded bytes, or uint8 RGB arrays (height, width, 3).
        """
        from service.relevance.incoming import (
            decide_images,
        )  # DuckDB and decoders, which nothing else here needs

        gate = self.gate(ask=ask)
        return gate.to_json(decide_images(gate, images, self._embedder()))

    # -- the report

    def report(self, prices: Prices | None = None) -> dict[str, Any]:
        """What came of it: images, promise, labels, money, people, examples. See `service.relevance.reporting`.

        Of the last version that was applied; where none was, of the latest, and why nothing is decided.

        :param prices: None: everything is counted in annotations.
        """
        return facts(self._material(), prices or Prices())

    def report_page(self, prices: Prices | None = None, thumbnail: Thumbnail | None = None) -> bytes:
        """The report as one HTML file of its own, UTF-8, below 2 MB, with pictures, without scripts.

        :param thumbnail: makes the pictures; None: with decoder processes of our own.
        """
        material = self._material()
        found = facts(material, prices or Prices())
        row_ids = list(dict.fromkeys(row["row_id"] for rows in found["examples"].values() for row in rows))
        with nullcontext(thumbnail) if thumbnail else own_thumbnails() as make:
            return document(found, pictures(material.snapshot, row_ids, make))

    def conflicts(self) -> dict[str, Any]:
        """Who agrees with whom, and the rows on which people disagree, with what each of them said."""
        return {"filter": self.name, **agreement(self.answers(), self._snapshots()[0])}

    def _material(self) -> Material:
        latest = self.definition
        applied = [version for version in reversed(self.versions()) if self.at(version).reason == "applied"]
        definition = self.at(applied[0]) if applied else latest
        audit = None if definition.audit is None else self._audit_of(definition)
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
            ledger=self._decisions.whole(definition) if applied else None,
            answers=answers,
            records=self._book.records(),
            newer=latest.version if latest.version > definition.version else None,
        )

    def summary(self) -> dict[str, Any]:
        """One line of a list of filters.

        :raises LakeDamaged: if its labels are gone.
        """
        definition, labels = self.definition, len(self.answers())
        if definition.labels is not None and definition.labels.count and not self._book.path.exists():
            made_with = f"version {definition.version} was made with {definition.labels.count:,} labels"
            raise LakeDamaged(str(self._book.path), f"it is missing, and {made_with}; put it back")
        return {
            "name": self.name,
            "version": definition.version,
            "stage": stage_of(definition, labels),
            "target": definition.to_document()["target"],
            "where": definition.where,
            "snapshot": definition.snapshot,
            "labels": labels,
            "created_at": definition.created_at,
        }


def _check_model(definition: Definition, lake: Lake) -> None:
    """:raises WrongModel: if its scorer cannot be compared with the lake's vectors, as one put into another lake."""
    theirs, ours = definition.model, lake.manifest.fingerprint
    if dict(theirs) == dict(ours):
        return
    expected, found = what_differs(ours, theirs)
    raise WrongModel(
        str(lake.folder),
        expected,
        f"filter {definition.name} of {found}",
        "take it from its own lake with `lakesift filter copy --into`, or make it anew",
    )
