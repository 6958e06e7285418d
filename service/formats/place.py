"""The place that something goes to which a person asked for, for one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from indexer.disk.locks import acquire
from indexer.errors import LakeError, LakeLocked

GO_ON = "what is whole is kept, and the same command goes on from there"


@contextmanager
def alone_at(out: Path, others: str) -> Iterator[None]:
    """Keep other writers from a place, by a lock beside it that is gone afterwards.

    Where the file system has no locks, or may not be written, nobody is kept away: the writer says
    what is wrong.

    :param others: who else it may be, for the message: "another export".
    :raises LakeLocked: if another process or thread writes there.
    """
    path = out.with_name(f"{out.name}.lakesift.lock")
    if not out.parent.is_dir():  # which the lock would make
        yield
        return
    try:
        lock = acquire(path, "no locks")
    except LakeError:
        yield
        return
    if lock is None:
        raise LakeLocked(str(out), others)
    try:
        yield
    finally:
        with suppress(OSError):
            # while it is held: who waits for it by now sees that it is no name's lock any more
            path.unlink()
        lock.release()
