"""What a run has to do: the sources' listing joined with the live rows and the skipped files.

The joins run in DuckDB, in a file of the run's own, so that memory does not grow with the lake. Nothing here opens an
image or changes the lake; `sync` does both, in the order this module says.

States of a uri after `compare`:
  same     listed and live, size, time and etag equal: nothing to do
  columns  the same file, but its sidecars or the user's table say something else: a new row, the old row_id and vector
  changed  listed and live, but not equal (or modified too close to the last scan to be sure): look at its hash
  new      listed only
  skipped  listed, not live, and skipped before with the same size, time and etag
  gone     live only, and its source was listed
  kept     live only, but its source (or its folder) was not listed in this run; after `pair` also a file that looks
           the same, was modified too close to the last scan to be sure, and cannot be read just now

A uri can be live twice: where photos swapped their names and the run died after one of them was carried over, the other
still claims the name. Only the row that fits the listed file best keeps its claim; the others are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from indexer.sources import ImageFile
from indexer.tables import Place

BATCH = 20_000  # rows handed to or taken from DuckDB at once
MEMORY_LIMIT = "512MB"

_LISTED = pa.schema(
    [
        ("source", pa.int32()),
        ("uri", pa.string()),
        ("path_bytes", pa.binary()),
        ("size_bytes", pa.int64()),
        ("modified_us", pa.int64()),
        ("etag", pa.string()),
        ("columns_etag", pa.string()),
        ("sidecars", pa.list_(pa.string())),
    ]
)
_FILE = "l.source, l.uri, l.path_bytes, l.size_bytes, l.modified_us, l.etag, l.columns_etag, l.sidecars"


@dataclass(frozen=True, slots=True)
class Todo:
    """One image to embed, and the row it replaces."""

    source: int  # position in the run's sources
    file: ImageFile
    replaces: Place | None


@dataclass(frozen=True, slots=True)
class Rerow:
    """One image that is known: a new row with the old row_id and vector."""

    source: int
    file: ImageFile
    old: Place
    reread_columns: bool


@dataclass(frozen=True, slots=True)
class Counts:
    same: int = 0
    columns: int = 0
    changed: int = 0
    new: int = 0
    skipped: int = 0
    gone: int = 0
    kept: int = 0


class Plan:
    """Filled by `add_*`, decided by `compare` and `pair`, read by the rest. One run, one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._db = duckdb.connect(str(folder / "plan.duckdb"))
        self._db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        self._db.execute("SET temp_directory = $1", [str(folder / "spill")])
        self._db.execute(
            """
            CREATE TABLE raw_listed (source INTEGER, uri VARCHAR, path_bytes BLOB, size_bytes BIGINT,
                                     modified_us BIGINT, etag VARCHAR, columns_etag VARCHAR, sidecars VARCHAR[]);
            CREATE TABLE live (segment VARCHAR, position BIGINT, row_id BIGINT, uri VARCHAR, size_bytes BIGINT,
                               modified_us BIGINT, etag VARCHAR, sha256 VARCHAR, source VARCHAR, columns_etag VARCHAR,
                               unsettled BOOLEAN, relocated BOOLEAN);
            CREATE TABLE skipped (uri VARCHAR, source VARCHAR, size_bytes BIGINT, modified_us BIGINT, etag VARCHAR,
                                  transient BOOLEAN);
            CREATE TABLE hashes (uri VARCHAR, sha256 VARCHAR);
            CREATE TABLE run_sources (uri VARCHAR);
            CREATE TABLE unlisted (prefix VARCHAR);
            """
        )

    def close(self) -> None:
        self._db.close()

    # -- what is there

    def add_listing(self, source: int, files: Iterable[ImageFile]) -> Iterator[int]:
        """Store what a source lists; yields the number stored so far, for progress."""
        stored, files = 0, iter(files)
        while batch := list(islice(files, BATCH)):
            columns = [
                pa.array([getattr(file, field.name) for file in batch], field.type)
                if field.name not in ("source", "sidecars")
                else pa.array(
                    [source if field.name == "source" else list(file.sidecars) for file in batch], field.type
                )
                for field in _LISTED
            ]
            self._insert("raw_listed", pa.table(columns, schema=_LISTED))
            stored += len(batch)
            yield stored

    def add_live(self, rows: pa.Table) -> None:
        """:param rows: the live table's columns, by name."""
        self._insert("live", rows)

    def add_skipped(self, rows: pa.Table) -> None:
        """:param rows: uri, source, size_bytes, modified_us, etag, transient."""
        self._insert("skipped", rows)

    def _insert(self, table: str, rows: pa.Table) -> None:
        self._db.register("incoming", rows)
        self._db.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
        self._db.unregister("incoming")

    def forget_listing(self, source: int) -> None:
        """Drop what a source listed before it failed."""
        self._db.execute("DELETE FROM raw_listed WHERE source = $1", [source])

    def sources(self) -> set[str]:
        """Every source that a live row or a skipped file names."""
        rows = self._db.execute("SELECT source FROM live UNION SELECT source FROM skipped").fetchall()
        return {row[0] for row in rows}

    def uri_of_two_rows(self) -> str | None:
        """A uri that more than one live row has: two roots that were put into one."""
        query = "SELECT min(uri) FROM (SELECT uri FROM live GROUP BY uri HAVING count(*) > 1)"
        [[uri]] = self._db.execute(query).fetchall()
        return None if uri is None else str(uri)

    def rows_of_source(self, source: str) -> int:
        return self._count("SELECT count(*) FROM live WHERE source = $1", source)

    # -- what it means

    def compare(self, listed_sources: Sequence[str], unlisted: Sequence[str]) -> Counts:
        """Give every uri its state.

        :param listed_sources: the sources whose rows may be found gone.
        :param unlisted: uri prefixes that could not be looked into; their rows are kept.
        """
        self._db.executemany(
            "INSERT INTO run_sources VALUES ($1)", [[uri] for uri in listed_sources] or [[""]]
        )
        if unlisted:
            self._db.executemany("INSERT INTO unlisted VALUES ($1)", [[prefix] for prefix in unlisted])
        self._db.execute(
            """
            CREATE TABLE listed AS SELECT DISTINCT ON (uri) * FROM raw_listed ORDER BY uri, source;
            DROP TABLE raw_listed;
            CREATE TABLE last_skipped AS
                SELECT uri, last(source) AS source, last(size_bytes) AS size_bytes, last(modified_us) AS modified_us,
                       last(etag) AS etag, last(transient) AS transient FROM skipped GROUP BY uri;
            CREATE TABLE state AS
            SELECT coalesce(l.uri, v.uri) AS uri, v.segment, v.position,
                CASE
                    WHEN l.uri IS NOT NULL AND v.uri IS NOT NULL AND row_number() OVER (
                        PARTITION BY v.uri
                        ORDER BY v.size_bytes IS DISTINCT FROM l.size_bytes,
                                 v.modified_us IS DISTINCT FROM l.modified_us,
                                 v.etag IS DISTINCT FROM l.etag, v.segment DESC, v.position DESC) > 1 THEN 'gone'
                    WHEN l.uri IS NULL AND v.source IN (SELECT uri FROM run_sources)
                         AND NOT EXISTS (SELECT 1 FROM unlisted u WHERE starts_with(v.uri, u.prefix)) THEN 'gone'
                    WHEN l.uri IS NULL THEN 'kept'
                    WHEN v.uri IS NULL AND s.uri IS NOT NULL AND NOT s.transient
                         AND s.size_bytes IS NOT DISTINCT FROM l.size_bytes
                         AND s.modified_us IS NOT DISTINCT FROM l.modified_us
                         AND s.etag IS NOT DISTINCT FROM l.etag THEN 'skipped'
                    WHEN v.uri IS NULL THEN 'new'
                    WHEN v.unsettled OR v.size_bytes IS DISTINCT FROM l.size_bytes
                         OR v.modified_us IS DISTINCT FROM l.modified_us
                         OR v.etag IS DISTINCT FROM l.etag THEN 'changed'
                    WHEN v.relocated OR (v.columns_etag IS DISTINCT FROM l.columns_etag
                                         AND v.source IN (SELECT uri FROM run_sources)) THEN 'columns'
                    ELSE 'same'
                END AS state
            FROM listed l FULL OUTER JOIN live v ON l.uri = v.uri LEFT JOIN last_skipped s ON s.uri = l.uri
            """
        )
        rows = self._db.execute("SELECT state, count(*) FROM state GROUP BY state").fetchall()
        return Counts(**dict(rows))

    def to_hash(self) -> Iterator[tuple[int, ImageFile]]:
        """(source, file) of every listed file whose bytes may be those of a row that lost its place, by uri."""
        yield from self._files(
            f"""
            WITH released AS (SELECT DISTINCT v.size_bytes FROM state s
                              JOIN live v ON v.segment = s.segment AND v.position = s.position
                              WHERE s.state IN ('gone', 'changed'))
            SELECT {_FILE} FROM state s JOIN listed l ON l.uri = s.uri
            WHERE s.state IN ('new', 'changed', 'skipped') AND l.size_bytes IN (SELECT size_bytes FROM released)
            ORDER BY l.uri
            """
        )

    def add_hashes(self, hashes: Sequence[tuple[str, str]]) -> None:
        uris, digests = zip(*hashes, strict=True) if hashes else ((), ())
        self._insert(
            "hashes", pa.table({"uri": pa.array(uris, pa.string()), "sha256": pa.array(digests, pa.string())})
        )

    def pair(self) -> None:
        """Decide which listed file carries on which row, by content: in place first, then by row_id and uri."""
        self._db.execute(
            """
            UPDATE state SET state = 'kept' WHERE state = 'changed' AND uri IN (
                SELECT v.uri FROM live v JOIN listed l ON l.uri = v.uri ANTI JOIN hashes h ON h.uri = v.uri
                WHERE v.unsettled AND NOT v.relocated AND v.size_bytes IS NOT DISTINCT FROM l.size_bytes
                      AND v.modified_us IS NOT DISTINCT FROM l.modified_us AND v.etag IS NOT DISTINCT FROM l.etag);

            CREATE TABLE carried AS
            SELECT l.uri, v.segment, v.position,
                   v.size_bytes IS DISTINCT FROM l.size_bytes OR v.modified_us IS DISTINCT FROM l.modified_us
                   OR v.etag IS DISTINCT FROM l.etag OR v.columns_etag IS DISTINCT FROM l.columns_etag
                   OR v.relocated AS rewrite
            FROM state s JOIN listed l ON l.uri = s.uri JOIN live v ON v.segment = s.segment AND v.position = s.position
            LEFT JOIN hashes h ON h.uri = s.uri
            WHERE s.state = 'columns' OR (s.state = 'changed' AND h.sha256 = v.sha256);

            INSERT INTO carried
            WITH released AS (
                SELECT v.*, row_number() OVER (PARTITION BY v.sha256 ORDER BY v.row_id) AS place
                FROM state s JOIN live v ON v.segment = s.segment AND v.position = s.position
                ANTI JOIN carried c ON c.segment = s.segment AND c.position = s.position
                WHERE s.state IN ('gone', 'changed')),
            arrived AS (
                SELECT h.uri, h.sha256, row_number() OVER (PARTITION BY h.sha256 ORDER BY h.uri) AS place
                FROM hashes h ANTI JOIN carried c ON c.uri = h.uri)
            SELECT a.uri, r.segment, r.position, true
            FROM arrived a JOIN released r ON r.sha256 = a.sha256 AND r.place = a.place;

            CREATE TABLE dead AS
            SELECT s.segment, s.position, s.state FROM state s
            ANTI JOIN carried c ON c.segment = s.segment AND c.position = s.position
            WHERE s.state IN ('gone', 'changed');
            """
        )

    # -- what to do, in this order

    def rerows(self) -> Iterator[Rerow]:
        """Rows that keep their row_id and vector, by segment and position."""
        cursor = self._db.cursor().execute(
            f"""
            SELECT {_FILE}, c.segment, c.position, v.columns_etag IS DISTINCT FROM l.columns_etag
            FROM carried c JOIN listed l ON l.uri = c.uri
            JOIN live v ON v.segment = c.segment AND v.position = c.position
            WHERE c.rewrite ORDER BY c.segment, c.position
            """
        )
        for row in _rows(cursor):
            yield Rerow(row[0], _file(row), Place(row[8], row[9]), row[10])

    def gone(self) -> Iterator[Place]:
        """Rows whose file is gone and whose bytes are nowhere else."""
        cursor = self._db.cursor().execute(
            "SELECT segment, position FROM dead WHERE state = 'gone' ORDER BY ALL"
        )
        for row in _rows(cursor):
            yield Place(*row)

    def todo(self) -> Iterator[Todo]:
        """Images to embed, by source and uri."""
        cursor = self._db.cursor().execute(
            f"""
            SELECT {_FILE}, d.segment, d.position
            FROM state s JOIN listed l ON l.uri = s.uri
                 LEFT JOIN dead d ON d.segment = s.segment AND d.position = s.position
            ANTI JOIN carried c ON c.uri = s.uri
            WHERE s.state IN ('new', 'changed') ORDER BY l.source, l.uri
            """
        )
        for row in _rows(cursor):
            yield Todo(row[0], _file(row), None if row[8] is None else Place(row[8], row[9]))

    def todo_count(self) -> int:
        return self._count(
            "SELECT count(*) FROM state s ANTI JOIN carried c ON c.uri = s.uri WHERE s.state IN ('new', 'changed')"
        )

    def confirmed_count(self) -> int:
        """Rows whose file had to be looked at, and is the same in all."""
        return self._count("SELECT count(*) FROM carried WHERE NOT rewrite")

    def unsettled_segments(self, since_us: int, until_us: int) -> set[str]:
        """Segments with a row to look at once more: not listed in this run, or modified between these times.

        :param since_us: the scan's start less the settling time, microseconds since the epoch.
        :param until_us: now and the settling time: what claims to be from the future has settled like any other.
        """
        rows = self._db.execute(
            """
            SELECT DISTINCT v.segment FROM live v JOIN state s ON v.segment = s.segment AND v.position = s.position
            WHERE v.unsettled AND (s.state = 'kept' OR v.modified_us BETWEEN $1 AND $2)
            """,
            [since_us, until_us],
        ).fetchall()
        return {row[0] for row in rows}

    def still_skipped(self) -> set[str]:
        """Skipped files that were listed again unchanged, or whose source (or folder) was not listed in this run."""
        rows = self._db.execute(
            """
            SELECT uri FROM state WHERE state = 'skipped' AND uri NOT IN (SELECT uri FROM carried)
            UNION ALL
            SELECT k.uri FROM last_skipped k ANTI JOIN listed l ON l.uri = k.uri
            WHERE k.source NOT IN (SELECT uri FROM run_sources)
                  OR EXISTS (SELECT 1 FROM unlisted u WHERE starts_with(k.uri, u.prefix))
            """
        ).fetchall()
        return {row[0] for row in rows}

    def _files(self, query: str) -> Iterator[tuple[int, ImageFile]]:
        for row in _rows(self._db.cursor().execute(query)):
            yield row[0], _file(row)

    def _count(self, query: str, *parameters: str) -> int:
        [[count]] = self._db.execute(
            query, list(parameters)
        ).fetchall()  # a result left unfinished blocks the next
        return int(count)


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := cursor.fetchmany(BATCH):
        yield from batch


def _file(row: Sequence[Any]) -> ImageFile:
    _, uri, path_bytes, size_bytes, modified_us, etag, columns_etag, sidecars, *_ = row
    return ImageFile(uri, path_bytes, size_bytes, modified_us, etag, columns_etag, tuple(sidecars or ()))
