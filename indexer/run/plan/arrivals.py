"""New images, taken out of a listing that still goes on.

A file may be embedded before the listing has ended if the end cannot change what it is: its
address is no row's, and its bytes are of no row that may lose its place, as its size tells. The
first image of which this is not sure, and the first file that changed, end the taking: all that
comes after waits for the end of the listing, so that row ids follow its order in any case.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from indexer.disk.tables import Place
from indexer.run.plan.database import PlanDatabase
from indexer.run.plan.listed_table import FILE, FILE_FIELDS, PLACE, Arrived, file_of
from indexer.sources import ImageFile

IMAGES_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Todo:
    """One image to embed, and the row it replaces."""

    source: int  # position in the run's sources
    file: ImageFile
    replaces: Place | None


class Arrivals:
    """What of a listing arrived so far, once and in its order."""

    def __init__(
        self, database: PlanDatabase, arrived: deque[Arrived], may_go: Sequence[str] | None
    ) -> None:
        """As `Plan.arrivals`. Every live row and skipped file is in the plan."""
        self._db = database
        self._arrived = arrived
        self._next = 0  # the first file that was not looked at
        self._given: list[str] = []
        self.idle_look_s = 0.0  # what the last look took, where it found nothing new
        self.passed = 0  # images that were looked at, and are known already
        self.in_doubt = False  # True: the rest waits for the end of the listing
        prefixes = [""] if may_go is None else may_go
        self._db.insert_new("may_go_below", pa.table({"prefix": pa.array(prefixes, pa.string())}))
        self._db.execute(
            """
            CREATE TABLE may_go AS SELECT uri, file_uri, size_bytes FROM live
                WHERE EXISTS (SELECT 1 FROM may_go_below b WHERE starts_with(live.uri, b.prefix));
            CREATE TABLE was_skipped AS
                SELECT uri, last(size_bytes) AS size_bytes, last(modified_us) AS modified_us,
                       last(etag) AS etag, last(transient) AS transient FROM skipped GROUP BY uri;
            """
        )
        [[self._rows]] = self._db.all("SELECT count(*) FROM live")
        # A uri can be live twice, where a run died: which of the two goes is told at the end.
        twice = "SELECT EXISTS (SELECT 1 FROM live GROUP BY uri HAVING count(*) > 1)"
        [[self.in_doubt]] = self._db.all(twice)

    def new_images(self) -> Iterator[Todo]:
        """Of what arrived since the last call, until one is in doubt."""
        began = time.monotonic()
        self.idle_look_s = 0.0
        some = None if self.in_doubt else self._take()
        if some is None:
            return
        self._look_at(some.end)
        [[new]] = self._db.all("SELECT count(*) FROM arrived WHERE state = 'new'")
        self.passed += some.images - int(new)
        if not new:
            self.idle_look_s = time.monotonic() - began
        found = self._db.each(
            f"""
            SELECT {FILE}, l.state = 'changed' OR l.size_bytes IN (SELECT size_bytes FROM may_go)
            FROM arrived l WHERE l.state IN ('new', 'changed') ORDER BY l.file_number, {PLACE}, l.uri
            """
        )
        for row in found:
            if row[FILE_FIELDS]:
                self.in_doubt = True
                return
            source, _, uri, *_ = row
            self._given.append(uri)
            if len(self._given) == IMAGES_AT_ONCE:
                self.store_given()
            yield Todo(source, file_of(row), None)

    def store_given(self) -> None:
        """Into the plan: which images were given, so that none is embedded twice."""
        self._db.insert("streamed", pa.table({"uri": pa.array(self._given, pa.string())}))
        self._given = []

    def _take(self) -> Arrived | None:
        """What to look at now; None where nothing arrived. A look reads every row of the lake, so
        it may look at as many images.
        """
        most = max(IMAGES_AT_ONCE, self._rows)
        some = self._arrived.popleft() if self._arrived else None
        while some is not None and self._arrived and some.images + self._arrived[0].images <= most:
            more = self._arrived.popleft()
            some = Arrived(more.end, some.images + more.images)
        return some

    def _look_at(self, end: int) -> None:
        """Give every image that was not listed before its state, as `Plan.compare` will.

        Most images of most lakes are files that are as they were: they are left out first, since
        all that follows sorts what it looks at.
        """
        self._db.execute("DROP TABLE IF EXISTS arrived")
        self._db.execute("DROP TABLE IF EXISTS unknown")
        self._db.execute(
            """
            CREATE TABLE unknown AS SELECT r.* FROM raw_listed r
                ANTI JOIN (SELECT * FROM live WHERE file_uri IS NULL AND NOT unsettled AND NOT relocated) v
                ON v.uri = r.uri AND v.size_bytes IS NOT DISTINCT FROM r.size_bytes
                   AND v.modified_us IS NOT DISTINCT FROM r.modified_us AND v.etag IS NOT DISTINCT FROM r.etag
                WHERE r.file_number >= $1 AND r.file_number < $2
            """,
            [self._next, end],
        )
        self._db.execute(
            """
            CREATE TABLE arrived AS
            WITH once AS (
                SELECT DISTINCT ON (uri) * REPLACE (min(file_number) OVER (PARTITION BY uri) AS file_number)
                FROM unknown ORDER BY uri, columns_etag IS NULL, source),
            l AS (
                SELECT once.* REPLACE (
                    CASE WHEN file_uri IS NULL OR file_uri IN (SELECT file_uri FROM partial) THEN etag
                         ELSE etag || ':' || count(*) OVER (PARTITION BY file_uri) END AS etag)
                FROM once ANTI JOIN (SELECT uri FROM raw_listed WHERE file_number < $1
                                     AND uri IN (SELECT uri FROM unknown)) b ON b.uri = once.uri)
            SELECT l.*,
                CASE
                    WHEN v.uri IS NOT NULL AND (v.unsettled OR v.relocated
                         OR v.size_bytes IS DISTINCT FROM l.size_bytes
                         OR v.modified_us IS DISTINCT FROM l.modified_us
                         OR v.etag IS DISTINCT FROM l.etag) THEN 'changed'
                    WHEN v.uri IS NOT NULL THEN 'same'
                    WHEN s.uri IS NOT NULL AND NOT s.transient
                         AND s.size_bytes IS NOT DISTINCT FROM l.size_bytes
                         AND s.modified_us IS NOT DISTINCT FROM l.modified_us
                         AND s.etag IS NOT DISTINCT FROM l.etag THEN 'skipped'
                    ELSE 'new'
                END AS state
            FROM l LEFT JOIN (SELECT * FROM live WHERE uri IN (SELECT uri FROM unknown)) v ON v.uri = l.uri
                 LEFT JOIN was_skipped s ON s.uri = l.uri
            """,
            [self._next],
        )
        if self._rows:  # what was found at its place will not go
            self._db.execute(
                """
                DELETE FROM may_go WHERE file_uri IN (SELECT file_uri FROM untouched)
                    OR (uri IN (SELECT uri FROM raw_listed WHERE file_number >= $1 AND file_number < $2)
                        AND uri NOT IN (SELECT uri FROM arrived WHERE state = 'changed'))
                """,
                [self._next, end],
            )
        self._next = end
