"""Lance, Delta Lake and Iceberg tables through a lake's life: what holds for all three."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from indexer.sources.guard import Reach
from service.pictures.originals import IndexedImage, Originals
from tests.fakes import ColourEmbedder
from tests.indexer.catalogue.tables import KINDS, STRUCT, VECTORS, Made, image, rows
from tests.lakes import RED, Desk, live_rows


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ColourEmbedder())


@pytest.fixture(params=KINDS)
def made(desk: Desk, request: pytest.FixtureRequest) -> Made:
    """Six images in two data files."""
    table = KINDS[request.param](desk.photos / "t")
    desk.photos.mkdir()
    table.append(rows(range(3)))
    table.append(rows(range(3, 6)))
    return table


def by_number(desk: Desk) -> dict[int, dict[str, Any]]:
    return {row["n"]: row for row in live_rows(desk.lake).values()}


def ids(desk: Desk) -> dict[int, int]:
    return {number: row["row_id"] for number, row in by_number(desk).items()}


def shown(desk: Desk) -> dict[int, bytes]:
    """What a reader of the lake sees of each row, by the table's own number."""
    originals = Originals()
    reach = Reach.of(desk.manifest.sources)
    return {n: originals.read(IndexedImage.of(row, reach)) for n, row in by_number(desk).items()}


def refuse_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def members(*given: object) -> None:
        raise AssertionError(f"a data file was opened: {given}")

    monkeypatch.setattr("indexer.sources.containers.parquet.Parquet.members", members)
    monkeypatch.setattr("indexer.sources.containers.lance.Lance.members", members)


def test_each_image_is_a_row_with_its_columns_and_opened_once(
    desk: Desk, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = desk.index(made.folder)
    assert (report.new, report.skipped, report.problems, report.notes) == (6, 0, [], [])
    found = by_number(desk)
    assert sorted(found) == [0, 1, 2, 3, 4, 5]
    row = found[4]
    assert (row["side"], row["own_uri"]) == ("even", "https://x.example/4")
    assert (row["size_bytes"], row["vector"]) == (len(image(4)), VECTORS[0])
    assert row["uri"].startswith(f"{made.folder}/") and row["source"] == str(made.folder)
    assert row["etag"].split(":")[::2] == [made.kind, "3"]
    assert shown(desk) == {n: image(n) for n in range(6)}
    refuse_to_open(monkeypatch)
    report = desk.idle_sync()
    assert (report.unchanged, report.moved, report.gone, report.problems) == (6, 0, 0, [])


def test_compacted_files_keep_rows_and_vectors(desk: Desk, made: Made) -> None:
    desk.index(made.folder)
    before, places = by_number(desk), set(live_rows(desk.lake))
    made.compact()
    # until the next sync, too
    assert shown(desk) == {n: image(n) for n in range(6)}
    report = desk.idle_sync()
    assert (report.moved, report.new, report.gone) == (6, 0, 0)
    assert not places & set(live_rows(desk.lake))
    for number, row in by_number(desk).items():
        assert [row[k] for k in ("row_id", "vector", "sha256", "side")] == [
            before[number][k] for k in ("row_id", "vector", "sha256", "side")
        ]
    assert shown(desk) == {n: image(n) for n in range(6)}
    assert desk.idle_sync().unchanged == 6


def test_a_deleted_row_goes_and_the_others_stay(desk: Desk, made: Made) -> None:
    desk.index(made.folder)
    before = ids(desk)
    made.delete("n = 1")
    report = desk.idle_sync()
    assert (report.gone, report.new) == (1, 0)
    assert ids(desk) == {n: i for n, i in before.items() if n != 1}
    assert shown(desk) == {n: image(n) for n in (0, 2, 3, 4, 5)}
    assert desk.idle_sync().unchanged == 5


def test_a_restored_version_brings_its_rows_back(desk: Desk, made: Made) -> None:
    desk.index(made.folder)
    made.delete("n < 3")
    assert desk.idle_sync().gone == 3
    made.restore(1)
    report = desk.sync()
    assert (report.new, report.gone, report.unchanged) == (3, 0, 3)
    assert shown(desk) == {n: image(n) for n in range(6)}


def test_a_version_that_was_vacuumed_is_not_missed(desk: Desk, made: Made) -> None:
    desk.index(made.folder)
    before = ids(desk)
    made.delete("n = 1")
    made.compact()
    made.vacuum()
    report = desk.idle_sync()
    assert (report.gone, report.new, report.problems) == (1, 0, [])
    assert ids(desk) == {n: i for n, i in before.items() if n != 1}
    assert sorted(shown(desk)) == [0, 2, 3, 4, 5]


def test_a_column_that_comes_later_opens_no_data_file(
    desk: Desk, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.index(made.folder)
    made.add_column()
    with monkeypatch.context() as patched:
        refuse_to_open(patched)
        assert desk.idle_sync().unchanged == 6
    made.append(rows([6], later=pa.array([42], pa.int64())))
    assert desk.sync().new == 1
    assert {n: row["later"] for n, row in by_number(desk).items() if n > 4} == {5: None, 6: 42}


def test_a_table_that_cannot_be_read_deletes_nothing(desk: Desk, made: Made) -> None:
    desk.add("loose.png", RED)
    desk.index()
    before = set(live_rows(desk.lake))
    assert len(before) == 7
    made.break_log()
    report = desk.idle_sync()
    assert (report.gone, set(live_rows(desk.lake))) == (0, before)
    [problem] = report.problems
    assert problem.startswith(f"{made.folder}/: this ") and "cannot be read" in problem


def test_a_data_file_that_is_missing_deletes_nothing(desk: Desk, made: Made) -> None:
    desk.index(made.folder)
    before = ids(desk)
    made.append(rows([6, 7]))
    known = {row["uri"] for row in live_rows(desk.lake).values()}
    [added] = [
        path
        for path in made.folder.rglob("*")
        if path.suffix in (".parquet", ".lance") and str(path) not in known
    ]
    data = added.read_bytes()
    added.unlink()
    report = desk.idle_sync()
    assert (report.gone, ids(desk), len(report.problems)) == (0, before, 1)
    assert str(added) in report.problems[0]
    added.write_bytes(data)
    report = desk.sync()
    assert (report.new, report.unchanged, report.gone) == (2, 6, 0)
    assert {n: i for n, i in ids(desk).items() if n < 6} == before


def test_a_table_beside_photos_is_no_folder_of_parquet_files(desk: Desk, made: Made) -> None:
    made.compact()  # the files of before are still there, and belong to nothing
    desk.add("loose.png", RED)
    assert (desk.index().new, desk.idle_sync().unchanged) == (7, 7)


def test_without_its_package_a_table_is_left_out_and_keeps_its_rows(
    desk: Desk, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.index(made.folder)
    monkeypatch.setattr("indexer.sources.catalogue.kinds.find_spec", lambda name: None)
    report = desk.idle_sync()
    assert (report.gone, report.problems, len(live_rows(desk.lake))) == (0, [], 6)
    [note] = report.notes
    assert f"pip install 'lakesift[{made.kind}]'" in note
    assert "the rows that they had are kept" in note


@pytest.mark.parametrize("kind", KINDS)
def test_hugging_face_structs_are_read_and_rows_without_bytes_are_told(
    desk: Desk, kind: str
) -> None:
    desk.photos.mkdir()
    table = KINDS[kind](desk.photos / "t")
    pictures = [{"bytes": image(0), "path": "0.png"}, {"bytes": None, "path": "1.png"}, None]
    table.append(pa.table({"image": pa.array(pictures, STRUCT), "n": pa.array([0, 1, 2])}))
    report = desk.index(table.folder)
    assert (report.new, report.skipped) == (1, 2)
    assert {reason for _, reason in report.newly_skipped} == {
        "there are no bytes of an image in this row"
    }
    assert shown(desk) == {0: image(0)}
    report = desk.idle_sync()
    assert (report.unchanged, report.newly_skipped) == (1, [])
