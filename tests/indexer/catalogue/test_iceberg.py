"""Iceberg: what only its tables have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import SourceError
from tests.fakes import ColourEmbedder
from tests.indexer.catalogue.tables import IcebergTable, image, puffin, rows
from tests.indexer.catalogue.test_tables import by_number, ids, shown
from tests.lakes import Desk, live_rows


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, ColourEmbedder())
    desk.photos.mkdir()
    return desk


@pytest.fixture
def made(desk: Desk) -> IcebergTable:
    table = IcebergTable(desk.photos / "t")
    table.append(rows(range(4)))
    return table


def positions(path: Path, data_file: str, numbers: list[int]) -> Path:
    """A file of position deletes, with one of another data file among them."""
    files = [data_file] * len(numbers) + ["/elsewhere.parquet"]
    pq.write_table(pa.table({"file_path": files, "pos": pa.array([*numbers, 0])}), path)
    return path


def test_position_deletes_and_deletion_vectors_are_applied(desk: Desk, made: IcebergTable) -> None:
    desk.index(made.folder)
    before = ids(desk)
    [data_file] = made.data_files
    deletes = positions(made.folder / "data" / "d.parquet", data_file, [1])
    made.add_deletes("POSITION_DELETES", deletes, 1)
    report = desk.idle_sync()
    assert (report.gone, report.new, report.problems) == (1, 0, [])
    assert ids(desk) == {n: before[n] for n in (0, 2, 3)}
    vectors = made.folder / "data" / "v.puffin"
    vectors.write_bytes(puffin({"/elsewhere.parquet": [0], data_file: [1, 3]}))
    made.add_deletes("POSITION_DELETES", vectors, 2)
    report = desk.idle_sync()
    assert (report.gone, report.new, report.problems) == (1, 0, [])
    assert shown(desk) == {0: image(0), 2: image(2)}
    assert ids(desk) == {0: before[0], 2: before[2]}
    assert desk.idle_sync().unchanged == 2


def test_deletes_that_cannot_be_read_delete_nothing(desk: Desk, made: IcebergTable) -> None:
    desk.index(made.folder)
    vectors = made.folder / "data" / "v.puffin"
    vectors.write_bytes(puffin({made.data_files[0]: [1, 3]}))
    made.add_deletes("POSITION_DELETES", vectors, 2)
    vectors.write_bytes(b"PFA1 and no more")
    report = desk.idle_sync()
    assert (report.gone, len(live_rows(desk.lake)), len(report.problems)) == (0, 4, 1)


def test_a_table_with_equality_deletes_is_refused(desk: Desk, made: IcebergTable) -> None:
    desk.index(made.folder)
    deletes = made.folder / "data" / "d.parquet"
    pq.write_table(pa.table({"n": pa.array([1])}), deletes)
    made.add_deletes("EQUALITY_DELETES", deletes, 1)
    report = desk.idle_sync()
    assert (report.gone, len(live_rows(desk.lake))) == (0, 4)
    assert "equality deletes" in report.problems[0] and "compact" in report.problems[0]


def test_columns_are_called_as_in_the_table_and_dropped_ones_go(
    desk: Desk, made: IcebergTable
) -> None:
    desk.index(made.folder)
    before = ids(desk)
    with made.table.update_schema() as update:
        update.rename_column("side", "parity")
        update.rename_column("image", "picture")
        update.delete_column("uri")
    report = desk.idle_sync()
    assert (report.gone, report.new, report.problems) == (0, 0, [])
    assert ids(desk) == before
    row = by_number(desk)[1]
    assert (row["parity"], row["side"], row["own_uri"]) == ("odd", None, None)
    assert shown(desk) == {n: image(n) for n in range(4)}


def test_a_dropped_column_of_images_takes_its_rows_along(desk: Desk, made: IcebergTable) -> None:
    desk.index(made.folder)
    with made.table.update_schema() as update:
        update.delete_column("image")
    report = desk.idle_sync()
    # A source that lists nothing any more keeps its rows until the user says otherwise.
    assert (report.gone, len(live_rows(desk.lake))) == (0, 4)
    assert "--allow-empty" in report.problems[0]
    assert desk.idle_sync(allow_empty=True).gone == 4


def test_two_metadata_files_of_one_number_are_not_guessed_between(
    desk: Desk, made: IcebergTable
) -> None:
    made.append(rows([4]))
    folder = made.folder / "metadata"
    newest = max(folder.glob("*.metadata.json"))
    number = newest.name.partition("-")[0]
    other = shutil.copy(newest, folder / f"{number}-another.metadata.json")
    desk.index(desk.add("loose.png", (255, 0, 0)))
    with pytest.raises(SourceError, match=r"a catalogue alone knows.*version-hint\.text"):
        desk.index(made.folder)
    (folder / "version-hint.text").write_text(Path(other).name)
    assert desk.index(made.folder).new == 5


def test_a_hadoop_table_is_known_by_the_numbers_of_its_metadata(
    desk: Desk, made: IcebergTable
) -> None:
    folder = made.folder / "metadata"
    old, new = sorted(folder.glob("*.metadata.json"))
    old.rename(folder / "v9.metadata.json")
    new.rename(folder / "v10.metadata.json")
    (folder / "version-hint.text").write_text("9")  # which is written after the metadata
    assert desk.index(made.folder).new == 4


def test_a_copy_of_a_table_reads_its_own_files(desk: Desk, made: IcebergTable) -> None:
    copy = desk.root / "copy"
    shutil.copytree(made.folder, copy)
    shutil.rmtree(made.folder)
    desk.index(copy)
    assert shown(desk) == {n: image(n) for n in range(4)}
    assert {row["uri"].startswith(f"{copy}/data/") for row in live_rows(desk.lake).values()} == {
        True
    }


def test_files_outside_of_the_table_are_not_opened(desk: Desk, made: IcebergTable) -> None:
    """A table may name any path: what is no part of it is nobody's to read."""
    folder = made.folder / "metadata"
    newest = max(folder.glob("*.metadata.json"))
    metadata = json.loads(newest.read_text())
    listed = Path(metadata["snapshots"][-1]["manifest-list"].removeprefix("file://"))
    stolen = desk.root / "secret.avro"
    shutil.move(listed, stolen)
    metadata["snapshots"][-1]["manifest-list"] = str(stolen)
    metadata["properties"]["py-io-impl"] = "os.path.join"
    newest.write_text(json.dumps(metadata))
    with pytest.raises(SourceError, match=r"it names .*secret\.avro, outside of its folder"):
        desk.index(made.folder)


def test_partitions_are_columns(desk: Desk) -> None:
    from pyiceberg.transforms import IdentityTransform

    made = IcebergTable(desk.photos / "t")
    made.append(rows(range(2)).slice(0, 0))
    with made.table.update_spec() as update:
        update.add_field("side", IdentityTransform())
    made.append(rows(range(4)))
    assert desk.index(made.folder).new == 4
    assert {n: row["side"] for n, row in by_number(desk).items()} == {
        0: "even",
        1: "odd",
        2: "even",
        3: "odd",
    }
