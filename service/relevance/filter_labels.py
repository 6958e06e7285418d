"""What people say of one filter's rows: saved, taken back, compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from indexer.errors import LakeError
from service.lake import Lake
from service.relevance.answers import (
    ConflictsAnswer,
    LabelAnswer,
    LabelExportAnswer,
    LabelFileAnswer,
    RestoreAnswer,
    TeamAnswer,
    UndoAnswer,
    Undone,
)
from service.relevance.decisions.decisions import Decisions
from service.relevance.decisions.versions import Versions
from service.relevance.labels.book import UNNAMED, Answer, LabelBook, labels_by_row
from service.relevance.labels.labelling import Labelling
from service.relevance.labels.spent import labels_spent
from service.relevance.promise.auditing import Auditing
from service.relevance.promise.progress import Progress
from service.relevance.reporting.people import agreement
from service.snapshot.snapshot import Snapshot


class Labels:
    """The labels of one filter of an open lake, as `Filter.labels`."""

    def __init__(
        self,
        lake: Lake,
        name: str,
        versions: Versions,
        book: LabelBook,
        auditing: Auditing,
        decisions: Decisions,
    ) -> None:
        self.book = book
        self._lake = lake
        self._name = name
        self._versions = versions
        self._auditing = auditing
        self._decisions = decisions

    def answers(self) -> dict[int, Answer]:
        """Every labelled row's current answer, by row_id. See `LabelBook.answers`."""
        return self.book.answers()

    def said(self) -> dict[int, str]:
        """row_id -> yes, no, skip or conflict."""
        return labels_by_row(self.book.answers())

    def answered_at(self) -> Callable[[int], int]:
        """Tells of a row when it was last answered: numbers that rise."""
        at = {row_id: answer.seq for row_id, answer in self.book.answers().items()}
        return lambda row_id: at.get(row_id, 0)

    def progress(self) -> Progress:
        """Counts of labels, and how far the audit is."""
        return self._auditing.progress(self._versions.latest, self.said())

    def save(
        self,
        labels: Sequence[Mapping[str, Any]],
        *,
        only_open: bool = False,
        settle: bool = False,
    ) -> LabelAnswer:
        """Save answers, each {"row_id" or "uri", "label":
        yes/no/skip, "labeller"?}; those of no use are told.

        :param only_open: pass over rows that another labeller has answered meanwhile, and tell
            which.
        :param settle: each decides a row on which people disagree. It counts, in an audit too,
            until it is taken back (`undo`), and says nothing of how far people agree.
        :raises BadRequest: if both are said.
        """
        seqs, problems, passed = self._labelling().save(labels, only_open=only_open, settle=settle)
        self._catch_up()
        return LabelAnswer(len(seqs), seqs, problems, passed, self.progress())

    def none_of(self, row_ids: Sequence[int], labeller: str = UNNAMED) -> LabelAnswer:
        """Say that nothing relevant is to be seen in the scenes of these rows: a no for each row of
        theirs that has none, where the audit in force draws scenes and has drawn these.

        :raises BadRequest: if it has not, or a scene has a yes; then nothing is saved.
        """
        found = self._auditing.none_of(self._versions.latest, self.said(), row_ids)
        rows = dict.fromkeys(row for rows in found.values() for row in rows)
        return self.save([{"row_id": row, "label": "no", "labeller": labeller} for row in rows])

    def save_file(
        self,
        path: str | Path,
        labeller: str = UNNAMED,
        format: str = "csv",
        root: str | None = None,
    ) -> LabelFileAnswer:
        """Save the answers of a table that a person filled in: columns uri or row_id, label, and
        labeller where there are several; root as `read_labels` has it.
        """
        saved, problems = self._labelling().save_file(path, labeller, format, root)
        self._catch_up()
        return LabelFileAnswer(saved, problems, self.progress())

    def save_export(
        self,
        path: str | Path,
        format: str,
        labeller: str = UNNAMED,
        *,
        yes: Sequence[str] = (),
        empty_is_no: bool = False,
        root: str | None = None,
    ) -> LabelExportAnswer:
        """Save the answers of an annotation tool's file;
        format, yes, empty_is_no and root as `read_labels` has them.

        :raises BadRequest: if the file cannot be read, or is not of this format.
        """
        saved, problems, unanswered = self._labelling().save_export(
            Path(path), format, labeller, yes=yes, empty_is_no=empty_is_no, root=root
        )
        self._catch_up()
        return LabelExportAnswer(saved, problems, unanswered, self.progress())

    def _catch_up(self) -> None:
        """What was just said may settle how an audit goes on."""
        # The answers are saved. Whoever asks for more rows, or applies, is told what is the matter.
        with suppress(LakeError):
            self._auditing.catch_up(self._versions.latest, self.said())

    def restore(self, rows: Sequence[int | str], labeller: str = UNNAMED) -> RestoreAnswer:
        """Bring back rows that were dropped:
        a person's yes for each, so that the next `apply` keeps it.

        A spelling of `save` that takes nothing but what the version applied last has dropped. It is
        recorded and taken back (`undo`) like any answer; where somebody else says no it is a
        conflict, which is told. The promise stays as it is: this counts as an audit's answer only
        where the audit in force has drawn the row, and else decides its own row alone. The ledger
        stays as it was.

        :param rows: row_ids, or uris.
        :raises BadRequest: if nothing was applied yet.
        """
        definition = self._decisions.last()
        table = self._decisions.ledger(definition, ["row_id", "decision"])
        decisions = dict(
            zip(table["row_id"].to_pylist(), table["decision"].to_pylist(), strict=True)
        )
        saved, problems, restored = self._labelling().restore(
            rows, labeller, decisions, definition.version
        )
        return RestoreAnswer(saved, problems, restored, definition.version, self.progress())

    def undo(self, row_id: int | None = None, labeller: str | None = None) -> UndoAnswer:
        """Take back the last answer: of a row, by a labeller, or at all."""
        record = self.book.undo(row_id, labeller)
        undone = None if record is None else Undone.of(record)
        return UndoAnswer(undone, () if undone is None else (undone,), self.progress())

    def undo_all(self, row_ids: Sequence[int], labeller: str = UNNAMED) -> UndoAnswer:
        """Take back a labeller's last answer of each of these rows, all of them at once."""
        rows = tuple(Undone.of(record) for record in self.book.undo_all(row_ids, labeller))
        return UndoAnswer(rows[-1] if rows else None, rows, self.progress())

    def undo_answers(self, seqs: Sequence[int], labeller: str | None = None) -> UndoAnswer:
        """Take back exactly these answers, all or none: of two who say no name, neither takes back
        what the other said.

        :param seqs: their numbers, as `save` gave them.
        :param labeller: whose they have to be; None: anybody's.
        :raises CannotUndo: if one was taken back, or its row was answered again by the same person.
        """
        rows = tuple(Undone.of(record) for record in self.book.undo_answers(seqs, labeller))
        return UndoAnswer(rows[-1], rows, self.progress())

    def undo_act(self, labeller: str | None = None) -> UndoAnswer:
        """Take back all that was answered at once with the last answer, of a labeller or at all."""
        rows = tuple(Undone.of(record) for record in self.book.undo_act(labeller))
        return UndoAnswer(rows[-1] if rows else None, rows, self.progress())

    def conflicts(self) -> ConflictsAnswer:
        """Who agrees with whom, and the rows on which people disagree,
        with what each of them said.
        """
        return ConflictsAnswer(self._name, agreement(self.answers(), self._snapshots()[0]))

    def team(self) -> TeamAnswer:
        """Who did how much, how far people agree, and what they disagree on, settled or not."""
        found = agreement(self.answers(), self._snapshots()[0])
        return TeamAnswer(self._name, labels_spent(self.book.records()), found)

    def _labelling(self) -> Labelling:
        purpose_of = self._auditing.purpose_of(self._versions.latest, self.said())
        return Labelling(self.book, self._lake.folder.name, self._snapshots(), purpose_of)

    def _snapshots(self) -> list[Snapshot]:
        """Whose rows may be labelled: the audit's, where one was begun,
        whatever has gone since; and the current.
        """
        definition = self._versions.latest
        audited = [] if definition.audit is None else [self._lake.at(definition.snapshot)]
        return [*audited, self._lake.snapshot]
