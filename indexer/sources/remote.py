"""A prefix of a bucket, a glob below one or a single URL, on anything fsspec opens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby

from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.columns import ColumnTable
from indexer.sources.globs import Glob, has_magic
from indexer.sources.joining import Join
from indexer.sources.names import is_hidden, may_be_image
from indexer.sources.sidecars import is_sidecar, max_sidecar_bytes, sidecar_names
from indexer.sources.store import Info, Store, etag, modified_us, read_remote, store_reason

_LISTERS = 8  # folders asked for at once


class RemoteSource:
    """All images below a URL, or those that a glob matches. Hidden names are left out.

    Uris begin as the user wrote the URL. The store is reached when the listing starts, not before.
    """

    is_local = False

    def __init__(self, url: str, table: ColumnTable | None = None) -> None:
        """:raises SourceError: if the package for this kind of address is missing, or the glob is odd."""
        self.uri = url
        self._store = Store.open(url)
        self._glob = self._glob_of(url)
        self._root_url = _without_end(self._glob.root if self._glob else url)
        self._root = self._store.path_of(self._root_url)
        self._join = Join(self._root_url.rstrip("/"), table)

    @property
    def table_path(self) -> str | None:
        return self._join.table_path

    @property
    def unmatched_rows(self) -> int:
        """Rows of the user's table that belong to no image of the last listing."""
        return self._join.unmatched_rows

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        self._join.begin()
        for group in self._groups(listing):
            for file in self._images(group):
                listing.files += 1
                yield file

    def read(self, file: ImageFile, max_bytes: int) -> bytes:
        return read_remote(self._store, self._path(file.uri), file, max_bytes)

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return self._join.values(file, self._read_sidecar)

    def _glob_of(self, url: str) -> Glob | None:
        is_web = url.startswith(("http://", "https://"))  # there a "?" starts the query
        if is_web or not has_magic(url):
            return None
        try:
            return Glob.split(url)
        except ValueError as error:
            raise SourceError(url, str(error)) from error

    def _groups(self, listing: Listing) -> Iterator[list[Info]]:
        """Files with all that may be their sidecars: a folder's, or those of one stem."""
        if self._is_file():
            yield [self._root_info]
        elif self._store.is_s3 and (self._glob is None or self._glob.is_deep):
            yield from self._by_stem(listing)
        else:
            yield from self._by_folder(listing)

    @cached_property
    def _root_info(self) -> Info:
        try:
            return self._store.info(self._root)
        except Exception as error:
            reason = store_reason(error)
            if isinstance(error, FileNotFoundError):
                reason = (
                    "nothing is there; check the address (AWS_ENDPOINT_URL where the store is not Amazon's)"
                )
            raise SourceError(self.uri, reason) from error

    def _is_file(self) -> bool:
        self.__dict__.pop("_root_info", None)  # each listing asks again
        return self._root_info["type"] == "file" and self._glob is None

    def _by_stem(self, listing: Listing) -> Iterator[list[Info]]:
        """S3 lists by key: names alike up to their first dot follow each other, sidecars among them."""
        bucket, _, key = self._root.partition("/")
        below = f"{key}/" if key else ""
        prefix = below + (re.split(r"[*?[]", self._glob.pattern)[0] if self._glob else "")
        try:
            for _, group in groupby(self._store.list_below(bucket, prefix), key=_stem):
                yield list(group)
        except Exception as error:  # noqa: BLE001 - each store raises its own library's errors
            self._cannot_list(self._root, error, listing)

    def _by_folder(self, listing: Listing) -> Iterator[list[Info]]:
        waiting = [self._root]
        at_once = _LISTERS if self._store.is_parallel else 1
        with ThreadPoolExecutor(at_once) as pool:
            while waiting:
                batch = [waiting.pop() for _ in range(min(at_once, len(waiting)))]
                for folder, found in zip(batch, pool.map(self._list_folder, batch), strict=True):
                    if isinstance(found, Exception):
                        self._cannot_list(folder, found, listing)
                        continue
                    waiting.extend(
                        name for info in found if self._is_wanted_folder(info) for name in [info["name"]]
                    )
                    yield [info for info in found if info["type"] != "directory"]

    def _list_folder(self, folder: str) -> list[Info] | Exception:
        try:
            return self._store.list_folder(folder)
        except Exception as error:  # noqa: BLE001 - handed to the thread that lists, which reports it
            return error

    def _images(self, infos: list[Info]) -> Iterator[ImageFile]:
        sidecars = {info["name"]: info for info in infos if is_sidecar(info["name"])}
        for info in infos:
            relative = self._relative(info["name"])
            if not relative:
                yield self._image(self._root_url, info, ())
            elif self._is_wanted_file(relative):
                beside = (sidecars[name] for name in sidecar_names(info["name"], sidecars))
                yield self._image(self._url(relative), info, beside)

    def _image(self, uri: str, info: Info, beside: Iterable[Info]) -> ImageFile:
        marks = {
            self._url(self._relative(sidecar["name"])): _mark(sidecar)
            for sidecar in beside
            if (sidecar["size"] or 0) <= max_sidecar_bytes(sidecar["name"])
        }
        return ImageFile(
            uri=uri,
            path_bytes=None,
            size_bytes=info["size"] or 0,
            modified_us=modified_us(info),
            etag=etag(info),
            columns_etag=self._join.etag(uri, marks.values()),
            sidecars=tuple(marks),
        )

    def _is_wanted_file(self, relative: str) -> bool:
        *folders, name = relative.split("/")
        if not name or not may_be_image(name) or any(map(is_hidden, folders)):
            return False  # without a name it is the marker that a console makes for an empty folder
        return self._glob is None or self._glob.matches(relative)

    def _is_wanted_folder(self, info: Info) -> bool:
        relative = self._relative(info["name"])
        if info["type"] != "directory" or is_hidden(relative.rpartition("/")[2]):
            return False
        return self._glob is None or self._glob.may_contain(relative)

    def _cannot_list(self, folder: str, error: Exception, listing: Listing) -> None:
        if folder == self._root and not listing.files:
            raise SourceError(self.uri, f"it cannot be listed: {store_reason(error)}") from error
        if folder == self._root or not isinstance(error, FileNotFoundError):  # else it was deleted just now
            listing.unlisted.append(
                (self._url(self._relative(folder)).rstrip("/") + "/", store_reason(error))
            )

    def _read_sidecar(self, uri: str, count: int) -> bytes:
        try:
            return self._store.start(self._path(uri), count)
        except Exception as error:
            raise OSError(store_reason(error)) from error

    def _relative(self, path: str) -> str:
        return (
            path[len(self._root) :].strip("/")
            if not path.endswith("/")
            else path[len(self._root) :].lstrip("/")
        )

    def _url(self, relative: str) -> str:
        joint = "" if self._root_url.endswith("//") or not relative else "/"
        return f"{self._root_url}{joint}{relative}"

    def _path(self, uri: str) -> str:
        relative = uri[len(self._root_url) :].lstrip("/")
        return f"{self._root}/{relative}" if relative else self._root


def _without_end(url: str) -> str:
    """Without the slashes at its end, but for those of a bare `memory://`."""
    stripped = url.rstrip("/")
    return f"{stripped}//" if stripped.endswith(":") else stripped


def _stem(info: Info) -> tuple[str, str]:
    folder, _, name = info["name"].rpartition("/")
    return folder, name.partition(".")[0]


def _mark(info: Info) -> str:
    name = info["name"].rpartition("/")[2]
    return f"{name}:{info['size']}:{etag(info) or modified_us(info)}"
