"""A segment's two files: what goes in comes out,
in the same order, or a sentence says what does not agree.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.disk.checks import check_of, find_damage
from indexer.disk.layout import Layout
from indexer.disk.manifest import SegmentEntry
from indexer.disk.rows import (
    ROW_SCHEMA,
    Spellings,
    lake_schema,
    merge_types,
    own_types,
    rows_table,
)
from indexer.disk.segment import Segment, SegmentWriter
from indexer.disk.stored_vectors import NewVectors, StoredVectors
from indexer.errors import LakeDamaged
from indexer.run.writing.commits import prepare_folder

RED, GREEN, BLUE = np.eye(3, dtype=np.float32)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "my.lake")
    prepare_folder(layout)
    return layout


def row(row_id: int, **columns: Any) -> dict[str, Any]:
    return {"row_id": row_id, "uri": f"/photos/{row_id}.png", **columns}


def write(layout: Layout, rows: list[dict[str, Any]], vectors: list[Any]) -> SegmentEntry:
    segment = SegmentWriter(layout, 3)
    segment.add_rows(rows_table(rows))
    segment.add_vectors(np.stack(vectors))
    return segment.finish()


def typed(*values: Any) -> tuple[str, list[Any]]:
    """The type that a column of these values gets, and what it then holds."""
    column = rows_table([row(n, mine=value) for n, value in enumerate(values)])["mine"]
    return str(column.type), column.to_pylist()


def test_a_segment_gives_back_its_rows_and_vectors_in_order(layout: Layout) -> None:
    when = datetime(2024, 5, 6, 7, 8, 9, 123456)
    place = {"latitude": 48.5, "longitude": -9.25}
    rows = [
        row(7, phash=2**64 - 1, modified=1_700_000_000_123_456),
        row(5, captured_at=when, place=place, ward=3),
    ]
    entry = write(layout, rows, [RED, BLUE])
    assert (entry.rows, sorted(entry.files)) == (2, ["rows.parquet", "vectors.faiss"])
    segment = Segment(layout, entry)
    first, second = segment.read_rows(lake_schema({"ward": "int64"})).to_pylist()
    assert (first["row_id"], first["uri"], first["phash"]) == (7, "/photos/7.png", 2**64 - 1)
    assert first["modified"] == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert (first["ward"], first["place"], first["captured_at"]) == (None, None, None)
    assert (second["row_id"], second["captured_at"], second["place"], second["ward"]) == (
        5,
        when,
        place,
        3,
    )
    assert segment.vectors.take(np.array([1, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert list(layout.staging.iterdir()) == []


def test_columns_are_read_with_the_types_of_the_lake(layout: Layout) -> None:
    """A segment older than a column has nulls there;
    one whose numbers were whole gives decimals, then text.
    """
    entry = write(layout, [row(1, ward=3), row(2, ward=4)], [RED, BLUE])
    segment = Segment(layout, entry)
    assert segment.read_rows(lake_schema({"ward": "double"}), ["ward"])["ward"].to_pylist() == [
        3.0,
        4.0,
    ]
    assert segment.read_rows(lake_schema({"ward": "string"}), ["ward"])["ward"].to_pylist() == [
        "3",
        "4",
    ]
    later = lake_schema({"ward": "int64", "later": "bool"})
    assert segment.read_rows(later, ["later", "row_id"]).to_pydict() == {
        "later": [None, None],
        "row_id": [1, 2],
    }


@pytest.mark.parametrize("name", ["rows", "vectors"])
def test_counts_that_disagree_are_told_with_both_numbers(layout: Layout, name: str) -> None:
    entry = write(layout, [row(1), row(2)], [RED, BLUE])
    segment = Segment(layout, replace(entry, rows=1234))
    file = {"rows": "rows.parquet", "vectors": "vectors.faiss"}[name]
    with pytest.raises(LakeDamaged) as told:
        getattr(segment, name)
    path = layout.segment(entry.id) / file
    assert str(told.value) == f"{path} is damaged: it has 2 rows where the manifest says 1,234"


def test_rows_and_vectors_of_different_number_never_become_a_segment(layout: Layout) -> None:
    with pytest.raises(AssertionError, match="2 rows, 1 vectors"):
        write(layout, [row(1), row(2)], [RED])
    assert list(layout.segments.iterdir()) == []


def test_files_that_are_something_else_are_a_sentence(layout: Layout) -> None:
    entry = write(layout, [row(1)], [RED])
    for name in ("rows.parquet", "vectors.faiss"):
        (layout.segment(entry.id) / name).write_bytes(b"something else")
    with pytest.raises(LakeDamaged, match=r"rows\.parquet is damaged: Parquet cannot read it"):
        _ = Segment(layout, entry).rows
    with pytest.raises(LakeDamaged, match=r"vectors\.faiss is damaged: FAISS cannot read it"):
        _ = Segment(layout, entry).vectors


@pytest.mark.parametrize("rows", [5, 100_000])
def test_an_index_that_does_not_fit_on_the_disk_is_an_error(rows: int) -> None:
    """FAISS's own writer says nothing when five vectors do not fit:
    they are lost when its buffer is flushed.
    """
    vectors = NewVectors(3)
    vectors.add(np.tile(RED, (rows, 1)))
    with pytest.raises(OSError) as full:
        vectors.write(Path("/dev/full"))
    assert full.value.errno == errno.ENOSPC


# -- the sources' own columns


def test_own_columns_take_the_type_of_their_values() -> None:
    assert typed(1, None, -3) == ("int64", [1, None, -3])
    assert typed(1.5, None) == ("double", [1.5, None])
    assert typed(1, 1.5) == ("double", [1.0, 1.5])
    assert typed(True, None, False) == ("bool", [True, None, False])
    assert typed("a", None) == ("string", ["a", None])
    when = datetime(2024, 5, 6, 7, 8, 9)
    assert typed(when, None) == ("timestamp[us]", [when, None])


def test_mixed_values_become_text_and_lose_nothing() -> None:
    assert typed(True, 1) == ("string", ["True", "1"])
    assert typed(1, "one") == ("string", ["1", "one"])
    assert typed(2**63, 1) == ("string", ["9223372036854775808", "1"])
    assert typed(10**400, 0.5) == ("string", [str(10**400), "0.5"])
    assert typed(2**63 - 1, -(2**63)) == ("int64", [2**63 - 1, -(2**63)])


def test_a_column_without_a_value_is_left_out() -> None:
    table = rows_table([row(1, mine=None, yours=2)])
    assert table.column_names == [*ROW_SCHEMA.names, "yours"]
    assert own_types(table.schema) == {"yours": "int64"}


def test_a_name_has_the_spelling_that_came_first() -> None:
    spellings = Spellings({"Year": "int64", "kind": "string", "KIND": "string"})
    assert spellings.of({"uri": "a", "year": 1, "town": "Bonn"}) == {
        "uri": "a",
        "Year": 1,
        "town": "Bonn",
    }
    # both were in the lake already: neither value may go
    row = {"Town": 2, "kind": "x", "KIND": "y"}
    assert spellings.of(row) == {"town": 2, "kind": "x", "KIND": "y"}
    assert spellings.joined == {"year": "Year", "Town": "town"}


def test_types_merge_towards_what_holds_both() -> None:
    known = {"a": "int64", "b": "bool", "c": "double", "d": "string", "e": "timestamp[us]"}
    found = {"a": "double", "b": "int64", "c": "int64", "d": "bool", "f": "bool"}
    merged = {
        "a": "double",
        "b": "string",
        "c": "double",
        "d": "string",
        "e": "timestamp[us]",
        "f": "bool",
    }
    assert merge_types(known, found) == merged
    assert known["a"] == "int64", "the manifest's own is left as it is"
    assert [field.type for field in lake_schema(merged)][-6:] == [
        pa.float64(),
        pa.string(),
        pa.float64(),
        pa.string(),
        pa.timestamp("us"),
        pa.bool_(),
    ]


# -- what a manifest knows of a file


def test_a_file_is_known_by_its_length_its_ends_and_its_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.disk.checks.BLOCK_BYTES", 100)
    monkeypatch.setattr("indexer.disk.checks.END_BYTES", 10)
    path = tmp_path / "file"
    path.write_bytes(bytes(range(250)))
    check = check_of(path)
    assert (check.length, len(check.blocks)) == (250, 3)
    assert find_damage(path, check, deep=True) is None
    path.write_bytes(bytes(range(149)) + b"x" + bytes(range(150, 250)))
    assert find_damage(path, check, deep=False) is None
    assert (
        find_damage(path, check, deep=True)
        == "the 16 MiB block at byte 100 is not what was committed"
    )
    path.write_bytes(bytes(range(249)) + b"x")
    assert (
        find_damage(path, check, deep=False)
        == "its first or last 64 KiB are not what was committed"
    )
    path.write_bytes(bytes(251))
    assert find_damage(path, check, deep=False) == "it has 251 bytes where 250 were committed"
    path.unlink()
    assert find_damage(path, check, deep=False) == "it is missing"


@pytest.mark.parametrize("kind", ["distances", "bytes", "floats"])
def test_vectors_of_another_kind_of_index_are_refused(layout: Layout, kind: str) -> None:
    """One of distances would rank backwards, in silence."""
    quantizer = faiss.ScalarQuantizer
    index = {
        "distances": lambda: faiss.IndexScalarQuantizer(2, quantizer.QT_fp16, faiss.METRIC_L2),
        "bytes": lambda: faiss.IndexScalarQuantizer(
            2, quantizer.QT_8bit_direct, faiss.METRIC_INNER_PRODUCT
        ),
        "floats": lambda: faiss.IndexFlatIP(2),
    }[kind]()
    index.add(np.eye(2, dtype=np.float32))
    path = layout.root / "vectors.faiss"
    faiss.write_index(index, str(path))
    with pytest.raises(ValueError, match=r"^it is no flat index of inner products in half prec"):
        StoredVectors.open(path)


def rewritten(entry: SegmentEntry, layout: Layout, table: pa.Table) -> Segment:
    """The segment with another table, whose checksum is right: whoever writes it writes both."""
    path = layout.segment(entry.id) / "rows.parquet"
    pq.write_table(table, path)
    return Segment(layout, replace(entry, files={**entry.files, "rows.parquet": check_of(path)}))


@pytest.mark.parametrize(
    ("name", "kind", "value", "reason"),
    [
        ("row_id", pa.string(), "1", "its column row_id holds string, not int64"),
        ("row_id", pa.int64(), None, "2 rows have no row_id"),
        ("row_id", pa.int64(), 0, "a row_id is not in 1 to 2^53 - 1"),
        ("row_id", pa.int64(), 2**53, "a row_id is not in 1 to 2^53 - 1"),
        ("uri", pa.string(), None, "2 rows have no uri"),
        ("mine", pa.list_(pa.int64()), [1], "its column mine holds list<"),
        (
            "captured_at",
            pa.timestamp("us"),
            253_402_300_800_000_000,  # the first moment of the year 10,000
            "a time in its column captured_at is not in the years 1 to 9999",
        ),
    ],
)
def test_rows_that_no_lake_of_ours_holds_are_damage(
    layout: Layout, name: str, kind: pa.DataType, value: object, reason: str
) -> None:
    entry = write(layout, [row(1, mine=1), row(2, mine=2)], [RED, GREEN])
    table = pq.ParquetFile(layout.segment(entry.id) / "rows.parquet").read()
    at = table.column_names.index(name)
    other = table.set_column(at, pa.field(name, kind), pa.array([value, value], kind))
    with pytest.raises(LakeDamaged) as caught:
        list(rewritten(entry, layout, other).row_groups())
    assert caught.value.reason.startswith(reason)
    assert sum(group.num_rows for group in rewritten(entry, layout, table).row_groups()) == 2


def test_times_of_all_the_years_there_are_stay_readable(layout: Layout) -> None:
    first, last = datetime(1, 1, 2), datetime(9999, 12, 30)
    entry = write(layout, [row(1, captured_at=first), row(2, captured_at=last)], [RED, GREEN])
    (table,) = Segment(layout, entry).row_groups(["captured_at"])
    assert table["captured_at"].to_pylist() == [first, last]


@pytest.mark.parametrize(
    ("number", "are_finite"), [(1.0, True), (float("nan"), False), (7e4, False)]
)
def test_vectors_that_are_no_numbers_are_found(number: float, are_finite: bool) -> None:
    vectors = NewVectors(3)
    vectors.add(np.stack([RED, RED * np.float32(number), GREEN]))
    assert vectors.stored().are_finite is are_finite


def test_a_segment_takes_no_vectors_of_another_dimension(layout: Layout) -> None:
    segment = SegmentWriter(layout, 3)
    with pytest.raises(LakeDamaged) as caught:
        segment.add_vectors(np.zeros((1, 4), np.float32))
    assert caught.value.reason == "it has vectors of 4 dimensions, and a manifest that says 3"


def test_the_first_and_the_last_moment_that_python_holds_are_read(layout: Layout) -> None:
    """9999-12-31 23:59:59 is what many tables write for no end."""
    first, last = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)
    entry = write(layout, [row(1, until=first), row(2, until=last)], [RED, GREEN])
    [table] = Segment(layout, entry).row_groups()
    assert table["until"].to_pylist() == [first, last]
