"""The rows of one act: a few ranges inside its line, or a Parquet file beside the log."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ulid import ULID

from indexer.arrays import Positions
from indexer.disk.durable import fsync_folder, write_file
from indexer.disk.entries import read_file
from indexer.fields import Fields, whole

Ranges: TypeAlias = tuple[tuple[int, int], ...]  # first and last row_id of each, rising

MAX_RANGES = 256  # in a line; more rows than they hold lie in a file
MAX_ROWS = 50_000_000  # of one act: a log may be a stranger's, and must not fill the memory
_FILE = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\.parquet")


@dataclass(frozen=True, slots=True)
class RowSet:
    """Row_ids as a line of the log names them."""

    rows: int
    ranges: Ranges = ()
    file: str | None = None  # beside the log; None: the ranges are all
    sha256: str | None = None  # of the file

    def to_json(self) -> dict[str, Any]:
        if self.file is not None:
            return {"rows": self.rows, "file": self.file, "sha256": self.sha256}
        return {"rows": self.rows, "ranges": [list(pair) for pair in self.ranges]}

    @classmethod
    def of(cls, fields: Fields) -> RowSet:
        """:raises ValueError: if they name no rows."""
        rows = fields.whole("rows", 1)
        if rows > MAX_ROWS:
            raise ValueError(f"{rows:,} rows are more than one act has")
        if not fields.has("file"):
            ranges = tuple(_range(pair) for pair in fields.items("ranges"))
            _check_ranges(ranges, rows)
            return cls(rows, ranges)
        file, sha256 = fields.text("file"), fields.text("sha256")
        if not _FILE.fullmatch(file):
            raise ValueError("file is no name of a file of rows")
        return cls(rows, (), file, sha256)

    def load(self, folder: Path) -> Positions:
        """int64, (rows,), rising.

        :raises ValueError: if the file is not the one that the line names; OSError: if it cannot be
            read.
        """
        if self.file is None:
            pieces = [np.arange(first, last + 1, dtype=np.int64) for first, last in self.ranges]
            return np.concatenate([np.empty(0, np.int64), *pieces])
        data = read_file(folder / self.file)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise ValueError("its bytes are not those that were written")
        return _read_parquet(data, self.rows)


def ranges_of(row_ids: Positions) -> list[tuple[int, int]]:
    """:param row_ids: int64, (n,), rising, at least one."""
    breaks = np.flatnonzero(np.diff(row_ids) != 1)
    firsts = row_ids[np.concatenate([[0], breaks + 1])]
    lasts = row_ids[np.concatenate([breaks, [len(row_ids) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def stored(row_ids: Positions, folder: Path) -> RowSet:
    """The rows as a line can name them; many that lie apart are written beside the log first.

    :param row_ids: int64, (n,), rising, at least one.
    :raises OSError: if the file cannot be written; then nothing of it stays.
    """
    if np.count_nonzero(np.diff(row_ids) != 1) < MAX_RANGES:
        return RowSet(len(row_ids), tuple(ranges_of(row_ids)))
    data = _parquet(row_ids)
    name = f"{ULID()}.parquet"
    write_file(folder / name, data)
    fsync_folder(folder)
    return RowSet(len(row_ids), (), name, hashlib.sha256(data).hexdigest())


def unnamed_files(folder: Path, named: Sequence[RowSet]) -> list[Path]:
    """What a writer that was killed left: files of rows that no line names."""
    known = {each.file for each in named}
    return [
        path
        for path in folder.glob("*.parquet")
        if _FILE.fullmatch(path.name) and path.name not in known
    ]


def _range(pair: Any) -> tuple[int, int]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError("ranges are not pairs of row_ids")
    return whole(pair[0], "ranges", 1), whole(pair[1], "ranges", 1)


def _check_ranges(ranges: Ranges, rows: int) -> None:
    end = 0
    for first, last in ranges:
        if not end < first <= last:
            raise ValueError("its ranges do not rise")
        end = last
    if sum(last - first + 1 for first, last in ranges) != rows:
        raise ValueError(f"its ranges do not hold {rows:,} rows")


def _parquet(row_ids: Positions) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    encoding = {"row_id": "DELTA_BINARY_PACKED"}
    table = pa.table({"row_id": row_ids})
    pq.write_table(table, out, compression="zstd", use_dictionary=False, column_encoding=encoding)
    return out.getvalue()


def _read_parquet(data: bytes, rows: int) -> Positions:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if file.metadata.num_rows != rows or str(file.schema_arrow.field("row_id").type) != "int64":
            raise ValueError(f"it does not hold the row_ids of {rows:,} rows")
        found: Positions = file.read(["row_id"])["row_id"].combine_chunks().to_numpy(False)
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(str(error).splitlines()[0]) from None
    is_rising = len(found) == rows and found[0] > 0 and bool(np.all(np.diff(found) > 0))
    if found.dtype != np.int64 or not is_rising:
        raise ValueError("its row_ids do not rise")
    return found
