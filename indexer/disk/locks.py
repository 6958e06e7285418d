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
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout, UnixFileLock
from ulid import ULID

from indexer.disk.durable import make_folder
from indexer.disk.entries import NotPlain, check_entry, check_lake, read_file, reason_of
from indexer.disk.layout import Layout
from indexer.disk.writer_note import note_writer, noted_writer, put, remove_note
from indexer.errors import LakeError, LakeLocked, LakeUnsafe

LOOK_S = 0.2  # longer than anybody who only looks who writes keeps a writer out
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
        wait_s=LOOK_S,
    )
    if lock is None:
        holder = noted_writer(layout)
        raise LakeLocked(str(layout.root), str(holder or "another process"))
    try:
        note_writer(layout)
        yield
    finally:
        remove_note(layout)
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


@contextmanager
def held(path: Path, no_locking: str, *, wait_s: float) -> Iterator[None]:
    """Keep others out who take the same lock.

    :raises LakeError: as `acquire` does; if another still holds it after wait_s.
    """
    lock = acquire(path, no_locking, wait_s=wait_s)
    if lock is None:
        raise LakeError(f"{path} has been held by another process for {wait_s:g} s; try again")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def only_maker(path: Path, what: str) -> Iterator[None]:
    """Keep others out while something is made that lies beside a lake's rows: two who write one
    file at once would put each other's half of it in place.

    :param path: of the lock, in a folder of the lake's, which is made if it is not there.
    :param what: is made, as "groups".
    :raises LakeError: if another makes it, the folder cannot be written, or has no locks.
    """
    try:
        make_folder(path.parent)
    except OSError as error:
        raise LakeError(
            f"{path.parent} cannot be written ({reason_of(error)}); {what} cannot be stored in the "
            "lake's folder, and nothing was changed: see to it and try again"
        ) from None
    no_locking = (
        f"{path.parent} lies on a file system without locks, so {what} cannot be stored safely; "
        "move the lake to a local disk"
    )
    lock = acquire(path, no_locking)
    if lock is None:
        raise LakeError(
            f"another process makes {what} in {path.parent} just now; wait for it to end"
        )
    try:
        yield
    finally:
        lock.release()


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
            put(self._note, {"pid": os.getpid(), "snapshots": None})
        except (OSError, LakeError):
            self.close()

    def hold(self, snapshots: list[int]) -> None:
        """Name the snapshots in use. Until the first call vacuum deletes nothing at all."""
        if self._lock is not None:
            note = {"pid": os.getpid(), "snapshots": sorted(snapshots)}
            put(self._note, note)

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
