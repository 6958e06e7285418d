"""The small Parquet files beside the segments: tombstones and skipped files."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ulid import ULID

from indexer.address import PART
from indexer.disk.checks import FileCheck, check_of
from indexer.disk.durable import fsync_file, fsync_folder, replace_file
from indexer.disk.entries import check_file
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, SkippedEntry, TombstonesEntry
from indexer.disk.rows import wrong_values
from indexer.errors import LakeDamaged

NO_TOMBSTONES = "none.parquet"
TOMBSTONE_SCHEMA = pa.schema([("segment", pa.string()), ("position", pa.int64())])
SKIPPED_SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("path_bytes", pa.binary()),
        ("source", pa.string()),
        ("size_bytes", pa.int64()),
        ("modified", pa.timestamp("us", "UTC")),
        ("etag", pa.string()),
        ("reason", pa.string()),
        # True: tried again at every sync, not only when the file changes
        ("transient", pa.bool_()),
        ("when", pa.timestamp("us", "UTC")),
        # what follows the file's own uri in `Address.key`; null where the whole file is the image
        ("part", pa.string()),
    ]
)
# As versions before wrote it, without `part`, which is read out of the text then.
_SKIPPED_BEFORE = pa.schema(list(SKIPPED_SCHEMA)[:-1])
_PART_OF_TEXT = re.compile(r"#((?:member|bytes|row|stream|xywh)=.*)", re.DOTALL)
_NEXT_PART = re.compile("&(?=(?:row|stream|t|xywh)=)")


class Place(NamedTuple):
    segment: str
    position: int


class Skipped(NamedTuple):
    """A file that could not be read: one row of a skipped file."""

    uri: str
    path_bytes: bytes | None
    source: str
    size_bytes: int
    modified_us: int | None
    etag: str | None
    reason: str
    transient: bool
    when: datetime
    part: str | None = None

    @property
    def key(self) -> str:
        """The `Address.key` of its image."""
        return key_of(self.uri, self.part)


def write_tombstones(layout: Layout, places: Iterable[Place]) -> TombstonesEntry:
    """Commit-ready: durable and in place, not yet named by a manifest."""
    ordered = sorted(places)
    segments = [place.segment for place in ordered]
    table = pa.table([segments, [place.position for place in ordered]], schema=TOMBSTONE_SCHEMA)
    file_id, check = _write(layout, layout.tombstones, table)
    return TombstonesEntry(file_id, len(ordered), tuple(dict.fromkeys(segments)), check)


def write_no_tombstones(layout: Layout) -> None:
    """An empty file, so that a reader's `tombstones/*.parquet`
    always matches something; no manifest names it.
    """
    path = layout.tombstones / NO_TOMBSTONES
    if not os.path.lexists(path):
        data = pa.BufferOutputStream()
        pq.write_table(TOMBSTONE_SCHEMA.empty_table(), data)
        replace_file(path, data.getvalue().to_pybytes())  # a half-written one would never be mended


def write_skipped(layout: Layout, files: Iterable[Skipped]) -> SkippedEntry:
    ordered = sorted(files, key=lambda file: file.uri)
    table = pa.table(
        [
            pa.array(column, field.type)
            for column, field in zip(zip(*ordered, strict=True), SKIPPED_SCHEMA, strict=True)
        ],
        schema=SKIPPED_SCHEMA,
    )
    file_id, check = _write(layout, layout.skipped, table)
    return SkippedEntry(file_id, len(ordered), check)


def read_skipped(layout: Layout, manifest: Manifest) -> pa.Table:
    """Every skipped file that can be read;
    of one file skipped twice, both rows, the later one last.

    What is no table of skipped files, as a stranger may have written it, is passed over.
    """
    tables = []
    for entry in manifest.skipped:
        try:
            check_file(layout.skipped_file(entry.id))
            table = pq.ParquetFile(layout.skipped_file(entry.id)).read()
        except (OSError, pa.ArrowException):
            continue  # the check at opening has said so; its files are tried again
        filled = ("uri", "source", "reason", "when")
        if _is_of(table, _SKIPPED_BEFORE, filled):
            parts = pa.array(map(_part_of, table["uri"].to_pylist()), pa.string())
            tables.append(table.append_column("part", parts))
        elif _is_of(table, SKIPPED_SCHEMA, filled):
            tables.append(table)
    return pa.concat_tables(tables) if tables else SKIPPED_SCHEMA.empty_table()


def key_of(uri: str, part: str | None) -> str:
    """:param uri: as an address prints.
    :param part: as the column `part` has it.
    """
    if part is None:
        return uri
    return f"{uri[: -len(part) - 1]}{PART}{part}"


def _part_of(uri: str) -> str | None:
    found = _PART_OF_TEXT.search(uri)
    return None if found is None else _NEXT_PART.sub(PART, found[1])


def dead_positions(
    layout: Layout, manifest: Manifest
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Segment id -> the positions in it that are gone, int64, sorted.

    :param manifest: one whose tombstones were all found whole.
    :raises LakeDamaged: if one of them speaks of places that there are none of.
    """
    found = _positions(layout, manifest.tombstones)
    for entry in manifest.segments:
        gone = found.get(entry.id)
        if gone is not None and not 0 <= gone[0] <= gone[-1] < entry.rows:
            raise LakeDamaged(
                str(layout.tombstones),
                f"a row is gone there that the segment {entry.id} has not, which has {entry.rows:,}",
            )
    return found


def drop_segments(
    layout: Layout, entries: Sequence[TombstonesEntry], out: Collection[str]
) -> tuple[TombstonesEntry, ...]:
    """The tombstones once the segments in out are gone:
    what the other segments need, in at most one file.
    """
    if len(entries) <= 1 and all(set(out).isdisjoint(entry.segments) for entry in entries):
        return tuple(entries)
    left = [
        Place(segment, int(position))
        for segment, positions in _positions(layout, entries).items()
        if segment not in out
        for position in positions
    ]
    return (write_tombstones(layout, left),) if left else ()


def _positions(
    layout: Layout, entries: Sequence[TombstonesEntry]
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    # Nothing here loads pandas, where that is installed (0.25 s): not read_table, dictionary_encode
    # or to_numpy.
    found: dict[str, list[np.ndarray[tuple[int], np.dtype[np.int64]]]] = {}
    for entry in entries:
        table = _tombstones(layout.tombstone_file(entry.id))
        positions = np.from_dlpack(pa.concat_arrays(table["position"].chunks)).astype(
            np.int64, copy=False
        )
        start = 0
        for segment, run in groupby(table["segment"].to_pylist()):
            end = start + sum(1 for _ in run)
            found.setdefault(segment, []).append(positions[start:end])
            start = end
    return {segment: np.unique(np.concatenate(parts)) for segment, parts in found.items()}


def _tombstones(path: Path) -> pa.Table:
    """:raises LakeDamaged: if it is no table of tombstones."""
    try:
        table = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(str(path), f"Parquet cannot read it ({error})") from None
    if not table.num_rows or not _is_of(table, TOMBSTONE_SCHEMA, TOMBSTONE_SCHEMA.names):
        raise LakeDamaged(str(path), "it is no table of rows that are gone")
    return table


def _is_of(table: pa.Table, schema: pa.Schema, filled: Sequence[str]) -> bool:
    """Whether a table has these columns alone, with no null in those named."""
    if not table.schema.equals(schema) or any(table[name].null_count for name in filled):
        return False
    return wrong_values(table) is None


def _write(layout: Layout, folder: Path, table: pa.Table) -> tuple[str, FileCheck]:
    file_id = str(ULID())
    staged = layout.staging / f"{file_id}.parquet"
    pq.write_table(table, staged, compression="zstd")
    fsync_file(staged)
    check = check_of(staged)
    staged.rename(folder / staged.name)
    fsync_folder(folder)
    return file_id, check
