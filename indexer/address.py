"""Where one image's bytes are, as one value: a file, an object of a store, or a part of either.

Opens nothing: `indexer.sources.bytes_of` reads what an address names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from indexer.errors import UnreadableImage

# In a key it stands where a part of a file begins, and between what names the part: no file and no
# member has it in its name.
PART = "\0"

Region: TypeAlias = tuple[int, int, int, int]  # left, top, width, height in px of the upright image

# The columns of rows.parquet that hold an address, and their Arrow types.
ADDRESS_COLUMNS = {
    "uri": "string",
    "path_bytes": "binary",
    "member": "string",
    "offset": "int64",
    "length": "int64",
    "row_group": "int64",
    "row_index": "int64",
    # Names that a user's own columns hardly have.
    "stream_id": "string",
    "time_us": "int64",
    "region_px": "string",  # left,top,width,height
}


@dataclass(frozen=True, slots=True)
class Address:
    """One image's place. Two addresses are equal if and only if they name the same place.

    A file or an object alone is the image. With `offset` and `length`, these bytes of it are; a
    `member` is their name in an archive. The other fields are for places inside a table, a stream
    or a picture: `bytes_of` says which of them it reads.

    :raises UnreadableImage: if the fields contradict each other. An address may come from a lake
        that somebody else made, so this is an image's fault and not a programmer's.
    """

    uri: str  # absolute POSIX path or URL; bytes that are not UTF-8 stand as %XX
    path_bytes: bytes | None = None  # the path's own bytes, where uri had to escape some
    member: str | None = None  # the image's name in an archive
    offset: int | None = None  # of the image's first byte in the file
    length: int | None = None  # of the image, in bytes
    # of a Parquet file, from 0; in a recording the byte at which a chunk begins
    row_group: int | None = None
    # in the row group, or in a table without any, from 0; in a recording a message's place
    row_index: int | None = None
    stream: str | None = None  # a video's or a recording's, by its own name
    # in the stream, microseconds as its file counts them; in a recording from the beginning of 1970
    time_us: int | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        # Every file of a listing passes here: most are whole, and need no further question.
        if self.uri and self.path_bytes is None and self.is_whole:
            return
        if problem := self._problem():
            raise UnreadableImage(self.uri or "''", f"this is no address of an image: {problem}")

    def _problem(self) -> str | None:
        if not self.uri:
            return "it names no file"
        if self.path_bytes is not None and is_url(self.uri):
            return "a URL has no path on this machine"
        numbers = ("offset", "length", "row_group", "row_index", "time_us")
        if below := [name for name in numbers if (getattr(self, name) or 0) < 0]:
            return f"its {below[0]} is {getattr(self, below[0])}, below 0"
        if (self.offset is None) != (self.length is None):
            return "offset and length belong together"
        if self.row_group is not None and self.row_index is None:
            return "a row group without a row"
        if (self.stream is None) != (self.time_us is None):
            return "stream and time belong together"
        if PART in f"{self.uri}{self.member}{self.stream}":
            return "a NUL stands in a name"
        if self.region is not None and (min(self.region[:2]) < 0 or min(self.region[2:]) < 1):
            return f"its region is {self.region}: left, top from 0, width, height from 1"
        return None

    @property
    def is_url(self) -> bool:
        return is_url(self.uri)

    @property
    def is_whole(self) -> bool:
        """Whether the whole file is the image."""
        return (
            self.member is None
            and self.offset is None
            and self.length is None
            and self.row_group is None
            and self.row_index is None
            and self.stream is None
            and self.time_us is None
            and self.region is None
        )

    @property
    def is_inside(self) -> bool:
        """Whether only a reader of its file's kind finds the image: it has no span of its own."""
        is_named = self.member is not None or self.stream is not None
        return self.row_index is not None or (is_named and self.offset is None)

    @property
    def path(self) -> bytes | None:
        """The local file's path, exactly; None for a URL."""
        if self.is_url:
            return None
        return self.path_bytes if self.path_bytes is not None else self.uri.encode()

    @property
    def span(self) -> tuple[int, int] | None:
        """(offset, length) of the image in its file; None where they are not known."""
        if self.offset is None or self.length is None:
            return None
        return self.offset, self.length

    def __str__(self) -> str:
        """As messages name it: the uri, and where only a part of the file is the image, what part,
        as in `/a.tar#member=x/1.jpg`. A file may be called so, too; `key` tells them apart.
        """
        return shown(self.key)

    @property
    def key(self) -> str:
        """As a run tells one image from another: two images of what sources list never share one.

        A member's name is enough; its bytes move when its archive is written anew.
        """
        part = self.part
        return self.uri if part is None else f"{self.uri}{PART}{part}"

    @property
    def part(self) -> str | None:
        """What follows the uri in the key; None where the whole file is the image."""
        return None if self.is_whole else PART.join(self._parts())

    def _parts(self) -> list[str]:
        parts = []
        if self.member is not None:
            parts.append(f"member={self.member}")
        elif self.span is not None:
            parts.append(f"bytes={self.offset}+{self.length}")
        # A moment is enough, too; where its message lies in its recording may change.
        if self.row_index is not None and self.stream is None:
            group = "" if self.row_group is None else f"{self.row_group}/"
            parts.append(f"row={group}{self.row_index}")
        if self.stream is not None and self.time_us is not None:
            seconds, us = divmod(self.time_us, 1_000_000)
            parts += [f"stream={self.stream}", f"t={seconds}.{us:06d}"]
        if self.region is not None:
            parts.append(f"xywh={','.join(map(str, self.region))}")
        return parts

    def columns(self) -> dict[str, Any]:
        """The values of ADDRESS_COLUMNS."""
        return {
            "uri": self.uri,
            "path_bytes": self.path_bytes,
            "member": self.member,
            "offset": self.offset,
            "length": self.length,
            "row_group": self.row_group,
            "row_index": self.row_index,
            "stream_id": self.stream,
            "time_us": self.time_us,
            "region_px": self.region and ",".join(map(str, self.region)),
        }

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Address:
        """:param row: one with the ADDRESS_COLUMNS; what is missing is null, as in lakes of earlier
            versions. Its other columns are passed over.

        :raises UnreadableImage: if they are no address.
        """
        uri = row["uri"]
        place = {name: row.get(name) for name in _AS_THEY_ARE}
        region = row.get("region_px")
        return cls(
            uri,
            stream=row.get("stream_id"),
            region=None if region is None else _region(uri, region),
            **place,
        )


_AS_THEY_ARE = ("path_bytes", "member", "offset", "length", "row_group", "row_index", "time_us")


def _region(uri: str, text: str) -> Region:
    try:
        left, top, width, height = map(int, text.split(","))
    except ValueError:
        raise UnreadableImage(uri, f"this is no region of a picture: {text!r}") from None
    return left, top, width, height


def shown(key: str) -> str:
    """An address's key as messages name it."""
    return key.replace(PART, "#", 1).replace(PART, "&")


def is_url(text: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None
