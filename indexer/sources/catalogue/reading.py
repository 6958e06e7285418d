"""The rows of a table's Parquet files as one table, without images and other bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from indexer.errors import SourceError, UnreadableImage
from indexer.sources.catalogue import DataFile
from indexer.sources.containers.image_columns import holds_bytes
from indexer.sources.opened import open_file
from indexer.sources.store import Stores, store_reason


def read_rows(uri: str, files: Iterable[DataFile], stores: Stores) -> pa.Table:
    """:raises SourceError: if a file of the table cannot be read."""
    try:
        tables = [_read(file, stores) for file in files]
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
    except UnreadableImage as error:
        raise SourceError(uri, f"its file {error}") from error
    # each store raises its own library's errors
    except Exception as error:
        raise SourceError(uri, f"its rows cannot be read: {store_reason(error)}") from error


def _read(file: DataFile, stores: Stores) -> pa.Table:
    opened, _ = open_file(file.address, stores)
    with opened:
        parquet = pq.ParquetFile(opened, coerce_int96_timestamp_unit="us")
        schema = parquet.schema_arrow
        names = {name: name for name in schema.names}
        if file.names is not None:
            names = file.names.of(schema)
        wanted = [
            field.name for field in schema if field.name in names and not holds_bytes(field.type)
        ]
        table = parquet.read(wanted)
    if file.deleted is not None:
        kept = np.ones(len(table), np.bool_)
        kept[file.deleted()] = False
        table = table.filter(pa.array(kept))
    table = table.rename_columns([names[name] for name in table.column_names])
    for name, value in file.constants.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.array([value] * len(table)))
    return pa.table({name: _one_form(table.column(name)) for name in table.column_names})


def _one_form(column: Any) -> Any:
    """Writers keep text in several forms, which Arrow does not put behind each other."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _one_form(column.cast(kind.value_type))
    is_text = pa.types.is_string(kind) or pa.types.is_string_view(kind)
    return column.cast(pa.large_string()) if is_text else column
