"""One writer, any readers. The kernel's locks decide;
what is written beside them is only for messages.

A lock dies with its process, so a stale one needs no clean-up. A writer holds `writer.lock`; each
reader holds a lock file of its own in `readers/`, named with the snapshot it reads, which `vacuum`
looks at before it deletes anything.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout, UnixFileLock
from ulid import ULID

from indexer.disk.entries import NotPlain, check_entry, check_lake, create_file, read_file
from indexer.disk.layout import Layout
from indexer.errors import LakeError, LakeLocked, LakeUnsafe

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_LOCKING = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}


@contextmanager
def writer(layout: Layout, *, use_lock: bool = True) -> Iterator[None]:
    """Hold the lake for writing.

    :raises LakeLocked: if another process holds it; names that process.
    :raises LakeUnsafe: if something in it is a link, a pipe or a device; before anything is
        written.
    :raises LakeError: if this file system has no locks and use_lock is True.
    """
    check_lake(layout, everything=True)
    if not use_lock:
        yield
        return
    lock = acquire(
        layout.writer_lock,
        f"{layout.root} lies on a file system without locks; if you are sure that nobody else writes it, use --no-lock",
    )
    if lock is None:
        raise LakeLocked(str(layout.root), _holder(layout.writer_note))
    try:
        _write_note(layout.writer_note)
        yield
    finally:
        with suppress(OSError):
            layout.writer_note.unlink()
        lock.release()


def acquire(path: Path, no_locking: str, *, wait_s: float = 0.0) -> BaseFileLock | None:
    """The lock, or None where another still holds it after wait_s;
    two locks of one process exclude each other too.

    :raises LakeError: with no_locking as its sentence, on a file system without locks; if path
        cannot be written, or something else than a lock lies there.
    """
    _check_lock(path)
    # Not thread_local: a lake that one thread opened may be closed by another.
    lock = (UnixFileLock if os.name != "nt" else FileLock)(path, thread_local=False)
    try:
        with (
            warnings.catch_warnings()
        ):  # filelock warns before it falls back; the sentence below says it better
            warnings.simplefilter("ignore", UserWarning)
            lock.acquire(timeout=wait_s, poll_interval=0.01, blocking=wait_s > 0)
    except Timeout:
        if _fell_back(lock):  # what lies there may be no lock at all
            raise LakeError(no_locking) from None
        return None
    except OSError as error:
        if error.errno in _NO_LOCKING:
            raise LakeError(no_locking) from None
        raise LakeError(
            f"{path} cannot be written ({error.strerror}); a lake needs a writable folder"
        ) from None
    if _fell_back(lock):
        lock.release()
        raise LakeError(no_locking)
    return lock


def _check_lock(path: Path) -> None:
    """A lock is an empty plain file. Some versions of filelock empty
    what they find, so it must hold nothing before.
    """
    try:
        check_entry(path)
    except NotPlain as error:
        raise LakeUnsafe(str(error.filename), error.what) from None
    with suppress(OSError):
        if path.lstat().st_size:
            raise LakeUnsafe(str(path), "a file with something in it, where an empty lock belongs")


def _fell_back(lock: BaseFileLock) -> bool:
    """True where filelock met a file system without kernel locks, and made a file stand for one."""
    return os.name != "nt" and not isinstance(lock, UnixFileLock)


def _write_note(path: Path) -> None:
    note = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": " ".join(
            Path(sys.argv[0]).name if i == 0 else arg for i, arg in enumerate(sys.argv)
        ),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    # always the same name: one that a crash left goes
    beside = path.with_name(f"{path.name}.new")
    try:
        _put(path, beside, note)
    except OSError as error:
        # `vacuum` is how a full disk gets room, and the lock holds without a note
        if error.errno not in _FULL:
            raise
        beside.unlink(missing_ok=True)


def _put(path: Path, beside: Path, note: Mapping[str, Any]) -> None:
    _write(beside, note)
    beside.replace(path)


def _write(path: Path, note: Mapping[str, Any]) -> None:
    with create_file(path) as file:
        file.write(json.dumps(note).encode())


def seen_writer(layout: Layout) -> str | None:
    """Who writes the lake just now, in words, as far as a look tells; None: nobody.

    The lock is left alone: to try it would keep out a writer that begins at that moment. What a
    writer that was killed left is told apart on its own machine.
    """
    try:
        note = json.loads(read_file(layout.writer_note))
        if note["host"] == socket.gethostname():
            os.kill(int(note["pid"]), 0)
    except PermissionError:  # it lives, and is another user's
        pass
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return _holder(layout.writer_note)


def _holder(path: Path) -> str:
    try:
        note = json.loads(read_file(path))
        return (
            f"process {note['pid']} on {note['host']} (`{note['command']}`, since {note['since']})"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


class Reading:
    """A reader's mark in `readers/`: while it lives, `vacuum` keeps the snapshot it names.

    On a lake that cannot be written no mark is left, and only vacuum's one-hour rule protects the
    reader.
    """

    def __init__(self, layout: Layout) -> None:
        self._lock: BaseFileLock | None = None
        if not layout.manifests.is_dir():
            return  # not a lake: leave no trace in somebody's folder
        try:
            check_entry(layout.readers)
            layout.readers.mkdir(exist_ok=True)
            while self._lock is None:  # vacuum may try a new lock in the instant before it is taken
                self._note = layout.readers / f"{ULID()}.json"
                self._lock = acquire(self._note.with_suffix(".lock"), "no locks")
            _write(self._note, {"pid": os.getpid(), "snapshots": None})
        except (OSError, LakeError):
            self.close()

    def hold(self, snapshots: list[int]) -> None:
        """Name the snapshots in use. Until the first call vacuum deletes nothing at all."""
        if self._lock is not None:
            note = {"pid": os.getpid(), "snapshots": sorted(snapshots)}
            _put(self._note, self._note.with_suffix(".new"), note)

    def close(self) -> None:
        if self._lock is not None:
            for path in (self._note, Path(self._lock.lock_file)):
                with suppress(OSError):
                    path.unlink()
            self._lock.release()
            self._lock = None


def snapshots_being_read(layout: Layout) -> set[int] | None:
    """The snapshots that living readers hold;
    None where one has not said yet. Marks of dead readers are removed.
    """
    held: set[int] = set()
    unsaid = False
    for path in sorted(layout.readers.glob("*.lock")):
        note = path.with_suffix(".json")
        lock = acquire(path, f"{layout.root} lies on a file system without locks")
        if lock is not None:
            for leftover in (note, path):
                with suppress(OSError):
                    leftover.unlink()
            lock.release()
            continue
        try:
            snapshots = json.loads(read_file(note))["snapshots"]
        except (OSError, ValueError, KeyError, TypeError):
            snapshots = None
        if snapshots is None:
            unsaid = True
        else:
            held.update(int(number) for number in snapshots)
    return None if unsaid else held
