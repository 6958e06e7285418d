"""What a lake holds when a run begins, brought into the run's plan: live rows and skipped files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from indexer.layout import Layout
from indexer.manifest import Manifest
from indexer.plan import Plan
from indexer.roots import Roots
from indexer.segment import Segment
from indexer.tables import dead_positions, read_skipped

LIVE_COLUMNS = ["row_id", "uri", "size_bytes", "modified", "etag", "sha256", "source", "columns_etag"]
SKIPPED_COLUMNS = ["uri", "source", "size_bytes", "modified_us", "etag", "transient"]


def add_live_rows(plan: Plan, layout: Layout, manifest: Manifest, roots: Roots) -> None:
    """Every live row, where its photo is by now: uris under an old root are those under the new one."""
    dead = dead_positions(layout, manifest)
    for entry in manifest.segments:
        start = 0
        gone = dead.get(entry.id, np.empty(0, np.int64))
        for table in Segment(layout, entry).row_groups(LIVE_COLUMNS):
            positions = np.arange(start, start + table.num_rows)
            start += table.num_rows
            alive = pa.array(~np.isin(positions, gone))
            rows = table.append_column("position", pa.array(positions)).filter(alive)
            plan.add_live(_live_table(rows, entry.id, entry.unsettled_since_us, roots))


def add_skipped_files(plan: Plan, layout: Layout, manifest: Manifest, roots: Roots, *, retry: bool) -> None:
    """:param retry: True: all count as transient, so that each is tried again."""
    skipped = read_skipped(layout, manifest)
    if retry:
        every = pa.array(np.ones(skipped.num_rows, bool))
        skipped = skipped.set_column(skipped.column_names.index("transient"), "transient", every)
    plan.add_skipped(roots.rows(_with_us(skipped))[0].select(SKIPPED_COLUMNS))


def _live_table(table: pa.Table, segment: str, unsettled_since_us: int | None, roots: Roots) -> pa.Table:
    table = _with_us(table)
    rows = table.num_rows
    unsettled = (
        pc.fill_null(pc.greater_equal(table["modified_us"], unsettled_since_us), False)
        if unsettled_since_us is not None
        else pa.array(np.zeros(rows, bool))
    )
    table, relocated = roots.rows(table)
    return (
        table.append_column("segment", pa.array([segment] * rows, pa.string()))
        .append_column("unsettled", unsettled)
        .append_column("relocated", relocated)
    )


def _with_us(table: pa.Table) -> pa.Table:
    """With `modified` as whole microseconds since the epoch, in a column modified_us."""
    return table.append_column("modified_us", table["modified"].cast(pa.int64())).drop_columns(["modified"])
