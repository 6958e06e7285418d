"""A lake's copy in a bucket: the verbs `publish` and `pull`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from indexer.errors import BadRequest, LakeError
from indexer.words import count, size
from service.cli.codes import DONE, INTERRUPTED
from service.cli.indexing import time_us
from service.cli.lakes import add_lake, lake_folder
from service.cli.parts import Verbs, add_json, add_verb, print_json
from service.cli.running import StopOnSignal

if TYPE_CHECKING:
    from indexer.buckets.publishing import PublishReport
    from indexer.buckets.pulling import PullReport

_URL = "the copy's folder: s3://bucket/my.lake, gs://bucket/my.lake or az://container/my.lake"


def add_publish(verbs: Verbs) -> None:
    parser = add_verb(verbs, "publish", "bring a lake's copy in a bucket to the lake's snapshot", [
        "lakesift publish my.lake s3://bucket/my.lake",
        "lakesift publish my.lake s3://bucket/my.lake --prune",
    ])  # fmt: skip
    parser.set_defaults(run=_publish)
    add_lake(parser)
    parser.add_argument("url", metavar="URL", help=_URL)
    parser.add_argument(
        "--prune",
        action="store_true",
        help="remove files from the copy that its snapshot does not need and that are older than a day (default: keep "
        "them)",
    )
    add_json(parser)


def add_pull(verbs: Verbs) -> None:
    parser = add_verb(verbs, "pull", "bring a lake on disk to the snapshot of its copy in a bucket", [
        "lakesift pull s3://bucket/my.lake my.lake",
        "lakesift pull s3://bucket/my.lake my.lake --watch --interval 1m",
        "lakesift pull s3://bucket/my.lake my.lake --watch --disk-gb 50",
    ])  # fmt: skip
    parser.set_defaults(run=_pull)
    parser.add_argument("url", metavar="URL", help=_URL)
    parser.add_argument(
        "lake",
        type=lake_folder,
        metavar="LAKE",
        help="the lake's folder; made, if it is not there",
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="go on until Ctrl-C or SIGTERM: pull again every --interval; one line for a pull that brought something "
        "(default: pull once)",
    )
    parser.add_argument(
        "--interval",
        type=time_us,
        metavar="TIME",
        help="with --watch: wait so long between two pulls, as 30s or 10m; up to ten times as long while the bucket "
        "cannot be read (default: 30s)",
    )
    parser.add_argument(
        "--disk-gb",
        type=_gigabytes,
        metavar="GB",
        help="what the lake's folder may take, in GB of 1,000,000,000 bytes: old snapshots that nobody has open go for "
        "a new one, and one that does not fit even then is not fetched (default: as much as it needs)",
    )
    add_json(parser)


def _gigabytes(text: str) -> int:
    """Bytes; argparse tells what is wrong with it."""
    try:
        given = float(text)
    except ValueError:
        given = 0.0
    if not 1e-9 <= given < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no number of GB above 0, as 50 or 0.5")
    return int(given * 1e9)


def _publish(arguments: argparse.Namespace) -> int:
    from indexer.buckets.publishing import publish_lake
    from service.cli.progress import TerminalProgress

    with (
        StopOnSignal("stopping; what is there already is not sent again") as stop,
        TerminalProgress() as progress,
    ):
        report = publish_lake(
            arguments.lake,
            arguments.url,
            prune=arguments.prune,
            progress=progress,
            should_stop=stop.asked,
        )
    if arguments.json:
        print_json(asdict(report))
    _tell_published(report)
    return INTERRUPTED if report.interrupted else DONE


def _tell_published(report: PublishReport) -> None:
    sent = f"{count(report.sent_files, 'file')}, {size(report.sent_bytes)}, sent; {report.kept_files:,} were there"
    if report.interrupted:
        print(
            f"interrupted: {sent}; {report.url} is as it was, go on with: the same command",
            file=sys.stderr,
        )
        return
    print(
        f"{report.url} has snapshot {report.snapshot:,} of {count(report.rows, 'image')}: {sent}",
        file=sys.stderr,
    )
    if report.removed_files:
        print(
            f"removed: {count(report.removed_files, 'file')} that no snapshot needs",
            file=sys.stderr,
        )


def _pull(arguments: argparse.Namespace) -> int:
    from indexer.buckets.pulling import pull_lake
    from service.cli.progress import TerminalProgress

    if arguments.watch:
        return _follow(arguments)
    if arguments.interval is not None:
        raise BadRequest("--interval", "it says how to --watch; add that")
    with (
        StopOnSignal("stopping; what is here already is not fetched again") as stop,
        TerminalProgress() as progress,
    ):
        report = pull_lake(
            arguments.url,
            arguments.lake,
            at_most=arguments.disk_gb,
            progress=progress,
            should_stop=stop.asked,
        )
    if arguments.json:
        print_json(asdict(report))
    _tell_pulled(report)
    return INTERRUPTED if report.interrupted else DONE


def _follow(arguments: argparse.Namespace) -> int:
    """Ctrl-C and SIGTERM are how it ends, so they are no failure: exit code 0."""
    from indexer.buckets.following import INTERVAL_S, follow
    from service.cli.progress import TerminalProgress

    interval_s = INTERVAL_S if arguments.interval is None else arguments.interval / 1e6
    with StopOnSignal() as stop, TerminalProgress(is_passing=True) as progress:
        for done in follow(
            arguments.url,
            arguments.lake,
            interval_s=interval_s,
            at_most=arguments.disk_gb,
            progress=progress,
            should_stop=stop.asked,
        ):
            progress.clear()
            if isinstance(done, LakeError):
                print(f"warning: {done}; it is tried again", file=sys.stderr, flush=True)
                continue
            if arguments.json:
                print_json(asdict(done))
            _tell_pulled(done)
    return DONE


def _tell_pulled(report: PullReport) -> None:
    files = count(report.fetched_files, "file")
    got = f"{files}, {size(report.fetched_bytes)}, fetched; {report.kept_files:,} were here"
    if report.interrupted:
        print(f"interrupted: {got}; go on with: the same command", file=sys.stderr)
    elif report.is_ahead:
        print(
            f"{report.lake} goes on from what {report.url} has ({got}); send it with: lakesift publish {report.lake} "
            f"{report.url}",
            file=sys.stderr,
        )
    else:
        print(
            f"{report.lake} has snapshot {report.snapshot:,} of {count(report.rows, 'image')}: {got}",
            file=sys.stderr,
        )
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    if report.own:
        more = f"{count(report.own, 'file')} of filters, tags or searches"
        print(
            f"{more} here {'has' if report.own == 1 else 'have'} more than there: "
            f"lakesift publish {report.lake} {report.url}",
            file=sys.stderr,
        )
