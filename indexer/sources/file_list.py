"""A list of files, one a line, or a single file: each counts whatever its name, none is opened to list it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from threading import Lock

from indexer.errors import SourceError, UnreadableImage
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.columns import ColumnTable
from indexer.sources.joining import Join
from indexer.sources.local import image_file, local_columns, os_reason, read_local
from indexer.sources.names import is_url, uri_of
from indexer.sources.sidecars import is_sidecar, sidecar_names
from indexer.sources.store import Store, etag, modified_us, read_remote

_CHUNK_BYTES = 1 << 20
_AT_ONCE = 16  # URLs asked for at once


class FileListSource:
    """The files that a text file names: paths, relative ones from the list's own folder, and URLs.

    One a line, or separated by NUL where the list holds any (`find -print0`). Empty lines are passed over, a
    second mention is too; there are no comments, since names may start with "#". A missing file is listed all
    the same, for the reader to report. Sidecars are looked for beside paths, not beside URLs.
    """

    def __init__(self, path: bytes, table: ColumnTable | None = None, *, is_single: bool = False) -> None:
        """
        :param path: absolute; of the list, or of the one image itself where is_single.
        :raises SourceError: if it cannot be read.
        """
        self._path = path
        self._is_single = is_single
        self._folder = os.path.dirname(path)  # noqa: PTH120 - pathlib knows no bytes
        self._stores: dict[str, Store] = {}
        self._opening = Lock()
        self._sidecars_in: Callable[[bytes], frozenset[str]] = _sidecars_in
        self._join = Join(uri_of(self._folder)[0].rstrip("/"), table)
        self.is_local = not any(_is_url(line) for line in self._lines())

    @property
    def uri(self) -> str:
        return uri_of(self._path)[0] if self._is_single else "@" + uri_of(self._path)[0]

    @property
    def table_path(self) -> str | None:
        return self._join.table_path

    @property
    def unmatched_rows(self) -> int:
        """Rows of the user's table that belong to no image of the last listing."""
        return self._join.unmatched_rows

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        self._join.begin()
        self._sidecars_in = lru_cache(256)(_sidecars_in)  # each listing looks anew
        for file in self._files():
            listing.files += 1
            yield file

    def read(self, file: ImageFile, max_bytes: int) -> bytes:
        if not is_url(file.uri):
            return read_local(file, max_bytes)
        try:
            store = self._store(file.uri)
        except SourceError as error:
            raise UnreadableImage(file.uri, error.reason, transient=True) from error
        return read_remote(store, store.path_of(file.uri), file, max_bytes)

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return local_columns(file, self._join)

    def _files(self) -> Iterator[ImageFile]:
        named = self._named()
        if self.is_local:
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
        if self._is_single:
            yield self._path
            return
        try:
            with open(self._path, "rb") as opened:  # noqa: PTH123
                separator = b"\0" if b"\0" in opened.read(_CHUNK_BYTES) else b"\n"
                opened.seek(0)
                rest = opened.read(3).removeprefix(b"\xef\xbb\xbf")  # the mark Windows editors put first
                while chunk := opened.read(_CHUNK_BYTES):
                    *lines, rest = (rest + chunk).split(separator)
                    yield from filter(None, (_clean(line, separator) for line in lines))
                yield from filter(None, (_clean(line, separator) for line in rest.split(separator)))
        except OSError as error:
            raise SourceError(
                uri_of(self._path)[0], f"this list cannot be read: {os_reason(error)}"
            ) from error

    def _file(self, name: bytes) -> ImageFile:
        return self._remote_file(name.decode("utf-8", "replace")) if _is_url(name) else self._local_file(name)

    def _local_file(self, path: bytes) -> ImageFile:
        try:
            status = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):  # ValueError: a NUL within a line
            status = None
        folder, name = os.path.split(path)
        present = self._sidecars_in(folder)
        beside = sidecar_names(name.decode("utf-8", "surrogateescape"), present) if present else ()
        return image_file(path, status, beside, self._join)

    def _remote_file(self, url: str) -> ImageFile:
        try:
            store = self._store(url)
            info = store.info(store.path_of(url))
        except Exception:  # noqa: BLE001 - whatever its store raises: the reader meets it again and reports it
            info = {"size": 0}
        columns_etag = self._join.etag(url, ())
        return ImageFile(url, None, info["size"] or 0, modified_us(info), etag(info), columns_etag)

    def _store(self, url: str) -> Store:
        site = url[: url.find("/", url.find("://") + 3)]
        with self._opening:
            if site not in self._stores:
                self._stores[site] = Store.open(url)
            return self._stores[site]


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
