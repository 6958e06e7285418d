"""Make a lake equal its sources: list, compare,
carry moved rows over, embed what is new, commit as it goes.

The order is what makes a crash harmless: rows that only moved get their new place first, each
together with the tombstone of the old one; then rows whose file is gone are buried; then new images
are embedded and committed in batches. Whatever was not committed is simply found again by the next
run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path

from indexer.address import Address
from indexer.config import IndexConfig
from indexer.disk.entries import reason_of
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, Recomputing, SegmentEntry, SourceEntry, read_manifest
from indexer.disk.tables import Place
from indexer.disk.writer_note import NotedProgress
from indexer.embed import Embedder
from indexer.errors import LakeError, ModelUnknown, NotWritten, SourceError
from indexer.models import UNKNOWN, NoModel, check_model, convert_first
from indexer.read_image import RECOMPUTABLE
from indexer.report import Progress, Silent, SyncReport
from indexer.run.carrying import carry
from indexer.run.context import Context
from indexer.run.embedding.pipeline import Pipeline
from indexer.run.embedding.tasks import Embedded, Failed, Result, Runner, with_columns
from indexer.run.ending import wrap_up
from indexer.run.hashing import hash_candidates
from indexer.run.listing import Listed, Lister, Scope
from indexer.run.live import add_lake
from indexer.run.plan.arrivals import Todo
from indexer.run.plan.plan import Counts, Plan
from indexer.run.recompute import Recompute, recomputable
from indexer.run.roots import Roots
from indexer.run.streaming import KNOWN_LAKE_AFTER_S, Streaming, are_apart, starts_of
from indexer.run.writing.commits import Commits, clear_staging
from indexer.run.writing.first_run import folder_held
from indexer.run.writing.opening import open_manifest
from indexer.sources import ImageFile, Source
from indexer.sources.bytes_of import BytesOf
from indexer.sources.opening import open_source
from indexer.words import count

LoadEmbedder = Callable[[Manifest | None], Embedder]
# The types of own columns that become text beside text: in words, and what such a text is like.
_READ_AS = {
    "int64": ("whole numbers", "7"),
    "double": ("numbers", "1.5"),
    "bool": ("truths", "true"),
    "timestamp[us]": ("times", "2026-01-31 00:00:00.000000"),
}


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
    recompute: Sequence[str] = (),
    runner: Runner | None = None,
) -> SyncReport:
    """Bring a lake up to date with its sources.

    :param load_embedder: called at most once, and only if there is an image to embed or a column to
        recompute; given the manifest, None for a new lake.
    :param add: sources to add; with any given, only these are looked at, and the lake is made if it
        is not there.
    :param roots: old prefix -> new prefix, of uris whose photos moved house.
    :param should_stop: asked often; True ends the run after a last commit.
    :param exact: True decodes JPEGs at full scale always.
    :param recompute: columns that are computed from the images, such as "phash", to be computed
        again for the rows that are there; "quality" means all that begin so. A run that is cut
        short is gone on with by the next one.
    :param runner: reads and embeds the images, with the model that load_embedder gives; None: this
        machine does. It is left open.
    :raises BadRequest: if a column to recompute is not computed from the images.
    :raises LakeNotFound: if nothing is added and there is no lake.
    :raises LakeLocked: if another process writes it.
    :raises SourceError: if an added source is not there or lists nothing.
    :raises WrongModel: if the lake's vectors are another model's.
    :raises LakeError: if the lake is damaged or the disk is full; the last snapshot stays whole.
    """
    layout = Layout(lake)
    recompute = recomputable(recompute)
    if not add:
        read_manifest(layout)  # LakeNotFound before any folder is made
    for entry in add:
        # and so with a path that is mistyped
        open_source(entry.uri, layout=entry.layout, crops=entry.crops, frames=entry.frames)
    config = config or IndexConfig.from_env()
    try:
        with folder_held(layout, config):
            clear_staging(layout)
            run = Run(
                layout,
                load_embedder,
                add,
                Roots(roots or {}),
                config,
                NotedProgress(progress or Silent(), layout),
                should_stop,
                exact,
                recompute,
                runner,
            )
            try:
                return run.run()
            finally:
                run.close()
    except NotWritten as error:
        raise LakeError(f"{error}; {_go_on(layout)}") from error
    except OSError as error:
        name = error.filename or lake
        raise LakeError(f"{name}: {reason_of(error)}; {_go_on(layout)}") from error


def _go_on(layout: Layout) -> str:
    if not layout.manifest.exists():
        return "nothing was committed yet: the same command begins anew"
    return f"the lake's last snapshot is whole, run `lakesift sync {layout.root}` to go on"


class Run:
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
        recompute: Sequence[str],
        runner: Runner | None,
    ) -> None:
        self.started = time.monotonic()
        scan_started_us = int(time.time() * 1e6)
        self.load_embedder, self.roots, self.add = load_embedder, roots, list(add)
        self.exact, self.runner = exact, runner
        self.report = SyncReport(str(layout.root))
        self.manifest = open_manifest(layout, config, self.report)
        # a snapshot is due even where no image changed, to leave damage behind
        self.repairs = bool(self.report.problems)
        known = self.manifest.sources if self.manifest else ()
        roots.imported = frozenset(entry.uri for entry in known if entry.is_imported)
        self.known = [roots.source(entry) for entry in known]
        self.relocated = frozenset(
            now.uri for now, before in zip(self.known, known, strict=True) if now != before
        )
        self.recompute = self._to_recompute(recompute)
        self.folder = layout.staging / f"plan-{os.getpid()}"
        self.folder.mkdir()
        self.plan = Plan(self.folder)
        self.context = Context(
            layout,
            config,
            self.plan,
            BytesOf(careful=not add, seeks=layout.seeks),
            self.report,
            progress,
            should_stop,
            scan_started_us,
        )
        self.listed = Listed([])
        self.embedder: Embedder | None = None
        self.commits: Commits | None = None
        self.stage = ""
        self.embedded = 0  # images, those that failed included
        self._held = ExitStack()

    def close(self) -> None:
        self._held.close()
        self.plan.close()
        clear_staging(self.context.layout)

    def run(self) -> SyncReport:
        self._load_live()
        self._list()
        if self._stopped:
            return self._stop_early()
        self._stage("comparing")
        complete = [*self.listed.complete, *self._forgotten_sources()]
        counts = self._compare(complete)
        if self.stage == "indexing" and self.plan.may_have_moved():
            self.stage = ""
            self._stage("comparing")
        hash_candidates(self.context)
        self._pair()
        self._load_model(wanted=self.plan.todo_count() > 0)
        commits = self._commits()
        if commits is None:
            return self._finish(None, counts)
        if not self._stopped:
            self._carry(commits)
            self._bury(commits)
        known = commits.manifest.segments
        if not self._stopped:
            self._embed(commits)
        if not self._stopped:
            self._recompute(commits, known)
        self._note_joined_names(commits)
        self.report.notes += [
            _became_text(name, before, met)
            for name, (before, met) in commits.met_beside_text.items()
        ]
        self.context.unread.note(self.report)
        self._wrap_up(commits)
        return self._finish(commits.manifest, counts)

    def _pair(self) -> None:
        self.plan.pair()

    def _compare(self, complete: Sequence[str]) -> Counts:
        return self.plan.compare(complete, self.listed.unlisted)

    @property
    def _stopped(self) -> bool:
        return self.context.should_stop()

    # -- before

    def _to_recompute(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those asked for, and those of a run that was cut short; `index` adds sources alone.

        Another version of lakesift, which knows other columns, may have begun it.
        """
        if self.manifest is None or self.add:
            return ()
        unfinished = self.manifest.recomputing
        left = [n for n in unfinished.columns if n in RECOMPUTABLE] if unfinished else []
        return tuple(dict.fromkeys([*left, *names]))

    def _load_live(self) -> None:
        if self.manifest is not None:
            add_lake(self.context, self.manifest, self.roots)

    def _list(self) -> None:
        self._stage("listing")
        lister = self._lister(self.add or [entry for entry in self.known if not entry.is_imported])
        self.listed = lister.listed
        if self.roots or not are_apart(self.listed.sources.values()):
            lister.list(self.context.progress.advance, self.context.should_stop)
            return
        has_rows = self.manifest is not None and self.manifest.live_rows > 0
        with Streaming(self.context, lister) as streaming:
            if streaming.is_due(KNOWN_LAKE_AFTER_S if has_rows else 0):
                self._stream(streaming)
            try:
                streaming.wait()
            except LakeError as error:
                raise self._cut_short(error) from error

    def _lister(self, entries: Sequence[SourceEntry], scope: Scope | None = None) -> Lister:
        return Lister(
            self.context,
            entries,
            known=self.known,
            relocated=self.relocated,
            adding=bool(self.add),
            remember=scope is None or not scope.careful,
            scope=scope,
        )

    def _arriving(self, streaming: Streaming) -> Iterator[Todo]:
        """New images, while the listing goes on."""
        below = starts_of(self.listed.sources.values()) if self.add else None
        return streaming.new_images(below)

    def _stream(self, streaming: Streaming) -> None:
        """Embed new images while the listing goes on."""
        images = self._arriving(streaming)
        if (first := next(images, None)) is None:
            return
        self._load_model(wanted=True)
        commits = self._commits()
        if commits is None or self.embedder is None:
            return
        self._stage("indexing")
        streaming.tell()
        self._embed_images(chain([first], images), commits, streaming.tell)

    def _cut_short(self, error: LakeError) -> LakeError:
        """What a listing that failed is told as, where images of it are in the lake by now."""
        if self.commits is None:
            return error
        self.commits.commit()
        if not (isinstance(error, SourceError) and self.report.new):
            return error
        there = count(self.report.new, "image that was", "images that were")
        return SourceError(
            error.source,
            f"{error.reason}; the {there} indexed before stay, {_go_on(self.context.layout)}",
        )

    def _forgotten_sources(self) -> set[str]:
        """Sources that rows name and the manifest does not:
        those left by a change of roots that was interrupted.
        """
        return set() if self.add else self.plan.sources() - {entry.uri for entry in self.known}

    def _load_model(self, *, wanted: bool) -> None:
        """
        :param wanted: True: there is an image to embed. One to be read for its columns is read as
            for embedding.
        """
        if self.embedder is not None or self._stopped or not (wanted or self.recompute):
            return
        name, manifest = str(self.context.layout.root), self.manifest
        if manifest is not None and manifest.model_id == UNKNOWN:
            if wanted:
                raise ModelUnknown(UNKNOWN, name)
            self.embedder = NoModel(name, manifest.dim, manifest.fingerprint)
            return
        self._stage("loading the model")
        self.embedder = self.load_embedder(self.manifest)
        if self.manifest is not None:
            check_model(str(self.context.layout.root), self.manifest, self.embedder)
        if wanted:
            convert_first(self.embedder, self.context.progress)

    # -- writing

    def _commits(self) -> Commits | None:
        """The writer's end; None where a run was stopped before a new lake had anything in it."""
        if self.commits is not None:
            return self.commits
        manifest = self.manifest or self._new_lake()
        if manifest is None:
            return None
        added = self.listed.entries if self.add else []
        sources = {entry.uri: entry for entry in [*self.known, *added]}
        manifest = replace(manifest, sources=tuple(sources.values()))
        commits = self._writing(manifest)
        # first of all, so that `sync` goes on with a run cut short
        if self.add and (self.manifest is None or manifest.sources != self.manifest.sources):
            commits.commit(sources=manifest.sources)
        unfinished = manifest.recomputing
        if self.recompute and (unfinished is None or unfinished.columns != self.recompute):
            commits.commit(recomputing=Recomputing(self.recompute, {}))
        self.commits = commits
        return commits

    def _new_lake(self) -> Manifest | None:
        """What a new lake begins as; None where nothing has come into it."""
        e = self.embedder
        return None if e is None else Manifest(e.model_id, dict(e.fingerprint), e.dim)

    def _writing(self, manifest: Manifest) -> Commits:
        run = self.context
        return Commits(run.layout, manifest, run.config, run.scan_started_us)

    def _note_joined_names(self, commits: Commits) -> None:
        joined = commits.joined_names.items()
        if joined:
            pairs = ", ".join(f"{met} as {kept}" for met, kept in joined)
            self.report.notes.append(
                f"names of columns that differ in case only are one column: {pairs}"
            )

    def _carry(self, commits: Commits) -> None:
        if self.manifest is not None:
            carry(self.context, self.manifest, self.listed, commits)

    def _bury(self, commits: Commits) -> None:
        waits = self.report.in_motion > 0 and self.context.config.waits_for_writers
        for place in self.plan.gone(missing=not waits):
            commits.remove(place)
            self.report.gone += 1
        if self.report.gone:
            commits.commit()

    def _embed(self, commits: Commits) -> None:
        if self.embedder is not None and (total := self.plan.todo_count()):
            if self.stage != "indexing":
                self._stage("indexing", total)
            else:  # it went on since the listing
                self.context.progress.expect(self.embedded + total)
            self._embed_images(self.plan.todo(), commits)
        self._held.close()
        commits.commit()

    def _embed_images(
        self, images: Iterable[Todo], commits: Commits, tell: Callable[[], None] = lambda: None
    ) -> None:
        """:param tell: called after each batch."""
        replaces: dict[Address, Place] = {}

        def files() -> Iterator[tuple[ImageFile, Source]]:
            for todo in images:
                if todo.replaces is not None:
                    replaces[todo.file.address] = todo.replaces
                yield todo.file, self.listed.sources[todo.source]

        runner = self._open_runner()
        with ThreadPoolExecutor(self.context.config.sidecar_readers, "sidecars") as readers:
            for results in runner.run(with_columns(files(), readers, self.context.unread)):
                for result in results:
                    self._store(result, replaces.pop(result.task.address, None), commits)
                commits.commit_if_due()
                self.embedded += len(results)
                tell()
                self.context.progress.advance(
                    len(results), sum(isinstance(result, Failed) for result in results)
                )
                if self._stopped:
                    break

    def _open_runner(self) -> Runner:
        """This machine's one stays open, since its processes take a second to start."""
        assert self.embedder is not None
        if self.runner is None:
            self.runner = self._held.enter_context(self._pipeline(self.embedder))
        return self.runner

    def _stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage. Indexing that began while sources were listed goes on to its end."""
        if self.stage != "indexing" or name not in ("comparing", "loading the model"):
            self.stage = name
            self.context.progress.stage(name, total)

    def _pipeline(self, embedder: Embedder) -> Pipeline:
        return self.context.pipeline(embedder, self.folder, exact=self.exact)

    def _store(self, result: Result, replaces: Place | None, commits: Commits) -> None:
        if isinstance(result, Embedded):
            commits.add(result)
            self.report.new += replaces is None
            self.report.changed += replaces is not None
        else:
            commits.skip(result)
            self.report.newly_skipped.append((str(result.task.address), result.reason))
            if result.transient:
                return  # the row it had stays: nothing says that the image changed
        if replaces is not None:
            commits.remove(replaces)

    def _recompute(self, commits: Commits, entries: Sequence[SegmentEntry]) -> None:
        if self.recompute and self.embedder is not None:
            with self._pipeline(self.embedder) as pipeline:
                said = {source.uri: source.says for source in self.listed.sources.values()}
                Recompute(self.context, commits, self.recompute, said).run(pipeline, entries)

    def _wrap_up(self, commits: Commits) -> None:
        if self._stopped:
            self.report.interrupted = True
            commits.commit()
            return
        wrap_up(
            self.context,
            commits,
            self.manifest,
            self.roots,
            relocated=bool(self.relocated) and not self.add,
            repairs=self.repairs,
            load_model=lambda: self._model_of(commits.manifest),
        )

    def _model_of(self, manifest: Manifest) -> Embedder:
        """The lake's model, as it is loaded or for the first time."""
        if self.embedder is None:
            self.embedder = self.load_embedder(manifest)
            check_model(str(self.context.layout.root), manifest, self.embedder)
        return self.embedder

    def _stop_early(self) -> SyncReport:
        """While the sources were listed."""
        if self.commits is None:
            return self._finish(None)
        self.commits.commit()
        return self._finish(self.commits.manifest)

    def _finish(self, manifest: Manifest | None, counts: Counts | None = None) -> SyncReport:
        manifest = manifest or self.manifest
        report = self.report
        report.interrupted = report.interrupted or self._stopped
        report.seconds = time.monotonic() - self.started
        if manifest is not None:
            report.snapshot, report.rows = manifest.snapshot, manifest.live_rows
            report.skipped = sum(entry.rows for entry in manifest.skipped)
        if counts is not None:
            report.unchanged += counts.same + self.plan.confirmed_count()
        if manifest is not None and not report.interrupted:
            report.problems += self._nothing_read()
        return report

    def _nothing_read(self) -> list[str]:
        """That no image of a lake, or of what was to be added, could be read. One that cannot,
        among others that can, is told and no failure.
        """
        report = self.report
        read = report.new + report.changed + report.moved + report.unchanged
        lake = report.lake
        if report.skipped and not report.rows:
            what = f"{lake} has no image: none could be read ({report.skipped:,} skipped)"
        elif self.add and report.newly_skipped and not read:
            what = f"none of the new images could be read ({len(report.newly_skipped):,} skipped)"
        else:
            return []
        return [
            f"{what}; `lakesift info {lake} --skipped` says why, and `lakesift sync {lake} --retry-skipped` tries again"
        ]


def _became_text(name: str, before: str, met: str) -> str:
    """What to know of a column that is text, though it held or holds something else.

    :param before: the type it had in the lake.
    :param met: the type that this run read.
    """
    if before == "string":
        words, form = _READ_AS[met]
        return (
            f"the column {name} is text in this lake: the {words} that were read now are written as "
            f"text, as in '{form}', and a `where` compares them so; to have them as {words}, give "
            "them a column of another name"
        )
    words, came = _READ_AS[before][0], "text" if met == "string" else _READ_AS[met][0]
    return (
        f"the column {name} held {words}, and {came} came: all of it is text from now on, and a "
        f"`where` compares it so; to have {words} again, give what came a column of another name"
    )
