"""Chunks, going on after a stop, and what is never overwritten."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.errors import (
    BadRequest,
    ImageGone,
    ImageUnreachable,
    LakeDamaged,
    LakeLocked,
    NotWritten,
)
from service.formats.exporting import export
from service.formats.format_list import FORMATS
from service.formats.item import Item
from tests.bad_images import as_nobody
from tests.service.formats.things import HANDOVER, Stopped, item, items, names, stopping_after, url


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def bytes_of(one: Item) -> bytes:
    return b"image %d" % one.row_id


class Watched:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int | None] | tuple[int, int]] = []

    def stage(self, name: str, total: int | None, unit: str | None = None) -> None:
        self.told.append((name, total))

    def expect(self, total: int, *, more: bool = False) -> None: ...

    def advance(self, done: int, skipped: int = 0) -> None:
        self.told.append((done, skipped))


def test_without_chunks_all_is_in_one_file_of_the_name_given(tmp_path: Path) -> None:
    report = export(items(3), HANDOVER, "txt", tmp_path / "kept.txt")
    assert lines(tmp_path / "kept.txt") == ["/photos/1.jpg", "/photos/2.jpg", "/photos/3.jpg"]
    assert (report.format, report.files, report.items) == ("txt", [str(tmp_path / "kept.txt")], 3)
    assert (report.skipped, report.already) == ([], 0)
    assert names(tmp_path) == ["kept.txt"]


def test_chunks_are_numbered_and_the_last_has_the_rest(tmp_path: Path) -> None:
    report = export(items(5), HANDOVER, "txt", tmp_path / "kept.txt", 2)
    assert names(tmp_path) == ["kept-00001.txt", "kept-00002.txt", "kept-00003.txt"]
    assert lines(tmp_path / "kept-00002.txt") == ["/photos/3.jpg", "/photos/4.jpg"]
    assert lines(tmp_path / "kept-00003.txt") == ["/photos/5.jpg"]
    assert report.files == [str(tmp_path / name) for name in names(tmp_path)]
    assert report.items == 5


def test_a_number_of_items_that_the_chunks_divide_makes_no_empty_last_one(tmp_path: Path) -> None:
    export(items(4), HANDOVER, "txt", tmp_path / "kept.txt", 2)
    assert names(tmp_path) == ["kept-00001.txt", "kept-00002.txt"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_of_nothing_is_one_file_without_images(tmp_path: Path, format: str) -> None:
    report = export([], HANDOVER, format, tmp_path / "kept", read_image=bytes_of)
    assert report.items == 0
    assert len(names(tmp_path)) == 1


def test_label_studio_and_cvat_have_ten_thousand_to_a_chunk_and_tars_a_thousand() -> None:
    assert {name: form.chunk for name, form in FORMATS.items() if form.chunk} == {
        "label_studio": 10_000,
        "cvat": 10_000,
        "webdataset": 1_000,
    }


@pytest.mark.parametrize("format", FORMATS)
def test_a_stopped_run_leaves_whole_chunks_and_the_next_one_adds_the_rest(
    tmp_path: Path, format: str
) -> None:
    whole, twice = tmp_path / "whole", tmp_path / "twice"
    whole.mkdir()
    twice.mkdir()
    export(items(5), HANDOVER, format, whole / "kept", 2, bytes_of)

    with pytest.raises(Stopped):
        export(stopping_after(items(5), 3), HANDOVER, format, twice / "kept", 2, bytes_of)
    assert names(twice) == ["kept-00001"]
    before = (twice / "kept-00001").stat()

    report = export(items(5), HANDOVER, format, twice / "kept", 2, bytes_of)
    assert (report.items, report.already) == (5, 1)
    assert names(twice) == ["kept-00001", "kept-00002", "kept-00003"]
    after = (twice / "kept-00001").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    if format != "parquet":  # which says when it was written nowhere either, but promises nothing
        assert contents(twice) == contents(whole)


def contents(folder: Path) -> dict[str, bytes | str]:
    """Every file and link below a folder, by its name."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)  # noqa: PTH115 - a broken one too
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def test_a_second_run_of_what_is_whole_writes_nothing(tmp_path: Path) -> None:
    export(items(4), HANDOVER, "csv", tmp_path / "kept.csv", 2)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    report = export(items(4), HANDOVER, "csv", tmp_path / "kept.csv", 2)
    assert (report.items, report.already) == (4, 2)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_chunk_that_somebody_cut_short_is_written_anew(tmp_path: Path) -> None:
    export(items(4), HANDOVER, "txt", tmp_path / "kept.txt", 2)
    (tmp_path / "kept-00001.txt").write_text("/pho")
    (tmp_path / "kept-00002.txt").unlink()
    report = export(items(4), HANDOVER, "txt", tmp_path / "kept.txt", 2)
    assert report.already == 0
    assert lines(tmp_path / "kept-00001.txt") == ["/photos/1.jpg", "/photos/2.jpg"]
    assert lines(tmp_path / "kept-00002.txt") == ["/photos/3.jpg", "/photos/4.jpg"]


def test_what_was_left_out_is_told_again_by_the_run_that_goes_on(tmp_path: Path) -> None:
    given = [url(1, "s3://shop/1.jpg"), *items(3)[1:]]
    reason = "it is not on this machine's disks, and YOLO reads files there"
    for already in (0, 2):
        report = export(given, HANDOVER, "yolo", tmp_path / "kept", 2)
        assert report.skipped == [("s3://shop/1.jpg", reason)]
        assert (report.items, report.already) == (2, already)


def test_a_crash_after_a_chunk_was_put_in_its_place_is_gone_on_from(tmp_path: Path) -> None:
    export(items(4), HANDOVER, "txt", tmp_path / "kept.txt", 2)
    state = tmp_path / "kept.txt.lakesift.json"
    document = json.loads(state.read_text())
    document["chunks"][1]["entries"] = 99  # the chunk that was to take this one's place
    state.write_text(json.dumps(document))
    (tmp_path / ".kept-00002.txt.partial").write_text("half")
    report = export(items(4), HANDOVER, "txt", tmp_path / "kept.txt", 2)
    assert report.already == 1
    assert names(tmp_path) == ["kept-00001.txt", "kept-00002.txt"]
    assert lines(tmp_path / "kept-00002.txt") == ["/photos/3.jpg", "/photos/4.jpg"]


def test_another_version_does_not_go_into_the_same_place(tmp_path: Path) -> None:
    export(items(4), HANDOVER, "txt", tmp_path / "kept.txt", 2)
    with pytest.raises(BadRequest) as caught:
        export(items(2), replace(HANDOVER, version=4), "txt", tmp_path / "kept.txt", 2)
    assert str(caught.value) == (
        f"out: {tmp_path}/kept.txt holds another export (version 3 and not 4); choose another place, or overwrite it"
    )
    assert lines(tmp_path / "kept-00002.txt") == ["/photos/3.jpg", "/photos/4.jpg"]

    export(items(2), replace(HANDOVER, version=4), "txt", tmp_path / "kept.txt", 2, overwrite=True)
    assert names(tmp_path) == ["kept-00001.txt"]


def test_other_images_of_the_same_version_are_not_mixed_in(tmp_path: Path) -> None:
    export(items(2), HANDOVER, "txt", tmp_path / "kept.txt")
    with pytest.raises(
        BadRequest, match=r"kept.txt was written from other images than now; choose another place"
    ):
        export(items(3), HANDOVER, "txt", tmp_path / "kept.txt")
    export(items(4), HANDOVER, "csv", tmp_path / "kept.csv", 2)
    with pytest.raises(BadRequest, match=r"kept-00002.csv was written from other images than now"):
        export(items(2), HANDOVER, "csv", tmp_path / "kept.csv", 2)
    assert export(items(3), HANDOVER, "txt", tmp_path / "kept.txt", overwrite=True).items == 3


EXPORTING = """
import sys
from pathlib import Path
from indexer.errors import LakeError
from service.formats.exporting import export
from tests.service.formats.things import HANDOVER, items
print("ready", flush=True)
sys.stdin.readline()
try:
    report = export(items(3_000), HANDOVER, sys.argv[1], Path(sys.argv[2]), 500)
except LakeError as error:
    print(f"{type(error).__name__}: {error}")
else:
    print("done", report.items)
"""


@pytest.mark.parametrize("format", ["txt", "yolo"])
def test_two_processes_at_one_place_do_not_mix(tmp_path: Path, format: str) -> None:
    out = tmp_path / "kept"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", EXPORTING, format, str(out)],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=120)[0] for process in started)
    assert [process.returncode for process in started] == [0, 0]
    locked = (
        f"LakeLocked: {out} is being written by another export; wait for it to end, or stop it\n"
    )
    assert said in ([locked, "done 3000\n"], ["done 3000\n", "done 3000\n"])
    assert names(tmp_path) == [f"kept-{number:05d}" for number in range(1, 7)]
    assert export(items(3_000), HANDOVER, format, out, 500).already == 6


def test_who_comes_while_another_exports_there_is_told_and_changes_nothing(tmp_path: Path) -> None:
    def meanwhile() -> Iterator[Item]:
        with pytest.raises(LakeLocked) as caught:
            export(items(3), HANDOVER, "csv", tmp_path / "kept.txt", overwrite=True)
        told.append(str(caught.value))
        export(items(1), HANDOVER, "txt", tmp_path / "other.txt")
        yield from items(2)

    told: list[str] = []
    export(meanwhile(), HANDOVER, "txt", tmp_path / "kept.txt")
    assert told == [
        f"{tmp_path}/kept.txt is being written by another export; wait for it to end, or stop it"
    ]
    assert lines(tmp_path / "kept.txt") == ["/photos/1.jpg", "/photos/2.jpg"]
    assert names(tmp_path) == ["kept.txt", "other.txt"], "no lock stays behind"


def test_somebodys_file_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("my own")
    with pytest.raises(BadRequest) as caught:
        export(items(2), HANDOVER, "txt", tmp_path / "kept.txt")
    assert (
        str(caught.value)
        == f"out: {tmp_path}/kept.txt is there already; choose another place, or overwrite it"
    )
    assert (tmp_path / "kept.txt").read_text() == "my own"
    assert names(tmp_path) == ["kept.txt"]
    export(items(1), HANDOVER, "txt", tmp_path / "kept.txt", overwrite=True)
    assert lines(tmp_path / "kept.txt") == ["/photos/1.jpg"]


def test_somebodys_folder_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "thesis.txt").write_text("years")
    with pytest.raises(BadRequest, match=r"kept is a folder that no export wrote; move it away$"):
        export(items(2), HANDOVER, "yolo", tmp_path / "kept", overwrite=True)
    assert (tmp_path / "kept" / "thesis.txt").read_text() == "years"


def test_labels_drawn_into_a_folder_outlive_an_overwrite(tmp_path: Path) -> None:
    export(items(2), HANDOVER, "yolo", tmp_path / "kept")
    boxes = tmp_path / "kept" / "labels" / "000000000001.txt"
    boxes.write_text("0 .5 .5 .1 .1\n")
    assert export(items(2), HANDOVER, "yolo", tmp_path / "kept").already == 1
    with pytest.raises(NotWritten) as caught:
        export(items(2), HANDOVER, "yolo", tmp_path / "kept", overwrite=True)
    assert (
        str(caught.value)
        == f"{tmp_path}/kept cannot be written: it holds files that no export wrote; move it away first"
    )
    assert boxes.read_text() == "0 .5 .5 .1 .1\n"


def test_a_state_file_that_says_nothing_is_damage(tmp_path: Path) -> None:
    export(items(2), HANDOVER, "txt", tmp_path / "kept.txt")
    state = tmp_path / "kept.txt.lakesift.json"
    state.write_text("{")
    with pytest.raises(LakeDamaged) as caught:
        export(items(2), HANDOVER, "txt", tmp_path / "kept.txt")
    assert str(caught.value) == (
        f"{state} is damaged: it does not say how far the export is; remove it, and the export's files, to begin anew"
    )


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotWritten) as caught:
        export(items(2), HANDOVER, "txt", tmp_path / "new" / "kept.txt")
    assert (
        str(caught.value)
        == f"{tmp_path}/new/kept.txt cannot be written: there is no folder {tmp_path}/new; make it first"
    )


def test_a_place_that_cannot_be_written_is_a_sentence() -> None:
    with as_nobody(), pytest.raises(NotWritten) as caught:
        export(items(2), HANDOVER, "txt", Path("/") / "kept.txt")
    assert str(caught.value) == (
        "/kept.txt cannot be written: permission denied; what is whole is kept, and the same command goes on from there"
    )


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Inside, a write stops half-way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half(tmp_path: Path) -> None:
    """The second chunk's third path is long; the state file stays small enough."""
    given = [*items(3), item(4, "/photos/" + "long/" * 500 + "4.jpg")]
    with files_of_at_most(2_000), pytest.raises(NotWritten) as caught:
        export(given, HANDOVER, "txt", tmp_path / "kept.txt", 2)
    assert str(caught.value) == (
        f"{tmp_path}/kept.txt cannot be written: file too large; "
        "what is whole is kept, and the same command goes on from there"
    )
    assert names(tmp_path) == ["kept-00001.txt"]
    assert export(given, HANDOVER, "txt", tmp_path / "kept.txt", 2).already == 1


def test_a_list_goes_to_stdout(tmp_path: Path) -> None:
    stdout = io.BytesIO()
    report = export(items(2), HANDOVER, "txt", None, stdout=stdout)
    assert stdout.getvalue() == b"/photos/1.jpg\n/photos/2.jpg\n"
    assert (report.files, report.items) == ([], 2)


def test_a_full_stdout_is_a_sentence() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(NotWritten) as caught:
        export(items(2), HANDOVER, "txt", None, stdout=full)
    assert str(caught.value) == "standard output cannot be written: no space left on device"


def test_a_reader_that_has_seen_enough_is_the_clis_to_deal_with() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as pipe, pytest.raises(BrokenPipeError):
        export(items(2), HANDOVER, "csv", None, stdout=pipe)


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"txt", "csv"}))
def test_only_lists_go_to_stdout(format: str) -> None:
    with pytest.raises(
        BadRequest, match=f"^out: {format} cannot go to standard output; name a file or folder$"
    ):
        export(items(1), HANDOVER, format, None, read_image=bytes_of, stdout=io.BytesIO())


def test_what_makes_no_sense_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        BadRequest,
        match=r"^format: 'xls' is none; there are txt, csv, parquet, coco, yolo, label_s",
    ):
        export(items(1), HANDOVER, "xls", tmp_path / "kept")
    with pytest.raises(
        BadRequest, match=r"^chunk: 0 is not a number of images; it must be at least 1$"
    ):
        export(items(1), HANDOVER, "txt", tmp_path / "kept", 0)
    with pytest.raises(
        BadRequest, match=r"^chunk: standard output is one file; name another for chunks$"
    ):
        export(items(1), HANDOVER, "txt", None, 5, stdout=io.BytesIO())
    with pytest.raises(
        BadRequest,
        match=r"^read_image: webdataset copies images, and was given no way to read them$",
    ):
        export(items(1), HANDOVER, "webdataset", tmp_path / "kept")
    assert names(tmp_path) == []


def test_images_that_cannot_be_had_now_are_tried_again_and_those_that_are_gone_are_not(
    tmp_path: Path,
) -> None:
    def read(one: Item) -> bytes:
        if one.row_id == 1:
            raise ImageGone(one.uri, "it has changed since it was indexed")
        if one.row_id == 4:
            raise ImageUnreachable(one.uri, "permission denied")
        return bytes_of(one)

    report = export(items(4), HANDOVER, "webdataset", tmp_path / "kept.tar", 2, read)
    assert report.skipped == [
        ("/photos/1.jpg", "it has changed since it was indexed"),
        ("/photos/4.jpg", "it cannot be read now: permission denied"),
    ]
    assert report.items == 2
    again = export(items(4), HANDOVER, "webdataset", tmp_path / "kept.tar", 2, bytes_of)
    assert again.skipped == [("/photos/1.jpg", "it has changed since it was indexed")]
    assert (again.items, again.already) == (3, 1)


def test_progress_counts_every_image(tmp_path: Path) -> None:
    watched = Watched()
    given = [item(1), url(2, "s3://shop/2.jpg")]
    export(given, HANDOVER, "yolo", tmp_path / "kept", progress=watched, count=2)
    assert watched.told == [("exporting", 2), (1, 0), (1, 1)]
    export(given, HANDOVER, "yolo", tmp_path / "kept", progress=watched, count=2)
    assert watched.told[3:] == [("exporting", 2), (1, 0), (1, 0)]


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"parquet"}))
def test_items_do_not_pile_up(tmp_path: Path, format: str) -> None:
    """20,000 items with their columns are over 10 MB; parquet alone keeps some, as Arrow's."""
    given = (item(row_id, columns={"caption": f"caption {row_id}"}) for row_id in range(1, 20_001))
    tracemalloc.start()
    try:
        export(given, HANDOVER, format, tmp_path / "kept", 20_000, bytes_of)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000
