"""Merging small segments, and deleting what no snapshot in use needs.

`compact_lake` and `vacuum_lake` are for callers that have a lake's folder: they take the writer's
lock and read the manifest. `compact` and `vacuum` are their work on a manifest that was read, for
who holds the lock already.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from indexer.config import IndexConfig
from indexer.disk.entries import open_file, read_file, reason_of, remove
from indexer.disk.layout import Layout
from indexer.disk.locks import snapshots_being_read, writer
from indexer.disk.manifest import Manifest, SegmentEntry, check_files, publish, read_manifest
from indexer.disk.rows import lake_schema
from indexer.disk.sealed import break_seal
from indexer.disk.segment import Segment, SegmentWriter
from indexer.disk.tables import NO_TOMBSTONES, dead_positions, drop_segments
from indexer.errors import BadRequest, LakeDamaged, LakeError
from indexer.fields import Fields
from indexer.report import Progress
from indexer.run.coding import SEGMENT_FROM_ROWS, add_codes, drop_codes, is_large
from indexer.run.grouping.making import (
    LoadModel,
    add_groups,
    are_due,
    drop_groups,
    own_model,
    with_recall,
)
from indexer.run.writing.commits import clear_staging, prepare_folder
from indexer.sources.containers.packed.seek_file import TAR_GZ, tar_part

MAX_MERGED_BYTES = 512 * 2**20  # of vectors in one merged segment: merging holds them in memory
KEEP_S = 3600.0  # vacuum keeps every snapshot that was current within the last hour


@dataclass(slots=True)
class CompactReport:
    """What merging came to."""

    segments_before: int
    segments: int
    rows: int  # live rows
    snapshot: int  # the one that is current now
    coded: int = 0  # rows of segments that have codes, dead ones too
    grouped: int = 0  # rows that groups hold, dead ones too
    recall: float | None = None  # of searches that ask for none; None: those are exact
    # a sentence for each damaged file; its segment was left alone
    problems: list[str] = field(default_factory=list)
    # sentences worth reading, of which none is a failure
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def compact_lake(
    lake: Path,
    *,
    max_segments: int = 1,
    use_lock: bool = True,
    codes: bool | None = None,
    groups: bool | None = None,
    recall: float | None = None,
    load_model: LoadModel | None = None,
    progress: Progress | None = None,
) -> CompactReport:
    """Merge a lake's smallest segments until at most max_segments are left, and leave dead rows
    behind.

    None grows past 512 MiB of vectors, so a large lake keeps more.

    :param use_lock: False writes without a lock, on a file system that has none.
    :param codes: True gives every segment codes, which searches then read instead of the vectors;
        False drops those that there are; None: gives them to a lake so large that they pay.
    :param groups: True gives the lake groups, which searches that may miss a row then look into;
        False drops them; None: makes anew those that there are, where they lack much of the lake.
    :param recall: of searches that ask for none, 1: all is found; None: as it was.
    :param load_model: the lake's, to measure with; None: what its manifest names.
    :raises BadRequest: if recall is no share, or the lake has no groups that it could be of.
    :raises LakeNotFound: if there is no lake.
    :raises LakeLocked: if another process writes it.
    :raises LakeError: if there are no locks here and use_lock is True; if the folder cannot be
        written, as when the disk is full; if a segment to be merged is not what was committed.
    """
    layout = Layout(lake)
    known, _ = read_manifest(layout)  # LakeNotFound before any folder is made
    if recall is not None:
        _check_recall(
            recall, will_have=bool(groups) or (known.groups is not None and groups is None)
        )
    prepare_folder(layout)
    started = time.monotonic()
    notes: list[str] = []
    with _told(layout), writer(layout, use_lock=use_lock):
        clear_staging(layout)
        before, _ = read_manifest(layout)
        opened = check_files(layout, before)
        after = compact(
            layout, before, max_segments=max_segments, damaged=opened.out_of_service, purge=True
        )
        if codes is False:
            after = drop_codes(layout, after)
        elif codes or is_large(after, IndexConfig.from_env()):
            after = add_codes(
                layout,
                after,
                damaged={*opened.out_of_service, *opened.damaged_codes},
                segment_from_rows=1 if codes else SEGMENT_FROM_ROWS,
                progress=progress,
            )
        bad = {*opened.out_of_service, *opened.damaged_codes}
        if groups is False:
            after = drop_groups(layout, after)
        elif (groups and not _are_whole(after, bad)) or (
            groups is None and are_due(_without_bad(after, bad), IndexConfig.from_env())
        ):
            model = load_model or own_model(layout, after)
            after = add_groups(
                layout,
                after,
                model,
                recall=recall,
                damaged=bad,
                progress=progress,
                tell=notes.append,
            )
        if recall is not None:
            after = with_recall(layout, after, recall)
    return CompactReport(
        segments_before=len(before.segments),
        segments=len(after.segments),
        rows=after.live_rows,
        snapshot=after.snapshot,
        coded=sum(entry.rows for entry in after.segments if entry.codes),
        grouped=after.grouped_rows,
        recall=None if after.groups is None else after.groups.recall,
        problems=list(opened.problems),
        notes=notes,
        seconds=time.monotonic() - started,
    )


def _check_recall(recall: float, *, will_have: bool) -> None:
    if not 0 < recall <= 1:
        raise BadRequest("recall", f"{recall:g} is no share of the nearest; it is up to 1")
    if not will_have:
        raise BadRequest("recall", "the lake has no groups; make them, too: --groups")


def _without_bad(manifest: Manifest, bad: Collection[str]) -> Manifest:
    """With damaged groups as such that hold nothing."""
    groups = manifest.groups
    if groups is None or groups.id not in bad:
        return manifest
    return replace(manifest, groups=replace(groups, segments=()))


def _are_whole(manifest: Manifest, bad: Collection[str]) -> bool:
    """Whether the groups hold every row, and can be read."""
    rows = sum(entry.rows for entry in manifest.segments if entry.id not in bad)
    return rows > 0 and _without_bad(manifest, bad).grouped_rows >= rows


@contextmanager
def _told(layout: Layout) -> Iterator[None]:
    """A disk that is full or fails is one sentence that names what could not be written."""
    try:
        yield
    except OSError as error:
        raise LakeError(
            f"{error.filename or layout.root}: {reason_of(error)}; the lake's last snapshot is whole, and `lakesift "
            f"vacuum {layout.root}` may give room"
        ) from error


def compact(
    layout: Layout,
    manifest: Manifest,
    *,
    max_segments: int,
    damaged: Iterable[str] = (),
    purge: bool = False,
    with_peers: bool = False,
) -> Manifest:
    """Merge the smallest segments until at most max_segments are left, and drop empty ones.

    Merged segments leave their dead rows behind. None grows past 512 MiB of vectors, so a large
    lake keeps more.

    :param purge: True also rewrites each segment that has dead rows.
    :param with_peers: True: where anything is merged, segments that are no larger than all that is
        merged before them are merged, too. So a lake that grows by a few rows again and again
        rewrites each row a few times only, as its size doubles.
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
    most_rows = largest_merged(manifest.dim)
    group = _choose(whole, alive, max_segments, most_rows, with_peers=with_peers)
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
    return compact(
        layout,
        published,
        max_segments=max_segments,
        damaged=damaged,
        purge=purge,
        with_peers=with_peers,
    )


def _choose(
    whole: Sequence[SegmentEntry],
    alive: dict[str, int],
    max_segments: int,
    max_rows: int,
    *,
    with_peers: bool = False,
) -> list[SegmentEntry]:
    """The segments to merge into one, in the manifest's order; none if there are few enough."""
    candidates = sorted(
        (entry for entry in whole if alive[entry.id]), key=lambda entry: alive[entry.id]
    )
    surplus = len(candidates) - max_segments
    if surplus <= 0:
        return []
    chosen: list[SegmentEntry] = []
    rows = 0
    for entry in candidates:
        is_peer = with_peers and alive[entry.id] <= rows
        if (len(chosen) > surplus and not is_peer) or rows + alive[entry.id] > max_rows:
            break
        chosen.append(entry)
        rows += alive[entry.id]
    return [entry for entry in whole if entry in chosen] if len(chosen) > 1 else []


def largest_merged(dim: int) -> int:
    """How many a merged segment may have."""
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
        merged.copy_vectors(segment.vectors, keep)
        start = 0
        for table in segment.row_groups(schema.names):
            table = segment.conform(table, schema)
            merged.add_rows(table.filter(pa.array(keep[start : start + table.num_rows])))
            start += table.num_rows
    unsettled = [
        entry.unsettled_since_us for entry in group if entry.unsettled_since_us is not None
    ]
    return merged.finish(min(unsettled) if unsettled else None)


def _shared_schema(manifest: Manifest, segments: Sequence[Segment]) -> pa.Schema:
    """The lake's schema, without own columns that none of these segments has."""
    here = {name for segment in segments for name in segment.schema.names}
    return pa.schema([field for field in lake_schema(manifest.columns) if field.name in here])


@dataclass(slots=True)
class VacuumReport:
    """What was deleted."""

    snapshots: int = 0  # deleted
    files: int = 0  # segments, tombstones and skipped files deleted
    size_bytes: int = 0  # of all that was deleted
    kept_snapshots: int = 0
    # a reader is just opening the lake, or a snapshot cannot be read: nothing was deleted
    held: bool = False


def vacuum_lake(lake: Path, *, keep_s: float = KEEP_S, use_lock: bool = True) -> VacuumReport:
    """Delete a lake's old snapshots, and the files that only they need; see `vacuum`.

    :param keep_s: every snapshot that was current in so many last seconds is kept.
    :param use_lock: False writes without a lock, on a file system that has none.
    :raises LakeNotFound: if there is no lake.
    :raises LakeLocked: if another process writes it.
    :raises LakeError: if it is not sure which snapshot is the current one, so not either what may
        go; if there are no locks here and use_lock is True.
    """
    layout = Layout(lake)
    read_manifest(layout)  # LakeNotFound before the lock makes a folder
    with _told(layout), writer(layout, use_lock=use_lock):
        manifest, problems = read_manifest(layout)
        if problems:
            raise LakeError(f"nothing deleted: {problems[0]}")
        return vacuum(layout, manifest, keep_s=keep_s)


def vacuum(
    layout: Layout,
    manifest: Manifest,
    *,
    keep_s: float = KEEP_S,
    coming: Manifest | None = None,
) -> VacuumReport:
    """Delete the snapshots, segments and files that nothing in use needs.

    The caller holds the writer's lock.
    Kept: the current snapshot, those that were current in the last keep_s seconds, those a living
    reader has open, and those a filter or a ledger names.

    :param coming: a snapshot that is being fetched: what is here of it already is kept, too.
    """
    report = VacuumReport()
    read = snapshots_being_read(layout)
    if read is None:
        report.held = True
        return report
    named = snapshots_named_by_filters(layout)
    if named is None:
        report.held = True  # as for a snapshot that cannot be read
        return report
    keep = read | named
    kept = [manifest]  # as given: its copy in manifests/ may be lost
    superseded: list[Path] = []
    until = time.time()  # when the next younger snapshot took over
    for path in layout.snapshots():
        number, written = int(path.stem), _written_s(path)
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
    if coming is not None:
        kept.append(coming)
    _delete_all_but(layout, kept, report)
    _delete_old_seeks(layout, manifest, report)
    return report


def vacuum_beginning(layout: Layout, coming: Manifest) -> VacuumReport:
    """Where there is no snapshot yet: delete what was written or fetched for any other than the one
    that is coming.

    The caller holds the writer's lock.
    """
    report = VacuumReport()
    _delete_all_but(layout, [coming], report)
    return report


def _written_s(path: Path) -> float:
    """When a snapshot was written, by this machine's clock. One that was set back since would keep
    it until it comes there again: the file is given the time of now, by when it surely was there.
    """
    written, now = path.lstat().st_mtime, time.time()
    if written <= now:
        return written
    os.utime(path, (now, now), follow_symlinks=False)
    return now


def _delete_all_but(layout: Layout, kept: Sequence[Manifest], report: VacuumReport) -> None:
    """The files that none of these snapshots needs."""
    _delete_unnamed(layout.segments, {entry.id for m in kept for entry in m.segments}, report)
    codes = {f"{entry.codes.id}.arrow" for m in kept for entry in m.segments if entry.codes}
    _delete_unnamed(layout.codes, codes, report)
    groups = {manifest.groups.id for manifest in kept if manifest.groups is not None}
    _delete_unnamed(layout.groups, groups, report)
    tombstones = {f"{entry.id}.parquet" for m in kept for entry in m.tombstones}
    _delete_unnamed(layout.tombstones, tombstones | {NO_TOMBSTONES}, report)
    _delete_unnamed(
        layout.skipped, {f"{entry.id}.parquet" for m in kept for entry in m.skipped}, report
    )


def _delete_old_seeks(layout: Layout, manifest: Manifest, report: VacuumReport) -> None:
    """Those of tars that have no row, and of a tar all but the newest."""
    newest_first = sorted(
        layout.seeks.glob("*.parquet") if layout.seeks.is_dir() else (),
        key=lambda path: path.lstat().st_mtime_ns,
        reverse=True,
    )
    if not newest_first:
        return
    uris: set[str] = set()
    try:
        for entry in manifest.segments:
            for table in Segment(layout, entry).row_groups(["uri", "etag"]):
                packed = pc.fill_null(pc.starts_with(table["etag"], f"{TAR_GZ}:"), False)
                uris |= set(pc.unique(table["uri"].filter(packed)).to_pylist())
    except LakeDamaged:  # what it names is not known
        return
    wanted = {tar_part(uri) for uri in uris}
    for path in newest_first:
        tar = path.name.partition("-")[0]
        if tar in wanted:
            wanted.discard(tar)
        else:
            _delete(path, report)
            report.files += 1


def _read_snapshot(path: Path) -> Manifest | None:
    try:
        return Manifest.from_json(read_file(path), str(path))
    except LakeDamaged:
        return None


def snapshots_named_by_filters(layout: Layout) -> set[int] | None:
    """Snapshots that a filter's or a ledger's JSON names in its field `snapshot`; None: a file of a
    filter is damaged, or was just moved away, so what it needs is unknown.
    """
    named = set()
    for folder in (layout.filters, layout.ledger):
        for path in [*folder.rglob("*.json"), *folder.rglob("*.parquet")]:
            try:
                named |= _named_in(path)
            except (ValueError, OverflowError, RecursionError, OSError, pa.ArrowException):
                if path.stem.isdigit():  # else it is none of ours
                    return None
    return named


def _named_in(path: Path) -> set[int]:
    """:raises ValueError, OSError, pa.ArrowException: if it cannot be read."""
    if path.suffix == ".json":
        fields = Fields.parse(read_file(path))
        break_seal(fields)
        return {fields.whole("snapshot")} if fields.has("snapshot") else set()
    with open_file(path) as file:
        metadata = pq.read_schema(file).metadata or {}
    return {int(metadata[b"snapshot"])} if b"snapshot" in metadata else set()


def _delete_unnamed(folder: Path, named: set[str], report: VacuumReport) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in named:
            _delete(path, report)
            report.files += 1


def _delete(path: Path, report: VacuumReport) -> None:
    report.size_bytes += remove(path)
