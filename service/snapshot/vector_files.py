"""A snapshot's vectors and rows as files that other tools read, and `lakesift import` takes back.

In order of row_id, bit for bit in half precision, which is what a lake keeps.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from indexer.arrays import Vectors
from indexer.disk.entries import reason_of
from indexer.disk.rows import beside, printed_places
from indexer.errors import BadRequest, NotWritten
from indexer.report import Progress, Silent
from indexer.vector_files.clip_retrieval import METADATA, VECTORS, metadata_name, vectors_name
from indexer.vector_files.rows import FOR_OTHERS, shown
from indexer.vector_files.tables import BATCH_ROWS, OURS
from service.snapshot.snapshot import Snapshot

Format: TypeAlias = Literal["npy", "parquet"]
Precision: TypeAlias = Literal["float16", "float32"]
FILE_ROWS = 1_000_000  # in one file, as clip-retrieval has them
VECTOR = "vector"


@dataclass(frozen=True, slots=True)
class Written:
    """What an export came to."""

    out: Path
    rows: int
    files: int


def export_vectors(
    snapshot: Snapshot,
    out: Path,
    *,
    format: Format = "npy",
    precision: Precision = "float16",
    progress: Progress | None = None,
    file_rows: int = FILE_ROWS,
) -> Written:
    """Write every live row with its vector.

    :param out: a folder, new or empty; it is there whole or not at all.
    :param format: npy: clip-retrieval's layout; parquet: files with the vectors in a column.
    :param precision: float16 is exact; float32 for readers that know no other.
    :param file_rows: rows in one file, at least 1.
    :raises BadRequest: if the lake is empty, or the folder holds something.
    :raises NotWritten: if the disk is full, or the folder cannot be written.
    """
    if snapshot.live_rows == 0:
        raise BadRequest("LAKE", "it has no row to export")
    if os.path.lexists(out) and (not out.is_dir() or any(out.iterdir())):
        raise BadRequest("--out", f"{out} is not an empty folder; name a new one")
    progress = progress or Silent()
    progress.stage("exporting", snapshot.live_rows)
    staged = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        staged.mkdir(parents=True)
        files = _write(snapshot, staged, format, precision, progress.advance, file_rows)
        staged.replace(out)
    except OSError as error:
        raise NotWritten(str(out), reason_of(error)) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(staged)
    return Written(out, snapshot.live_rows, files)


def _write(
    snapshot: Snapshot,
    out: Path,
    format: Format,
    precision: Precision,
    advance: Callable[[int], None],
    file_rows: int,
) -> int:
    """The number of files of vectors."""
    total = snapshot.live_rows
    starts = range(0, total, file_rows)
    digits = len(str(len(starts) - 1))
    if format == "npy":
        for folder in (VECTORS, METADATA):
            (out / folder).mkdir()
    for number, start in enumerate(starts):
        rows = _Rows(snapshot, start, min(start + file_rows, total), advance)
        if format == "npy":
            path = out / vectors_name(number, digits)
            rows.write_npy(path, out / metadata_name(number, digits), precision)
        else:
            rows.write_parquet(out / f"vectors_{number:0{digits}d}.parquet", precision)
    return len(starts)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The live rows from start to end, in order of row_id."""

    snapshot: Snapshot
    start: int
    end: int
    advance: Callable[[int], None]

    def write_npy(self, vectors: Path, metadata: Path, precision: Precision) -> None:
        # Plain writes: a mapped file answers a full disk with SIGBUS.
        with vectors.open("wb") as file, self._writer(metadata, self._schema) as tables:
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(precision)),
                "fortran_order": False,
                "shape": (self.end - self.start, self.snapshot.manifest.dim),
            }
            np.lib.format.write_array_header_1_0(file, header)
            for table, block in self._blocks():
                file.write(block.astype(precision).tobytes())
                tables.write_table(table.cast(self._schema))
                self.advance(len(block))

    def write_parquet(self, path: Path, precision: Precision) -> None:
        number = pa.float16() if precision == "float16" else pa.float32()
        kind = pa.list_(number, self.snapshot.manifest.dim)
        schema = self._schema.append(pa.field(self._vector_name, kind))
        with self._writer(path, schema) as tables:
            for table, block in self._blocks():
                flat = pa.array(block.astype(precision).reshape(-1), number)
                column = pa.FixedSizeListArray.from_arrays(flat, block.shape[1])
                columns = [*table.cast(self._schema).columns, column]
                tables.write_table(pa.table(columns, schema=schema))
                self.advance(len(block))

    def _writer(self, path: Path, schema: pa.Schema) -> pq.ParquetWriter:
        return pq.ParquetWriter(path, schema, compression="zstd")

    @property
    def _vector_name(self) -> str:
        return beside(VECTOR, {name.lower() for name in self._schema.names}, "lakesift_")

    @property
    def _schema(self) -> pa.Schema:
        """A lake's columns, those of other tools first; a user's own of their names step aside."""
        fields = [
            field.with_name(shown(field.name)).with_nullable(True) for field in self.snapshot.schema
        ]
        manifest = self.snapshot.manifest
        about = {"format": 1, "model": manifest.model_id, "fingerprint": dict(manifest.fingerprint)}
        return pa.schema(
            [*(pa.field(name, pa.string()) for name in FOR_OTHERS), *fields],
            metadata={OURS: json.dumps(about, ensure_ascii=False).encode()},
        )

    def _blocks(self) -> Iterator[tuple[pa.Table, Vectors]]:
        _, places = self.snapshot.places
        for start in range(self.start, self.end, BATCH_ROWS):
            here = places[start : min(start + BATCH_ROWS, self.end)]
            numbers, positions = self.snapshot.locate(here)
            vectors = np.empty((len(here), self.snapshot.manifest.dim), np.float32)
            pieces, order = [], []
            for number in np.unique(numbers).tolist():
                at = np.flatnonzero(numbers == number)
                part = self.snapshot.parts[number]
                vectors[at] = part.vectors.take(positions[at])
                pieces.append(part.at(positions[at]))
                order.append(at)
            back = pa.array(np.argsort(np.concatenate(order), kind="stable"))
            yield _with_names(pa.concat_tables(pieces).take(back)), vectors


def _with_names(table: pa.Table) -> pa.Table:
    """With `image_path` and `url` before the lake's columns: one of them is null in each row."""
    places = printed_places(table)
    is_url = pc.match_substring_regex(table["uri"], "^[A-Za-z][A-Za-z0-9+.-]+://")
    path = pc.if_else(is_url, pa.scalar(None, pa.string()), places)
    url = pc.if_else(is_url, places, pa.scalar(None, pa.string()))
    names = [*FOR_OTHERS, *map(shown, table.schema.names)]
    return pa.table([path, url, *table.columns], names=names)
