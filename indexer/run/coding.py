"""Making and dropping codes, what large lakes are searched by. No answer depends on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from ulid import ULID

from indexer.arrays import Vectors
from indexer.config import IndexConfig
from indexer.disk.checks import check_of
from indexer.disk.codes import Frame, make_frame, pay_from_rows, write_codes
from indexer.disk.durable import fsync_file, fsync_folder, make_folder
from indexer.disk.entries import reason_of
from indexer.disk.layout import Layout
from indexer.disk.manifest import CodesEntry, Manifest, SegmentEntry, publish
from indexer.disk.segment import Segment
from indexer.errors import LakeDamaged
from indexer.report import Progress, Silent, SyncReport

# Of a segment: a smaller one is read as fast without codes, and the next merge takes it in.
SEGMENT_FROM_ROWS = 20_000
SAMPLE_ROWS = 20_000  # the frame is made for


def is_large(manifest: Manifest, config: IndexConfig) -> bool:
    """Whether the lake gets codes without being asked to."""
    return manifest.live_rows >= (config.codes_from_rows or pay_from_rows())


def with_codes(
    layout: Layout,
    manifest: Manifest,
    config: IndexConfig,
    report: SyncReport,
    progress: Progress,
) -> Manifest:
    """As a run ends: `add_codes` where the lake is large enough for codes to pay.

    What keeps them from being made is a note: the lake is whole without.
    """
    if not is_large(manifest, config):
        return manifest
    try:
        return add_codes(layout, manifest, segment_from_rows=SEGMENT_FROM_ROWS, progress=progress)
    except OSError as error:
        report.notes.append(
            f"no codes were made, so that searches are slower ({reason_of(error)}); "
            "the next `lakesift sync` tries again"
        )
        return manifest


def add_codes(
    layout: Layout,
    manifest: Manifest,
    *,
    damaged: Collection[str] = (),
    segment_from_rows: int = SEGMENT_FROM_ROWS,
    progress: Progress | None = None,
) -> Manifest:
    """Give each segment codes that has none, or damaged ones.

    The caller holds the writer's lock. An interrupt loses the codes that are not yet named, and
    nothing else: the next run makes them.

    :param damaged: ids of segments to leave alone, and of codes to make anew.
    :param segment_from_rows: segments with fewer rows get none.
    :returns: the manifest that is current afterwards; the same one if there was nothing to do.
    :raises LakeDamaged: if a segment is not what was committed.
    :raises OSError: if the disk is full.
    """
    if manifest.dim < 2:
        return manifest
    usable = [
        entry
        for entry in manifest.segments
        if entry.id not in damaged and entry.rows >= segment_from_rows
    ]
    wanted = [entry for entry in usable if entry.codes is None or entry.codes.id in damaged]
    if not wanted:
        return manifest
    progress = progress or Silent()
    progress.stage("coding", sum(entry.rows for entry in wanted))
    coded = [entry for entry in usable if entry not in wanted]
    frame = _frame_of(layout, coded) or make_frame(_sample(layout, wanted))
    make_folder(layout.codes)
    made: dict[str, CodesEntry] = {}
    for entry in wanted:
        if (codes := _write(layout, entry, frame, progress)) is not None:
            made[entry.id] = codes
    return _publish(layout, manifest, made) if made else manifest


def drop_codes(layout: Layout, manifest: Manifest) -> Manifest:
    """The snapshot without codes; `vacuum` deletes their files."""
    if all(entry.codes is None for entry in manifest.segments):
        return manifest
    segments = tuple(replace(entry, codes=None) for entry in manifest.segments)
    return publish(layout, replace(manifest, segments=segments))


def _publish(layout: Layout, manifest: Manifest, made: dict[str, CodesEntry]) -> Manifest:
    segments = tuple(
        replace(entry, codes=made.get(entry.id, entry.codes)) for entry in manifest.segments
    )
    return publish(layout, replace(manifest, segments=segments))


def _write(
    layout: Layout, entry: SegmentEntry, frame: Frame, progress: Progress
) -> CodesEntry | None:
    """Durable and in place, not yet named by a manifest; None: some vector is no number."""
    segment = Segment(layout, entry)
    # Bounds worked out from damaged vectors would vouch for them.
    segment.check()
    if not segment.vectors.are_finite:
        progress.advance(entry.rows)
        return None
    file_id = str(ULID())
    staged, path = layout.staging / f"{file_id}.arrow", layout.codes_file(file_id)
    try:
        write_codes(staged, segment.vectors, frame, progress.advance)
        fsync_file(staged)
        check = check_of(staged)
        staged.rename(path)
        fsync_folder(layout.codes)
    except OSError:
        with suppress(OSError):
            staged.unlink()
        raise
    return CodesEntry(file_id, check)


def _frame_of(layout: Layout, coded: Iterable[SegmentEntry]) -> Frame | None:
    """That of codes that the lake has, so that a query is turned once for all segments."""
    for entry in coded:
        with suppress(LakeDamaged):
            if (codes := Segment(layout, entry).open_codes()) is not None:
                return codes.frame
    return None


def _sample(layout: Layout, entries: Sequence[SegmentEntry]) -> Vectors:
    """float32, (n, dim): rows at equal distances, without those that are no numbers."""
    step = max(1, sum(entry.rows for entry in entries) // SAMPLE_ROWS)
    stores = [Segment(layout, entry).vectors for entry in entries]
    rows = np.concatenate([store.take(np.arange(0, store.rows, step)) for store in stores])
    finite = rows[np.isfinite(rows).all(1)]
    return finite if len(finite) else np.zeros((1, rows.shape[1]), np.float32)
