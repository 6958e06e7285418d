"""What a run's plan comes to, by source and by kind of place. Reads the plan; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from indexer.run.plan.database import PlanDatabase

FILE = "file"  # the kind of images that are whole files
# The fields of `Total` that count images, each in one of them.
STATES = (
    "new",
    "changed",
    "unsure",
    "unchanged",
    "updated",
    "refused",
    "skipped",
    "gone",
    "kept",
)


@dataclass(frozen=True, slots=True)
class Total:
    """The images of one source that lie in one kind of place."""

    source: str
    kind: str  # FILE, or that of the containers that they lie in: "tar", "zip", "parquet"
    containers: int = 0  # files that they lie in; 0 for FILE
    images: int = 0  # listed now, those of containers that need not be opened too
    size_bytes: int = 0  # of them, as listed: 0 where a source does not say
    new_bytes: int = 0  # of those that are new or changed
    new: int = 0
    changed: int = 0  # another size, time or mark than before: looked at again
    unsure: int = 0  # the same, but written so shortly before the last run that its bytes decide
    unchanged: int = 0
    updated: int = 0  # the same images, of which the source says another place or other columns
    refused: int = 0  # that cannot be read, as their listing says already
    skipped: int = 0  # that could not be read before, and have not changed
    gone: int = 0  # rows of the lake that are not listed any more, and go or are found elsewhere
    kept: int = 0  # rows of the lake whose source or folder could not be listed


def totals(plan: PlanDatabase, sources: Sequence[str]) -> list[Total]:
    """By source, in the order given, then by kind; rows of sources that are not given come last."""
    numbers = pa.array(range(len(sources)), pa.int32())
    plan.insert_new("named", pa.table({"number": numbers, "uri": pa.array(sources, pa.string())}))
    sums = ", ".join(f"count(*) FILTER (state = '{state}') AS {state}" for state in STATES)
    rows = plan.all(
        f"""
        WITH each AS (
            SELECT coalesce(n.uri, v.source) AS source, coalesce(l.file_uri, v.file_uri) AS container,
                CASE WHEN container IS NULL THEN '{FILE}'
                     ELSE split_part(coalesce(l.etag, v.etag), ':', 1) END AS kind,
                coalesce(l.size_bytes, v.size_bytes) AS size_bytes,
                CASE WHEN s.state IN ('new', 'changed') AND l.refused IS NOT NULL THEN 'refused'
                     WHEN s.state = 'same' THEN 'unchanged'
                     WHEN s.state = 'columns' THEN 'updated'
                     WHEN s.state = 'kept' AND l.uri IS NOT NULL THEN 'unsure'
                     ELSE s.state END AS state
            FROM state s
            LEFT JOIN listed l ON l.uri = s.uri AND s.state <> 'gone'
            LEFT JOIN live v ON v.segment = s.segment AND v.position = s.position
            LEFT JOIN named n ON n.number = l.source)
        SELECT source, kind,
            count(DISTINCT container) FILTER (state NOT IN ('gone', 'kept')),
            count(*) FILTER (state NOT IN ('gone', 'kept')),
            coalesce(sum(size_bytes) FILTER (state NOT IN ('gone', 'kept')), 0),
            coalesce(sum(size_bytes) FILTER (state IN ('new', 'changed')), 0),
            {sums}
        FROM each LEFT JOIN named ON named.uri = source
        GROUP BY source, kind ORDER BY min(number), source, kind
        """
    )
    return [Total(source, kind, *map(int, counts)) for source, kind, *counts in rows]
