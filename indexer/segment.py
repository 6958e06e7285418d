"""One immutable segment: rows.parquet and vectors.faiss, where vector i belongs to row i."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from ulid import ULID

from indexer import ann
from indexer.checks import check_of, find_damage
from indexer.durable import fsync_file, fsync_folder
from indexer.errors import LakeDamaged
from indexer.layout import Layout
from indexer.manifest import SegmentEntry

ROWS, VECTORS = "rows.parquet", "vectors.faiss"
ROW_GROUP_ROWS = 65_536

ROW_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        ("path_bytes", pa.binary()),
        ("member", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("size_bytes", pa.int64()),
        ("modified", pa.timestamp("us", "UTC")),
        ("etag", pa.string()),
        ("sha256", pa.string()),
        ("phash", pa.uint64()),
        ("width_px", pa.int32()),
        ("height_px", pa.int32()),
        ("format", pa.string()),
        ("captured_at", pa.timestamp("us")),
        ("camera", pa.string()),
        ("place", pa.struct([("latitude", pa.float64()), ("longitude", pa.float64())])),
        ("caption", pa.string()),
        ("source", pa.string()),
        ("columns_etag", pa.string()),
    ]
)
_OWN_TYPES = {str(t): t for t in (pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us"))}


def lake_schema(own_columns: Mapping[str, str]) -> pa.Schema:
    """The schema of a lake's rows: ours, then the sources' own columns as the manifest types them."""
    own = [pa.field(name, _OWN_TYPES[kind]) for name, kind in own_columns.items()]
    return pa.schema([*ROW_SCHEMA, *own])


def merge_types(known: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """The sources' own columns after more rows: whole numbers widen to decimals, any other clash to text."""
    merged = dict(known)
    for name, kind in found.items():
        before = merged.setdefault(name, kind)
        if before != kind:
            merged[name] = "double" if {before, kind} == {"int64", "double"} else "string"
    return merged


def rows_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of rows: the columns of ROW_SCHEMA, then whatever own columns the rows have, typed by their values."""
    arrays = [pa.array([row.get(field.name) for row in rows], field.type) for field in ROW_SCHEMA]
    fields = list(ROW_SCHEMA)
    names = dict.fromkeys(name for row in rows for name in row if name not in ROW_SCHEMA.names)
    for name in names:
        array = _typed([row.get(name) for row in rows])
        if array is not None:
            arrays.append(array)
            fields.append(pa.field(name, array.type))
    return pa.table(arrays, schema=pa.schema(fields))


def _typed(values: list[Any]) -> pa.Array | None:
    """An Arrow array of one of the five own types; None where all values are null."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return None
    if kinds <= {int, float}:
        try:
            return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
        except (OverflowError, pa.ArrowInvalid):
            pass  # beyond 64 bits, or a whole number no double holds: text keeps it exactly
    elif kinds == {bool}:
        return pa.array(values, pa.bool_())
    elif len(kinds) == 1 and "datetime" in kinds.pop().__name__:
        return pa.array([v if v is None else v.replace(tzinfo=None) for v in values], pa.timestamp("us"))
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def own_types(schema: pa.Schema) -> dict[str, str]:
    """The sources' own columns of a segment: name -> Arrow type."""
    return {field.name: str(field.type) for field in schema if field.name not in ROW_SCHEMA.names}


class SegmentWriter:
    """Builds a segment in `staging/` and moves it into `segments/` when it is whole and durable."""

    def __init__(self, layout: Layout, dim: int) -> None:
        self.id = str(ULID())
        self._layout = layout
        self._folder = layout.staging / self.id
        self._folder.mkdir(parents=True)
        self._index = ann.empty_index(dim)
        self._rows: pq.ParquetWriter | None = None
        self._count = 0

    def add_vectors(self, vectors: NDArray[np.float32]) -> None:
        """:param vectors: float32, (n, dim), unit rows, for the next n rows."""
        self._index.add(np.ascontiguousarray(vectors, np.float32))

    def copy_vectors(self, index: ann.FlatIndex, keep: ann.RowMask | None) -> None:
        ann.copy_codes(index, self._index, keep)

    def add_rows(self, rows: pa.Table) -> None:
        if self._rows is None:
            self._rows = pq.ParquetWriter(self._folder / ROWS, rows.schema, compression="zstd")
        self._rows.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self._count += rows.num_rows

    def finish(self, unsettled_since_us: int | None = None) -> SegmentEntry:
        """fsync both files and their folder, rename into place, fsync `segments/`."""
        assert self._rows is not None, "a segment has rows"
        assert self._index.ntotal == self._count, f"{self._count} rows, {self._index.ntotal} vectors"
        self._rows.close()
        ann.write_index(self._folder / VECTORS, self._index)
        for name in (ROWS, VECTORS):
            fsync_file(self._folder / name)
        fsync_folder(self._folder)
        files = {name: check_of(self._folder / name) for name in (ROWS, VECTORS)}
        self._folder.rename(self._layout.segment(self.id))
        fsync_folder(self._layout.segments)
        return SegmentEntry(self.id, self._count, files, unsettled_since_us)


class Segment:
    """A segment opened for reading; files are mapped when first asked for."""

    def __init__(self, layout: Layout, entry: SegmentEntry) -> None:
        self.entry = entry
        self.folder: Path = layout.segment(entry.id)
        self._lake = layout.root

    @cached_property
    def index(self) -> ann.FlatIndex:
        """:raises LakeDamaged: if FAISS cannot read it or it has another number of vectors than the manifest says."""
        path = self.folder / VECTORS
        try:
            index = ann.open_index(path)
        except RuntimeError as error:
            raise LakeDamaged(str(path), f"FAISS cannot read it ({str(error).splitlines()[0]})") from None
        self._check_count(path, index.ntotal)
        return index

    @cached_property
    def rows(self) -> pq.ParquetFile:
        """:raises LakeDamaged: if Parquet cannot read it or it has another number of rows than the manifest says."""
        path = self.folder / ROWS
        try:
            file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise LakeDamaged(str(path), f"Parquet cannot read it ({error})") from None
        self._check_count(path, file.metadata.num_rows)
        return file

    def read_rows(self, schema: pa.Schema, names: Sequence[str] | None = None) -> pa.Table:
        """All rows in order, with the lake's types; columns this segment has not are null.

        :param names: the columns wanted; None: all.
        """
        batches = [self.conform(batch, schema, names) for batch in self.row_groups(names or schema.names)]
        wanted = schema if names is None else pa.schema([schema.field(name) for name in names])
        return pa.concat_tables(batches) if batches else wanted.empty_table()

    def row_groups(self, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows a row group at a time, as they are stored.

        :raises LakeDamaged: if a row group cannot be decoded.
        """
        here = None if names is None else [name for name in names if name in self.rows.schema_arrow.names]
        for number in range(self.rows.num_row_groups):
            try:
                table = self.rows.read_row_group(number, columns=here)
            except (pa.ArrowException, OSError) as error:
                raise LakeDamaged(str(self.folder / ROWS), f"Parquet cannot read it ({error})") from None
            yield table

    def check(self) -> None:
        """Read every byte before it is copied elsewhere: a new file's checksums would vouch for old damage.

        :raises LakeDamaged: if a file is not what was committed.
        """
        for name, check in self.entry.files.items():
            if damage := find_damage(self.folder / name, check, deep=True):
                way_out = f"run `lakesift sync {self._lake} --drop-damaged` to index its images again"
                raise LakeDamaged(str(self.folder / name), f"{damage}; {way_out}")

    def conform(self, table: pa.Table, schema: pa.Schema, names: Sequence[str] | None = None) -> pa.Table:
        """The table with the lake's columns and types, in the lake's order."""
        if names is None and table.schema.equals(schema):
            return table  # a third of a millisecond saved, of each segment that an answer's rows come from
        fields = [schema.field(name) for name in (names or schema.names)]
        here = dict(zip(table.column_names, table.itercolumns(), strict=True))
        arrays = [
            _cast(here[field.name], field.type)
            if field.name in here
            else pa.nulls(table.num_rows, field.type)
            for field in fields
        ]
        return pa.table(arrays, schema=pa.schema(fields))

    def _check_count(self, path: Path, found: int) -> None:
        if found != self.entry.rows:
            raise LakeDamaged(str(path), f"it has {found:,} rows where the manifest says {self.entry.rows:,}")


def _cast(column: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    """The column in another type; nothing at all where it has it, which for a few rows is most of the time saved."""
    return column if column.type == to else column.cast(to, safe=False)  # 2^53 and up round to decimals
