"""Writers that are killed, and what must become of their lakes: the stories that the crash tests
tell of folders and of containers.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.disk.layout import Layout
from indexer.disk.tables import read_skipped
from service import Lake
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import contents, current

# how many moments of each verb are tried
TRIES = int(os.environ.get("LAKESIFT_CRASH_TRIES", "5"))
REPOSITORY = Path(__file__).resolve().parents[2]
NEVER = 0


class Writers:
    """Starts writers that die; see crash_child."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        environment = {**os.environ, "LAKESIFT_TEST_MARK": self.mark, "OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.indexer.crash_child"],
            cwd=REPOSITORY,
            env={**environment, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        verb: str,
        lake: Path,
        photos: Path,
        kill_at: int = NEVER,
        kill_after_s: float | None = None,
    ) -> int:
        """One writer; returns its exit code, or the negative number of the signal it died of."""
        job = {"verb": verb, "lake": str(lake), "photos": str(photos), "kill_at": kill_at}
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps({**job, "kill_after_s": kill_after_s}) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def living_decoders(self) -> list[int]:
        """Pids of decoders that writers of ours started."""
        found = []
        for process in Path("/proc").iterdir():
            try:
                if (
                    b"indexer.images.decoder" in (process / "cmdline").read_bytes()
                    and self.mark.encode() in (process / "environ").read_bytes()
                ):
                    found.append(int(process.name))
            except (OSError, ValueError):
                continue
        return found

    def close(self) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=30)
        self._server.stdout.close()


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    writers = Writers()
    yield writers
    writers.close()


def steps(lake: Path) -> int:
    """How many steps the last writer that ended well took."""
    return int(lake.with_name(lake.name + ".steps").read_text())


class Story:
    """A verb, the lake it starts from, and where an undisturbed run of it ends."""

    def __init__(
        self, writers: Writers, verb: str, folder: Path, photos: Path, start: Path | None = None
    ) -> None:
        self.writers, self.verb, self.folder, self.photos, self.start = (
            writers,
            verb,
            folder,
            photos,
            start,
        )
        self.before = contents(start) if start else {}
        undisturbed = self.lake("undisturbed")
        assert writers.run(verb, undisturbed, photos) == 0
        self.after, self.skipped = contents(undisturbed), skipped(undisturbed)
        self.steps = steps(undisturbed)

    def lake(self, name: str) -> Path:
        lake = self.folder / f"{name}.lake"
        if self.start is not None:
            shutil.copytree(self.start, lake)
        return lake

    def check_whole(self, lake: Path) -> None:
        """What a crash left can be opened and searched,
        and has no row that was neither before nor after.
        """
        if not (lake / "manifest.json").exists():
            assert self.start is None
            return
        rows = contents(lake)
        allowed = set(self.before.items()) | set(self.after.items())
        assert set(rows.items()) <= allowed
        with Lake.open(lake, ColourEmbedder()) as opened:
            assert list(opened.problems) == []
            assert {hit.row_id for hit in opened.search("red", k=None)} == set(rows)

    def check_finished(self, lake: Path) -> None:
        """The next run ends exactly where the undisturbed one did,
        and leaves nothing on its way.
        """
        assert self.writers.run(self.verb, lake, self.photos) == 0
        assert contents(lake) == self.after
        assert skipped(lake) == self.skipped
        assert list((lake / "staging").iterdir()) == []
        assert [path for path in lake.rglob("*.new") if "readers" not in path.parts] == []

    def kill_before_steps(self, tries: int) -> None:
        """Twice: the run that continues is killed as well, at another step, before the last one may
        finish.
        """
        chosen = random.Random(1)
        points = range(1, self.steps + 1)
        for point in points if len(points) <= tries else sorted(chosen.sample(points, tries)):
            lake = self.lake(f"step{point}")
            assert self.writers.run(self.verb, lake, self.photos, kill_at=point) == -signal.SIGKILL
            self.check_whole(lake)
            again = chosen.randint(1, self.steps)
            ended = self.writers.run(self.verb, lake, self.photos, kill_at=again)
            assert ended in (-signal.SIGKILL, 0)
            self.check_whole(lake)
            self.check_finished(lake)
            shutil.rmtree(lake)

    def kill_at_moments(self, tries: int) -> None:
        """Random ones, which may fall in the middle of a file that is written."""
        chosen = random.Random(2)
        whole = self.lake("timed")
        started = time.monotonic()
        assert self.writers.run(self.verb, whole, self.photos) == 0
        took_s = time.monotonic() - started
        for trial in range(tries):
            lake = self.lake(f"moment{trial}")
            moment_s = chosen.uniform(0.001, took_s)
            ended = self.writers.run(self.verb, lake, self.photos, kill_after_s=moment_s)
            assert ended in (-signal.SIGKILL, 0)
            self.check_whole(lake)
            self.check_finished(lake)
            shutil.rmtree(lake)


def skipped(lake: Path) -> set[str]:
    rows = read_skipped(Layout(lake), current(lake)).to_pylist()
    return {Path(row["uri"]).name for row in rows}
