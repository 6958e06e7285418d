"""Merging small segments, and deleting what no snapshot in use needs."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from indexer.errors import LakeDamaged
from indexer.layout import Layout
from indexer.locks import snapshots_being_read
from indexer.manifest import Manifest, SegmentEntry, publish
from indexer.segment import Segment, SegmentWriter, lake_schema
from indexer.tables import NO_TOMBSTONES, dead_positions, drop_segments

MAX_MERGED_BYTES = 512 * 2**20  # of vectors in one merged segment: merging holds them in memory
KEEP_S = 3600.0  # vacuum keeps every snapshot that was current within the last hour


def compact(
    layout: Layout, manifest: Manifest, *, max_segments: int, damaged: Iterable[str] = (), purge: bool = False
) -> Manifest:
    """Merge the smallest segments until at most max_segments are left, and drop those without a live row.

    Merged segments leave their dead rows behind. None grows past 512 MiB of vectors, so a large lake keeps more.

    :param purge: True also rewrites each segment that has dead rows.
    :param damaged: ids of segments to leave alone, with the tombstones that speak of them only.
    :returns: the manifest that is current afterwards; the same one if there was nothing to do.
    :raises LakeDamaged: if a segment to be merged is not what was committed.
    """
    damaged = set(damaged)
    readable = manifest.tombstones_beside(damaged)
    dead = dead_positions(layout, replace(manifest, tombstones=readable))
    alive = {entry.id: entry.rows - len(dead.get(entry.id, ())) for entry in manifest.segments}
    whole = [entry for entry in manifest.segments if entry.id not in damaged]
    emptied = [entry for entry in whole if alive[entry.id] == 0]
    group = _choose(whole, alive, max_segments, _max_rows(manifest.dim))
    if purge and not group:
        group = [entry for entry in whole if 0 < alive[entry.id] < entry.rows][:1]
    if not emptied and not group:
        return manifest
    merged = [_merge(layout, manifest, group, dead)] if group else []
    out = {entry.id for entry in [*emptied, *group]}
    kept = tuple(entry for entry in manifest.segments if entry.id not in out)
    unread = tuple(entry for entry in manifest.tombstones if entry not in readable)
    tombstones = unread + drop_segments(layout, readable, out)
    published = publish(layout, replace(manifest, segments=(*kept, *merged), tombstones=tombstones))
    return compact(layout, published, max_segments=max_segments, damaged=damaged, purge=purge)


def _choose(
    whole: Sequence[SegmentEntry], alive: dict[str, int], max_segments: int, max_rows: int
) -> list[SegmentEntry]:
    """The smallest segments to merge into one, in the order of the manifest; none if there are few enough."""
    candidates = sorted((entry for entry in whole if alive[entry.id]), key=lambda entry: alive[entry.id])
    surplus = len(candidates) - max_segments
    if surplus <= 0:
        return []
    chosen: list[SegmentEntry] = []
    for entry in candidates:
        if len(chosen) > surplus or sum(alive[e.id] for e in chosen) + alive[entry.id] > max_rows:
            break
        chosen.append(entry)
    return [entry for entry in whole if entry in chosen] if len(chosen) > 1 else []


def _max_rows(dim: int) -> int:
    return MAX_MERGED_BYTES // (2 * dim)


def _merge(
    layout: Layout,
    manifest: Manifest,
    group: Sequence[SegmentEntry],
    dead: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]],
) -> SegmentEntry:
    schema = _shared_schema(manifest, [Segment(layout, entry) for entry in group])
    merged = SegmentWriter(layout, manifest.dim)
    for entry in group:
        segment = Segment(layout, entry)
        segment.check()
        keep = np.ones(entry.rows, bool)
        keep[dead.get(entry.id, [])] = False
        merged.copy_vectors(segment.index, keep)
        start = 0
        for table in segment.row_groups(schema.names):
            table = segment.conform(table, schema)
            merged.add_rows(table.filter(pa.array(keep[start : start + table.num_rows])))
            start += table.num_rows
    unsettled = [entry.unsettled_since_us for entry in group if entry.unsettled_since_us is not None]
    return merged.finish(min(unsettled) if unsettled else None)


def _shared_schema(manifest: Manifest, segments: Sequence[Segment]) -> pa.Schema:
    """The lake's schema, without own columns that none of these segments has."""
    here = {name for segment in segments for name in segment.rows.schema_arrow.names}
    return pa.schema([field for field in lake_schema(manifest.columns) if field.name in here])


@dataclass(slots=True)
class VacuumReport:
    snapshots: int = 0  # deleted
    files: int = 0  # segments, tombstones and skipped files deleted
    size_bytes: int = 0  # of all that was deleted
    kept_snapshots: int = 0
    held: bool = False  # a reader is just opening: nothing was deleted


def vacuum(layout: Layout, manifest: Manifest, *, keep_s: float = KEEP_S) -> VacuumReport:
    """Delete the snapshots, segments and files that nothing in use needs. The caller holds the writer's lock.

    Kept: the current snapshot, those that were current in the last keep_s seconds, those a living reader has open, and
    those a filter or a ledger names.
    """
    report = VacuumReport()
    read = snapshots_being_read(layout)
    if read is None:
        report.held = True
        return report
    keep = read | _named_by_filters(layout)
    kept = [manifest]  # as given: its copy in manifests/ may be lost
    superseded: list[Path] = []
    until = time.time()  # when the next younger snapshot took over
    for path in layout.snapshots():
        number, written = int(path.stem), path.stat().st_mtime
        if number == manifest.snapshot:
            pass
        elif number not in keep and until < time.time() - keep_s:
            superseded.append(path)
        elif (snapshot := _read_snapshot(path)) is not None:
            kept.append(snapshot)
        elif number > manifest.snapshot:
            superseded.append(path)  # half written by a writer that died: it was never current
        else:
            report.held = True  # what it needs is unknown: delete nothing
            return report
        until = written
    for path in superseded:
        _delete(path, report)
        report.snapshots += 1
    report.kept_snapshots = len(kept)
    _delete_unnamed(layout.segments, {entry.id for m in kept for entry in m.segments}, report)
    tombstones = {f"{entry.id}.parquet" for m in kept for entry in m.tombstones}
    _delete_unnamed(layout.tombstones, tombstones | {NO_TOMBSTONES}, report)
    _delete_unnamed(layout.skipped, {f"{entry.id}.parquet" for m in kept for entry in m.skipped}, report)
    return report


def _read_snapshot(path: Path) -> Manifest | None:
    try:
        return Manifest.from_json(path.read_bytes(), str(path))
    except LakeDamaged:
        return None


def _named_by_filters(layout: Layout) -> set[int]:
    """Snapshots that a filter's or a ledger's JSON names in its field `snapshot`."""
    named = set()
    for folder in (layout.filters, layout.ledger):
        for path in folder.rglob("*.json"):
            try:
                named.add(int(json.loads(path.read_text())["snapshot"]))
            except (ValueError, KeyError, TypeError, OSError):
                continue
        for path in folder.rglob("*.parquet"):
            metadata = pq.read_schema(path).metadata or {}
            if b"snapshot" in metadata:
                named.add(int(metadata[b"snapshot"]))
    return named


def _delete_unnamed(folder: Path, named: set[str], report: VacuumReport) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in named:
            _delete(path, report)
            report.files += 1


def _delete(path: Path, report: VacuumReport) -> None:
    report.size_bytes += (
        sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size
    )
    shutil.rmtree(path) if path.is_dir() else path.unlink()
