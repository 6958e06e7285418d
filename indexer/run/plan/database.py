"""What a run's plan is kept in: DuckDB, in memory, and on disk what is more than MEMORY_LIMIT.

Nothing of a plan outlives its run, so nothing is logged or compressed: 100,000 rows took a third of
the processor time that a file of DuckDB's takes, four million half of it, in no more memory.

A disk that is full ends in one sentence. DuckDB says so in several ways: while it makes room,
while it reads what it wrote, and in every call that comes after.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import pyarrow as pa

from indexer.errors import NotWritten

MEMORY_LIMIT = "512MB"
ROWS_AT_ONCE = 20_000
# On disk, of an image that is listed and live; measured: 381 with names of 60 characters.
BYTES_AN_IMAGE = 500
_FULL = "No space left on device"


class PlanDatabase:
    """One connection; parameters and results are DuckDB's. Safe for several threads: each call has
    its turn, but for `each`, which goes its own way.

    :raises NotWritten: by every method, if the folder's disk is full or fails.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = Lock()
        with self._told():
            self._db = duckdb.connect(":memory:")
            # Else a long query draws a bar of its own on stdout. In a notebook without ipywidgets
            # there is no bar, and DuckDB refuses to be asked.
            with suppress(duckdb.InvalidInputException):
                self._db.execute("SET enable_progress_bar = false")
            self._db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            self._db.execute("SET temp_directory = $1", [str(folder / "spill")])

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> None:
        with self._turn, self._told():
            self._db.execute(query, list(parameters))

    def all(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row of the answer; none is left over, which would block the next query."""
        with self._turn, self._told():
            return list(self._db.execute(query, list(parameters)).fetchall())

    def each(self, query: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The answer row by row, while other queries come and go."""
        with self._turn:
            cursor = self._db.cursor()
        with self._told():
            cursor.execute(query, list(parameters))
        while True:
            with self._told():
                rows = cursor.fetchmany(ROWS_AT_ONCE)
            if not rows:
                return
            yield from rows

    def insert(self, table: str, rows: pa.Table) -> None:
        with self._turn, self._told():
            self._db.register("incoming", rows)
            self._db.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
            self._db.unregister("incoming")

    def insert_new(self, table: str, rows: pa.Table) -> None:
        """Into a table of this name, which is made anew."""
        with self._turn, self._told():
            self._db.register("incoming", rows)
            self._db.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM incoming")
            self._db.unregister("incoming")

    def close(self) -> None:
        with self._turn, suppress(duckdb.Error):  # nobody reads the file any more
            self._db.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (
            duckdb.IOException,
            duckdb.TransactionException,  # of a commit that could not be written
            duckdb.OutOfMemoryException,  # of a spill folder that may not grow
            duckdb.FatalException,  # of every call after the one that failed
        ) as error:
            raise NotWritten(str(self._folder), f"{_reason(error)} {self._need()}") from error

    def _need(self) -> str:
        try:
            free = f"{shutil.disk_usage(self._folder).free / 1e6:,.1f} MB are free there, and "
        except OSError:
            free = ""
        return f"({free}a run's plan takes up to {BYTES_AN_IMAGE / 1e3:g} MB for 1,000 images)"


def _reason(error: duckdb.Error) -> str:
    text = str(error).strip() or type(error).__name__
    if _FULL in text:
        return _FULL
    if isinstance(error, duckdb.OutOfMemoryException):
        return "its disk has too little room for what memory cannot hold"
    return text.splitlines()[0].partition("Error: ")[2] or text.splitlines()[0]
