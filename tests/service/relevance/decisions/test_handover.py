"""What was decided is handed over from where it lies by now."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import pytest

from service.lake import Lake
from service.relevance import Filter, Filters, Target
from tests.indexer.sources.containers.test_tar import tar_of
from tests.lakes import Desk, live_rows, png, write

IMAGES = {f"{number:02}.png": png((255, number * 9, 0), (12, 12)) for number in range(8)} | {
    f"{number:02}.png": png((0, number * 9, 255), (12, 12)) for number in range(8, 24)
}


def shards(desk: Desk, names: list[str], prefix: str, each: int) -> None:
    for path in desk.photos.glob("*"):
        path.unlink()
    for start in range(0, len(names), each):
        part = {f"{prefix}{name}": IMAGES[name] for name in names[start : start + each]}
        write(desk.photos / f"{prefix}{start:03}.tar", tar_of(part))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.photos.mkdir()
    shards(desk, sorted(IMAGES), "", 8)
    desk.index()
    return desk


def applied(lake: Lake) -> Filter:
    """Every image answered: the first eight are relevant, row 1 to 8."""
    reds = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.5, None, 0.5))
    for purpose in ("teach", "audit"):
        while rows := reds.next(6, purpose).rows:
            reds.label(
                [
                    {"row_id": row.row_id, "label": "yes" if row.row_id <= 8 else "no"}
                    for row in rows
                ]
            )
            if purpose == "teach":
                break
    reds.apply()
    return reds


def test_after_shards_were_dealt_out_anew_a_version_hands_over_the_same_images(
    desk: Desk, tmp_path: Path
) -> None:
    lake = Lake.open(desk.lake, desk.model)
    reds = applied(lake)
    before = {item.row_id: item for item in reds.decisions.items("keep", "drop")[0]}
    shards(desk, sorted(IMAGES, reverse=True), "again-", 5)
    report = desk.idle_sync()
    assert (report.new, report.moved, report.gone) == (0, 24, 0)
    lake.reload()
    items, _ = reds.decisions.items("keep", "drop")
    after = {item.row_id: item for item in items}
    assert {row_id: item.decision for row_id, item in after.items()} == {
        row_id: item.decision for row_id, item in before.items()
    }
    assert all("/again-" in item.uri for item in after.values())
    # all but the place is as it was decided on
    assert after[1].columns == {
        **before[1].columns,
        **{name: after[1].columns[name] for name in ("uri", "member", "offset")},
    }
    report_of = reds.export("webdataset", tmp_path / "out.tar", ("keep", "drop"))
    assert (report_of.items, report_of.skipped) == (24, [])
    with tarfile.open(report_of.files[0]) as tar:
        image, about = tar.extractfile(f"{5:012d}.png"), tar.extractfile(f"{5:012d}.json")
        assert image is not None and about is not None
        assert image.read() == IMAGES["04.png"]
        assert json.load(about)["uri"] == after[5].uri
    files = reds.export("yolo", tmp_path / "yolo", ("keep", "drop"), extract=tmp_path / "files")
    assert (files.items, files.extracted, files.skipped) == (24, 24, [])


def test_an_image_that_is_another_by_now_is_left_out(desk: Desk, tmp_path: Path) -> None:
    lake = Lake.open(desk.lake, desk.model)
    reds = applied(lake)
    for path in desk.photos.glob("*"):
        path.unlink()
    write(desk.photos / "000.tar", tar_of({"00.png": png((255, 255, 255))}))
    desk.sync()
    lake.reload()
    report = reds.export("webdataset", tmp_path / "out.tar", ("keep", "drop"))
    assert (report.items, len(report.skipped)) == (0, 24)


def test_a_hundred_shards_become_37_and_nothing_of_a_filter_is_lost(tmp_path: Path) -> None:
    """Some of them packed; the images of a shard lie in many others afterwards."""
    desk = Desk(tmp_path)
    names = [f"{number:03}.png" for number in range(200)]
    images = {name: png((255, int(name[:3]), 0), (12, 12)) for name in names}
    for shard in range(100):
        part = {name: images[name] for name in names[2 * shard : 2 * shard + 2]}
        write(desk.photos / f"{shard:03}.tar", tar_of(part))
    desk.index()
    lake = Lake.open(desk.lake, desk.model)
    reds = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.5, None, 0.5))
    said = {row_id: "yes" if row_id % 3 else "no" for row_id in range(1, 201, 2)}
    reds.label([{"row_id": row_id, "label": label} for row_id, label in said.items()])
    before = {row["sha256"]: row["row_id"] for row in live_rows(desk.lake).values()}
    for path in desk.photos.iterdir():
        path.unlink()
    for shard in range(37):
        data = tar_of({f"again/{name}": images[name] for name in names[shard::37]})
        is_packed = shard % 5 == 0
        path = desk.photos / f"{shard:02}{'.tgz' if is_packed else '.tar'}"
        write(path, gzip.compress(data) if is_packed else data)
    report = desk.idle_sync()
    assert (report.new, report.changed, report.moved, report.gone) == (0, 0, 200, 0)
    assert {row["sha256"]: row["row_id"] for row in live_rows(desk.lake).values()} == before
    lake.reload()
    again = Filters(lake).open("reds")
    assert {row_id: answer.label for row_id, answer in again.answers().items()} == said
    assert again.progress() == reds.progress()
