"""What may lie below a lake: its own folders and plain files.
A lake may come from somebody else, so it is data.

A link in it could lead anywhere: what is cleared, deleted or written through it would be the
reader's own. A pipe or a device where a file belongs would hang whoever opens it. So none of them
is followed or opened. The lake's own folder may be a link: that name is the caller's. `check_lake`
looks before a lake is used, the rest guards each use.

This holds against what lies in a lake, not against somebody who may write in it while we run: he
can do worse there.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from indexer.disk.layout import Layout
from indexer.errors import LakeUnsafe

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has none; there `_look` alone decides
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | _NO_LINK | getattr(os, "O_NONBLOCK", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | _NO_LINK
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | _NO_LINK
# what Windows has for a link to a folder
_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotPlain(OSError):
    """Something else than a plain file or a folder lies there;
    `strerror` says what, as of any error of a file.
    """

    def __init__(self, path: str | Path, what: str) -> None:
        super().__init__(
            errno.ELOOP, f"it is {what}, and a lake holds folders and plain files alone", str(path)
        )
        self.what = what

    def __str__(self) -> str:
        return str(self.strerror)


def reason_of(error: OSError) -> str:
    """What went wrong with a file of a lake, in few words: pyarrow's own hold them twice."""
    if error.errno is None or isinstance(error, NotPlain):
        return str(error).partition("\n")[0]
    return os.strerror(error.errno)


def check_lake(layout: Layout, *, everything: bool = False) -> None:
    """Refuse a lake in which a link, a pipe or a device stands for
    something of its own. What we never touch may be.

    :param everything: True looks at every file, as is due before a lake is written; False at the
        folders, and at all that a reader opens without a manifest's naming it.
    :raises LakeUnsafe: for the first one found.
    """
    try:
        for path in layout.entries():
            status = _look(path)
            is_read_by_name = path in _read_by_name(layout)
            if (
                status is not None
                and stat.S_ISDIR(status.st_mode)
                and (everything or is_read_by_name)
            ):
                _check_below(path)
    except NotPlain as error:
        raise LakeUnsafe(str(error.filename), error.what) from None


def _read_by_name(layout: Layout) -> tuple[Path, ...]:
    """Folders whose files are opened without a manifest's naming them."""
    return (
        layout.filters,
        layout.ledger,
        layout.tags,
        layout.searches,
        layout.alike,
        layout.map,
    )


def check_entry(path: Path) -> None:
    """Of a folder or a file. What is not there is the caller's to meet.

    :raises NotPlain: if it is neither.
    """
    _look(path)


def check_file(path: Path) -> None:
    """Before a library opens a file by its name.

    :raises NotPlain: if it or the folder it lies in is a link, or it is no file.
    """
    _look(path.parent)
    _look(path)


def open_file(path: Path, *, buffering: int = -1) -> BinaryIO:
    """A plain file for reading.

    :raises NotPlain: if it is something else; OSError: as open does.
    """
    _look(path)
    descriptor = os.open(path, _READ)
    try:
        _check(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb", buffering=buffering)
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path) -> bytes:
    """All of a plain file; raises as `open_file` does."""
    with open_file(path) as file:
        return file.read()


def create_file(path: Path) -> BinaryIO:
    """A new file for writing. What has its name, as a crash leaves it,
    goes first: a link itself, not what it leads to.

    :raises OSError: if a folder has this name, or as open does.
    """
    try:
        descriptor = os.open(path, _CREATE, 0o666)
    except FileExistsError:
        path.unlink()
        descriptor = os.open(path, _CREATE, 0o666)
    return os.fdopen(descriptor, "wb")


def append_file(path: Path) -> BinaryIO:
    """A plain file for reading and appending, not buffered; made if it is not there.

    One that has a second name (a hard link: a backup's, or a trap) gets bytes of its own first.
    What is appended here shall not be seen there.

    :raises NotPlain: if it is something else; OSError: as open does.
    """
    status = _look(path)
    if status is not None and status.st_nlink > 1:
        _part_from_its_twin(path)
    descriptor = os.open(path, _APPEND, 0o666)
    try:
        _check(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "r+b", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _part_from_its_twin(path: Path) -> None:
    beside = path.with_name(f"{path.name}.new")
    try:
        with open_file(path) as old, create_file(beside) as new:
            shutil.copyfileobj(old, new)
            new.flush()
            os.fsync(new.fileno())
        shutil.copymode(path, beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def remove(path: Path) -> int:
    """Delete a file, or a folder and all in it; a link goes, and what it leads to stays.

    :returns: how many bytes it had, in all its files.
    """
    if not stat.S_ISDIR(path.lstat().st_mode):
        size = path.lstat().st_size
        path.unlink()
        return size
    size = sum(entry.stat(follow_symlinks=False).st_size for entry in _walk(path))
    shutil.rmtree(path)
    return size


def _check_below(folder: Path) -> None:
    for entry in _walk(folder):
        # The kind comes with the listing: a plain file costs no call of its own.
        if not (entry.is_file(follow_symlinks=False) or _is_folder(entry)):
            _look(Path(entry.path))


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder, links not followed."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:  # gone meanwhile, or not to be looked into, which whoever opens it will say
        return
    for entry in found:
        yield entry
        if _is_folder(entry):
            yield from _walk(Path(entry.path))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return False
    # Windows takes a junction for a folder.
    return _JUNCTION is None or _what(entry.stat(follow_symlinks=False)) is None


def _look(path: Path) -> os.stat_result | None:
    """What is at path, where there is anything."""
    try:
        status = path.lstat()
    except OSError:  # not there, or out of reach, as it will be for whoever opens it
        return None
    _check(path, status)
    return status


def _check(path: Path, status: os.stat_result) -> None:
    what = _what(status)
    if what is not None:
        raise NotPlain(path, what)


def _what(status: os.stat_result) -> str | None:
    """What it is, if it is neither a folder nor a plain file."""
    if stat.S_ISLNK(status.st_mode):
        return "a link"
    if _JUNCTION is not None and getattr(status, "st_reparse_tag", 0) == _JUNCTION:
        return "a link"
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        return None
    return next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "no file")
