"""What a run would do, without doing it: sources are listed and compared with the lake, and a few
images are read and embedded to see how fast that is. Nothing is written but a plan of its own,
which goes when the preview ends, and nothing is locked.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexer.config import IndexConfig
from indexer.disk.entries import check_lake
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, SourceEntry, read_manifest
from indexer.disk.writer_note import seen_writer
from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeError
from indexer.models import check_model, convert_first
from indexer.report import Progress, Silent, SyncReport
from indexer.run.context import Context
from indexer.run.embedding.tasks import with_columns
from indexer.run.listing import Listed, Lister
from indexer.run.live import add_lake
from indexer.run.plan.arrivals import Todo
from indexer.run.plan.plan import Plan
from indexer.run.plan.totals import Total
from indexer.run.recompute import recomputable
from indexer.run.roots import Roots
from indexer.run.writing.commits import check_foreign
from indexer.run.writing.opening import open_manifest
from indexer.sources import ImageFile, Source
from indexer.sources.bytes_of import BytesOf
from indexer.sources.opening import open_source

MEASURED_BATCHES = 3
MEASURED_S = 10.0  # after so long no other batch is waited for
LEAST_MEASURED = 48  # images, where there are as many


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast this machine indexes, measured on a few of the images."""

    model_id: str
    images: int  # that were measured
    seconds: float  # that they took

    @property
    def images_per_s(self) -> float:
        return self.images / self.seconds


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do, counted in images."""

    lake: str | None  # None: no lake was named
    is_new: bool  # True: the run would make it
    rows: int  # live rows that it has now
    totals: list[Total] = field(default_factory=list)
    to_index: int = 0  # images that are read and embedded, at most
    # of these, and of skipped ones: a row that lost its place may be theirs, which their bytes tell
    may_have_moved: int = 0
    to_recompute: int = 0  # rows whose images are read again for columns
    rate: Rate | None = (
        None  # None: there is nothing to measure, or it cannot be, as a problem says
    )
    problems: list[str] = field(default_factory=list)  # what a run would fail over, or leave out
    notes: list[str] = field(default_factory=list)  # sentences worth reading
    interrupted: bool = False  # True: it was stopped, and what it says is not all

    @property
    def seconds(self) -> float | None:
        """About how long the images take; None where no rate was measured."""
        return None if self.rate is None else self.to_index / self.rate.images_per_s


def preview(
    lake: Path | None,
    load_embedder: Callable[[Manifest | None], Embedder],
    *,
    add: Sequence[SourceEntry] = (),
    roots: Mapping[str, str] | None = None,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    exact: bool = False,
    recompute: Sequence[str] = (),
) -> Preview:
    """Say what `sync` of the same arguments would do.

    Files are compared by size, time and mark, not by content: an image that was only touched or
    moved counts among those to index, and `may_have_moved` says how many of them may be such.

    :param lake: None: a new one. It need not be there where sources are added.
    :raises BadRequest, LakeNotFound, SourceError, LakeError: as `sync`; a model that is missing or
        another than the lake's is a problem of the preview.
    """
    recompute = recomputable(recompute)
    for entry in add:
        open_source(entry.uri, layout=entry.layout, crops=entry.crops, frames=entry.frames)
    with tempfile.TemporaryDirectory(prefix="lakesift-plan-") as name:
        folder = Path(name)
        layout = Layout(folder / "new.lake" if lake is None else lake)
        if not add:
            read_manifest(layout)  # LakeNotFound
        elif layout.root.exists():
            _check_folder(layout)
        with closing(Plan(folder)) as plan:
            run = Context(
                layout,
                # what a run gives up is a change of the lake
                replace(config or IndexConfig.from_env(), drop_damaged=False),
                plan,
                BytesOf(careful=not add, seeks=folder / "seeks"),
                SyncReport(str(layout.root)),
                progress or Silent(),
                should_stop,
                int(time.time() * 1e6),
            )
            look = _Look(run, folder, list(add), Roots(roots or {}), exact, load_embedder)
            return replace(look.look(recompute), lake=None if lake is None else str(lake))


def _check_folder(layout: Layout) -> None:
    check_lake(layout)
    if not layout.root.is_dir():
        raise LakeError(f"{layout.root} is a file; choose a folder for the lake")
    check_foreign(layout)


@dataclass(slots=True)
class _Look:
    run: Context
    folder: Path
    add: list[SourceEntry]
    roots: Roots
    exact: bool
    load_embedder: Callable[[Manifest | None], Embedder]

    def look(self, recompute: Sequence[str]) -> Preview:
        run, plan, report = self.run, self.run.plan, self.run.report
        if writes := seen_writer(run.layout):
            report.notes.append(
                f"{writes} is writing {run.layout.root}: what it adds is not counted"
            )
        manifest = open_manifest(run.layout, run.config, report)
        given = manifest.sources if manifest else ()
        self.roots.imported = frozenset(entry.uri for entry in given if entry.is_imported)
        known = [self.roots.source(entry) for entry in given]
        if manifest is not None:
            add_lake(run, manifest, self.roots)
        before = {entry.uri for entry in given}
        lister = Lister(
            run,
            self.add or [entry for entry in known if not entry.is_imported],
            known=known,
            relocated=frozenset(entry.uri for entry in known) - before,
            adding=bool(self.add),
            remember=False,
        )
        run.progress.stage("listing", None)
        lister.list(run.progress.advance, run.should_stop)
        listed = lister.listed
        sources = [entry.uri for entry in listed.entries]
        left = set() if self.add else plan.sources() - {entry.uri for entry in known}
        # half a listing would read as deletions
        whole = [] if run.should_stop() else [*listed.complete, *left]
        plan.compare(whole, listed.unlisted)
        may_have_moved = plan.may_have_moved()
        plan.pair()
        found = plan.totals(sources)
        to_index = plan.todo_count() - sum(total.refused for total in found)
        again = () if self.add or manifest is None else recompute
        return Preview(
            None,
            manifest is None,
            manifest.live_rows if manifest else 0,
            found,
            to_index,
            may_have_moved,
            manifest.live_rows if manifest and again else 0,
            self._rate(manifest, listed) if to_index and not run.should_stop() else None,
            report.problems,
            report.notes,
            run.should_stop(),
        )

    def _rate(self, manifest: Manifest | None, listed: Listed) -> Rate | None:
        """A model that cannot be had is told of, and the rest of the preview stands."""
        self.run.progress.stage("loading the model", None)
        try:
            embedder = self.load_embedder(manifest)
            if manifest is not None:
                check_model(str(self.run.layout.root), manifest, embedder)
            convert_first(embedder, self.run.progress)
            return self._measure(embedder, listed)
        except BadRequest:  # a name that was typed just now
            raise
        except LakeError as error:
            self.run.report.problems.append(f"how long it takes cannot be measured: {error}")
            return None

    def _measure(self, embedder: Embedder, listed: Listed) -> Rate | None:
        """The rate of a few batches, once the decoders run and the model has seen a batch."""
        run = self.run
        batch = run.config.batch_size or embedder.batch_size
        sample = run.plan.sample(max(LEAST_MEASURED, (1 + MEASURED_BATCHES) * batch))
        first = min(batch, len(sample) // 3)
        run.progress.stage("measuring", len(sample))
        with (
            run.pipeline(embedder, self.folder, exact=self.exact) as pipeline,
            ThreadPoolExecutor(run.config.sidecar_readers, "sidecars") as readers,
        ):
            for results in pipeline.run(with_columns(_files(sample[:first], listed), readers)):
                run.progress.advance(len(results))
            done, started = 0, time.monotonic()
            for results in pipeline.run(with_columns(_files(sample[first:], listed), readers)):
                done += len(results)
                run.progress.advance(len(results))
                if run.should_stop() or time.monotonic() - started > MEASURED_S:
                    break
            return Rate(embedder.model_id, done, time.monotonic() - started) if done else None


def _files(sample: Sequence[Todo], listed: Listed) -> Iterator[tuple[ImageFile, Source]]:
    for todo in sample:
        yield todo.file, listed.sources[todo.source]
