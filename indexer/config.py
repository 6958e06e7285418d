"""Every knob of the write side, with unit and default. Each is also an environment variable, LAKESIFT_<NAME>."""

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
    readers: int = 16  # images of a remote source on their way at once
    batch_size: int = 0  # images an encoder call; 0: the embedder's own choice
    commit_rows: int = 5_000  # a commit after this many rows ...
    commit_s: float = 30.0  # ... or this long, whichever comes first
    first_commit_s: float = 2.0  # the first comes sooner, so that a long run can be searched at once
    max_segments: int = 12  # a run ends by merging to at most this many segments
    settle_s: float = 2.0  # rows modified this shortly before the scan are looked at again next time
    allow_empty: bool = False  # True: a source that lists nothing deletes the rows it had
    retry_skipped: bool = False  # True: files skipped before are tried again even where they have not changed
    drop_damaged: bool = False  # True: rows of damaged segments are given up and their images indexed again
    use_lock: bool = True  # False: the caller vouches that nobody else writes

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
