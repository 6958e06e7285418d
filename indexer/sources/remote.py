"""A prefix of a bucket, a glob below one or a single URL, on anything fsspec opens."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import groupby, islice

from indexer.address import Address
from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing, TableFolder
from indexer.sources.catalogue.folders import TablesInStore, may_be_of_table
from indexer.sources.columns import ColumnTable
from indexer.sources.containers.kinds import Kind, is_listed
from indexer.sources.globs import Glob, has_magic
from indexer.sources.joining import Join
from indexer.sources.names import is_hidden
from indexer.sources.sidecars import is_sidecar, max_sidecar_bytes, sidecar_names
from indexer.sources.store import Info, Store, etag, modified_us, store_reason

_LISTERS = 8  # folders asked for at once
_NOTHING_THERE = (
    "nothing is there; check the address (AWS_ENDPOINT_URL where the store is not Amazon's)"
)


class RemoteSource:
    """All images below a URL, or those that a glob matches. Hidden names are left out.

    Uris begin as the user wrote the URL. The store is reached when the listing starts, not before.
    """

    def __init__(
        self,
        url: str,
        table: ColumnTable | None = None,
        *,
        careful: bool = False,
        said: Kind | None = None,
    ) -> None:
        """
        :param said: what its files are whose names do not say it.
        :raises SourceError: as `Store.open`, whose `careful` this is.
        """
        self._said = said
        self.uri = url
        self._store = Store.open(url, careful=careful)
        self._table = table
        try:
            self._settle(None)
        except OSError as error:
            raise SourceError(url, f"this address cannot be opened: {error}") from error

    def sites(self, most: int) -> list[str]:
        """:param most: there is one."""
        return [self.uri][:most]

    @property
    def table_path(self) -> str | None:
        return self._table.path if self._table else None

    @property
    def unmatched_rows(self) -> int:
        """Rows of the user's table that belong to no image of the last listing."""
        return self.join.unmatched_rows

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        self._settle(self._ask_for_glob())
        # A glob names files, in a table's folder as in any other; the web has no folders.
        is_plain = self._glob is not None or self.uri.startswith(("http://", "https://"))
        self._tables = None if is_plain else TablesInStore(self._store, self._root)
        for group in self._groups(listing):
            for file in self._images(group):
                if not self._is_of_table(file, listing):
                    listing.files += 1
                    yield file

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return self.join.values(file, self._read_sidecar)

    def _is_of_table(self, file: ImageFile, listing: Listing) -> bool:
        """Whether a file is a part of a table, which is listed as what its log says of it."""
        if self._tables is None or not may_be_of_table(file.uri):
            return False
        name = self._root + file.uri[len(self._root_url) :]
        try:
            found = self._tables.folder_of(name)
        except Exception as error:  # noqa: BLE001 - each store raises its own library's errors
            self._cannot_list(name.rpartition("/")[0], error, listing)
            return True
        if found is None:
            return False
        folder, kind = found
        table = TableFolder(
            kind, Address(self._url(folder) if folder != self._root else self._root_url)
        )
        if table not in listing.tables:
            listing.tables.append(table)
        return True

    def _settle(self, glob: Glob | None) -> None:
        """Where the listing starts. Before the first one only the place itself is known."""
        self._glob = glob
        start = glob.root if glob else self.uri
        # Below a bucket `a/` and `a//` are two folders.
        is_folder = self._store.is_s3 and glob is None
        self._root_url = start.removesuffix("/") if is_folder else start
        if not self._store.is_s3:
            self._root_url = _without_end(start)
        self._root = self._store.folder_of(self._root_url)
        root = self._root_url if self._store.is_s3 else self._root_url.rstrip("/")
        self.join = Join(root, self._table)

    def _ask_for_glob(self) -> Glob | None:
        """The pattern in the url, if it has one; what exists is none."""
        is_web = self.uri.startswith(("http://", "https://"))  # there a "?" starts the query
        if is_web or not has_magic(self.uri):
            return None
        try:
            return Glob.split(self.uri, lambda url: self._store.exists(self._store.folder_of(url)))
        except ValueError as error:
            raise SourceError(self.uri, f"this glob is not understood: {error}") from error
        except Exception as error:
            raise SourceError(self.uri, store_reason(error)) from error

    def _groups(self, listing: Listing) -> Iterator[list[Info]]:
        """Files with all that may be their sidecars: a folder's, or those of one stem."""
        if self._store.is_s3:
            yield from self._of_bucket(listing)
        elif self._is_file():
            yield [self._root_info]
        else:
            yield from self._by_folder(listing)

    def _of_bucket(self, listing: Listing) -> Iterator[list[Info]]:
        """An object and the folder of its name may both be there, and each counts."""
        if "/" not in self._root:
            self.__dict__.pop("_root_info", None)
            _ = self._root_info
        elif self._glob and not self._store.exists(self._root):
            raise self._nothing_there()
        if self._glob and not self._glob.is_deep:
            yield from self._by_folder(listing)
            return
        names_folder = self._glob is not None or self.uri.endswith("/") or "/" not in self._root
        own = None if names_folder else self._own_object()
        below = self._by_stem(listing)
        try:
            first = next(below, None)
        except SourceError as error:
            # Who may only read may read one object.
            if own is None or not isinstance(error.__cause__, PermissionError):
                raise
            first = None
        if own is None and first is None and "/" in self._root and self._glob is None:
            raise self._nothing_there()
        # An empty object beside its folder is what some tools mark folders with.
        if own is not None and (own["size"] or first is None):
            yield [own]
        if first is not None:
            yield first
            yield from below

    def _own_object(self) -> Info | None:
        try:
            return self._store.info(self._root)
        except (FileNotFoundError, PermissionError):
            return None  # rights to a folder are none to its name: the listing tells
        except Exception as error:
            raise SourceError(self.uri, store_reason(error)) from error

    def _nothing_there(self) -> SourceError:
        return SourceError(self.uri, _NOTHING_THERE)

    @cached_property
    def _root_info(self) -> Info:
        try:
            return self._store.info(self._root)
        except Exception as error:
            is_gone = isinstance(error, FileNotFoundError)
            raise SourceError(
                self.uri, _NOTHING_THERE if is_gone else store_reason(error)
            ) from error

    def _is_file(self) -> bool:
        self.__dict__.pop("_root_info", None)  # each listing asks again
        return self._root_info["type"] == "file" and self._glob is None

    def _by_stem(self, listing: Listing) -> Iterator[list[Info]]:
        """S3 lists by key: names alike up to their first dot follow
        each other, sidecars among them.
        """
        prefix = re.split(r"[*?[]", self._glob.pattern)[0] if self._glob else ""
        try:
            for _, group in groupby(self._store.list_below(self._root, prefix), key=_stem):
                yield list(group)
        except Exception as error:  # noqa: BLE001 - each store raises its own library's errors
            self._cannot_list(self._root, error, listing)

    def _by_folder(self, listing: Listing) -> Iterator[list[Info]]:
        at_once = _LISTERS if self._store.is_parallel else 1
        with ThreadPoolExecutor(at_once) as pool:
            entered = [self._entries(self._root, self._list_folder(self._root), pool, listing)]
            while entered:
                for found in entered[-1]:
                    if isinstance(found, list):
                        yield found
                        continue
                    folder, listed = found
                    entered.append(self._entries(folder, listed.result(), pool, listing))
                    break
                else:
                    entered.pop()

    def _entries(
        self,
        folder: str,
        found: list[Info] | Exception,
        pool: ThreadPoolExecutor,
        listing: Listing,
    ) -> Iterator[list[Info] | tuple[str, Future[list[Info] | Exception]]]:
        """In the order of names: files, with all sidecars of the folder, and folders, some of which
        are asked for ahead.
        """
        if isinstance(found, Exception):
            self._cannot_list(folder, found, listing)
            return
        beside = [info for info in found if is_sidecar(info["name"]) and not _is_folder(info)]
        wanted = (info for info in found if not _is_folder(info) or self._is_wanted_folder(info))
        ordered = sorted(wanted, key=_order)
        folders = iter([info["name"] for info in ordered if _is_folder(info)])
        ahead: deque[tuple[str, Future[list[Info] | Exception]]] = deque()
        for are_folders, infos in groupby(ordered, key=_is_folder):
            if not are_folders:
                yield [*infos, *beside]
                continue
            for _ in infos:
                for name in islice(folders, _LISTERS - len(ahead)):
                    ahead.append((name, pool.submit(self._list_folder, name)))
                yield ahead.popleft()

    def _list_folder(self, folder: str) -> list[Info] | Exception:
        try:
            return self._store.list_folder(folder)
        except Exception as error:  # noqa: BLE001 - handed to the thread that lists, which reports it
            return error

    def _images(self, infos: list[Info]) -> Iterator[ImageFile]:
        sidecars = {info["name"]: info for info in infos if is_sidecar(info["name"])}
        for info in infos:
            if info["name"] == self._root or not (
                self._store.is_s3 or self._relative(info["name"])
            ):
                yield self._image(self._root_url, info, ())
            elif self._is_wanted_file(info):
                beside = (sidecars[name] for name in sidecar_names(info["name"], sidecars))
                yield self._image(self._url(info["name"]), info, beside)

    def _image(self, uri: str, info: Info, beside: Iterable[Info]) -> ImageFile:
        marks: dict[str, str] = {}
        for sidecar in beside:
            url = self._url(sidecar["name"])
            if (sidecar["size"] or 0) > max_sidecar_bytes(sidecar["name"]):
                self.join.pass_over(url, sidecar["name"])
            else:
                marks[url] = _mark(sidecar)
        return ImageFile(
            Address(uri),
            size_bytes=info["size"] or 0,
            modified_us=modified_us(info),
            etag=etag(info),
            columns_etag=self.join.etag(uri, marks.values()),
            sidecars=tuple(marks),
        )

    def _is_wanted_file(self, info: Info) -> bool:
        relative = self._relative(info["name"])
        if info["name"].endswith("/") and not info["size"]:
            return False  # the marker that a console makes for an empty folder
        *folders, name = relative.removesuffix("/").split("/")
        if not is_listed(name, self._said) or any(map(is_hidden, folders)):
            return False
        return self._glob is None or self._glob.matches(relative)

    def _is_wanted_folder(self, info: Info) -> bool:
        relative = self._relative(info["name"])
        if info["type"] != "directory" or is_hidden(relative.rpartition("/")[2]):
            return False
        return self._glob is None or self._glob.may_contain(relative)

    def _cannot_list(self, folder: str, error: Exception, listing: Listing) -> None:
        if folder == self._root and not listing.files:
            raise SourceError(self.uri, f"it cannot be listed: {store_reason(error)}") from error
        # else it was deleted just now
        if folder == self._root or not isinstance(error, FileNotFoundError):
            listing.unlisted.append((f"{self._url(folder)}/", store_reason(error)))

    def _read_sidecar(self, uri: str, count: int) -> bytes:
        try:
            return self._store.part(self._store.path_of(uri), 0, count)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise OSError(store_reason(error)) from error

    def _relative(self, name: str) -> str:
        """:param name: as the store lists it."""
        below = name[len(self._root) :]
        if self._store.is_s3:
            return below[1:]
        return below.lstrip("/") if name.endswith("/") else below.strip("/")

    def _url(self, name: str) -> str:
        if self._store.is_s3:
            return self._root_url + name[len(self._root) :]
        relative = self._relative(name).rstrip("/")
        joint = "" if self._root_url.endswith("//") or not relative else "/"
        return f"{self._root_url}{joint}{relative}"


def _without_end(url: str) -> str:
    """Without the slashes at its end, but for those of a bare `memory://`."""
    stripped = url.rstrip("/")
    return f"{stripped}//" if stripped.endswith(":") else stripped


def _is_folder(info: Info) -> bool:
    return bool(info["type"] == "directory")


def _order(info: Info) -> str:
    """As its path begins: `a-b` comes before what is in `a`."""
    name = str(info["name"])
    return f"{name.rstrip('/')}/" if _is_folder(info) else name


def _stem(info: Info) -> tuple[str, str]:
    folder, _, name = info["name"].rpartition("/")
    return folder, name.partition(".")[0]


def _mark(info: Info) -> str:
    name = info["name"].rpartition("/")[2]
    return f"{name}:{info['size']}:{etag(info) or modified_us(info)}"
