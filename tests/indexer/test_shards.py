"""Shards through the life of a lake: as WebDataset's own writer makes them, changed, dealt out
anew, renamed, cut short and gone. Row ids, vectors and columns stay with an image's bytes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from indexer.address import Address
from indexer.errors import SourceError
from indexer.sources.guard import Reach
from service.pictures.originals import IndexedImage, Originals
from tests.fakes import ColourEmbedder
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

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE, "yellow": YELLOW}


def sample(key: str, colour: str) -> dict[str, Any]:
    return {
        "__key__": key,
        "png": png(COLOURS[colour], (4 + len(key), 4)),
        "txt": f"a {colour} square",
        "json": {"site": "north", "number": len(key)},
        "cls": list(COLOURS).index(colour),
    }


def write_shards(folder: Path, shards: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    for name, samples in shards.items():
        with webdataset.TarWriter(str(folder / name)) as writer:
            for each in samples:
                writer.write(each)
        os.utime(folder / name, (LONG_AGO_S, LONG_AGO_S))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ColourEmbedder())


@pytest.fixture
def two(desk: Desk) -> Desk:
    """Two shards of two images each, indexed."""
    write_shards(
        desk.photos,
        {
            "000.tar": [sample("a", "red"), sample("bb", "green")],
            "001.tar": [sample("ccc", "blue"), sample("dddd", "yellow")],
        },
    )
    desk.index()
    desk.model.calls.clear()
    return desk


def names(desk: Desk) -> dict[str, int]:
    """`shard/member` -> row id."""
    return {
        f"{Path(address.uri).name}/{address.member}": row["row_id"]
        for address, row in live_rows_by_address(desk.lake).items()
    }


def shown(desk: Desk) -> dict[int, bytes]:
    """Row id -> the bytes that a thumbnail is made of."""
    originals = Originals()
    rows = live_rows(desk.lake).values()
    return {
        row["row_id"]: originals.read(IndexedImage.of(row, Reach([row["source"]]))) for row in rows
    }


def test_shards_become_rows_with_captions_columns_and_classes(two: Desk) -> None:
    assert names(two) == {
        "000.tar/a.png": 1,
        "000.tar/bb.png": 2,
        "001.tar/ccc.png": 3,
        "001.tar/dddd.png": 4,
    }
    row = live_rows(two.lake)[f"{two.photos}/000.tar#member=bb.png"]
    told = {name: row[name] for name in ("caption", "site", "number", "label", "vector")}
    assert told == {
        "caption": "a green square",
        "site": "north",
        "number": 2,
        "label": 1,
        "vector": [0, 1, 0],
    }
    assert row["size_bytes"] == row["length"] == len(png(GREEN, (6, 4)))
    assert row["etag"].startswith("tar:")
    assert row["etag"].endswith(":2")
    assert shown(two) == {
        number: png(COLOURS[colour], (4 + number, 4)) for number, colour in enumerate(COLOURS, 1)
    }


def test_unchanged_shards_are_not_opened(two: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = two.manifest

    def refuse(*_: object) -> None:
        raise AssertionError("a shard was opened")

    monkeypatch.setattr("indexer.sources.containers.tar.open_file", refuse)
    report = two.idle_sync()
    assert (report.unchanged, report.new, report.gone, report.problems) == (4, 0, 0, [])
    assert two.manifest == before


def test_a_changed_shard_embeds_only_what_is_new(two: Desk) -> None:
    write_shards(
        two.photos, {"001.tar": [sample("e", "red"), sample("ccc", "blue"), sample("ff", "blue")]}
    )
    os.utime(two.photos / "001.tar", (LONG_AGO_S + 9, LONG_AGO_S + 9))
    report = two.sync()
    # `e` has the bytes of `a`, which is still there: another row of equal bytes
    assert (report.new, report.unchanged, report.gone, sum(two.model.calls)) == (2, 3, 1, 2)
    assert names(two) == {
        "000.tar/a.png": 1,
        "000.tar/bb.png": 2,
        "001.tar/ccc.png": 3,
        "001.tar/e.png": 5,
        "001.tar/ff.png": 6,
    }
    assert shown(two)[3] == png(BLUE, (7, 4))
    assert two.idle_sync().unchanged == 5


def test_dealt_out_anew_every_image_keeps_its_row(two: Desk) -> None:
    for path in two.photos.iterdir():
        path.unlink()
    write_shards(
        two.photos,
        {
            "train-0.tar": [sample("dddd", "yellow")],
            "train-1.tar": [sample("bb", "green"), sample("ccc", "blue"), sample("a", "red")],
        },
    )
    report = two.idle_sync()
    assert (report.moved, report.new, report.gone, report.rows) == (4, 0, 0, 4)
    assert names(two) == {
        "train-0.tar/dddd.png": 4,
        "train-1.tar/bb.png": 2,
        "train-1.tar/ccc.png": 3,
        "train-1.tar/a.png": 1,
    }
    assert shown(two)[1] == png(RED, (5, 4))
    two.idle_sync()  # nothing is left to do
    before = two.manifest
    assert two.idle_sync().unchanged == 4
    assert two.manifest == before


def test_unpacked_every_image_keeps_its_row(two: Desk) -> None:
    for shard in list(two.photos.iterdir()):
        shutil.unpack_archive(shard, two.photos / shard.stem, filter="data")
        shard.unlink()
    report = two.idle_sync()
    assert (report.moved, report.new, report.gone) == (4, 0, 0)
    assert two.ids() == {"000/a.png": 1, "000/bb.png": 2, "001/ccc.png": 3, "001/dddd.png": 4}
    row = two.rows()["000/a.png"]
    assert (row["member"], row["offset"], row["length"]) == (None, None, None)


def test_a_renamed_shard_keeps_its_rows(two: Desk) -> None:
    (two.photos / "000.tar").rename(two.photos / "zzz.tar")
    report = two.idle_sync()
    assert (report.moved, report.new, report.gone, report.unchanged) == (2, 0, 0, 2)
    assert names(two)["zzz.tar/bb.png"] == 2


def test_a_new_caption_embeds_nothing(two: Desk) -> None:
    write_shards(
        two.photos,
        {"000.tar": [{**sample("a", "red"), "txt": "something else"}, sample("bb", "green")]},
    )
    os.utime(two.photos / "000.tar", (LONG_AGO_S + 9, LONG_AGO_S + 9))
    report = two.idle_sync()
    assert (report.new, report.changed, report.gone) == (0, 0, 0)
    captions = {row["row_id"]: row["caption"] for row in live_rows(two.lake).values()}
    assert captions[1] == "something else"
    assert captions[2] == "a green square"


def test_a_shard_that_is_cut_short_deletes_nothing(two: Desk) -> None:
    path = two.photos / "001.tar"
    whole = path.read_bytes()
    member = live_rows_by_address(two.lake)
    [offset] = [address.offset for address in member if address.member == "dddd.png"]
    assert offset is not None
    write(path, whole[: offset + 10], LONG_AGO_S + 5)
    report = two.idle_sync()
    assert report.problems == [
        f"{path}: it is cut short: it ends within dddd.png; the images that it had are kept"
    ]
    assert (report.gone, report.rows) == (0, 4)
    assert names(two)["001.tar/dddd.png"] == 4
    write(path, whole, LONG_AGO_S + 6)
    report = two.idle_sync()
    assert (report.problems, report.rows, report.new) == ([], 4, 0)


@pytest.mark.parametrize("data", [b"", b"rubbish" * 500])
def test_a_shard_that_is_no_tar_any_more_deletes_nothing(two: Desk, data: bytes) -> None:
    write(two.photos / "001.tar", data, LONG_AGO_S + 5)
    report = two.idle_sync()
    assert (report.gone, report.rows, len(report.problems)) == (0, 4, 1)
    assert report.problems[0].startswith(f"{two.photos}/001.tar: it is no tar")


def test_a_deleted_shard_takes_its_rows_along(two: Desk) -> None:
    (two.photos / "001.tar").unlink()
    report = two.idle_sync()
    assert (report.gone, report.rows) == (2, 2)


def test_broken_members_are_skips_that_name_them_and_wait_for_the_shard(desk: Desk) -> None:
    shard = desk.photos / "s.tar"
    files = {"good.png": png(RED), "bad.jpg": b"no image at all", "void.png": b""}
    write(shard, tar_of(files))
    report = desk.index()
    assert (report.new, report.skipped) == (1, 2)
    skipped = desk.skipped()
    assert skipped["s.tar#member=void.png"] == "empty file"
    assert set(skipped) == {"s.tar#member=void.png", "s.tar#member=bad.jpg"}
    report = desk.idle_sync()
    assert (report.unchanged, report.skipped, report.new) == (1, 2, 0)
    assert desk.skipped() == skipped


def test_a_run_that_was_killed_half_way_is_gone_on_with(desk: Desk) -> None:
    images = [sample("k" * (n + 1), list(COLOURS)[n % 4]) for n in range(12)]
    write_shards(desk.photos, {"s.tar": images})
    seen: list[int] = []

    def stop() -> bool:
        seen.append(sum(desk.model.calls))
        return seen[-1] >= 4

    desk.index(should_stop=stop, batch_size=4)
    done = len(live_rows(desk.lake))
    assert 0 < done < 12
    report = desk.sync()
    assert (report.new, report.unchanged, report.rows) == (12 - done, done, 12)
    assert sorted(names(desk).values()) == list(range(1, 13))


def test_shards_and_loose_photos_in_one_folder(desk: Desk) -> None:
    write_shards(desk.photos / "shards", {"s.tar": [sample("a", "red")]})
    desk.add("loose.png", GREEN)
    write(desk.photos / "packed.tar.xz", b"\xfd7")
    report = desk.index()
    assert (report.new, report.problems) == (2, [])
    assert [note for note in report.notes if "packed.tar.xz" in note] == [
        f"{desk.photos}/packed.tar.xz: it is a compressed tar, in which no image has a place of "
        "its own: store it uncompressed (JPEGs do not get smaller: `zstd -d`, `xz -d`, `bzip2 -d`) "
        "or as .tar.gz, or unpack it"
    ]


def test_a_photo_called_as_a_member_prints_is_another_image(desk: Desk) -> None:
    """Both are indexed, skipped, deleted and kept each on its own."""
    shard = write(desk.photos / "0.tar", tar_of({"a.png": png(RED), "b.png": b"no image"}))
    desk.add("0.tar#member=a.png", GREEN)
    write(desk.photos / "0.tar#member=b.png", b"no image either")
    report = desk.index()
    assert (report.new, report.skipped, report.rows) == (2, 2, 2)
    whole = f"{shard}#member=a.png"
    rows = {
        address: (row["row_id"], row["vector"])
        for address, row in live_rows_by_address(desk.lake).items()
    }
    [member] = [address for address in rows if address.member]
    assert rows == {
        member: (rows[member][0], [1, 0, 0]),
        Address(whole): (3 - rows[member][0], [0, 1, 0]),
    }
    assert desk.idle_sync().unchanged == 2
    # the shard is damaged, and keeps its rows; the photo that is gone is no part of it
    Path(whole).unlink()
    before = shard.read_bytes()
    write(shard, before[:-1024], LONG_AGO_S + 5)
    report = desk.sync()
    assert (report.gone, report.rows, report.skipped) == (1, 1, 2)
    # and the other way round
    Path(f"{shard}#member=b.png").unlink()
    write(shard, before, LONG_AGO_S + 6)
    report = desk.sync()
    assert (report.gone, report.rows, report.skipped) == (0, 1, 1)
    assert list(desk.skipped()) == ["0.tar#member=b.png"]


def test_a_source_without_an_image_says_why(desk: Desk) -> None:
    write(desk.photos / "s.tar", b"rubbish" * 500)
    with pytest.raises(
        SourceError, match=r"there are no image files in it \(.*s\.tar: it is no tar"
    ):
        desk.index()


def test_one_shard_a_glob_and_a_list_of_shards(desk: Desk) -> None:
    write_shards(desk.photos, {"0.tar": [sample("a", "red")], "1.tar": [sample("bb", "green")]})
    assert desk.index(desk.photos / "0.tar").new == 1
    assert desk.index(f"{desk.photos}/?.tar").new == 1
    listing = write(
        desk.root / "shards.txt", f"{desk.photos}/0.tar\n{desk.photos}/1.tar\n".encode()
    )
    assert desk.index(listing).new == 0
    assert names(desk) == {"0.tar/a.png": 1, "1.tar/bb.png": 2}


def test_a_table_names_images_in_shards_by_member_and_by_shard_and_member(desk: Desk) -> None:
    write_shards(desk.photos, {"0.tar": [sample("a", "red"), sample("bb", "green")]})
    table = write(desk.root / "t.csv", b"path,night\na.png,yes\n0.tar/bb.png,no\n")
    desk.index(columns=table)
    night = {row["member"]: row["night"] for row in live_rows(desk.lake).values()}
    assert night == {"a.png": "yes", "bb.png": "no"}
    write(table, b"path,night\na.png,yes\n0.tar/bb.png,maybe\n")
    report = desk.idle_sync()
    assert (report.new, report.changed) == (0, 0)
    night = {row["member"]: row["night"] for row in live_rows(desk.lake).values()}
    assert night == {"a.png": "yes", "bb.png": "maybe"}


def test_what_img2dataset_could_not_fetch_is_skipped_with_its_reason(desk: Desk) -> None:
    write_shards(desk.photos, {"00000.tar": [sample("000000000", "red")]})
    table = pa.table(
        {
            "url": ["https://x.example/1.png", "https://x.example/2.png"],
            "key": ["000000000", "000000001"],
            "status": ["success", "failed_to_download"],
            "error_message": [None, "HTTP Error 404: Not Found"],
        }
    )
    pq.write_table(table, desk.photos / "00000.parquet")
    report = desk.index()
    assert (report.new, report.skipped) == (1, 1)
    assert desk.skipped() == {
        "00000.tar#member=000000001": "img2dataset could not fetch https://x.example/2.png "
        "(HTTP Error 404: Not Found)"
    }
    assert desk.idle_sync().skipped == 1


def test_a_table_of_failures_that_cannot_be_read_just_now_is_asked_for_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(desk.photos, {"00000.tar": [sample("000000000", "red")]})
    table = {"url": ["u"], "key": ["000000001"], "status": ["failed"], "error_message": ["gone"]}
    pq.write_table(pa.table(table), desk.photos / "00000.parquet")

    def busy(*_: object) -> None:
        raise OSError("the disk is busy")

    with monkeypatch.context() as now:
        now.setattr("indexer.sources.containers.img2dataset.open_file", busy)
        report = desk.index()
    assert (report.new, report.skipped) == (1, 0)
    assert [problem.partition(": ")[2] for problem in report.problems] == [
        "the disk is busy; the images that it had are kept"
    ]
    report = desk.sync()
    assert (report.unchanged, report.skipped, report.problems) == (1, 1, [])


def test_shards_in_a_bucket(tmp_path: Path, bucket: tuple[str, Any], desk: Desk) -> None:
    name, fs = bucket
    local = tmp_path / "local"
    write_shards(
        local,
        {
            "000.tar": [sample("a", "red"), sample("bb", "green")],
            "001.tar": [sample("ccc", "blue")],
        },
    )
    for path in local.iterdir():
        fs.pipe(f"{name}/shards/{path.name}", path.read_bytes())
    report = desk.index(f"s3://{name}/shards/")
    assert (report.new, report.problems) == (3, [])
    assert names(desk) == {"000.tar/a.png": 1, "000.tar/bb.png": 2, "001.tar/ccc.png": 3}
    assert [row["caption"] for row in live_rows(desk.lake).values()] == [
        "a red square",
        "a green square",
        "a blue square",
    ]
    assert shown(desk)[3] == png(BLUE, (7, 4))
    desk.idle_sync()
    assert desk.idle_sync().unchanged == 3
    fs.mv(f"{name}/shards/000.tar", f"{name}/shards/9.tar")
    report = desk.idle_sync()
    assert (report.moved, report.new, report.gone) == (2, 0, 0)


CHILD = """
import sys
from pathlib import Path
from tests.fakes import ColourEmbedder
from tests.lakes import Desk
Desk(Path(sys.argv[1]), ColourEmbedder()).index(commit_rows=1, batch_size=1, first_commit_s=0.0)
"""


def test_kill_9_loses_nothing_and_doubles_nothing(desk: Desk) -> None:
    images = [sample("k" * (n % 50 + 1) + f"-{n}", list(COLOURS)[n % 4]) for n in range(120)]
    write_shards(desk.photos, {"0.tar": images[:60], "1.tar": images[60:]})
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
    assert report.rows == 120
    assert sorted(names(desk).values()) == sorted(set(names(desk).values()))
    assert len(names(desk)) == 120
    assert desk.idle_sync().unchanged == 120
