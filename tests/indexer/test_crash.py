"""`kill -9` at any moment: the lake is a whole snapshot,
and the next run ends where an undisturbed one would have.

LAKESIFT_CRASH_TRIES sets how many moments of each verb are tried (default 5); with 1000 every step
is (with `--timeout 0`; about a quarter of an hour on two cores).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from tests.indexer.killed_writers import REPOSITORY, TRIES, Story, Writers
from tests.indexer.killed_writers import writers as writers
from tests.indexer.lakes import LONG_AGO_S, contents, write_photo

# such a file is never settled: every run looks at its bytes again
TOMORROW_S = time.time() + 86_400


def make_photos(folder: Path) -> None:
    """66 photos, two of them byte for byte the same,
    five never settled, and two files that are no images.
    """
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
def compact_story(
    writers: Writers, sync_story: Story, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    return Story(
        writers,
        "compact",
        tmp_path_factory.mktemp("compact"),
        sync_story.photos,
        sync_story.folder / "undisturbed.lake",
    )


@pytest.fixture(scope="module")
def vacuum_story(
    writers: Writers, sync_story: Story, tmp_path_factory: pytest.TempPathFactory
) -> Story:
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


def test_the_undisturbed_runs_are_what_was_worked_out_by_hand(
    index_story: Story, sync_story: Story
) -> None:
    assert len(index_story.after) == 66
    assert sorted(index_story.after) == list(range(1, 67))
    assert index_story.skipped == {"broken1.png", "broken2.png"}
    by_name = {Path(row.address.uri).name: row_id for row_id, row in sync_story.after.items()}
    assert len(by_name) == 66 - 10 - 1 + 25 + 1
    assert by_name["q30.png"] == 11, "p010.png, row 11, moved"
    assert (by_name["p022.png"], by_name["p023.png"]) == (24, 23), "the two swapped their names"
    changed_and_new = [f"n{n:03d}.png" for n in range(25)] + [
        f"p{n:03d}.png" for n in range(24, 32)
    ]
    assert [by_name[name] for name in ["broken1.png", *changed_and_new]] == list(range(67, 101))
    assert sync_story.skipped == {"broken2.png", "p032.png"}


def test_a_writer_killed_before_any_step_can_be_continued(story: Story) -> None:
    story.kill_before_steps(TRIES)


@pytest.mark.parametrize("verb", ["index", "sync", "compact"])
def test_a_writer_killed_at_a_random_moment_can_be_continued(
    verb: str, request: pytest.FixtureRequest
) -> None:
    story: Story = request.getfixturevalue(f"{verb}_story")
    story.kill_at_moments(TRIES // 2)


def test_decoders_do_not_outlive_a_killed_writer(writers: Writers, index_story: Story) -> None:
    lake = index_story.folder / "orphans.lake"
    assert (
        writers.run("index", lake, index_story.photos, kill_at=index_story.steps // 2)
        == -signal.SIGKILL
    )
    deadline = time.monotonic() + 60
    while writers.living_decoders() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert writers.living_decoders() == []


def test_compacting_makes_groups_which_a_kill_may_meet(compact_story: Story) -> None:
    lake = compact_story.folder / "undisturbed.lake"
    groups = read_manifest(Layout(lake))[0].groups
    assert groups is not None
    assert [path.name for path in (lake / "groups").iterdir()] == [groups.id]


def test_a_killed_writer_leaves_no_lock(writers: Writers, index_story: Story) -> None:
    lake = index_story.folder / "unlocked.lake"
    assert (
        writers.run("index", lake, index_story.photos, kill_at=index_story.steps // 2)
        == -signal.SIGKILL
    )
    assert json.loads((lake / "writer.json").read_text())["pid"] > 0, (
        "the note of the dead is still there"
    )
    assert writers.run("index", lake, index_story.photos) == 0
    assert not (lake / "writer.json").exists()
    assert read_manifest(Layout(lake))[0].live_rows == 66


def test_the_command_killed_at_random_moments_goes_on_with_sync(tmp_path: Path) -> None:
    """The real thing: `lakesift index` with the model that ships,
    its whole process group killed, then `sync`.
    """
    photos = tmp_path / "photos"
    for number in range(60):
        write_photo(photos / f"{number:02d}.png", (4 * number, 255 - number, number * 7 % 256))
    whole, killed = tmp_path / "whole.lake", tmp_path / "killed.lake"
    # commits by rows alone: on a slow machine one by the clock may come at any row
    environment = {
        **os.environ,
        "LAKESIFT_COMMIT_ROWS": "20",
        "LAKESIFT_FIRST_COMMIT_S": "1e9",
        "LAKESIFT_COMMIT_S": "1e9",
        "LAKESIFT_BATCH_SIZE": "4",
    }

    def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "service.cli", *map(str, arguments)]
        return subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    assert start("index", photos, "--into", whole).wait(120) == 0
    running = start("index", photos, "--into", killed)
    deadline = time.monotonic() + 60
    while (
        len(list(killed.glob("segments/*"))) < 1
        and running.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    before = contents(killed)
    assert len(before) in (0, 20, 40, 60)
    assert start("sync", killed).wait(120) == 0
    after = contents(killed)
    assert set(before.items()) <= set(after.items())
    assert after == contents(whole)
