"""Who writes a lake just now, and how far it is: a note beside the lock, for messages and pages.

Only the lock decides who may write, and whether the note's writer lives: a process number tells
nothing after a restart, nor of another machine or container.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from indexer.disk.entries import create_file, open_file, read_file
from indexer.disk.layout import Layout
from indexer.report import Progress

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

EVERY_S = 1.0  # how far a run is is noted at most so often
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a writer was when it last said so."""

    name: str  # as `Progress.stage` has it, "indexing"
    done: int
    total: int | None  # None: not known
    more: bool  # the total still grows
    skipped: int
    unit: str | None  # None: images
    began_at: float  # seconds since 1970
    noted_at: float

    @property
    def rate(self) -> float | None:
        """So many a second since the stage began; None where that cannot be told yet."""
        seconds = self.noted_at - self.began_at
        return self.done / seconds if self.done > 0 and seconds > 0 else None

    @property
    def left_s(self) -> float | None:
        """Seconds until the stage ends at its rate; None while nobody knows."""
        if self.total is None or self.more or not self.rate:
            return None
        return max(self.total - self.done, 0) / self.rate


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that holds a lake for writing."""

    pid: int
    host: str
    command: str
    since: str  # ISO 8601
    stage: Stage | None  # None: it has not said yet

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (`{self.command}`, since {self.since})"


def note_writer(layout: Layout) -> None:
    """Note that this process holds the lock. A full disk is no reason to fail: `vacuum` is how it
    gets room, and the lock holds without a note.

    :raises OSError: if it cannot be written otherwise.
    """
    note = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    try:
        put(layout.writer_note, note)
    except OSError as error:
        if error.errno not in _FULL:
            raise


def remove_note(layout: Layout) -> None:
    with suppress(OSError):
        layout.writer_note.unlink()


def seen_writer(layout: Layout) -> Writer | None:
    """Who writes the lake just now; None: nobody, whatever note a writer that was killed left."""
    writer = noted_writer(layout)
    if writer is None:
        return None
    is_held = _is_held(layout.writer_lock)
    return writer if (_may_live(writer) if is_held is None else is_held) else None


def _is_held(lock: Path) -> bool | None:
    """Whether somebody holds it for writing; None: that cannot be told here.

    It is held for the instant of the look, with others who look and without a writer: one that
    begins just then tries again, see `locks.writer`.
    """
    if fcntl is None:
        return None
    try:
        with open_file(lock) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:  # no right to read it, or no locks on this file system
        return None
    return False


def _may_live(writer: Writer) -> bool:
    """Whether a process of its number is there, or it is another machine's."""
    if writer.host != socket.gethostname():
        return True
    try:
        os.kill(writer.pid, 0)
    except PermissionError:  # it lives, and is another user's
        return True
    except (OSError, OverflowError):
        return False
    return True


def noted_writer(layout: Layout) -> Writer | None:
    """What the note says, whether its writer lives or not; None where there is none to be read."""
    try:
        note = json.loads(read_file(layout.writer_note))
        return Writer(
            int(note["pid"]),
            str(note["host"]),
            str(note["command"]),
            str(note["since"]),
            _stage(note.get("stage")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


class NotedProgress:
    """Notes how far a run is, and passes on what it is told."""

    def __init__(self, inner: Progress, layout: Layout) -> None:
        self._inner, self._layout = inner, layout
        self._stage: Stage | None = None
        self._next = 0.0  # of time.monotonic
        self._writer: Writer | None = None  # this process, as it was noted

    def stage(self, name: str, total: int | None, unit: str | None = None) -> None:
        self._inner.stage(name, total, unit)
        now = time.time()
        self._told(Stage(name, 0, total, False, 0, unit, now, now))

    def expect(self, total: int, *, more: bool = False) -> None:
        self._inner.expect(total, more=more)
        if self._stage is not None:
            self._told(replace(self._stage, total=total, more=more))

    def advance(self, done: int, skipped: int = 0) -> None:
        self._inner.advance(done, skipped)
        if (stage := self._stage) is not None:
            self._told(replace(stage, done=stage.done + done, skipped=stage.skipped + skipped))

    def _told(self, stage: Stage) -> None:
        self._stage = stage
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_S
        # Nobody's work fails for what is only told.
        with suppress(OSError):
            self._put(replace(stage, noted_at=time.time()))

    def _put(self, stage: Stage) -> None:
        if self._writer is None:
            self._writer = noted_writer(self._layout)
        # Who vouches that nobody else writes takes no lock, and has no note.
        if self._writer is not None and self._writer.pid == os.getpid():
            put(self._layout.writer_note, asdict(replace(self._writer, stage=stage)))


def put(path: Path, note: Mapping[str, Any]) -> None:
    """Write a note, whole or not at all.

    :raises OSError: if it cannot be written; then nothing is left of it.
    """
    # always the same name: one that a crash left goes
    beside = path.with_name(f"{path.name}.new")
    try:
        with create_file(beside) as file:
            file.write(json.dumps(note).encode())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def _stage(noted: Any) -> Stage | None:
    """None where there is none, or none as this version writes it."""
    try:
        return Stage(
            str(noted["name"]),
            int(noted["done"]),
            None if noted["total"] is None else int(noted["total"]),
            bool(noted["more"]),
            int(noted["skipped"]),
            None if noted["unit"] is None else str(noted["unit"]),
            float(noted["began_at"]),
            float(noted["noted_at"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
