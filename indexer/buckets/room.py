"""Room for what a pull brings, where a lake's folder may take only so many bytes.

A search reads every vector, so a snapshot is here whole or not at all: what may go for a new one is
what older snapshots alone need, once nobody has them open and no filter names them. The snapshot
that is answered from goes only after the new one is here, so for a moment both are.
"""

from __future__ import annotations

from contextlib import suppress
from stat import S_ISREG

from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, read_manifest
from indexer.errors import BucketError, LakeNotFound
from indexer.run.writing.compact import vacuum, vacuum_beginning
from indexer.words import size


def make_room(
    layout: Layout, coming: Manifest, coming_bytes: int, *, at_most: int, url: str
) -> None:
    """Delete old snapshots if what comes would not fit beside them, or if they alone are too much.
    The caller holds the writer's lock.

    :param coming_bytes: of what is to be written.
    :param at_most: bytes that the lake's folder may take.
    :param url: of the copy that it comes from, for the message.
    :raises BucketError: if it does not fit even then.
    """
    if _taken(layout) + coming_bytes <= at_most:
        return
    try:
        current, _ = read_manifest(layout)
    except LakeNotFound:  # only what a first pull fetched before it was cut short
        is_held = vacuum_beginning(layout, coming).held
    else:
        is_held = vacuum(layout, current, keep_s=0.0, coming=coming).held
    taken = _taken(layout)
    if taken + coming_bytes <= at_most:
        return
    if is_held:
        raise BucketError(
            url,
            f"{layout.root} takes {taken:,} bytes, and {coming_bytes:,} are to come, where {at_most:,} are allowed; "
            "nothing of it could go, since somebody just opens the lake, or an old snapshot or a filter cannot be "
            f"read: run the same command again, and if it says so again, see `lakesift doctor {layout.root}`",
        )
    if not coming_bytes:
        raise BucketError(
            url,
            f"what is in use in {layout.root} takes {taken:,} bytes, where {at_most:,} are allowed; nothing of it can "
            "go: allow more with --disk-gb",
        )
    alone = sum(check.length for check in coming.checks.values())
    beside = f" beside the {size(taken)} that are in use in {layout.root}" if taken else ""
    raise BucketError(
        url,
        f"snapshot {coming.snapshot} takes {size(alone)}, and {size(coming_bytes)} are to be fetched{beside}: "
        f"{taken + coming_bytes:,} bytes, where {at_most:,} are allowed; it was not fetched. A search reads all "
        "vectors, so none of it can be left out: allow more with --disk-gb",
    )


def _taken(layout: Layout) -> int:
    """Bytes of the lake's own files; other things in its folder do not count."""
    taken = 0
    for entry in layout.entries():
        for path in (entry, *entry.rglob("*")) if entry.is_dir() else (entry,):
            # A service beside it deletes files meanwhile, as its note of what it reads.
            with suppress(FileNotFoundError):
                found = path.lstat()
                taken += found.st_size if S_ISREG(found.st_mode) else 0
    return taken
