"""A run in parts: what `index --part` does and says, and the verb `commit`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import BadRequest
from indexer.words import count, size
from service.cli.codes import DONE, FAILED, INTERRUPTED
from service.cli.lakes import (
    InBucket,
    add_lake_anywhere,
    bring,
    check_no_work,
    send,
    speaking_of,
)
from service.cli.mapping import keep_map_in_step
from service.cli.parts import Verbs, add_json, add_trust_model, add_verb, print_json
from service.cli.running import (
    StopOnSignal,
    config_of,
    forget_pictures,
    loader,
    report_json,
    runner_of,
    snapshot_of,
    tell,
    tell_what_happened,
)

if TYPE_CHECKING:
    from indexer.buckets.store import Stored
    from indexer.parts.commit import CommitReport
    from indexer.parts.share import Share
    from indexer.report import SyncReport


def add_part(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--part",
        metavar="K/N",
        help="embed the K-th of N parts alone, as one of N machines or processes that share the lake's folder; "
        "`lakesift commit` then puts all into the lake (default: all of it)",
    )


def add_commit(verbs: Verbs) -> None:
    parser = add_verb(verbs, "commit", "put what `index --part` embedded into its lake, as one snapshot", [
        "lakesift commit my.lake",
        "lakesift commit my.lake --allow-missing",
    ])  # fmt: skip
    parser.set_defaults(run=_commit)
    add_lake_anywhere(parser)
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="commit without the parts that are not done: what they embedded so far comes in, and `lakesift sync` "
        "embeds the rest (default: refuse, and name them)",
    )
    parser.add_argument(
        "--discard",
        action="store_true",
        help="throw away what the parts embedded; the lake stays as it is (default: commit it)",
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="write without a lock, on a file system that has none; no part may run meanwhile (default: refuse)",
    )
    add_trust_model(parser)
    add_json(parser)


def run_part(arguments: argparse.Namespace, lake: Path | InBucket, add: list[Any]) -> int:
    from indexer.parts.places import done_parts
    from indexer.parts.share import Share

    share = Share.parse(arguments.part)
    if isinstance(lake, InBucket):
        return _part_in_bucket(arguments, lake, share, add)
    check_no_work(arguments)
    report = _embed(arguments, lake, share, add, lambda: False)
    if arguments.json:
        print_json({"part": str(share), **report_json(report)})
    _tell_part(share, report)
    if not report.interrupted:
        _tell_done(done_parts(lake, share.of), share.of, lake)
    return _code(report)


def _part_in_bucket(
    arguments: argparse.Namespace, lake: InBucket, share: Share, add: list[Any]
) -> int:
    """What is embedded by then is sent after Ctrl-C, too: the machine may go away."""
    from indexer.parts.in_bucket import BucketPart, parts_done
    from service.cli.progress import TerminalProgress

    folder = bring(arguments, lake)
    if folder is None:
        print("interrupted; go on with: the same command", file=sys.stderr)
        return INTERRUPTED
    part = BucketPart(lake.url, folder, share)
    with TerminalProgress() as progress:
        part.fetch(progress)
    with speaking_of(lake, folder), part.sent_meanwhile():
        report = _embed(arguments, folder, share, add, lambda: part.refused is not None)
    if part.refused is not None:
        raise part.refused
    with TerminalProgress() as progress:
        part.send(progress)
    report.lake = str(lake)
    if arguments.json:
        print_json({"part": str(share), **report_json(report)})
    _tell_part(share, report)
    if not report.interrupted:
        _tell_done(parts_done(lake.url, share), share.of, lake)
    return _code(report)


def _embed(
    arguments: argparse.Namespace,
    lake: Path,
    share: Share,
    add: list[Any],
    is_useless: Callable[[], bool],
) -> SyncReport:
    from indexer.parts.part import index_part
    from service.cli.progress import TerminalProgress

    load, runner = runner_of(arguments, loader(arguments, lake), careful=False)
    with StopOnSignal() as stop, TerminalProgress() as progress:
        return index_part(
            lake,
            load,
            share,
            add=add,
            config=config_of(arguments),
            progress=progress,
            should_stop=lambda: stop.asked() or is_useless(),
            exact=arguments.exact,
            runner=runner,
        )


def _code(report: SyncReport) -> int:
    if report.interrupted:
        return INTERRUPTED
    return FAILED if report.problems else DONE


def _tell_part(share: Share, report: SyncReport) -> None:
    tell_what_happened(report)
    verb = "interrupted; embedded so far" if report.interrupted else "embedded"
    parts = [
        f"{number:,} {name}"
        for name, number in (
            ("new", report.new),
            ("there already", report.unchanged),
            ("skipped", report.skipped),
        )
        if number
    ]
    what = ", ".join(parts) or "its share has no image"
    print(
        f"part {share} {verb}: {count(report.rows, 'image')} ({what}) in {report.seconds:.1f} s -> {report.lake}",
        file=sys.stderr,
    )
    if report.interrupted:
        print("go on with: the same command", file=sys.stderr)


def _tell_done(done: int, of: int, lake: Path | InBucket) -> None:
    left = f"once all are: lakesift commit {lake}"
    if done == of:
        left = f"go on with: lakesift commit {lake}"
    print(f"{done:,} of {count(of, 'part is', 'parts are')} done; {left}", file=sys.stderr)


def _commit(arguments: argparse.Namespace) -> int:
    if arguments.discard:
        return _discard(arguments)
    if isinstance(arguments.lake, InBucket):
        return _commit_in_bucket(arguments, arguments.lake)
    check_no_work(arguments)
    return _commit_folder(arguments, arguments.lake)


def _commit_in_bucket(arguments: argparse.Namespace, lake: InBucket) -> int:
    from indexer.parts.in_bucket import fetch_parts, remove_parts
    from service.cli.progress import TerminalProgress

    folder = bring(arguments, lake)
    fetched: dict[str, Stored] = {}
    if folder is not None:
        with (
            StopOnSignal("stopping; nothing is committed") as stop,
            TerminalProgress() as progress,
        ):
            fetched = fetch_parts(lake.url, folder, progress=progress, should_stop=stop.asked)
    if folder is None or stop.asked():
        print("interrupted; nothing was committed: go on with the same command", file=sys.stderr)
        return INTERRUPTED
    with speaking_of(lake, folder):
        code = _commit_folder(arguments, folder, called=str(lake))
    if code == INTERRUPTED:
        return code
    sent = send(folder, lake)
    if sent != DONE:
        return sent
    # Only what was fetched: what a part sent since is not in the lake.
    remove_parts(lake.url, fetched)
    return code


def _commit_folder(arguments: argparse.Namespace, lake: Path, called: str | None = None) -> int:
    """:param called: what the lake is called where the folder is its working copy."""
    from dataclasses import replace

    from indexer.config import IndexConfig
    from indexer.parts.commit import commit_parts
    from service.cli.progress import TerminalProgress

    before = snapshot_of(lake)
    with (
        StopOnSignal("stopping; nothing is committed") as stop,
        TerminalProgress() as progress,
    ):
        report = commit_parts(
            lake,
            allow_missing=arguments.allow_missing,
            trust_model=bool(arguments.trust_model),
            config=replace(IndexConfig.from_env(), use_lock=not arguments.no_lock),
            progress=progress,
            should_stop=stop.asked,
        )
    run = report.run
    run.lake = called or run.lake
    if run.interrupted:
        print(
            f"interrupted; nothing was committed, and all parts are as they were: {run.lake}",
            file=sys.stderr,
        )
        return INTERRUPTED
    if before is not None and (run.gone or run.changed):
        forget_pictures(lake, before)
    if arguments.json:
        print_json(_commit_json(report))
    _tell_commit(report)
    keep_map_in_step(lake)
    return FAILED if run.problems else DONE


def _commit_json(report: CommitReport) -> dict[str, Any]:
    counts = {"parts": report.parts, "missing": list(report.missing), "taken": report.taken}
    return {**counts, "left": report.left, **report_json(report.run)}


def _tell_commit(report: CommitReport) -> None:
    from indexer.parts.share import named

    if report.missing:
        parts = named(report.missing)
        print(f"warning: without all of the parts {parts}", file=sys.stderr)
    whole = report.parts - len(report.missing)
    print(f"took {count(report.taken, 'image')} of {count(whole, 'whole part')}", file=sys.stderr)
    tell(report.run)


def _discard(arguments: argparse.Namespace) -> int:
    from indexer.parts.leaving import discard_parts

    if arguments.allow_missing:
        raise BadRequest("--discard", "it commits nothing; leave out --allow-missing")
    if isinstance(arguments.lake, InBucket):
        from indexer.parts.in_bucket import remove_parts

        freed = remove_parts(arguments.lake.url)
        if not freed:
            raise BadRequest("--discard", f"{arguments.lake} has no parts that are not committed")
    else:
        check_no_work(arguments)
        freed = discard_parts(arguments.lake, use_lock=not arguments.no_lock)
    if arguments.json:
        print_json({"lake": str(arguments.lake), "size_bytes": freed})
    print(f"thrown away: the parts of {arguments.lake}, {size(freed)}", file=sys.stderr)
    return DONE
