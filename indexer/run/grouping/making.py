"""Making and dropping groups, which searches that may miss a row now and then look into."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from ulid import ULID

from indexer.arrays import RowMask
from indexer.config import IndexConfig
from indexer.disk.checks import check_of
from indexer.disk.codes import make_frame, write_codes
from indexer.disk.durable import fsync_file, fsync_folder, make_folder
from indexer.disk.entries import reason_of, remove
from indexer.disk.groups import CODES, FILES, About, Depths, Kind, write_groups
from indexer.disk.groups import LEAST_ROWS as LEAST_ROWS
from indexer.disk.layout import Layout
from indexer.disk.manifest import GroupsEntry, Manifest, SegmentEntry, publish
from indexer.disk.segment import Segment
from indexer.disk.tables import dead_positions
from indexer.embed import Embedder
from indexer.errors import LakeError
from indexer.models import check_model, load_model_of
from indexer.report import Progress, Silent, SyncReport
from indexer.run.coding import SAMPLE_ROWS
from indexer.run.grouping.centres import centres_of, groups_of_rows, number_of_groups
from indexer.run.grouping.depths import measure
from indexer.run.grouping.grouped_rows import Counted, Reordered
from indexer.run.grouping.probes import Probes, of_rows, of_texts

# Groups are made anew when they lack more of the lake's rows: those are all read by each search.
MOST_MISSING = 0.2
RECALL = 0.99  # of searches of a very large lake that ask for none

LoadModel = Callable[[], Embedder]


class _Stopped(Exception):
    """Whoever runs this wants it to end."""


class _Stopping:
    """Progress that ends the work which tells it, once an end is wanted."""

    def __init__(self, progress: Progress, should_stop: Callable[[], bool]) -> None:
        self._progress, self._should_stop = progress, should_stop

    def stage(self, name: str, total: int | None, unit: str | None = None) -> None:
        self._look()
        self._progress.stage(name, total, unit)

    def expect(self, total: int, *, more: bool = False) -> None:
        self._progress.expect(total, more=more)

    def advance(self, done: int, skipped: int = 0) -> None:
        self._look()
        self._progress.advance(done, skipped)

    def _look(self) -> None:
        if self._should_stop():
            raise _Stopped


def own_model(layout: Layout, manifest: Manifest) -> LoadModel:
    """Loads the model that the lake names, where this machine trusts it."""

    def load() -> Embedder:
        name = str(layout.root)
        model = load_model_of(name, manifest)
        check_model(name, manifest, model)
        return model

    return load


def is_very_large(manifest: Manifest, config: IndexConfig) -> bool:
    """Whether the lake gets groups without being asked to."""
    return manifest.live_rows >= max(config.groups_from_rows, LEAST_ROWS)


def are_due(manifest: Manifest, config: IndexConfig) -> bool:
    """Whether groups are to be made as a run ends: there are some, or the lake is very large; and
    they lack too much of it, or too many of their rows are gone.
    """
    if manifest.groups is None and not is_very_large(manifest, config):
        return False
    rows = sum(entry.rows for entry in manifest.segments)
    is_missing = manifest.grouped_rows < (1 - MOST_MISSING) * rows
    return rows >= LEAST_ROWS and (is_missing or manifest.are_groups_outlived)


def with_groups(
    layout: Layout,
    manifest: Manifest,
    config: IndexConfig,
    report: SyncReport,
    progress: Progress,
    load_model: LoadModel,
    should_stop: Callable[[], bool] = lambda: False,
) -> Manifest:
    """As a run ends: `add_groups` where they are due.

    What keeps them from being made is a note: the lake is whole without.

    :param should_stop: asked often; True leaves it to the next run.
    """
    if not are_due(manifest, config):
        return manifest
    told = _Stopping(progress, should_stop)
    try:
        return add_groups(layout, manifest, load_model, progress=told, tell=report.notes.append)
    except _Stopped:
        report.interrupted = True
        return manifest
    except OSError as error:
        report.notes.append(
            f"no groups were made, so that searches stay exact ({reason_of(error)}); "
            "the next `lakesift sync` tries again"
        )
        return manifest


def add_groups(
    layout: Layout,
    manifest: Manifest,
    load_model: LoadModel,
    *,
    recall: float | None = None,
    damaged: Collection[str] = (),
    progress: Progress | None = None,
    texts: Probes | None = None,
    tell: Callable[[str], None] = lambda note: None,
) -> Manifest:
    """Make groups of all rows, in place of those that there are.

    The caller holds the writer's lock. An interrupt loses what is not yet named, and nothing else.

    :param load_model: the lake's model, to measure texts with. Where it cannot be loaded, searches
        by text stay exact.
    :param recall: of searches that ask for none; None: as it was, 0.99 for a very large lake.
    :param damaged: ids of segments to leave alone.
    :param texts: to measure with, in place of captions or wordings.
    :param tell: told, in a sentence, what could not be measured.
    :returns: the manifest that is current afterwards; the same one if the lake is too small.
    :raises LakeDamaged: if a segment is not what was committed.
    :raises OSError: if the disk is full.
    """
    entries = _usable(layout, manifest, damaged)
    if manifest.dim < 2 or sum(entry.rows for entry in entries) < LEAST_ROWS:
        return manifest
    segments = [Segment(layout, entry) for entry in entries]
    folder = layout.staging / str(ULID())
    folder.mkdir()
    try:
        about = _write(layout, manifest, segments, folder, load_model, texts, progress or Silent())
        for name in FILES:
            fsync_file(folder / name)
        fsync_folder(folder)
        checks = {name: check_of(folder / name) for name in FILES}
        make_folder(layout.groups)
        folder.rename(layout.groups_folder(folder.name))
        fsync_folder(layout.groups)
    except (OSError, _Stopped):
        with suppress(OSError):
            remove(folder)
        raise
    for note in about.notes:
        tell(f"{note}; such searches stay exact")
    if recall is None:
        recall = _recall_now(manifest)
    names = tuple(name for name, _ in about.segments)
    held = set(names)
    dead = sum(each.rows for each in manifest.tombstones if held.intersection(each.segments))
    groups = GroupsEntry(folder.name, names, checks, recall, dead)
    return publish(layout, replace(manifest, groups=groups))


def drop_groups(layout: Layout, manifest: Manifest) -> Manifest:
    """The snapshot without groups; `vacuum` deletes their files."""
    if manifest.groups is None:
        return manifest
    return publish(layout, replace(manifest, groups=None))


def with_recall(layout: Layout, manifest: Manifest, recall: float) -> Manifest:
    """The snapshot with another recall of searches that ask for none."""
    if manifest.groups is None or manifest.groups.recall == recall:
        return manifest
    return publish(layout, replace(manifest, groups=replace(manifest.groups, recall=recall)))


def _recall_now(manifest: Manifest) -> float | None:
    if manifest.groups is not None:
        return manifest.groups.recall
    return RECALL if is_very_large(manifest, IndexConfig.from_env()) else None


def _usable(layout: Layout, manifest: Manifest, damaged: Collection[str]) -> list[SegmentEntry]:
    """Those in service whose vectors are all numbers.

    :raises LakeDamaged: if one is not what was committed: what is measured would vouch for it.
    """
    found = []
    for entry in manifest.segments:
        if entry.id in damaged:
            continue
        segment = Segment(layout, entry)
        segment.check()
        if segment.vectors.are_finite:
            found.append(entry)
    return found


def _write(
    layout: Layout,
    manifest: Manifest,
    segments: Sequence[Segment],
    folder: Path,
    load_model: LoadModel,
    texts: Probes | None,
    progress: Progress,
) -> About:
    """All files, into a folder of `staging/`."""
    gone = {entry.id for entry in manifest.segments} - {s.entry.id for s in segments}
    readable = manifest.tombstones_beside(gone)
    dead = dead_positions(layout, replace(manifest, tombstones=readable))
    alive: list[RowMask | None] = []
    for segment in segments:
        mask: RowMask | None = None
        if len(positions := dead.get(segment.entry.id, ())):
            mask = np.ones(segment.entry.rows, bool)
            mask[positions] = False
        alive.append(mask)
    counted = Counted([segment.vectors for segment in segments], alive)
    progress.stage("grouping", counted.rows)
    centres = centres_of(counted, number_of_groups(counted.rows))
    groups = groups_of_rows(counted, centres, progress.advance)
    places = np.argsort(groups, kind="stable").astype(np.min_scalar_type(counted.rows))
    starts = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=len(centres)))])
    progress.stage("coding groups", counted.rows)
    sample = counted.take(counted.sample(SAMPLE_ROWS, 0))
    write_codes(folder / CODES, Reordered(counted, places), make_frame(sample), progress.advance)
    probes: dict[Kind, Probes] = {"image": of_rows(counted)}
    notes: tuple[str, ...] = ()
    progress.stage("measuring texts", None)
    try:
        probes["text"] = of_texts(segments, load_model()) if texts is None else texts
    except LakeError as error:
        notes = (f"texts were not measured: {error}",)
    progress.stage("measuring recall", counted.rows * len(probes))
    depths: dict[Kind, Depths] = {
        kind: measure(
            counted,
            centres,
            groups,
            each.vectors,
            each.made_of,
            each.themselves,
            progress.advance,
        )
        for kind, each in probes.items()
    }
    held = tuple((segment.entry.id, segment.entry.rows) for segment in segments)
    about = About(held, depths, notes)
    write_groups(folder, about, centres, starts.astype(np.int64), places)
    return about
