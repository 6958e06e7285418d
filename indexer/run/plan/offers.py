"""What other runs embedded, and which of it a plan has use for. Reads files of theirs; decides by
the plan alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from indexer.disk.tables import Place, Skipped
from indexer.run.plan.database import PlanDatabase
from indexer.run.plan.listed_table import PLACE

_FITS = """{0}.size_bytes IS NOT DISTINCT FROM l.size_bytes AND {0}.modified_us IS NOT DISTINCT FROM l.modified_us
           AND {0}.etag IS NOT DISTINCT FROM l.etag"""


@dataclass(frozen=True, slots=True)
class Fitting:
    """What of the offers a plan takes, counted in images."""

    rows: int
    skipped: int
    stale: int  # rows whose source says something else by now
    left: int  # to be embedded, and nobody offers them


class Offers:
    """Filled by `add_*`, decided by `fit`, read by the rest. Made after the plan's `pair`."""

    def __init__(self, plan: PlanDatabase) -> None:
        self._db = plan
        self._skipped: list[Skipped] = []
        plan.execute(
            """
            CREATE TABLE offered AS SELECT * FROM live LIMIT 0;
            CREATE TABLE offered_skips (number BIGINT, uri VARCHAR, size_bytes BIGINT, modified_us BIGINT,
                                        etag VARCHAR);
            """
        )

    def add_rows(self, rows: pa.Table) -> None:
        """:param rows: as `Plan.add_live` takes them."""
        self._db.insert("offered", rows)

    def add_skipped(self, files: Sequence[Skipped]) -> None:
        """:param files: with `modified_us` in microseconds since the epoch."""
        if not files:
            return
        first = len(self._skipped)
        self._skipped += files
        self._db.insert(
            "offered_skips",
            pa.table(
                {
                    "number": pa.array(range(first, first + len(files)), pa.int64()),
                    "uri": pa.array([file.key for file in files], pa.string()),
                    "size_bytes": pa.array([file.size_bytes for file in files], pa.int64()),
                    "modified_us": pa.array([file.modified_us for file in files], pa.int64()),
                    "etag": pa.array([file.etag for file in files], pa.string()),
                }
            ),
        )

    def fit(self) -> Fitting:
        """Decide which offer each image takes: that of its own address, size, time and mark."""
        self._db.execute(
            f"""
            UPDATE state SET state = 'new' WHERE state = 'skipped' AND uri IN (
                SELECT l.uri FROM listed l JOIN offered o ON o.uri = l.uri WHERE {_FITS.format("o")});
            CREATE TABLE todo AS
                SELECT s.uri, d.segment AS dead_segment, d.position AS dead_position,
                       row_number() OVER (ORDER BY l.file_number, {PLACE}, l.uri) AS turn
                FROM state s JOIN listed l ON l.uri = s.uri
                LEFT JOIN dead d ON d.segment = s.segment AND d.position = s.position
                ANTI JOIN carried c ON c.uri = s.uri WHERE s.state IN ('new', 'changed');
            CREATE TABLE fitting AS
                SELECT DISTINCT ON (t.uri) t.*, o.segment, o.position,
                       o.columns_etag IS DISTINCT FROM l.columns_etag AS is_stale
                FROM todo t JOIN listed l ON l.uri = t.uri JOIN offered o ON o.uri = t.uri
                WHERE {_FITS.format("o")} ORDER BY t.uri, o.segment, o.position;
            CREATE TABLE taken AS
                SELECT *, row_number() OVER (ORDER BY turn) - 1 AS nth FROM fitting;
            CREATE TABLE taken_skips AS
                SELECT t.*, max(k.number) AS number
                FROM todo t JOIN listed l ON l.uri = t.uri JOIN offered_skips k ON k.uri = t.uri
                ANTI JOIN taken a ON a.uri = t.uri WHERE {_FITS.format("k")} GROUP BY ALL;
            """
        )
        [[todo]] = self._db.all("SELECT count(*) FROM todo")
        [[rows, stale]] = self._db.all("SELECT count(*), count(*) FILTER (is_stale) FROM taken")
        [[skipped]] = self._db.all("SELECT count(*) FROM taken_skips")
        return Fitting(rows, skipped, stale, todo - rows - skipped)

    def rows_of(self, segment: str) -> list[tuple[int, int]]:
        """(position, nth) of a segment's rows that are taken, by position; nth counts all that are
        taken from 0, in the order of the listing.
        """
        query = "SELECT position, nth FROM taken WHERE segment = $1 ORDER BY position"
        return [(int(position), int(nth)) for position, nth in self._db.all(query, [segment])]

    def replaced(self) -> Iterator[Place]:
        """Rows whose image changed, and of which the new one is taken."""
        found = self._db.each(
            "SELECT dead_segment, dead_position FROM taken WHERE dead_segment IS NOT NULL ORDER BY turn"
        )
        for segment, position in found:
            yield Place(segment, position)

    def skips(self) -> Iterator[tuple[Skipped, Place | None]]:
        """Files that could not be read, and the row that each had."""
        found = self._db.each(
            "SELECT number, dead_segment, dead_position FROM taken_skips ORDER BY turn"
        )
        for number, segment, position in found:
            place = None if segment is None else Place(segment, position)
            yield self._skipped[number], place
