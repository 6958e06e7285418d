"""A segment's rows as an Arrow table with random access:
small ones in memory, large ones mapped from the user's cache.

Parquet has to be decoded a row group at a time, which is too slow for the ten rows of an answer; so
a large segment's rows are written once, uncompressed, into the cache folder, and mapped from there.
A lake itself is never written.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from indexer.disk.rows import called
from indexer.disk.segment import ROWS, Segment
from indexer.embed.model_cache import cache_folder
from indexer.errors import LakeDamaged

IN_MEMORY_BELOW_BYTES = 8 * 2**20  # of rows.parquet
FORGET_AFTER_S = 30 * 24 * 3600.0  # a cached table not used for this long is deleted


def open_rows(segment: Segment) -> pa.Table:
    """The segment's rows as they are stored, in order."""
    check = segment.entry.files[ROWS]
    if check.length < IN_MEMORY_BELOW_BYTES:
        return pa.concat_tables(segment.row_groups())
    path = cache_folder() / "rows" / f"{segment.entry.id}-{check.ends[:16]}.arrow"
    try:
        if not path.exists():
            segment.check()  # damage must not outlive the repair of its segment in a cache
            _write(segment, path)
        os.utime(path)
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        # An older version may have written it.
        return table.rename_columns(list(called(table.schema).values()))
    except (
        OSError,
        pa.ArrowException,
        LakeDamaged,
    ):  # no room, a broken copy, or damage: `doctor --deep` says which
        return pa.concat_tables(segment.row_groups())


def _write(segment: Segment, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _forget_old(path.parent)
    beside = path.with_suffix(f".{os.getpid()}.new")
    try:
        with (
            pa.OSFile(str(beside), "wb") as file,
            pa.ipc.new_file(file, segment.schema) as out,
        ):
            for table in segment.row_groups():
                out.write_table(table)
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - FORGET_AFTER_S:
                path.unlink()
