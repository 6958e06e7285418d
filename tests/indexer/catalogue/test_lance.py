"""Lance: what only its tables have."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest

from indexer.errors import SourceError
from tests.fakes import ColourEmbedder
from tests.indexer.catalogue.tables import LanceTable, image, rows
from tests.indexer.catalogue.test_tables import by_number, ids, shown
from tests.lakes import Desk, live_rows, write

Version = Literal["legacy", "2.0", "2.1", "2.2"]
BLOB = {"lance-encoding:blob": "true"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, ColourEmbedder())
    desk.photos.mkdir()
    return desk


@pytest.fixture
def made(desk: Desk) -> LanceTable:
    return LanceTable(desk.photos / "t.lance")


def blobs(version: Version, numbers: range, *last: Any) -> tuple[pa.Table, Version]:
    """Images in blobs as the file format has them, then what else is given."""
    import lance

    pictures = [*(image(n) for n in numbers), *last]
    n = pa.array(range(numbers.start, numbers.start + len(pictures)))
    if version == "2.1":
        first = pa.field("image", pa.large_binary(), metadata=BLOB)
        column: Any = pa.array(pictures, pa.large_binary())
    else:
        first, column = lance.blob_field("image"), lance.blob_array(pictures)
    return pa.table([column, n], schema=pa.schema([first, pa.field("n", pa.int64())])), version


@pytest.mark.parametrize("version", ["2.1", "2.2"])
def test_blobs_are_read_deleted_and_compacted(
    desk: Desk, made: LanceTable, version: Version
) -> None:
    import lance

    for numbers in (range(3), range(3, 6)):
        table, version = blobs(version, numbers)
        mode = "append" if numbers.start else "create"
        lance.write_dataset(table, str(made.folder), mode=mode, data_storage_version=version)
    report = desk.index(made.folder)
    assert (report.new, report.skipped, report.problems) == (6, 0, [])
    assert by_number(desk)[5]["size_bytes"] == len(image(5))
    assert shown(desk) == {n: image(n) for n in range(6)}
    before = ids(desk)
    made.delete("n = 1")
    made.compact()
    report = desk.idle_sync()
    assert (report.gone, report.moved, report.new) == (1, 5, 0)
    assert ids(desk) == {n: i for n, i in before.items() if n != 1}
    assert shown(desk) == {n: image(n) for n in (0, 2, 3, 4, 5)}


def test_blobs_without_bytes_and_those_elsewhere_are_refused_by_name(
    desk: Desk, made: LanceTable
) -> None:
    """A table names a file on this disk: its bytes would be shown to whoever may search."""
    import lance

    secret = write(desk.root / "secret.png", image(9))
    table, version = blobs("2.2", range(1), None, b"", f"file://{secret}")
    lance.write_dataset(
        table,
        str(made.folder),
        data_storage_version=version,
        allow_external_blob_outside_bases=True,
    )
    report = desk.index(made.folder)
    assert (report.new, report.skipped) == (1, 3)
    reasons = {uri[-1]: reason for uri, reason in report.newly_skipped}
    assert reasons["1"] == reasons["2"] == "there are no bytes of an image in this row"
    assert reasons["3"].startswith("its bytes lie outside the table, which are not read")
    assert desk.idle_sync().unchanged == 1


def test_a_blob_elsewhere_is_not_read_where_a_lake_names_it(desk: Desk, made: LanceTable) -> None:
    import lance

    from indexer.address import Address
    from indexer.errors import UnreadableImage
    from indexer.sources.bytes_of import BytesOf

    secret = write(desk.root / "secret.png", image(9))
    table, version = blobs("2.2", range(1), f"file://{secret}")
    lance.write_dataset(
        table,
        str(made.folder),
        data_storage_version=version,
        allow_external_blob_outside_bases=True,
    )
    [file] = (made.folder / "data").glob("*.lance")
    assert BytesOf().read(Address(str(file), member="image", row_index=0), 9_999) == image(0)
    with pytest.raises(UnreadableImage, match="outside the table"):
        BytesOf().read(Address(str(file), member="image", row_index=1), 9_999)


def test_columns_of_other_files_ride_along_and_changes_are_noticed(
    desk: Desk, made: LanceTable
) -> None:
    made.append(rows(range(4)))
    desk.index(made.folder)
    before = ids(desk)
    made.dataset.add_columns({"double": "n * 2"})
    report = desk.idle_sync()
    assert (report.gone, report.new) == (0, 0)
    assert {n: row["double"] for n, row in by_number(desk).items()} == {0: 0, 1: 2, 2: 4, 3: 6}
    made.dataset.alter_columns({"path": "side", "name": "parity"})
    made.dataset.drop_columns(["uri"])
    desk.idle_sync()
    row = by_number(desk)[1]
    assert (row["parity"], row["side"], row["own_uri"]) == ("odd", None, None)
    made.dataset.alter_columns({"path": "image", "name": "picture"})
    report = desk.idle_sync()
    assert (report.gone, report.new) == (0, 0)
    assert ids(desk) == before
    assert shown(desk) == {n: image(n) for n in range(4)}


def test_updated_values_are_taken_over(desk: Desk, made: LanceTable) -> None:
    made.append(rows(range(4)))
    desk.index(made.folder)
    before = ids(desk)
    made.dataset.update({"side": "'none'"}, where="n = 2")
    report = desk.idle_sync()
    assert (report.gone, report.new) == (0, 0)
    assert ids(desk) == before
    assert {n: row["side"] for n, row in by_number(desk).items()} == {
        0: "even",
        1: "odd",
        2: "none",
        3: "odd",
    }


def test_of_several_columns_of_bytes_the_one_with_images_counts(
    desk: Desk, made: LanceTable
) -> None:
    table = rows(range(3)).rename_columns(["picture", "n", "side", "uri"])
    hashes = pa.array([bytes([n]) * 32 for n in range(3)], pa.binary())
    vectors = pa.array([[0.5, 0.25]] * 3, pa.list_(pa.float32(), 2))
    made.append(table.append_column("hash", hashes).append_column("embedding", vectors))
    report = desk.index(made.folder)
    assert (report.new, report.problems) == (3, [])
    row = by_number(desk)[2]
    assert (row["member"], "hash" in row, "embedding" in row) == ("picture", False, False)


@pytest.mark.parametrize("version", ["legacy", "2.0", "2.1", "2.2"])
def test_each_file_format_is_read(desk: Desk, made: LanceTable, version: Version) -> None:
    import lance

    lance.write_dataset(rows(range(3)), str(made.folder), data_storage_version=version)
    made.delete("n = 0")
    desk.index(made.folder)
    assert shown(desk) == {1: image(1), 2: image(2)}


def test_stable_row_ids_change_nothing(desk: Desk, made: LanceTable) -> None:
    import lance

    for numbers in (range(3), range(3, 6)):
        lance.write_dataset(
            rows(numbers),
            str(made.folder),
            mode="append" if numbers.start else "create",
            enable_stable_row_ids=True,
        )
    made.delete("n = 3")
    desk.index(made.folder)
    before = ids(desk)
    made.compact()
    assert desk.idle_sync().moved == 5
    assert ids(desk) == before
    assert shown(desk) == {n: image(n) for n in (0, 1, 2, 4, 5)}


def test_a_table_written_over_under_its_name_has_the_new_images(
    desk: Desk, made: LanceTable
) -> None:
    import lance

    made.append(rows(range(3)))
    desk.index(made.folder)
    before = ids(desk)
    lance.write_dataset(rows([7, 1]), str(made.folder), mode="overwrite")
    report = desk.sync()
    assert (report.new, report.moved, report.gone) == (1, 1, 2)
    assert ids(desk)[1] == before[1]
    assert shown(desk) == {7: image(7), 1: image(1)}


def test_a_damaged_data_file_deletes_nothing(desk: Desk, made: LanceTable) -> None:
    made.append(rows(range(3)))
    made.append(rows(range(3, 6)))
    desk.index(made.folder)
    made.dataset.delete("n in (0, 3)")
    first = next(iter(live_rows(desk.lake).values()))["uri"]
    Path(first).write_bytes(Path(first).read_bytes()[:100])
    report = desk.idle_sync()
    assert (report.gone, report.new, len(report.problems)) == (1, 0, 1)
    assert first in report.problems[0]
    assert len(live_rows(desk.lake)) == 5


def test_fragments_outside_of_the_table_are_told(desk: Desk, made: LanceTable) -> None:
    other = LanceTable(desk.root / "other.lance")
    other.append(rows(range(3)))
    other.dataset.shallow_clone(str(made.folder), other.dataset.version)
    with pytest.raises(SourceError, match=r"1 data file is passed over: they lie outside"):
        desk.index(made.folder)


def test_a_data_file_alone_is_told(desk: Desk, made: LanceTable) -> None:
    made.append(rows(range(3)))
    [file] = (made.folder / "data").glob("*.lance")
    shutil.copy(file, desk.photos / "alone.lance")
    with pytest.raises(SourceError, match="index the table's own folder"):
        desk.index(desk.photos / "alone.lance")


def test_a_table_of_paths_names_its_images(desk: Desk, made: LanceTable) -> None:
    for number in range(3):
        write(desk.photos / "pictures" / f"{number}.png", image(number))
    named = [f"pictures/{n}.png" for n in range(3)]
    made.append(pa.table({"path": named, "n": pa.array([0, 1, 2])}))
    assert desk.index(made.folder).new == 3
    made.delete("n = 1")
    report = desk.idle_sync()
    assert (report.gone, report.unchanged) == (1, 2)
    assert shown(desk) == {0: image(0), 2: image(2)}
