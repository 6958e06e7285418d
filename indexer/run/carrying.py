"""Rows that are written anew under the row_id and with the vector that they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.disk.manifest import Manifest
from indexer.disk.rows import ROW_SCHEMA, lake_schema
from indexer.disk.segment import Segment
from indexer.run.context import Context
from indexer.run.embedding.tasks import file_columns
from indexer.run.listing import Listed
from indexer.run.plan.plan import Rerow
from indexer.run.writing.commits import Commits
from indexer.sources import UNREAD, ImageFile, Source, UnreadColumns

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CARRY_ROWS = 20_000  # rows carried over in one commit


def carry(run: Context, manifest: Manifest, listed: Listed, commits: Commits) -> None:
    """Give each image that moved, was touched, or has other columns now its new row.

    :param manifest: of the snapshot that the plan was made from.
    :raises LakeDamaged: if a row's segment is not what was committed.
    """
    # A part of a run leaves the rows of its lake to whoever commits it.
    ours = {entry.id for entry in manifest.segments}
    rerows = (rerow for rerow in run.plan.rerows() if rerow.old.segment in ours)
    while batch := list(islice(rerows, CARRY_ROWS)):
        for segment_id, group in groupby(batch, key=lambda rerow: rerow.old.segment):
            entry = next(entry for entry in manifest.segments if entry.id == segment_id)
            segment = Segment(run.layout, entry)
            segment.check()
            _carry_from(run, segment, list(group), manifest, listed, commits)
        commits.commit()
        if run.should_stop():
            return


def _carry_from(
    run: Context,
    segment: Segment,
    rerows: Sequence[Rerow],
    manifest: Manifest,
    listed: Listed,
    commits: Commits,
) -> None:
    positions = np.array([rerow.old.position for rerow in rerows], np.int64)
    rows = segment.read_rows(lake_schema(manifest.columns)).take(pa.array(positions)).to_pylist()
    vectors = segment.vectors.take(positions)
    for rerow, row, vector in zip(rerows, rows, vectors, strict=True):
        file, source = rerow.file, listed.sources[rerow.source]
        at = file.address.columns()
        moved = any(row[name] != at[name] for name in ("uri", "member"))
        run.report.moved += moved
        run.report.unchanged += not moved
        new = {**row, **at, **file_columns(file, source.uri)}
        if rerow.reread_columns:
            new = _with_columns(run, row, new, file, source)
        if not _is_still_unread(row, new):
            commits.carry(new, vector, rerow.old)


def _with_columns(
    run: Context, row: Mapping[str, Any], new: dict[str, Any], file: ImageFile, source: Source
) -> dict[str, Any]:
    """A row with what its source says of it now; what cannot be read just now stays as it was.

    :param row: as it is in the lake.
    :param new: as it is to be, with the columns that it had.
    """
    try:
        columns = dict(source.columns(file))
    except UnreadColumns as error:
        run.unread.add(error)
        return {**new, **error.values, "columns_etag": UNREAD}
    return {**{name: new[name] for name in ROW_SCHEMA.names}, "caption": None, **columns}


def _is_still_unread(row: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a row would be written anew to say no more than it did."""
    if new["columns_etag"] != UNREAD or row["columns_etag"] != UNREAD:
        return False
    modified = row["modified"] and (row["modified"] - _EPOCH) // timedelta(microseconds=1)
    return {**row, "modified": modified} == dict(new)
