"""The last step of a run: one file of skipped files, settled segments, and few segments."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from indexer.disk.manifest import Manifest, SegmentEntry
from indexer.disk.tables import SKIPPED_SCHEMA, Skipped, read_skipped, write_skipped
from indexer.embed import Embedder
from indexer.run.coding import with_codes
from indexer.run.context import Context
from indexer.run.grouping.making import with_groups
from indexer.run.roots import Roots
from indexer.run.writing.commits import Commits
from indexer.run.writing.compact import compact


def wrap_up(
    run: Context,
    commits: Commits,
    before: Manifest | None,
    roots: Roots,
    *,
    relocated: bool,
    repairs: bool,
    load_model: Callable[[], Embedder],
) -> None:
    """
    :param before: the snapshot that the run began with; None for a new lake.
    :param relocated: True: the lake's sources moved house.
    :param load_model: the lake's; called where searches by text are to be measured.
    :param repairs: True: a snapshot is due even where no image changed, to leave damage behind.
    """
    changes: dict[str, Any] = {}
    skipped = _skipped_now(run, commits.manifest, roots, commits.skipped_keys)
    entries = commits.manifest.skipped
    if roots or len(entries) > 1 or sum(entry.rows for entry in entries) != len(skipped):
        changes["skipped"] = (write_skipped(run.layout, skipped),) if skipped else ()
    segments = _settled(run, commits.manifest, before)
    if segments != commits.manifest.segments or repairs:
        changes["segments"] = segments
    if relocated:
        changes["sources"] = commits.manifest.sources
    commits.commit(**changes)
    commits.release()
    run.progress.stage("merging", None)
    commits.manifest = compact(
        run.layout, commits.manifest, max_segments=run.config.max_segments, with_peers=True
    )
    commits.manifest = with_codes(
        run.layout, commits.manifest, run.config, run.report, run.progress
    )
    commits.manifest = with_groups(
        run.layout,
        commits.manifest,
        run.config,
        run.report,
        run.progress,
        load_model,
        run.should_stop,
    )


def _settled(run: Context, manifest: Manifest, before: Manifest | None) -> tuple[SegmentEntry, ...]:
    """The segments, without the mark of those whose rows need not be looked at again."""
    settle_us = int(run.config.settle_s * 1e6)
    unsettled = run.plan.unsettled_segments(
        run.scan_started_us - settle_us, int(time.time() * 1e6) + settle_us
    )
    settled = {entry.id for entry in before.segments} - unsettled if before else set()
    return tuple(
        replace(entry, unsettled_since_us=None) if entry.id in settled else entry
        for entry in manifest.segments
    )


def _skipped_now(
    run: Context, manifest: Manifest, roots: Roots, newly: Collection[str]
) -> list[Skipped]:
    keep = run.plan.still_skipped().union(newly)
    rows = read_skipped(run.layout, manifest).to_pylist()
    files = (roots.skipped(Skipped(*(row[name] for name in SKIPPED_SCHEMA.names))) for row in rows)
    latest = {file.key: file for file in files if file.key in keep}
    return list(latest.values())
