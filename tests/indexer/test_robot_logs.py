"""Recordings through the life of a lake: indexed, unchanged, written anew in another format, cut
short and gone. Row ids and vectors stay with an image's bytes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import CompressionType

from indexer.disk.manifest import Moments, SourceEntry
from indexer.report import SyncReport
from indexer.sources.containers.robot.telemetry import column_of
from indexer.sources.sidecars import mark
from tests.fakes import ColourEmbedder
from tests.indexer.recordings import (
    CAMERA,
    RAW,
    START_NS,
    bag_of,
    mcap_of,
    photo,
    pose,
    raw,
    ros2_bag_of,
    speed,
    text,
)
from tests.indexer.test_shards import shown
from tests.lakes import BLUE, GREEN, LONG_AGO_S, RED, Desk, png, write

YELLOW_SQUARE = np.full((4, 4, 3), (255, 255, 0), np.uint8)
SENT = [
    photo(0, png(RED)),
    text(5),
    photo(1_000_000_000, png(GREEN, (5, 4))),
    raw(1_500_000_000, YELLOW_SQUARE, "rgb8"),
    photo(2_000_000_000, png(BLUE, (6, 4))),
]
FRONT = f"stream={CAMERA}&t=170000000"
IDS = {
    f"drive.mcap#{FRONT}0.000000": 1,
    f"drive.mcap#{FRONT}1.000000": 2,
    f"drive.mcap#stream={RAW}&t=1700000001.500000": 3,
    f"drive.mcap#{FRONT}2.000000": 4,
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ColourEmbedder())


@pytest.fixture
def drive(desk: Desk) -> Desk:
    """A drive of four images in chunks of one each, indexed."""
    write(desk.photos / "drive.mcap", mcap_of(SENT, chunk_size=1))
    desk.index()
    desk.model.calls.clear()
    return desk


def test_a_recording_becomes_rows_with_topic_time_and_frame(drive: Desk) -> None:
    assert drive.ids() == IDS
    row = drive.rows()[f"drive.mcap#stream={RAW}&t=1700000001.500000"]
    names = (
        "topic",
        "stream_id",
        "frame_id",
        "vector",
        "width_px",
        "height_px",
        "format",
        "size_bytes",
    )
    assert {name: row[name] for name in names} == {
        "topic": RAW,
        "stream_id": RAW,
        "frame_id": "front",
        "vector": [0.707, 0.707, 0],
        "width_px": 4,
        "height_px": 4,
        "format": "ppm",
        "size_bytes": len(b"P6\n4 4\n255\n") + 48,
    }
    assert str(row["log_time"]) == "2023-11-14 22:13:21.500000"
    assert row["etag"].startswith("mcap:")
    assert row["etag"].endswith(":4")
    assert shown(drive) == {
        1: png(RED),
        2: png(GREEN, (5, 4)),
        3: b"P6\n4 4\n255\n" + YELLOW_SQUARE.tobytes(),
        4: png(BLUE, (6, 4)),
    }


def test_an_unchanged_recording_is_not_opened(drive: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drive.manifest

    def refuse(*_: object) -> None:
        raise AssertionError("a recording was opened")

    monkeypatch.setattr("indexer.sources.containers.robot.log.open_file", refuse)
    report = drive.idle_sync()
    assert (report.unchanged, report.new, report.gone, report.problems) == (4, 0, 0, [])
    assert drive.manifest == before


def test_an_unchanged_recording_with_a_broken_image_is_not_opened_either(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = photo(500_000_000, b"no image")
    write(desk.photos / "drive.mcap", mcap_of([*SENT, broken]))
    report = desk.index()
    assert (report.new, report.skipped) == (4, 1)

    def refuse(*_: object) -> None:
        raise AssertionError("a recording was opened")

    monkeypatch.setattr("indexer.sources.containers.robot.log.open_file", refuse)
    report = desk.idle_sync()
    assert (report.unchanged, report.skipped, report.gone, report.problems) == (4, 1, 0, [])


def test_a_recording_that_goes_on_embeds_only_what_is_new(drive: Desk) -> None:
    longer = [*SENT, photo(3_000_000_000, png(RED, (7, 4)))]
    write(drive.photos / "drive.mcap", mcap_of(longer), LONG_AGO_S + 9)
    report = drive.sync()
    assert (report.new, report.unchanged, report.gone) == (1, 4, 0)
    assert sum(drive.model.calls) == 1
    assert drive.ids() == {**IDS, f"drive.mcap#{FRONT}3.000000": 5}


@pytest.mark.parametrize("compression", CompressionType)
def test_a_recording_that_is_chunked_and_compressed_anew_keeps_its_rows(
    drive: Desk, compression: CompressionType
) -> None:
    write(drive.photos / "drive.mcap", mcap_of(SENT, compression), LONG_AGO_S + 9)
    report = drive.idle_sync()
    assert (report.new, report.gone, report.unchanged, report.problems) == (0, 0, 4, [])
    assert drive.ids() == IDS
    assert shown(drive)[1] == png(RED)
    assert drive.idle_sync().unchanged == 4


def test_a_recording_in_another_format_keeps_its_rows(drive: Desk) -> None:
    (drive.photos / "drive.mcap").unlink()
    bag_of(drive.photos / "drive.bag", SENT)
    report = drive.idle_sync()
    assert (report.moved, report.new, report.gone) == (4, 0, 0)
    assert drive.ids() == {name.replace(".mcap", ".bag"): number for name, number in IDS.items()}
    (drive.photos / "drive.bag").unlink()
    ros2_bag_of(drive.photos / "drive", SENT)
    report = drive.idle_sync()
    assert (report.moved, report.new, report.gone) == (4, 0, 0)
    assert sorted(drive.ids().values()) == [1, 2, 3, 4]


def test_images_that_were_taken_out_of_a_recording_keep_their_rows(drive: Desk) -> None:
    (drive.photos / "drive.mcap").unlink()
    drive.add("red.png", RED)
    write(drive.photos / "yellow.ppm", b"P6\n4 4\n255\n" + YELLOW_SQUARE.tobytes())
    report = drive.idle_sync()
    assert (report.moved, report.new, report.gone) == (2, 0, 2)
    assert drive.ids() == {"red.png": 1, "yellow.ppm": 3}


def test_a_recording_that_is_cut_short_deletes_nothing(drive: Desk) -> None:
    path = drive.photos / "drive.mcap"
    whole = path.read_bytes()
    write(path, whole[: len(whole) // 3], LONG_AGO_S + 5)
    report = drive.idle_sync()
    [problem] = report.problems
    assert problem == (
        f"{path}: it is cut short: it ends at byte {len(whole) // 3:,}, within a record; "
        "the images that it had are kept"
    )
    assert (report.gone, report.rows) == (0, 4)
    write(path, whole, LONG_AGO_S + 6)
    report = drive.idle_sync()
    assert (report.problems, report.rows, report.new) == ([], 4, 0)
    assert drive.ids() == IDS


def test_a_recording_without_images_says_so_and_a_bag_does_not(desk: Desk) -> None:
    desk.add("loose.png", RED)
    write(desk.photos / "imu.mcap", mcap_of([text(0)]))
    bag_of(desk.photos / "imu.bag", [text(0)])
    write(desk.photos / "whole.mcap.zstd", b"\x28\xb5\x2f\xfd")
    write(desk.photos / "open.db3-wal", b"x")
    report = desk.index()
    assert (report.new, report.skipped, report.problems) == (1, 0, [])
    assert report.notes == [
        f"{desk.photos}/imu.mcap: there are no images in it",
        f"{desk.photos}/whole.mcap.zstd: it is a compressed recording, which is not read in place: "
        "unpack it (`zstd -d`, `gunzip`)",
    ]


def test_without_the_packages_a_recording_says_what_to_install_and_keeps_its_rows(
    drive: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(drive.photos / "drive.mcap", mcap_of(SENT), LONG_AGO_S + 9)
    for name in [
        name for name in sys.modules if name.startswith("indexer.sources.containers.robot.")
    ]:
        if not name.endswith(".log"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("mcap", "mcap.data_stream", "rosbags", "rosbags.serde", "lz4.frame", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    report = drive.idle_sync()
    assert report.problems == [
        f"{path}: robot logs need more packages: pip install 'lakesift[robot]'; "
        "the images that it had are kept"
    ]
    assert report.rows == 4


# -- every, join

SAID = [
    speed(0, 1.0),
    pose(100_000_000, 7.5),
    photo(0, png(RED)),
    photo(400_000_000, png(GREEN, (5, 4))),
    raw(450_000_000, YELLOW_SQUARE, "rgb8"),
    photo(500_000_000, png(BLUE, (6, 4))),
    speed(900_000_000, 2.0),
    photo(1_100_000_000, png(RED, (7, 4))),
    photo(1_500_000_000, png(GREEN, (8, 4))),
]


def index_moments(desk: Desk, moments: Moments) -> SyncReport:
    return desk.sync(add=[SourceEntry(str(desk.photos), moments=moments)])


def by_time(desk: Desk, *names: str) -> dict[float, tuple[Any, ...]]:
    """Seconds from the start -> values, of the compressed images."""
    return {
        (row["time_us"] - START_NS // 1_000) / 1e6: tuple(row[name] for name in names)
        for row in desk.rows().values()
        if row["stream_id"] == CAMERA
    }


def test_images_of_one_topic_are_so_far_apart(desk: Desk) -> None:
    write(desk.photos / "a.mcap", mcap_of(SAID))
    index_moments(desk, Moments(every_us=500_000))
    # 0.4 s is too near the first, 1.5 s too near 1.1 s
    assert by_time(desk, "topic") == {0.0: (CAMERA,), 0.5: (CAMERA,), 1.1: (CAMERA,)}
    assert len(desk.rows()) == 4


def test_sync_remembers_what_was_taken_and_another_choice_keeps_rows(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(desk.photos / "a.mcap", mcap_of(SAID))
    index_moments(desk, Moments(every_us=500_000, join=("/speed/data",)))
    before = desk.ids()
    with monkeypatch.context() as patch:
        patch.setattr("indexer.sources.containers.robot.log.open_file", None)
        assert desk.idle_sync().unchanged == 4
        assert desk.index().unchanged == 4  # given again, with nothing said of it
    report = index_moments(desk, Moments(every_us=1_000_000))
    assert (report.new, report.gone, report.rows) == (0, 1, 3)
    assert desk.ids().items() <= before.items()
    assert {row["speed_data"] for row in desk.rows().values()} == {None}
    report = index_moments(desk, Moments())
    assert (report.new, report.rows) == (3, 6)
    assert desk.manifest.sources == (SourceEntry(str(desk.photos), moments=Moments()),)


@pytest.mark.parametrize("suffix", ["mcap", "ros1.mcap", "bag", "db3"])
def test_the_nearest_message_in_time_is_joined(desk: Desk, suffix: str) -> None:
    if suffix == "bag":
        bag_of(desk.photos / "a.bag", SAID)
    elif suffix == "db3":
        ros2_bag_of(desk.photos / "a", SAID)
    else:
        write(desk.photos / f"a.{suffix}", mcap_of(SAID, is_ros1=suffix != "mcap"))
    index_moments(desk, Moments(join=("/speed/data", "/odom/pose/position/x")))
    assert by_time(desk, "speed_data", "odom_pose_position_x") == {
        0.0: (1.0, 7.5),
        0.4: (1.0, 7.5),
        0.5: (2.0, 7.5),
        1.1: (2.0, None),  # the pose is a second away
        1.5: (None, None),
    }
    index_moments(desk, Moments(join=("/speed/data",), within_us=600_000))
    assert by_time(desk, "speed_data")[1.5] == (2.0,)
    index_moments(desk, Moments(join=("/speed/data",), within_us=0))
    assert by_time(desk, "speed_data") == {0.0: (1.0,)} | dict.fromkeys(
        (0.4, 0.5, 1.1, 1.5), (None,)
    )


def test_the_longer_topic_has_the_field(desk: Desk) -> None:
    said = [*SAID, pose(100_000_000, 9.0, "/odom/pose")]
    write(desk.photos / "a.mcap", mcap_of(said))
    index_moments(desk, Moments(join=("/odom/pose/pose/position/x",)))
    assert by_time(desk, "odom_pose_pose_position_x")[0.0] == (9.0,)


def test_what_nothing_is_joined_for_is_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    path = write(desk.photos / "a.mcap", mcap_of(SAID))
    index_moments(desk, Moments(join=("/speedo/data", "/odom/pose", "/speed/x", "/odom/topic")))
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: nothing is joined for {why}"
        for why in (
            f"/speedo/data: no topic is of that name; there are {CAMERA}, {RAW}, /odom, /speed",
            "/odom/pose: geometry_msgs/msg/PoseStamped has no such single value",
            "/speed/x: std_msgs/msg/Float32 has no such single value",
            "/odom/topic: geometry_msgs/msg/PoseStamped has no such single value",
        )
    ]
    assert len(desk.rows()) == 6


def test_a_joined_column_hides_none_of_ours() -> None:
    assert column_of("/battery/percentage") == "battery_percentage"
    assert column_of("/frame/id") == "own_frame_id"
    assert column_of("/Log/time") == "own_Log_time"


def test_a_table_of_columns_speaks_of_a_whole_recording(desk: Desk) -> None:
    write(desk.photos / "drive.mcap", mcap_of(SENT))
    table = write(desk.root / "t.csv", b"path,weather\ndrive.mcap,rain\n")
    desk.index(columns=table)
    assert {row["weather"] for row in desk.rows().values()} == {"rain"}


def test_recordings_in_a_bucket(tmp_path: Path, bucket: tuple[str, Any], desk: Desk) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/logs/a.mcap", mcap_of(SENT, chunk_size=1))
    fs.pipe(f"{name}/logs/b.bag", bag_of(tmp_path / "b.bag", SENT[:1]).read_bytes())
    fs.pipe(f"{name}/logs/c.db3", ros2_bag_of(tmp_path / "c", SENT).read_bytes())
    report = desk.index(f"s3://{name}/logs/")
    assert report.new == 5
    assert report.problems == [
        f"s3://{name}/logs/c.db3: a database is not read from a store: make it an MCAP by "
        "`ros2 bag convert`, or copy it; the images that it had are kept"
    ]
    assert shown(desk)[4] == png(BLUE, (6, 4))
    assert shown(desk)[5] == png(RED)
    desk.idle_sync()
    assert desk.idle_sync().unchanged == 5


CHILD = """
import sys
from pathlib import Path
from tests.fakes import ColourEmbedder
from tests.lakes import Desk
Desk(Path(sys.argv[1]), ColourEmbedder()).index(commit_rows=1, batch_size=1, first_commit_s=0.0)
"""


@pytest.mark.slow
def test_kill_9_loses_nothing_and_doubles_nothing(desk: Desk) -> None:
    photos = [
        photo(n * 1_000_000, png((RED, GREEN, BLUE)[n % 3], (4 + n // 3, 4))) for n in range(48)
    ]
    write(desk.photos / "0.mcap", mcap_of(photos[:24], chunk_size=1_000))
    bag_of(desk.photos / "1.bag", photos[24:], chunk_bytes=1_000)
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(desk.root)], cwd=Path.cwd())
        segments = desk.lake / "segments"
        before = len(list(segments.iterdir())) if segments.is_dir() else 0
        while child.poll() is None:
            if segments.is_dir() and len(list(segments.iterdir())) >= before + 3:
                child.send_signal(signal.SIGKILL)
                break
            # the child needs the processor
            time.sleep(0.002)
        child.wait()
    report = desk.index()
    assert report.rows == 48
    assert len(set(desk.ids().values())) == 48
    assert len({row["sha256"] for row in desk.rows().values()}) == 48
    assert desk.idle_sync().unchanged == 48


def dark(time_ns: int, one: int) -> Any:
    """A raw image of 64 x 64 px that is dark but for 2 x 2 px of one grey."""
    pixels = np.full((64, 64, 1), 40, np.uint8)
    pixels[20:22, 40:42] = one
    return raw(time_ns, pixels, "mono8")


@pytest.mark.parametrize("suffix", ["mcap", "bag", "db3"])
def test_images_in_which_nothing_happens_are_one_row_of_their_topic(
    desk: Desk, suffix: str
) -> None:
    second = 1_000_000_000
    sent = [
        *(photo(number * second, png(RED, (8, 8))) for number in (0, 1, 2)),
        *(dark(number * second + 1, 40 + number) for number in (0, 1, 2)),
        photo(3 * second, b"no image at all"),
        photo(4 * second, png(RED, (8, 9))),
        dark(4 * second + 1, 250),
        dark(5 * second + 1, 255),
        photo(6 * second, png(BLUE, (8, 8))),
    ]
    if suffix == "mcap":
        path = write(desk.photos / "a.mcap", mcap_of(sent))
    else:
        path = (bag_of if suffix == "bag" else ros2_bag_of)(desk.photos / f"a.{suffix}", sent)
    still = Moments(join=("/speed/data",), still_permille=100)
    report = index_moments(desk, still)
    assert (report.new, report.skipped) == (4, 1)
    assert by_time(desk, "still_frames", "still_s", "frame_id") == {
        0.0: (4, 4.0, "front"),
        6.0: (1, 0.0, "front"),
    }
    grey = {
        row["time_us"] - START_NS // 1_000: (row["still_frames"], row["still_s"])
        for row in desk.rows().values()
        if row["stream_id"] == RAW
    }
    assert grey == {0: (3, 2.0), 4_000_000: (2, 1.0)}
    before = desk.ids()
    assert desk.idle_sync().unchanged == 4
    assert desk.manifest.sources == (SourceEntry(str(desk.photos), moments=still),)
    os.utime(path, (LONG_AGO_S + 60, LONG_AGO_S + 60))
    # What could not be read is tried again.
    assert (desk.sync().new, desk.ids()) == (0, before)
    report = index_moments(desk, Moments())
    assert (report.new, report.gone, report.rows) == (6, 0, 10)
    assert desk.ids().items() >= before.items()
    assert {row.get("still_frames") for row in desk.rows().values()} == {None}


def test_a_recording_of_a_lake_before_there_were_runs_is_not_opened(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken of it is part of its mark, and reads as it did."""
    write(desk.photos / "a.mcap", mcap_of(SAID))
    index_moments(desk, Moments(every_us=500_000, join=("/speed/data",)))
    [etag] = {row["etag"].rpartition(":")[0] for row in desk.rows().values()}
    status = (desk.photos / "a.mcap").stat()
    said = "Moments(every_us=500000, join=('/speed/data',), within_us=500000)"
    assert etag == f"mcap:{mark((status.st_size, status.st_mtime_ns // 1_000, None, said))}"
