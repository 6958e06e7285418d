"""What a lake is made of, against what was put into it."""

from __future__ import annotations

from pathlib import Path

from service.about import FormatFacts, Reason, SnapshotFacts, about
from service.lake import Lake
from tests.lakes import BLUE, GREEN, RED, Desk, write


def test_sources_formats_skipped_and_snapshots_are_those_that_there_are(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.add("green.png", GREEN)
    write(desk.photos / "a.jpg", b"no image")
    write(desk.photos / "b.jpg", b"no image either")
    write(desk.photos / "c.png", b"")
    desk.index()
    first = desk.manifest
    desk.add("blue.png", BLUE)
    (desk.photos / "red.png").unlink()
    write(tmp_path / "more" / "x.gif", (desk.photos / "green.png").read_bytes())
    desk.index(tmp_path / "more")
    with Lake.open(desk.lake, desk.model) as lake:
        told = about(lake.snapshot)
    assert [(source.uri, source.rows) for source in told.sources] == [
        (str(desk.photos), 2),
        (str(tmp_path / "more"), 1),
    ]
    assert (told.rows, told.other_rows, told.format, told.model, told.dim) == (
        3,
        0,
        1,
        "colours",
        3,
    )
    assert told.formats == (FormatFacts("png", 3),)
    assert told.skipped.files == 3
    said = desk.skipped()
    assert said["a.jpg"] == said["b.jpg"] != said["c.png"]
    assert told.skipped.reasons == (Reason(said["a.jpg"], 2), Reason(said["c.png"], 1))
    assert {Path(file.uri).name for file in told.skipped.shown} == {"a.jpg", "b.jpg", "c.png"}
    assert told.snapshots[0] == SnapshotFacts(told.snapshot, told.committed_at, 3)
    assert SnapshotFacts(first.snapshot, first.created, 2) in told.snapshots
    assert [each.snapshot for each in told.snapshots] == sorted(
        (each.snapshot for each in told.snapshots), reverse=True
    )
    assert told.size_bytes == desk.manifest.size_bytes


def test_a_lake_without_an_image_tells_nothing_wrong(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.index()
    (desk.photos / "red.png").unlink()
    desk.sync(allow_empty=True)
    with Lake.open(desk.lake, desk.model) as lake:
        told = about(lake.snapshot)
    assert (told.rows, told.formats, told.skipped.files) == (0, (), 0)
    assert [(source.uri, source.rows) for source in told.sources] == [(str(desk.photos), 0)]


def test_a_snapshot_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.index()
    desk.add("blue.png", BLUE)
    desk.sync()
    numbers = sorted(int(path.stem) for path in (desk.lake / "manifests").glob("*.json"))
    (desk.lake / "manifests" / f"{numbers[0]:06d}.json").write_text("{")
    with Lake.open(desk.lake, desk.model) as lake:
        told = about(lake.snapshot)
    assert [each.snapshot for each in told.snapshots] == numbers[:0:-1]
