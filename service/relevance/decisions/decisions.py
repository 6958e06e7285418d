"""What one filter decided: the versions that were applied, their ledgers, and their images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.errors import BadRequest, LakeDamaged, UnknownRow, WhereError
from indexer.report import Progress
from service.formats.exporting import ExportReport, export
from service.formats.image_bytes import reader_of
from service.formats.item import Handover
from service.lake import Lake
from service.pictures.originals import Originals
from service.relevance.decisions.answers import (
    AppliedAnswer,
    InForce,
    Order,
    RowSampled,
    SamplesAnswer,
)
from service.relevance.decisions.handover import Items, handover_of
from service.relevance.decisions.ledger import nearest_known
from service.relevance.decisions.one_row import RowDecided, read_row
from service.relevance.decisions.score_counts import BINS, ScoreCounts, count_scores
from service.relevance.decisions.store import FilterStore
from service.relevance.definition import Definition
from service.relevance.labels.book import LabelBook
from service.relevance.promise.applying import decided_by_score
from service.relevance.promise.audit import Audit
from service.relevance.promise.auditing import Auditing
from service.relevance.scoring.scored_rows import rows_to_label
from service.relevance.scoring.scorer import Scored, understood
from service.search.decided import DECISIONS, DecidedBy, Decision
from service.search.ledgers import applied_version, check_ledger, read
from service.search.score_bins import check_bins

ORDERS = ("line", "random", "people")
# of a ledger's columns, what is handed over
HANDED_OVER = ("row_id", "uri", "decision", "score", "probability", "label")


class Decisions:
    """The decisions of one filter of an open lake, as `Filter.decisions`."""

    def __init__(
        self, lake: Lake, store: FilterStore, name: str, book: LabelBook, auditing: Auditing
    ) -> None:
        """:raises UnknownFilter: if there is none of this name."""
        self._lake = lake
        self._store = store
        self._name = name
        self._book = book
        self._auditing = auditing
        self._folder = store.folder(name)
        self._read_whole: set[int] = set()  # versions whose ledger was

    def last(self) -> Definition:
        """The latest version with decisions.

        :raises BadRequest: if there is none.
        """
        return self.version(None)

    def version(self, version: int | None) -> Definition:
        """A version with decisions; None: the latest.

        :raises BadRequest: if there is none, or it was not applied.
        """
        folder = self._store.folder(self._name)
        return self._store.read(self._name, applied_version(folder, version).number)

    def applied(self, version: int | None = None) -> AppliedAnswer:
        """What `apply` answered for a version that was applied; None: the latest.

        :raises BadRequest: if there is none, or it was not applied.
        """
        return AppliedAnswer.of(self.version(version))

    def in_force(self) -> InForce | None:
        """What the version applied last says of the lake as it is now; None: none was applied."""
        try:
            definition = self.last()
        except BadRequest:
            return None
        return InForce.of(definition, self._undecided(definition))

    def _undecided(self, definition: Definition) -> int | None:
        """Live rows that where keeps and the ledger has not; None: they cannot be counted."""
        snapshot = self._lake.snapshot
        if snapshot.number == definition.snapshot:
            return 0
        by = DecidedBy(self._name, DECISIONS, definition.version)
        try:
            where = understood(snapshot, definition.where)
            decided = self._lake.rows_decided(snapshot, by).masks
        # a column that is gone, or a ledger that is damaged, hides no filter in a list
        except (WhereError, LakeDamaged):
            return None
        looked_at = [part.mask(where) for part in snapshot.parts]
        return sum(
            int(np.count_nonzero(~done if mask is None else mask & ~done))
            for mask, done in zip(looked_at, decided, strict=True)
        )

    def ledger_path(self, version: int | None = None) -> Path:
        """The Parquet file with the decision of every row.

        :raises BadRequest: if nothing was applied, or not this version; LakeDamaged: if it is not
            the one that was written then.
        """
        definition = self.version(version)
        return check_ledger(self._folder, definition.version, definition.checks)

    def check(self, definition: Definition) -> None:
        """Of a version's ledger: all of it the first time, then its length and both ends.

        :raises LakeDamaged: if it is not the one that was written with the version.
        """
        version = definition.version
        deep = version not in self._read_whole
        check_ledger(self._folder, version, definition.checks, deep=deep)
        self._read_whole.add(version)

    def ledger(self, definition: Definition, columns: Sequence[str] | None = None) -> Any:
        """pyarrow.Table: all of a version's ledger, by row_id.

        :param columns: those that are needed; None: all.
        :raises LakeDamaged: if it cannot be read.
        """
        return read(self._folder, definition.version, definition.checks, columns)

    def table(self, *decisions: str, version: int | None = None) -> Any:
        """pyarrow.Table: the ledger's rows of these decisions, by row_id.

        :raises BadRequest: if nothing was applied, or a decision is none of keep, ask and drop;
            LakeDamaged: if the ledger cannot be read.
        """
        return self._table(self.version(version), decisions)

    def _table(
        self,
        definition: Definition,
        decisions: Sequence[str],
        columns: Sequence[str] | None = None,
    ) -> Any:
        """:param columns: those that are needed, `decision` among them; None: all."""
        for decision in decisions:
            if decision not in DECISIONS:
                raise BadRequest("decision", f"{decision!r} is none of keep, ask and drop")
        table = self.ledger(definition, columns)
        return table.filter(pc.is_in(table["decision"], pa.array(decisions, pa.string())))

    def items(self, *decisions: str, version: int | None = None) -> tuple[Items, Handover]:
        """What was decided so, to be handed over with `service.formats`;
        and what is said about it there.

        :raises BadRequest: as `table` does.
        """
        definition = self.version(version)
        table = self._table(definition, decisions, HANDED_OVER)
        decided, newest = self._lake.at(definition.snapshot), self._lake.snapshot
        handed = Items(decided, table, self._book.answers(), newest)
        return handed, handover_of(AppliedAnswer.of(definition), decisions)

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
        raw_cells: bool = False,
        progress: Progress | None = None,
        stdout: BinaryIO | None = None,
        extract: Path | None = None,
    ) -> ExportReport:
        """Hand over the images that were decided so;
        the rest as `service.formats.export` has it.
        """
        items, handover = self.items(*decisions, version=version)
        report = export(
            items,
            handover,
            format,
            out,
            chunk,
            reader_of(Originals(), items.reach),
            progress,
            count=len(items),
            root=root,
            schema=items.schema,
            overwrite=overwrite,
            raw_cells=raw_cells,
            stdout=stdout,
            extract=extract,
            tags=items.last_act,
        )
        report.skipped.extend(items.missing)
        return report

    def row(self, row_id: int, version: int | None = None) -> RowDecided:
        """What was decided of one image, and what people say of it now.

        Of an image that is gone since, too, as long as the ledger has it.

        :param version: that decided it; None: the one that was applied last, if any was.
        :raises UnknownRow: if neither the lake nor the ledger has it; BadRequest: if this version
            was not applied; LakeDamaged: if the ledger cannot be read.
        """
        number, decided = None, None
        try:
            definition = self.version(version)
        except BadRequest:
            if version is not None:
                raise
        else:
            self.check(definition)
            number = definition.version
            decided = read_row(self._folder, number, row_id)
        if decided is None and self._lake.snapshot.find(row_id) is None:
            raise UnknownRow(self._lake.folder.name, row_id)
        answer = self._book.answers().get(row_id)
        return RowDecided.of(self._name, number, row_id, decided, answer)

    def samples(
        self,
        decision: str,
        count: int = 24,
        *,
        order: str = "line",
        seed: int | None = None,
        offset: int = 0,
    ) -> SamplesAnswer:
        """Some rows of one decision, with what each is most like:
        to look at what was kept or dropped. Rows of damaged segments are left out.

        :param order: "line": of those that their score decided, the next to the line, kept or
            dropped narrowly; "random": of all, each with the same chance; "people": of those that
            people's own answers decided, the ones that their score speaks against most.
        :param seed: of that draw, for the same rows again; None: the operating system's randomness.
        :param offset: rows of that order to pass over, to see the next ones.
        :raises BadRequest: if nothing was applied yet, or decision, count, order, seed or offset is
            out of range.
        """
        definition = self.last()
        audit, snapshot = self._auditing.of(definition), self._lake.at(definition.snapshot)
        if order not in ORDERS:
            raise BadRequest("order", f"{order!r} is none of line, random and people")
        if count < 1:
            raise BadRequest("n", f"{count} is not a number of images; it must be at least 1")
        if seed is not None and seed < 0:
            raise BadRequest("seed", f"{seed} is below 0")
        if offset < 0:
            raise BadRequest("offset", f"{offset} is below 0")
        table = self._table(definition, [decision])
        # People's own answers stand wherever they score: they are near no line.
        decisions, is_by_score = self._by_score(definition, audit)
        by_score = np.flatnonzero(is_by_score[decisions == decision])
        if order == "random":
            places = np.random.default_rng(seed).permutation(table.num_rows)
        else:
            everywhere = np.arange(table.num_rows)
            among = by_score if order == "line" else np.setdiff1d(everywhere, by_score)
            scores = np.asarray(table["score"])[among]
            places = among[np.argsort(scores if decision == "keep" else -scores, kind="stable")]
        places = places[offset : offset + count]
        chosen = {row["row_id"]: row for row in table.take(places).to_pylist()}
        scored = Scored(audit.row_ids, audit.scores)
        return SamplesAnswer(
            filter=definition.name,
            version=definition.version,
            decision=cast(Decision, decision),
            order=cast(Order, order),
            of=table.num_rows,
            by_people=table.num_rows - len(by_score),
            rows=tuple(
                RowSampled(
                    row_id=row.row_id,
                    uri=row.uri,
                    width_px=row.width_px,
                    height_px=row.height_px,
                    score=round(chosen[row.row_id]["score"], 6),
                    probability=row.probability,
                    columns=row.columns,
                    label=chosen[row.row_id]["label"],
                    nearest_yes=nearest_known(chosen[row.row_id], "yes"),
                    nearest_no=nearest_known(chosen[row.row_id], "no"),
                )
                for row in rows_to_label(snapshot, list(chosen), scored, definition.calibration)
            ),
        )

    def scores(self, bins: int = BINS) -> ScoreCounts:
        """How the scores of all images lie that the version applied last decided, and its line.

        :param bins: at most so many, 4 to 1,000.
        :raises BadRequest: if nothing was applied yet, or bins is out of range.
        """
        check_bins(bins)
        definition = self.last()
        audit = self._auditing.of(definition)
        return count_scores(definition, audit.scores, *self._by_score(definition, audit), bins)

    def _by_score(
        self, definition: Definition, audit: Audit
    ) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
        """(n,) each: the ledger's decisions, and whether the score made them."""
        ledger = self.ledger(definition, ["label", "decision"])
        said = pc.is_in(ledger["label"], pa.array(["yes", "no"]))
        decisions = np.asarray(ledger["decision"], object)
        return decisions, decided_by_score(audit, ~np.asarray(said, bool))
