"""The tags of a lake: an append-only log of acts, and what rows are called that follows from it.

`tags/log.jsonl` has one JSON object a line (`act.py`), held together by a chain as labels are.
Lines are appended under the book's own lock and fsynced before a call returns, so that two
processes, or a `sync` beside them, lose nothing. A crash can leave half a line at the end: readers
pass over it, and the next writer cuts it off. Readers take no lock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from indexer.arrays import Positions
from indexer.disk.chain import Chain, rest_of
from indexer.disk.durable import fsync_folder, make_folder
from indexer.disk.entries import append_file, open_file, reason_of
from indexer.disk.locks import acquire
from indexer.errors import BadRequest, LakeDamaged, LakeError
from service.tags.act import Act, now
from service.tags.names import UNNAMED, check_by, key_of, tag_name
from service.tags.row_sets import RowSet, stored, unnamed_files
from service.tags.tags import NO_TAGS, Tags, merged, rising

LOCK_WAIT_S = 10.0
MAX_TAGS = 10_000  # different ones in a lake


class TagBook:
    """The tags of one lake. Safe from several threads and processes;
    each call sees what the last writer left.
    """

    def __init__(self, folder: str | Path) -> None:
        """:param folder: `tags` in the lake's; the first act makes it."""
        self.folder = Path(folder)
        self.path = self.folder / "log.jsonl"
        self._threads = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self._acts: dict[int, Act] = {}  # by seq, those that take acts back among them
        self._undone: set[int] = set()
        self._chain = Chain()
        self._end = 0  # bytes read: up to the end of the last whole line
        self._last_line = b""
        self._inode = -1
        self._tags = NO_TAGS
        self._in_force: dict[str, Positions] = {}  # key -> rows, as far as `_tags` comes
        self._unread: set[str] = set()  # keys whose rows are to be worked out anew
        self._waiting: dict[str, list[Act]] = {}  # by key, those that `_in_force` lacks

    def tags(self) -> Tags:
        """Which rows have which tags now; the same object as long as nobody tags.

        :raises LakeDamaged: if a line is not an act or not the one that comes next, or the rows of
            an act are gone.
        """
        with self._threads:
            self._refresh()
            if self._tags.seq != self._last_seq:
                self._work_out()
            return self._tags

    def acts(self) -> list[Act]:
        """All lines, oldest first."""
        with self._threads:
            self._refresh()
            return list(self._acts.values())

    def add(self, name: str, row_ids: Positions, by: str = UNNAMED) -> Act:
        """Give rows a tag: one act, on the disk when this returns.

        :param row_ids: int64, (n,), at least one.
        :raises BadRequest: if it is no name for a tag, or the lake has too many.
        :raises LakeError: if the folder cannot be written or the disk is full.
        """
        return self._change(name, row_ids, by, is_add=True)

    def remove(self, name: str, row_ids: Positions, by: str = UNNAMED) -> Act:
        """Take a tag from rows; as `add`."""
        return self._change(name, row_ids, by, is_add=False)

    def _change(self, name: str, row_ids: Positions, by: str, *, is_add: bool) -> Act:
        name, by = tag_name(name), check_by(by)
        with self._writing() as file:
            known = self._spelling()
            if key_of(name) not in known and len(known) >= MAX_TAGS:
                raise BadRequest("name", f"the lake has {MAX_TAGS:,} tags, and can have no more")
            name = known.get(key_of(name), name)
            rows = self._stored(rising(row_ids))
            act = Act(self._last_seq + 1, by, now(), name, is_add, rows)
            self._append(file, act)
        return act

    def undo(self, by: str | None = None) -> Act | None:
        """Take back the last act in force: of that person, or at all.

        :returns: the act taken back; None: there is none.
        :raises LakeError: as for `add`.
        """
        who = UNNAMED if by is None else check_by(by)
        if not self.acts():
            return None
        with self._writing() as file:
            act = self._last_in_force(by)
            if act is not None:
                self._append(file, Act(self._last_seq + 1, who, now(), undo=act.seq))
            return act

    def last(self) -> Act | None:
        """The last act in force, which `undo` would take back."""
        with self._threads:
            self._refresh()
            return self._last_in_force(None)

    def _last_in_force(self, by: str | None) -> Act | None:
        for act in reversed(self._acts.values()):
            is_theirs = by is None or act.by == by
            if act.rows is not None and act.seq not in self._undone and is_theirs:
                return act
        return None

    @property
    def _last_seq(self) -> int:
        return next(reversed(self._acts), 0)

    def _spelling(self) -> Mapping[str, str]:
        """key -> how it was written first, by an act in force."""
        names: dict[str, str] = {}
        for act in self._acts.values():
            if act.tag is not None and act.seq not in self._undone:
                names.setdefault(act.key, act.tag)
        return names

    def _work_out(self) -> None:
        for key in self._unread:
            acts = [
                act
                for act in self._acts.values()
                if act.rows is not None and act.key == key and act.seq not in self._undone
            ]
            self._in_force[key] = merged((self._rows(act), act.is_add) for act in acts)
            self._waiting.pop(key, None)
        self._unread.clear()
        for key in list(self._waiting):
            known = [(self._in_force[key], True)] if key in self._in_force else []
            new = [(self._rows(act), act.is_add) for act in self._waiting[key]]
            self._in_force[key] = merged([*known, *new])
            del self._waiting[key]
        names = self._spelling()
        rows = {names[key]: rows for key, rows in self._in_force.items() if key in names}
        self._tags = Tags(rows, self._last_seq)

    def _rows(self, act: Act) -> Positions:
        assert act.rows is not None
        try:
            return act.rows.load(self.folder)
        except (OSError, ValueError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            path = self.path if act.rows.file is None else self.folder / act.rows.file
            raise LakeDamaged(str(path), f"{reason}; {self._way_out}") from None

    @property
    def _way_out(self) -> str:
        return f"`lakesift tag {self.folder.parent} --mend` puts aside what is damaged"

    # -- writing

    @contextmanager
    def _writing(self) -> Iterator[BinaryIO]:
        """The log, open for appending, locked, read to its end and without half a line there."""
        with self._threads, self.lock():
            try:
                file = append_file(self.path)
            except OSError as error:
                raise _unwritable(self.path, error) from None
            with file:
                self._read(file)
                if os.fstat(file.fileno()).st_size > self._end:
                    os.ftruncate(file.fileno(), self._end)
                yield file

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others from writing tags; they can be read meanwhile.

        :raises LakeError: if the lake cannot be written, or somebody else holds it.
        """
        try:
            make_folder(self.folder)
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        path = self.folder / "tags.lock"
        lock = acquire(
            path,
            f"{self.folder} lies on a file system without locks, so tags cannot be saved safely; "
            "move the lake to a local disk",
            wait_s=LOCK_WAIT_S,
        )
        if lock is None:
            raise LakeError(
                f"{path} has been held by another process for {LOCK_WAIT_S:g} s; try again"
            )
        try:
            yield
        finally:
            lock.release()

    def _stored(self, row_ids: Positions) -> RowSet:
        named = [act.rows for act in self._acts.values() if act.rows is not None]
        try:
            rows = stored(row_ids, self.folder)
            if rows.file is not None:
                for path in unnamed_files(self.folder, [*named, rows]):
                    path.unlink()
            return rows
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def _append(self, file: BinaryIO, act: Act) -> None:
        (line,) = self._chain.continued([act.to_line()])
        first = self._end == 0
        try:
            _write_all(file, line)
            os.fsync(file.fileno())
            if first:
                fsync_folder(self.folder)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(file.fileno(), self._end)
            raise _unwritable(self.path, error) from None
        self._inode = os.fstat(file.fileno()).st_ino
        with self._all_or_anew():
            self._take(line)

    # -- reading

    def _refresh(self) -> None:
        try:
            with open_file(self.path, buffering=0) as file:
                self._read(file)
        except (FileNotFoundError, NotADirectoryError):
            self._forget()
        except OSError as error:
            raise LakeDamaged(str(self.path), reason_of(error)) from None

    def _read(self, file: BinaryIO) -> None:
        """Take what came since the last call;
        all, where the file is another, or does not go on where we left it.
        """
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or not self._goes_on(file):
            self._forget()
            self._inode = status.st_ino
        if status.st_size == self._end:
            return
        file.seek(self._end)
        *lines, half = file.readall().split(b"\n")  # type: ignore[attr-defined]
        with self._all_or_anew():
            for line in lines:
                self._take(line + b"\n")
            if rest_of(half):
                raise self._damaged(ValueError("does not end with a line feed"))

    @contextmanager
    def _all_or_anew(self) -> Iterator[None]:
        """Whatever stops us half-way, Ctrl-C too, the next call reads from the start."""
        try:
            yield
        except BaseException:
            self._forget()
            raise

    def _goes_on(self, file: BinaryIO) -> bool:
        """Whether the last line we read is still there:
        a writer whose disk was full takes back what it half wrote.
        """
        file.seek(self._end - len(self._last_line))
        return file.read(len(self._last_line)) == self._last_line

    def _take(self, line: bytes) -> None:
        try:
            act = Act.from_line(self._chain.follow(line))
            if not self._chain.is_begun:
                raise ValueError("has no chain")
            if act.seq <= self._last_seq:
                raise ValueError(f"has seq {act.seq} after {self._last_seq}")
        except ValueError as error:
            raise self._damaged(error) from None
        self._acts[act.seq] = act
        self._end += len(line)
        self._last_line = line
        if act.undo is None:
            self._waiting.setdefault(act.key, []).append(act)
        elif act.undo in self._acts:
            self._undone.add(act.undo)
            self._unread.add(self._acts[act.undo].key)

    def _damaged(self, error: ValueError) -> LakeDamaged:
        return LakeDamaged(str(self.path), f"line {len(self._acts) + 1} {error}; {self._way_out}")


def _write_all(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a write may take less than it is given
        rest = rest[file.write(rest) :]


def _unwritable(path: Path, error: OSError) -> LakeError:
    return LakeError(
        f"{path} cannot be written ({reason_of(error)}); tags are stored in the lake's folder, and "
        "nothing was tagged: see to it and try again"
    )
