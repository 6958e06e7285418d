"""A writer that is made to die: runs one verb on a lake,
and kills itself at the n-th thing it does to the disk.

Run as a module it is a server: it imports everything once, then forks a child for every line of
JSON on its standard input, in a process group of its own, and answers with how it ended. A fresh
interpreter for each of hundreds of kills would take a second, nearly all of it imports.

What counts as a step: every fsync, and every open for writing, rename, removal and new folder
inside the lake. A child dies just before its n-th step, so that all n together are all the states
that a writer can leave behind, but for half-written files; random moments of death add those.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from indexer.config import IndexConfig
from indexer.disk import writer_note
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.disk.manifest import SourceEntry, read_manifest
from indexer.parts.commit import commit_parts
from indexer.parts.part import index_part
from indexer.run import carrying, coding
from indexer.run.coding import add_codes
from indexer.run.grouping import making, probes
from indexer.run.grouping.making import add_groups
from indexer.run.grouping.probes import Probes
from indexer.run.writing.commits import clear_staging, prepare_folder
from indexer.run.writing.compact import compact, vacuum
from indexer.sync import sync
from tests.fakes import ColourEmbedder

WRITING = os.O_WRONLY | os.O_RDWR
STEPS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
CONFIG = IndexConfig(
    commit_rows=20,
    commit_s=1e9,
    first_commit_s=1e9,
    decoders=1,
    readers=2,
    max_segments=3,
    settle_s=0.5,
)


def run(verb: str, lake: Path, photos: Path) -> None:
    """The verbs as the CLI runs them, with commits every 20 rows, and a carry commit every 3."""
    carrying.CARRY_ROWS = 3
    # by the clock, so at another step each time
    writer_note.EVERY_S = 1e9
    embedder = ColourEmbedder(batch_size=5)
    if verb == "index":
        sync(lake, lambda _: embedder, add=[SourceEntry(str(photos))], config=CONFIG)
    elif verb == "parts":
        source = [SourceEntry(str(photos))]
        for share in ("1/2", "2/2"):
            index_part(lake, lambda _: embedder, share, add=source, config=CONFIG)
        commit_parts(lake, load_embedder=lambda _: embedder, config=CONFIG)
    elif verb == "sync":
        sync(lake, lambda _: embedder, config=CONFIG)
    elif verb == "coded sync":
        # As a very large lake is synced: a run ends with codes, and groups where they are due.
        coding.SEGMENT_FROM_ROWS, making.LEAST_ROWS, probes.PROBES = 1, 1, 8
        texts = Probes(embedder.embed_texts(["red", "green"]), "words")
        setattr(making, "of_texts", lambda *_: texts)  # noqa: B010 - as of fsync below
        large = replace(CONFIG, codes_from_rows=1, groups_from_rows=1)
        sync(lake, lambda _: embedder, config=large)
    else:
        layout = Layout(lake)
        prepare_folder(layout)
        with writer(layout):
            clear_staging(layout)
            if verb == "compact":
                merged = compact(layout, read_manifest(layout)[0], max_segments=1)
                coded = add_codes(layout, merged, segment_from_rows=1)
                making.LEAST_ROWS, probes.PROBES = 1, 8
                texts = Probes(embedder.embed_texts(["red", "green"]), "words")
                add_groups(layout, coded, lambda: embedder, texts=texts)
            else:
                vacuum(layout, read_manifest(layout)[0], keep_s=0)


class Steps:
    """Counts what is done to the lake's disk, and dies before step number kill_at."""

    def __init__(self, lake: Path, kill_at: int) -> None:
        self.count = 0
        self._lake = os.fsencode(lake)
        self._kill_at = kill_at
        self._fsync = os.fsync
        setattr(os, "fsync", self._counted_fsync)  # noqa: B010 - mypy knows that modules are not for this
        sys.addaudithook(self._heard)

    def _counted_fsync(self, descriptor: int) -> None:
        self._step()
        self._fsync(descriptor)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if (writes or event in STEPS) and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.fsencode(arguments[0])
            if path.startswith(self._lake) and b"/readers/" not in path:
                self._step()

    def _step(self) -> None:
        self.count += 1
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def child(verb: str, lake: str, photos: str, kill_at: int) -> int:
    """Returns the exit code; writes the number of steps to `<lake>.steps`."""
    steps = Steps(Path(lake), kill_at)
    try:
        run(verb, Path(lake), Path(photos))
    except Exception:  # noqa: BLE001 - the test shows it
        traceback.print_exc()
        return 1
    Path(lake + ".steps").write_text(str(steps.count))
    return 0


def wait_for(pid: int, kill_after_s: float | None) -> int:
    """The child's exit code; where it lasts longer than kill_after_s,
    its whole process group is killed.
    """
    deadline = None if kill_after_s is None else time.monotonic() + kill_after_s
    while True:
        ended, status = os.waitpid(pid, 0 if deadline is None else os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() >= deadline:
            os.killpg(pid, signal.SIGKILL)
            deadline = None
        time.sleep(0.001)


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            os._exit(child(job["verb"], job["lake"], job["photos"], job["kill_at"]))
        with suppress(PermissionError, ProcessLookupError):  # whichever of the two comes first
            os.setpgid(pid, pid)
        print(wait_for(pid, job["kill_after_s"]), flush=True)


if __name__ == "__main__":
    main()
