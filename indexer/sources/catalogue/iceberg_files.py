"""The files of an Iceberg table for `pyiceberg`, opened as any file of a source.

A table names its files by whole paths. Those below its own location are looked for below the
folder in which it was found: a table that was copied is read where it lies now. No other is opened.
"""

from __future__ import annotations

from typing import BinaryIO, NoReturn

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile

from indexer.address import Address
from indexer.sources.catalogue import below
from indexer.sources.opened import open_file
from indexer.sources.store import Stores


class TableFiles(FileIO):
    """Reads alone."""

    def __init__(self, root: Address, stores: Stores) -> None:
        super().__init__({})
        self._root, self._stores = root, stores
        self._prefixes: tuple[str, ...] = ()

    def moved_from(self, location: str) -> None:
        """:param location: where the table's own metadata say that it lies."""
        own = _plain(location).rstrip("/")
        self._prefixes = tuple(f"{prefix}/" for prefix in {own, _plain(self._root.uri)})

    def place_of(self, location: str) -> Address | None:
        """None if it lies outside of the table's folder."""
        path = _plain(location)
        for prefix in self._prefixes:
            if path.startswith(prefix):
                return below(self._root, path[len(prefix) :])
        return below(self._root, path)

    def new_input(self, location: str) -> InputFile:
        place = self.place_of(location)
        if place is None:
            raise OSError(f"it names {location}, outside of its folder")
        return _File(location, place, self._stores)

    def new_output(self, location: str) -> OutputFile:
        _refuse(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        _refuse(location)


class _File(InputFile):
    def __init__(self, location: str, place: Address, stores: Stores) -> None:
        super().__init__(location)
        self._place, self._stores = place, stores

    def __len__(self) -> int:
        opened, size_bytes = open_file(self._place, self._stores)
        opened.close()
        return size_bytes

    def exists(self) -> bool:
        try:
            len(self)
        except FileNotFoundError:
            return False
        return True

    def open(self, seekable: bool = True) -> InputStream:
        opened: BinaryIO
        opened, _ = open_file(self._place, self._stores)
        return opened


def _plain(location: str) -> str:
    """A local path without its scheme; the three spellings of S3 as one."""
    if location.startswith("file:"):
        path = location.removeprefix("file:")
        return "/" + path.lstrip("/")
    for scheme in ("s3a://", "s3n://"):
        if location.startswith(scheme):
            return "s3://" + location.removeprefix(scheme)
    return location


def _refuse(location: object) -> NoReturn:
    raise OSError(f"{location}: a table is read alone, never written")
