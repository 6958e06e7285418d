"""`lakesift sync --watch` as a person, and a service manager, meets it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli.main import main
from service.lake import Lake
from tests.lakes import LONG_AGO_S, RED, png, write

SOON_S = 120.0


class Watching:
    """A process that watches a lake, and what it says, line by line."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "service.cli", "sync", "--watch", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.put(line.strip())

    def until(self, begin: str) -> str:
        """The next line that begins so; what stands before it is said on failure."""
        seen = []
        while True:
            try:
                seen.append(self.lines.get(timeout=SOON_S))
            except queue.Empty:
                raise AssertionError(f"no line {begin!r} after {seen}") from None
            if seen[-1].startswith(begin):
                return seen[-1]

    def end(self, number: signal.Signals) -> tuple[int, list[dict[str, object]]]:
        """Its exit code, and the documents that it printed."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        return self.process.wait(SOON_S), [json.loads(line) for line in out.splitlines()]

    def close(self) -> None:
        self.process.kill()
        self._reading.join()
        self.process.__exit__(None, None, None)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Path]:
    write(tmp_path / "photos" / "a.png", png(RED, (40, 30)))
    lake = tmp_path / "my.lake"
    assert main(["index", str(tmp_path / "photos"), "--into", str(lake)]) == 0
    yield lake


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_new_photo_is_taken_up_and_an_end_is_no_failure(
    lake: Path, number: signal.Signals
) -> None:
    watching = Watching(str(lake), "--interval", "2s", "--json")
    try:
        assert watching.until("following").endswith(": 1 image")
        before = Lake.open(lake)
        photo = write(lake.parent / "photos" / ".b.png", png((0, 200, 0), (40, 30)), LONG_AGO_S)
        photo.rename(photo.with_name("b.png"))
        line = watching.until("indexed: 2 images (1 new")
        assert "1 unchanged" in line
        with before, Lake.open(lake) as after:
            assert after.snapshot.number > before.snapshot.number
        code, documents = watching.end(number)
    finally:
        watching.close()
    assert code == 0
    assert [(each["new"], each["rows"]) for each in documents if each["new"]] == [(1, 2)]
    assert not (lake / "writer.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--interval", "5s"], "--interval: it says how to --watch"),
        (["--no-vacuum"], "--no-vacuum: it says how to --watch"),
        (["--keep-hours", "0"], "--keep-hours: it says how to --watch"),
        (["--watch", "--plan"], "--plan: it says what one sync would do"),
        (["--watch", "--interval", "0.5s"], "--interval: it is at least one second"),
        (["--watch", "--no-vacuum", "--keep-hours", "5"], "--no-vacuum: nothing is deleted then"),
    ],
)
def test_what_makes_no_sense_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", "no.lake", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_lake_that_is_not_there_ends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", str(tmp_path / "no.lake"), "--watch"]) == 1
    assert "no.lake" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
