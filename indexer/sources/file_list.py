"""A list of files, one a line or one a row of a table, or a single file:
each counts whatever its name, none is opened to list it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice

from indexer.address import Address
from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.columns import ColumnTable
from indexer.sources.guard import site_of
from indexer.sources.joining import Join
from indexer.sources.local import image_file, local_columns, os_reason
from indexer.sources.names import is_url, uri_of
from indexer.sources.sidecars import is_sidecar, sidecar_names
from indexer.sources.store import Stores, etag, modified_us
from indexer.sources.text_file import open_text

_CHUNK_BYTES = 1 << 20
_AT_ONCE = 16  # URLs asked for at once


class FileListSource:
    """The files that a text file names: paths, relative ones from the list's own folder, and URLs.

    One a line, or separated by NUL where the list holds any (`find -print0`). In UTF-16, as
    PowerShell writes it, the list is decoded; else names are bytes, of any encoding. Empty lines
    are passed over, a second mention is too; there are no comments, since names may start with
    "#". A missing file is listed all the same, for the reader to report. Sidecars are looked for
    beside paths, not beside URLs.
    """

    def __init__(
        self,
        path: bytes,
        table: ColumnTable | None = None,
        *,
        is_single: bool = False,
        is_table: bool = False,
        careful: bool = False,
    ) -> None:
        """
        :param path: absolute; of the list, or of the one image itself where is_single.
        :param is_table: the table itself names the files, and path is where it lies.
        :param careful: as `Store.open` has it.
        :raises SourceError: if it cannot be read.
        """
        self._path = path
        self._is_single = is_single or is_table
        self._table = table if is_table else None
        self._folder = os.path.dirname(path)  # noqa: PTH120 - pathlib knows no bytes
        self._stores = Stores(careful=careful)
        self._sidecars_in: Callable[[bytes], frozenset[str]] = _sidecars_in
        self.join = Join(uri_of(self._folder)[0].rstrip("/"), table)
        self._is_local = not any(_is_url(line) for line in self._lines())

    @property
    def uri(self) -> str:
        return uri_of(self._path)[0] if self._is_single else "@" + uri_of(self._path)[0]

    def sites(self, most: int) -> set[str]:
        """Of the URLs that it names: scheme and host of each, at most so many."""
        found: set[str] = set()
        for line in () if self._is_local else self._lines():
            if _is_url(line):
                found.add(site_of(line.decode("utf-8", "replace")))
            if len(found) == most:
                break
        return found

    @property
    def table_path(self) -> str | None:
        return self.join.table_path

    @property
    def unmatched_rows(self) -> int:
        """Rows of the user's table that belong to no image of the last listing."""
        return self.join.unmatched_rows

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        self.join.begin()
        self._sidecars_in = lru_cache(256)(_sidecars_in)  # each listing looks anew
        for file in self._files():
            listing.files += 1
            yield file

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return local_columns(file, self.join)

    def _files(self) -> Iterator[ImageFile]:
        named = self._named()
        if self._is_local:
            yield from map(self._local_file, named)
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while batch := list(islice(named, 8 * _AT_ONCE)):
                yield from pool.map(self._file, batch)

    def _named(self) -> Iterator[bytes]:
        """Absolute paths and URLs, each once."""
        seen: set[int] = set()  # 64-bit hashes: of 10 million names two agree once in 370,000 lists
        for line in self._lines():
            name = line if _is_url(line) else os.path.normpath(os.path.join(self._folder, line))  # noqa: PTH118
            if hash(name) not in seen:
                seen.add(hash(name))
                yield name

    def _lines(self) -> Iterator[bytes]:
        if self._table is not None:
            yield from (key.encode() for key in self._table.paths())
            return
        if self._is_single:
            yield self._path
            return
        try:
            with open_text(self._path) as opened:
                begin = opened.tell()
                separator = b"\0" if b"\0" in opened.read(_CHUNK_BYTES) else b"\n"
                opened.seek(begin)
                rest = b""
                while chunk := opened.read(_CHUNK_BYTES):
                    *lines, rest = (rest + chunk).split(separator)
                    yield from filter(None, (_clean(line, separator) for line in lines))
                yield from filter(None, (_clean(line, separator) for line in rest.split(separator)))
        except UnicodeDecodeError as error:
            raise SourceError(
                uri_of(self._path)[0],
                f"this list is UTF-16 and damaged ({error.reason}); save it as UTF-8",
            ) from error
        except OSError as error:
            raise SourceError(
                uri_of(self._path)[0], f"this list cannot be read: {os_reason(error)}"
            ) from error

    def _file(self, name: bytes) -> ImageFile:
        return (
            self._remote_file(name.decode("utf-8", "replace"))
            if _is_url(name)
            else self._local_file(name)
        )

    def _local_file(self, path: bytes) -> ImageFile:
        try:
            status = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):  # ValueError: a NUL within a line
            status = None
        folder, name = os.path.split(path)
        present = self._sidecars_in(folder)
        beside = sidecar_names(name.decode("utf-8", "surrogateescape"), present) if present else ()
        return image_file(path, status, beside, self.join)

    def _remote_file(self, url: str) -> ImageFile:
        try:
            store = self._stores.of(url)
            info = store.info(store.path_of(url))
        except Exception:  # noqa: BLE001 - whatever its store raises: the reader meets it again and reports it
            info = {"size": 0}
        columns_etag = self.join.etag(url, ())
        size_bytes = info["size"] or 0
        return ImageFile(Address(url), size_bytes, modified_us(info), etag(info), columns_etag)


def _is_url(line: bytes) -> bool:
    return b"://" in line and is_url(line.decode("utf-8", "replace"))


def _clean(line: bytes, separator: bytes) -> bytes:
    line = line.removesuffix(b"\r") if separator == b"\n" else line
    return line.removeprefix(b"file://") if line.startswith(b"file:///") else line


def _sidecars_in(folder: bytes) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            names = (entry.name.decode("utf-8", "surrogateescape") for entry in entries)
            return frozenset(filter(is_sidecar, names))
    except OSError:
        return frozenset()
