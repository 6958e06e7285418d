"""Tombstones and skipped files: written, read back, and rewritten when segments go."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from indexer.address import Address
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest
from indexer.disk.tables import (
    SKIPPED_SCHEMA,
    Place,
    Skipped,
    dead_positions,
    drop_segments,
    read_skipped,
    write_no_tombstones,
    write_skipped,
    write_tombstones,
)
from indexer.run.writing.commits import prepare_folder

WHEN = datetime(2024, 5, 6, 7, 8, 9, 123456)
EMPTY = Manifest("colours", {}, 3)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "my.lake")
    prepare_folder(layout)
    return layout


def manifest(**fields: object) -> Manifest:
    return Manifest("colours", {}, 3, **fields)  # type: ignore[arg-type]


def listed(dead: dict[str, object]) -> dict[str, list[int]]:
    return {segment: list(positions) for segment, positions in dead.items()}  # type: ignore[call-overload]


def test_tombstones_come_back_sorted_by_segment(layout: Layout) -> None:
    first = write_tombstones(layout, [Place("B", 3), Place("A", 9), Place("B", 1)])
    second = write_tombstones(layout, [Place("A", 2)])
    assert (first.rows, first.segments, second.rows, second.segments) == (3, ("A", "B"), 1, ("A",))
    dead = dead_positions(layout, manifest(tombstones=(first, second)))
    assert listed(dict(dead)) == {"A": [2, 9], "B": [1, 3]}
    assert dead_positions(layout, EMPTY) == {}


def test_dropping_segments_keeps_what_the_others_need_in_one_file(layout: Layout) -> None:
    first = write_tombstones(layout, [Place("A", 9), Place("B", 1)])
    second = write_tombstones(layout, [Place("C", 2), Place("B", 0)])
    (left,) = drop_segments(layout, [first, second], {"A"})
    assert (left.rows, left.segments) == (3, ("B", "C"))
    assert listed(dict(dead_positions(layout, manifest(tombstones=(left,))))) == {
        "B": [0, 1],
        "C": [2],
    }
    assert drop_segments(layout, [first, second], {"A", "B", "C"}) == ()
    assert drop_segments(layout, [first], {"C"}) == (first,), "nothing to drop: the same file"
    assert drop_segments(layout, [], {"C"}) == ()


def test_skipped_files_come_back_whole_and_by_uri(layout: Layout) -> None:
    later = Skipped("/b", None, "/", 5, 1_700_000_000_000_001, None, "no image", False, WHEN)
    odd = Skipped("/a%FF", b"/a\xff", "/", 0, None, '"etag"', "denied", True, WHEN)
    entry = write_skipped(layout, [later, odd])
    assert entry.rows == 2
    first, second = read_skipped(layout, manifest(skipped=(entry,))).to_pylist()
    assert list(first) == SKIPPED_SCHEMA.names
    assert (first["uri"], first["path_bytes"], first["etag"], first["transient"]) == (
        "/a%FF",
        b"/a\xff",
        '"etag"',
        True,
    )
    assert (second["reason"], second["size_bytes"], second["transient"]) == ("no image", 5, False)
    assert second["modified"] == datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=UTC)
    assert first["when"] == WHEN.replace(tzinfo=UTC)
    assert read_skipped(layout, EMPTY).num_rows == 0


def test_skipped_parts_of_files_have_their_keys_in_tables_of_before_too(layout: Layout) -> None:
    places = [
        Address("/a.jpg"),
        Address("/a.mcap", member="2", stream="/front", time_us=1),
        Address("/a.parquet", member="image", row_group=2, row_index=17),
        Address("/a.tar", member="x/R&B.png"),
    ]
    skipped = [
        Skipped(str(each), None, "/", 5, None, None, "no image", False, WHEN, each.part)
        for each in places
    ]
    entry = write_skipped(layout, skipped)
    table = read_skipped(layout, manifest(skipped=(entry,)))
    assert [Skipped(*row.values()).key for row in table.to_pylist()] == [
        each.key for each in places
    ]
    path = layout.skipped_file(entry.id)
    pq.write_table(pq.read_table(path).drop_columns(["part"]), path)
    assert read_skipped(layout, manifest(skipped=(entry,))).equals(table)


def test_one_skipped_file_that_cannot_be_read_does_not_cost_the_others(layout: Layout) -> None:
    entries = [
        write_skipped(layout, [Skipped(uri, None, "/", 5, None, None, "no image", False, WHEN)])
        for uri in "ab"
    ]
    layout.skipped_file(entries[0].id).write_bytes(b"something else")
    assert read_skipped(layout, manifest(skipped=tuple(entries)))["uri"].to_pylist() == ["b"]


def test_a_lake_always_has_a_file_of_tombstones_to_match(layout: Layout) -> None:
    """DuckDB refuses a pattern that matches nothing."""
    (path,) = layout.tombstones.glob("*.parquet")
    assert pq.read_table(path).num_rows == 0
    before = path.stat().st_mtime_ns
    write_no_tombstones(layout)
    assert path.stat().st_mtime_ns == before
