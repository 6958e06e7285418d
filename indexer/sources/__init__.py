"""Where images live. A source lists its images without opening them and reads one when asked; it decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

ColumnValue: TypeAlias = str | int | float | bool | datetime | None


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image as its source lists it: where its bytes are and what the listing knows of them."""

    uri: str  # absolute POSIX path or URL; bytes that are not UTF-8 stand as %XX
    path_bytes: bytes | None  # the path's own bytes, where uri had to escape some; else None
    size_bytes: int
    modified_us: (
        int | None
    )  # microseconds since the epoch, UTC, rounded down; None where the source does not say
    etag: str | None  # the store's own version mark, where it has one
    columns_etag: (
        str | None
    )  # changes whenever the sidecar files or the user's table say something else of this image
    sidecars: tuple[str, ...] = ()  # paths or URLs of its .txt and .json beside it


@dataclass(slots=True)
class Listing:
    """What became of a listing: filled in while `Source.files` is iterated, whole once it ends."""

    files: int = 0
    unlisted: list[tuple[str, str]] = field(
        default_factory=list
    )  # (uri prefix, reason): could not be looked into


class Source(Protocol):
    """A folder, a glob, a list of files; on disk or on anything fsspec opens."""

    @property
    def uri(self) -> str:
        """What the manifest remembers and `sync` opens again."""

    @property
    def is_local(self) -> bool:
        """True: `ImageFile`s are paths that a decoder process opens itself."""

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        """Every image file, in no particular order, none opened.

        :raises SourceError: if the source is not there at all.
        """

    def read(self, file: ImageFile, max_bytes: int) -> bytes:
        """The file's bytes, complete; safe to call from several threads.

        :raises UnreadableImage: if it is gone, not permitted, not a plain file, or larger than max_bytes.
        """

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        """`caption` and the source's own columns for this image, from sidecars and the user's table; never raises."""
