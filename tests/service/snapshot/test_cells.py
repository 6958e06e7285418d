"""Rows of a table cell by cell: what Arrow's own rows are, whatever batch they lie in."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from service.snapshot.cells import Cells

TAKEN = datetime(2024, 2, 29, 12, 0, 0, 250_000, UTC)
SCHEMA = pa.schema(
    {
        "row_id": pa.int64(),
        "uri": pa.string(),
        "member": pa.string(),
        "modified": pa.timestamp("us", "UTC"),
        "place": pa.struct({"latitude": pa.float64(), "longitude": pa.float64()}),
        "names": pa.list_(pa.string()),
    }
)
ROWS = [
    {
        "row_id": 2**53 - 1,
        "uri": "/a.jpg",
        "member": None,
        "modified": TAKEN,
        "place": {"latitude": -1.5, "longitude": 0.25},
        "names": ["ö", "b"],
    },
    {"row_id": 2, "uri": "/b", "member": None, "modified": None, "place": None, "names": []},
    {"row_id": 3, "uri": "/c", "member": "x", "modified": None, "place": None, "names": None},
    {"row_id": 4, "uri": "/d", "member": None, "modified": None, "place": None, "names": None},
    {"row_id": 5, "uri": "/e", "member": None, "modified": TAKEN, "place": None, "names": ["c"]},
]


@pytest.mark.parametrize("sizes", [(5,), (1, 1, 3), (2, 0, 3), (0, 4, 1)])
def test_a_row_has_its_values_in_the_tables_order(sizes: tuple[int, ...]) -> None:
    whole = pa.Table.from_pylist(ROWS, SCHEMA)
    ends = np.cumsum(sizes).tolist()
    cells = Cells(
        pa.concat_tables(
            whole.slice(end - size, size) for end, size in zip(ends, sizes, strict=True)
        )
    )
    for position, row in enumerate(ROWS):
        found = cells.row(position)
        assert found == row
        assert list(found) == SCHEMA.names


def test_a_row_is_its_callers_own() -> None:
    """Tags are added to what is returned."""
    cells = Cells(pa.Table.from_pylist(ROWS, SCHEMA))
    cells.row(3)["member"] = "changed"
    assert cells.row(3) == ROWS[3]
