"""What speaks of an image and cannot be read just now: told, kept as it was, and read by the next
sync.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from indexer.disk.manifest import SourceEntry
from tests.fakes import ColourEmbedder
from tests.indexer.sources.faulty import Faults, faulty
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, live_rows, png


@pytest.fixture
def network(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    monkeypatch.setattr("indexer.sources.store._PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    with faulty(s3_server) as faults:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faults.url)
        # an open file system is kept by its options, and would go on to ask the server itself
        monkeypatch.setattr("s3fs.S3FileSystem.cachable", False)
        yield faults
        faults.none()


def tar_of(members: dict[str, bytes]) -> tuple[bytes, dict[str, int]]:
    """A tar, and where the bytes of each member begin."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    with tarfile.open(fileobj=BytesIO(buffer.getvalue())) as tar:
        return buffer.getvalue(), {m.name: m.offset_data for m in tar.getmembers()}


def texts_fail(network: Faults, place: int) -> None:
    """Every text fails, also that of the shard, which begins at this place; -1: there is none."""

    def fault(method: str, path: str, part: str) -> str | None:
        is_text = path.partition("?")[0].endswith(".txt") or f"bytes={place}-" in part
        return "cut" if part and is_text else None

    network.fault = fault


def test_columns_that_a_store_does_not_give_come_with_the_next_sync(
    tmp_path: Path, bucket: tuple[str, Any], network: Faults
) -> None:
    name, fs = bucket
    shard, places = tar_of({"c.png": png(BLUE), "c.txt": b"in a shard"})
    files = {
        "photos/a.png": png(RED),
        "photos/a.txt": b"a caption",
        "photos/b.png": png(YELLOW),
        "photos/c.tar": shard,
        "yolo/images/d.png": png(GREEN),
        "yolo/labels/d.txt": b"0 .5 .5 1 1",
        "yolo/data.yaml": b"train: images\nnames: [dog, cat]\n",
    }
    for key, data in files.items():
        fs.pipe(f"{name}/{key}", data)
    desk = Desk(tmp_path, ColourEmbedder())
    sources = [f"s3://{name}/photos/", f"s3://{name}/yolo/data.yaml"]

    def said() -> list[Any]:
        rows = live_rows(desk.lake)
        a, b, c, d = (rows[f"s3://{name}/{place}"] for place in places_of)
        return [a["caption"], b["caption"], c["caption"], d.get("labels")]

    places_of = ["photos/a.png", "photos/b.png", "photos/c.tar#member=c.png", "yolo/images/d.png"]
    texts_fail(network, places["c.txt"])
    report = desk.sync(add=[SourceEntry(source) for source in sources])
    assert (report.new, report.skipped, report.problems) == (4, 0, [])
    assert said() == [None, None, None, None]
    [note] = report.notes
    assert note.startswith("columns of 3 images could not be read just now (first s3://")
    assert note.endswith("those that they had are kept, and the next sync reads them again")

    # as long as they fail nothing is written anew, and no image is read
    before = {segment.id for segment in desk.manifest.segments}
    report = desk.idle_sync()
    assert (report.unchanged, report.notes) == (4, [note])
    assert {segment.id for segment in desk.manifest.segments} == before

    network.none()
    report = desk.idle_sync()
    assert (report.unchanged, report.notes, report.problems) == (4, [], [])
    whole = ["a caption", None, "in a shard", ["dog"]]
    assert said() == whole

    # what a row had is kept while something new cannot be read
    shard, places = tar_of({"c.png": png(BLUE), "c.txt": b"another one"})
    fs.pipe(f"{name}/photos/c.tar", shard)
    fs.pipe(f"{name}/photos/a.txt", b"another caption")
    fs.pipe(f"{name}/yolo/labels/d.txt", b"1 .5 .5 1 1")
    texts_fail(network, places["c.txt"])
    report = desk.idle_sync()
    assert (report.unchanged, report.new, len(report.notes)) == (4, 0, 1)
    assert said() == whole
    network.none()
    assert desk.idle_sync().notes == []
    assert said() == ["another caption", None, "another one", ["cat"]]


def test_a_box_whose_label_file_cannot_be_read_just_now_is_kept(
    tmp_path: Path, bucket: tuple[str, Any], network: Faults
) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/images/d.png", png(GREEN, (40, 30)))
    fs.pipe(f"{name}/labels/d.txt", b"0 .5 .5 .5 .2")
    fs.pipe(f"{name}/data.yaml", b"train: images\nnames: [dog]\n")
    desk = Desk(tmp_path, ColourEmbedder())
    desk.sync(add=[SourceEntry(f"s3://{name}/data.yaml", crops=True)])
    places = {f"s3://{name}/images/d.png", f"s3://{name}/images/d.png#xywh=10,12,20,6"}
    assert set(live_rows(desk.lake)) == places
    fs.pipe(f"{name}/labels/d.txt", b"0 .5 .5 .5 .4")
    texts_fail(network, -1)
    report = desk.idle_sync()
    assert set(live_rows(desk.lake)) == places
    assert [text.partition(":")[0] for text in report.problems] == ["s3"]
    assert report.problems[0].endswith("; the images that it had are kept")
    network.none()
    report = desk.sync()
    assert (report.new, report.gone) == (1, 1)
    assert f"s3://{name}/images/d.png#xywh=10,9,20,12" in live_rows(desk.lake)


def test_a_local_sidecar_that_fails_is_read_by_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.sources import local

    desk = Desk(tmp_path, ColourEmbedder())
    for number in range(2):
        desk.add(f"{number}.png", RED, size=(4, 4 + number))
        (desk.photos / f"{number}.json").write_text(f'{{"caption": "{number}", "site": "north"}}')
    read = local.read_start

    def failing(path: bytes, count: int) -> bytes:
        if path.endswith(b"1.json"):
            raise OSError(5, "Input/output error")
        return read(path, count)

    monkeypatch.setattr(local, "read_start", failing)
    report = desk.index()
    assert report.notes == [
        f"columns of 1 image could not be read just now (first {desk.photos}/1.json: input/output "
        "error); those that they had are kept, and the next sync reads them again"
    ]
    assert [row["site"] for row in desk.rows().values()] == ["north", None]
    monkeypatch.setattr(local, "read_start", read)
    assert desk.idle_sync().notes == []
    rows = desk.rows().values()
    assert [(row["caption"], row["site"]) for row in rows] == [("0", "north"), ("1", "north")]
