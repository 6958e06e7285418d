"""The file of groups: what was written is read, what is no groups is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import LakeDamaged, LakeError
from service.alike.stored import About, GroupsFile, StoredGroups

GROUPS = StoredGroups(
    About(3, "2026-01-01T00:00:00+00:00", 8, 0.5, 2),
    np.array([2, 5, 9], np.int64),
    np.array([5, 5, 9], np.int64),
    np.array([1, 0, 0], np.int32),
)


@pytest.fixture
def file(tmp_path: Path) -> GroupsFile:
    return GroupsFile(tmp_path / "my.lake" / "alike")


def write(file: GroupsFile) -> None:
    file.path.parent.parent.mkdir()
    file.write(GROUPS)


def test_groups_come_back_as_they_were(file: GroupsFile) -> None:
    assert (file.stamp(), file.read()) == (None, None)
    write(file)
    found = file.read()
    assert found is not None and found.about == GROUPS.about
    for name in ("row_ids", "middles", "ranks"):
        assert getattr(found, name).tolist() == getattr(GROUPS, name).tolist()
    before = file.stamp()
    file.write(GROUPS)
    assert before is not None and file.stamp() != before


def change(table: pa.Table, **columns: list[int | None]) -> pa.Table:
    for name, values in columns.items():
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(values, table.schema.field(name).type))
    return table


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"row_id": [5, 2, 9]}, "do not rise"),
        ({"row_id": [0, 5, 9]}, "do not rise"),
        ({"middle": [4, 5, 9]}, "a group's middle is none of its rows"),
        ({"middle": [100, 5, 9]}, "a group's middle is none of its rows"),
        ({"rank": [None, 0, 0]}, "column rank holds no int32 alone"),
    ],
)
def test_what_is_no_groups_is_told(
    file: GroupsFile, columns: dict[str, list[int | None]], reason: str
) -> None:
    write(file)
    pq.write_table(change(pq.read_table(file.path), **columns), file.path)
    with pytest.raises(LakeDamaged, match=f"{reason}.*lakesift curate groups .*my.lake` makes it"):
        file.read()


def test_a_byte_that_fell_over_is_told(file: GroupsFile) -> None:
    write(file)
    data = bytearray(file.path.read_bytes())
    data[40] ^= 1
    file.path.write_bytes(bytes(data))
    with pytest.raises(LakeDamaged, match="makes it anew"):
        file.read()
    file.path.write_bytes(b"")
    with pytest.raises(LakeDamaged, match="makes it anew"):
        file.read()


def test_a_lake_that_cannot_be_written_is_told(file: GroupsFile) -> None:
    with pytest.raises(LakeError, match=r"cannot be written .No such file.*nothing was changed"):
        file.write(GROUPS)
