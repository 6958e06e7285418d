"""Delta Lake: what only its tables have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from indexer.errors import SourceError
from tests.fakes import ColourEmbedder
from tests.indexer.catalogue.tables import DeltaTable, image, rows
from tests.indexer.catalogue.test_tables import by_number, ids, shown
from tests.lakes import RED, Desk, live_rows, png, write


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, ColourEmbedder())
    desk.photos.mkdir()
    return desk


@pytest.fixture
def made(desk: Desk) -> DeltaTable:
    return DeltaTable(desk.photos / "t")


def test_rows_of_deletion_vectors_go_and_the_others_stay(desk: Desk, made: DeltaTable) -> None:
    made.append(rows(range(4)))
    made.commit({"protocol": _protocol("deletionVectors")})
    desk.index(made.folder)
    before = ids(desk)
    [add] = made.actions("add")
    made.delete_by_vector(add, [1, 3])
    report = desk.idle_sync()
    assert (report.gone, report.new, report.problems) == (2, 0, [])
    assert ids(desk) == {n: before[n] for n in (0, 2)}
    assert shown(desk) == {0: image(0), 2: image(2)}
    assert desk.idle_sync().unchanged == 2
    made.delete_by_vector(made.actions("add")[-1], [1, 2, 3])
    assert desk.idle_sync().gone == 1
    assert ids(desk) == {0: before[0]}


def test_partition_values_are_columns_whatever_is_in_them(desk: Desk, made: DeltaTable) -> None:
    days = ["a b/c%20é", None, "a b/c%20é"]
    made.append(rows(range(3), day=pa.array(days, pa.string())), partition_by="day")
    report = desk.index(made.folder)
    assert (report.new, report.problems) == (3, [])
    assert {n: row["day"] for n, row in by_number(desk).items()} == dict(enumerate(days))
    assert shown(desk) == {n: image(n) for n in range(3)}


def test_columns_are_called_as_in_the_table_and_dropped_ones_go(
    desk: Desk, made: DeltaTable
) -> None:
    """Column mapping, by which Spark renames and drops columns without writing files anew."""
    made.append(rows(range(2)))
    desk.index(made.folder)
    before = ids(desk)
    [metadata] = made.actions("metaData")
    fields = [("picture", "binary", "image"), ("n", "long", "n"), ("link", "string", "side")]
    named = [_mapped(number, *field) for number, field in enumerate(fields, 1)]
    metadata["schemaString"] = json.dumps({"type": "struct", "fields": named})
    metadata["configuration"] = {
        "delta.columnMapping.mode": "name",
        "delta.columnMapping.maxColumnId": "3",
    }
    made.commit({"protocol": _protocol("columnMapping")}, {"metaData": metadata})
    report = desk.idle_sync()
    assert (report.gone, report.new, report.problems) == (0, 0, [])
    assert ids(desk) == before
    row = by_number(desk)[1]
    assert (row["link"], row["side"], row["own_uri"]) == ("odd", None, None)
    assert shown(desk) == {0: image(0), 1: image(1)}


def test_a_table_that_asks_for_more_than_is_known_is_refused(desk: Desk, made: DeltaTable) -> None:
    made.append(rows(range(2)))
    desk.index(made.folder)
    made.commit({"protocol": _protocol("rowsWrittenBackwards")})
    report = desk.idle_sync()
    assert (report.gone, len(live_rows(desk.lake))) == (0, 2)
    assert "rowsWrittenBackwards" in report.problems[0]


def test_files_outside_of_the_table_are_told_and_not_read(desk: Desk, made: DeltaTable) -> None:
    made.append(rows(range(2)))
    other = DeltaTable(desk.root / "other")
    other.append(rows(range(2, 4)))
    [add] = other.actions("add")
    elsewhere = {**add, "path": f"file://{other.folder}/{add['path']}"}
    above = {**add, "path": f"../../other/{add['path']}"}
    made.commit({"add": elsewhere}, {"add": above})
    report = desk.index(made.folder)
    assert report.new == 2
    assert any("data files are passed over: they lie outside" in note for note in report.notes)
    assert sorted(by_number(desk)) == [0, 1]


def test_a_copy_of_a_table_is_read_where_it_lies(desk: Desk, made: DeltaTable) -> None:
    made.append(rows(range(2)))
    desk.index(made.folder)
    shutil.move(made.folder, desk.root / "moved")
    report = desk.idle_sync(roots={str(made.folder): str(desk.root / "moved")})
    assert (report.new, report.gone, report.problems) == (0, 0, [])
    assert shown(desk) == {0: image(0), 1: image(1)}


def test_a_folder_that_the_library_would_take_for_another_is_refused(desk: Desk) -> None:
    made = DeltaTable(desk.photos / "t")
    made.append(rows(range(2)))
    shutil.move(made.folder, desk.photos / "a%20b")
    with pytest.raises(SourceError, match="a folder with % in its path"):
        desk.index(desk.photos / "a%20b")


def test_a_table_of_paths_names_its_images(desk: Desk, made: DeltaTable) -> None:
    for number in range(3):
        write(desk.photos / "pictures" / f"{number}.png", image(number))
    named = [f"pictures/{n}.png" for n in range(3)]
    made.append(pa.table({"path": named, "n": pa.array([0, 1, 2]), "day": ["a", "b", "b"]}), "day")
    report = desk.index(made.folder)
    assert (report.new, report.problems) == (3, [])
    assert {n: row["day"] for n, row in by_number(desk).items()} == {0: "a", 1: "b", 2: "b"}
    assert shown(desk) == {n: image(n) for n in range(3)}
    before = ids(desk)
    made.delete("n = 1")
    made.append(pa.table({"path": ["pictures/3.png"], "n": pa.array([3]), "day": ["b"]}), "day")
    write(desk.photos / "pictures" / "3.png", image(3))
    report = desk.sync()
    assert report.problems == []
    assert (report.new, report.gone, report.unchanged) == (1, 1, 2)
    assert {n: i for n, i in ids(desk).items() if n < 3} == {0: before[0], 2: before[2]}
    made.break_log()
    report = desk.idle_sync()
    assert (report.gone, len(live_rows(desk.lake)), len(report.problems)) == (0, 3, 1)


def test_a_table_of_neither_images_nor_paths_says_so(desk: Desk, made: DeltaTable) -> None:
    made.append(pa.table({"n": pa.array([0, 1]), "weight": [0.5, 1.5]}))
    with pytest.raises(
        SourceError, match=r"no column holds the images' paths.*there are n, weight"
    ):
        desk.index(made.folder)
    write(desk.photos / "red.png", png(RED))
    report = desk.index()
    assert (report.new, report.notes, report.problems) == (1, [], [])


def _protocol(feature: str) -> dict[str, object]:
    return {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": [feature],
        "writerFeatures": [feature],
    }


def _mapped(number: int, name: str, kind: str, physical: str) -> dict[str, object]:
    metadata = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical}
    return {"name": name, "type": kind, "nullable": True, "metadata": metadata}
