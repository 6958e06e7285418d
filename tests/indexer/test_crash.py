"""`kill -9` at any moment: the lake is a whole snapshot, and the next run ends where an undisturbed one would have.

LAKESIFT_CRASH_TRIES sets how many moments of each verb are tried (default 5); with 1000 every step is (with
`--timeout 0`; about a quarter of an hour on two cores).
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

from indexer.layout import Layout
from indexer.manifest import read_manifest
from indexer.tables import read_skipped
from service import Lake
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import LONG_AGO_S, Row, contents, current, write_photo

TRIES = int(os.environ.get("LAKESIFT_CRASH_TRIES", "5"))
REPOSITORY = Path(__file__).resolve().parents[2]
NEVER = 0
TOMORROW_S = time.time() + 86_400  # such a file is never settled: every run looks at its bytes again

Contents = dict[int, Row]


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
        self, verb: str, lake: Path, photos: Path, kill_at: int = NEVER, kill_after_s: float | None = None
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
                    b"indexer.decoder" in (process / "cmdline").read_bytes()
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


def make_photos(folder: Path) -> None:
    """66 photos, two of them byte for byte the same, five never settled, and two files that are no images."""
    for number in range(66):
        colour = (number * 3 + 10, 255 - number * 3, number * 7 % 256)
        modified_s = TOMORROW_S if number % 15 == 0 else LONG_AGO_S + number
        write_photo(folder / f"p{number:03d}.png", colour, modified_s)
    shutil.copy2(folder / "p040.png", folder / "p041.png")
    for name in ("broken1.png", "broken2.png"):
        (folder / name).write_bytes(b"no image")
        os.utime(folder / name, (LONG_AGO_S, LONG_AGO_S))


def change_photos(folder: Path) -> None:
    """10 deleted, 12 moved, 2 swapped, 8 changed, 25 new, 1 broken, 1 mended, 1 touched."""
    for number in range(10):
        (folder / f"p{number:03d}.png").unlink()
    (folder / "moved").mkdir()
    for number in range(10, 22):
        (folder / f"p{number:03d}.png").rename(folder / "moved" / f"q{40 - number}.png")
    (folder / "p022.png").rename(folder / "swapping")
    (folder / "p023.png").rename(folder / "p022.png")
    (folder / "swapping").rename(folder / "p023.png")
    later = LONG_AGO_S + 1000
    for number in range(24, 32):
        write_photo(folder / f"p{number:03d}.png", (255, number, 0), later)
    for number in range(25):
        write_photo(folder / f"n{number:03d}.png", (number, 0, 255), later)
    (folder / "p032.png").write_bytes(b"no image any more")
    write_photo(folder / "broken1.png", (1, 2, 3), later)
    os.utime(folder / "p033.png", (later, later))


class Story:
    """A verb, the lake it starts from, and where an undisturbed run of it ends."""

    def __init__(
        self, writers: Writers, verb: str, folder: Path, photos: Path, start: Path | None = None
    ) -> None:
        self.writers, self.verb, self.folder, self.photos, self.start = writers, verb, folder, photos, start
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
        """What a crash left can be opened and searched, and has no row that was neither before nor after."""
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
        """The next run ends exactly where the undisturbed one did, and leaves nothing on its way."""
        assert self.writers.run(self.verb, lake, self.photos) == 0
        assert contents(lake) == self.after
        assert skipped(lake) == self.skipped
        assert list((lake / "staging").iterdir()) == []
        assert [path for path in lake.rglob("*.new") if "readers" not in path.parts] == []


def skipped(lake: Path) -> set[str]:
    rows = read_skipped(Layout(lake), current(lake)).to_pylist()
    return {Path(row["uri"]).name for row in rows}


@pytest.fixture(scope="module")
def index_story(writers: Writers, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("index")
    make_photos(folder / "photos")
    return Story(writers, "index", folder, folder / "photos")


@pytest.fixture(scope="module")
def sync_story(writers: Writers, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("sync")
    make_photos(folder / "photos")
    assert writers.run("index", folder / "start", folder / "photos") == 0
    change_photos(folder / "photos")
    return Story(writers, "sync", folder, folder / "photos", folder / "start")


@pytest.fixture(scope="module")
def compact_story(writers: Writers, sync_story: Story, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(
        writers,
        "compact",
        tmp_path_factory.mktemp("compact"),
        sync_story.photos,
        sync_story.folder / "undisturbed.lake",
    )


@pytest.fixture(scope="module")
def vacuum_story(writers: Writers, sync_story: Story, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(
        writers,
        "vacuum",
        tmp_path_factory.mktemp("vacuum"),
        sync_story.photos,
        sync_story.folder / "undisturbed.lake",
    )


@pytest.fixture(params=["index", "sync", "compact", "vacuum"])
def story(request: pytest.FixtureRequest) -> Story:
    story: Story = request.getfixturevalue(f"{request.param}_story")
    return story


def test_the_undisturbed_runs_are_what_was_worked_out_by_hand(index_story: Story, sync_story: Story) -> None:
    assert len(index_story.after) == 66
    assert sorted(index_story.after) == list(range(1, 67))
    assert index_story.skipped == {"broken1.png", "broken2.png"}
    by_name = {Path(row.uri).name: row_id for row_id, row in sync_story.after.items()}
    assert len(by_name) == 66 - 10 - 1 + 25 + 1
    assert by_name["q30.png"] == 11, "p010.png, row 11, moved"
    assert (by_name["p022.png"], by_name["p023.png"]) == (24, 23), "the two swapped their names"
    changed_and_new = [f"n{n:03d}.png" for n in range(25)] + [f"p{n:03d}.png" for n in range(24, 32)]
    assert [by_name[name] for name in ["broken1.png", *changed_and_new]] == list(range(67, 101))
    assert sync_story.skipped == {"broken2.png", "p032.png"}


def test_a_writer_killed_before_any_step_can_be_continued(story: Story) -> None:
    """Twice: the run that continues is killed as well, at another step, before the last one may finish."""
    chosen = random.Random(1)
    points = range(1, story.steps + 1)
    for point in points if len(points) <= TRIES else sorted(chosen.sample(points, TRIES)):
        lake = story.lake(f"step{point}")
        assert story.writers.run(story.verb, lake, story.photos, kill_at=point) == -signal.SIGKILL
        story.check_whole(lake)
        again = chosen.randint(1, story.steps)
        assert story.writers.run(story.verb, lake, story.photos, kill_at=again) in (-signal.SIGKILL, 0)
        story.check_whole(lake)
        story.check_finished(lake)
        shutil.rmtree(lake)


@pytest.mark.parametrize("verb", ["index", "sync", "compact"])
def test_a_writer_killed_at_a_random_moment_can_be_continued(
    verb: str, request: pytest.FixtureRequest
) -> None:
    story: Story = request.getfixturevalue(f"{verb}_story")
    chosen = random.Random(2)
    whole = story.lake("timed")
    started = time.monotonic()
    assert story.writers.run(story.verb, whole, story.photos) == 0
    took_s = time.monotonic() - started
    for trial in range(TRIES // 2):
        lake = story.lake(f"moment{trial}")
        moment_s = chosen.uniform(0.001, took_s)
        assert story.writers.run(story.verb, lake, story.photos, kill_after_s=moment_s) in (-9, 0)
        story.check_whole(lake)
        story.check_finished(lake)
        shutil.rmtree(lake)


def test_decoders_do_not_outlive_a_killed_writer(writers: Writers, index_story: Story) -> None:
    lake = index_story.folder / "orphans.lake"
    assert writers.run("index", lake, index_story.photos, kill_at=index_story.steps // 2) == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while writers.living_decoders() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert writers.living_decoders() == []


def test_a_killed_writer_leaves_no_lock(writers: Writers, index_story: Story) -> None:
    lake = index_story.folder / "unlocked.lake"
    assert writers.run("index", lake, index_story.photos, kill_at=index_story.steps // 2) == -signal.SIGKILL
    assert json.loads((lake / "writer.json").read_text())["pid"] > 0, "the note of the dead is still there"
    assert writers.run("index", lake, index_story.photos) == 0
    assert not (lake / "writer.json").exists()
    assert read_manifest(Layout(lake))[0].live_rows == 66


def test_the_command_killed_at_random_moments_goes_on_with_sync(tmp_path: Path) -> None:
    """The real thing: `lakesift index` with the model that ships, its whole process group killed, then `sync`."""
    photos = tmp_path / "photos"
    for number in range(60):
        write_photo(photos / f"{number:02d}.png", (4 * number, 255 - number, number * 7 % 256))
    whole, killed = tmp_path / "whole.lake", tmp_path / "killed.lake"
    environment = {**os.environ, "LAKESIFT_COMMIT_ROWS": "20", "LAKESIFT_BATCH_SIZE": "4"}

    def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "service.cli", *map(str, arguments)]
        return subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
        )

    assert start("index", photos, "--into", whole).wait(120) == 0
    running = start("index", photos, "--into", killed)
    deadline = time.monotonic() + 60
    while len(list(killed.glob("segments/*"))) < 1 and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    before = contents(killed)
    assert len(before) in (0, 20, 40, 60)
    assert start("sync", killed).wait(120) == 0
    after = contents(killed)
    assert set(before.items()) <= set(after.items())
    assert after == contents(whole)
