"""nuScenes sets through a lake's life: cameras, scenes and poses as columns, labels of boxes."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from indexer.disk.manifest import SourceEntry
from indexer.errors import SourceError
from indexer.preview import preview
from indexer.report import SyncReport
from indexer.sources.guard import Reach
from lakesift import Lake
from service.cli.main import main
from service.pictures.originals import IndexedImage, Originals
from tests.indexer.drives import BACK, FRONT, VERSION, Drive
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, live_rows, png, write

A, B, SWEEP = f"samples/{FRONT}/a.png", f"samples/{BACK}/b.png", f"sweeps/{FRONT}/c.png"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def drive(desk: Desk) -> Drive:
    """A car and a bus before the car, a person behind it, and something above it all."""
    made = Drive(desk.photos)
    made.picture("a.png", FRONT, RED)
    made.picture("b.png", BACK, GREEN)
    made.picture("c.png", FRONT, BLUE, is_key=False)
    made.data("samples/LIDAR_TOP/a.pcd.bin", "LIDAR_TOP")
    made.box("vehicle.car", (100.0, 220.0, 1.0))
    made.box("vehicle.car", (103.0, 230.0, 1.0))
    made.box("vehicle.bus.rigid", (96.0, 225.0, 1.5))
    made.box("human.pedestrian.adult", (100.0, 190.0, 1.0))
    made.box("movable_object.barrier", (100.0, 220.0, 40.0))
    made.write()
    return made


def labels(desk: Desk) -> dict[str, Any]:
    return {n: (row.get("labels"), row.get("box_count")) for n, row in desk.rows().items()}


def refused(desk: Desk, *named: str) -> str:
    """What a sync says that keeps every row."""
    before = desk.ids()
    report = desk.idle_sync()
    assert desk.ids() == before
    assert (report.gone, report.new, report.changed) == (0, 0, 0)
    [problem] = report.problems
    assert all(each in problem for each in (*named, "were kept")), problem
    return problem


def test_a_picture_has_its_camera_scene_time_and_pose(desk: Desk, drive: Drive) -> None:
    report = desk.index()
    assert (report.new, report.skipped, report.problems, report.notes) == (3, 0, [], [])
    row = desk.rows()[A]
    said = {name: row[name] for name in row if name.startswith("ego_") or name in (
        "camera", "captured_at", "scene", "scene_description", "location", "vehicle", "logfile",
        "is_key_frame", "sample_token", "sample_data_token",
    )}  # fmt: skip
    assert said == {
        "camera": "CAM_FRONT",
        "captured_at": datetime(2018, 7, 24, 3, 28, 47, 612460),
        "scene": "scene-0061",
        "scene_description": "Parked truck, construction",
        "location": "singapore-onenorth",
        "vehicle": "n015",
        "logfile": "n015-2018-07-24-11-22-45+0800",
        "is_key_frame": True,
        "sample_token": "sample",
        "sample_data_token": f"data {A}",
        "ego_x": 100.0,
        "ego_y": 200.0,
        "ego_z": 0.0,
        "ego_heading": 90.0,
        "ego_rotation": "[0.7071067811865476, 0.0, 0.0, 0.7071067811865476]",
    }
    assert [desk.rows()[n]["camera"] for n in (B, SWEEP)] == ["CAM_BACK", "CAM_FRONT"]
    originals = Originals()
    found = originals.read(IndexedImage.of(row, Reach.of(desk.manifest.sources)))
    assert found == (desk.photos / A).read_bytes()


def test_labels_are_of_the_boxes_that_are_in_the_picture(desk: Desk, drive: Drive) -> None:
    desk.index()
    assert labels(desk) == {
        A: (["vehicle.bus.rigid", "vehicle.car"], 3),
        B: (["human.pedestrian.adult"], 1),
        SWEEP: (None, None),  # between two key frames, where nobody looked
    }
    with Lake.open(desk.lake) as lake:
        assert len(lake.browse("'vehicle.car' IN labels AND camera = 'CAM_FRONT'")) == 1


def test_a_sync_of_the_same_tables_does_nothing(desk: Desk, drive: Drive) -> None:
    desk.index()
    for name in drive.tables:
        os.utime(desk.photos / VERSION / f"{name}.json")
    report = desk.idle_sync()
    assert (report.unchanged, report.new, report.gone, report.problems) == (3, 0, 0, [])


def test_another_label_changes_the_columns_of_the_same_row(desk: Desk, drive: Drive) -> None:
    desk.index()
    ids = desk.ids()
    drive.tables["category"][0]["name"] = "vehicle.truck"
    drive.write()
    report = desk.idle_sync()
    assert (desk.ids(), report.gone) == (ids, 0)
    assert labels(desk)[A] == (["vehicle.bus.rigid", "vehicle.truck"], 3)


def test_what_the_tables_do_not_name_any_more_leaves_the_lake(desk: Desk, drive: Drive) -> None:
    desk.index()
    drive.tables["sample_data"] = drive.tables["sample_data"][1:]
    drive.write()
    assert desk.idle_sync().gone == 1
    assert sorted(desk.ids()) == [B, SWEEP]


def test_a_picture_that_is_not_there_is_a_skip_with_its_reason(desk: Desk, drive: Drive) -> None:
    drive.data(f"samples/{BACK}/lost.png", BACK)
    write(desk.photos / f"samples/{BACK}/torn.png", png(RED, (16, 9))[:60])
    drive.data(f"samples/{BACK}/torn.png", BACK)
    drive.write()
    report = desk.index()
    assert (report.new, report.skipped) == (3, 2)
    assert desk.skipped()[f"samples/{BACK}/lost.png"] == "vanished: there is no such file any more"
    assert f"samples/{BACK}/torn.png" in desk.skipped()


def test_sweeps_that_were_not_fetched_are_told_of_once(desk: Desk, drive: Drive) -> None:
    for number in range(40):
        drive.data(f"sweeps/{BACK}/{number}.png", BACK, is_key=False)
    drive.write()
    report = desk.index()
    assert (report.new, report.skipped, report.problems) == (3, 0, [])
    assert report.notes == [
        f"{desk.photos}/sweeps/{BACK}: there is no such folder, of 40 pictures of the set"
    ]


def test_pictures_behind_a_link_that_leads_nowhere_are_kept(desk: Desk, drive: Drive) -> None:
    away = desk.root / "disk"
    (desk.photos / "sweeps").rename(away)
    (desk.photos / "sweeps").symlink_to(away)
    desk.index()
    ids = desk.ids()
    away.rename(desk.root / "unplugged")
    report = desk.idle_sync()
    assert desk.ids() == ids
    assert [f"sweeps/{FRONT}" in problem for problem in report.problems] == [True]


def test_a_folder_that_may_not_be_entered_keeps_its_rows(
    desk: Desk, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.index()
    ids = desk.ids()
    real = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        if isinstance(path, bytes) and b"/sweeps/" in path:
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    report = desk.idle_sync()
    assert (desk.ids(), report.gone) == (ids, 0)
    assert [("permission denied" in problem) for problem in report.problems] == [True]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("sample_data", '[{"token": "a"},\n', "cut short"),
        ("ego_pose", "", "cut short"),
        ("scene", '{"token": "a"}]', "damaged"),
        ("log", '[{"token": "a", "location": ]', "damaged"),
        ("sample", '[{"scene_token": "scene"}]', "no token"),
        ("ego_pose", '[{"token": "pose"}, {"token": "pose"}]', "two of its rows have the token pose"),
        ("sample_annotation", '[{"token": "a", "size": "large"}]', "damaged"),
    ],
)  # fmt: skip
def test_a_damaged_table_deletes_nothing(
    desk: Desk, drive: Drive, name: str, text: str, reason: str
) -> None:
    desk.index()
    drive.write_table(name, text)
    refused(desk, f"{name}.json", reason)
    # and so a table that is gone: the lake knows that this was no folder of any images
    drive.remove_table(name)
    if name != "sample_annotation":
        refused(desk, "nuScenes")


def test_a_set_without_annotations_has_no_labels(desk: Desk, drive: Drive) -> None:
    for name in ("sample_annotation", "instance", "category"):
        drive.tables[name] = []
    drive.write()
    desk.index()
    assert labels(desk) == dict.fromkeys((A, B, SWEEP), (None, None))
    assert desk.rows()[A]["scene"] == "scene-0061"


@pytest.mark.parametrize(
    ("field", "value"),
    [("translation", [1.0, 2.0]), ("rotation", [0.0] * 4), ("size", None), ("instance_token", "x")],
)
def test_a_box_that_is_not_understood_says_nothing_of_its_sample(
    desk: Desk, drive: Drive, field: str, value: Any
) -> None:
    drive.tables["sample_annotation"][0][field] = value
    drive.write()
    report = desk.index()
    assert labels(desk) == dict.fromkeys((A, B, SWEEP), (None, None))
    assert [("category" in note) for note in report.notes] == ([True] if value == "x" else [])


def test_what_leads_out_of_the_set_or_nowhere_is_told(desk: Desk, drive: Drive) -> None:
    write(desk.root / "secret.png", png(YELLOW))
    drive.data("../secret.png", FRONT)
    drive.data(str(desk.root / "secret.png"), FRONT)
    drive.data(f"samples/{FRONT}/of-no-sensor.png", "CAM_LOST")
    drive.write()
    report = desk.index()
    assert report.new == 3
    tables = desk.photos / VERSION
    assert report.notes == [
        f"{tables}: 1 of its sample_data name no sensor that is there, and are passed over",
        f"{tables}: 2 names lead out of the set, and are passed over",
    ]


def test_of_several_sets_of_tables_one_is_named(desk: Desk, drive: Drive) -> None:
    trainval = desk.photos / "v1.0-trainval"
    trainval.mkdir()
    for name in drive.tables:
        (trainval / f"{name}.json").write_bytes(
            (desk.photos / VERSION / f"{name}.json").read_bytes()
        )
    with pytest.raises(SourceError, match=r"several sets of tables \(v1.0-mini, v1.0-trainval\)"):
        desk.index()
    assert desk.index(desk.photos / VERSION).new == 3
    [entry] = desk.manifest.sources
    assert entry == SourceEntry(str(desk.photos / VERSION / "sample_data.json"), layout="nuscenes")
    row = desk.rows()[A]
    assert row["scene"] == "scene-0061"
    assert Originals().read(IndexedImage.of(row, Reach.of(desk.manifest.sources)))
    assert desk.idle_sync().unchanged == 3


def test_the_users_table_has_the_last_word(desk: Desk, drive: Drive) -> None:
    table = write(desk.root / "my.csv", f"path,scene,weather\n{A},my scene,rain\n".encode())
    desk.index(columns=table)
    row = desk.rows()[A]
    assert (row["scene"], row["weather"], row["camera"]) == ("my scene", "rain", "CAM_FRONT")


def test_a_recompute_keeps_what_the_set_says(desk: Desk, drive: Drive) -> None:
    desk.index()
    report = desk.sync(recompute=["camera", "captured_at", "phash"])
    assert report.recomputed == 0
    assert (desk.rows()[A]["camera"], desk.rows()[A]["captured_at"].year) == ("CAM_FRONT", 2018)


def test_a_set_may_be_read_as_a_folder_of_images(desk: Desk, drive: Drive) -> None:
    report: SyncReport = desk.sync(add=[SourceEntry(str(desk.photos), layout="folder")])
    assert report.new == 3
    assert "scene" not in desk.rows()[A]


def test_what_is_no_such_set_is_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    write(desk.photos / "v1.0-mini/sample_data.json", b"[]")
    for arguments in (["--as", "nuscenes"], ["--as", "nuscenes", "--crops"]):
        command = ["index", str(desk.photos), *arguments, "--into", str(desk.lake)]
        assert main(command) == 1
        said = capsys.readouterr().err
        assert ("no nuScenes set" in said) or ("leave out --crops" in said)
    assert not desk.lake.exists()


def test_a_plan_counts_its_pictures(desk: Desk, drive: Drive) -> None:
    [total] = preview(None, lambda _: desk.model, add=[SourceEntry(str(desk.photos))]).totals
    assert (total.source, total.kind, total.new) == (str(desk.photos), "file", 3)


def test_every_row_is_of_a_camera(desk: Desk, drive: Drive) -> None:
    desk.index()
    assert {Path(uri).suffix for uri in live_rows(desk.lake)} == {".png"}
