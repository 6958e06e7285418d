"""One part of a run: it lists all, embeds its share, and commits into a place of its own below the
lake.

A part holds no lock against other parts, and changes nothing of the lake: rows that are there stay
as they are until `commit`. One that died goes on from what it had written, as any run does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.config import IndexConfig
from indexer.disk.durable import fsync_folder, make_folder
from indexer.disk.entries import NotPlain, check_entry, check_lake, reason_of
from indexer.disk.layout import Layout
from indexer.disk.locks import Reading
from indexer.disk.manifest import Manifest, SourceEntry, read_manifest
from indexer.disk.tables import Place
from indexer.disk.writer_note import NotedProgress
from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeError, LakeNotFound, LakeUnsafe, NotWritten
from indexer.models import check_model, convert_first
from indexer.parts.agreement import Agreement, Settings, agree, read_agreement
from indexer.parts.members import Members
from indexer.parts.places import PartFiles, check_ours
from indexer.parts.share import Share
from indexer.report import Progress, Silent, SyncReport
from indexer.run.embedding.tasks import Failed, Result, Runner
from indexer.run.listing import Lister, Scope
from indexer.run.live import add_live_rows, add_skipped_files
from indexer.run.plan.arrivals import Todo
from indexer.run.plan.plan import Counts
from indexer.run.plan.sharing import Mine
from indexer.run.roots import Roots
from indexer.run.streaming import Streaming
from indexer.run.writing.commits import Commits, check_foreign, clear_staging
from indexer.run.writing.first_run import folder_held
from indexer.sources.opening import open_source
from indexer.sync import LoadEmbedder, Run

_NEVER = 2**62


@dataclass(frozen=True, slots=True)
class _Base:
    """The lake that a part is of, as it was when the part began."""

    layout: Layout
    manifest: Manifest | None  # None: there is none yet

    @property
    def name(self) -> str:
        return str(self.layout.root)


def index_part(
    lake: Path,
    load_embedder: LoadEmbedder,
    share: Share | str,
    *,
    add: Sequence[SourceEntry],
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    exact: bool = False,
    runner: Runner | None = None,
) -> SyncReport:
    """Embed one part's share of what `sync` of these sources would embed; `commit_parts` puts it
    into the lake.

    The report counts the part's own images; its `rows` are those that wait to be committed.

    :param load_embedder: called once, with what names the model, None for a new lake.
    :param share: which part of how many, as "3/16".
    :param add: the sources, the same for every part, in the same order.
    :param runner: as for `sync`.
    :raises BadRequest: if there is no such part; if no source is given; if the parts of this lake
        were begun with another number of parts, sources or settings.
    :raises WrongModel: if the lake's or the other parts' vectors are of another model.
    :raises LakeLocked: if this very part runs already.
    :raises SourceError: if a source is not there or lists nothing.
    :raises LakeError: if the disk is full, or something lies there that is no lake.
    """
    share = Share.parse(share) if isinstance(share, str) else share
    if not add:
        raise BadRequest("--part", "it is a part of what SOURCEs have; name them")
    for entry in add:
        open_source(entry.uri, layout=entry.layout, crops=entry.crops, frames=entry.frames)
    config = config or IndexConfig.from_env()
    base, own = Layout(lake), PartFiles(Layout(lake), share)
    _check_plain(own)
    # What a part writes is small and merged by whoever commits. What is damaged is embedded anew.
    config = replace(
        config,
        max_segments=_NEVER,
        codes_from_rows=_NEVER,
        groups_from_rows=_NEVER,
        drop_damaged=True,
    )
    try:
        with _made(base), folder_held(own.layout, config):
            clear_staging(own.layout)
            run = PartRun(
                own,
                _Base(base, _manifest_of(base)),
                load_embedder,
                add,
                config,
                NotedProgress(progress or Silent(), own.layout),
                should_stop,
                exact,
                runner,
            )
            with closing(run):
                return run.run()
    except NotWritten as error:
        raise LakeError(f"{error}; run part {share} again to go on") from error
    except OSError as error:
        name = error.filename or lake
        raise LakeError(f"{name}: {reason_of(error)}; run part {share} again to go on") from error


def _check_plain(part: PartFiles) -> None:
    """A lake's own folder may be a link, since its name is the caller's; that of a part is not."""
    try:
        for path in (part.lake.parts, part.layout.root, part.members, part.done):
            check_entry(path)
    except NotPlain as error:
        raise LakeUnsafe(str(error.filename), error.what) from None


def _manifest_of(layout: Layout) -> Manifest | None:
    try:
        return read_manifest(layout)[0]
    except LakeNotFound:
        return None


class _made:
    """The folders of a lake that parts lie below; those that were made and hold nothing go again
    where a part fails before it began.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._new: list[Path] = []

    def __enter__(self) -> None:
        layout, root = self._layout, self._layout.root
        check_lake(layout)
        if root.is_file():
            raise LakeError(f"{root} is a file; choose a folder for the lake")
        if root.is_dir():
            check_foreign(layout)
        if layout.parts.is_dir():
            check_ours(layout)
        above = [path for path in root.absolute().parents if not path.exists()]
        self._new = [*reversed(above)]
        root.parent.mkdir(parents=True, exist_ok=True)
        # All that a lake begins with: then no source takes it for a folder of images.
        own = [layout.manifests, layout.segments, layout.tombstones, layout.skipped, layout.staging]
        for folder in (root, *own, layout.parts):
            if not folder.is_dir():
                make_folder(folder)
                self._new.append(folder)

    def __exit__(self, *_: object) -> None:
        if self._layout.manifest.exists() or any(self._layout.parts.iterdir()):
            return
        for folder in reversed(self._new):
            with suppress(OSError):
                folder.rmdir()


class PartRun(Run):
    """A run of a part's own lake that knows the rows of the lake it is a part of."""

    def __init__(
        self,
        own: PartFiles,
        base: _Base,
        load_embedder: LoadEmbedder,
        add: Sequence[SourceEntry],
        config: IndexConfig,
        progress: Progress,
        should_stop: Callable[[], bool],
        exact: bool,
        runner: Runner | None,
    ) -> None:
        super().__init__(
            own.layout,
            load_embedder,
            add,
            Roots({}),
            config,
            progress,
            should_stop,
            exact,
            (),
            runner,
        )
        self._own, self._base = own, base
        self._mine = Mine(own.share.number, own.share.of)
        self._lists: Lister | None = None
        self._agreement: Agreement | None = None
        self._transient = 0  # images that could not be read, and may be fine
        # of the part's own lake, as the run began
        mine = self.manifest.segments if self.manifest else ()
        self._segments = frozenset(entry.id for entry in mine)
        if base.manifest is not None:
            # What a source was given before, it has here, too.
            self.known = list(base.manifest.sources)

    def run(self) -> SyncReport:
        self._stage("loading the model")
        agreed = read_agreement(self._base.layout)
        known = self._base.manifest or (agreed.new_lake() if agreed else None)
        self.embedder = self.load_embedder(known)
        if self._base.manifest is not None:
            check_model(self._base.name, self._base.manifest, self.embedder)
        report = super().run()
        report.lake = self._base.name
        if self._lost_all(report):
            report.problems.append(
                f"none of the images of part {self._own.share} could be read, and all may be fine: it is not done, run "
                "it again"
            )
        elif not report.interrupted and self._agreement is not None:
            self._agree()
            facts = {"images": report.rows, "skipped": report.skipped}
            self._own.note_done(self._agreement, facts)
        return report

    def _lost_all(self, report: SyncReport) -> bool:
        """As on a machine without the keys of a bucket, or without its network."""
        read = report.new + report.unchanged
        return bool(self._transient) and not read and self._transient == len(report.newly_skipped)

    # -- what is there

    def _load_live(self) -> None:
        if self._base.manifest is not None:
            self._load_base(self._base.layout)
        # Of containers that the part itself has whole, their members are written down again.
        self._whole = self.plan.whole_containers()
        super()._load_live()

    def _load_base(self, layout: Layout) -> None:
        reading = Reading(layout)
        with closing(reading):
            base = read_manifest(layout)[0]
            reading.hold([base.snapshot])
            add_live_rows(self.plan, layout, base, self.roots)
            retry = self.context.config.retry_skipped
            add_skipped_files(self.plan, layout, base, self.roots, retry=retry)

    def _lister(self, entries: Sequence[SourceEntry], scope: Scope | None = None) -> Lister:
        scope = Scope(self._own.share.holds, Members([self._own.members]).of, self._whole)
        lister = self._lists = super()._lister(entries, scope)
        self._check_agreed(lister.listed.entries)
        return lister

    def _check_agreed(self, sources: Sequence[SourceEntry]) -> None:
        assert self.embedder is not None
        limits = self.context.config.limits
        settings = Settings(limits.max_pixels, limits.max_bytes, self.exact)
        of = self._own.share.of
        ours = Agreement.of_model(of, tuple(sources), settings, self.embedder)
        if (agreed := read_agreement(self._base.layout)) is not None:
            agreed.check(ours, self._base.name, self._own.share)
        self._agreement = ours

    def _agree(self) -> None:
        """Before the first thing is written that is of use to others: a source that lists nothing
        leaves nothing behind.
        """
        assert self._agreement is not None
        agree(self._base.layout, self._agreement, self._own.share)

    # -- what is its own

    def _arriving(self, streaming: Streaming) -> Iterator[Todo]:
        for image in super()._arriving(streaming):
            if self._own.share.holds(image.file.uri):
                yield image
            else:
                streaming.pass_over()

    def _compare(self, complete: Sequence[str]) -> Counts:
        self._write_members()
        super()._compare(complete)
        return Counts(same=self.plan.leave_others(self._mine))

    def _write_members(self) -> None:
        beside = self._own.members.with_name(f"{self._own.members.name}.new")
        try:
            self.plan.write_members(beside)
            beside.replace(self._own.members)
        finally:
            beside.unlink(missing_ok=True)
        fsync_folder(self._base.layout.parts)

    def _pair(self) -> None:
        super()._pair()
        others = self._lists.others if self._lists is not None else 0
        self.plan.leave_moves(self._segments, others_hide=others > 0)

    def _load_model(self, *, wanted: bool) -> None:
        if wanted and not self._stopped and self.embedder is not None:
            convert_first(self.embedder, self.context.progress)

    def _bury(self, commits: Commits) -> None:
        own = [place for place in self.plan.gone() if place.segment in self._segments]
        for place in own:
            commits.remove(place)
        if own:
            commits.commit()

    def _store(self, result: Result, replaces: Place | None, commits: Commits) -> None:
        """The row that it replaces is the lake's, unless the part wrote it itself."""
        self._transient += isinstance(result, Failed) and result.transient
        is_own = replaces is not None and replaces.segment in self._segments
        super()._store(result, replaces if is_own else None, commits)

    def _commits(self) -> Commits | None:
        """A share without images leaves no lake of its own behind."""
        if self.commits is None and self.manifest is None and not self._has_images():
            return None
        if self.commits is None:
            self._agree()
        return super()._commits()

    def _has_images(self) -> bool:
        return self.stage != "comparing" or self.plan.todo_count() > 0

    def _nothing_read(self) -> list[str]:
        """A share may well be one image that cannot be read: that is told by whoever commits."""
        return []

    def _model_of(self, manifest: Manifest) -> Embedder:
        assert self.embedder is not None
        return self.embedder
