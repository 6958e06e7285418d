"""What people said about a filter's rows: an append-only log, and the answers that follow from it.

`labels.jsonl`, one JSON object a line: `{"seq": 7, "row_id": 12, "label": "yes", "labeller": "ann",
"at": "2026-...", "purpose": "teach"}`. `seq` counts up. An undo is a line too: it repeats the
undone line's row, label, labeller and purpose, and names its seq in `undo`. A line of purpose
`settle` decides a conflict: it counts until it is taken back. A last field, `chain`, holds the
lines together, see `chain.py`. Lines are appended under the book's own lock and fsynced before
`add` returns, so that two processes, or a `sync` beside them, lose nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

from indexer.disk.chain import BrokenChain
from indexer.disk.chained_log import ChainedLog
from indexer.disk.filter_checks import LabelsMark
from indexer.disk.locks import held
from indexer.errors import BadRequest, CannotUndo, LakeDamaged, LakeError
from indexer.fields import Fields
from indexer.words import quoted
from service.relevance.definition import LabelsUsed
from service.relevance.labels.counted import Versions, way_out_of

LABELS = ("yes", "no", "skip")
PURPOSES = ("teach", "audit", "picked", "settle")
SETTLE = "settle"  # the purpose of an answer that decides where people disagree
UNNAMED = "unnamed"  # who labels without saying who it is
LOCK_WAIT_S = 10.0
MAX_LABELLER_CHARS = 64
MOST_AT_ONCE = 100  # labels that one undo takes back: more than a person answers in one go


@dataclass(frozen=True, slots=True)
class NewLabel:
    """One label to be added.

    :raises BadRequest: if a field is out of range.
    """

    row_id: int
    label: str  # "yes", "no" or "skip"
    labeller: str = UNNAMED
    purpose: str = "teach"  # "teach", "audit", "picked" or "settle"

    def __post_init__(self) -> None:
        if not 0 < self.row_id < 2**53:
            raise BadRequest("row_id", f"{self.row_id} is not a row's number")
        if self.label not in LABELS:
            raise BadRequest("label", f"{self.label!r} is none of {', '.join(LABELS)}")
        if self.purpose not in PURPOSES:
            raise BadRequest("purpose", f"{self.purpose!r} is none of {', '.join(PURPOSES)}")
        if self.purpose == SETTLE and self.label == "skip":
            raise BadRequest("label", "a skip settles nothing: say yes or no, or leave it open")
        check_labeller(self.labeller)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the book."""

    seq: int
    row_id: int
    label: str
    labeller: str
    at: str  # ISO 8601 with the offset
    purpose: str
    undo: int | None = None  # the seq of the line that this one takes back

    def to_line(self) -> bytes:
        """A line without its chain."""
        document = {name: getattr(self, name) for name in self.__slots__ if name != "undo"}
        if self.undo is not None:
            document["undo"] = self.undo
        return json.dumps(document, ensure_ascii=False).encode()

    @classmethod
    def from_line(cls, data: bytes) -> Record:
        """:raises ValueError: if it is not a label."""
        fields = Fields.parse(data)
        seq, row_id = fields.whole("seq", 1), fields.whole("row_id", 1)
        label, labeller = fields.text("label"), fields.text("labeller")
        at, purpose = fields.text("at"), fields.text("purpose")
        undo = fields.whole("undo", 1) if fields.has("undo") else None
        fields.end()
        if label not in LABELS or purpose not in PURPOSES:
            raise ValueError(f"label {label!r} or purpose {purpose!r} is unknown")
        return cls(seq, row_id, label, labeller, at, purpose, undo)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the labellers of a row, taken together, say now."""

    row_id: int
    label: str  # "yes", "no", "skip"; "conflict" where one labeller says yes and another no
    # Each one's latest label, by name; without what settled a conflict, which was said in sight of
    # the others' answers and so tells nothing of how far people agree.
    labellers: Mapping[str, str]
    purpose: str  # of the row's first label that was not undone
    seq: int  # of its last one
    settled: str | None = None  # who settled the row's conflict, as `label` says; None: nobody
    # Answers without a name say yes and no. Nobody can tell whether one person thought anew or two
    # disagree: the last one counts, as one person's would, and it is no conflict.
    unnamed_differ: bool = False


class LabelBook:
    """The labels of one filter. Safe from several threads and processes;
    each call sees what the last writer left.
    """

    def __init__(self, folder: str | Path, *, is_held: bool = True) -> None:
        """
        :param folder: the filter's; the first `add` makes the file in it.
        :param is_held: False: lines may be missing that the filter's versions count.
        """
        self.folder = Path(folder)
        self._is_held = is_held
        self.path = self.folder / "labels.jsonl"
        self._threads = threading.RLock()
        self._counted = Versions(self.folder)
        self._log = ChainedLog(
            self.path,
            parse=self._parse,
            take=self._take,
            forget=self._forget,
            damaged=self._damaged,
            unwritable=lambda error: _unwritable(self.path, error),
        )
        self._forget()

    def _forget(self) -> None:
        self._records: list[Record] = []
        # row_id -> seq -> label that was not undone
        self._in_force: dict[int, dict[int, Record]] = {}
        self._answers: dict[int, Answer] = {}
        # Rows whose answer has to be worked out again, in the order of their lines: once for all
        # lines of a row, not for each.
        self._changed: dict[int, None] = {}

    def add(
        self,
        labels: Sequence[NewLabel],
        *,
        only_open: bool = False,
        only_disputed: bool = False,
    ) -> list[Record]:
        """Append labels, all or none; they are on the disk when this returns.

        :param only_open: leave out rows that another labeller has answered, as somebody may have
            done since these were shown.
        :param only_disputed: leave out rows on which people agree; a conflict that was settled may
            be settled anew.
        :raises LakeError: if the filter is gone, the folder cannot be written or the disk is full.
        :raises LakeDamaged: if the book cannot be read.
        """
        if not labels:
            return []
        with self._writing() as file:
            at = datetime.now().astimezone().isoformat(timespec="milliseconds")
            if only_open:
                labels = [label for label in labels if not self._is_anothers(label)]
            if only_disputed:
                labels = [label for label in labels if self._is_disputed(label.row_id)]
            new = [
                Record(seq, label.row_id, label.label, label.labeller, at, label.purpose)
                for seq, label in enumerate(labels, self._next_seq)
            ]
            self._log.append(file, new)
        return new

    def undo(self, row_id: int | None = None, labeller: str | None = None) -> Record | None:
        """Take back the last label in force: of that row, by that labeller, or at all.

        What the labeller said of the row before counts again.

        :returns: the label taken back; None where there is none.
        :raises LakeError: as for `add`.
        """
        if self._is_empty():  # nothing to take back, and no file to make for it
            return None
        with self._writing() as file:
            record = self._last_in_force(row_id, labeller)
            if record is not None:
                at = datetime.now().astimezone().isoformat(timespec="milliseconds")
                self._log.append(
                    file, [replace(record, seq=self._next_seq, at=at, undo=record.seq)]
                )
            return record

    def undo_all(self, row_ids: Sequence[int], labeller: str) -> list[Record]:
        """Take back a labeller's last label in force of each row, all or none.

        :returns: the labels taken back; of a row without one there is none.
        :raises LakeError: as for `add`.
        """
        if self._is_empty():
            return []
        with self._writing() as file:
            found = [self._last_in_force(row_id, labeller) for row_id in dict.fromkeys(row_ids)]
            return self._take_back(file, [record for record in found if record is not None])

    def undo_act(self, labeller: str | None = None) -> list[Record]:
        """Take back all labels in force that were given at once with the last one, all or none; of
        more than MOST_AT_ONCE, as of an import, the last one alone.

        :param labeller: whose; None: whoever gave the last one.
        :returns: the labels taken back, in their order; none where there is nothing to take back.
        :raises LakeError: as for `add`.
        """
        if self._is_empty():
            return []
        with self._writing() as file:
            last = self._last_in_force(None, labeller)
            if last is None:
                return []
            # Lines of one `add` have one time, and lie one behind another.
            act: list[Record] = []
            for record in reversed(self._records[: last.seq]):
                if record.at != last.at or record.undo is not None:
                    break
                is_theirs = record.labeller == last.labeller
                if is_theirs and record.seq in self._in_force.get(record.row_id, ()):
                    act.append(record)
            # What was brought in by hundreds is no slip of the hand: of that the last one alone.
            return self._take_back(file, act[::-1] if len(act) <= MOST_AT_ONCE else act[:1])

    def undo_answers(self, seqs: Sequence[int], labeller: str | None = None) -> list[Record]:
        """Take back exactly these labels, all or none: whose they are need not be asked, as it must
        where several say no name.

        :param seqs: the numbers of the lines, as `add` gave them.
        :param labeller: whose they have to be; None: anybody's.
        :returns: the labels taken back, in their order.
        :raises CannotUndo: if one is not in force, not theirs, or not the last that this labeller
            said of its row.
        :raises LakeError: as for `add`.
        """
        wanted = sorted(set(seqs))
        if self._is_empty():
            raise _no_answer(wanted[0])
        with self._writing() as file:
            records = [self._to_undo(seq, frozenset(wanted), labeller) for seq in wanted]
            return self._take_back(file, records)

    def _to_undo(self, seq: int, wanted: frozenset[int], labeller: str | None) -> Record:
        """:raises CannotUndo: if it may not be taken back with all that are wanted."""
        at = bisect_left(self._records, seq, key=attrgetter("seq"))
        record = self._records[at] if at < len(self._records) else None
        if record is None or record.seq != seq or record.undo is not None:
            raise _no_answer(seq)
        in_force = self._in_force.get(record.row_id, {})
        if seq not in in_force:
            raise CannotUndo("seqs", seq, f"answer {seq} was taken back already")
        if labeller is not None and record.labeller != labeller:
            raise CannotUndo(
                "seqs", seq, f"answer {seq} is of {record.labeller}, who alone takes it back"
            )
        for later in in_force.values():
            is_theirs = later.labeller == record.labeller and later.seq > seq
            if is_theirs and later.seq not in wanted:
                raise CannotUndo(
                    "seqs",
                    seq,
                    f"answer {seq} is not the last of row {record.row_id}: {later.labeller} said "
                    f"{later.label} since, in answer {later.seq}; take that back first, or answer "
                    "the row anew",
                )
        return record

    def _take_back(self, file: BinaryIO, records: Sequence[Record]) -> list[Record]:
        at = datetime.now().astimezone().isoformat(timespec="milliseconds")
        self._log.append(
            file,
            [
                replace(record, seq=seq, at=at, undo=record.seq)
                for seq, record in enumerate(records, self._next_seq)
            ],
        )
        return list(records)

    def _is_anothers(self, label: NewLabel) -> bool:
        """Whether somebody else has answered its row; all who say no name may be others."""
        there = self._in_force.get(label.row_id, {}).values()
        is_named = label.labeller != UNNAMED
        return any(not (is_named and record.labeller == label.labeller) for record in there)

    def _is_disputed(self, row_id: int) -> bool:
        """Whether people disagree on it, or did until it was settled."""
        records = list(self._in_force.get(row_id, {}).values())
        if not records:
            return False
        answer = _answer(records)
        return answer.label == "conflict" or answer.settled is not None

    def _last_in_force(self, row_id: int | None, labeller: str | None) -> Record | None:
        records = (
            reversed(self._records)
            if row_id is None
            else reversed(self._in_force.get(row_id, {}).values())
        )
        for record in records:
            is_theirs = labeller is None or record.labeller == labeller
            if is_theirs and record.seq in self._in_force.get(record.row_id, ()):
                return record
        return None

    def answers(self) -> dict[int, Answer]:
        """Every labelled row's current answer, by row_id;
        rows whose every label was undone are left out.

        A labeller's latest label of a row counts; all who say no name are one labeller. Yes against
        no is a conflict; skip stands back behind either. What settled a conflict last decides the
        row, whatever is said of it later, until it is taken back.

        :raises LakeDamaged: if a line, other than half a last one, is not a label or not the one
            that comes next, or lines are gone that a version of the filter was made with.
        """
        with self._threads:
            self._refresh()
            for row_id in self._changed:
                self._answers[row_id] = _answer(list(self._in_force[row_id].values()))
            self._changed.clear()
            return dict(self._answers)

    def records(self) -> list[Record]:
        """All lines, oldest first."""
        with self._threads:
            self._refresh()
            return list(self._records)

    def settled(self) -> LabelsMark | None:
        """How far the book has come, once all of it is on the disk: no later crash, and no writer
        whose disk is full, takes back what is counted. None: there is no label.

        :raises LakeError: as for `add`.
        """
        if self._is_empty():
            return None
        with self._writing() as file:
            os.fsync(file.fileno())
            return self._log.chain.mark

    @property
    def unchained(self) -> int:
        """Lines that no chain holds yet: all are older versions', and none was added since."""
        return 0 if self._log.chain.is_begun else self._log.chain.lines

    def copied(self, row_of: Callable[[int], int | None] = lambda row_id: row_id) -> list[Record]:
        """The lines of this book for another filter's.
        What was an audit's label here teaches there: it was not drawn for it.

        :param row_of: the row of the other filter's lake that is this row; None: it has none, and
            its lines stay here.
        """
        return [
            replace(
                record,
                row_id=row_id,
                purpose="teach" if record.purpose == "audit" else record.purpose,
            )
            for record in self.records()
            if (row_id := row_of(record.row_id)) is not None
        ]

    def receive(self, records: Sequence[Record]) -> None:
        """Write the lines that `copied` gave of another book.

        The filter's version is there already, and says how many they are: this book is empty, and
        not held to it.
        """
        if records:
            with self._writing() as file:
                self._log.append(file, records)

    def _is_empty(self) -> bool:
        with self._threads:
            self._refresh()
            return not self._records

    @property
    def _next_seq(self) -> int:
        return self._records[-1].seq + 1 if self._records else 1

    # -- writing

    @contextmanager
    def _writing(self) -> Iterator[BinaryIO]:
        """The file, open for appending, locked, read to its end and without half a line there."""
        with self._threads, self.lock():
            if self._is_held:
                self._refresh()  # which tells if the file is missing, before it is made anew
            with self._log.writing() as file:
                yield file

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others from writing this book; it can be read meanwhile."""
        if not self.folder.is_dir():
            raise _gone(self.folder)
        no_locking = (
            f"{self.folder} lies on a file system without locks, so labels cannot be saved safely; "
            "move the lake to a local disk"
        )
        with held(self.folder / "labels.lock", no_locking, wait_s=LOCK_WAIT_S):
            yield

    # -- reading

    def _refresh(self) -> None:
        # Before the lines: more may be added meanwhile, and counted by the next version.
        counted = self._counted.latest() if self._is_held else None
        self._log.refresh()
        if counted is not None:
            counted.check(self._log.chain, self.path)

    def _parse(self, body: bytes) -> Record:
        record = Record.from_line(body)
        if record.seq < self._next_seq:
            raise ValueError(f"seq {record.seq} comes after {self._next_seq - 1}")
        return record

    def _damaged(self, error: ValueError, line: bytes) -> LakeDamaged:
        """:param line: the one after those that were taken."""
        reason = f"{error}" if isinstance(error, BrokenChain) else f"is not a label ({error})"
        # One that older versions wrote can be repaired by hand.
        is_chained = (
            isinstance(error, BrokenChain) or b'"chain"' in line or self._log.chain.is_begun
        )
        way_out = way_out_of(self.folder) if is_chained else "repair that line, or take it out"
        number = len(self._records) + 1
        return LakeDamaged(str(self.path), f"line {number} {reason}; {way_out}")

    def _take(self, record: Record) -> None:
        self._records.append(record)
        row = self._in_force.setdefault(record.row_id, {})
        if record.undo is None:
            row[record.seq] = record
        else:
            row.pop(record.undo, None)
        if row:
            self._changed[record.row_id] = None
        else:
            del self._in_force[record.row_id]
            self._answers.pop(record.row_id, None)
            self._changed.pop(record.row_id, None)


def labels_by_row(answers: Mapping[int, Answer]) -> dict[int, str]:
    """row_id -> yes, no, skip or conflict."""
    return {row_id: answer.label for row_id, answer in answers.items()}


def labels_used(answers: Mapping[int, Answer]) -> LabelsUsed:
    """The counts and the digest that a definition keeps.

    The digest is the sha256 of one line a row, `row_id TAB label LF`, by rising row_id.
    """
    rows = sorted(answers.values(), key=lambda answer: answer.row_id)
    labels = [answer.label for answer in rows]
    text = "".join(f"{answer.row_id}\t{answer.label}\n" for answer in rows)
    return LabelsUsed(
        count=len(rows),
        yes=labels.count("yes"),
        no=labels.count("no"),
        skipped=labels.count("skip"),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def check_labeller(name: str) -> str:
    """The name itself.

    :raises BadRequest: if it cannot be shown, or is too long.
    """
    if not (0 < len(name) <= MAX_LABELLER_CHARS and name.isprintable() and name == name.strip()):
        raise BadRequest(
            "labeller",
            f"{quoted(name)} is not 1 to {MAX_LABELLER_CHARS} printable characters, without spaces around them",
        )
    return name


def _answer(records: Sequence[Record]) -> Answer:
    """:param records: the labels of one row in force, oldest first; at least one."""
    labellers = {record.labeller: record.label for record in records if record.purpose != SETTLE}
    settled = next((record for record in reversed(records) if record.purpose == SETTLE), None)
    unnamed = {
        record.label
        for record in records
        if record.labeller == UNNAMED and record.purpose != SETTLE
    }
    return Answer(
        records[0].row_id,
        _together(labellers.values()) if settled is None else settled.label,
        labellers,
        records[0].purpose,
        records[-1].seq,
        None if settled is None else settled.labeller,
        {"yes", "no"} <= unnamed,
    )


def _together(labels: Iterable[str]) -> str:
    said = set(labels) - {"skip"}
    if len(said) > 1:
        return "conflict"
    return said.pop() if said else "skip"


def _unwritable(path: Path, error: OSError) -> LakeError:
    if isinstance(error, FileNotFoundError):
        return _gone(path.parent)
    return LakeError(
        f"{path} cannot be written ({error.strerror}); no label was saved: see to it and try again"
    )


def _no_answer(seq: int) -> CannotUndo:
    return CannotUndo("seqs", seq, f"there is no answer {seq}")


def _gone(folder: Path) -> LakeError:
    return LakeError(
        f"{folder} is not there any more: the filter was deleted, and the label was not saved"
    )
