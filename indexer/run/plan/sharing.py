"""A plan of which only a share is this run's to embed; others embed the rest. Changes the plan's
states; embeds nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from indexer.run.plan.database import PlanDatabase

# Of the hexadecimal digits of a SHA-256, as `indexer.parts.share` has it.
_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Mine:
    """Share `number` of `of`, counted from 1."""

    number: int
    of: int

    def sql(self, file_uri: str, uri: str) -> str:
        """Whether an image is of this share; :param file_uri: null of a whole file."""
        digits = f"substr(sha256(coalesce({file_uri}, {uri})), 1, {_DIGITS})"
        return f"(('0x' || {digits})::BIGINT % {self.of:d} + 1 = {self.number:d})"


def leave_others(plan: PlanDatabase, mine: Mine) -> int:
    """After `compare`: images of other shares are not this run's to do.

    :returns: how many images of this one are there already.
    """
    plan.execute(
        f"""
        UPDATE state SET state = 'theirs' WHERE state IN ('new', 'changed', 'skipped')
            AND uri IN (SELECT uri FROM listed WHERE NOT {mine.sql("file_uri", "uri")})
        """
    )
    [[there]] = plan.all(
        f"""
        SELECT count(*) FROM state s
        JOIN live v ON v.segment = s.segment AND v.position = s.position
        WHERE s.state = 'same' AND {mine.sql("v.file_uri", "v.uri")}
        """
    )
    return int(there)


def leave_moves(plan: PlanDatabase, own: Collection[str], *, others_hide: bool) -> None:
    """After `pair`: of rows of the lake that seem to have moved, those alone are left to whoever
    commits of which that is sure; the rest is embedded.

    It is sure where there are as many rows of these bytes as there are images that could claim one,
    in all shares. Who commits sees all of them and decides.

    :param own: segments of this run's own.
    :param others_hide: True: others have containers that were not looked into, and whose images
        may claim any row.
    """
    plan.insert_new("own", pa.table({"segment": pa.array(list(own), pa.string())}))
    unsure = "true" if others_hide else "coalesce(r.rows, 0) < coalesce(w.images, 0)"
    plan.execute(
        f"""
        CREATE TABLE unsure AS
        WITH released AS (
            SELECT v.sha256, count(*) AS rows FROM state s
            JOIN live v ON v.segment = s.segment AND v.position = s.position
            WHERE s.state = 'gone' AND v.segment NOT IN (SELECT segment FROM own)
            GROUP BY v.sha256),
        wanting AS (
            SELECT l.size_bytes, count(*) AS images FROM state s JOIN listed l ON l.uri = s.uri
            WHERE s.state IN ('new', 'changed', 'skipped', 'theirs') GROUP BY l.size_bytes)
        SELECT c.uri FROM carried c JOIN listed l ON l.uri = c.uri
        JOIN live v ON v.segment = c.segment AND v.position = c.position
        LEFT JOIN released r ON r.sha256 = v.sha256
        LEFT JOIN wanting w ON w.size_bytes = l.size_bytes
        WHERE c.segment NOT IN (SELECT segment FROM own) AND v.uri <> c.uri AND ({unsure});
        DELETE FROM carried WHERE uri IN (SELECT uri FROM unsure);
        """
    )


def write_members(plan: PlanDatabase, path: str) -> None:
    """Before `compare`: the images of the containers that were looked into and are whole, as a
    Parquet file with the columns of `LISTED`, each container's in one piece.
    """
    quoted = path.replace("'", "''")
    plan.execute(
        f"""
        COPY (SELECT * EXCLUDE (file_number) FROM raw_listed
              WHERE file_uri IS NOT NULL AND file_uri NOT IN (SELECT file_uri FROM partial)
              ORDER BY file_number, turn)
        TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)
        """
    )
