"""Tars that are compressed as a whole: `.tar.gz`.

Listing one unpacks it in memory, piece by piece, and finds points from which it can be read again.
An image is read by unpacking the piece or two that it lies in. What was found is kept in the lake
(`seek_file`); where it is not, it is found again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images.files import check_size
from indexer.sources import ColumnValue
from indexer.sources.containers import DamagedContainer, Member
from indexer.sources.containers.kept import Kept
from indexer.sources.containers.packed import seek_file
from indexer.sources.containers.packed.gzip_points import Ends, find_points, unpack
from indexer.sources.containers.packed.pieces import Pieces, Unpackable
from indexer.sources.containers.packed.seek_file import SeekIndex
from indexer.sources.containers.tar import list_members
from indexer.sources.opened import open_file, read_part
from indexer.sources.sidecars import read_sidecars
from indexer.sources.store import Stores, store_reason

_OPEN = 4  # tars that are kept
_ONE_READ_BYTES = 4 << 20  # while the whole is read: in a bucket each costs a request


@dataclass(frozen=True, slots=True)
class _Tar:
    """One tar, ready to be read at any place."""

    pieces: Pieces
    members: Mapping[str, tuple[int, int]]
    damage: str | None = None

    @property
    def index(self) -> SeekIndex:
        pieces = self.pieces
        return SeekIndex(pieces.points, pieces.packed_bytes, pieces.size_bytes, self.members)


class PackedTar:
    """Images of a tar in a gzip. Safe for several threads."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._kept: Kept[_Tar] = Kept(stores, _OPEN)
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._taking_turns = threading.Lock()
        # of the lake that is written: what is found is kept there
        self.folder: Path | None = None

    def members(self, file: Address) -> Iterator[Member]:
        with self._turn(file):
            tar, listed = self._scanned_or_kept(file, self.folder)
            if listed is None:
                tar, listed = self._list(file, tar.index)
        yield from listed
        if tar.damage is not None:
            raise DamagedContainer(tar.damage)

    def columns(self, member: Address, sidecars: tuple[str, ...]) -> dict[str, ColumnValue]:
        def read_sidecar(sidecar: str, count: int) -> bytes:
            offset, _, length = sidecar.partition("@")[0].partition("+")
            try:
                tar = self._opened(member, self.folder)
                return tar.pieces.at(int(offset), min(int(length), count))
            # each store raises its own library's errors
            except Exception as error:
                raise OSError(store_reason(error)) from error

        return read_sidecars(sidecars, read_sidecar)

    def read(self, member: Address, limits: ReadLimits, folder: Path | None = None) -> bytes:
        """:param folder: of the lake whose row it is, where its seek index may be."""
        name = str(member)
        try:
            tar = self._opened(member, folder or self.folder)
            place = tar.members.get(str(member.member))
            if place is None:
                raise UnreadableImage(name, "vanished: its tar has no such member any more")
            check_size(name, place[1], limits)
            data = tar.pieces.at(*place)
        except (DamagedContainer, Unpackable) as error:
            raise UnreadableImage(name, f"its tar cannot be read: {error}") from error
        except UnreadableImage:
            raise
        # each store raises its own library's errors
        except Exception as error:
            gone = isinstance(error, FileNotFoundError)
            raise UnreadableImage(name, store_reason(error), transient=not gone) from error
        if len(data) != place[1]:
            raise UnreadableImage(name, "its tar is cut short")
        return data

    def keep_index(self, file: Address, state: str) -> None:
        """Make a tar's file of the lake anew, if it is not there.

        :param state: as `seek_file.state` has it.
        """
        name = seek_file.name_of(file.uri, state)
        if self.folder is not None and not (self.folder / name).exists():
            with self._turn(file):
                self._scan(file, name)

    def _opened(self, member: Address, folder: Path | None) -> _Tar:
        file = Address(member.uri, member.path_bytes)
        with self._turn(file):
            return self._scanned_or_kept(file, folder)[0]

    def _turn(self, file: Address) -> threading.Lock:
        """One after the other of a tar, so that it is looked through once."""
        with self._taking_turns:
            return self._turns[file.uri]

    def _scanned_or_kept(
        self, file: Address, folder: Path | None
    ) -> tuple[_Tar, list[Member] | None]:
        """And its images, where it was looked through just now."""
        listed: list[Member] | None = None

        def open_it() -> _Tar:
            nonlocal listed
            name = seek_file.name_of(file.uri, seek_file.state_of(file, self._stores))
            if folder is not None and (index := seek_file.load(folder, name)) is not None:
                return _Tar(self._pieces(file, index), index.members)
            tar, listed = self._scan(file, name)
            return tar

        # what one lake tells of a tar is not believed for the rows of another
        return self._kept.of((file.uri, folder), file, open_it), listed

    def _scan(self, file: Address, name: str) -> tuple[_Tar, list[Member]]:
        opened, packed_bytes = open_file(file, self._stores, _ONE_READ_BYTES)
        with opened:
            scan = find_points(opened, packed_bytes)
        index = SeekIndex(scan.points, packed_bytes, scan.unpacked_bytes, {})
        tar, listed = self._list(file, index)
        if self.folder is not None:
            seek_file.save(self.folder, file.uri, name, tar.index)
        return replace(tar, damage=scan.damage or tar.damage), listed

    def _list(self, file: Address, index: SeekIndex) -> tuple[_Tar, list[Member]]:
        pieces, ends, damage = self._pieces(file, index), Ends(), None
        listed: list[Member] = []
        places: dict[str, tuple[int, int]] = {}
        with pieces.opened(ends.see) as opened:
            try:
                for member in list_members(file, opened, index.unpacked_bytes):
                    span = member.address.span
                    if span is not None:
                        places[str(member.address.member)] = span
                    plain = replace(member.address, offset=None, length=None)
                    listed.append(replace(member, address=plain))
                while opened.read(_ONE_READ_BYTES):  # what is left, for its checksum
                    pass
                ends.finish()
            except (DamagedContainer, Unpackable) as error:
                damage = ends.damage or str(error)
        return _Tar(pieces, places, damage or ends.damage), listed

    def _pieces(self, file: Address, index: SeekIndex) -> Pieces:
        def read(offset: int, length: int) -> bytes:
            return read_part(file, offset, length, self._stores)

        return Pieces(index.points, index.packed_bytes, index.unpacked_bytes, unpack, read)
