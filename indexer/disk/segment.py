"""One immutable segment: rows.parquet and vectors.faiss, where vector i belongs to row i."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from ulid import ULID

from indexer.arrays import RowMask
from indexer.disk.checks import check_of, find_damage
from indexer.disk.codes import StoredCodes
from indexer.disk.durable import fsync_file, fsync_folder
from indexer.disk.entries import check_file, reason_of
from indexer.disk.layout import Layout
from indexer.disk.manifest import SegmentEntry
from indexer.disk.rows import LIST, as_lists, called, wrong_types, wrong_values
from indexer.disk.stored_vectors import NewVectors, StoredVectors
from indexer.errors import LakeDamaged

ROWS, VECTORS = "rows.parquet", "vectors.faiss"
ROW_GROUP_ROWS = 65_536


class SegmentWriter:
    """Builds a segment in `staging/` and moves it into `segments/` when it is whole and durable."""

    def __init__(self, layout: Layout, dim: int) -> None:
        self.id = str(ULID())
        self._layout, self._dim = layout, dim
        self._folder = layout.staging / self.id
        self._folder.mkdir(parents=True)
        self._vectors = NewVectors(dim)
        self._rows: pq.ParquetWriter | None = None
        self._count = 0

    def add_vectors(self, vectors: NDArray[np.float32]) -> None:
        """:param vectors: float32, (n, dim), unit rows, for the next n rows.
        :raises LakeDamaged: if they have another dimension than the lake.
        """
        self._check_dim(vectors.shape[1])
        self._vectors.add(vectors)

    def copy_vectors(self, vectors: StoredVectors, keep: RowMask | None) -> None:
        """For the next rows: those of another segment that keep allows, bit for bit.

        :raises LakeDamaged: if they have another dimension than the lake.
        """
        self._check_dim(vectors.dim)
        vectors.copy_to(self._vectors, keep)

    def _check_dim(self, dim: int) -> None:
        if dim != self._dim:
            reason = f"it has vectors of {dim:,} dimensions, and a manifest that says {self._dim:,}"
            raise LakeDamaged(str(self._layout.root), reason)

    def add_rows(self, rows: pa.Table) -> None:
        if self._rows is None:
            self._rows = pq.ParquetWriter(self._folder / ROWS, rows.schema, compression="zstd")
        self._rows.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self._count += rows.num_rows

    def finish(self, unsettled_since_us: int | None = None) -> SegmentEntry:
        """fsync both files and their folder, rename into place, fsync `segments/`."""
        assert self._rows is not None, "a segment has rows"
        assert self._vectors.rows == self._count, (
            f"{self._count} rows, {self._vectors.rows} vectors"
        )
        self._rows.close()
        self._vectors.write(self._folder / VECTORS)
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
        self._codes = None if entry.codes is None else layout.codes_file(entry.codes.id)

    @cached_property
    def vectors(self) -> StoredVectors:
        """:raises LakeDamaged: if FAISS cannot read it, it is another
        kind of index, or it has another number of vectors than the manifest says.
        """
        path = self.folder / VECTORS
        try:
            vectors = StoredVectors.open(path)
        except RuntimeError as error:
            raise LakeDamaged(
                str(path), f"FAISS cannot read it ({str(error).splitlines()[0]})"
            ) from None
        except ValueError as error:
            raise LakeDamaged(str(path), str(error)) from None
        self._check_count(path, vectors.rows)
        return vectors

    def open_codes(self) -> StoredCodes | None:
        """None where it has none.

        :raises LakeDamaged: if they cannot be used.
        """
        if self._codes is None:
            return None
        try:
            check_file(self._codes)
            codes = StoredCodes.open(self._codes, self.entry.rows, self.vectors.dim)
        except OSError as error:
            raise LakeDamaged(str(self._codes), f"it cannot be read ({reason_of(error)})") from None
        except ValueError as error:
            raise LakeDamaged(str(self._codes), str(error)) from None
        codes.id = self._codes.stem
        return codes

    @cached_property
    def rows(self) -> pq.ParquetFile:
        """:raises LakeDamaged: if Parquet cannot read it, it has
        another number of rows than the manifest says, or columns of other types than rows have.
        """
        path = self.folder / ROWS
        try:
            file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise LakeDamaged(str(path), f"Parquet cannot read it ({error})") from None
        self._check_count(path, file.metadata.num_rows)
        if fault := wrong_types(file.schema_arrow):
            raise LakeDamaged(str(path), fault)
        return file

    @property
    def schema(self) -> pa.Schema:
        """The columns that its rows have, of the types that are stored.

        :raises LakeDamaged: as `rows`.
        """
        stored = self.rows.schema_arrow
        return pa.schema([field.with_name(self._called[field.name]) for field in stored])

    @cached_property
    def _called(self) -> dict[str, str]:
        """A column's name in the file -> in rows."""
        return called(self.rows.schema_arrow)

    def read_rows(self, schema: pa.Schema, names: Sequence[str] | None = None) -> pa.Table:
        """All rows in order, with the lake's types; columns this segment has not are null.

        :param names: the columns wanted; None: all.
        """
        batches = [
            self.conform(batch, schema, names) for batch in self.row_groups(names or schema.names)
        ]
        wanted = schema if names is None else pa.schema([schema.field(name) for name in names])
        return pa.concat_tables(batches) if batches else wanted.empty_table()

    def row_groups(self, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows a row group at a time, of the types that are stored.

        :raises LakeDamaged: if a row group cannot be decoded, or holds what no row can.
        """
        for number in range(self.rows.num_row_groups):
            yield self.row_group(number, names)

    def row_group(self, number: int, names: Sequence[str] | None = None) -> pa.Table:
        """One of them, as `row_groups` has it; columns that the segment has not are left out."""
        called = self._called
        here = (
            None if names is None else [stored for stored, name in called.items() if name in names]
        )
        try:
            table = self.rows.read_row_group(number, columns=here)
        except (pa.ArrowException, OSError) as error:
            raise LakeDamaged(
                str(self.folder / ROWS), f"Parquet cannot read it ({error})"
            ) from None
        if fault := wrong_values(table):
            raise LakeDamaged(str(self.folder / ROWS), fault)
        names_now = [called[name] for name in table.column_names]
        return table if table.column_names == names_now else table.rename_columns(names_now)

    def check(self) -> None:
        """Read every byte before it is copied elsewhere:
        a new file's checksums would vouch for old damage.

        :raises LakeDamaged: if a file is not what was committed.
        """
        for name, check in self.entry.files.items():
            if damage := find_damage(self.folder / name, check, deep=True):
                way_out = (
                    f"run `lakesift sync {self._lake} --drop-damaged` to index its images again"
                )
                raise LakeDamaged(str(self.folder / name), f"{damage}; {way_out}")

    def conform(
        self, table: pa.Table, schema: pa.Schema, names: Sequence[str] | None = None
    ) -> pa.Table:
        """The table with the lake's columns and types, in the lake's order.

        :raises LakeDamaged: if a column's values are of no type that the lake gives it.
        """
        if names is None and table.schema.equals(schema):
            # a third of a millisecond saved, of each segment that an answer's rows come from
            return table
        fields = [schema.field(name) for name in (names or schema.names)]
        here = dict(zip(table.column_names, table.itercolumns(), strict=True))
        arrays = [
            self._cast(here[field.name], field)
            if field.name in here
            else pa.nulls(table.num_rows, field.type)
            for field in fields
        ]
        return pa.table(arrays, schema=pa.schema(fields))

    def _cast(self, column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
        """The column in another type; nothing at all where it has it,
        which for a few rows is most of the time saved.
        """
        if column.type == field.type:
            return column
        try:
            if field.type == LIST:
                return as_lists(column)
            # 2^53 and up round to decimals
            return column.cast(field.type, safe=False)
        except pa.ArrowException:
            fault = f"its column {field.name} holds {column.type}, the lake {field.type}"
            raise LakeDamaged(str(self.folder / ROWS), fault) from None

    def _check_count(self, path: Path, found: int) -> None:
        if found != self.entry.rows:
            raise LakeDamaged(
                str(path), f"it has {found:,} rows where the manifest says {self.entry.rows:,}"
            )
