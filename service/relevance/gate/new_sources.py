"""New images for a gate from whole sources:
listed, read and embedded as `lakesift index` does, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from indexer.address import PART
from indexer.config import IndexConfig
from indexer.embed import Embedder
from indexer.errors import LakeError, NotWritten, SourceError
from indexer.images.decoder import ReadSettings
from indexer.report import Progress, Silent
from indexer.run.embedding.pipeline import Pipeline, default_decoders
from indexer.run.embedding.tasks import Embedded, Result, with_columns
from indexer.run.listing import why_empty
from indexer.run.plan.plan import Plan
from indexer.sources import Listing
from indexer.sources.opening import OpenSource, open_source
from service.relevance.gate.answers import ImageDecided
from service.relevance.gate.gate import Gate
from service.relevance.gate.new_images import incoming


@dataclass(slots=True)
class Notes:
    """What went wrong besides single images, a sentence each."""

    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # what was passed over and is no failure


def decide_sources(
    gate: Gate,
    sources: Sequence[str],
    load_embedder: Callable[[], Embedder],
    *,
    columns: str | None = None,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    notes: Notes | None = None,
) -> Iterator[list[ImageDecided]]:
    """Decide every image of some sources, by source and path,
    in pieces as they are ready; memory stays bounded.

    :param sources: folders, globs, lists of files, single images and URLs, as `lakesift index`
        takes them.
    :param load_embedder: called once there is an image.
    :param columns: path of a table of the user's own columns, which the filter's where may ask for.
    :param notes: is told of folders that could not be looked into.
    :raises SourceError: if a source is not there or lists nothing.
    :raises LakeError: if the folder for temporary files is full.
    """
    progress, config, notes = progress or Silent(), config or IndexConfig(), notes or Notes()
    opened = [open_source(source, columns) for source in sources]  # all, before anything is listed
    with TemporaryDirectory(prefix="lakesift-") as folder:
        plan = Plan(Path(folder))
        try:
            _list(plan, opened, progress, notes)
            embedder = load_embedder()
            progress.stage("deciding", plan.todo_count())
            for results in _results(plan, opened, embedder, config, Path(folder)):
                decided = _decide(gate, results)
                progress.advance(len(decided), sum(image.decision is None for image in decided))
                yield decided
        except NotWritten as error:
            raise LakeError(f"{error}; TMPDIR can name a folder with more room") from error
        finally:
            plan.close()


def _list(plan: Plan, sources: Sequence[OpenSource], progress: Progress, notes: Notes) -> None:
    progress.stage("listing", None)
    for number, source in enumerate(sources):
        listing, stored = Listing(), 0
        for stored_now in plan.add_listing(number, source.files(listing)):
            progress.advance(stored_now - stored)
            stored = stored_now
        if not stored:
            raise SourceError(source.uri, why_empty(listing))
        notes.problems += [_unlisted(prefix, reason) for prefix, reason in listing.unlisted]
        notes.left_out += [f"{uri}: {reason}" for uri, reason in listing.left_out]
        notes.left_out += [
            f"{uri}: {reason}" for reason, uris in listing.lacking.items() for uri in uris
        ]
    plan.compare([], [])
    plan.pair()


def _unlisted(prefix: str, reason: str) -> str:
    """:param prefix: of a folder, or of a container, which ends with PART."""
    if prefix.endswith(PART):
        return f"{prefix.removesuffix(PART)}: {reason}; only the images before that were decided"
    return f"{prefix}: {reason}; its images were not decided"


def _results(
    plan: Plan, sources: Sequence[OpenSource], embedder: Embedder, config: IndexConfig, folder: Path
) -> Iterator[list[Result]]:
    giants_lock = str(folder / "giants.lock")
    pipeline = Pipeline(
        embedder,
        ReadSettings(embedder.input_shape, config.limits, giants_lock=giants_lock),
        decoders=config.decoders or default_decoders(),
        readers=config.readers,
        batch_size=config.batch_size or embedder.batch_size,
    )
    files = ((todo.file, sources[todo.source]) for todo in plan.todo())
    with ThreadPoolExecutor(config.sidecar_readers, "sidecars") as readers, pipeline:
        yield from pipeline.run(with_columns(files, readers))


def _decide(gate: Gate, results: Sequence[Result]) -> list[ImageDecided]:
    wanted = [
        incoming(str(result.task.address), result.row, result.vector)
        for result in results
        if isinstance(result, Embedded)
    ]
    decided = iter(gate.decide(wanted))
    return [
        next(decided)
        if isinstance(result, Embedded)
        else gate.unreadable(str(result.task.address), result.reason)
        for result in results
    ]
