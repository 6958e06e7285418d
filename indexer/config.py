"""Every knob of the write side, with unit and default.
Each is also an environment variable, LAKESIFT_<NAME>.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from indexer.errors import BadRequest

T = TypeVar("T", "ReadLimits", "IndexConfig")


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Caps that are checked before an image is decoded."""

    max_pixels: int = 180_000_000  # width x height of one image; about 720 MB as Pillow keeps RGB
    max_bytes: int = 200_000_000  # file size of one image
    decode_timeout_s: float = 60.0  # a decoder that takes longer is killed and its file skipped


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """How one run reads, embeds and commits."""

    limits: ReadLimits = ReadLimits()
    decoders: int = 0  # decoder processes; 0: one a core, at most 16
    # images on their way at once, of what is no file on this disk; 0: as many as make it faster,
    # from 8, at most 64, and half as many each time a store says that it is asked too much
    readers: int = 0
    # shards, archives and recordings that are looked into at once while a source is listed; 0: as
    # many as make it faster, as `readers`
    listers: int = 0
    batch_size: int = 0  # images an encoder call; 0: the embedder's own choice
    commit_rows: int = 5_000  # a commit after this many rows ...
    commit_s: float = 30.0  # ... or this long, whichever comes first
    # the first comes sooner, so that a long run can be searched at once
    first_commit_s: float = 2.0
    max_segments: int = 12  # a run ends by merging to at most this many segments
    # a lake of so many rows gets codes for its searches; 0: from where they pay
    codes_from_rows: int = 0
    # a lake of so many rows gets groups, too, and its searches look into the nearest alone unless
    # they ask for every row
    groups_from_rows: int = 10_000_000
    # rows modified this shortly before the scan are looked at again next time
    settle_s: float = 2.0
    # files on this machine that were modified this shortly before they are listed are still being
    # written, and left to a later run; 0: none is left
    still_s: float = 0.0
    # True: while any file is left so, rows whose file is gone are kept, since that is where their
    # image may be going, as when shards are dealt out anew
    waits_for_writers: bool = True
    allow_empty: bool = False  # True: a source that lists nothing deletes the rows it had
    # True: files skipped before are tried again even where they have not changed
    retry_skipped: bool = False
    # True: rows of damaged segments are given up and their images indexed again
    drop_damaged: bool = False
    use_lock: bool = True  # False: the caller vouches that nobody else writes

    @property
    def sidecar_readers(self) -> int:
        """Threads that read captions and columns beside images."""
        return self.readers or 16

    @classmethod
    def from_env(cls) -> IndexConfig:
        """The defaults, overridden by LAKESIFT_MAX_PIXELS, LAKESIFT_COMMIT_ROWS and the like.

        :raises BadRequest: if a variable does not parse or is not positive.
        """
        limits = _overridden(ReadLimits())
        return replace(_overridden(cls()), limits=limits)


def _overridden(defaults: T) -> T:
    changes: dict[str, Any] = {}
    for field in fields(defaults):
        default = getattr(defaults, field.name)
        text = os.environ.get(f"LAKESIFT_{field.name.upper()}")
        if text is None or isinstance(default, bool) or not isinstance(default, int | float):
            continue
        try:
            value = type(default)(text)
        except ValueError:
            value = type(default)(-1)
        if value < 0 or (value == 0 and default != 0):
            raise BadRequest(f"LAKESIFT_{field.name.upper()}", f"{text!r} is not a positive number")
        changes[field.name] = value
    return replace(defaults, **changes)
