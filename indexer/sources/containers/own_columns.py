"""The other columns of a table with images, as those of a lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from indexer.disk.rows import beside, own_name
from indexer.sources import ColumnValue
from indexer.sources.columns import CAPTION
from indexer.sources.plain_columns import PlainColumns
from indexer.sources.sidecars import TAKEN, is_too_large


def own_columns(uri: str, names: Sequence[str], columns: Sequence[Any], rows: int) -> pa.Table:
    """A column that is named as one of ours is `own_uri`; one that has no plain form is left out.

    :param uri: of the file, as messages name it.
    """
    plain = PlainColumns(uri).of(_own_names(names), columns)
    small = {name: _without_large(column) for name, column in plain.items()}
    if not small:
        return pa.table({"": pa.nulls(rows)}).select([])
    return pa.table(small)


def constant_columns(values: Mapping[str, ColumnValue]) -> dict[str, ColumnValue]:
    """What is one value for all rows of a file, by the columns' names in a lake."""
    return dict(zip(_own_names(list(values)), values.values(), strict=True))


def _own_names(names: Sequence[str]) -> list[str]:
    own = [own_name(beside(name, TAKEN, "own_")) for name in names]
    return [CAPTION if name.lower() == CAPTION else name for name in own]


def _without_large(column: Any) -> Any:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    values = column.to_pylist()
    return pa.array([None if v is not None and is_too_large(v) else v for v in values], pa.string())
