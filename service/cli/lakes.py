"""A lake among the arguments: a folder of this machine or, for the verbs that write rows, a lake in
a bucket, which is worked on in a folder of this machine.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import BadRequest, CopiesDiverged, LakeError
from indexer.words import count, size
from service.cli.codes import DONE, INTERRUPTED
from service.cli.running import StopOnSignal

_FOLDER = "the lake's folder"


@dataclass(frozen=True, slots=True)
class InBucket:
    """A lake in a bucket, as it is named."""

    url: str

    def __str__(self) -> str:
        return self.url


def lake_folder(text: str) -> Path:
    """A folder of this machine; argparse tells what is wrong with it."""
    if "://" in text:
        name = text.rstrip("/").rpartition("/")[2] or "my.lake"
        raise argparse.ArgumentTypeError(
            f"{text} is no folder of this machine; bring the lake here first: lakesift pull {text} {name}"
        )
    return Path(text)


def lake_anywhere(text: str) -> Path | InBucket:
    return InBucket(text) if "://" in text else Path(text)


def add_lake(parser: argparse.ArgumentParser, *, help: str = _FOLDER) -> None:
    parser.add_argument("lake", type=lake_folder, metavar="LAKE", help=help)


def add_lake_anywhere(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lake",
        type=lake_anywhere,
        metavar="LAKE",
        help=f"{_FOLDER}, or a lake in a bucket: s3://bucket/my.lake",
    )
    add_work(parser)


def add_work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="of a lake in a bucket: the folder of this machine in which it is worked on; it holds the whole lake "
        "(default: one in the user's cache)",
    )


def check_no_work(arguments: argparse.Namespace) -> None:
    """:raises BadRequest: if a folder to work in is named for a lake that needs none."""
    if arguments.work is not None:
        raise BadRequest("--work", "it is for a lake in a bucket; this one is a folder")


def bring(arguments: argparse.Namespace, lake: InBucket) -> Path | None:
    """The working copy of a lake in a bucket, brought to what the bucket has.

    :returns: None where that was interrupted.
    """
    from indexer.buckets.working import bring_working_copy, default_working_copy
    from service.cli.progress import TerminalProgress

    folder: Path = arguments.work or default_working_copy(lake.url)
    print(f"working in {folder}", file=sys.stderr)
    with (
        StopOnSignal("stopping; what is here already is not fetched again") as stop,
        TerminalProgress() as progress,
    ):
        found = bring_working_copy(lake.url, folder, progress=progress, should_stop=stop.asked)
    return None if found is not None and found.interrupted else folder


@contextmanager
def speaking_of(lake: InBucket, folder: Path) -> Iterator[None]:
    """What goes wrong in a working copy is told of the lake that the person named: a command given
    on the copy alone would leave the bucket as it is. Commands that work on folders stay.
    """
    try:
        yield
    except LakeError as error:
        of_folders = r"(?<!doctor )(?<!publish )(?<!vacuum )(?<!info )"
        alone = rf"{of_folders}{re.escape(str(folder))}(?![\w/-]|\.\w)"
        error.args = (re.sub(alone, lake.url.replace("\\", r"\\"), str(error)),)
        raise


def work_on(arguments: argparse.Namespace, lake: InBucket, do: Callable[[Path], int]) -> int:
    """Bring a lake in a bucket here, work on it, and publish it.

    What was committed is published after Ctrl-C, too, and where some of the work failed: on a
    machine that goes away it would be lost.

    :param do: the work, in the folder that it is given.
    :returns: an exit code.
    """
    folder = bring(arguments, lake)
    if folder is None:
        print("interrupted; go on with: the same command", file=sys.stderr)
        return INTERRUPTED
    before = _snapshot(folder)
    try:
        with speaking_of(lake, folder):
            code = do(folder)
    except LakeError:
        if _snapshot(folder) != before:
            _send_after_all(folder, lake)
        raise
    sent = send(folder, lake)
    return code if code != DONE else sent


def _snapshot(folder: Path) -> bytes | None:
    """What tells it from all others; None: there is none."""
    from indexer.disk.layout import Layout

    try:
        return Layout(folder).manifest.read_bytes()
    except OSError:
        return None


def _send_after_all(folder: Path, lake: InBucket) -> None:
    """What was committed before the work failed; why that failed is what is told in the end."""
    try:
        send(folder, lake)
    except LakeError as error:
        print(f"it was not published: {error}", file=sys.stderr)


def send(folder: Path, lake: InBucket) -> int:
    """:returns: an exit code."""
    from indexer.buckets.publishing import publish_lake
    from indexer.disk.layout import Layout
    from service.cli.progress import TerminalProgress

    if not Layout(folder).manifest.exists():
        return DONE
    try:
        with (
            StopOnSignal("stopping; what is there already is not sent again") as stop,
            TerminalProgress() as progress,
        ):
            report = publish_lake(folder, lake.url, progress=progress, should_stop=stop.asked)
    except CopiesDiverged:
        raise
    except LakeError:
        print(
            f"what was made stays in {folder}; the same command goes on from it, and `lakesift publish {folder} "
            f"{lake}` sends it as it is",
            file=sys.stderr,
        )
        raise
    if report.interrupted:
        print(
            f"interrupted: {lake} is as it was; go on with: lakesift publish {folder} {lake}",
            file=sys.stderr,
        )
        return INTERRUPTED
    sent = f"{count(report.sent_files, 'file')}, {size(report.sent_bytes)}, sent"
    print(
        f"{lake} has snapshot {report.snapshot:,} of {count(report.rows, 'image')}: {sent}",
        file=sys.stderr,
    )
    return DONE
