"""What a run has to do: the sources' listing joined with the live rows and the skipped files.

The joins run in DuckDB, in a file of the run's own, so that memory does not grow with the lake.
Nothing here opens an image or changes the lake; `sync` does both, in the order this module says.

States of a uri after `compare`:
  same     listed and live, size, time and etag equal: nothing to do
  columns  the same file, but its sidecars or the user's table say something else: a new row, the
           old row_id and vector
  changed  listed and live, but not equal (or modified too close to the last scan to be sure): look
           at its hash
  new      listed only
  skipped  listed, not live, and skipped before with the same size, time and etag
  streamed listed only, and embedded while the listing went on
  gone     live only, and its source was listed
  kept     live only, but its source (or its folder) was not listed in this run; after `pair` also a
           file that looks the same, was modified too close to the last scan to be sure, and cannot
           be read just now

A `uri` here is an address's key: the file's own uri where the whole file is the image, else what
tells the images of one archive apart, and from a file that is called as one of them prints.

A uri that several sources list is of the first that has columns for it, else of the first.

A uri can be live twice: where photos swapped their names and the run died after one of them was
carried over, the other still claims the name. Only the row that fits the listed file best keeps its
claim; the others are gone.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from indexer.address import shown
from indexer.disk.tables import Place
from indexer.run.plan.arrivals import Arrivals, Todo
from indexer.run.plan.database import PlanDatabase
from indexer.run.plan.listed_table import (
    FILE,
    FILE_FIELDS,
    LISTED,
    LISTED_SQL,
    PLACE,
    Numbered,
    file_of,
)
from indexer.run.plan.offers import Offers
from indexer.run.plan.sharing import Mine, leave_moves, leave_others, write_members
from indexer.run.plan.totals import Total, totals
from indexer.sources import UNREAD, ImageFile, Listing, Whole

BATCH = 20_000  # rows handed to DuckDB at once, ...
FIRST_BATCH = 100  # ... fewer at first, and after so many seconds: what is listed may be waited for
BATCH_S = 1.0

# Which columns of a listed image tell that its file is as it was.
_SAME = ("uri", "size_bytes", "modified_us", "etag")
_TO_HASH = f"""
    WITH released AS (SELECT DISTINCT v.size_bytes FROM state s
                      JOIN live v ON v.segment = s.segment AND v.position = s.position
                      WHERE s.state IN ('gone', 'changed'))
    SELECT {FILE} FROM state s JOIN listed l ON l.uri = s.uri
    WHERE s.state IN ('new', 'changed', 'skipped') AND l.size_bytes IN (SELECT size_bytes FROM released)
"""


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
    streamed: int = 0
    gone: int = 0
    kept: int = 0


class Plan:
    """Filled by `add_*`, decided by `compare` and `pair`,
    read by the rest. One run, one thread at a time.
    """

    def __init__(self, folder: Path) -> None:
        self._db = PlanDatabase(folder)
        self._numbered = Numbered()
        self._db.execute(
            f"""
            CREATE TABLE raw_listed ({LISTED_SQL});
            CREATE TABLE live (segment VARCHAR, position BIGINT, row_id BIGINT, uri VARCHAR, file_uri VARCHAR,
                               size_bytes BIGINT, modified_us BIGINT, etag VARCHAR, sha256 VARCHAR,
                               source VARCHAR, columns_etag VARCHAR, width_px INTEGER, height_px INTEGER,
                               unsettled BOOLEAN, relocated BOOLEAN);
            CREATE TABLE skipped (uri VARCHAR, file_uri VARCHAR, source VARCHAR, size_bytes BIGINT,
                                  modified_us BIGINT, etag VARCHAR, transient BOOLEAN);
            CREATE TABLE hashes (uri VARCHAR, sha256 VARCHAR);
            CREATE TABLE run_sources (uri VARCHAR);
            CREATE TABLE unlisted (prefix VARCHAR);
            CREATE TABLE untouched (file_uri VARCHAR);
            CREATE TABLE partial (file_uri VARCHAR);
            CREATE TABLE streamed (uri VARCHAR);
            """
        )

    def close(self) -> None:
        self._db.close()

    # -- what is there

    def add_listing(
        self, source: int, files: Iterable[ImageFile], listing: Listing | None = None
    ) -> Iterator[int]:
        """Store what a source lists; yields the number stored so far, for progress.

        A batch is stored while the next one is listed, which takes another core.

        :param listing: the one that files fills in.
        """
        stored = untouched = partial = 0
        listing = listing or Listing()
        with ThreadPoolExecutor(1, "storing") as pool:
            storing: Future[int] | None = None
            for batch in _batches(files):
                if storing is not None:
                    stored += storing.result()
                    yield stored
                storing = pool.submit(
                    self._store,
                    # Made here: it counts on the batches before being stored.
                    self._numbered.table(source, batch),
                    listing.untouched[untouched:],
                    listing.partial[partial:],
                )
                untouched, partial = len(listing.untouched), len(listing.partial)
            if storing is not None:
                stored += storing.result()
                yield stored
        self.add_containers(listing.untouched[untouched:], listing.partial[partial:])
        self._numbered.source_ended()

    def _store(self, batch: pa.Table, untouched: Sequence[str], partial: Sequence[str]) -> int:
        """:returns: how many images are stored now that were not before."""
        self._db.insert("raw_listed", batch)
        self.add_containers(untouched, partial)
        self._numbered.stored()
        return len(batch)

    def arrivals(self, may_go: Sequence[str] | None) -> Arrivals:
        """What of the listing can be embedded while it goes on; for one thread at a time.

        :param may_go: prefixes of uris of rows that the run may find gone or changed; None: of all.
        """
        return Arrivals(self._db, self._numbered.arrived, may_go)

    def add_live(self, rows: pa.Table) -> None:
        """:param rows: the live table's columns, by name."""
        self._db.insert("live", rows)

    def add_skipped(self, rows: pa.Table) -> None:
        """:param rows: uri, source, size_bytes, modified_us, etag, transient."""
        self._db.insert("skipped", rows)

    def forget_listing(self, source: int) -> None:
        """Drop what a source listed before it failed."""
        self._db.execute("DELETE FROM raw_listed WHERE source = $1", [source])
        self._numbered.source_ended()

    def sources(self) -> set[str]:
        """Every source that a live row or a skipped file names."""
        rows = self._db.all("SELECT source FROM live UNION SELECT source FROM skipped")
        return {row[0] for row in rows}

    def uri_of_two_rows(self) -> str | None:
        """A uri that more than one live row has: two roots that were put into one."""
        query = "SELECT min(uri) FROM (SELECT uri FROM live GROUP BY uri HAVING count(*) > 1)"
        [[uri]] = self._db.all(query)
        return None if uri is None else shown(str(uri))

    def relocated_of(self, sources: Iterable[str]) -> str | None:
        """The uri that a row of one of these sources gets by the change of roots, if any."""
        for source in sources:
            query = "SELECT min(uri) FROM live WHERE source = $1 AND relocated"
            [[uri]] = self._db.all(query, [source])
            if uri is not None:
                return shown(str(uri))
        return None

    def rows_of_source(self, source: str) -> int:
        return self._count("SELECT count(*) FROM live WHERE source = $1", source)

    def whole_containers(self) -> dict[str, Whole]:
        """By their uri those of which the lake has every image, or the reason why not. The etag of
        their images ends with the number of images there were.
        """
        rows = self._db.all(
            f"""
            WITH known AS (
                SELECT file_uri, etag, NOT unsettled AND NOT relocated
                       AND columns_etag IS DISTINCT FROM '{UNREAD}' AS settled,
                       coalesce(columns_etag, '') AS said FROM live
                UNION ALL SELECT file_uri, etag, NOT transient, NULL FROM skipped)
            SELECT file_uri, min(etag), CASE WHEN min(said) = max(said) THEN nullif(min(said), '') END
            FROM known WHERE file_uri IS NOT NULL GROUP BY file_uri
            HAVING bool_and(settled) AND count(*) = count(etag) AND min(etag) = max(etag)
                   AND count(*) = try_cast(split_part(min(etag), ':', 3) AS BIGINT)
            """
        )
        return {uri: Whole(etag, columns_etag) for uri, etag, columns_etag in rows}

    def sizes(self, files: Sequence[ImageFile]) -> dict[str, tuple[int, int]]:
        """uri -> width and height in px, of those of these images whose file is as it was."""
        fields = [field for field in LISTED if field.name in _SAME]
        rows = [(str(file.address), file.size_bytes, file.modified_us, file.etag) for file in files]
        columns = [
            pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), fields, strict=True)
        ]
        self._db.insert_new("asked", pa.table(columns, schema=pa.schema(fields)))
        found = self._db.all(
            """
            SELECT v.uri, v.width_px, v.height_px FROM asked a JOIN live v ON v.uri = a.uri
            WHERE NOT v.unsettled AND v.width_px IS NOT NULL AND v.height_px IS NOT NULL
                  AND v.size_bytes IS NOT DISTINCT FROM a.size_bytes
                  AND v.modified_us IS NOT DISTINCT FROM a.modified_us AND v.etag IS NOT DISTINCT FROM a.etag
            """
        )
        return {uri: (width_px, height_px) for uri, width_px, height_px in found}

    def add_containers(self, untouched: Sequence[str], partial: Sequence[str]) -> None:
        """
        :param untouched: uris of containers that are as they were, with all images in the lake.
        :param partial: uris of those of which only some images could be listed.
        """
        for table, uris in (("untouched", untouched), ("partial", partial)):
            if uris:
                self._db.insert(table, pa.table({"file_uri": pa.array(uris, pa.string())}))

    # -- what it means

    def compare(self, listed_sources: Sequence[str], unlisted: Sequence[str]) -> Counts:
        """Give every uri its state.

        :param listed_sources: the sources whose rows may be found gone.
        :param unlisted: uri prefixes that could not be looked into; their rows are kept.
        """
        self._db.insert("run_sources", pa.table({"uri": pa.array(listed_sources, pa.string())}))
        self._db.insert("unlisted", pa.table({"prefix": pa.array(unlisted, pa.string())}))
        self._listed_once()
        self._count_in_containers()
        self._db.execute(
            """
            CREATE TABLE last_skipped AS
                SELECT uri, last(file_uri) AS file_uri, last(source) AS source, last(size_bytes) AS size_bytes,
                       last(modified_us) AS modified_us,
                       last(etag) AS etag, last(transient) AS transient FROM skipped GROUP BY uri;
            CREATE TABLE outbid AS
            SELECT segment, position FROM (
                SELECT v.segment, v.position, row_number() OVER (
                    PARTITION BY v.uri
                    ORDER BY v.size_bytes IS DISTINCT FROM l.size_bytes,
                             v.modified_us IS DISTINCT FROM l.modified_us,
                             v.etag IS DISTINCT FROM l.etag, v.segment DESC, v.position DESC) AS rank
                FROM live v JOIN listed l ON l.uri = v.uri
                WHERE v.uri IN (SELECT uri FROM live GROUP BY uri HAVING count(*) > 1))
            WHERE rank > 1;
            CREATE TABLE state AS
            SELECT coalesce(l.uri, v.uri) AS uri, v.segment, v.position,
                CASE
                    WHEN l.uri IN (SELECT uri FROM streamed) THEN 'streamed'
                    WHEN o.segment IS NOT NULL THEN 'gone'
                    WHEN l.uri IS NULL AND v.file_uri IN (SELECT file_uri FROM untouched) THEN 'same'
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
                                         AND (v.columns_etag IS NULL OR v.source IN (SELECT uri FROM run_sources)))
                    THEN 'columns'
                    ELSE 'same'
                END AS state
            FROM listed l FULL OUTER JOIN live v ON l.uri = v.uri LEFT JOIN last_skipped s ON s.uri = l.uri
                 LEFT JOIN outbid o ON o.segment = v.segment AND o.position = v.position
            """
        )
        rows = self._db.all("SELECT state, count(*) FROM state GROUP BY state")
        return Counts(**dict(rows))

    def _listed_once(self) -> None:
        """Each uri once. Where none is there twice, as mostly, nothing is copied: sorting a
        listing takes longer than all else that is done with it.
        """
        twice = "SELECT EXISTS (SELECT 1 FROM raw_listed GROUP BY uri HAVING count(*) > 1)"
        [[is_twice]] = self._db.all(twice)
        if not is_twice:
            self._db.execute("ALTER TABLE raw_listed RENAME TO listed")
            return
        self._db.execute(
            """
            CREATE TABLE listed AS
            SELECT DISTINCT ON (uri) * REPLACE (min(file_number) OVER (PARTITION BY uri) AS file_number)
                FROM raw_listed ORDER BY uri, columns_etag IS NULL, source;
            DROP TABLE raw_listed;
            """
        )

    def _count_in_containers(self) -> None:
        """Have the etag of their images end with how many there are, of whole containers."""
        if self._count("SELECT count(file_uri) FROM listed"):
            self._db.execute(
                """
                UPDATE listed SET etag = listed.etag || ':' || whole.images
                    FROM (SELECT file_uri, count(*) AS images FROM listed WHERE file_uri IS NOT NULL
                          AND file_uri NOT IN (SELECT file_uri FROM partial) GROUP BY file_uri) whole
                    WHERE listed.file_uri = whole.file_uri AND listed.etag IS NOT NULL
                """
            )

    def to_hash(self) -> Iterator[ImageFile]:
        """Every listed file whose bytes may be those of a row that lost its place, by uri."""
        order = f"ORDER BY coalesce(l.file_uri, l.uri), {PLACE}, l.uri"
        yield from map(file_of, self._db.each(f"{_TO_HASH} {order}"))

    def add_hashes(self, hashes: Sequence[tuple[str, str]]) -> None:
        uris, digests = zip(*hashes, strict=True) if hashes else ((), ())
        self._db.insert(
            "hashes",
            pa.table(
                {"uri": pa.array(uris, pa.string()), "sha256": pa.array(digests, pa.string())}
            ),
        )

    def pair(self) -> None:
        """Decide which listed file carries on which row, by content:
        in place first, then by row_id and uri.
        """
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
            SELECT s.segment, s.position, s.state, s.uri FROM state s
            ANTI JOIN carried c ON c.segment = s.segment AND c.position = s.position
            WHERE s.state IN ('gone', 'changed');
            """
        )

    # -- what to do, in this order

    def rerows(self) -> Iterator[Rerow]:
        """Rows that keep their row_id and vector, by segment and position."""
        found = self._db.each(
            f"""
            SELECT {FILE}, c.segment, c.position, v.columns_etag IS DISTINCT FROM l.columns_etag
            FROM carried c JOIN listed l ON l.uri = c.uri
            JOIN live v ON v.segment = c.segment AND v.position = c.position
            WHERE c.rewrite ORDER BY c.segment, c.position
            """
        )
        for row in found:
            segment, position, reread = row[FILE_FIELDS:]
            yield Rerow(row[0], file_of(row), Place(segment, position), reread)

    def gone(self, *, missing: bool = True) -> Iterator[Place]:
        """Rows whose bytes are nowhere: their file is gone, or has those of another row now.

        :param missing: False: without those whose file is gone.
        """
        of_missing = "state = 'gone' OR" if missing else ""
        found = self._db.each(
            f"""
            SELECT segment, position FROM dead
            WHERE {of_missing} uri IN (SELECT uri FROM carried) ORDER BY ALL
            """
        )
        for row in found:
            yield Place(*row)

    def todo(self) -> Iterator[Todo]:
        """Images to embed, in the order of the listing, of a container as they lie in it."""
        found = self._db.each(
            f"""
            SELECT {FILE}, d.segment, d.position
            FROM state s JOIN listed l ON l.uri = s.uri
                 LEFT JOIN dead d ON d.segment = s.segment AND d.position = s.position
            ANTI JOIN carried c ON c.uri = s.uri
            WHERE s.state IN ('new', 'changed')
            ORDER BY l.file_number, {PLACE}, l.uri
            """
        )
        for row in found:
            segment, position = row[FILE_FIELDS:]
            replaces = None if segment is None else Place(segment, position)
            yield Todo(row[0], file_of(row), replaces)

    def sample(self, images: int) -> list[Todo]:
        """So many images to embed, of anywhere in the listing; those of one container together."""
        found = self._db.all(
            f"""
            SELECT {FILE} FROM state s JOIN listed l ON l.uri = s.uri ANTI JOIN carried c ON c.uri = s.uri
            WHERE s.state IN ('new', 'changed') AND l.refused IS NULL
            ORDER BY hash(coalesce(l.file_uri, l.uri)), {PLACE}, l.uri LIMIT {images:d}
            """
        )
        return [Todo(row[0], file_of(row), None) for row in found]

    def totals(self, sources: Sequence[str]) -> list[Total]:
        """After `pair`: what there is of each source and kind of place.

        :param sources: the uris of the run's sources, in its order.
        """
        return totals(self._db, sources)

    def leave_others(self, mine: Mine) -> int:
        """After `compare`; as `sharing.leave_others`."""
        return leave_others(self._db, mine)

    def leave_moves(self, own: Collection[str], *, others_hide: bool) -> None:
        """After `pair`; as `sharing.leave_moves`."""
        leave_moves(self._db, own, others_hide=others_hide)

    def write_members(self, path: Path) -> None:
        """Before `compare`; as `sharing.write_members`."""
        write_members(self._db, str(path))

    def offers(self) -> Offers:
        """After `pair`: what others embedded of what there is to do."""
        return Offers(self._db)

    def may_have_moved(self) -> int:
        """After `compare`: how many images a run has to hash, since a row may have been theirs."""
        return self._count(f"SELECT count(*) FROM ({_TO_HASH})")

    def todo_count(self) -> int:
        return self._count(
            "SELECT count(*) FROM state s ANTI JOIN carried c ON c.uri = s.uri WHERE s.state IN ('new', 'changed')"
        )

    def confirmed_count(self) -> int:
        """Rows whose file had to be looked at, and is the same in all."""
        return self._count("SELECT count(*) FROM carried WHERE NOT rewrite")

    def unsettled_segments(self, since_us: int, until_us: int) -> set[str]:
        """Segments with a row to look at once more:
        not listed in this run, or modified between these times.

        :param since_us: the scan's start less the settling time, microseconds since the epoch.
        :param until_us: now and the settling time: what claims to be from the future has settled
            like any other.
        """
        rows = self._db.all(
            """
            SELECT DISTINCT v.segment FROM live v JOIN state s ON v.segment = s.segment AND v.position = s.position
            WHERE v.unsettled AND (s.state = 'kept' OR v.modified_us BETWEEN $1 AND $2)
            """,
            [since_us, until_us],
        )
        return {row[0] for row in rows}

    def still_skipped(self) -> set[str]:
        """Skipped files that were listed again unchanged,
        or whose source (or folder) was not listed in this run.
        """
        rows = self._db.all(
            """
            SELECT uri FROM state WHERE state = 'skipped' AND uri NOT IN (SELECT uri FROM carried)
            UNION ALL
            SELECT k.uri FROM last_skipped k ANTI JOIN listed l ON l.uri = k.uri
            WHERE k.source NOT IN (SELECT uri FROM run_sources)
                  OR k.file_uri IN (SELECT file_uri FROM untouched)
                  OR EXISTS (SELECT 1 FROM unlisted u WHERE starts_with(k.uri, u.prefix))
            """
        )
        return {row[0] for row in rows}

    def _count(self, query: str, *parameters: str) -> int:
        [[count]] = self._db.all(query, parameters)
        return int(count)


def _batches(files: Iterable[ImageFile]) -> Iterator[list[ImageFile]]:
    batch: list[ImageFile] = []
    size, since = FIRST_BATCH, time.monotonic()
    for file in files:
        batch.append(file)
        if len(batch) == size or time.monotonic() - since >= BATCH_S:
            yield batch
            batch, since = [], time.monotonic()
            size = min(2 * size, BATCH)
    if batch:
        yield batch
