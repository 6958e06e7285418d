"""What the verbs that write a lake have in common: the model, the knobs, signals, what is told."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from indexer.errors import BadRequest, LakeError
from indexer.sources.names import one_line
from indexer.words import count

if TYPE_CHECKING:
    from indexer.config import IndexConfig
    from indexer.disk.manifest import Manifest
    from indexer.embed import Embedder
    from indexer.report import SyncReport
    from indexer.run.embedding.tasks import Runner
    from indexer.sync import LoadEmbedder

SHOWN_SKIPPED = 10  # skipped files named at the end of a run; `info --skipped` lists them all


def snapshot_of(lake: Path) -> int | None:
    from indexer.disk.layout import Layout
    from indexer.disk.manifest import read_manifest

    try:
        return read_manifest(Layout(lake))[0].snapshot
    except LakeError:
        return None  # there is no lake yet, or what is wrong with it is told by the run


def forget_pictures(lake: Path, before: int) -> None:
    """Of rows that are gone: a service that runs does so itself, but none may be running."""
    from indexer.embed.model_cache import cache_folder
    from service.lake import Lake
    from service.pictures.decoders import DecoderPool
    from service.pictures.gone import hashes_gone
    from service.pictures.thumbnails import Thumbnails

    if not (cache_folder() / "thumbnails").is_dir():
        return
    # Without the snapshot before, as after a vacuum beside this run, they go in their turn.
    with suppress(LakeError), Lake.open(lake) as opened:
        gone = hashes_gone(opened.at(before), opened.snapshot)
        Thumbnails(cache_folder(), DecoderPool()).forget(gone)


def loader(arguments: argparse.Namespace, lake: Path) -> Callable[[Manifest | None], Embedder]:
    wanted = getattr(arguments, "model", None)
    precision = getattr(arguments, "precision", None)

    def load(manifest: Manifest | None) -> Embedder:
        from indexer.embed.catalog import ModelName
        from indexer.embed.models import load_embedder
        from indexer.errors import WrongModel
        from indexer.models import load_model_of

        if manifest is None:
            return load_embedder(wanted or "builtin", precision=precision, device=arguments.device)
        if wanted is not None and str(ModelName.parse(wanted)) != manifest.model_id:
            raise WrongModel(
                str(lake), manifest.model_id, wanted, "leave out --model, or index into a new lake"
            )
        return load_model_of(
            str(lake),
            manifest,
            precision=precision,
            device=arguments.device,
            trust_model=bool(arguments.trust_model) or wanted is not None,
        )

    return load


def runner_of(
    arguments: argparse.Namespace, load: LoadEmbedder, *, careful: bool
) -> tuple[LoadEmbedder, Runner | None]:
    """The runner that was asked for, and how it has the model loaded; None: this machine.

    :param careful: as `RayRunner` has it.
    """
    if arguments.runner is None:
        for flag in ("ray_address", "ray_workers"):
            if getattr(arguments, flag) is not None:
                name = f"--{flag.replace('_', '-')}"
                raise BadRequest(name, "it is of a cluster; add --runner ray")
        return load, None
    from indexer.run.embedding.on_ray import RayRunner, connect

    cluster = connect(arguments.ray_address, arguments.ray_workers or 0)
    workers = count(cluster.workers, "worker")
    print(f"on Ray: {workers}, {cluster.cores:g} cores each", file=sys.stderr)
    runner = RayRunner(
        cluster,
        config=config_of(arguments),
        exact=arguments.exact,
        careful=careful,
        precision=getattr(arguments, "precision", None),
        device=arguments.device,
    )
    return runner.noting(load), runner


def config_of(arguments: argparse.Namespace) -> IndexConfig:
    from dataclasses import replace

    from indexer.config import IndexConfig

    config = IndexConfig.from_env()
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    limits = replace(
        config.limits,
        **{name: given[name] for name in ("max_pixels", "max_bytes") if name in given},
    )
    names = (
        "batch_size",
        "decoders",
        "listers",
        "readers",
        "commit_rows",
        "allow_empty",
        "drop_damaged",
        "retry_skipped",
    )
    changes = {name: given[name] for name in names if name in given}
    return replace(config, limits=limits, use_lock=not arguments.no_lock, **changes)


class StopOnSignal:
    """Turns the first Ctrl-C or SIGTERM into a request to stop
    after a last commit; a second one stops at once.

    A context manager: afterwards signals do what they did before.
    """

    def __init__(self, what: str = "stopping after what is under way") -> None:
        """:param what: comes of the first signal."""
        self._what = what
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for name in (signal.SIGINT, signal.SIGTERM):
            self._before[name] = signal.signal(name, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self._before.items():
            if handler is not None:  # one that was not set from Python, which cannot be set again
                signal.signal(name, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        print(
            f"\nlakesift: {self._what}; once more to stop at once",
            file=sys.stderr,
        )

    def asked(self) -> bool:
        return self._asked


def report_json(report: SyncReport) -> dict[str, Any]:
    from dataclasses import asdict

    lists = {
        name: [{"uri": uri, "reason": reason} for uri, reason in getattr(report, name)]
        for name in ("newly_skipped", "not_recomputed")
    }
    return {**asdict(report), **lists, "seconds": round(report.seconds, 3)}


def tell_what_happened(report: SyncReport) -> None:
    """What was skipped, what went wrong and what is worth knowing."""
    for uri, reason in report.newly_skipped[:SHOWN_SKIPPED]:
        print(f"skipped {one_line(uri)}: {reason}", file=sys.stderr)
    more = len(report.newly_skipped) - SHOWN_SKIPPED
    if more > 0:
        print(f"skipped {more:,} more: lakesift info {report.lake} --skipped", file=sys.stderr)
    for uri, reason in report.not_recomputed[:SHOWN_SKIPPED]:
        print(f"kept as it was {one_line(uri)}: {reason}", file=sys.stderr)
    more = len(report.not_recomputed) - SHOWN_SKIPPED
    if more > 0:
        print(f"kept as they were {more:,} more: --json lists them all", file=sys.stderr)
    for problem in report.problems:
        print(f"warning: {problem}", file=sys.stderr)
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)


def tell(report: SyncReport) -> None:
    """The same, and what the run came to."""
    tell_what_happened(report)
    parts = [
        f"{count:,} {name}"
        for name, count in (
            ("new", report.new),
            ("changed", report.changed),
            ("moved", report.moved),
            ("gone", report.gone),
            ("unchanged", report.unchanged),
            ("recomputed", report.recomputed),
            ("skipped", report.skipped),
        )
        if count
    ]
    verb = "interrupted; committed so far" if report.interrupted else "indexed"
    what = ", ".join(parts) or "nothing to do"
    print(
        f"{verb}: {count(report.rows, 'image')} ({what}) in {report.seconds:.1f} s -> {report.lake}",
        file=sys.stderr,
    )
    if report.interrupted:
        go_on = (
            f"lakesift sync {report.lake}"
            if report.snapshot
            else "the same command; nothing was committed yet"
        )
        print(f"go on with: {go_on}", file=sys.stderr)
