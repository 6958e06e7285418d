"""What a lake holds when a run begins, brought into the run's plan: live rows and skipped files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from indexer.address import ADDRESS_COLUMNS, PART
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest
from indexer.disk.rows import is_part, place_keys
from indexer.disk.segment import Segment
from indexer.disk.tables import dead_positions, key_of, read_skipped
from indexer.errors import BadRequest
from indexer.run.context import Context
from indexer.run.plan.plan import Plan
from indexer.run.roots import Roots

LIVE_COLUMNS = [
    "row_id",
    *ADDRESS_COLUMNS,
    "size_bytes",
    "modified",
    "etag",
    "sha256",
    "source",
    "columns_etag",
    "width_px",
    "height_px",
]
# Rows stored at once, some 30 MB: each time takes 30 ms, however few they are.
AT_ONCE = 100_000
SKIPPED_COLUMNS = ["source", "size_bytes", "modified_us", "etag", "transient"]


def add_lake(run: Context, manifest: Manifest, roots: Roots) -> None:
    """All that a lake holds, where its photos are by now.

    :raises BadRequest: if new roots would make one row of two.
    """
    add_live_rows(run.plan, run.layout, manifest, roots)
    add_skipped_files(run.plan, run.layout, manifest, roots, retry=run.config.retry_skipped)
    lake = run.layout.root
    run.report.notes += [f"nothing in {lake} begins with {old}" for old in roots.unmet]
    if roots and (uri := run.plan.relocated_of(roots.imported)):
        # Nothing lists them at their new place, so nothing says that they are there.
        raise BadRequest(
            "--root",
            f"{uri} would be that of an imported row; import the vectors anew from a table that says so",
        )
    if roots and (uri := run.plan.uri_of_two_rows()):
        raise BadRequest(
            "--root", f"two rows of {lake} would both be {uri}; index that folder anew"
        )


def add_live_rows(plan: Plan, layout: Layout, manifest: Manifest, roots: Roots) -> None:
    """Every live row, where its photo is by now:
    uris under an old root are those under the new one.
    """
    for table in live_tables(layout, manifest, roots):
        plan.add_live(table)


def live_tables(layout: Layout, manifest: Manifest, roots: Roots) -> Iterator[pa.Table]:
    """The same rows, as a plan has them, some at once."""
    dead = dead_positions(layout, manifest)
    held: list[pa.Table] = []
    for entry in manifest.segments:
        start = 0
        gone = dead.get(entry.id, np.empty(0, np.int64))
        for table in Segment(layout, entry).row_groups(LIVE_COLUMNS):
            positions = np.arange(start, start + table.num_rows)
            start += table.num_rows
            alive = pa.array(~np.isin(positions, gone))
            rows = table.append_column("position", pa.array(positions)).filter(alive)
            held.append(_live_table(rows, entry.id, entry.unsettled_since_us, roots))
            if sum(map(len, held)) >= AT_ONCE:
                yield pa.concat_tables(held)
                held = []
    if held:
        yield pa.concat_tables(held)


def add_skipped_files(
    plan: Plan, layout: Layout, manifest: Manifest, roots: Roots, *, retry: bool
) -> None:
    """:param retry: True: all count as transient, so that each is tried again."""
    skipped = read_skipped(layout, manifest)
    if retry:
        every = pa.array(np.ones(skipped.num_rows, bool))
        skipped = skipped.set_column(skipped.column_names.index("transient"), "transient", every)
    skipped = roots.rows(_with_us(skipped))[0]
    places = zip(skipped["uri"].to_pylist(), skipped["part"].to_pylist(), strict=True)
    keys = [key_of(uri, part) for uri, part in places]
    files = [
        file if is_part else None for file, is_part, _ in (key.partition(PART) for key in keys)
    ]
    skipped = skipped.select(SKIPPED_COLUMNS)
    skipped = skipped.append_column("uri", pa.array(keys, pa.string()))
    plan.add_skipped(skipped.append_column("file_uri", pa.array(files, pa.string())))


def _live_table(
    table: pa.Table, segment: str, unsettled_since_us: int | None, roots: Roots
) -> pa.Table:
    table = _with_us(table)
    rows = table.num_rows
    unsettled = (
        pc.fill_null(pc.greater_equal(table["modified_us"], unsettled_since_us), False)
        if unsettled_since_us is not None
        else pa.array(np.zeros(rows, bool))
    )
    table, relocated = roots.rows(table)
    return (
        _with_addresses(table)
        .append_column("segment", pa.array([segment] * rows, pa.string()))
        .append_column("unsettled", unsettled)
        .append_column("relocated", relocated)
    )


def _with_addresses(table: pa.Table) -> pa.Table:
    """With each address's key in the column uri; file_uri has the file's own uri where the
    image is only a part of it, else null.
    """
    files = pc.if_else(is_part(table), table["uri"], None)
    table = table.set_column(table.column_names.index("uri"), "uri", place_keys(table))
    others = [name for name in ADDRESS_COLUMNS if name in table.column_names and name != "uri"]
    return table.append_column("file_uri", files).drop_columns(others)


def _with_us(table: pa.Table) -> pa.Table:
    """With `modified` as whole microseconds since the epoch, in a column modified_us."""
    return table.append_column("modified_us", table["modified"].cast(pa.int64())).drop_columns(
        ["modified"]
    )
