"""Tars: plain ones, and WebDataset's shards, whose members of one key speak of one image.

Members are found by the standard library's `tarfile` and read by offset and length. In a tar of
`7.jpg`, `7.txt`, `7.json` and `7.cls` the text is the caption, the JSON object gives columns and
the class is the column `label`, for every image of the key `7` (the name up to the first dot of its
last part, as WebDataset has it). What is named by a longer stem, as `7.left.txt`, is of
`7.left.jpg` alone.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.sources import ColumnValue
from indexer.sources.containers import DamagedContainer, Member
from indexer.sources.containers.beside import beside_in, is_wanted, sidecars_in
from indexer.sources.names import escaped
from indexer.sources.opened import open_file, read_part
from indexer.sources.sidecars import read_sidecars
from indexer.sources.store import Stores

_BLOCK = tarfile.BLOCKSIZE
_MAX_HEADER_BYTES = 1 << 20
# What tarfile raises of headers that somebody made up; it reads each header that speaks of the next
# one level deeper.
_MAKES_NO_SENSE = (tarfile.TarError, ValueError, OverflowError, RecursionError)
_ZERO_BYTES = 1 << 20  # of the empty end of a tar, looked at at once


class _Headers:
    """An opened tar of which only headers are read. A long name or a PAX header counts as one."""

    def __init__(self, opened: BinaryIO) -> None:
        self.seek, self.tell, self._read = opened.seek, opened.tell, opened.read

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._read(size)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A member that holds bytes."""

    offset: int
    length: int
    refused: str | None


class _Found:
    """Members by name, of two of a name the last, and links to what has not been seen yet."""

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self._links: dict[str, str] = {}

    def add(self, name: str, entry: _Entry) -> None:
        self._links.pop(name, None)
        self.entries[name] = entry

    def link(self, name: str, target: str) -> None:
        if target in self.entries:
            self.add(name, self.entries[target])
        else:
            self._links[name] = target

    def follow_links(self, *, is_whole: bool) -> None:
        """Give each link the bytes that it leads to; an image's that leads nowhere is refused.

        :param is_whole: False: the tar ends early, and where it would lead is not known.
        """
        for name, target in self._links.items():
            seen = {name}
            while target not in self.entries and target in self._links and target not in seen:
                seen.add(target)
                target = self._links[target]
            if entry := self.entries.get(target):
                self.entries[name] = entry
            elif is_whole and is_wanted(name):
                self.entries[name] = _Entry(0, 0, ASTRAY)


class Tar:
    """Images of a tar that is not compressed."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def members(self, file: Address) -> Iterator[Member]:
        opened, size_bytes = open_file(file, self._stores)
        with opened:
            yield from list_members(file, opened, size_bytes)

    def columns(self, member: Address, sidecars: tuple[str, ...]) -> dict[str, ColumnValue]:
        def read_sidecar(sidecar: str, count: int) -> bytes:
            offset, _, length = sidecar.partition("@")[0].partition("+")
            return read_part(member, int(offset), min(int(length), count), self._stores)

        return read_sidecars(sidecars, read_sidecar)

    def read(self, member: Address, limits: ReadLimits) -> bytes:
        raise UnreadableImage(str(member), "it has no offset and length in its tar")


def list_members(file: Address, opened: BinaryIO, size_bytes: int) -> Iterator[Member]:
    """
    :param opened: the tar, seekable.
    :raises DamagedContainer: after all that can be listed.
    """
    found = _Found()
    damage = None
    try:
        _collect(opened, size_bytes, found)
    except DamagedContainer as error:
        damage = error
    found.follow_links(is_whole=damage is None)
    yield from _images(file, found.entries)
    if damage is not None:
        raise damage


def _collect(opened: BinaryIO, size_bytes: int, found: _Found) -> None:
    """Every member with bytes of its own, by name: of two of a name the last counts, as when it is
    unpacked. Tars that were put one behind the other are one.

    :raises DamagedContainer: where it ends early, or goes on with what is no tar.
    """
    if size_bytes == 0:
        raise DamagedContainer("it is no tar (empty file)")
    start = 0
    while start < size_bytes:
        opened.seek(start)
        try:
            # It reads nothing but headers.
            tar = tarfile.TarFile(fileobj=_Headers(opened))  # type: ignore[arg-type]
        except _MAKES_NO_SENSE as error:
            if start == 0 and _is_blank(opened, size_bytes):
                return
            raise _damage(opened, start, error) from error
        end = _collect_one(tar, opened, size_bytes, found)
        start = _next_start(opened, end, size_bytes)


def _collect_one(tar: tarfile.TarFile, opened: BinaryIO, size_bytes: int, found: _Found) -> int:
    """Up to the end mark of one tar; returns where that is."""
    while True:
        try:
            info = tar.next()
        except _MAKES_NO_SENSE as error:
            raise _damage(opened, tar.offset, error) from error
        if info is None:
            break
        # a size below nothing would have it read for ever
        if tar.offset <= info.offset:
            raise DamagedContainer(f"the header at byte {info.offset:,} makes no sense")
        # tarfile keeps them all, and needs none of them again
        tar.members = []  # type: ignore[attr-defined]
        _take(info, size_bytes, found)
    end = tar.offset
    opened.seek(end)
    mark = opened.read(_BLOCK)
    if not mark:
        raise DamagedContainer(f"it has no end mark, as if it was cut short at byte {end:,}")
    if any(mark):
        raise DamagedContainer(f"what stands at byte {end:,} is no header of a tar")
    return end


def _take(info: tarfile.TarInfo, size_bytes: int, found: _Found) -> None:
    name = _name(info.name)
    if info.islnk() or info.issym():
        found.link(name, _target(info))
        return
    # not one without a name either
    if not (info.isreg() and name):
        return
    refused = None
    if info.issparse():
        refused = SPARSE
    elif info.offset_data + info.size > size_bytes:
        raise DamagedContainer(f"it is cut short: it ends within {name}")
    found.add(name, _Entry(info.offset_data, info.size, refused))


def _name(text: str) -> str:
    """A NUL ends a name; a PAX header may hold more behind it."""
    return escaped(text.partition("\0")[0]).removeprefix("./")


def _target(info: tarfile.TarInfo) -> str:
    """The name that a link within the tar points to; "" for one that points out of it."""
    link = _name(info.linkname)
    if info.islnk():
        return link
    parts = _name(info.name).split("/")[:-1]
    for part in link.split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "" if link.startswith("/") else "/".join(parts)


def _images(file: Address, entries: Mapping[str, _Entry]) -> Iterator[Member]:
    speaking = sidecars_in({name: e.length for name, e in entries.items() if not e.refused})
    for name, entry in entries.items():
        if not is_wanted(name):
            continue
        beside = beside_in(speaking, name)
        refused = entry.refused or (None if entry.length else "empty file")
        span = (None, None) if entry.refused else (entry.offset, entry.length)
        yield Member(
            Address(file.uri, file.path_bytes, name, *span),
            size_bytes=entry.length,
            sidecars=tuple(
                f"{entries[sidecar].offset}+{entries[sidecar].length}@{sidecar}"
                for sidecar in beside
            ),
            columns_mark=",".join(f"{s}:{entries[s].length}" for s in beside) or None,
            refused=refused,
        )


def _next_start(opened: BinaryIO, end: int, size_bytes: int) -> int:
    """Where the next tar begins behind the end mark of one; the file's size if there is none."""
    opened.seek(end)
    place = end
    while data := opened.read(_ZERO_BYTES):
        left = data.lstrip(b"\0")
        if left:
            return (place + len(data) - len(left)) // _BLOCK * _BLOCK
        place += len(data)
    return size_bytes


def _is_blank(opened: BinaryIO, size_bytes: int) -> bool:
    """Whether it is an empty tar: its end mark alone."""
    return size_bytes >= _BLOCK and _next_start(opened, 0, size_bytes) == size_bytes


def _damage(opened: BinaryIO, place: int, error: Exception) -> DamagedContainer:
    if place == 0:
        opened.seek(0)
        if opened.read(4)[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5"):
            return DamagedContainer(COMPRESSED)
        return DamagedContainer(f"it is no tar ({error})")
    return DamagedContainer(f"it is damaged or cut short near byte {place:,} ({error})")


SPARSE = (
    "it is stored as a sparse file, so that its bytes are not in one piece; "
    "pack it without --sparse"
)
ASTRAY = "it is a link to something that is not in its tar"
COMPRESSED = (
    "it is a compressed tar, in which no image has a place of its own: store it uncompressed (JPEGs "
    "do not get smaller: `zstd -d`, `xz -d`, `bzip2 -d`) or as .tar.gz, or unpack it"
)
