"""Zips. A stored image lies there byte by byte; a deflated one is read through the zip's directory.

Zip64 is read. What is encrypted, or compressed in a way that Python lacks, is refused by name; a
member that is larger than its entry says is a bomb, and is refused when it is read.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images.files import check_size
from indexer.sources import ColumnValue
from indexer.sources.containers import DamagedContainer, Member
from indexer.sources.containers.beside import beside_in, is_wanted, sidecars_in
from indexer.sources.containers.kept import Kept
from indexer.sources.names import escaped
from indexer.sources.opened import open_file, read_part
from indexer.sources.sidecars import read_sidecars
from indexer.sources.store import Stores, store_reason

_MAX_DIRECTORY_BYTES = 1 << 30  # some ten million entries
_LOCAL_HEADER_BYTES = 30
_LARGEST_OFFSET = 2**62
_OPEN = 4  # directories that are kept
# What is compressed already, as photos are, grows by a little when it is deflated.
_MORE_WHEN_DEFLATED_BYTES = 1024
_CENTRAL_HEADER_BYTES = 46
_CENTRAL = b"PK\x01\x02"
_NAMES_ARE_UTF8 = 0x800
_NEWEST_VERSION = 63  # of the format that zipfile agrees to list
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class _Entry:
    """One member, as the zip's directory tells it."""

    header: int  # where its local header begins
    packed: int  # bytes in the zip
    size: int  # bytes of the member
    crc: int
    is_deflated: bool
    refused: str | None


class Zip:
    """Images of a zip."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._kept: Kept[dict[str, _Entry]] = Kept(stores, _OPEN)

    def members(self, file: Address) -> Iterator[Member]:
        entries = self._entries(file)
        speaking = sidecars_in({name: e.size for name, e in entries.items() if not e.refused})
        for name, entry in entries.items():
            if not is_wanted(name):
                continue
            beside = beside_in(speaking, name)
            yield Member(
                self._address(file, name, entry),
                entry.size,
                sidecars=tuple(beside),
                columns_mark=",".join(f"{s}:{entries[s].crc}" for s in beside) or None,
                refused=entry.refused or (None if entry.size else "empty file"),
            )

    def columns(self, member: Address, sidecars: tuple[str, ...]) -> dict[str, ColumnValue]:
        def read_sidecar(sidecar: str, count: int) -> bytes:
            try:
                limits = ReadLimits(max_bytes=count)
                return self.read(replace(member, member=sidecar, offset=None, length=None), limits)
            except UnreadableImage as error:
                if error.transient:
                    raise OSError(error.reason) from error
                raise ValueError(error.reason) from error

        return read_sidecars(sidecars, read_sidecar)

    def read(self, member: Address, limits: ReadLimits) -> bytes:
        name = str(member)
        try:
            entry = self._entries(member).get(str(member.member))
            if entry is None:
                raise UnreadableImage(name, "vanished: its zip has no such member any more")
            if entry.refused:
                raise UnreadableImage(name, entry.refused)
            check_size(name, entry.size, limits)
            if entry.packed > entry.size + entry.size // 8 + _MORE_WHEN_DEFLATED_BYTES:
                raise UnreadableImage(name, "it is larger packed than unpacked, as no zip is")
            start = self._start(member, entry)
            packed = read_part(member, start, entry.packed, self._stores)
        except DamagedContainer as error:
            raise UnreadableImage(name, f"its zip cannot be read: {error}") from error
        except UnreadableImage:
            raise
        # each store raises its own library's errors
        except Exception as error:
            gone = isinstance(error, FileNotFoundError)
            raise UnreadableImage(name, store_reason(error), transient=not gone) from error
        return _unpacked(name, packed, entry)

    def _entries(self, file: Address) -> dict[str, _Entry]:
        whole = Address(file.uri, file.path_bytes)
        return self._kept.of(file.uri, whole, lambda: self._directory(whole))

    def _directory(self, file: Address) -> dict[str, _Entry]:
        """Every member by name; of two of a name the last counts."""
        opened, _ = open_file(file, self._stores)
        capped = _Capped(opened)
        try:
            with opened, zipfile.ZipFile(cast(Any, capped)) as archive:
                return {
                    escaped(info.filename): _entry(info)
                    for info in archive.infolist()
                    if not info.is_dir()
                }
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
            if capped.failure is not None:
                raise capped.failure from error
            raise DamagedContainer(f"it is no zip, or damaged ({error})") from error

    def _address(self, file: Address, name: str, entry: _Entry) -> Address:
        """With the place of its bytes, where they stand there as they are, on this machine's disks.

        In a store that would take a request for each member, to read its local header.
        """
        place = Address(file.uri, file.path_bytes, name)
        if entry.is_deflated or entry.refused or not entry.size or file.is_url:
            return place
        try:
            start = self._start(file, entry)
            return Address(file.uri, file.path_bytes, name, start, entry.size)
        except (OSError, DamagedContainer):
            # it is told when it is to be read
            return place

    def _start(self, file: Address, entry: _Entry) -> int:
        """Where a member's bytes begin: behind its own header, which tells its length."""
        if not 0 <= entry.header <= _LARGEST_OFFSET:
            raise DamagedContainer(f"no member can stand at byte {entry.header:,}")
        header = read_part(file, entry.header, _LOCAL_HEADER_BYTES, self._stores)
        if len(header) < _LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
            raise DamagedContainer(f"no member stands at byte {entry.header:,}")
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        return entry.header + _LOCAL_HEADER_BYTES + names


class _Capped:
    """An opened zip, of which a directory of any size that is claimed is not read into memory."""

    def __init__(self, opened: BinaryIO) -> None:
        self.seek, self.tell, self.seekable = opened.seek, opened.tell, opened.seekable
        self.close, self._read = opened.close, opened.read
        # zipfile takes a read that fails for a file that is no zip
        self.failure: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size:,} bytes")
        try:
            data = self._read(size)
        except OSError as error:
            self.failure = error
            raise
        return _listable(data) if data.startswith(_CENTRAL) else data


def _listable(directory: bytes) -> bytes:
    """A directory of which zipfile refuses none for one entry's sake.

    A name that claims to be UTF-8 and is not would end it, and so would a version that is not known
    yet. Names that are UTF-8 and do not say so, as macOS writes them, are marked as such.
    """
    mended = bytearray(directory)
    place = 0
    while mended[place : place + 4] == _CENTRAL and place + _CENTRAL_HEADER_BYTES <= len(mended):
        name, extra, comment = struct.unpack_from("<3H", mended, place + 28)
        begin = place + _CENTRAL_HEADER_BYTES
        [flags] = struct.unpack_from("<H", mended, place + 8)
        is_utf8 = _is_utf8(directory[begin : begin + name])
        flags = flags | _NAMES_ARE_UTF8 if is_utf8 else flags & ~_NAMES_ARE_UTF8
        struct.pack_into("<H", mended, place + 8, flags)
        mended[place + 6] = min(mended[place + 6], _NEWEST_VERSION)
        place = begin + name + extra + comment
    return bytes(mended)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _entry(info: zipfile.ZipInfo) -> _Entry:
    refused = None
    if info.flag_bits & _ENCRYPTED:
        refused = "it is encrypted; unpack the zip with its password"
    elif info.compress_type not in _METHODS:
        kind = zipfile.compressor_names.get(info.compress_type, str(info.compress_type))  # type: ignore[attr-defined]
        refused = f"it is compressed by {kind}; only stored and deflated members are read"
    elif info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        sizes = f"{info.compress_size:,} and {info.file_size:,}"
        refused = f"its zip gives two sizes ({sizes} bytes) of what is not compressed"
    return _Entry(
        info.header_offset,
        info.compress_size,
        info.file_size,
        info.CRC,
        info.compress_type == zipfile.ZIP_DEFLATED,
        refused,
    )


def _unpacked(name: str, packed: bytes, entry: _Entry) -> bytes:
    """
    :raises UnreadableImage: if it is not what its entry says.
    """
    data = packed
    if len(packed) != entry.packed:
        raise UnreadableImage(name, "its zip is cut short")
    if entry.is_deflated:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = unpacker.decompress(packed, entry.size + 1)
        except zlib.error as error:
            raise UnreadableImage(name, f"it cannot be unpacked ({error})") from error
    if len(data) != entry.size:
        raise UnreadableImage(name, f"it is not of the {entry.size:,} bytes that its zip says")
    if zlib.crc32(data) != entry.crc:
        raise UnreadableImage(name, "its bytes are not those that were packed (checksum)")
    return data
