"""The filters of an open lake: make one, teach it, audit it, apply it. What the command and the service call.

Every answer is JSON values, the same in Python, on the command line and over HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from indexer.embed import Embedder, Vectors
from indexer.errors import BadRequest, LakeDamaged, UnknownRow, UnreadableImage
from indexer.layout import Layout
from indexer.report import Progress
from service.export import ExportReport, Handover, export
from service.export.incoming import read_labels
from service.export.reading import reader_of
from service.hits import row_json
from service.lake import Lake
from service.originals import Originals
from service.query import ImageLike, Query, query_vector
from service.relevance import audit as audits
from service.relevance import ledger, plan
from service.relevance.applying import (
    DECISIONS,
    Applied,
    Refusal,
    Standing,
    apply,
    forecast,
    overruled,
    stand,
)
from service.relevance.audit import Audit
from service.relevance.calibration import Calibration
from service.relevance.definition import Definition, ExampleImage, Examples, Target
from service.relevance.fitting import draft, fit
from service.relevance.gate import Gate, Gates
from service.relevance.handover import Items, handover_of
from service.relevance.label_files import read_label_file
from service.relevance.label_imports import labels_of
from service.relevance.labels import UNNAMED, Answer, LabelBook, NewLabel, labels_used
from service.relevance.listing import check_filter_model, listing
from service.relevance.promise import Known, chains, delta_of
from service.relevance.reporting.costs import Prices
from service.relevance.reporting.document import document
from service.relevance.reporting.facts import facts
from service.relevance.reporting.material import Material
from service.relevance.reporting.people import agreement
from service.relevance.reporting.pictures import Thumbnail, own_thumbnails, pictures
from service.relevance.retarget import retargeted
from service.relevance.scorer import Scored, Scorer, score_rows, vectors_of
from service.relevance.store import FilterStore, diff
from service.relevance.tail import TAIL, check_assumption, spared_by_plan
from service.relevance.teaching import propose
from service.snapshot import Part, Snapshot

PURPOSES = ("teach", "audit")
ASKED_AHEAD = 1_000  # rows that may have been asked for beyond the first that is not answered


@dataclass(frozen=True, slots=True)
class Taught:
    """A scorer as the labels make it."""

    scorer: Scorer
    calibration: Calibration | None
    facts: Mapping[str, Any]


class Filters:
    """The filters of one lake."""

    def __init__(self, lake: Lake, embedder: Callable[[], Embedder] | None = None) -> None:
        """:param embedder: gives the lake's model, where it is not the lake itself that loads it."""
        self.lake = lake
        self.store = FilterStore(Layout(lake.folder))
        self._embedder = embedder or (lambda: lake.embedder)

    def names(self) -> list[str]:
        return self.store.names()

    def create(
        self,
        name: str,
        *,
        keep_texts: Sequence[str] = (),
        keep_images: Sequence[str | Path | ExampleImage] = (),
        keep_rows: Sequence[int] = (),
        drop_texts: Sequence[str] = (),
        drop_images: Sequence[str | Path | ExampleImage] = (),
        drop_rows: Sequence[int] = (),
        where: str | None = None,
        target: Target | None = None,
    ) -> Filter:
        """Make a draft: it scores, and promises nothing yet.

        :param keep_images, drop_images: files, or what was made of them.
        :raises BadRequest: if nothing is wanted, a row is unknown, or the name is taken or not fit for a folder.
        :raises WhereError: if where is not understood; UnreadableImage: if an example cannot be read.
        """
        snapshot = self.lake.snapshot
        keep = self._examples(snapshot, keep_texts, keep_images, keep_rows)
        drop = self._examples(snapshot, drop_texts, drop_images, drop_rows)
        scorer = draft(
            keep.texts,
            drop.texts,
            _shown(snapshot, keep),
            _shown(snapshot, drop),
            self._embedder,
        )
        definition = Definition(
            name=name,
            version=1,
            created_at=_now(),
            parent=None,
            reason="created",
            keep=keep,
            drop=drop,
            where=where,
            target=target or Target(),
            model=dict(snapshot.manifest.fingerprint),
            snapshot=snapshot.number,
            scorer=scorer,
        )
        if not len(score_rows(snapshot, scorer, where)):
            raise BadRequest("where", "no image of the lake is left by it")
        self.store.add(definition)
        return self.open(name)

    def _examples(
        self,
        snapshot: Snapshot,
        texts: Sequence[str],
        images: Sequence[str | Path | ExampleImage],
        rows: Sequence[int],
    ) -> Examples:
        shown = tuple(
            image if isinstance(image, ExampleImage) else self._example(snapshot, Path(image))
            for image in images
        )
        return Examples(tuple(texts), tuple(rows), shown)

    def _example(self, snapshot: Snapshot, path: Path) -> ExampleImage:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UnreadableImage(str(path), error.strerror or str(error)) from None
        vector = query_vector(snapshot, Query.of(image=path), self._embedder)
        return ExampleImage(path.name, hashlib.sha256(data).hexdigest(), tuple(vector.tolist()))

    def open(self, name: str) -> Filter:
        """:raises UnknownFilter: if there is none of this name."""
        self.store.folder(name)
        return Filter(self.lake, self.store, name, self._embedder)

    def copy(self, name: str, new_name: str, *, labels: bool = False) -> Filter:
        """A filter of its own, like another's latest version. See `FilterStore.copy`."""
        self.store.copy(name, new_name, labels=labels)
        return self.open(new_name)

    def delete(self, name: str) -> Path:
        """Take it out of service; where it lies now. See `FilterStore.delete`."""
        return self.store.delete(name)

    def to_json(self) -> dict[str, Any]:
        """All filters, a line each; and what is wrong with those of which there is none. See `listing`."""
        return listing(self)


def _shown(snapshot: Snapshot, examples: Examples) -> Vectors:
    """float32, (n, dim): the vectors of example rows and images."""
    rows = vectors_of(snapshot, examples.row_ids)
    images = np.array([image.vector for image in examples.images], np.float32)
    return np.concatenate([rows, images.reshape(-1, rows.shape[1])])


class Filter:
    """One filter of an open lake."""

    def __init__(
        self, lake: Lake, store: FilterStore, name: str, embedder: Callable[[], Embedder] | None = None
    ) -> None:
        self.lake = lake
        self.name = name
        self._embedder = embedder or (lambda: lake.embedder)
        self._gates = Gates(lake)
        self._store = store
        self._folder = store.folder(name)
        self._book: LabelBook = store.labels(name)
        self._audit: Audit | None = None

    @property
    def definition(self) -> Definition:
        """The latest version."""
        return self.at(None)

    def at(self, version: int | None) -> Definition:
        """:raises BadRequest: if there is no such version; WrongModel: if it is of another model than the lake's."""
        definition = self._store.read(self.name, version)
        check_filter_model(definition, self.lake)
        return definition

    def versions(self) -> list[int]:
        return self._store.versions(self.name)

    def diff(self, before: int, after: int) -> list[tuple[str, Any, Any]]:
        """What changed from one version to another: field, before, after."""
        return diff(self.at(before), self.at(after))

    def answers(self) -> dict[int, Answer]:
        return self._book.answers()

    def _said(self) -> dict[int, str]:
        return {row_id: answer.label for row_id, answer in self._book.answers().items()}

    # -- teaching

    def taught(self, snapshot: Snapshot | None = None) -> Taught:
        """The best scorer that the labels allow, of all kinds; the draft where there are too few."""
        snapshot = snapshot or self.lake.snapshot
        definition = self.at(1)  # whose scorer is the draft
        known = {
            row_id: label == "yes" for row_id, label in sorted(self._said().items()) if label in ("yes", "no")
        }
        here = [row_id for row_id in known if snapshot.find(row_id)]  # a row may have gone since
        if not here:
            return Taught(definition.scorer, None, {})
        labels = np.array([known[row_id] for row_id in here])
        fitted = fit(vectors_of(snapshot, here), labels, definition.scorer, snapshot.background)
        return Taught(fitted.scorer, fitted.calibration, fitted.facts)

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
        standing = self._stand(audit, definition)
        pending = audit.pending(self._said(), count) if standing.asks_on else []
        return self._next(definition, purpose, self.lake.at(audit.design.snapshot), pending)

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
        scored: Scored | None = None,
        calibration: Calibration | None = None,
    ) -> dict[str, Any]:
        if scored is None:
            audit = self._audit_of(definition)
            scored, calibration = Scored(audit.row_ids, audit.scores), definition.calibration
        return {
            "filter": self.name,
            "version": definition.version,
            "purpose": purpose,
            "rows": _rows(snapshot, row_ids, scored, calibration),
            "progress": self.progress(),
        }

    # -- labels

    def label(self, labels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Save answers, each {"row_id" or "uri", "label": yes/no/skip, "labeller"?}; those of no use are told."""
        new, problems = [], []
        asked, has_row = self._asked(), self._has_row()
        rows = self._rows_by_uri() if any(entry.get("row_id") is None for entry in labels) else {}
        for index, entry in enumerate(labels):
            try:
                new.append(self._new_label(entry, rows, has_row, asked))
            except (BadRequest, UnknownRow) as error:
                problems.append({"index": index, "message": str(error)})
        return self._save(new, problems)

    def label_file(self, path: str | Path, labeller: str = UNNAMED) -> dict[str, Any]:
        """Save the answers of a CSV file: columns uri or row_id, label, and labeller where there are several."""
        found, problems = read_label_file(
            path,
            self._rows_by_uri().get,
            self._has_row(),
            labeller=labeller,
        )
        told = [{"line": line, "message": message} for line, message in problems]
        return self._save(self._as_asked(found), told)

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
        incoming = read_labels(Path(path), format, yes=yes, empty_is_no=empty_is_no, root=root)
        found, problems = labels_of(incoming.labels, self._rows_by_uri().get, self._has_row(), labeller)
        told = [{"about": about, "message": message} for about, message in [*incoming.problems, *problems]]
        return {**self._save(self._as_asked(found), told), "unanswered": incoming.unanswered}

    def _as_asked(self, labels: Sequence[NewLabel]) -> list[NewLabel]:
        asked = self._asked()
        return [replace(label, purpose=asked(label.row_id)) for label in labels]

    def _new_label(
        self,
        entry: Mapping[str, Any],
        rows: Mapping[str, int],
        has_row: Callable[[int], bool],
        asked: Callable[[int], str],
    ) -> NewLabel:
        row_id = entry.get("row_id")
        if row_id is None:
            uri = entry.get("uri")
            row_id = None if uri is None else rows.get(str(uri))
            if row_id is None:
                raise BadRequest("uri", f"the lake has no image {uri}" if uri else "name a row_id or a uri")
        elif not isinstance(row_id, int) or not has_row(row_id):
            raise UnknownRow(self.lake.folder.name, row_id)
        label, labeller = str(entry.get("label")), str(entry.get("labeller") or UNNAMED)
        return NewLabel(row_id, label, labeller, asked(row_id))

    def _asked(self) -> Callable[[int], str]:
        """Tells of a row whether the audit in force has asked for it; what a person picked teaches."""
        definition = self.definition
        if definition.audit is None:
            return lambda row_id: "teach"
        audit = self._audit_of(definition)
        answered = len(audit.prefix(self._said()))
        drawn = set(audit.draws(answered + ASKED_AHEAD)[1].tolist())
        return lambda row_id: "audit" if row_id in drawn else "picked"

    def _save(self, new: Sequence[NewLabel], problems: list[dict[str, Any]]) -> dict[str, Any]:
        return {"saved": len(self._book.add(new)), "problems": problems, "progress": self.progress()}

    def _snapshots(self) -> list[Snapshot]:
        """Whose rows may be labelled: the audit's, where one was begun, whatever has gone since; and the current."""
        definition = self.definition
        audited = [] if definition.audit is None else [self.lake.at(definition.snapshot)]
        return [*audited, self.lake.snapshot]

    def _has_row(self) -> Callable[[int], bool]:
        snapshots = self._snapshots()
        return lambda row_id: any(snapshot.find(row_id) is not None for snapshot in snapshots)

    def _rows_by_uri(self) -> dict[str, int]:
        rows: dict[str, int] = {}
        for snapshot in self._snapshots():
            for part in snapshot.parts:
                table = _live(part, ["row_id", "uri"])
                rows.update(zip(table["uri"].to_pylist(), table["row_id"].to_pylist(), strict=True))
        return rows

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
            taught, said = self.taught(snapshot), self._said()
            scored = score_rows(snapshot, taught.scorer, before.where)
            folder = self._folder / "audits"
            fresh = audits.begin(number, snapshot.number, before.target, scored, said)
            audit = planned(fresh, taught.calibration, said, budget, assume)
            audit.save(folder)
            definition = replace(
                before,
                version=before.version + 1,
                created_at=_now(),
                parent=before.version,
                reason=f"audit {number} begun",
                snapshot=snapshot.number,
                scorer=taught.scorer,
                calibration=taught.calibration,
                audit=number,
                thresholds=None,
                labels=labels_used(self.answers()),
                measured=dict(taught.facts) or None,
            )
            self._store.add(definition)
            return definition

    def _audit_of(self, definition: Definition) -> Audit:
        number = definition.audit or 0
        audit = self._audit  # once: another thread may put another version's in its place
        if audit is None or audit.design.number != number:
            audit = self._audit = Audit.load(self._folder / "audits", number)
        return audit

    def standing(self) -> Standing | None:
        """Where the audit in force stands; None before one was begun."""
        definition = self.definition
        if definition.audit is None:
            return None
        return self._stand(self._audit_of(definition), definition)

    def _stand(self, audit: Audit, definition: Definition) -> Standing:
        """With what the audit was planned to assume."""
        return stand(audit, self._said(), definition.calibration, assume=audit.design.assume)

    def progress(self) -> dict[str, Any]:
        """Counts of labels, and how far the audit is."""
        definition, answers = self.definition, self.answers()
        labels = [answer.label for answer in answers.values()]
        standing = self.standing()
        audit = None
        if standing is not None:
            audit = {**audits.facts(standing.audit, self._said()), **standing.facts()}
        return {
            "labels": len(labels),
            "yes": labels.count("yes"),
            "no": labels.count("no"),
            "skipped": labels.count("skip"),
            "conflicts": labels.count("conflict"),
            "purpose": "teach" if audit is None else "audit",
            "audit": audit,
            "stage": _stage(definition, len(labels)),
        }

    def plan(self) -> dict[str, Any]:
        """The arithmetic, before anybody labels: what each cut would drop, and about how many audit labels it takes."""
        snapshot, definition = self.lake.snapshot, self.definition
        taught, said = self.taught(snapshot), self._said()
        scored = score_rows(snapshot, taught.scorer, definition.where)
        audit = audits.begin(1, snapshot.number, definition.target, scored, said)
        rates = forecast(audit, taught.calibration)
        delta = delta_of(definition.target.confidence, self._store.audits_begun(self.name) + 1)
        wanted = chains(definition.target, audit.sizes, audit.known(said), delta)
        found = plan.options(audit.sizes, rates, wanted[0]) if wanted else []
        left = int(audit.sizes.sum())
        return {
            "rows": len(scored),
            "relevant": round(float(audit.sizes @ rates) + audit.known(said).yes),
            "options": [
                {
                    "dropped": option.dropped,
                    "kept": option.kept,
                    "recall": round(option.recall, 4),
                    # Who labels all that is left knows all: no line takes more.
                    "labels": None if option.labels == np.inf else min(round(option.labels), left),
                }
                for option in found
            ],
        }

    # -- applying

    def apply(
        self,
        *,
        ask: bool = False,
        recall: float | None = None,
        confidence: float | None = None,
        assume: str | None = None,
    ) -> dict[str, Any]:
        """Decide every row, with the promise; or refuse, and say what is missing. A refusal changes nothing.

        :param ask: leave rows between keep and drop to a person.
        :param recall: promised instead of the filter's, where the audit is valid for it: not above it.
        :param confidence: likewise, any. See `retarget.py` for what it then means.
        :param assume: "tail": below a line the log-odds of relevance go on falling; see `tail.py`. None: nothing.
        :raises BadRequest: if the audit is not valid for that.
        """
        with self._store.lock(self.name):
            definition, said = self.definition, self._said()
            wanted = retargeted(definition.target, recall, confidence)
            check_assumption(assume, wanted)
            if definition.audit is None:
                return self._not_audited(definition)
            audit = self._audit_of(definition)
            found = apply(audit, said, definition.calibration, ask=ask, wanted=wanted, assume=assume)
            if isinstance(found, Refusal):
                return self._refused(definition, found)
            return self._commit(definition, audit, said, found)

    def _not_audited(self, definition: Definition) -> dict[str, Any]:
        reason = (
            f"filter {self.name} promises nothing before an audit; label what this asks for: "
            f"lakesift filter next {self.lake.folder.name} {self.name} --purpose audit"
        )
        possible = [option["labels"] for option in self.plan()["options"] if option["labels"] is not None]
        return self._refused(definition, Refusal(reason, None, min(possible, default=None)))

    def _refused(self, definition: Definition, refusal: Refusal) -> dict[str, Any]:
        return {
            "refused": True,
            "reason": refusal.reason,
            "can_promise": refusal.can_promise,
            "labels_missing": refusal.labels_missing,
            "filter": self.name,
            "version": definition.version,
        }

    def _commit(
        self, before: Definition, audit: Audit, said: Mapping[int, str], found: Applied
    ) -> dict[str, Any]:
        decisions = overruled(audit, found.decisions, said)
        counts = np.bincount(decisions, minlength=3).tolist()
        measured = {**found.measured, "rows": len(decisions)}
        measured |= dict(zip(("kept", "asked", "dropped"), counts, strict=True))
        definition = replace(
            before,
            version=before.version + 1,
            created_at=_now(),
            parent=before.version,
            reason="applied",
            thresholds=found.thresholds,
            labels=labels_used(self.answers()),
            measured=measured,
        )
        snapshot = self.lake.at(audit.design.snapshot)
        uris, paths = _places(snapshot, audit)
        labels = [said.get(row_id) for row_id in audit.row_ids.tolist()]
        ledger.write(
            self._folder / "ledger",
            definition.version,
            audit,
            uris,
            paths,
            decisions,
            labels,
            before.calibration,
        )
        self._store.add(definition)
        return self.applied(definition)

    def applied(self, definition: Definition) -> dict[str, Any]:
        """What `apply` answered for a version that was applied."""
        measured, thresholds = definition.measured or {}, definition.thresholds
        if thresholds is None:
            raise BadRequest("version", f"{self.name} version {definition.version} was not applied")
        return {
            "refused": False,
            "filter": self.name,
            "version": definition.version,
            "snapshot": definition.snapshot,
            **{name: measured[name] for name in ("rows", "kept", "asked", "dropped")},
            "thresholds": {"keep": thresholds.keep, "drop": thresholds.drop},
            "promise": {
                "recall": measured["recall"]["at_least"],
                "precision": measured["precision"]["at_least"],
                "confidence": measured["confidence"],
                "assumption": measured["assumption"]["name"] if measured.get("assumption") else None,
            },
            "measured": measured,
            "labels": None
            if definition.labels is None
            else {"count": definition.labels.count, "yes": definition.labels.yes, "no": definition.labels.no},
        }

    def last_applied(self) -> Definition:
        """The latest version with decisions.

        :raises BadRequest: if there is none.
        """
        for version in reversed(self.versions()):
            definition = self.at(version)
            if definition.thresholds is not None and definition.reason == "applied":
                return definition
        raise BadRequest(
            "filter", f"{self.name} was not applied yet, so nothing is decided; see: lakesift filter apply"
        )

    def decided(self, *decisions: str, version: int | None = None) -> Any:
        """pyarrow.Table: the ledger's rows of these decisions, by row_id.

        :raises BadRequest: if nothing was applied, or a decision is none of keep, ask and drop.
        """
        for decision in decisions:
            if decision not in DECISIONS:
                raise BadRequest("decision", f"{decision!r} is none of keep, ask and drop")
        definition = self.last_applied() if version is None else self.at(version)
        self.applied(definition)
        table = ledger.read(self._folder / "ledger", definition.version)
        return table.filter(np.asarray([value in decisions for value in table["decision"].to_pylist()], bool))

    def items(self, *decisions: str, version: int | None = None) -> tuple[Items, Handover]:
        """What was decided so, to be handed over with `service.export`; and what is said about it there.

        :raises BadRequest: as `decided` does.
        """
        definition = self.last_applied() if version is None else self.at(version)
        table = self.decided(*decisions, version=definition.version)
        handed = Items(self.lake.at(definition.snapshot), table, self.answers())
        return handed, handover_of(self.applied(definition), decisions)

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
        definition = self.last_applied() if version is None else self.at(version)
        self.applied(definition)
        return ledger.path_of(self._folder / "ledger", definition.version)

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

    def samples(self, decision: str, count: int = 24) -> dict[str, Any]:
        """Rows of one decision next to the line: what was kept or dropped narrowly."""
        table = self.decided(decision)
        scores = np.asarray(table["score"])
        nearest = np.argsort(scores if decision == "keep" else -scores, kind="stable")[:count]
        definition = self.last_applied()
        chosen = table.take(nearest)
        scored = self._audit_of(definition)
        rows = _rows(
            self.lake.at(definition.snapshot),
            chosen["row_id"].to_pylist(),
            Scored(scored.row_ids, scored.scores),
            definition.calibration,
        )
        for row, label in zip(rows, chosen["label"].to_pylist(), strict=True):
            row["label"] = label
        return {"decision": decision, "rows": rows}

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
            stage=_stage(definition, len(answers)),
            snapshot=snapshot,
            scored=scored,
            audit=audit,
            ledger=ledger.read(self._folder / "ledger", definition.version) if applied else None,
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
            "stage": _stage(definition, labels),
            "target": definition.to_document()["target"],
            "where": definition.where,
            "snapshot": definition.snapshot,
            "labels": labels,
            "created_at": definition.created_at,
        }


def planned(
    audit: Audit,
    calibration: Calibration | None,
    said: Mapping[int, str],
    budget: int | None = None,
    assume: str | None = None,
) -> Audit:
    """The audit with its draws shared out for its target, for what will be assumed, and for the labels to be spent."""
    target = audit.design.target
    known: Known = audit.known(said)
    delta = delta_of(target.confidence, audit.design.number)
    spared = spared_by_plan(audit, calibration) if assume == TAIL else None
    wanted = chains(target, audit.sizes, known, delta, spared)
    if not wanted:
        return audit
    shares, option = plan.shares_of(audit.sizes, forecast(audit, calibration), wanted, budget, spared)
    labels = None if option is None else int(np.ceil(option.labels))
    return audits.with_plan(audit, shares, None if option is None else option.cut, labels, budget, assume)


def _stage(definition: Definition, labels: int) -> str:
    if definition.reason == "applied":
        return "applied"
    if definition.audit is not None:
        return "audit"
    return "teach" if labels else "draft"


def _rows(
    snapshot: Snapshot, row_ids: Sequence[int], scored: Scored, calibration: Calibration | None
) -> list[dict[str, Any]]:
    """The rows as JSON values, in their order, with their scores; rows that are gone are left out."""
    places = [(row_id, snapshot.find(row_id)) for row_id in row_ids]
    found = []
    for row_id, place in places:
        if place is None:
            continue
        row = row_json(place[0].take(np.array([place[1]]))[0])
        at = int(np.searchsorted(scored.row_ids, row_id))
        score = scored.scores[at : at + 1]
        probability = None if calibration is None else float(calibration.probability(score)[0])
        found.append(
            {
                **{name: row.pop(name) for name in ("row_id", "uri", "width_px", "height_px")},
                "score": round(float(score[0]), 6),
                "probability": None if probability is None else round(probability, 4),
                **row,
            }
        )
    return found


def _live(part: Part, names: Sequence[str]) -> Any:
    """pyarrow.Table: some columns of the part's live rows."""
    table, alive = part.columns(names), part.alive
    return table if alive is None else table.filter(alive)


def _places(snapshot: Snapshot, audit: Audit) -> tuple[list[str], list[bytes | None]]:
    """The uri of each row of the audit, in its order, and the path's bytes where the uri cannot hold them."""
    found: dict[int, tuple[str, bytes | None]] = {}
    for part in snapshot.parts:
        table = _live(part, ["row_id", "uri", "path_bytes"])
        columns = [table[name].to_pylist() for name in ("row_id", "uri", "path_bytes")]
        found.update((row_id, (uri, path)) for row_id, uri, path in zip(*columns, strict=True))
    places = [found.get(row_id, ("", None)) for row_id in audit.row_ids.tolist()]
    return [uri for uri, _ in places], [path for _, path in places]


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
