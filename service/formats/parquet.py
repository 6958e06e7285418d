"""parquet: the table of csv, with types.

`path_bytes` has the exact path where the uri had to escape it. The metadata tells of the filter.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from service.formats.batch import Batch, LeftOutItem
from service.formats.chunk import Job
from service.formats.item import Item
from service.formats.table_columns import OWN, own_column, own_values, plain_columns

# kept as Python values at a time; what waits after that is Arrow's, about a tenth of the size
BATCH_ROWS = 4_096
GROUP_ROWS = 65_536


class Writer:
    """Writes each row group once it is full.

    Where the columns' types are not known, all rows wait for the end, when their values tell them.
    """

    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._job = job
        self._file = file
        self._items: list[Item] = []
        self._tables: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, item: Item) -> None:
        self._items.append(item)
        if len(self._items) == BATCH_ROWS:
            self._pack()
            if self._job.schema is not None and len(self._tables) * BATCH_ROWS >= GROUP_ROWS:
                self._write()

    def add_all(self, batch: Batch) -> list[LeftOutItem]:
        self._tables.append(_table(batch))
        waiting = pa.concat_tables(self._tables)
        if waiting.num_rows >= GROUP_ROWS:
            self._tables = [waiting.slice(0, GROUP_ROWS)]
            self._write()
            self._tables = [waiting.slice(GROUP_ROWS)]
        return []

    def finish(self) -> None:
        if self._items or self._writer is None:
            self._pack()
        if sum(table.num_rows for table in self._tables) or self._writer is None:
            self._write()
        assert self._writer is not None, "an export of nothing is a file without rows"
        self._writer.close()

    def _pack(self) -> None:
        fields = [*_own_fields(), pa.field("path_bytes", pa.binary())]
        rows = [[*own_values(item), _odd_path(item)] for item in self._items]
        arrays = [
            pa.array([row[at] for row in rows], field.type) for at, field in enumerate(fields)
        ]
        for name, shown in self._names().items():
            array = pa.array([item.columns.get(name) for item in self._items], self._type_of(name))
            arrays.append(array)
            fields.append(pa.field(shown, array.type))
        self._tables.append(pa.table(arrays, schema=pa.schema(fields)))
        self._items = []

    def _write(self) -> None:
        # "permissive": a column that had no value in the first batches has the type of the later
        # ones.
        table = pa.concat_tables(self._tables, promote_options="permissive")
        table = table.cast(pa.schema([_typed(field) for field in table.schema]))
        about = json.dumps(self._job.handover.to_json(), ensure_ascii=False)
        table = table.replace_schema_metadata({"lakesift": about})
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, table.schema, compression="zstd")
        self._writer.write_table(table, GROUP_ROWS)
        self._tables = []

    def _names(self) -> dict[str, str]:
        if self._job.schema is not None:
            return plain_columns(self._job.schema.names)
        return plain_columns(self._items[0].columns) if self._items else {}

    def _type_of(self, name: str) -> Any:
        return None if self._job.schema is None else self._job.schema.field(name).type


def _table(batch: Batch) -> pa.Table:
    own = [own_column(batch, field.name).cast(field.type) for field in _own_fields()]
    paths = pa.nulls(len(batch), pa.binary())
    if pc.any(batch.is_odd).as_py():
        found = [_odd_path(item) for item in batch.where(batch.is_odd).items()]
        paths = pc.replace_with_mask(paths, batch.is_odd, pa.array(found, pa.binary()))
    names = plain_columns(batch.rows.column_names)
    arrays = [*own, paths, *(batch.column(name) for name in names)]
    return pa.table(arrays, names=[*OWN, "path_bytes", *names.values()])


def _own_fields() -> list[pa.Field]:
    types = {
        "row_id": pa.int64(),
        "score": pa.float64(),
        "probability": pa.float64(),
        "width_px": pa.int32(),
        "height_px": pa.int32(),
    }
    return [pa.field(name, types.get(name, pa.string())) for name in OWN]


def _odd_path(item: Item) -> bytes | None:
    return None if item.path is None or item.path == item.uri.encode() else item.path


def _typed(field: pa.Field) -> pa.Field:
    """A column without a single value becomes text: few readers know Parquet's null type."""
    return field.with_type(pa.string()) if pa.types.is_null(field.type) else field
