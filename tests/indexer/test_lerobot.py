"""LeRobot sets through a lake's life: two that LeRobot's own writer made (`tests/data/lerobot`),
and those in other states and versions.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.disk.manifest import SourceEntry
from indexer.errors import SourceError
from indexer.preview import preview
from indexer.sources.containers.video import ffmpeg
from indexer.sources.guard import Reach
from lakesift import Lake
from service.cli.main import main
from service.pictures.originals import IndexedImage, Originals
from tests.lakes import LONG_AGO_S, Desk, live_rows

MADE = Path(__file__).parents[1] / "data/lerobot"
TOP, WRIST = "observation.images.top", "observation.images.wrist"
EPISODES, TASKS, INFO = "meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet", "meta/info.json"  # fmt: skip
DATA = "data/chunk-000/file-000.parquet"
RED, GREEN, BLUE, YELLOW = [1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.7, 0.7, 0]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def settled(path: Path) -> None:
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))


def laid(desk: Desk, name: str) -> Path:
    """A copy of one of the sets, in the place of the photos."""
    shutil.copytree(MADE / name, desk.photos, copy_function=shutil.copyfile)
    for path in desk.photos.rglob("*.*"):
        settled(path)
    return desk.photos


@pytest.fixture
def videos(desk: Desk) -> Path:
    return laid(desk, "videos")


@pytest.fixture
def images(desk: Desk) -> Path:
    return laid(desk, "images")


def frames(desk: Desk, camera: str = TOP) -> dict[tuple[int, int], dict[str, Any]]:
    """Episode and frame -> row, of one camera."""
    rows = [row for row in live_rows(desk.lake).values() if row["camera"] == camera]
    return {(row["episode_index"], row["frame_index"]): row for row in rows}


def vector(row: dict[str, Any]) -> list[float]:
    return [round(part, 1) for part in row["vector"]]


def edit(path: Path, change: Callable[[dict[str, list[Any]]], object]) -> None:
    """Write a table anew with other values, a moment later."""
    table = pq.read_table(path)
    values = table.to_pydict()
    change(values)
    length = {len(column) for column in values.values()}
    assert len(length) == 1
    kinds = {name: table.schema.field(name).type for name in values}
    pq.write_table(pa.table({n: pa.array(v, kinds[n]) for n, v in values.items()}), path)
    os.utime(path, (LONG_AGO_S + 1, LONG_AGO_S + 1))


def edit_info(root: Path, **changes: Any) -> None:
    path = root / INFO
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    settled(path)


def kept(desk: Desk, *words: str) -> None:
    """A sync keeps every row as it is, and says these words."""
    before = live_rows(desk.lake)
    report = desk.idle_sync()
    assert live_rows(desk.lake) == before
    assert report.gone == 0
    told = " ".join([*report.problems, *report.notes])
    assert all(word in told for word in words), told


# what is read


def test_each_second_of_each_episode_is_a_row_of_each_camera(desk: Desk, videos: Path) -> None:
    report = desk.index()
    assert (report.new, report.skipped, report.problems, report.notes) == (18, 0, [], [])
    top = frames(desk)
    # Episodes of 25, 13 and 31 frames at 10 a second, one behind the other in one file.
    assert {place: row["time_us"] / 1e6 for place, row in top.items()} == {
        (0, 0): 0.0, (0, 10): 1.0, (0, 20): 2.0,
        (1, 0): 2.5, (1, 10): 3.5,
        (2, 0): 3.8, (2, 10): 4.8, (2, 20): 5.8, (2, 30): 6.8,
    }  # fmt: skip
    assert [vector(row) for _, row in sorted(top.items())] == [RED] * 3 + [GREEN] * 2 + [BLUE] * 4
    assert [vector(row) for row in frames(desk, WRIST).values()] == [YELLOW] * 9
    [entry] = desk.manifest.sources
    assert entry == SourceEntry(str(videos), layout="lerobot")


def test_a_frame_has_what_was_known_of_it(desk: Desk, videos: Path) -> None:
    desk.index()
    row = frames(desk)[2, 30]
    said = {name: row[name] for name in row if name in desk.manifest.columns}
    assert said == {
        "episode_index": 2,
        "frame_index": 30,
        "index": 68,  # of 69 in the set
        "timestamp": 3.0,
        "task": "open the drawer",
        "split": "train",
        "observation_state_pan_pos": 5.0,
        "observation_state_lift_pos": -3.0,
        "action_0": 30.0,
        "action_1": 2.0,
        "next_done": True,
    }
    assert [frames(desk)[0, n]["observation_state_pan_pos"] for n in (0, 10)] == [0.0, 1.0]
    assert frames(desk)[1, 10]["task"] == "pick the cube"
    with Lake.open(desk.lake) as lake:
        found = lake.browse(f"task = 'pick the cube' AND camera = '{WRIST}' AND timestamp >= 1")
    assert len(found) == 3  # of 2.5 s those at 1 s and 2 s, of 1.3 s that at 1 s


def test_a_frame_can_be_shown(desk: Desk, videos: Path) -> None:
    desk.index()
    row = frames(desk)[1, 10]
    data = Originals().read(IndexedImage.of(row, Reach.of(desk.manifest.sources)))
    assert len(data) == row["size_bytes"]


def test_images_in_parquet_are_rows_of_each_camera(desk: Desk, images: Path) -> None:
    report = desk.index()
    assert (report.new, report.skipped, report.problems, report.notes) == (6, 0, [], [])
    # 12 and 5 frames at 10 a second
    top = frames(desk)
    assert {place: vector(row) for place, row in top.items()} == {
        (0, 0): RED, (0, 10): RED, (1, 0): BLUE,
    }  # fmt: skip
    row = top[0, 10]
    assert (row["member"], row["uri"]) == (TOP, str(images / DATA))
    assert (row["task"], row["action_0"], row["timestamp"]) == ("pick the cube", 10.0, 1.0)
    assert list(frames(desk, WRIST)) == [(0, 0), (0, 10), (1, 0)]
    for each in live_rows(desk.lake).values():
        data = Originals().read(IndexedImage.of(each, Reach.of(desk.manifest.sources)))
        assert (len(data), data[:4]) == (each["size_bytes"], b"\x89PNG")
    assert desk.idle_sync().unchanged == 6


def test_other_frames_may_be_asked_for(desk: Desk, videos: Path) -> None:
    desk.index()
    ids = {place: row["row_id"] for place, row in frames(desk).items()}
    report = desk.sync(add=[SourceEntry(str(videos), frames="500ms")])
    # 25 frames are 2.5 s: 0, 5 .. 20; 13 are 1.3 s: 0, 5, 10; 31 are 3.1 s: 0, 5 .. 30
    now = frames(desk)
    assert sorted(now) == [
        *((0, n) for n in range(0, 25, 5)), *((1, n) for n in (0, 5, 10)),
        *((2, n) for n in range(0, 31, 5)),
    ]  # fmt: skip
    assert {place: now[place]["row_id"] for place in ids} == ids
    assert (report.new, report.gone) == (2 * (15 - 9), 0)
    assert desk.idle_sync().unchanged == 30


def cut_into_episodes(root: Path) -> None:
    """The set as version 2.1 has it: a file for each episode, the same frames."""
    for camera in (TOP, WRIST):
        joined = root / f"videos/{camera}/chunk-000/file-000.mp4"
        folder = root / f"videos/chunk-000/{camera}"
        folder.mkdir(parents=True)
        command = ["ffmpeg", "-v", "error", "-i", str(joined), "-c", "copy", "-f", "segment"]
        command += ["-segment_frames", "25,38", "-reset_timestamps", "1"]
        subprocess.run(
            [*command, str(folder / "episode_%06d.mp4")], check=True, stdin=subprocess.DEVNULL
        )
        shutil.rmtree(root / f"videos/{camera}")
    rows = pq.read_table(root / DATA)
    for episode in range(3):
        here = rows.filter(pa.compute.equal(rows["episode_index"], episode))
        pq.write_table(here, root / f"data/chunk-000/episode_{episode:06d}.parquet")
    (root / DATA).unlink()
    names = ["pick the cube", "pick the cube", "open the drawer"]
    (root / "meta/episodes.jsonl").write_text(
        "".join(
            json.dumps({"episode_index": n, "tasks": [names[n]], "length": length}) + "\n"
            for n, length in enumerate((25, 13, 31))
        )
    )
    (root / "meta/tasks.jsonl").write_text(
        '{"task_index": 0, "task": "pick the cube"}\n{"task_index": 1, "task": "open the drawer"}\n'
    )
    shutil.rmtree(root / "meta/episodes")
    (root / TASKS).unlink()
    edit_info(
        root,
        codebase_version="v2.1",
        data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    )
    for path in root.rglob("*.*"):
        settled(path)


def test_the_set_in_the_older_layout_has_the_same_rows(desk: Desk, videos: Path) -> None:
    desk.index()
    before = frames(desk)
    cut_into_episodes(videos)
    report = desk.idle_sync()
    assert (report.moved, report.gone, report.problems) == (18, 0, [])
    after = frames(desk)
    own = set(desk.manifest.columns) | {"row_id", "sha256", "camera"}
    assert {p: {n: row[n] for n in own} for p, row in after.items()} == {
        p: {n: row[n] for n in own} for p, row in before.items()
    }
    assert {Path(row["uri"]).name for row in after.values()} == {
        f"episode_{n:06d}.mp4" for n in range(3)
    }


# sync


def test_an_unchanged_set_opens_no_video(
    desk: Desk, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.index()

    def opened(*_: Any) -> Any:
        raise AssertionError("a video was opened")

    monkeypatch.setattr(ffmpeg, "probe", opened)
    assert desk.idle_sync().unchanged == 18


def test_another_task_is_read_without_decoding_a_frame(
    desk: Desk, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.index()
    ids = {place: row["row_id"] for place, row in frames(desk).items()}
    edit(videos / EPISODES, lambda v: v.update(tasks=[["pick"], ["pick"], ["open the drawer"]]))
    edit(videos / TASKS, lambda v: v.update({"__index_level_0__": ["pick", "open the drawer"]}))

    def decoded(*_: Any) -> Any:
        raise AssertionError("a frame was decoded")

    monkeypatch.setattr(ffmpeg, "decode", decoded)
    report = desk.idle_sync()
    assert (report.unchanged, report.gone, report.problems) == (18, 0, [])
    assert {place: row["row_id"] for place, row in frames(desk).items()} == ids
    assert [frames(desk)[place]["task"] for place in ((0, 0), (2, 0))] == [
        "pick",
        "open the drawer",
    ]


def test_an_episode_that_was_taken_out_leaves_the_lake(
    desk: Desk, videos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk.index()
    ids = {place: row["row_id"] for place, row in frames(desk).items()}
    edit(videos / EPISODES, lambda v: v.update({n: [c[0], c[2]] for n, c in v.items()}))
    with caplog.at_level(logging.WARNING):
        assert desk.idle_sync().gone == 4
    assert {place: row["row_id"] for place, row in frames(desk).items()} == {
        place: row_id for place, row_id in ids.items() if place[0] != 1
    }
    assert [r for r in caplog.messages if "13 frames are of no episode" in r and TOP in r]


@pytest.mark.parametrize("name", [INFO, EPISODES, TASKS])
def test_a_damaged_table_of_the_set_keeps_its_rows(desk: Desk, videos: Path, name: str) -> None:
    desk.index()
    whole = (videos / name).read_bytes()
    (videos / name).write_bytes(whole[: len(whole) // 2])
    kept(desk, name, "18 rows were kept")
    (videos / name).unlink()
    if name != TASKS:
        kept(desk, "18 rows were kept")


@pytest.mark.parametrize("is_gone", [True, False])
def test_damaged_rows_of_frames_keep_what_the_lake_knows(
    desk: Desk, videos: Path, is_gone: bool
) -> None:
    desk.index()
    whole = (videos / DATA).read_bytes()
    (videos / DATA).write_bytes(whole[:100])
    if is_gone:
        (videos / DATA).unlink()
    kept(desk, "2 files of it are left out", "rows of their frames cannot be read")
    (videos / DATA).write_bytes(whole)
    report = desk.idle_sync()
    assert (report.unchanged, report.notes) == (18, [])
    assert frames(desk)[2, 30]["action_0"] == 30.0


def test_a_video_that_is_not_there_keeps_its_rows(desk: Desk, videos: Path) -> None:
    desk.index()
    (videos / f"videos/{TOP}/chunk-000/file-000.mp4").unlink()
    kept(desk, "1 file of it is left out: the set's tables name them, and they are not there")


def test_a_set_without_its_rows_has_what_its_episodes_say(
    desk: Desk, videos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (videos / DATA).unlink()
    with caplog.at_level(logging.WARNING):
        assert desk.index().new == 18
    row = frames(desk)[2, 20]
    assert (row["task"], row["timestamp"], row.get("action_0")) == ("open the drawer", 2.0, None)
    assert len([each for each in caplog.messages if DATA in each]) == 1


# what is refused


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"codebase_version": "v4.0"}, "its version is 'v4.0'"),
        ({"fps": 0}, "its fps is 0"),
        ({"features": []}, "features are no JSON object"),
        ({"data_path": "../{chunk_index}/{file_index}.parquet"}, "is not in the set"),
        ({"video_path": "/etc/{video_key}/{chunk_index}{file_index}.mp4"}, "is not in the set"),
        ({"data_path": "data/{secret}.parquet"}, "unknown field secret"),
        ({"data_path": 7}, "data_path is not a text"),
    ],
)
def test_a_description_that_cannot_be_is_told(
    desk: Desk, videos: Path, changes: dict[str, Any], reason: str
) -> None:
    edit_info(videos, **changes)
    with pytest.raises(SourceError, match=reason):
        desk.sync(add=[SourceEntry(str(videos), layout="lerobot")])
    assert not desk.lake.exists()


def test_an_episode_that_is_there_twice_is_told(desk: Desk, videos: Path) -> None:
    edit(videos / EPISODES, lambda v: v.update(episode_index=[0, 1, 1]))
    with pytest.raises(SourceError, match="the episode 1 is there twice"):
        desk.index()


def test_what_is_no_such_set_is_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.photos.mkdir()
    command = ["index", str(desk.photos), "--into", str(desk.lake), "--as", "lerobot"]
    assert main(command) == 1
    assert f"{desk.photos}/meta/info.json: it cannot be read: no such" in capsys.readouterr().err
    assert main([*command, "--crops"]) == 1
    assert "leave out --crops" in capsys.readouterr().err


def test_a_set_without_its_videos_says_so(
    desk: Desk, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", str(videos), "--no-video", "--into", str(desk.lake)]) == 1
    assert "there are no image files in it" in capsys.readouterr().err


def test_a_plan_counts_its_frames(desk: Desk, videos: Path) -> None:
    found = preview(None, lambda _: desk.model, add=[SourceEntry(str(videos))])
    [total] = found.totals
    assert (total.kind, total.containers, total.new, found.to_index) == ("video", 2, 18, 18)
