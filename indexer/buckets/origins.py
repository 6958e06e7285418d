"""What a lake and its copies in buckets had in common when they were last alike: `origins.json`.

A lake that still is what it was then has nothing of its own, so a newer snapshot may take its
place; a bucket that still is has nothing of anybody else's. A snapshot that is about to go from the
one to the other is noted before it does: whoever dies on the way may have brought it there or not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from indexer.buckets.store import Bucket, Stored
from indexer.disk.durable import replace_file
from indexer.disk.entries import read_file
from indexer.disk.layout import Layout
from indexer.disk.locks import held
from indexer.disk.sealed import CHECKSUM, break_seal, sealed
from indexer.errors import LakeDamaged
from indexer.fields import Fields

FORMAT = 1
_LOCK_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Origin:
    checksum: str  # of the snapshot's manifest
    said: Mapping[str, str] = field(default_factory=dict)  # name -> mark, of what is replaced whole


@dataclass(frozen=True, slots=True)
class Underway:
    """Checksums of snapshots' manifests."""

    taken: str | None = None  # the bucket's, about to take the place of this lake's
    sent: str | None = None  # this lake's, about to take the place of the bucket's


def read_origins(layout: Layout) -> dict[str, Origin]:
    """By URL. A file that cannot be believed says nothing: then snapshots speak for themselves."""
    return _read(layout)[0]


def read_underway(layout: Layout, url: str) -> Underway:
    return _read(layout)[1].get(url, Underway())


def _read(layout: Layout) -> tuple[dict[str, Origin], dict[str, Underway]]:
    try:
        fields = Fields.parse(read_file(layout.origins))
        if not break_seal(fields) or fields.whole("format") > FORMAT:
            return {}, {}
        found = {}
        for url, each in fields.inner("origins").rest().items():
            origin = Fields(each, url)
            found[url] = Origin(origin.text("checksum"), dict(origin.maybe_mapping("said") or {}))
        underway = {}
        # Earlier versions wrote none.
        ways = fields.inner("underway").rest() if fields.has("underway") else {}
        for url, each in ways.items():
            sides = Fields(each, url)
            underway[url] = Underway(sides.maybe_text("taken"), sides.maybe_text("sent"))
        return found, underway
    except (OSError, ValueError, RecursionError):
        return {}, {}


def note_origin(
    layout: Layout, url: str, origin: Origin | None, underway: Underway | None = None
) -> None:
    """Remember it, beside those of other copies. In a lake that cannot be written nothing is noted:
    the next one compares as if it were the first.

    :param origin: None: as it was.
    :param underway: None: nothing is.
    :raises LakeError: if another process holds them for long.
    """
    origins, ways = _read(layout)
    if origin in (None, origins.get(url)) and ways.get(url) == underway:
        return
    no_locking = f"{layout.root} lies on a file system without locks; move the lake to a local disk"
    if not os.access(layout.root, os.W_OK):
        return
    # Two may publish one lake to two buckets at once.
    with held(layout.origins_lock, no_locking, wait_s=_LOCK_WAIT_S):
        origins, ways = _read(layout)
        if origin is not None:
            origins[url] = origin
        if underway is None:
            ways.pop(url, None)
        else:
            ways[url] = underway
        body: dict[str, Any] = {
            "format": FORMAT,
            "origins": {
                url: {"checksum": each.checksum, "said": dict(each.said)}
                for url, each in origins.items()
            },
        }
        if ways:
            body["underway"] = {
                url: {"taken": each.taken, "sent": each.sent} for url, each in ways.items()
            }
        with suppress(OSError):
            replace_file(layout.origins, json.dumps(sealed(body), indent=1).encode())


def checksum_of_snapshot(data: bytes, path: str) -> str:
    """What tells a snapshot from all others.

    :param data: its manifest.
    :raises LakeDamaged: if it is none.
    """
    try:
        return Fields.parse(data).text(CHECKSUM)
    except (ValueError, RecursionError):
        raise LakeDamaged(path, "it is not a manifest") from None


def has_been_there(
    bucket: Bucket, stored: Mapping[str, Stored], snapshot: int, checksum: str
) -> bool:
    """Whether a bucket has this snapshot of ours among its older ones, so that its newest goes on
    from that: somebody went on from what a machine sent that died before it noted so.

    :param stored: names of the bucket.
    """
    name = f"manifests/{snapshot:06d}.json"
    found = bucket.read(name) if name in stored else None
    return found is not None and checksum_of_snapshot(found[0], f"{bucket.url}/{name}") == checksum
