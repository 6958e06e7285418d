"""Parts that are done with: committed, or thrown away because nobody wants them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from indexer.disk.durable import fsync_folder, make_folder
from indexer.disk.entries import reason_of, remove
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.disk.manifest import Manifest
from indexer.errors import BadRequest, LakeLocked
from indexer.parts.places import PartFiles, check_ours
from indexer.report import SyncReport


def discard_parts(lake: Path, *, use_lock: bool = True) -> int:
    """Throw away what parts embedded and nobody committed.

    :returns: how many bytes it had.
    :raises BadRequest: if there is nothing such.
    :raises LakeLocked: if a part is still running, or another process writes the lake.
    """
    layout = Layout(lake)
    if not layout.parts.is_dir():
        raise BadRequest("--discard", f"{lake} has no parts that are not committed")
    check_ours(layout)
    with writer(layout, use_lock=use_lock):
        with ExitStack() as held:
            for folder in sorted(layout.parts.iterdir()):
                if folder.is_dir() and use_lock:
                    held.enter_context(part_held(Layout(folder)))
            going = _set_aside(layout)
        return remove_aside(going)


@contextmanager
def part_held(layout: Layout) -> Iterator[None]:
    try:
        with writer(layout):
            yield
    except LakeLocked as error:
        raise LakeLocked(f"the part {layout.root.name}", error.holder) from None


def keep_seeks(layout: Layout, parts: Sequence[tuple[PartFiles, Manifest | None]]) -> None:
    """Where in compressed tars their members are, which the parts found out."""
    with suppress(OSError):  # what is not there is made again
        for part, _ in parts:
            for path in part.layout.seeks.glob("*.parquet"):
                make_folder(layout.seeks)
                path.rename(layout.seeks / path.name)


def leave_behind(
    layout: Layout, report: SyncReport, held: Sequence[PartFiles], *, use_lock: bool
) -> Path | None:
    """But under a part that began while the others were committed.

    :returns: what is to be removed, once nothing in it is held.
    """
    ours = {part.layout.root for part in held}
    try:
        with ExitStack() as locks:
            for folder in sorted(layout.parts.iterdir()):
                if use_lock and folder.is_dir() and folder not in ours:
                    locks.enter_context(part_held(Layout(folder)))
            return _set_aside(layout)
    except LakeLocked as error:
        report.notes.append(f"all that was done is committed, and the parts are kept: {error}")
    except OSError as error:
        report.notes.append(
            f"all is committed, but {layout.parts} could not be removed ({reason_of(error)}); "
            f"`lakesift commit {layout.root}` tries again"
        )
    return None


def _set_aside(layout: Layout) -> Path:
    """All parts at once: those that are half deleted are none."""
    make_folder(layout.staging)
    going = layout.staging / f"parts-{os.getpid()}"
    layout.parts.rename(going)
    fsync_folder(layout.root)
    return going


def remove_aside(going: Path) -> int:
    """Once no lock in it is held: NFS keeps a file that is open, and so its folder. What stays all
    the same lies with what crashes leave, and goes with the next writer.

    :returns: how many bytes it had, 0 where something stays.
    """
    try:
        return remove(going)
    except OSError:
        return 0
