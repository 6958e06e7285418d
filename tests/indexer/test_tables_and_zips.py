"""Zips, Parquet files with images in them, and tables that name images, through a lake's life."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from indexer.address import Address
from indexer.errors import ImageGone, SourceError, UnreadableImage
from indexer.sources.bytes_of import BytesOf
from indexer.sources.guard import Reach
from service.pictures.originals import IndexedImage, Originals
from tests.fakes import ColourEmbedder
from tests.indexer.run.test_recompute import make_old, recompute
from tests.indexer.sources.containers.test_tar import tar_of
from tests.lakes import (
    BLUE,
    GREEN,
    LONG_AGO_S,
    RED,
    YELLOW,
    Desk,
    live_rows,
    live_rows_by_address,
    png,
    write,
)

COLOURS = [RED, GREEN, BLUE, YELLOW]
VECTORS = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.707, 0.707, 0]]
BYTES_AND_PATH = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def image(number: int) -> bytes:
    """A picture of its own for each number."""
    return png(COLOURS[number % 4], (4 + number, 4))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ColourEmbedder())


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def hugging_face(path: Path, count: int, row_group_size: int = 3, first: int = 0) -> None:
    """As `datasets` writes an image column: a struct of bytes and path."""
    numbers = range(first, first + count)
    table = pa.table(
        {
            "image": pa.array(
                [{"bytes": image(n), "path": f"{n}.png"} for n in numbers], BYTES_AND_PATH
            ),
            "label": pa.array(list(numbers), pa.int64()),
            "caption": [f"number {n}" for n in numbers],
            "uri": [f"https://x.example/{n}" for n in numbers],
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_size)
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))


def read_again(desk: Desk) -> dict[int, bytes]:
    originals = Originals()
    rows = live_rows(desk.lake).values()
    return {
        row["row_id"]: originals.read(IndexedImage.of(row, Reach([row["source"]]))) for row in rows
    }


def places(desk: Desk) -> dict[str, int]:
    names = {str(a): row["row_id"] for a, row in live_rows_by_address(desk.lake).items()}
    return {name.removeprefix(f"{desk.photos}/"): number for name, number in names.items()}


# zips


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_images_of_a_zip_become_rows_with_what_lies_beside_them(desk: Desk, method: int) -> None:
    files = {
        "x/a.png": image(0),
        "x/a.txt": b"a red one",
        "x/a.json": b'{"n": 4}',
        "b.png": image(1),
        "x/": b"",
        "__MACOSX/b.png": b"clutter",
        "notes.md": b"no image",
    }
    write(desk.photos / "p.zip", zipped(files, method))
    report = desk.index()
    assert (report.new, report.skipped, report.problems) == (2, 0, [])
    assert places(desk) == {"p.zip#member=x/a.png": 1, "p.zip#member=b.png": 2} or places(desk) == {
        "p.zip#member=b.png": 1,
        "p.zip#member=x/a.png": 2,
    }
    rows = {row["member"]: row for row in live_rows(desk.lake).values()}
    red = rows["x/a.png"]
    assert (red["caption"], red["n"], red["vector"]) == ("a red one", 4, [1, 0, 0])
    assert red["size_bytes"] == len(image(0))
    is_stored = method == zipfile.ZIP_STORED
    assert (red["offset"] is not None, red["length"] is not None) == (is_stored, is_stored)
    assert sorted(read_again(desk).values()) == sorted([image(0), image(1)])
    desk.idle_sync()
    assert desk.idle_sync().unchanged == 2


def test_from_folder_to_zip_to_deflated_zip_rows_stay(desk: Desk) -> None:
    for number in range(3):
        write(desk.photos / f"{number}.png", image(number))
    desk.index()
    files = {f"{number}.png": image(number) for number in range(3)}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for path in desk.photos.iterdir():
            path.unlink()
        write(desk.photos / f"{method}.zip", zipped(files, method))
        report = desk.idle_sync()
        assert (report.moved, report.new, report.gone) == (3, 0, 0)
        assert read_again(desk) == {number + 1: image(number) for number in range(3)}


def test_a_photo_that_grows_when_it_is_deflated_is_read_again(desk: Desk) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(7).integers(0, 256, (300, 300, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "PNG", compress_level=0)
    photo = buffer.getvalue()
    packed = zipped({"noise.png": photo}, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.getinfo("noise.png").compress_size > len(photo)
    write(desk.photos / "p.zip", packed)
    desk.index()
    assert read_again(desk) == {1: photo}


def test_encrypted_and_unknown_members_are_refused_by_name(desk: Desk) -> None:
    data = bytearray(zipped({"secret.png": image(0), "odd.png": image(1), "c.png": image(2)}))
    for number, (flag, method) in enumerate([(1, 0), (0, 93), (0, 0)]):
        place = -1
        for _ in range(number + 1):
            place = data.index(b"PK\x01\x02", place + 1)
        data[place + 8] |= flag
        data[place + 10] = method
    write(desk.photos / "p.zip", bytes(data))
    report = desk.index()
    assert (report.new, report.skipped) == (1, 2)
    assert (
        desk.skipped()
        == {
            "p.zip#member=secret.png": "it is encrypted; unpack the zip with its password",
            "p.zip#member=odd.png": "it is compressed by zstd; only stored and deflated members are read",
        }
        or "only stored and deflated" in desk.skipped()["p.zip#member=odd.png"]
    )


def test_a_member_that_is_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    """A zip bomb: its entry promises 100 bytes, and a megabyte comes out."""
    data = bytearray(zipped({"bomb.png": b"\0" * 1_000_000}, zipfile.ZIP_DEFLATED))
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = (100).to_bytes(4, "little")
    path = write(tmp_path / "bomb.zip", bytes(data))
    with pytest.raises(UnreadableImage, match="it is not of the 100 bytes that its zip says"):
        BytesOf().read(Address(str(path), member="bomb.png"), 10_000_000)
    whole = write(tmp_path / "big.zip", zipped({"a.png": b"\0" * 1_000_000}, zipfile.ZIP_DEFLATED))
    with pytest.raises(UnreadableImage, match=r"1 MB, over the cap of 0\.5 MB"):
        BytesOf().read(Address(str(whole), member="a.png"), 500_000)


def test_changed_bytes_of_a_zip_are_noticed(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.png": image(0)}, zipfile.ZIP_DEFLATED))
    place = data.index(b"PK\x01\x02")
    data[place + 16 : place + 20] = (zlib.crc32(image(0)) ^ 1).to_bytes(4, "little")
    path = write(tmp_path / "a.zip", bytes(data))
    with pytest.raises(UnreadableImage, match="not those that were packed"):
        BytesOf().read(Address(str(path), member="a.png"), 10_000_000)


@pytest.mark.parametrize("cut", [0, 10, -30])
def test_a_zip_that_is_cut_short_deletes_nothing(desk: Desk, cut: int) -> None:
    path, data = desk.photos / "p.zip", zipped({"a.png": image(0), "b.png": image(1)})
    write(path, data)
    desk.index()
    write(path, data[:cut], LONG_AGO_S + 5)
    report = desk.idle_sync()
    assert (report.gone, report.rows, len(report.problems)) == (0, 2, 1)
    assert report.problems[0].startswith(f"{path}: it is no zip, or damaged (")


def test_a_zip_with_a_thousand_members_written_as_zip64(desk: Desk) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", allowZip64=True) as archive:
        for number in range(30):
            with archive.open(f"{number}.png", "w", force_zip64=True) as member:
                member.write(image(number))
    write(desk.photos / "p.zip", buffer.getvalue())
    assert desk.index().new == 30
    assert sorted(read_again(desk).values()) == sorted(map(image, range(30)))


# Parquet with images


def test_rows_of_a_table_with_images_become_rows(desk: Desk) -> None:
    hugging_face(desk.photos / "train.parquet", 8)
    report = desk.index()
    assert (report.new, report.skipped, report.problems) == (8, 0, [])
    assert places(desk) == {
        f"train.parquet#member=image&row={n // 3}/{n % 3}": n + 1 for n in range(8)
    }
    row = live_rows(desk.lake)[f"{desk.photos}/train.parquet#member=image&row=1/2"]
    told = {name: row[name] for name in ("label", "caption", "own_uri", "row_group", "row_index")}
    assert told == {
        "label": 5,
        "caption": "number 5",
        "own_uri": "https://x.example/5",
        "row_group": 1,
        "row_index": 2,
    }
    assert (row["size_bytes"], row["vector"]) == (len(image(5)), [0, 1, 0])
    assert read_again(desk) == {n + 1: image(n) for n in range(8)}


def test_an_unchanged_table_is_not_opened(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    hugging_face(desk.photos / "train.parquet", 8)
    desk.index()

    def refuse(*_: object) -> None:
        raise AssertionError("the table was opened")

    monkeypatch.setattr("indexer.sources.containers.parquet.open_file", refuse)
    assert desk.idle_sync().unchanged == 8


def test_another_row_group_size_and_other_rows_embed_only_what_is_new(desk: Desk) -> None:
    hugging_face(desk.photos / "train.parquet", 8)
    desk.index()
    desk.model.calls.clear()
    hugging_face(desk.photos / "train.parquet", 8, row_group_size=8, first=2)
    os.utime(desk.photos / "train.parquet", (LONG_AGO_S + 9, LONG_AGO_S + 9))
    report = desk.sync()
    assert (report.new + report.changed, report.rows, sum(desk.model.calls)) == (2, 8, 2)
    rows = {row["label"]: row["row_id"] for row in live_rows(desk.lake).values()}
    assert [rows[n] for n in range(2, 8)] == [3, 4, 5, 6, 7, 8]
    assert read_again(desk)[3] == image(2)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_binary_columns_are_found_by_what_is_in_them(desk: Desk, kind: pa.DataType) -> None:
    table = pa.table(
        {
            "id": ["x", "y", "z"],
            "thumb": pa.array([b"no", b"image", b"here"], kind),
            "jpg": pa.array([None, image(0), b""], kind),
        }
    )
    desk.photos.mkdir()
    pq.write_table(table, desk.photos / "t.parquet")
    report = desk.index()
    assert (report.new, report.skipped) == (1, 2)
    assert places(desk) == {"t.parquet#member=jpg&row=0/1": 1}
    assert set(desk.skipped().values()) == {"there are no bytes of an image in this row"}
    assert desk.idle_sync().skipped == 2


def test_tables_of_other_things_beside_photos_are_no_news(desk: Desk) -> None:
    desk.add("a.png", RED)
    pq.write_table(pa.table({"path": ["a.png"], "n": [1]}), desk.photos / "metadata.parquet")
    write(desk.photos / "broken.parquet", b"rubbish")
    report = desk.index()
    assert (report.new, report.notes) == (1, [])
    assert len(report.problems) == 1
    assert report.problems[0].startswith(f"{desk.photos}/broken.parquet: Parquet cannot read it")


def test_a_table_is_read_in_any_order_and_after_a_change_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    hugging_face(path, 40, row_group_size=40)
    reader = BytesOf()

    def at(row: int) -> bytes:
        return reader.read(Address(str(path), member="image", row_group=0, row_index=row), 10_000)

    for row in (0, 39, 5, 5, 17, 16, 39, 0):
        assert at(row) == image(row)
    with pytest.raises(UnreadableImage, match="there is no row 40"):
        at(40)
    with pytest.raises(UnreadableImage, match="Parquet cannot read it"):
        reader.read(Address(str(path), member="image", row_group=7, row_index=0), 10_000)
    with pytest.raises(UnreadableImage, match="the column label holds no bytes"):
        reader.read(Address(str(path), member="label", row_group=0, row_index=0), 10_000)
    hugging_face(path, 4, first=9)
    os.utime(path, (LONG_AGO_S + 3, LONG_AGO_S + 3))
    assert at(0) == image(9)


def test_a_row_that_is_another_by_now_gives_nothing_away(desk: Desk) -> None:
    hugging_face(desk.photos / "t.parquet", 3)
    desk.index()
    row = IndexedImage.of(
        live_rows(desk.lake)[f"{desk.photos}/t.parquet#member=image&row=0/0"],
        Reach([str(desk.photos)]),
    )
    hugging_face(desk.photos / "t.parquet", 3, first=1)
    with pytest.raises(ImageGone):
        Originals().read(row)


def test_columns_that_cannot_be_read_are_told_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hugging_face(desk.photos / "t.parquet", 3)

    def busy(*_: object) -> None:
        raise OSError("the disk is busy")

    monkeypatch.setattr("indexer.sources.containers.parquet.Parquet._read_columns", busy)
    assert desk.index().new == 3
    assert [record.getMessage() for record in caplog.records] == [
        f"{desk.photos}/t.parquet: the columns of row group 0 cannot be read, and its images are "
        "without them (the disk is busy)"
    ]


def test_a_table_of_images_in_a_bucket(desk: Desk, bucket: tuple[str, Any], tmp_path: Path) -> None:
    name, fs = bucket
    hugging_face(tmp_path / "t.parquet", 5)
    fs.pipe(f"{name}/data/t.parquet", (tmp_path / "t.parquet").read_bytes())
    fs.pipe(f"{name}/data/z.zip", zipped({"z.png": image(6)}))
    report = desk.index(f"s3://{name}/data")
    assert (report.new, report.problems) == (6, [])
    assert sorted(read_again(desk).values()) == sorted(map(image, [0, 1, 2, 3, 4, 6]))
    desk.idle_sync()
    assert desk.idle_sync().unchanged == 6


# tables that name images


def test_a_table_that_names_images_is_a_source_with_its_columns(desk: Desk) -> None:
    for number in range(3):
        write(desk.root / "pool" / f"{number}.png", image(number))
    rows = [{"file_name": f"pool/{n}.png", "site": f"s{n}"} for n in (0, 2)]
    tables = {
        "t.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "t.csv": b"file_name,site\npool/0.png,s0\npool/2.png,s2\n",
    }
    pq.write_table(pa.Table.from_pylist(rows), desk.root / "t.parquet")
    for name, data in tables.items():
        write(desk.root / name, data)
    for name in ("t.jsonl", "t.csv", "t.parquet"):
        lake = Desk(desk.root / name.replace(".", "-"), ColourEmbedder())
        report = lake.index(desk.root / name)
        assert (report.new, report.problems) == (2, [])
        found = {Path(uri).name: row["site"] for uri, row in live_rows(lake.lake).items()}
        assert found == {"0.png": "s0", "2.png": "s2"}
        assert lake.idle_sync().unchanged == 2


def test_a_table_of_urls(desk: Desk, bucket: tuple[str, Any]) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/a.png", image(0))
    table = write(desk.root / "t.csv", f"url,n\ns3://{name}/a.png,7\n".encode())
    assert desk.index(table).new == 1
    assert live_rows(desk.lake)[f"s3://{name}/a.png"]["n"] == 7


def test_a_changed_table_adds_and_removes(desk: Desk) -> None:
    for number in range(3):
        write(desk.root / f"{number}.png", image(number))
    table = write(desk.root / "t.csv", b"path,n\n0.png,1\n1.png,2\n")
    desk.index(table)
    write(table, b"path,n\n0.png,5\n2.png,2\n", LONG_AGO_S + 5)
    report = desk.sync()
    assert (report.new, report.gone, report.rows) == (1, 1, 2)
    found = {Path(uri).name: row["n"] for uri, row in live_rows(desk.lake).items()}
    assert found == {"0.png": 5, "2.png": 2}


def test_a_table_with_images_that_are_not_read_says_so(desk: Desk) -> None:
    write(desk.root / "photos" / "a.png", image(0))
    table = desk.photos / "t.parquet"
    why = "a row of its column views holds several images or holds them deep inside"
    pq.write_table(pa.table({"views": pa.array([[{"bytes": image(1)}]])}), table)
    with pytest.raises(SourceError, match=why):
        desk.index(table)
    report = desk.index()
    assert (report.new, report.problems) == (1, [])
    [note] = report.notes
    assert note.startswith(f"{table}: {why}")
    # paths in a column of their own are what such a table is indexed by
    pq.write_table(pa.table({"views": pa.array([[{"bytes": image(1)}]]), "path": ["a.png"]}), table)
    assert Desk(desk.root / "other").index(table).new == 1


def test_a_table_with_a_table_is_refused(desk: Desk) -> None:
    write(desk.root / "0.png", image(0))
    table = write(desk.root / "t.csv", b"path,n\n0.png,1\n")
    other = write(desk.root / "o.csv", b"path,m\n0.png,1\n")
    with pytest.raises(SourceError, match="this table has its columns itself"):
        desk.index(table, columns=other)


# all kinds together


def put_all_kinds(folder: Path) -> None:
    """Images 0 to 7, two in each kind of container."""
    write(folder / "0.tar", tar_of({f"{n}.png": image(n) for n in (0, 1)}))
    files = {f"{n}.png": image(n) for n in (2, 3)}
    write(folder / "d.zip", zipped(files, zipfile.ZIP_DEFLATED))
    write(folder / "s.zip", zipped({f"{n}.png": image(n) for n in (4, 5)}))
    hugging_face(folder / "t.parquet", 2, first=6)


def test_every_kind_moves_house_with_its_rows(desk: Desk) -> None:
    put_all_kinds(desk.photos)
    desk.index()
    before = places(desk)
    there = desk.root / "elsewhere"
    desk.photos.rename(there)
    report = desk.idle_sync(roots={str(desk.photos): str(there)})
    assert (report.rows, report.new, report.gone) == (8, 0, 0)
    after = {str(a): row["row_id"] for a, row in live_rows_by_address(desk.lake).items()}
    assert {name.removeprefix(f"{there}/"): number for name, number in after.items()} == before
    assert sorted(read_again(desk).values()) == sorted(map(image, range(8)))
    assert desk.idle_sync().unchanged == 8


def test_a_container_that_two_sources_name_is_one(desk: Desk) -> None:
    put_all_kinds(desk.photos)
    desk.index()
    before = places(desk)
    desk.index(desk.photos / "0.tar", f"{desk.photos}/*.zip")
    assert places(desk) == before
    report = desk.idle_sync()
    assert (report.new, report.moved, report.gone, report.rows) == (0, 0, 0, 8)
    assert places(desk) == before
    Path(desk.photos / "s.zip").unlink()
    report = desk.idle_sync()
    assert (report.gone, report.rows) == (2, 6)


def test_a_column_is_recomputed_of_members_of_every_kind(desk: Desk) -> None:
    put_all_kinds(desk.photos)
    desk.index()
    before = live_rows(desk.lake)
    make_old(desk, {"phash": 7})
    assert {row["phash"] for row in live_rows(desk.lake).values()} == {7}
    calls = list(desk.model.calls)
    # of one that is another image by now, though its zip looks the same, the row keeps what it has
    assert len(image(4)) == len(png(GREEN, (8, 4)))
    write(desk.photos / "s.zip", zipped({"4.png": png(GREEN, (8, 4)), "5.png": image(5)}))
    report = recompute(desk, "phash")
    after = live_rows(desk.lake)
    assert desk.model.calls == calls
    changed = f"{desk.photos}/s.zip#member=4.png"
    assert [name for name, _ in report.not_recomputed] == [changed]
    assert {name: row["phash"] for name, row in after.items()} == {
        name: 7 if name == changed else row["phash"] for name, row in before.items()
    }
    assert {name: row["row_id"] for name, row in after.items()} == {
        name: row["row_id"] for name, row in before.items()
    }


def test_containers_that_become_empty_ask_before_their_last_rows_go(desk: Desk) -> None:
    put_all_kinds(desk.photos)
    desk.index()
    for path in desk.photos.iterdir():
        path.unlink()
    write(desk.photos / "0.tar", tar_of({}), LONG_AGO_S + 5)
    report = desk.idle_sync()
    assert report.rows == 8
    assert report.problems == [
        f"{desk.photos}: lists no images now; its 8 rows were kept "
        "(if they should go, use --allow-empty)"
    ]
    assert report.notes == [f"{desk.photos}/0.tar: there are no images in it"]
    assert desk.idle_sync(allow_empty=True).rows == 0


def test_skips_within_containers_are_tried_again_when_asked(desk: Desk) -> None:
    put_all_kinds(desk.photos)
    write(desk.photos / "bad.tar", tar_of({"a.png": b"no image", "b.png": image(8)}))
    assert desk.index().skipped == 1
    [reason] = desk.skipped().values()
    assert desk.idle_sync().skipped == 1
    report = desk.sync(retry_skipped=True)
    assert (report.new, report.skipped, report.rows) == (0, 1, 9)
    assert list(desk.skipped().values()) == [reason]
    assert desk.idle_sync().unchanged == 9
