"""Rows and their vectors as other tools leave them on disk, read a few thousand at a time.

Knows no lake: what a row becomes there is said by `rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.disk.entries import reason_of
from indexer.errors import BadRequest, SourceError
from indexer.vector_files.clip_retrieval import METADATA, VECTORS, is_layout, pairs_in

BATCH_ROWS = 8_192
_BATCH_NUMBERS = 8_192 * 4_096  # of wide vectors fewer rows are held at once: 128 MiB in float32
MAX_DIM = 65_536  # a list of more decimals is something else
# Read ahead within a column; without it pyarrow reads a row group's column whole.
_BUFFER_BYTES = 1 << 20
# In a table's metadata: lakesift wrote it, so its columns are those of a lake. JSON with the model.
OURS = b"lakesift_vectors"
SMALLEST = 1e-12  # length of a vector that still points somewhere
UNIT = 1e-3  # a vector whose length is this near to 1 is left as it is, bit for bit
_MADE_OF = (
    f"give a folder with {VECTORS}/*.npy and {METADATA}/*.parquet as clip-retrieval writes them, or "
    "Parquet files with a column of vectors"
)


@dataclass(frozen=True, slots=True)
class VectorRows:
    """A few rows next to each other."""

    file: Path
    first: int  # the number of the first one in its file
    table: pa.Table  # all columns but that of the vectors
    vectors: Vectors  # (rows, dim), unit length; what stands where one is refused means nothing
    # why a row has no vector that can be used, by its place here
    refused: Mapping[int, str] = field(repr=False)


class VectorTable(Protocol):
    """A file of rows, each with a vector."""

    @property
    def file(self) -> Path:
        """That of the columns."""

    @property
    def dim(self) -> int: ...

    @property
    def schema(self) -> pa.Schema:
        """Of all columns but that of the vectors."""

    @property
    def row_count(self) -> int: ...

    def columns(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """These columns alone, without the vectors."""

    def rows(self) -> Iterator[VectorRows]:
        """
        :raises SourceError: if the file is damaged.
        """


def open_tables(path: Path, vector: str | None = None) -> list[VectorTable]:
    """Look at what is there.

    :param path: a folder as clip-retrieval writes it, a Parquet file, or a folder of such.
    :param vector: the column of vectors in a Parquet file; None: the only one that can be.
    :raises SourceError: if these are no files of vectors, or not all of one width.
    :raises BadRequest: if there is no such column, or several may be meant.
    """
    tables = list(_opened(path, vector))
    if tables[0].dim > MAX_DIM:
        reason = (
            f"its vectors have {tables[0].dim:,} dimensions; no model has more than {MAX_DIM:,}"
        )
        raise SourceError(str(tables[0].file), reason)
    for table in tables[1:]:
        if table.dim != tables[0].dim:
            reason = f"its vectors have {table.dim:,} dimensions, those of {tables[0].file} {tables[0].dim:,}"
            raise SourceError(str(table.file), reason)
    return tables


def _opened(path: Path, vector: str | None) -> Iterator[VectorTable]:
    if path.is_dir() and is_layout(path):
        if vector is not None:
            reason = f"the vectors of {path} are in {VECTORS}/*.npy, not in a column; leave it out"
            raise BadRequest("--vector", reason)
        yield from (NpyTable.open(*pair) for pair in pairs_in(path))
        return
    if not path.exists():
        raise SourceError(str(path), f"there is no such file or folder on this disk; {_MADE_OF}")
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or files[0].suffix.lower() != ".parquet":
        raise SourceError(str(path), f"there are no vectors in it; {_MADE_OF}")
    yield from (ParquetTable.open(file, vector) for file in files)


@dataclass(frozen=True, slots=True)
class NpyTable:
    """Vectors in a .npy file, and their rows in a Parquet file."""

    file: Path
    vectors: Path
    dim: int

    @classmethod
    def open(cls, vectors: Path, table: Path) -> NpyTable:
        array = _mapped(vectors)
        if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind != "f":
            raise SourceError(str(vectors), "it holds no rows of floating-point numbers")
        if 0 in array.shape:
            raise SourceError(str(vectors), f"it is empty, of the shape {array.shape}")
        opened = cls(table, vectors, int(array.shape[1]))
        if opened.row_count != len(array):
            counts = f"it has {len(array):,} vectors, {table} {opened.row_count:,} rows"
            raise SourceError(str(vectors), f"{counts}; they belong together row by row")
        return opened

    @property
    def schema(self) -> pa.Schema:
        return _parquet(self.file).schema_arrow

    @property
    def row_count(self) -> int:
        return int(_parquet(self.file).metadata.num_rows)

    def columns(self, names: Sequence[str]) -> Iterator[pa.Table]:
        return _batches(self.file, names)

    def rows(self) -> Iterator[VectorRows]:
        first, array = 0, _mapped(self.vectors)
        for table in _batches(self.file, self.schema.names, self.dim):
            with np.errstate(over="ignore"):  # beyond float32 it is infinite, and refused
                numbers = np.asarray(array[first : first + table.num_rows], np.float32)
            vectors, refused = _unit(numbers)
            yield VectorRows(self.file, first, table, vectors, refused)
            first += table.num_rows


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """Vectors in a column of a Parquet file."""

    file: Path
    vector: str
    dim: int

    @classmethod
    def open(cls, file: Path, vector: str | None) -> ParquetTable:
        schema = _parquet(file).schema_arrow
        name = _vector_column(file, schema, vector)
        kind = schema.field(name).type
        dim = kind.list_size if pa.types.is_fixed_size_list(kind) else _first_length(file, name)
        if not dim:
            raise SourceError(str(file), f"no row has a vector in its column {name}")
        return cls(file, name, dim)

    @property
    def schema(self) -> pa.Schema:
        schema = _parquet(self.file).schema_arrow
        return schema.remove(schema.get_field_index(self.vector))

    @property
    def row_count(self) -> int:
        return int(_parquet(self.file).metadata.num_rows)

    def columns(self, names: Sequence[str]) -> Iterator[pa.Table]:
        return _batches(self.file, names)

    def rows(self) -> Iterator[VectorRows]:
        first = 0
        for table in _batches(self.file, [*self.schema.names, self.vector], self.dim):
            numbers, refused = _numbers(table[self.vector], self.dim)
            vectors, no_direction = _unit(numbers)
            rest = table.drop_columns([self.vector])
            yield VectorRows(self.file, first, rest, vectors, {**no_direction, **refused})
            first += table.num_rows


def _mapped(vectors: Path) -> NDArray[Any]:
    try:
        return np.load(vectors, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, OSError, EOFError) as error:
        raise SourceError(str(vectors), f"NumPy cannot read it ({_brief(error)})") from error


def _parquet(file: Path) -> pq.ParquetFile:
    try:
        # Spark's and Impala's old times: in nanoseconds the year 9999 would become 1816.
        return pq.ParquetFile(
            file, buffer_size=_BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us"
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(str(file), f"Parquet cannot read it ({_brief(error)})") from error


def _batches(file: Path, names: Sequence[str], dim: int = 1) -> Iterator[pa.Table]:
    opened = _parquet(file)
    if len(set(opened.schema_arrow.names)) < len(opened.schema_arrow.names):
        raise SourceError(str(file), "two of its columns have one name; rename one")
    try:
        rows = max(1, min(BATCH_ROWS, _BATCH_NUMBERS // dim))
        for batch in opened.iter_batches(rows, columns=list(names)):
            yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(str(file), f"Parquet cannot read it ({_brief(error)})") from error


def _vector_column(file: Path, schema: pa.Schema, wanted: str | None) -> str:
    there = [each.name for each in schema if _holds_vectors(each.type)]
    if wanted is not None:
        if wanted in there:
            return wanted
        what = "holds no vectors" if wanted in schema.names else "is not there"
        raise BadRequest("--vector", f"the column {wanted!r} of {file} {what}; {_those(there)}")
    if len(there) != 1:
        raise BadRequest("--vector", f"name the column of vectors in {file}; {_those(there)}")
    return str(there[0])


def _those(names: Sequence[str]) -> str:
    if not names:
        return "none of its columns is a list of floating-point numbers"
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(names)}"


def _holds_vectors(kind: pa.DataType) -> bool:
    is_list = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    return is_list and bool(pa.types.is_floating(kind.value_type))


def _first_length(file: Path, name: str) -> int:
    lengths = (pc.list_value_length(table[name]).to_pylist() for table in _batches(file, [name]))
    return next((int(length) for length in chain.from_iterable(lengths) if length), 0)


def _numbers(column: Any, dim: int) -> tuple[NDArray[np.float32], dict[int, str]]:
    """(rows, dim), NaN where a row has no vector of this width, and why."""
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
    fits = lengths == dim
    numbers = np.full((len(lengths), dim), np.nan, np.float32)
    flat = column.filter(pa.array(fits)).combine_chunks().flatten()
    if isinstance(flat, pa.ChunkedArray):
        flat = flat.combine_chunks()
    with np.errstate(over="ignore"):
        numbers[fits] = flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, dim)
    return numbers, {
        at: "it has no vector"
        if lengths[at] < 0
        else f"its vector has {lengths[at]:,} numbers, where others have {dim:,}"
        for at in np.flatnonzero(~fits).tolist()
    }


def _unit(numbers: NDArray[np.float32]) -> tuple[Vectors, dict[int, str]]:
    """The rows at unit length, and why one cannot be."""
    lengths = np.linalg.norm(numbers.astype(np.float64), axis=1)
    finite = np.isfinite(lengths)
    points = finite & (lengths > SMALLEST)
    scales = np.where(points & (np.abs(lengths - 1) > UNIT), lengths, 1.0)
    with np.errstate(invalid="ignore"):
        vectors = np.asarray(numbers / scales[:, None], np.float32)
    return vectors, {
        at: "its vector is all zeros" if finite[at] else "its vector holds what is no finite number"
        for at in np.flatnonzero(~points).tolist()
    }


def _brief(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return reason_of(error)
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
