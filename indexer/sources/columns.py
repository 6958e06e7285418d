"""The user's own metadata: a table joined to the images by path, one row an image."""

from __future__ import annotations

import json
import logging
import posixpath
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.errors import SourceError
from indexer.sources import ColumnValue
from indexer.sources.names import absolute, is_url, uri_of

logger = logging.getLogger(__name__)

CAPTION = "caption"
# The columns of rows.parquet that only lakesift fills; `caption` is for tables and sidecars as well.
RESERVED_COLUMNS: frozenset[str] = frozenset(
    (
        *(
            "row_id",
            "uri",
            "path_bytes",
            "member",
            "offset",
            "length",
            "size_bytes",
            "modified",
            "etag",
            "sha256",
        ),
        *(
            "phash",
            "width_px",
            "height_px",
            "format",
            "captured_at",
            "camera",
            "place",
            "source",
            "columns_etag",
        ),
    )
)
KEY_COLUMNS = (
    "uri",
    "path",
    "file",
    "filename",
    "image",
    "image_path",
    "file_name",
)  # the first found is the key
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")

_NULLS = ["", "null", "NULL", "nan", "NaN"]  # not NA: a country
_LEFT_OUT = ("", "__index_level_0__")  # what pandas writes of an index
Hashes: TypeAlias = NDArray[np.int64]
Column: TypeAlias = Any  # pa.ChunkedArray, which pyarrow's own stubs take for other things in places


class ColumnTable:
    """A table of the user's, looked up by an image's path: absolute, a URL, or relative to the source's root.

    Stays an Arrow table; the index beside it is two integers a row, so that a million rows cost little more
    than themselves. Lookups are safe from several threads.
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
    def load(cls, text: str) -> ColumnTable:
        """Read a .csv, .tsv or .parquet file.

        :raises SourceError: if it cannot be read, has no key column, a reserved one, or two rows for a path.
        """
        path, _ = uri_of(absolute(text))
        table = _read(path)
        key = _key_column(path, table.column_names)
        keys = _normalised(table.column(key))
        columns = table.select([name for name in table.column_names if name != key and name not in _LEFT_OUT])
        _check_names(path, columns.column_names)
        return cls(path, keys, _plain(path, columns))

    def __len__(self) -> int:
        return len(self._keys)

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
            return pq.ParquetFile(path).read()
        return _read_csv(path, "," if suffix == ".csv" else "\t")
    except FileNotFoundError as error:
        raise SourceError(
            path, "there is no such table; give --columns the path of a .csv, .tsv or .parquet"
        ) from error
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(path, f"the table of columns cannot be read: {reason}") from error


def _read_csv(path: str, delimiter: str) -> pa.Table:
    """Types come from all rows: pyarrow infers from the first block only, so the file is one block."""
    parse = pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    size = Path(path).stat().st_size
    read = pa.csv.ReadOptions(block_size=min(max(size + 1, 1 << 20), 2**31 - 1))
    with pa.csv.open_csv(path, parse_options=parse) as head:  # keys stay text, even "001"
        texts = {name: pa.string() for name in head.schema.names if name.lower() in (*KEY_COLUMNS, CAPTION)}
    convert = pa.csv.ConvertOptions(column_types=texts, null_values=_NULLS, strings_can_be_null=True)
    return pa.csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)


def _key_column(path: str, names: list[str]) -> str:
    by_lower = {name.lower(): name for name in reversed(names)}
    for key in KEY_COLUMNS:
        if key in by_lower:
            return by_lower[key]
    wanted, there = ", ".join(KEY_COLUMNS), ", ".join(names)
    raise SourceError(path, f"no column holds the images' paths; looked for {wanted}; there are {there}")


def _check_names(path: str, names: list[str]) -> None:
    lower = [name.lower() for name in names]  # SQL does not tell URI from uri
    reserved = [name for name in names if name.lower() in RESERVED_COLUMNS]
    if reserved:
        all_reserved = ", ".join(sorted(RESERVED_COLUMNS))
        raise SourceError(
            path, f"rename {', '.join(reserved)}; lakesift itself fills the columns {all_reserved}"
        )
    for name in names:
        if lower.count(name.lower()) > 1:
            raise SourceError(path, f"there are two columns named {name}; rename one")


def _normalised(keys: Column) -> Column:
    """Paths as the uris spell them: `./a//b` is a/b, file:///a is /a. Null keys match nothing."""
    keys = pc.fill_null(keys.cast(pa.large_string()), "")
    odd = pc.match_substring_regex(keys, r"(^|/)\.{1,2}/|//|/$")
    if not pc.any(odd).as_py():
        return keys
    return pa.chunked_array([pa.array(map(_normal, keys.to_pylist()), pa.large_string())])


def _normal(key: str) -> str:
    if key.startswith("file://"):
        key = key.removeprefix("file://")
    return key if is_url(key) or not key else posixpath.normpath(key)


def _plain(path: str, table: pa.Table) -> pa.Table:
    """Every column as one of the types of `ColumnValue`; bytes, such as pictures, are left out."""
    columns: dict[str, Column] = {}
    for name in table.column_names:
        column = _plain_column(table.column(name))
        if column is None:
            logger.warning("%s: the column %s holds bytes and is left out", path, name)
            continue
        is_caption = name.lower() == CAPTION
        columns[CAPTION if is_caption else name] = column.cast(pa.large_string()) if is_caption else column
    if not columns:  # a table of keys alone still has its rows
        return pa.table({"": pa.nulls(len(table))}).select([])
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _plain_column(column: Column) -> Column | None:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain_column(column.cast(kind.value_type))
    if _holds_bytes(kind):
        return None
    if pa.types.is_nested(kind):
        texts = (
            None if value is None else json.dumps(value, ensure_ascii=False, default=str)
            for value in column.to_pylist()
        )
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    if pa.types.is_boolean(kind):
        return column
    if pa.types.is_integer(kind):
        fits = not pa.types.is_uint64(kind) or (pc.max(column).as_py() or 0) < 2**63
        return column.cast(pa.int64() if fits else pa.float64(), safe=fits)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(numbers), None, numbers)  # pandas writes a missing number as NaN
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.cast(pa.timestamp("us", "UTC" if getattr(kind, "tz", None) else None), safe=False)
    return column.cast(pa.large_string())


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return True
    return any(_holds_bytes(kind.field(i).type) for i in range(kind.num_fields))


def _row_marks(columns: pa.Table) -> NDArray[np.uint64]:
    """One 64-bit number a row, (n_rows,), from the column names and the row's values."""
    names = "\x1f".join(columns.column_names).encode()
    if not columns.column_names:
        return np.zeros(len(columns), np.uint64)
    plain: list[Any] = [column.cast(pa.large_string()) for column in columns.columns]
    texts = [pc.fill_null(column, "\x00") for column in plain]
    joined = pc.binary_join_element_wise(*texts, pa.scalar("\x1f", pa.large_string()))
    numbers = (
        int.from_bytes(blake2b(text.encode(), digest_size=8, key=blake2b(names).digest()).digest(), "big")
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
