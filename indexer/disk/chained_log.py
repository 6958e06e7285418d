"""An append-only log whose lines a chain holds together (`chain.py`): read as far as it is whole,
appended to under a lock. Knows lines, not what they say: its owner does.

A crash can leave half a line at the end: readers pass over it, and the next writer cuts it off.
Readers take no lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

from indexer.disk.chain import Chain, rest_of
from indexer.disk.durable import fsync_folder
from indexer.disk.entries import append_file, open_file, reason_of
from indexer.errors import LakeDamaged, LakeError


class Entry(Protocol):
    """What one line says."""

    def to_line(self) -> bytes:
        """`{...}`, one JSON object without its chain and without a line feed."""


EntryT = TypeVar("EntryT", bound=Entry)


class ChainedLog(Generic[EntryT]):
    """One file, and how far it was read. Its owner lets one thread at a time in here."""

    def __init__(
        self,
        path: Path,
        *,
        parse: Callable[[bytes], EntryT],
        take: Callable[[EntryT], None],
        forget: Callable[[], None],
        damaged: Callable[[ValueError, bytes], LakeDamaged],
        unwritable: Callable[[OSError], LakeError],
    ) -> None:
        """
        :param parse: a line without its chain, which is followed; ValueError if it says what is not
            the next entry.
        :param take: counts an entry in.
        :param forget: all that was taken: the log is read from its start again.
        :param damaged: a sentence on a line, the one after those that were taken.
        :param unwritable: a sentence on the file.
        """
        self.path = path
        self._parse, self._count_in, self._forget_all = parse, take, forget
        self._damaged, self._unwritable = damaged, unwritable
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.chain = Chain()
        self._end = 0  # bytes read: up to the end of the last whole line
        self._last_line = b""
        self._inode = -1

    def refresh(self) -> None:
        """Take what came since the last call; all, where the file is another, or does not go on
        where we left it; nothing, where there is none.

        :raises LakeDamaged: if a line, other than half a last one, is not the one that comes next.
        """
        try:
            with open_file(self.path, buffering=0) as file:
                self._read(file)
        except (FileNotFoundError, NotADirectoryError):
            self._forget()
        except OSError as error:
            raise LakeDamaged(str(self.path), reason_of(error)) from None

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """The file, open for appending, read to its end and without half a line there.

        The caller holds the lock.
        """
        try:
            file = append_file(self.path)
        except OSError as error:
            raise self._unwritable(error) from None
        with file:
            self._read(file)
            if os.fstat(file.fileno()).st_size > self._end:
                os.ftruncate(file.fileno(), self._end)
            yield file

    def append(self, file: BinaryIO, entries: Sequence[EntryT]) -> None:
        """All or none; they are on the disk when this returns.

        :param file: as `writing` gives it.
        :raises LakeError: if the disk is full: `unwritable`.
        """
        lines = list(self.chain.continued(entry.to_line() for entry in entries))
        is_first = self._end == 0
        try:
            _write_all(file, b"".join(lines))
            os.fsync(file.fileno())
            if is_first:
                fsync_folder(self.path.parent)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(file.fileno(), self._end)
            raise self._unwritable(error) from None
        self._inode = os.fstat(file.fileno()).st_ino
        with self._all_or_anew():
            for entry, line in zip(entries, lines, strict=True):
                self.chain.follow(line)
                self._take(entry, line)

    def _read(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or not self._goes_on(file):
            self._forget()
            self._inode = status.st_ino
        if status.st_size == self._end:
            return
        file.seek(self._end)
        *lines, half = _read_all(file).split(b"\n")
        with self._all_or_anew():
            for line in lines:
                self._take(self._parsed(line + b"\n"), line + b"\n")
            if rest_of(half):
                raise self._damaged(ValueError("it does not end with a line feed"), half)

    def _parsed(self, line: bytes) -> EntryT:
        try:
            return self._parse(self.chain.follow(line))
        except ValueError as error:
            raise self._damaged(error, line) from None

    def _take(self, entry: EntryT, line: bytes) -> None:
        self._count_in(entry)
        self._end += len(line)
        self._last_line = line

    def _forget(self) -> None:
        self._begin_anew()
        self._forget_all()

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


def _write_all(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a write may take less than it is given
        rest = rest[file.write(rest) :]


def _read_all(file: BinaryIO) -> bytes:
    return b"".join(iter(lambda: file.read(1 << 20), b""))
