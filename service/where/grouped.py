"""Groups of near-identical images as columns of a `where`: `group`, `group_size` and `is_best`.

They follow from what is stored beside the lake, so they are looked up by row_id, as tags are.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from indexer.arrays import Positions
from service.alike.live import LiveGroups
from service.alike.names import NAMES
from service.where.values import Column, Kind

# Beside a row's columns; no names that a user gives a column.
_STORED = {name: f"\x1f{name}" for name in NAMES}
_TYPES = {"group": pa.int64(), "group_size": pa.int64(), "is_best": pa.bool_()}


def group_column(said: str, name: str) -> Column:
    """:param said: as the user wrote it; name: one of NAMES."""
    kind = Kind.TRUTH if name == "is_best" else Kind.NUMBER
    return Column(said, kind, _TYPES[name], pc.field(_STORED[name]))


def with_groups(table: pa.Table, groups: LiveGroups) -> pa.Table:
    """
    :param table: rows with their row_id.
    :returns: them with one more column for each of the three.
    """
    chunks: list[Positions] = [
        np.asarray(np.from_dlpack(chunk), np.int64) for chunk in table["row_id"].chunks
    ]
    found = [groups.columns(chunk) for chunk in chunks]
    for at, (name, stored) in enumerate(_STORED.items()):
        arrays = [pa.array(each[at][0], _TYPES[name], mask=each[at][1]) for each in found]
        table = table.append_column(stored, pa.chunked_array(arrays, _TYPES[name]))
    return table
