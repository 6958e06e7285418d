"""What people said about a filter's rows: an append-only log, and the answers that follow from it.

`labels.jsonl`, one JSON object a line: `{"seq": 7, "row_id": 12, "label": "yes", "labeller": "ann", "at": "2026-...",
"purpose": "teach"}`. `seq` counts up. An undo is a line too: it repeats the undone line's row, label, labeller and
purpose, and names its seq in `undo`. Lines are appended under the book's own lock and fsynced before `add` returns,
so that two processes, or a `sync` beside them, lose nothing. A crash can leave half a line at the end: readers pass
over it, and the next writer cuts it off. Readers take no lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from indexer.durable import fsync_folder
from indexer.errors import BadRequest, LakeDamaged, LakeError
from indexer.locks import acquire
from service.relevance.definition import LabelsUsed
from service.relevance.fields import Fields

LABELS = ("yes", "no", "skip")
PURPOSES = ("teach", "audit", "picked")
UNNAMED = "unnamed"  # who labels without saying who it is
LOCK_WAIT_S = 10.0
MAX_LABELLER_CHARS = 64


@dataclass(frozen=True, slots=True)
class NewLabel:
    """One label to be added.

    :raises BadRequest: if a field is out of range.
    """

    row_id: int
    label: str  # "yes", "no" or "skip"
    labeller: str = UNNAMED
    purpose: str = "teach"  # "teach", "audit" or "picked"

    def __post_init__(self) -> None:
        if not 0 < self.row_id < 2**53:
            raise BadRequest("row_id", f"{self.row_id} is not a row's number")
        if self.label not in LABELS:
            raise BadRequest("label", f"{self.label!r} is none of {', '.join(LABELS)}")
        if self.purpose not in PURPOSES:
            raise BadRequest("purpose", f"{self.purpose!r} is none of {', '.join(PURPOSES)}")
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
        document = {name: getattr(self, name) for name in self.__slots__ if name != "undo"}
        if self.undo is not None:
            document["undo"] = self.undo
        return f"{json.dumps(document, ensure_ascii=False)}\n".encode()

    @classmethod
    def from_line(cls, line: bytes) -> Record:
        """:raises ValueError: if the line is not a label."""
        fields = Fields.parse(line)
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
    labellers: Mapping[str, str]  # each one's latest label, by name
    purpose: str  # of the row's first label that was not undone
    seq: int  # of its last one


class LabelBook:
    """The labels of one filter. Safe from several threads and processes; each call sees what the last writer left."""

    def __init__(self, folder: str | Path) -> None:
        """:param folder: the filter's; the first `add` makes the file in it."""
        self.folder = Path(folder)
        self.path = self.folder / "labels.jsonl"
        self._threads = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self._records: list[Record] = []
        self._in_force: dict[int, dict[int, Record]] = {}  # row_id -> seq -> label that was not undone
        self._answers: dict[int, Answer] = {}
        self._end = 0  # bytes read: up to the end of the last whole line
        self._last_line = b""
        self._inode = -1

    def add(self, labels: Sequence[NewLabel]) -> list[Record]:
        """Append labels, all or none; they are on the disk when this returns.

        :raises LakeError: if the filter is gone, the folder cannot be written or the disk is full.
        :raises LakeDamaged: if the book cannot be read.
        """
        if not labels:
            return []
        with self._writing() as file:
            at = datetime.now().astimezone().isoformat(timespec="milliseconds")
            new = [
                Record(seq, label.row_id, label.label, label.labeller, at, label.purpose)
                for seq, label in enumerate(labels, self._next_seq)
            ]
            self._append(file, new)
        return new

    def undo(self, row_id: int | None = None, labeller: str | None = None) -> Record | None:
        """Take back the last label in force: of that row, by that labeller, or at all.

        What the labeller said of the row before counts again.

        :returns: the label taken back; None where there is none.
        :raises LakeError: as for `add`.
        """
        if not self.path.exists():  # nothing to take back, and no file to make for it
            return None
        with self._writing() as file:
            for record in reversed(self._records):
                if (
                    (row_id is None or record.row_id == row_id)
                    and (labeller is None or record.labeller == labeller)
                    and record.seq in self._in_force.get(record.row_id, ())
                ):
                    at = datetime.now().astimezone().isoformat(timespec="milliseconds")
                    self._append(file, [replace(record, seq=self._next_seq, at=at, undo=record.seq)])
                    return record
        return None

    def answers(self) -> dict[int, Answer]:
        """Every labelled row's current answer, by row_id; rows whose every label was undone are left out.

        A labeller's latest label of a row counts. Yes against no is a conflict; skip stands back behind either.

        :raises LakeDamaged: if a line, other than half a last one, is not a label.
        """
        with self._threads:
            self._refresh()
            return dict(self._answers)

    def records(self) -> list[Record]:
        """All lines, oldest first."""
        with self._threads:
            self._refresh()
            return list(self._records)

    def history(self, row_id: int) -> list[Record]:
        """All lines about a row, undone ones and undos too, oldest first."""
        return [record for record in self.records() if record.row_id == row_id]

    def copy_to(self, folder: Path, row_of: Callable[[int], int | None] = lambda row_id: row_id) -> None:
        """Write this book beside another filter. What was an audit's label here teaches there: it was not drawn for it.

        :param folder: of a filter that nobody labels yet.
        :param row_of: the row of the other filter's lake that is this row; None: it has none, and its lines stay here.
        """
        records = [
            replace(record, row_id=row_id, purpose="teach" if record.purpose == "audit" else record.purpose)
            for record in self.records()
            if (row_id := row_of(record.row_id)) is not None
        ]
        if records:
            other = LabelBook(folder)
            with other._writing() as file:
                other._append(file, records)

    @property
    def _next_seq(self) -> int:
        return self._records[-1].seq + 1 if self._records else 1

    # -- writing

    @contextmanager
    def _writing(self) -> Iterator[BinaryIO]:
        """The file, open for appending, locked, read to its end and without half a line there."""
        with self._threads, self.lock():
            try:
                descriptor = os.open(
                    self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
                )
            except OSError as error:
                raise _unwritable(self.path, error) from None
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                self._read(file)
                if os.fstat(descriptor).st_size > self._end:
                    os.ftruncate(descriptor, self._end)
                yield file

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others from writing this book; it can be read meanwhile."""
        if not self.folder.is_dir():
            raise _gone(self.folder)
        path = self.folder / "labels.lock"
        lock = acquire(
            path,
            f"{self.folder} lies on a file system without locks, so labels cannot be saved safely; "
            "move the lake to a local disk",
            wait_s=LOCK_WAIT_S,
        )
        if lock is None:
            raise LakeError(f"{path} has been held by another process for {LOCK_WAIT_S:g} s; try again")
        try:
            yield
        finally:
            lock.release()

    def _append(self, file: BinaryIO, records: Sequence[Record]) -> None:
        lines = [record.to_line() for record in records]
        first = self._end == 0
        try:
            _write_all(file, b"".join(lines))
            os.fsync(file.fileno())
            if first:
                fsync_folder(self.folder)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(file.fileno(), self._end)
            raise _unwritable(self.path, error) from None
        self._inode = os.fstat(file.fileno()).st_ino
        for record, line in zip(records, lines, strict=True):
            self._take(record, line)

    # -- reading

    def _refresh(self) -> None:
        try:
            with self.path.open("rb", buffering=0) as file:
                self._read(file)
        except FileNotFoundError:
            self._forget()
        except OSError as error:
            raise LakeDamaged(str(self.path), error.strerror or str(error)) from None

    def _read(self, file: BinaryIO) -> None:
        """Take what came since the last call; all, where the file is another, or does not go on where we left it."""
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or not self._goes_on(file):
            self._forget()
            self._inode = status.st_ino
        file.seek(self._end)
        data = _read_all(file)
        for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
            self._take(self._parsed(line), line)

    def _goes_on(self, file: BinaryIO) -> bool:
        """Whether the last line we read is still there: a writer whose disk was full takes back what it half wrote."""
        file.seek(self._end - len(self._last_line))
        return file.read(len(self._last_line)) == self._last_line

    def _parsed(self, line: bytes) -> Record:
        try:
            record = Record.from_line(line)
            if record.seq < self._next_seq:
                raise ValueError(f"seq {record.seq} comes after {self._next_seq - 1}")
            return record
        except ValueError as error:
            number = len(self._records) + 1
            self._forget()
            raise LakeDamaged(
                str(self.path), f"line {number} is not a label ({error}); repair that line, or take it out"
            ) from None

    def _take(self, record: Record, line: bytes) -> None:
        self._records.append(record)
        self._end += len(line)
        self._last_line = line
        row = self._in_force.setdefault(record.row_id, {})
        if record.undo is None:
            row[record.seq] = record
        else:
            row.pop(record.undo, None)
        if row:
            self._answers[record.row_id] = _answer(list(row.values()))
        else:
            self._answers.pop(record.row_id, None)
            del self._in_force[record.row_id]


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
            f"{name!r} is not 1 to {MAX_LABELLER_CHARS} printable characters, without spaces around them",
        )
    return name


def _answer(records: Sequence[Record]) -> Answer:
    """:param records: the labels of one row in force, oldest first; at least one."""
    labellers = {record.labeller: record.label for record in records}
    return Answer(
        records[0].row_id, _together(labellers.values()), labellers, records[0].purpose, records[-1].seq
    )


def _together(labels: Iterable[str]) -> str:
    said = set(labels) - {"skip"}
    if len(said) > 1:
        return "conflict"
    return said.pop() if said else "skip"


def _write_all(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a write may take less than it is given
        rest = rest[file.write(rest) :]


def _read_all(file: BinaryIO) -> bytes:
    return b"".join(iter(lambda: file.read(1 << 20), b""))


def _unwritable(path: Path, error: OSError) -> LakeError:
    if isinstance(error, FileNotFoundError):
        return _gone(path.parent)
    return LakeError(
        f"{path} cannot be written ({error.strerror}); no label was saved: see to it and try again"
    )


def _gone(folder: Path) -> LakeError:
    return LakeError(f"{folder} is not there any more: the filter was deleted, and the label was not saved")
