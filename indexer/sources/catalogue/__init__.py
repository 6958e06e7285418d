"""Tables of many files: Lance, Delta Lake, Iceberg. A table is what its own log says that it is.

A table's images lie in its data files, which are never rewritten in place: each is a container. So
the difference between the version that a lake knows and the current one is a difference of files,
and one that is in both is not opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.address import Address
from indexer.sources import ColumnValue
from indexer.sources.containers.field_names import FieldNames

RowNumbers = NDArray[np.int64]  # (n,), ascending


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a table, in its current version."""

    address: Address
    kind: str  # the table's, as rows' etag has it
    size_bytes: int
    # changes with the file, with what was deleted of it, and with what its columns are called
    mark: str
    # rows, counted from the file's first, that the table has deleted; None: none
    deleted: Callable[[], RowNumbers] | None = None
    names: FieldNames | None = None  # None: as in the file
    # columns that the table has of all rows of the file, and the file has not
    constants: Mapping[str, ColumnValue] = field(default_factory=dict)
    column: str | None = None  # that holds the images, where the table alone can tell


@dataclass(frozen=True, slots=True)
class Table:
    """The current version of a table."""

    files: tuple[DataFile, ...]
    # why some files are not read -> how many
    passed_over: Mapping[str, int] = field(default_factory=dict)
    # the rows' columns, without those of bytes; reads the table
    read: Callable[[], pa.Table] = lambda: pa.table({})


def below(root: Address, path: str) -> Address | None:
    """A file of a table, by its path from the table's folder; None if it lies elsewhere."""
    parts = path.split("/")
    if not path or path.startswith("/") or "://" in path or ".." in parts or "\0" in path:
        return None
    uri = f"{root.uri.rstrip('/')}/{path}"
    if root.path_bytes is None:
        return Address(uri)
    return Address(uri, root.path_bytes.rstrip(b"/") + b"/" + path.encode())


def plain(value: Any) -> ColumnValue:
    """A partition's value as a column of a lake holds it."""
    if value is None or isinstance(value, str | int | float | bool | datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    return float(value) if isinstance(value, Decimal) else str(value)
