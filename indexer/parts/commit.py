"""All parts of a run in one snapshot of their lake.

It is the end of the run that the parts began: the sources are listed once more and compared with
the lake as it is now, so rows that moved are carried over, and rows whose file is gone are buried,
as by `sync`. Whatever is to be embedded is taken from the parts, in the order of the listing: rows
have the row ids that one run would have given them. Nothing is embedded here.

Who dies before the snapshot is published has changed nothing; who dies after it finds nothing to do
the next time but to throw the parts away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.config import IndexConfig
from indexer.disk.entries import reason_of
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, check_files
from indexer.disk.tables import SKIPPED_SCHEMA, Skipped, read_skipped
from indexer.disk.writer_note import NotedProgress
from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeError, NotWritten
from indexer.models import as_native, load_model_of
from indexer.parts.agreement import Agreement, read_agreement
from indexer.parts.leaving import keep_seeks, leave_behind, part_held, remove_aside
from indexer.parts.members import Members
from indexer.parts.places import PartFiles, check_ours, parts_of
from indexer.parts.share import named
from indexer.parts.taking import PartSegment, take_rows
from indexer.report import Progress, Silent, SyncReport
from indexer.run.listing import Scope
from indexer.run.live import live_tables
from indexer.run.plan.offers import Fitting, Offers
from indexer.run.roots import Roots
from indexer.run.writing.commits import Commits, clear_staging
from indexer.run.writing.first_run import folder_held
from indexer.sources.bytes_of import BytesOf
from indexer.sync import LoadEmbedder, Run
from indexer.words import count


@dataclass(frozen=True, slots=True)
class CommitReport:
    """What a commit of parts did."""

    parts: int  # that were taken
    missing: tuple[int, ...]  # numbers of those that were left out
    taken: int  # rows that came from them
    left: int  # images that no part had, and the next sync embeds
    run: SyncReport  # counted as by `sync`


def commit_parts(
    lake: Path,
    *,
    allow_missing: bool = False,
    load_embedder: LoadEmbedder | None = None,
    trust_model: bool = False,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> CommitReport:
    """Put what all parts of a lake embedded into it, as one snapshot, and throw the parts away.

    :param allow_missing: True commits without the parts that are not done; what those embedded so
        far is taken, too, and the rest is left to the next `sync`.
    :param load_embedder: the lake's model, which only a lake large enough for groups is measured
        with; None: what the lake names.
    :param trust_model: as `Lake.open` has it.
    :raises BadRequest: if no part was begun, or some are not done and allow_missing is False.
    :raises LakeLocked: if another process writes the lake, or a part is still running.
    :raises WrongModel, SourceError: as `sync`.
    :raises LakeError: if a part is damaged or of another plan, or the disk is full; the lake and
        its parts stay as they were.
    """
    layout = Layout(lake)
    agreement = _agreed(layout)
    config = config or IndexConfig.from_env()
    try:
        with folder_held(layout, config):
            going: Path | None = None
            with _parts_held(layout, agreement, config) as parts:
                clear_staging(layout)
                ready = _ready(layout, agreement, allow_missing=allow_missing)
                run = CommitRun(
                    layout,
                    agreement,
                    ready.parts,
                    load_embedder or _named_by(lake, trust_model=trust_model),
                    config,
                    NotedProgress(progress or Silent(), layout),
                    should_stop,
                )
                with closing(run):
                    report = run.run()
                if not report.interrupted:
                    keep_seeks(layout, ready.parts)
                    going = leave_behind(layout, report, parts, use_lock=config.use_lock)
            if going is not None:
                remove_aside(going)
    except NotWritten as error:
        raise LakeError(f"{error}; {_way_on(lake)}") from error
    except OSError as error:
        raise LakeError(f"{error.filename or lake}: {reason_of(error)}; {_way_on(lake)}") from error
    return CommitReport(len(ready.parts), ready.missing, run.fitting.rows, run.fitting.left, report)


def _agreed(layout: Layout) -> Agreement:
    agreement = read_agreement(layout)
    if agreement is None:
        raise BadRequest(
            "commit",
            f"{layout.root} has no parts to commit; they are made by: lakesift index SOURCE --into {layout.root} "
            "--part 1/16",
        )
    return agreement


def _way_on(lake: Path) -> str:
    return (
        f"nothing was committed, and the parts are as they were: run `lakesift commit {lake}` again"
    )


def _named_by(lake: Path, *, trust_model: bool) -> LoadEmbedder:
    def load(manifest: Manifest | None) -> Embedder:
        assert manifest is not None
        return load_model_of(str(lake), manifest, trust_model=trust_model)

    return load


# -- which parts there are


@dataclass(frozen=True, slots=True)
class _Ready:
    parts: list[tuple[PartFiles, Manifest | None]]
    missing: tuple[int, ...]


@contextmanager
def _parts_held(
    layout: Layout, agreement: Agreement, config: IndexConfig
) -> Iterator[list[PartFiles]]:
    """The parts that have begun, none of which can go on to write meanwhile."""
    begun = [part for part in parts_of(layout, agreement) if part.layout.root.is_dir()]
    with ExitStack() as held:
        for part in begun if config.use_lock else ():
            held.enter_context(part_held(part.layout))
        yield begun


def _ready(layout: Layout, agreement: Agreement, *, allow_missing: bool) -> _Ready:
    """:raises BadRequest: if some are missing; LakeError: if one is of another plan."""
    check_ours(layout)
    parts = parts_of(layout, agreement)
    of_another = [p for p in parts if p.plan_done() not in (None, agreement.digest)]
    known = {part.share.name for part in parts}
    strangers = [p.name for p in layout.parts.iterdir() if p.is_dir() and p.name not in known]
    for name in [*(str(part.share) for part in of_another), *sorted(strangers)]:
        raise LakeError(
            f"part {name} of {layout.root} is of another plan than the other parts; throw all away with `lakesift "
            f"commit {layout.root} --discard`, and give every part the same command"
        )
    found = [(part, part.manifest()) for part in parts]
    missing = [(part, m) for part, m in found if part.plan_done() is None]
    if missing and not allow_missing:
        raise BadRequest("commit", _missing(layout, missing, agreement.of))
    for part, manifest in found:
        if manifest is not None:
            _check(part, manifest, agreement)
    numbers = tuple(part.share.number for part, _ in missing)
    return _Ready(found, numbers)


def _missing(layout: Layout, missing: Sequence[tuple[PartFiles, Manifest | None]], of: int) -> str:
    each = []
    for part, manifest in missing:
        begun = f" ({count(manifest.live_rows, 'image')} so far)" if manifest else ""
        each.append(f"{part.share}{begun}")
    are = "is" if len(missing) == 1 else "are"
    return (
        f"{count(len(missing), 'part')} of the {of:,} of {layout.root} {are} not done: {named(each)}; run "
        "each again, it goes on from there, or leave the rest to `lakesift sync` with --allow-missing"
    )


def _check(part: PartFiles, manifest: Manifest, agreement: Agreement) -> None:
    """:raises LakeError: if a part is of another model, or not what it wrote."""
    if manifest.fingerprint != agreement.fingerprint or manifest.dim != agreement.dim:
        raise LakeError(
            f"part {part.share} of {part.lake.root} is of the model {manifest.model_id}, the others of "
            f"{agreement.model_id}; remove {part.layout.root}, and run it again"
        )
    for problem in check_files(part.layout, manifest, deep=True).problems:
        raise LakeError(f"{problem}; run part {part.share} again, it embeds them anew")


# -- the run


class CommitRun(Run):
    """A run whose images were embedded by others. All that it writes is one snapshot."""

    def __init__(
        self,
        layout: Layout,
        agreement: Agreement,
        parts: Sequence[tuple[PartFiles, Manifest | None]],
        load_embedder: LoadEmbedder,
        config: IndexConfig,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        self.fitting = Fitting(0, 0, 0, 0)
        self._agreement, self._parts = agreement, parts
        super().__init__(
            layout,
            load_embedder,
            agreement.sources,
            Roots({}),
            config,
            progress,
            should_stop,
            False,
            (),
            None,
        )
        bytes_of = BytesOf(careful=True, seeks=layout.seeks)
        self.context = replace(self.context, bytes_of=bytes_of)
        if self.manifest is not None:
            ours, theirs = self.manifest, agreement
            if as_native(ours.fingerprint) != theirs.fingerprint:
                raise LakeError(
                    f"{layout.root} is of the model {ours.model_id} by now, its parts are of {theirs.model_id}; throw "
                    f"them away with `lakesift commit {layout.root} --discard`"
                )

    def run(self) -> SyncReport:
        try:
            return super().run()
        except BaseException:
            self._take_back()
            raise

    def _take_back(self) -> None:
        if self.commits is not None:
            self.commits.take_back()

    def _list(self) -> None:
        self._stage("listing")
        members = Members([part.members for part, _ in self._parts])
        # Not the user but what lies in the lake names them now.
        scope = Scope(known=members.of, careful=True)
        lister = self._lister(self.add, scope)
        self.listed = lister.listed
        lister.list(self.context.progress.advance, self.context.should_stop)

    def _load_model(self, *, wanted: bool) -> None:
        """Nothing is embedded."""

    def _new_lake(self) -> Manifest:
        return self._agreement.new_lake()

    def _writing(self, manifest: Manifest) -> Commits:
        run = self.context
        return Commits(run.layout, manifest, run.config, run.scan_started_us, holds=True)

    def _embed(self, commits: Commits) -> None:
        """Take what the parts have."""
        offers = self.plan.offers()
        for part, manifest in self._parts:
            if manifest is not None:
                for table in live_tables(part.layout, manifest, self.roots):
                    offers.add_rows(table)
                offers.add_skipped(_skipped_of(part, manifest))
        self.fitting = offers.fit()
        self._stage("taking over", self.fitting.rows)
        commits.commit()
        replaced = list(offers.replaced())
        taken = [
            PartSegment(part.layout, manifest, entry)
            for part, manifest in self._parts
            if manifest is not None
            for entry in manifest.segments
        ]
        take_rows(self.context, commits, offers, taken)
        for place in replaced:
            commits.remove(place)
        self._skip(offers, commits)
        self.report.new += self.fitting.rows - len(replaced)
        self.report.changed += len(replaced)
        commits.commit()
        self._tell_left()

    def _skip(self, offers: Offers, commits: Commits) -> None:
        for skipped, had in offers.skips():
            commits.skip_as(skipped)
            self.report.newly_skipped.append((skipped.uri, skipped.reason))
            if had is not None and not skipped.transient:
                commits.remove(had)

    def _tell_left(self) -> None:
        fitting, lake = self.fitting, self.context.layout.root
        if fitting.left:
            images = count(fitting.left, "image is", "images are")
            self.report.notes.append(
                f"{images} in no part, since they came or changed after it was made, or it is missing: `lakesift sync "
                f"{lake}` embeds them"
            )
        if fitting.stale:
            images = count(fitting.stale, "image", "images")
            self.report.notes.append(
                f"of {images} the source says other columns by now: `lakesift sync {lake}` reads them again"
            )

    def _wrap_up(self, commits: Commits) -> None:
        if self._stopped:
            self.report.interrupted = True
            self._take_back()
            return
        super()._wrap_up(commits)


def _skipped_of(part: PartFiles, manifest: Manifest) -> list[Skipped]:
    table = read_skipped(part.layout, manifest)
    times = table["modified"].cast("int64")
    table = table.set_column(table.column_names.index("modified"), "modified", times)
    return [Skipped(*(row[name] for name in SKIPPED_SCHEMA.names)) for row in table.to_pylist()]
