"""The place that an export goes to, for one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from indexer.errors import LakeError, LakeLocked
from indexer.locks import acquire


@contextmanager
def alone_at(out: Path) -> Iterator[None]:
    """Keep other exports from a place, by a lock beside it that is gone afterwards.

    Where the file system has no locks, or may not be written, nothing is kept away: the export says what is wrong.

    :raises LakeLocked: if another process or thread exports there.
    """
    path = out.with_name(f"{out.name}.lakesift.lock")
    try:
        lock = acquire(path, "no locks")
    except LakeError:
        yield
        return
    if lock is None:
        raise LakeLocked(str(out), "another export")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: who waits for it by now sees that it is no name's lock any more
        lock.release()
