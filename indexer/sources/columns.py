"""The user's own metadata: a table joined to the images by path, one row an image."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.disk.rows import LATER_COLUMNS, ROW_SCHEMA, beside, own_name
from indexer.errors import SourceError
from indexer.sources import ColumnValue
from indexer.sources.csv_table import read_csv
from indexer.sources.names import absolute, is_url, uri_of
from indexer.sources.plain_columns import PlainColumns, text_of_bytes

logger = logging.getLogger(__name__)

CAPTION = "caption"
MAX_VALUE_BYTES = 64_000  # of one value, as UTF-8; a larger one is no metadata but a file
# The columns of rows.parquet that only lakesift fills; `caption` is for tables and sidecars as
# well. Tables of old lakes may have some of LATER_COLUMNS, which are renamed and not refused.
RESERVED_COLUMNS: frozenset[str] = frozenset(ROW_SCHEMA.names) - {CAPTION} - LATER_COLUMNS
# What DuckDB adds to a Parquet file's columns by this one name alone, and lakes are read with.
ROW_NUMBER = "file_row_number"
KEY_COLUMNS = (
    "uri",
    "path",
    "file",
    "filename",
    "image",
    "image_path",
    "file_name",
    "url",
    "image_url",
)  # the first found is the key
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")

_LEFT_OUT = ("", "__index_level_0__")  # what pandas writes of an index
Hashes: TypeAlias = NDArray[np.int64]
# pa.ChunkedArray, which pyarrow's own stubs take for other things in places
Column: TypeAlias = Any


class ColumnTable:
    """A table of the user's, looked up by an image's path:
    absolute, a URL, or relative to the source's root.

    Stays an Arrow table; the index beside it is two integers a row, so that a million rows cost
    little more than themselves. Lookups are safe from several threads.
    """

    def __init__(self, path: str, keys: Column, columns: pa.Table) -> None:
        self.path = path
        self._keys = keys
        self._columns = columns
        self._marks = _row_marks(columns)
        self._hashes, self._rows = _index(path, keys)
        is_absolute = pc.match_substring_regex(keys, "^/|://")
        self._has_absolute = bool(pc.any(is_absolute).as_py())
        self._has_relative = not pc.all(is_absolute).as_py()

    @classmethod
    def load(cls, text: str, *, keys_are_paths: bool = True) -> ColumnTable:
        """Read a .csv, .tsv, .parquet or .jsonl file.

        :param keys_are_paths: True: `./a//b` is a/b. False: they name objects of a store, where
            `a//b` is another one.
        :raises SourceError: if it cannot be read, has no key column, a reserved one, or two rows
            for a path.
        """
        path, _ = uri_of(absolute(text))
        return cls.of(path, _read(path), keys_are_paths=keys_are_paths)

    @classmethod
    def of(cls, path: str, table: pa.Table, *, keys_are_paths: bool = True) -> ColumnTable:
        """A table that was read already.

        :param path: where it lies, as messages and the manifest name it.
        :raises SourceError: as `load`.
        """
        names = list(table.column_names)
        place, keys = _key_column(path, table)
        others = [i for i in range(len(names)) if i != place and names[i] not in _LEFT_OUT]
        _check_names(path, names[place], [names[i] for i in others])
        plain = PlainColumns(path).of(
            [_name_beside(path, names[i]) for i in others], [table.column(i) for i in others]
        )
        small = {name: without_large(path, name, column) for name, column in plain.items()}
        return cls(path, _normalised(keys, keys_are_paths), _joined(small, len(table)))

    def __len__(self) -> int:
        return len(self._keys)

    def paths(self) -> Iterator[str]:
        """The images' paths and URLs, as the table spells them."""
        return (key for key in _each(self._keys) if key)

    def row_of(self, uri: str, root: str) -> int | None:
        """The row for an image below root, or None; by uri or by path from root."""
        row = self._find(uri) if self._has_absolute else None
        if row is None and self._has_relative and uri.startswith(root + "/"):
            row = self._find(uri[len(root) + 1 :])
        return row

    def mark(self, row: int) -> str:
        """Changes when a value or a column's name does."""
        return f"{self._marks[row]:016x}"

    def values(self, row: int) -> dict[str, ColumnValue]:
        return cast(dict[str, ColumnValue], self._columns.slice(row, 1).to_pylist()[0])

    def _find(self, key: str) -> int | None:
        wanted = _hash(key)
        place = int(self._hashes.searchsorted(wanted))
        while place < len(self._hashes) and self._hashes[place] == wanted:
            row = int(self._rows[place])
            if self._keys[row].as_py() == key:
                return row
            place += 1
        return None


def _read(path: str) -> pa.Table:
    suffix = Path(path).suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise SourceError(path, f"the table of columns must be one of {', '.join(TABLE_SUFFIXES)}")
    try:
        if suffix == ".parquet":
            # Spark's and Impala's old times: in nanoseconds the year 9999 would become 1816.
            return pq.ParquetFile(path, coerce_int96_timestamp_unit="us").read()
        if suffix in (".jsonl", ".ndjson"):
            return pj.read_json(path)
        separator = "," if suffix == ".csv" else "\t"
        return read_csv(path, separator, KEY_COLUMNS, (*KEY_COLUMNS, CAPTION))
    except FileNotFoundError as error:
        raise SourceError(
            path,
            "there is no such table; give --columns the path of a .csv, .tsv, .parquet or .jsonl",
        ) from error
    # ValueError: a Parquet file whose own names are not UTF-8
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(path, f"the table of columns cannot be read: {reason}") from error


def _key_column(path: str, table: pa.Table) -> tuple[int, Column]:
    """Where the column of the images' paths is, and its texts."""
    names = table.column_names
    by_lower = {name.lower(): place for place, name in reversed(list(enumerate(names)))}
    for key in KEY_COLUMNS:
        if key in by_lower:
            texts = key_texts(table.column(by_lower[key]))
            if texts is not None:  # a data set's `image` may hold the pictures themselves
                return by_lower[key], texts
    wanted, there = ", ".join(KEY_COLUMNS), ", ".join(names)
    raise SourceError(
        path, f"no column holds the images' paths; looked for {wanted}; there are {there}"
    )


def key_texts(column: Column) -> Column | None:
    """A column's texts, "" for null. None if these are no paths."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return key_texts(column.cast(kind.value_type))
    if pa.types.is_nested(kind):
        return None
    try:
        binary = column if _is_bytes(kind) else column.cast(pa.large_string())
        texts = text_of_bytes(binary)
    except pa.ArrowException:
        return None
    return None if texts is None else pc.fill_null(texts, "")


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _check_names(path: str, key: str, names: list[str]) -> None:
    lower = [name.lower() for name in (key, *names)]  # SQL does not tell URI from uri
    reserved = [name for name in names if name.lower() in RESERVED_COLUMNS]
    if reserved:
        all_reserved = ", ".join(sorted(RESERVED_COLUMNS))
        raise SourceError(
            path, f"rename {', '.join(reserved)}; lakesift itself fills the columns {all_reserved}"
        )
    for name in names:
        if lower.count(name.lower()) > 1:
            raise SourceError(path, f"there are two columns named {name}; rename one")


def _name_beside(path: str, name: str) -> str:
    column = own_name(beside(name, (ROW_NUMBER,), "own_"))
    if column != name:
        logger.warning("%s: the column %s is called %s in the lake", path, name, column)
    return column


def without_large(path: str, name: str, column: Column) -> Column:
    """Texts of more than MAX_VALUE_BYTES are null, which is told."""
    if not pa.types.is_large_string(column.type) and not pa.types.is_string(column.type):
        return column
    held = pc.if_else(pc.greater(pc.binary_length(column), MAX_VALUE_BYTES), None, column)
    if count := held.null_count - column.null_count:
        logger.warning(
            "%s: the column %s holds %s larger than %s bytes, left empty",
            path,
            name,
            "a value" if count == 1 else f"{count:,} values",
            f"{MAX_VALUE_BYTES:,}",
        )
    return held


def _normalised(keys: Column, keys_are_paths: bool) -> Column:
    """Paths as the uris spell them: `./a//b` is a/b, file:///a is /a."""
    normal = _normal if keys_are_paths else _normal_key
    odd = pc.match_substring_regex(keys, r"(^|/)\.{1,2}/|//|/$")
    if not pc.any(odd).as_py():
        return keys
    return pa.chunked_array([pa.array(map(normal, keys.to_pylist()), pa.large_string())])


def _normal(key: str) -> str:
    if key.startswith("file://"):
        key = key.removeprefix("file://")
    return key if is_url(key) or not key else posixpath.normpath(key)


def _normal_key(key: str) -> str:
    """An object's name is what it is, but for the `./` that tools put before it."""
    return key.removeprefix("./")


def _joined(columns: dict[str, Column], rows: int) -> pa.Table:
    if not columns:  # a table of keys alone still has its rows
        return pa.table({"": pa.nulls(rows)}).select([])
    captions = [name for name in columns if name.lower() == CAPTION]
    names = [CAPTION if name in captions else name for name in columns]
    arrays = [
        column.cast(pa.large_string()) if name in captions else column
        for name, column in columns.items()
    ]
    return pa.Table.from_arrays(arrays, names=names)


def _row_marks(columns: pa.Table) -> NDArray[np.uint64]:
    """One 64-bit number a row, (n_rows,), from the column names and the row's values."""
    names = "\x1f".join(columns.column_names).encode()
    if not columns.column_names:
        return np.zeros(len(columns), np.uint64)
    plain: list[Any] = [column.cast(pa.large_string()) for column in columns.columns]
    texts = [pc.fill_null(column, "\x00") for column in plain]
    joined = pc.binary_join_element_wise(*texts, pa.scalar("\x1f", pa.large_string()))
    numbers = (
        int.from_bytes(
            blake2b(text.encode(), digest_size=8, key=blake2b(names).digest()).digest(), "big"
        )
        for text in _each(joined)
    )
    return np.fromiter(numbers, np.uint64, len(columns))


def _index(path: str, keys: Column) -> tuple[Hashes, Hashes]:
    """The keys' hashes in ascending order and the rows that they belong to, both (n_rows,)."""
    hashes = np.fromiter(map(_hash, _each(keys)), np.int64, len(keys))
    rows = np.argsort(hashes, kind="stable")
    hashes = hashes[rows]
    for place in np.flatnonzero(hashes[1:] == hashes[:-1]):
        first, second = (keys[int(rows[place + i])].as_py() for i in (0, 1))
        if first == second and first:
            raise SourceError(path, f"there are two rows for {first}; keep one row for each image")
    return hashes, rows


def _hash(key: str) -> int:
    """Python's own, new with each process: the index is never stored."""
    return hash(key)


def _each(texts: Column) -> Iterator[str]:
    """One chunk's worth of Python strings at a time, not the whole column's."""
    for start in range(0, len(texts), 65_536):
        yield from texts.slice(start, 65_536).to_pylist()
