"""Syncs that callers begin: each a `lakesift sync` in a process of its own, so that searches go on
beside it. It outlives the service that began it.

What is known of one lies in the state folder, so that all workers, and the service that is started
next, know it: who it is, what it said, and how it ended. Whoever begins another takes the last
one's record away first, so that nobody stops a process that has its number now. Knows no HTTP.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.disk.layout import Layout
from indexer.disk.writer_note import Writer, seen_writer
from indexer.errors import LakeError, LakeLocked

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

FOLDER = "syncs"  # in the state folder
BEGINS_WITHIN_S = 30.0  # until it holds the lake; then it is only said to be beginning
_LOOK_EVERY_S = 0.05
# Under its own name, which is what others are told of who writes.
COMMAND = (
    "import sys; sys.argv[0] = 'lakesift'; from service.cli.main import main; sys.exit(main())"
)
SAYS = "lakesift: "  # before the sentence that a command fails with
_SAID_BYTES = 65_536  # of the end of what a sync wrote to stderr


@dataclass(frozen=True, slots=True)
class Ended:
    """How the last sync that was begun here ended."""

    began_at: str  # ISO 8601, UTC
    ended_at: str
    report: dict[str, Any] | None  # as `lakesift sync --json` prints it
    failure: str | None  # a sentence; None: it has a report


@dataclass(frozen=True, slots=True)
class Syncing:
    """What is being done to a lake, and what was done last."""

    writer: Writer | None  # who writes it just now, whoever began that
    is_ours: bool  # a sync that was begun here is under way, or beginning
    ended: Ended | None  # None: none was begun here, or it is under way


class Syncs:
    """Begins syncs, and tells of them. Safe for several threads, and for several processes."""

    def __init__(self, state: Path, *, trust_model: bool = False) -> None:
        """:param state: the service's state folder.
        :param trust_model: as `lakesift sync --trust-model`.
        """
        self._folder = state / FOLDER
        self._trust_model = trust_model

    def told(self, lake: Path) -> Syncing:
        """What is known of a lake's syncs. Never raises for what it cannot read."""
        writer = seen_writer(Layout(lake))
        record = _record(self._file(lake, ".json"))
        if record is None:
            return Syncing(writer, False, None)
        if self._lives(lake):
            return Syncing(writer, True, None)
        return Syncing(writer, False, self._ended(lake, record))

    def begin(self, lake: Path, *, retry_skipped: bool = False) -> Syncing:
        """Begin a sync, and wait until it holds the lake or has ended.

        :param retry_skipped: True: files that could not be read are tried again, changed or not.
        :raises LakeLocked: if somebody writes the lake, or another caller begins a sync.
        :raises LakeError: if it cannot be begun: with the sentence that it ended with.
        """
        with self._held(lake) as lock:
            writer = seen_writer(Layout(lake))
            if writer is not None:
                raise LakeLocked(str(lake), str(writer))
            self._start(lake, lock, retry_skipped)
        told = self.told(lake)
        if told.ended is not None and told.ended.failure is not None:
            raise LakeError(told.ended.failure)
        return told

    def stop(self, lake: Path) -> bool:
        """Ask the sync that was begun here to end after a last commit; False if there is none."""
        # In this order: what is noted while one lives is of that one.
        if not self._lives(lake):
            return False
        record = _record(self._file(lake, ".json"))
        if record is None or not _leads(record["pid"]):
            return False
        try:
            os.kill(record["pid"], signal.SIGINT)
        except OSError:  # it ended
            return False
        return True

    @contextmanager
    def _held(self, lake: Path) -> Iterator[int]:
        """The file that a sync of this lake holds for as long as it lives, held.

        A kernel's lock, which belongs to the open file: the child that inherits it keeps it, and
        its death frees it, however it dies.

        :raises LakeLocked: if one is under way.
        :raises LakeError: if there is no place for it.
        """
        if fcntl is None:
            raise LakeError("on this system no sync can be begun here: run `lakesift sync`")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._file(lake, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LakeError(
                f"no sync can be begun here: {self._folder} cannot be written "
                f"({error.strerror}); LAKESIFT_STATE names another folder"
            ) from None
        try:
            # Who only looks holds it for a moment, too.
            if not _try(lock, fcntl.LOCK_EX, wait_s=4 * _LOOK_EVERY_S):
                raise LakeLocked(str(lake), "a sync that was begun here")
            yield lock
        finally:
            os.close(lock)

    def _start(self, lake: Path, lock: int, retry_skipped: bool) -> None:
        """:raises LakeError: if there is no room for what it says."""
        command = [sys.executable, "-P", "-c", COMMAND, "sync", str(lake), "--json"]
        command += ["--trust-model"] if self._trust_model else []
        command += ["--retry-skipped"] if retry_skipped else []
        child: subprocess.Popen[bytes] | None = None
        try:
            # The last one's: nobody may be stopped by it any more.
            self._file(lake, ".json").unlink(missing_ok=True)
            with (
                self._file(lake, ".out").open("wb") as out,
                self._file(lake, ".err").open("wb") as err,
            ):
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=(lock,),
                    start_new_session=True,  # Ctrl-C at the service's terminal is not for it
                )
            self._note(lake, child.pid)
        except OSError as error:
            # One that nobody knows of could not be stopped.
            if child is not None:
                child.kill()
                child.wait()
            where = error.filename or self._folder
            raise LakeError(
                f"no sync can be begun here: {where}: {error.strerror or error}"
            ) from None
        # A child that nobody waits for stays in the system's table.
        threading.Thread(target=child.wait, name="sync", daemon=True).start()
        deadline = time.monotonic() + BEGINS_WITHIN_S
        while child.returncode is None and time.monotonic() < deadline:
            writer = seen_writer(Layout(lake))
            if writer is not None and writer.pid == child.pid:
                return
            time.sleep(_LOOK_EVERY_S)

    def _lives(self, lake: Path) -> bool:
        """Whether a sync that was begun here is under way."""
        try:
            lock = os.open(self._file(lake, ".lock"), os.O_RDWR)
        except OSError:  # none was
            return False
        try:
            # With others who look: none of them takes another for a sync.
            return not _try(lock, fcntl.LOCK_SH)
        finally:
            os.close(lock)

    def _note(self, lake: Path, pid: int) -> None:
        note = {"pid": pid, "began_at": _iso(time.time())}
        path = self._file(lake, ".json")
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(note))
        beside.replace(path)

    def _ended(self, lake: Path, record: dict[str, Any]) -> Ended | None:
        out, err = self._file(lake, ".out"), self._file(lake, ".err")
        try:
            ended_at = _iso(max(out.stat().st_mtime, err.stat().st_mtime))
            report = _document(out)
            failure = None if report else _last_words(err)
        except OSError:
            return None
        return Ended(record["began_at"], ended_at, report, failure)

    def _file(self, lake: Path, suffix: str) -> Path:
        name = hashlib.sha256(os.fsencode(lake.resolve())).hexdigest()[:32]
        return self._folder / f"{name}{suffix}"


def _record(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
        return {
            "pid": int(record["pid"]),
            "began_at": str(record["began_at"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _leads(pid: int) -> bool:
    """Whether a process leads a session, as those begun here do, and few others."""
    try:
        return os.getsid(pid) == pid
    except (OSError, OverflowError):
        return False


def _try(lock: int, how: int, *, wait_s: float = 0.0) -> bool:
    """Whether nobody else holds it; then it is held here.

    :param how: LOCK_EX alone, LOCK_SH with others who do so.
    """
    assert fcntl is not None
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_EVERY_S / 5)
        else:
            return True


def _document(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _last_words(path: Path) -> str:
    """The error that it ended with."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _SAID_BYTES, 0))
        said = file.read().decode(errors="replace").splitlines()
    errors = [line.removeprefix(SAYS) for line in said if line.startswith(SAYS)]
    return errors[-1] if errors else "it was ended from outside; what it had committed is there"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
