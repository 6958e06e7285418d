"""Rows of parts, copied into segments of their lake under the row ids that they have there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import RowMask
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, SegmentEntry
from indexer.disk.rows import lake_schema, merge_types, own_types
from indexer.disk.segment import Segment, SegmentWriter
from indexer.run.context import Context
from indexer.run.plan.offers import Offers
from indexer.run.writing.commits import Commits
from indexer.run.writing.compact import largest_merged


@dataclass(frozen=True, slots=True)
class PartSegment:
    """A segment that a part wrote."""

    layout: Layout  # of the part's own lake
    manifest: Manifest
    entry: SegmentEntry


@dataclass(frozen=True, slots=True)
class _Rows:
    """Of one segment, what is taken."""

    of: PartSegment
    keep: RowMask  # bool, (rows of the segment,)
    row_ids: NDArray[np.int64]  # (rows of the segment,); where keep is False any

    @property
    def count(self) -> int:
        return int(self.keep.sum())


def take_rows(
    run: Context, commits: Commits, offers: Offers, segments: Iterable[PartSegment]
) -> None:
    """Write what is taken of these segments into few and large ones.

    :param offers: after `fit`.
    :raises LakeDamaged: if a segment is not what its part wrote; OSError: if the disk is full.
    """
    first = commits.manifest.next_row_id
    most = largest_merged(commits.manifest.dim)
    group: list[_Rows] = []
    for segment in segments:
        rows = _taken_of(segment, offers.rows_of(segment.entry.id), first)
        if rows is None:
            continue
        if group and sum(each.count for each in group) + rows.count > most:
            _write(run, commits, group)
            group = []
        group.append(rows)
        if run.should_stop():
            return
    if group:
        _write(run, commits, group)


def _taken_of(segment: PartSegment, taken: Sequence[tuple[int, int]], first: int) -> _Rows | None:
    if not taken:
        return None
    keep = np.zeros(segment.entry.rows, np.bool_)
    row_ids = np.zeros(segment.entry.rows, np.int64)
    positions, nths = np.array(taken, np.int64).T
    keep[positions], row_ids[positions] = True, first + nths
    return _Rows(segment, keep, row_ids)


def _write(run: Context, commits: Commits, group: Sequence[_Rows]) -> None:
    opened = [(rows, Segment(rows.of.layout, rows.of.entry)) for rows in group]
    spelled = [commits.spelled(segment.schema.empty_table()).schema for _, segment in opened]
    schema = lake_schema(reduce(merge_types, map(own_types, spelled), {}))
    writer = SegmentWriter(run.layout, commits.manifest.dim)
    for rows, segment in opened:
        writer.copy_vectors(segment.vectors, rows.keep)
        start = 0
        for table in segment.row_groups():
            here = slice(start, start + table.num_rows)
            start += table.num_rows
            table = segment.conform(commits.spelled(table), schema)
            column = table.column_names.index("row_id")
            numbered = table.set_column(
                column, schema.field("row_id"), pa.array(rows.row_ids[here], pa.int64())
            )
            writer.add_rows(numbered.filter(pa.array(rows.keep[here])))
        run.progress.advance(rows.count)
    since = [rows.of.entry.unsettled_since_us for rows in group]
    unsettled = [each for each in since if each is not None]
    entry = writer.finish(min(unsettled) if unsettled else None)
    highest = max(int(rows.row_ids[rows.keep].max()) for rows in group)
    commits.adopt(entry, schema, highest)
