"""Shards in a gzip through the life of a lake: nothing is unpacked to a disk, and where reading can
begin is kept in the lake, for as long as it can be used, and made again.
"""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from indexer.disk.layout import Layout
from indexer.errors import ImageGone
from indexer.preview import preview
from indexer.run.writing.compact import vacuum_lake
from indexer.sources.containers.packed import gzip_points, seek_file
from indexer.sources.guard import Reach
from service.pictures.originals import IndexedImage, Originals
from tests.fakes import ColourEmbedder
from tests.indexer.sources.faulty import faulty
from tests.indexer.test_shards import names, sample, write_shards
from tests.lakes import BLUE, GREEN, LONG_AGO_S, RED, Desk, live_rows, png, write

FIRST = [sample("a", "red"), sample("bb", "green")]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ColourEmbedder())


@pytest.fixture
def two(desk: Desk) -> Desk:
    """Two shards as WebDataset packs them, of three images in all, indexed."""
    write_shards(desk.photos, {"0.tar.gz": FIRST, "1.tgz": [sample("ccc", "blue")]})
    desk.index()
    desk.model.calls.clear()
    return desk


def seeks(desk: Desk) -> list[Path]:
    return sorted(Layout(desk.lake).seeks.iterdir())


def shown(desk: Desk) -> dict[int, bytes]:
    """Row id -> what a picture of it is made of, as who reads the lake finds it."""
    originals = Originals()
    return {
        row["row_id"]: originals.read(
            IndexedImage.of(row, Reach([row["source"]], seeks=Layout(desk.lake).seeks))
        )
        for row in live_rows(desk.lake).values()
    }


ALL = {1: png(RED, (5, 4)), 2: png(GREEN, (6, 4)), 3: png(BLUE, (7, 4))}


def test_packed_shards_become_rows_with_captions_columns_and_classes(two: Desk) -> None:
    assert names(two) == {"0.tar.gz/a.png": 1, "0.tar.gz/bb.png": 2, "1.tgz/ccc.png": 3}
    row = live_rows(two.lake)[f"{two.photos}/0.tar.gz#member=bb.png"]
    told = ("caption", "site", "number", "label", "vector", "offset", "length")
    assert [row[name] for name in told] == ["a green square", "north", 2, 1, [0, 1, 0], None, None]
    assert row["etag"].startswith("tar.gz:")
    assert row["etag"].endswith(":2")
    assert len(seeks(two)) == 2


def test_an_unchanged_one_is_not_opened_and_is_shown_by_the_lakes_index(
    two: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = two.manifest

    def refuse(*_: object) -> None:
        raise AssertionError("a whole tar was unpacked")

    monkeypatch.setattr("indexer.sources.containers.packed.tar.find_points", refuse)
    report = two.idle_sync()
    assert (report.unchanged, report.new, report.problems) == (3, 0, [])
    assert two.manifest == before
    assert shown(two) == ALL


def test_an_index_that_is_gone_or_damaged_is_made_again(two: Desk) -> None:
    whole = [path.read_bytes() for path in seeks(two)]
    first, second = seeks(two)
    first.unlink()
    second.write_bytes(whole[1][:200] + b"x" + whole[1][201:])
    assert shown(two) == ALL, "by looking through the tar"
    assert not first.exists(), "who reads a lake writes nothing into it"
    report = two.idle_sync()
    assert (report.unchanged, report.problems) == (3, [])
    assert first.read_bytes() == whole[0]


def test_one_that_somebody_made_up_gives_nothing_away(two: Desk) -> None:
    for path in seeks(two):
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            row["members"] = [{**each, "offset": each["offset"] + 9} for each in row["members"]]
        made_up = table.from_pylist(rows, schema=table.schema)
        pq.write_table(made_up, path)
    originals = Originals()
    for row in live_rows(two.lake).values():
        reach = Reach([row["source"]], seeks=Layout(two.lake).seeks)
        with pytest.raises(ImageGone, match="it has changed since it was indexed"):
            originals.read(IndexedImage.of(row, reach))


def test_packed_unpacked_and_dealt_out_anew_every_image_keeps_its_row(two: Desk) -> None:
    data = gzip.decompress((two.photos / "0.tar.gz").read_bytes())
    (two.photos / "0.tar.gz").unlink()
    write(two.photos / "0.tar", data)
    report = two.idle_sync()
    assert (report.moved, report.new, report.gone) == (2, 0, 0)
    (two.photos / "0.tar").unlink()
    write(two.photos / "again.tgz", gzip.compress(data, 1))
    report = two.idle_sync()
    assert (report.moved, report.new, report.gone) == (2, 0, 0)
    assert names(two) == {"again.tgz/a.png": 1, "again.tgz/bb.png": 2, "1.tgz/ccc.png": 3}
    assert shown(two) == ALL
    # of the tar that is gone, and of one of before
    assert len(seeks(two)) == 3
    write_shards(two.photos, {"1.tgz": [sample("ccc", "blue"), sample("dddd", "red")]})
    assert two.sync().new == 1
    assert len(seeks(two)) == 4
    vacuum_lake(two.lake, keep_s=0)
    left = [path.name for path in seeks(two)]
    assert [name.partition("-")[0] for name in left] == sorted(
        seek_file.tar_part(f"{two.photos}/{name}") for name in ("1.tgz", "again.tgz")
    )
    assert two.idle_sync().unchanged == 4
    assert [path.name for path in seeks(two)] == left


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-300], lambda data: b"", lambda data: b"x" + data]
)
def test_one_that_is_damaged_deletes_nothing(two: Desk, damage: Any) -> None:
    path = two.photos / "0.tar.gz"
    whole = path.read_bytes()
    write(path, damage(whole), LONG_AGO_S + 5)
    report = two.sync()
    assert (report.gone, report.rows, len(report.problems)) == (0, 3, 1)
    assert report.problems[0].endswith("; the images that it had are kept")
    assert " it is " in report.problems[0] or "its gzip is " in report.problems[0]
    write(path, whole, LONG_AGO_S + 6)
    report = two.idle_sync()
    assert (report.problems, report.rows) == ([], 3)


def test_a_bomb_is_refused_with_a_sentence_and_costs_nothing(
    two: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.sources.containers.packed.scan._SMALL_BYTES", 1 << 20)
    write(two.photos / "bomb.tar.gz", gzip.compress(bytes(10 << 20)))
    report = two.idle_sync()
    assert (report.unchanged, report.rows) == (3, 3)
    assert report.problems == [
        f"{two.photos}/bomb.tar.gz: it holds more than 100 times its size, as no tar of photos "
        "does; unpack it yourself; the images that it had are kept"
    ]


def test_an_image_over_several_pieces(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_points, "_SPACING_BYTES", 1 << 16)
    monkeypatch.setattr(gzip_points, "_READ_BYTES", 1 << 14)
    noise = io.BytesIO()
    pixels = random.Random(1).randbytes(300 * 400 * 3)
    Image.frombytes("RGB", (300, 400), pixels).save(noise, "PNG", compress_level=0)
    large = noise.getvalue()
    assert len(large) > 5 << 16
    write_shards(
        desk.photos, {"0.tgz": [*FIRST, {"__key__": "z", "png": large}, sample("ccc", "blue")]}
    )
    assert desk.index().new == 4
    [index] = seeks(desk)
    assert pq.read_metadata(index).num_rows > 4
    assert names(desk)["0.tgz/z.png"] == 3
    assert shown(desk) == ALL | {3: large, 4: ALL[3]}


def test_a_preview_writes_nothing_into_the_lake(two: Desk) -> None:
    write_shards(two.photos, {"2.tgz": [sample("eeeee", "red")]})
    before = seeks(two)
    found = preview(two.lake, lambda _: two.model)
    assert found.to_index == 1
    assert seeks(two) == before


def test_in_a_bucket_one_image_is_one_request_for_a_part(
    tmp_path: Path,
    bucket: tuple[str, Any],
    s3_server: str,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, fs = bucket
    write_shards(tmp_path / "local", {"0.tgz": FIRST, "1.tar": [sample("ccc", "blue")]})
    for path in (tmp_path / "local").iterdir():
        fs.pipe(f"{name}/shards/{path.name}", path.read_bytes())
    report = desk.index(f"s3://{name}/shards/")
    assert (report.new, report.problems) == (3, [])
    assert desk.idle_sync().unchanged == 3
    asked: list[tuple[str, str]] = []

    def note(method: str, path: str, part: str) -> None:
        if "shards/" in path and "list-type" not in path:
            asked.append((method, part))

    with faulty(s3_server) as network:
        network.fault = note
        monkeypatch.setenv("AWS_ENDPOINT_URL", network.url)
        monkeypatch.setattr("s3fs.S3FileSystem.cachable", False)
        originals, by_id = Originals(), {}
        for address, row in sorted(live_rows(desk.lake).items()):
            asked.clear()
            reach = Reach([row["source"]], seeks=Layout(desk.lake).seeks)
            by_id[row["row_id"]] = originals.read(IndexedImage.of(row, reach))
            parts = [part for _, part in asked if part]
            if address.endswith("0.tgz#member=bb.png"):
                # the piece that the first one lies in is still there
                assert parts == []
            else:
                assert len(parts) == 1
            if "1.tar" in address:
                first, length = row["offset"], row["length"]
                assert asked == [("GET", f"bytes={first}-{first + length - 1}")]
        network.fault = lambda method, path, part: None
    assert by_id == ALL
