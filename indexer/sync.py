"""Make a lake equal its sources: list, compare, carry moved rows over, embed what is new, commit as it goes.

The order is what makes a crash harmless: rows that only moved get their new place first, each together with the
tombstone of the old one; then rows whose file is gone are buried; then new images are embedded and committed in
batches. Whatever was not committed is simply found again by the next run.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from indexer import ann
from indexer.commits import Commits, clear_staging, file_columns, prepare_folder
from indexer.compact import compact
from indexer.config import IndexConfig
from indexer.decoder import ReadSettings
from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeError, LakeNotFound, SourceError, UnreadableImage
from indexer.layout import Layout
from indexer.live import add_live_rows, add_skipped_files
from indexer.locks import writer
from indexer.manifest import Manifest, SourceEntry, check_files, read_manifest
from indexer.models import check_model
from indexer.pipeline import Embedded, Failed, Pipeline, Result, Task, default_decoders
from indexer.plan import Counts, Plan, Rerow, Todo
from indexer.report import Progress, Silent, SyncReport
from indexer.roots import Roots
from indexer.segment import ROW_SCHEMA, Segment, lake_schema
from indexer.sources import ImageFile, Listing, Source
from indexer.sources.opening import OpenSource, open_source
from indexer.tables import SKIPPED_SCHEMA, Skipped, drop_segments, read_skipped, write_skipped

CARRY_ROWS = 20_000  # rows carried over in one commit
LoadEmbedder = Callable[[Manifest | None], Embedder]


def sync(
    lake: Path,
    load_embedder: LoadEmbedder,
    *,
    add: Sequence[SourceEntry] = (),
    roots: Mapping[str, str] | None = None,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    exact: bool = False,
) -> SyncReport:
    """Bring a lake up to date with its sources.

    :param load_embedder: called at most once, and only if there is an image to embed; given the manifest, None for a
        new lake.
    :param add: sources to add; with any given, only these are looked at, and the lake is made if it is not there.
    :param roots: old prefix -> new prefix, of uris whose photos moved house.
    :param should_stop: asked often; True ends the run after a last commit.
    :param exact: True decodes JPEGs at full scale always.
    :raises LakeNotFound: if nothing is added and there is no lake.
    :raises LakeLocked: if another process writes it.
    :raises SourceError: if an added source is not there or lists nothing.
    :raises WrongModel: if the lake's vectors are another model's.
    :raises LakeError: if the lake is damaged or the disk is full; the last snapshot stays whole.
    """
    layout = Layout(lake)
    if not add:
        read_manifest(layout)  # LakeNotFound before any folder is made
    for entry in add:
        open_source(entry.uri)  # and so with a path that is mistyped
    prepare_folder(layout)
    config = config or IndexConfig.from_env()
    try:
        with writer(layout, use_lock=config.use_lock):
            clear_staging(layout)
            run = _Run(
                layout,
                load_embedder,
                add,
                Roots(roots or {}),
                config,
                progress or Silent(),
                should_stop,
                exact,
            )
            try:
                return run.run()
            finally:
                run.close()
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        name = getattr(error, "filename", None) or lake
        number = getattr(error, "errno", None)  # pyarrow's own words for it are long and hold it twice
        reason = os.strerror(number) if number else str(error).splitlines()[0]
        raise LakeError(
            f"{name}: {reason}; the lake's last snapshot is whole, run `lakesift sync {lake}` to go on"
        ) from error


class _Run:
    """One run's state, so that its steps can be read one after the other in `run`."""

    def __init__(
        self,
        layout: Layout,
        load_embedder: LoadEmbedder,
        add: Sequence[SourceEntry],
        roots: Roots,
        config: IndexConfig,
        progress: Progress,
        should_stop: Callable[[], bool],
        exact: bool,
    ) -> None:
        self.layout, self.load_embedder, self.roots = layout, load_embedder, roots
        self.config, self.progress, self.should_stop, self.exact = config, progress, should_stop, exact
        self.started = time.monotonic()
        self.scan_started_us = int(time.time() * 1e6)
        self.report = SyncReport(str(layout.root))
        self.repairs = False  # True: a snapshot is due even where no image changed, to leave damage behind
        self.manifest = self._open_manifest()
        self.add = list(add)
        known = self.manifest.sources if self.manifest else ()
        self.known = [_relocated(entry, roots) for entry in known]
        self.relocated = {now.uri for now, before in zip(self.known, known, strict=True) if now != before}
        self.entries = self.add or self.known  # those of this run; `_list` puts in each one's full uri
        self.folder = layout.staging / f"plan-{os.getpid()}"
        self.folder.mkdir()
        self.plan = Plan(self.folder)
        self.sources: list[Source] = []

    def close(self) -> None:
        self.plan.close()
        clear_staging(self.layout)

    def run(self) -> SyncReport:
        self._load_live()
        listed, unlisted = self._list()
        if self.should_stop():
            return self._finish(None)
        counts = self.plan.compare([*listed, *self._forgotten_sources()], unlisted)
        self._hash_candidates()
        self.plan.pair()
        commits = self._commits()
        if commits is None:
            return self._finish(None, counts)
        if not self.should_stop():
            self._carry(commits)
            self._bury(commits)
        if not self.should_stop():
            self._embed(commits)
        self._wrap_up(commits)
        return self._finish(commits.manifest, counts)

    # -- before

    def _open_manifest(self) -> Manifest | None:
        try:
            manifest, problems = read_manifest(self.layout)
        except LakeNotFound:
            return None
        opened = check_files(self.layout, manifest, deep=self.config.drop_damaged or None)
        self.report.problems += [*problems, *opened.problems]
        self.repairs = bool(self.report.problems)
        if opened.out_of_service:
            manifest = self._without_damaged(manifest, opened.out_of_service)
        whole = tuple(entry for entry in manifest.skipped if entry.id not in opened.damaged_skipped)
        return replace(manifest, skipped=whole)

    def _without_damaged(self, manifest: Manifest, damaged: Mapping[str, str]) -> Manifest:
        if not self.config.drop_damaged:
            first = next(iter(damaged.values()))
            raise LakeError(
                f"{first}. Restore it from a backup, or run `lakesift sync {self.layout.root} --drop-damaged` "
                "to index its images again under new row ids"
            )
        segments = tuple(segment for segment in manifest.segments if segment.id not in damaged)
        tombstones = drop_segments(self.layout, manifest.tombstones_beside(damaged), damaged)
        return replace(manifest, segments=segments, tombstones=tombstones)

    def _load_live(self) -> None:
        if self.manifest is None:
            return
        add_live_rows(self.plan, self.layout, self.manifest, self.roots)
        add_skipped_files(self.plan, self.layout, self.manifest, self.roots, retry=self.config.retry_skipped)
        self._check_roots()

    def _check_roots(self) -> None:
        self.report.notes += [f"nothing in {self.layout.root} begins with {old}" for old in self.roots.unmet]
        if self.roots and (uri := self.plan.uri_of_two_rows()):
            raise BadRequest(
                "--root", f"two rows of {self.layout.root} would both be {uri}; index that folder anew"
            )

    def _forgotten_sources(self) -> set[str]:
        """Sources that rows name and the manifest does not: those left by a change of roots that was interrupted."""
        return set() if self.add else self.plan.sources() - {entry.uri for entry in self.known}

    # -- listing and comparing

    def _list(self) -> tuple[list[str], list[str]]:
        """Store every source's listing; returns the sources whose rows may be gone, and prefixes not looked into."""
        self.progress.stage("listing", None)
        listed: list[str] = []
        unlisted: list[str] = []
        for number, entry in enumerate(list(self.entries)):
            source: Source
            try:
                source = self._open(entry)
                entry = self.entries[number] = SourceEntry(source.uri, source.table_path)
                found = self._list_one(number, source, unlisted)
            except SourceError as error:
                if self.add or entry.uri in self.relocated:
                    raise
                self.plan.forget_listing(number)  # half a listing would read as deletions
                source = _Missing(entry.uri)
                self._note_empty(entry, f"{error}", listed)
            else:
                if found:
                    listed.append(entry.uri)
                elif entry.uri in self.relocated or (self.add and not self.plan.rows_of_source(entry.uri)):
                    raise SourceError(entry.uri, "there are no image files in it")
                else:
                    self._note_empty(entry, f"{entry.uri}: lists no images now", listed)
            self.sources.append(source)
            if self.should_stop():
                break
        return listed, unlisted

    def _open(self, entry: SourceEntry) -> OpenSource:
        """A known source that is given again without a table keeps the table it had."""
        source = open_source(entry.uri, entry.columns)
        tables = [known.columns for known in self.known if known.uri == source.uri]
        if source.table_path is None and tables and tables[0]:
            source = open_source(source.uri, tables[0])
        return source

    def _list_one(self, number: int, source: OpenSource, unlisted: list[str]) -> int:
        listing, stored = Listing(), 0
        for stored_now in self.plan.add_listing(number, source.files(listing)):
            self.progress.advance(stored_now - stored)
            stored = stored_now
            if self.should_stop():
                break
        if source.unmatched_rows:
            self.report.notes.append(
                f"{source.table_path}: {source.unmatched_rows:,} rows belong to no image of {source.uri}"
            )
        for prefix, reason in listing.unlisted:
            if source.uri in self.relocated:
                raise SourceError(prefix, f"{reason}; with --root every folder must be readable")
            self.report.problems.append(f"{prefix}: {reason}; its images were left as they are")
            unlisted.append(prefix)
        return stored

    def _note_empty(self, entry: SourceEntry, what: str, listed: list[str]) -> None:
        rows = self.plan.rows_of_source(entry.uri)
        if self.config.allow_empty:
            listed.append(entry.uri)
        elif rows:
            self.report.problems.append(
                f"{what}; its {rows:,} rows were kept (if they should go, use --allow-empty)"
            )
        else:
            self.report.problems.append(what)

    def _hash_candidates(self) -> None:
        """Hash what may be a known image under another name, or the same one touched."""
        candidates = self.plan.to_hash()
        self.progress.stage("comparing", None)
        with ThreadPoolExecutor(self.config.readers) as pool:
            while batch := list(islice(candidates, 1_000)):
                hashes = list(pool.map(self._hash, batch))
                self.plan.add_hashes([pair for pair in hashes if pair is not None])
                self.progress.advance(len(batch))
                if self.should_stop():
                    return

    def _hash(self, candidate: tuple[int, ImageFile]) -> tuple[str, str] | None:
        number, file = candidate
        try:
            data = self.sources[number].read(file, self.config.limits.max_bytes)
        except UnreadableImage:
            return None  # it will fail again when it is to be embedded, and be skipped with its reason
        return file.uri, hashlib.sha256(data).hexdigest()

    # -- writing

    def _commits(self) -> Commits | None:
        """The writer's end; None where a run was stopped before a new lake had anything in it."""
        self.embedder = None
        if self.plan.todo_count() and not self.should_stop():
            self.progress.stage("loading the model", None)
            self.embedder = self.load_embedder(self.manifest)
            if self.manifest is not None:
                check_model(str(self.layout.root), self.manifest, self.embedder)
        manifest = self.manifest
        if manifest is None:
            if self.embedder is None:
                return None
            e = self.embedder
            manifest = Manifest(e.model_id, dict(e.fingerprint), e.dim)
        sources = {entry.uri: entry for entry in [*self.known, *(self.entries if self.add else ())]}
        manifest = replace(manifest, sources=tuple(sources.values()))
        commits = Commits(self.layout, manifest, self.config, self.scan_started_us)
        if self.add and (self.manifest is None or manifest.sources != self.manifest.sources):
            # first of all, so that `sync` goes on with a run cut short
            commits.commit(sources=manifest.sources)
        return commits

    def _carry(self, commits: Commits) -> None:
        rerows = self.plan.rerows()
        while batch := list(islice(rerows, CARRY_ROWS)):
            for segment_id, group in groupby(batch, key=lambda rerow: rerow.old.segment):
                self._carry_from(segment_id, list(group), commits)
            commits.commit()
            if self.should_stop():
                return

    def _carry_from(self, segment_id: str, rerows: list[Rerow], commits: Commits) -> None:
        assert self.manifest is not None
        entry = next(entry for entry in self.manifest.segments if entry.id == segment_id)
        segment = Segment(self.layout, entry)
        segment.check()
        positions = np.array([rerow.old.position for rerow in rerows], np.int64)
        rows = segment.read_rows(lake_schema(self.manifest.columns)).take(pa.array(positions)).to_pylist()
        vectors = ann.vectors_at(segment.index, positions)
        for rerow, row, vector in zip(rerows, rows, vectors, strict=True):
            moved = row["uri"] != rerow.file.uri
            self.report.moved += moved
            self.report.unchanged += not moved
            new = {**row, **file_columns(rerow.file, self.entries[rerow.source].uri)}
            if rerow.reread_columns:
                new = {name: new[name] for name in ROW_SCHEMA.names} | {"caption": None}
                new |= dict(self.sources[rerow.source].columns(rerow.file))
            commits.carry(new, vector, rerow.old)

    def _bury(self, commits: Commits) -> None:
        for place in self.plan.gone():
            commits.remove(place)
            self.report.gone += 1
        commits.commit()

    def _embed(self, commits: Commits) -> None:
        if self.embedder is None:
            return
        total = self.plan.todo_count()
        self.progress.stage("indexing", total)
        replaces = {}

        def tasks() -> Iterator[Task]:
            for todo in self.plan.todo():
                if todo.replaces is not None:
                    replaces[todo.file.uri] = todo
                yield Task(todo.file, self.sources[todo.source])

        giants_lock = str(self.folder / "giants.lock")
        settings = ReadSettings(self.embedder.input_shape, self.config.limits, self.exact, giants_lock)
        pipeline = Pipeline(
            self.embedder,
            settings,
            decoders=self.config.decoders or default_decoders(),
            readers=self.config.readers,
            batch_size=self.config.batch_size or self.embedder.batch_size,
        )
        with pipeline:
            for results in pipeline.run(tasks()):
                for result in results:
                    self._store(result, replaces.pop(result.task.file.uri, None), commits)
                commits.commit_if_due()
                self.progress.advance(len(results), sum(isinstance(result, Failed) for result in results))
                if self.should_stop():
                    break
        commits.commit()

    def _store(self, result: Result, todo: Todo | None, commits: Commits) -> None:
        file, source = result.task.file, result.task.source.uri
        if isinstance(result, Embedded):
            commits.add(file, source, result.image, result.columns, result.vector)
            self.report.new += todo is None
            self.report.changed += todo is not None
        else:
            commits.skip(file, source, result.error.reason, transient=result.error.transient)
            self.report.newly_skipped.append((file.uri, result.error.reason))
            if result.error.transient:
                return  # the row it had stays: nothing says that the image changed
        if todo is not None and todo.replaces is not None:
            commits.remove(todo.replaces)

    def _wrap_up(self, commits: Commits) -> None:
        """After the last image: one file of skipped files, settled segments, and few segments."""
        if self.should_stop():
            self.report.interrupted = True
            commits.commit()
            return
        changes: dict[str, Any] = {}
        skipped = self._skipped_now(commits.manifest)
        entries = commits.manifest.skipped
        if self.roots or len(entries) > 1 or sum(entry.rows for entry in entries) != len(skipped):
            changes["skipped"] = (write_skipped(self.layout, skipped),) if skipped else ()
        settle_us = int(self.config.settle_s * 1e6)
        unsettled = self.plan.unsettled_segments(
            self.scan_started_us - settle_us, int(time.time() * 1e6) + settle_us
        )
        before = {entry.id for entry in self.manifest.segments} if self.manifest else set()
        segments = tuple(
            replace(entry, unsettled_since_us=None) if entry.id in before - unsettled else entry
            for entry in commits.manifest.segments
        )
        if segments != commits.manifest.segments or self.repairs:
            changes["segments"] = segments
        if not self.add and self.manifest and commits.manifest.sources != self.manifest.sources:
            changes["sources"] = commits.manifest.sources
        commits.commit(**changes)
        self.progress.stage("merging", None)
        commits.manifest = compact(self.layout, commits.manifest, max_segments=self.config.max_segments)

    def _skipped_now(self, manifest: Manifest) -> list[Skipped]:
        keep = self.plan.still_skipped() | {uri for uri, _ in self.report.newly_skipped}
        rows = read_skipped(self.layout, manifest).to_pylist()
        files = (self.roots.skipped(Skipped(*(row[name] for name in SKIPPED_SCHEMA.names))) for row in rows)
        latest = {file.uri: file for file in files if file.uri in keep}
        return list(latest.values())

    def _finish(self, manifest: Manifest | None, counts: Counts | None = None) -> SyncReport:
        manifest = manifest or self.manifest
        report = self.report
        report.interrupted = report.interrupted or self.should_stop()
        report.seconds = time.monotonic() - self.started
        if manifest is not None:
            report.snapshot, report.rows = manifest.snapshot, manifest.live_rows
            report.skipped = sum(entry.rows for entry in manifest.skipped)
        if counts is not None:
            report.unchanged += counts.same + self.plan.confirmed_count()
        return report


class _Missing:
    """Stands in for a source that could not be opened; it lists nothing and is never read."""

    is_local = True

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        return iter(())

    def read(self, file: ImageFile, max_bytes: int) -> bytes:
        raise UnreadableImage(file.uri, "its source is missing", transient=True)

    def columns(self, file: ImageFile) -> Mapping[str, Any]:
        return {}


def _relocated(entry: SourceEntry, roots: Roots) -> SourceEntry:
    return SourceEntry(roots.uri(entry.uri), entry.columns and roots.uri(entry.columns))
