"""Where images live. A source lists its images without opening them; it decides nothing.

What it lists has an `Address`, and `bytes_of` reads that, whatever the source.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from indexer.address import Address

ColumnValue: TypeAlias = str | int | float | bool | datetime | list[str] | None


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image as its source lists it: where its bytes are and what the listing knows of them."""

    address: Address
    size_bytes: int  # of the image; 0 where the source does not say
    modified_us: (
        int | None
    )  # microseconds since the epoch, UTC, rounded down; None where the source does not say
    etag: str | None  # the store's own version mark, where it has one
    columns_etag: (
        str | None
    )  # changes whenever the sidecar files or the user's table say something else of this image
    # paths or URLs of its .txt and .json beside it; in a container the container's own words
    sidecars: tuple[str, ...] = ()
    refused: str | None = None  # why it cannot be read, where the listing knows it already

    @property
    def uri(self) -> str:
        return self.address.uri


@dataclass(frozen=True, slots=True)
class TableFolder:
    """A folder that holds a table of many files, as a listing meets it."""

    kind: str  # "lance", "delta" or "iceberg"
    address: Address


@dataclass(frozen=True, slots=True)
class Whole:
    """A container of which a lake has every image, or the reason why not."""

    etag: str  # of its images
    columns_etag: str | None  # that all of its rows have; None: they differ, or have none


# As `columns_etag`, of a row whose columns could not be read: no listing says so, and the next sync
# reads them again.
UNREAD = "unread"


class UnreadColumns(Exception):
    """Something that speaks of an image cannot be read just now: its store fails, or its disk."""

    def __init__(
        self, name: str, reason: str, values: Mapping[str, ColumnValue] | None = None
    ) -> None:
        """:param values: the columns that could be read."""
        super().__init__(f"{name}: {reason}")
        self.name, self.reason, self.values = name, reason, values or {}


@dataclass(slots=True)
class Listing:
    """What a listing is told, and what became of it: filled in while `Source.files` is iterated,
    whole once it ends.
    """

    files: int = 0
    unlisted: list[tuple[str, str]] = field(
        default_factory=list
    )  # (prefix of keys, reason): could not be looked into; of a container it ends with PART
    # (uri, reason) of folders that were passed over and are no failure
    left_out: list[tuple[str, str]] = field(default_factory=list)
    # uri of a container -> what the lake has of its images, of those that are there whole
    whole: Mapping[str, Whole] = field(default_factory=dict)
    # where seek indexes of compressed tars are kept; None: they are not
    seeks: Path | None = None
    # whether those that are missing there are made again for tars that are as they were
    mends_seeks: bool = False
    # uris of containers that are as they were and whole in the lake: none was opened
    untouched: list[str] = field(default_factory=list)
    # uris of containers of which only some images could be listed
    partial: list[str] = field(default_factory=list)
    # uri -> width and height in px as the lake has them, of images whose file is as it was
    sizes: Callable[[Sequence[ImageFile]], Mapping[str, tuple[int, int]]] = lambda _: {}
    # folders that hold tables of many files (`catalogue`): met while listing, expanded after it
    tables: list[TableFolder] = field(default_factory=list)
    # files on this machine that were modified so many microseconds ago or less are still being
    # written, and are left to a later listing; 0: none is left
    still_us: int = 0
    in_motion: int = 0  # how many were left
    # whose containers, by their uri, are looked into; of others nothing is found gone
    is_ours: Callable[[str], bool] = lambda _: True
    others: int = 0  # containers that were left to others
    # uri of a container -> what a listing before found in it
    known: Callable[[str], Sequence[ImageFile]] = lambda _: ()
    # why -> uris of the containers that cannot be looked into, as far as this machine has them or
    # what reads them
    lacking: dict[str, list[str]] = field(default_factory=dict)
    # containers that are looked into at once where that means waiting; 0: as many as make it faster
    listers: int = 0
    # asked while it waits for what takes long; then it may end early, and its run ends, too
    should_stop: Callable[[], bool] = lambda: False

    def leaves(self, file: ImageFile) -> bool:
        """Whether a file that a source found is left to a later listing; then it is counted so.

        An object of a store appears whole, so its time says nothing. Clocks differ: a time that is
        as little ahead counts as one that is behind.
        """
        if not self.still_us or file.modified_us is None or file.address.is_url:
            return False
        is_left = abs(time.time() * 1e6 - file.modified_us) <= self.still_us
        self.in_motion += is_left
        return is_left

    def sort(self) -> None:
        """Put what is told into the order of names: a file system lists in an order of its own."""
        self.unlisted.sort()
        self.left_out.sort()
        self.lacking = {why: sorted(uris) for why, uris in sorted(self.lacking.items())}


class Source(Protocol):
    """A folder, a glob, a list of files; on disk or on anything fsspec opens."""

    @property
    def uri(self) -> str:
        """What the manifest remembers and `sync` opens again."""

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        """Every image file, in no particular order, none opened.

        :raises SourceError: if the source is not there at all.
        """

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        """`caption` and the source's own columns for this image, of sidecars and the user's table.

        :raises UnreadColumns: if some cannot be read just now, and may be read later. Nothing else
            is raised: what is wrong in a sidecar costs that alone.
        """
