"""Every kind of file of a lake, damaged in every way:
a sentence each, the rest answers, `sync` mends what it can.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from indexer.disk import checks, manifest
from indexer.disk.layout import Layout
from indexer.disk.manifest import check_files
from indexer.errors import LakeDamaged, LakeError
from indexer.run.writing.compact import compact
from service import Lake
from service.cli.main import main
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import SMALL, Row, contents, current, index, resync, write_photo

REPAIRING = replace(SMALL, drop_damaged=True)
ENDS = "its first or last 64 KiB are not what was committed"

Damage = Callable[[Path], None]


def flip(path: Path, at: float) -> None:
    """Flip every bit of one byte. :param at: 0 is the first byte, 1 the last."""
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 0xFF
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


DAMAGES: dict[str, Damage] = {
    "first byte": lambda path: flip(path, 0),
    "a byte in the middle": lambda path: flip(path, 0.5),
    "a byte further on": lambda path: flip(path, 0.8),
    "last byte": lambda path: flip(path, 1),
    "missing": lambda path: path.unlink(),
    "truncated": truncate,
    "appended": append,
}


# those that are mended as well: that takes a while
MENDED = ["a byte in the middle", "missing", "truncated"]


def what_is_said(damage: str, length: int) -> str:
    """How the damage of a file of this length is told."""
    return {
        "missing": "it is missing",
        "truncated": f"it has {length // 2:,} bytes where {length:,} were committed",
        "appended": f"it has {length + 1:,} bytes where {length:,} were committed",
    }.get(damage, ENDS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments of ten rows: 1-10 red, 11-20 green, 21-30 blue;
    rows 5 and 15 are dead; one file is skipped.
    """
    folder = tmp_path_factory.mktemp("whole")
    photos = folder / "photos"
    photos.mkdir()
    (photos / "broken.png").write_bytes(b"no image")
    # A run for each: where a longer one commits depends on how fast it lists.
    for number in range(30):
        shade = number % 10 * 3
        colour = [(255, shade, 0), (0, 255, shade), (shade, 0, 255)][number // 10]
        write_photo(photos / f"{number + 1:02d}.png", colour)
        if number % 10 == 9:
            index(folder / "my.lake", photos, replace(SMALL, commit_rows=10, settle_s=0))
    for number in (5, 15):
        (photos / f"{number:02d}.png").unlink()
    resync(folder / "my.lake")
    assert sorted(contents(folder / "my.lake")) == [n for n in range(1, 31) if n not in (5, 15)]
    assert [entry.rows for entry in current(folder / "my.lake").segments] == [10, 10, 10]
    return folder / "my.lake"


@pytest.fixture
def lake(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "my.lake")
    return tmp_path / "my.lake"


def found(lake: Path) -> tuple[list[str], list[int]]:
    """What an opened lake says, and which rows it finds, best first."""
    with Lake.open(lake, ColourEmbedder()) as opened:
        return list(opened.problems), [hit.row_id for hit in opened.search("blue", k=None)]


def by_uri(rows: dict[int, Row]) -> dict[str, tuple[str, tuple[float, ...]]]:
    return {row.address.uri: (row.sha256, row.vector) for row in rows.values()}


# -- segments


@pytest.mark.parametrize("name", ["rows.parquet", "vectors.faiss"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_segment_is_out_of_service_and_the_rest_answers(
    lake: Path, name: str, damage: str
) -> None:
    path = lake / "segments" / current(lake).segments[0].id / name
    length = path.stat().st_size
    DAMAGES[damage](path)
    sentence = f"{path} is damaged: {what_is_said(damage, length)}; its 10 rows are out of service"
    assert found(lake) == ([sentence], [*range(21, 31), 20, 19, 18, 17, 16, 14, 13, 12, 11])


@pytest.mark.parametrize("name", ["rows.parquet", "vectors.faiss"])
@pytest.mark.parametrize("damage", MENDED)
def test_a_damaged_segment_is_mended_on_request(lake: Path, name: str, damage: str) -> None:
    before = contents(lake)
    path = lake / "segments" / current(lake).segments[0].id / name
    length = path.stat().st_size
    DAMAGES[damage](path)
    sentence = f"{path} is damaged: {what_is_said(damage, length)}; its 10 rows are out of service"
    with pytest.raises(LakeError) as refused:
        resync(lake)
    assert str(refused.value) == (
        f"{sentence}. Restore it from a backup, or run `lakesift sync {lake} --drop-damaged` "
        "to index its images again under new row ids"
    )

    report = resync(lake, REPAIRING)
    assert report.problems == [sentence]
    assert found(lake)[0] == []
    after = contents(lake)
    assert sorted(after) == [n for n in range(11, 31) if n != 15] + list(range(31, 40))
    assert by_uri(after) == by_uri(before), "row 15, dead in a whole segment, did not come back"
    assert resync(lake).problems == []


def test_a_missing_folder_of_a_segment_is_one_damage_of_two_files(lake: Path) -> None:
    shutil.rmtree(lake / "segments" / current(lake).segments[2].id)
    problems, row_ids = found(lake)
    assert len(problems) == 2 and all(
        "it is missing; its 10 rows are out of service" in p for p in problems
    )
    assert sorted(row_ids) == [n for n in range(1, 21) if n not in (5, 15)]


def test_dropping_damaged_rows_is_committed_even_where_no_image_can_be_indexed_again(
    lake: Path, whole: Path
) -> None:
    """The source is away: what is left must be whole in the next snapshot,
    or every later run would refuse again.
    """
    DAMAGES["missing"](lake / "segments" / current(lake).segments[0].id / "rows.parquet")
    photos = whole.parent / "photos"
    photos.rename(whole.parent / "away")
    try:
        resync(lake, REPAIRING)
    finally:
        (whole.parent / "away").rename(photos)
    assert sorted(contents(lake)) == [n for n in range(11, 31) if n != 15]
    assert found(lake)[0] == []


# -- tombstones and skipped files


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_dead_row_comes_back_where_tombstones_are_damaged(lake: Path, damage: str) -> None:
    path = lake / "tombstones" / f"{current(lake).tombstones[0].id}.parquet"
    length = path.stat().st_size
    DAMAGES[damage](path)
    said = what_is_said(damage, length)
    sentence = f"{path} is damaged: {said}; the segments it speaks of are out of service"
    assert found(lake) == ([sentence], list(range(21, 31)))


@pytest.mark.parametrize("damage", MENDED)
def test_damaged_tombstones_are_mended_on_request(lake: Path, damage: str) -> None:
    before = contents(lake)
    DAMAGES[damage](lake / "tombstones" / f"{current(lake).tombstones[0].id}.parquet")
    with pytest.raises(LakeError, match="--drop-damaged"):
        resync(lake)
    resync(lake, REPAIRING)
    after = contents(lake)
    assert sorted(after) == [*range(21, 31), *range(31, 49)], "18 rows under new ids, none doubled"
    assert by_uri(after) == by_uri(before)
    assert found(lake)[0] == []


def test_compact_leaves_damaged_tombstones_and_their_segments_alone(lake: Path) -> None:
    """And when the file is restored, the dead are still dead."""
    before = contents(lake)
    path = lake / "tombstones" / f"{current(lake).tombstones[0].id}.parquet"
    data = path.read_bytes()
    append(path)
    write_photo(lake.parent / "elsewhere" / "more.png", (9, 9, 255))
    out = check_files(Layout(lake), current(lake)).out_of_service
    compacted = compact(Layout(lake), current(lake), max_segments=1, damaged=out)
    assert len(compacted.segments) == 3, "the one that is left has no other to be merged with"
    assert main(["compact", str(lake)]) == 1
    path.write_bytes(data)
    assert contents(lake) == before


@pytest.mark.parametrize("damage", MENDED)
def test_damaged_skipped_files_cost_nothing_but_another_try(lake: Path, damage: str) -> None:
    before = contents(lake)
    path = lake / "skipped" / f"{current(lake).skipped[0].id}.parquet"
    length = path.stat().st_size
    DAMAGES[damage](path)
    said = what_is_said(damage, length)
    sentence = f"{path} is damaged: {said}; the next `lakesift sync` tries those files again"
    problems, row_ids = found(lake)
    assert (problems, sorted(row_ids)) == ([sentence], sorted(before))

    report = resync(lake)
    assert report.problems == [sentence]
    assert [(Path(uri).name, report.skipped) for uri, _ in report.newly_skipped] == [
        ("broken.png", 1)
    ]
    assert contents(lake) == before
    assert found(lake)[0] == []


# -- manifests


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_manifest_is_replaced_by_its_copy(lake: Path, damage: str) -> None:
    before = contents(lake)
    newest = f"{current(lake).snapshot:06d}.json"
    path = lake / "manifest.json"
    DAMAGES[damage](path)
    problems, row_ids = found(lake)
    assert sorted(row_ids) == sorted(before)
    (sentence,) = problems
    assert sentence.startswith(f"{path} is damaged: ")
    assert sentence.endswith(
        f"; read {newest} of manifests/ instead, the next `lakesift sync` repairs it"
    )
    assert resync(lake).problems == [sentence]
    assert contents(lake) == before
    assert found(lake)[0] == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_of_the_manifest_is_told_and_written_again(lake: Path, damage: str) -> None:
    path = Layout(lake).snapshot(current(lake).snapshot)
    DAMAGES[damage](path)
    problems, row_ids = found(lake)
    assert len(row_ids) == 28
    (sentence,) = problems
    assert sentence.startswith(f"{path} is damaged: it is ")
    assert sentence.endswith(
        "; manifest.json is whole, the next `lakesift sync` writes another copy"
    )
    assert resync(lake).problems == [sentence]
    assert found(lake)[0] == []


def test_no_flipped_byte_of_a_manifest_is_believed(lake: Path) -> None:
    """Each byte in turn: a sentence or, in white space,
    the same manifest; no other error, no other content.
    """
    path = lake / "manifest.json"
    data, whole = path.read_bytes(), current(lake)
    for at in range(len(data)):
        for bits in (0xFF, 0x01):
            flipped = data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]
            try:
                assert manifest.Manifest.from_json(flipped, str(path)) == whole
            except LakeDamaged:
                continue


def test_without_any_whole_manifest_there_is_one_sentence(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in [lake / "manifest.json", *(lake / "manifests").iterdir()]:
        truncate(path)
    assert main(["search", str(lake), "red"]) == 1
    assert capsys.readouterr().err == (
        f"lakesift: {lake}/manifest.json is damaged: it is not a manifest (no JSON object with a checksum)\n"
    )


# -- lakes too large to be read whole when they are opened


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every lake counts as large, and only 64 bytes at each end of
    a file are looked at when it is opened.
    """
    monkeypatch.setattr(checks, "END_BYTES", 64)
    monkeypatch.setattr(manifest, "ALWAYS_DEEP_BELOW_BYTES", 0)
    for number in range(60):
        write_photo(tmp_path / "photos" / f"{number + 1:02d}.png", (255 - number, number, 0))
    index(tmp_path / "my.lake", tmp_path / "photos", replace(SMALL, settle_s=0))
    return tmp_path / "my.lake"


def damage_middle(lake: Path) -> tuple[str, set[int]]:
    """Flip a byte amid the vectors of the second segment; returns the sentence on it and its rows.

    Where the run commits depends on what has arrived by then.
    """
    folder = lake / "segments" / current(lake).segments[1].id
    lost = set(pq.read_table(folder / "rows.parquet", columns=["row_id"])["row_id"].to_pylist())
    assert 5 <= len(lost) < 60
    path = folder / "vectors.faiss"
    flip(path, 0.5)
    block = "the 16 MiB block at byte 0 is not what was committed"
    return f"{path} is damaged: {block}; its {len(lost)} rows are out of service", lost


def test_a_flipped_byte_amid_a_large_lake_is_found_by_the_deep_check(
    large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence, _ = damage_middle(large)
    assert found(large)[0] == []
    assert check_files(Layout(large), current(large), deep=True).problems == (sentence,)
    assert main(["doctor", str(large), "--deep"]) == 1
    assert f"BAD  files: {sentence}\n" in capsys.readouterr().out


def test_the_background_check_takes_a_damaged_segment_out_while_searches_go_on(large: Path) -> None:
    sentence, lost = damage_middle(large)
    with Lake.open(large, ColourEmbedder(), background_check=True) as opened:
        deadline = time.monotonic() + 60
        while not opened.problems and time.monotonic() < deadline:
            assert len(opened.search("red", k=None)) in (60, 60 - len(lost))
        assert list(opened.problems) == [sentence]
        left = sorted(set(range(1, 61)) - lost)
        assert [hit.row_id for hit in opened.search("red", k=None)] == left
        assert opened.rows == 40
        write_photo(large.parent / "photos" / "99.png", (255, 0, 0))
        resync(large)
        assert opened.reload()
        assert list(opened.problems) == [sentence], "it stays out in later snapshots"
        assert len(opened.search("red", k=None)) == 41
    wait_for_checks()


def test_a_whole_large_lake_is_checked_in_the_background_without_a_word(large: Path) -> None:
    with Lake.open(large, ColourEmbedder(), background_check=True) as opened:
        wait_for_checks()
        assert list(opened.problems) == []
        assert len(opened.search("red", k=None)) == 60


def test_nothing_is_read_in_the_background_unless_asked(large: Path) -> None:
    damage_middle(large)
    with Lake.open(large, ColourEmbedder()) as opened:
        assert not [thread for thread in threading.enumerate() if thread.name == "lake-check"]
        assert list(opened.problems) == []


def wait_for_checks() -> None:
    for thread in threading.enumerate():
        if thread.name == "lake-check":
            thread.join(10)
            assert not thread.is_alive()


def test_damage_is_never_copied_into_a_new_file_whose_checksum_would_vouch_for_it(
    large: Path,
) -> None:
    segment = current(large).segments[1].id
    _, lost = damage_middle(large)
    path = large / "segments" / segment / "vectors.faiss"
    sentence = (
        f"{path} is damaged: the 16 MiB block at byte 0 is not what was committed; "
        f"run `lakesift sync {large} --drop-damaged` to index its images again"
    )
    with pytest.raises(LakeDamaged) as refused:
        compact(Layout(large), current(large), max_segments=1)
    assert str(refused.value) == sentence
    photo = large.parent / "photos" / f"{min(lost):02d}.png"
    photo.rename(photo.with_name("moved.png"))
    with pytest.raises(LakeDamaged) as refused:
        resync(large)
    assert str(refused.value) == sentence

    resync(large, REPAIRING)
    rows = contents(large)
    assert set(rows) == set(range(1, 61 + len(lost))) - lost
    assert len({row.address.uri for row in rows.values()}) == 60


def test_rows_that_parquet_cannot_decode_are_a_sentence(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = large / "segments" / current(large).segments[0].id / "rows.parquet"
    data = bytearray(path.read_bytes())
    data[64:1500] = bytes(1436)
    path.write_bytes(data)
    with pytest.raises(LakeDamaged) as told, Lake.open(large, ColourEmbedder()) as opened:
        opened.search("red", k=5)
    assert str(told.value).startswith(f"{path} is damaged: Parquet cannot read it (")
