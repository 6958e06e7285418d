"""The lake as a run finds it: checked, and without what is damaged where that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, check_files, read_manifest
from indexer.disk.tables import drop_segments
from indexer.errors import LakeError, LakeNotFound
from indexer.report import SyncReport


def open_manifest(layout: Layout, config: IndexConfig, report: SyncReport) -> Manifest | None:
    """The current snapshot; None where there is no lake yet.

    :param report: is told of all damage.
    :raises LakeError: if a segment is damaged and the config does not say to drop it.
    """
    try:
        manifest, problems = read_manifest(layout)
    except LakeNotFound:
        return None
    opened = check_files(layout, manifest, deep=config.drop_damaged or None)
    report.problems += [*problems, *opened.problems]
    if opened.out_of_service:
        manifest = _without_damaged(layout, manifest, opened.out_of_service, config)
    whole = tuple(entry for entry in manifest.skipped if entry.id not in opened.damaged_skipped)
    # Without those that are damaged: the end of the run makes them anew.
    segments = tuple(
        replace(entry, codes=None)
        if entry.codes is not None and entry.codes.id in opened.damaged_codes
        else entry
        for entry in manifest.segments
    )
    groups = manifest.groups
    if groups is not None and groups.id in opened.damaged_codes:
        groups = replace(groups, segments=())
    return replace(manifest, skipped=whole, segments=segments, groups=groups)


def _without_damaged(
    layout: Layout, manifest: Manifest, damaged: Mapping[str, str], config: IndexConfig
) -> Manifest:
    if not config.drop_damaged:
        first = next(iter(damaged.values()))
        raise LakeError(
            f"{first}. Restore it from a backup, or run `lakesift sync {layout.root} --drop-damaged` "
            "to index its images again under new row ids"
        )
    segments = tuple(segment for segment in manifest.segments if segment.id not in damaged)
    tombstones = drop_segments(layout, manifest.tombstones_beside(damaged), damaged)
    return replace(manifest, segments=segments, tombstones=tombstones)
