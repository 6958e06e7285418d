"""Writes images that lie inside other files out to a folder, for formats that name whole files.

A file that is there is whole: it was written beside its place, then renamed. What has the indexed
bytes already is left as it is, and other bytes are never written over. Below the folder no link is
followed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from indexer.disk.durable import fsync_folder, write_file
from indexer.errors import NotWritten
from indexer.sources.local import os_reason
from indexer.sources.names import uri_of
from service.formats.extracted_name import ExtractedName
from service.formats.item import Item, LeftOut
from service.formats.place import GO_ON

# What only this one name is to blame for.
_OF_A_NAME = frozenset(
    {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
)
_IN_THE_WAY = "choose another folder to extract to, or move it away"


class Extracting:
    """One export's images on their way into a folder."""

    def __init__(self, folder: Path, bytes_of: Callable[[Item], bytes]) -> None:
        """:param folder: made if its parent is there.
        :param bytes_of: an item's image as it was indexed; raises LeftOut.
        :raises NotWritten: if it is not there and cannot be made.
        """
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
        self._bytes_of = bytes_of
        self._made: set[Path] = {self.folder}
        self._unsure: set[Path] = {self.folder.parent}  # folders whose entries a crash may take
        self.written = 0  # files that were not there
        try:
            self.folder.mkdir(exist_ok=True)
        except FileNotFoundError:
            parent = self.folder.parent
            raise NotWritten(str(folder), f"there is no folder {parent}; make it first") from None
        except OSError as error:
            raise NotWritten(str(folder), os_reason(error)) from error

    def whole(self, item: Item) -> Item:
        """The item with a path of its own; as it is, if it has one or is at a URL.

        :raises LeftOut: if the image cannot be read, or its place holds something else.
        :raises NotWritten: if the disk is full, or the folder cannot be written.
        """
        name = ExtractedName.of(item.uri) if item.is_part else None
        if name is None:
            return item
        path = self.folder / name.file(item.suffix)
        try:
            self._write(path, item)
        except OSError as error:
            if error.errno in _OF_A_NAME:
                reason = f"it cannot be written out as {_shown(path)} ({os_reason(error)})"
                raise LeftOut(reason, for_now=True) from error
            raise NotWritten(_shown(path), f"{os_reason(error)}; {GO_ON}") from error
        return replace(item, path=os.fsencode(path), is_part=False)

    def _write(self, path: Path, item: Item) -> None:
        self._make_folder(path.parent)
        if self._is_there(path, str(item.columns["sha256"])):
            return
        beside = path.with_name(f".{path.name}.partial")
        try:
            write_file(beside, self._bytes_of(item))
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        self._unsure.add(path.parent)
        self.written += 1

    def flush(self) -> None:
        """Make the names durable; what a crash takes before, the next run writes again."""
        while self._unsure:
            fsync_folder(self._unsure.pop())

    def _is_there(self, path: Path, sha256: str) -> bool:
        """:raises LeftOut: if something else is."""
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return False
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                    return True
        raise LeftOut(f"{_shown(path)} has other bytes; {_IN_THE_WAY}", for_now=True)

    def _make_folder(self, folder: Path) -> None:
        """A folder below ours.

        :raises LeftOut: if a link or a file is in the way.
        """
        if folder in self._made:
            return
        self._make_folder(folder.parent)
        try:
            folder.mkdir()
            self._unsure.add(folder.parent)
        except FileExistsError:
            if not stat.S_ISDIR(folder.lstat().st_mode):
                reason = f"{_shown(folder)} is no folder; {_IN_THE_WAY}"
                raise LeftOut(reason, for_now=True) from None
        self._made.add(folder)


def _shown(path: Path) -> str:
    """Without the surrogates of bytes that are not UTF-8, which no file of JSON holds."""
    return uri_of(os.fsencode(path))[0]
