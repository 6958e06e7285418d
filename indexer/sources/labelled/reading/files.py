"""The files that a labelled set names, on this machine's disks or in a store.

A name is a path, in which bytes that are not UTF-8 stand as `surrogateescape` has them, or a URL.
Of a store a folder's names are asked for at once and kept for the listing, about 300 bytes each,
since a set asks for thousands of them; a web server has no folders and is asked for each file.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from indexer.address import Address
from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.folder import FolderSource
from indexer.sources.joining import Join
from indexer.sources.local import image_file, os_reason, read_start
from indexer.sources.names import address_of, is_url, uri_of
from indexer.sources.remote import RemoteSource
from indexer.sources.sidecars import mark
from indexer.sources.store import Info, Store, Stores, etag, modified_us, store_reason

_AT_ONCE = 16  # files of a web server that are asked for at once
_NOTHING = Join("", None)
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)


class _Object(NamedTuple):
    size_bytes: int
    modified_us: int | None
    etag: str | None
    is_folder: bool


class Folder(Protocol):
    """A source that is one folder, here or in a store."""

    @property
    def uri(self) -> str: ...

    def files(self, listing: Listing) -> Iterator[ImageFile]: ...

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]: ...


class Files:
    """Looks files up and reads them. Only `read` is safe for threads."""

    def __init__(self, *, careful: bool = False) -> None:
        """:param careful: True: a lake names the places, and not the user (`guard`)."""
        self._careful = careful
        self._stores = Stores(careful=careful)
        self._folders: dict[str, Mapping[str, _Object]] = {}
        self._single: dict[str, _Object | None] = {}  # of web servers

    def begin(self) -> None:
        """A new listing starts: what was there may be gone by now."""
        self._folders, self._single = {}, {}

    def read(self, name: str, most: int) -> bytes:
        """At most so many bytes from a file's start.

        :raises FileNotFoundError: if nothing is there.
        :raises OSError: if it cannot be read.
        """
        if not is_url(name):
            return read_start(path_of(name), most)
        try:
            store = self._stores.of(name)
            place = store.path_of(name)
            # A range of an empty object is an error.
            return store.part(place, 0, most) if self._size(name, store, place) != 0 else b""
        except FileNotFoundError:
            raise
        except SourceError as error:
            raise OSError(error.reason) from error
        # each store raises its own library's errors
        except Exception as error:
            raise OSError(store_reason(error)) from error

    def is_file(self, name: str) -> bool:
        """:raises SourceError: if its store does not say."""
        if not is_url(name):
            return os.path.isfile(path_of(name))  # noqa: PTH113 - pathlib knows no bytes
        found = self._object(name)
        return found is not None and not found.is_folder

    def is_folder(self, name: str) -> bool:
        """:raises SourceError: if its store does not say."""
        if not is_url(name):
            return os.path.isdir(path_of(name))  # noqa: PTH112
        return not _is_web(name) and bool(self._in_folder(name.rstrip("/")))

    def names_in(self, folder: str) -> list[str]:
        """The files right in a folder, by their whole names, in order; none where it is none.

        :raises SourceError: if its store does not say.
        """
        if not is_url(folder):
            try:
                with os.scandir(path_of(folder)) as entries:
                    found = [entry.name for entry in entries if entry.is_file()]
            except OSError:
                return []
            return sorted(joined(folder, text_of(name)) for name in found)
        inside = self._in_folder(folder.rstrip("/")).items()
        return sorted(joined(folder, name) for name, each in inside if not each.is_folder)

    def mark(self, name: str) -> str | None:
        """Changes with a file; None where nothing is there.

        :raises SourceError: if its disk or store does not say.
        """
        if is_url(name):
            found = self._object(name)
            return None if found is None else mark((name, found.size_bytes, found[1:3]))
        try:
            status = os.stat(path_of(name))  # noqa: PTH116
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            # What cannot be looked at may be there: its labels are no others for that.
            raise SourceError(shown(name), f"it cannot be looked at: {os_reason(error)}") from error
        return mark((path_of(name), status.st_size, status.st_mtime_ns))

    def image(self, name: str) -> ImageFile:
        """A listing's entry for a file, whether or not it is there.

        :raises SourceError: if its store does not say.
        """
        if is_url(name):
            found = self._object(name) or _Object(0, None, None, False)
            return ImageFile(Address(name), *found[:3], columns_etag=None)
        try:
            status = os.stat(path_of(name))  # noqa: PTH116
        except (OSError, ValueError):  # a NUL
            status = None
        return image_file(path_of(name), status, (), _NOTHING)

    def folder(self, name: str) -> Folder:
        """:raises SourceError: as `Store.open`."""
        if is_url(name):
            return RemoteSource(name.rstrip("/") + "/", careful=self._careful)
        return FolderSource(path_of(name))

    def look_up(self, names: Iterable[str]) -> None:
        """Ask for many files at once that will be asked for one by one."""
        new = [name for name in dict.fromkeys(names) if _is_web(name) and name not in self._single]
        if new:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                self._single.update(zip(new, pool.map(self._asked, new), strict=True))

    def _size(self, name: str, store: Store, place: str) -> int | None:
        """In bytes, None where the store does not say; without a request, where its folder was
        listed.

        :raises FileNotFoundError: if nothing is there.
        """
        folder, _, last = name.rpartition("/")
        if folder not in self._folders:
            size_bytes: int | None = store.info(place)["size"]
            return size_bytes
        found = self._folders[folder].get(last)
        if found is None or found.is_folder:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return found.size_bytes

    def _object(self, name: str) -> _Object | None:
        if _is_web(name):
            if name not in self._single:
                self._single[name] = self._asked(name)
            return self._single[name]
        folder, _, last = name.rpartition("/")
        return self._in_folder(folder).get(last)

    def _asked(self, name: str) -> _Object | None:
        try:
            store = self._stores.of(name)
            return _object(store.info(store.path_of(name)))
        # What a server says of it, the reader meets again and reports.
        except Exception:  # noqa: BLE001 - each store raises its own library's errors
            return None

    def _in_folder(self, folder: str) -> Mapping[str, _Object]:
        if folder not in self._folders:
            self._folders[folder] = self._listed(folder)
        return self._folders[folder]

    def _listed(self, folder: str) -> Mapping[str, _Object]:
        store = self._stores.of(folder)
        try:
            infos = store.list_folder(store.folder_of(folder))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        # What is not said to be there may be: its labels are no others for that.
        except Exception as error:
            raise SourceError(folder, f"it cannot be listed: {store_reason(error)}") from error
        found: dict[str, _Object] = {}
        for info in infos:
            name, each = info["name"].rstrip("/").rpartition("/")[2], _object(info)
            # An object has the word before the folder of its name.
            if name not in found or not each.is_folder:
                found[name] = each
        return found


def _object(info: Info) -> _Object:
    is_folder = info["type"] == "directory"
    return _Object(int(info["size"] or 0), modified_us(info), etag(info), is_folder)


def _is_web(name: str) -> bool:
    return name.lower().startswith(("http://", "https://"))


def path_of(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def text_of(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def name_of(address: Address) -> str:
    """The name of the file that an address lies in."""
    return address.uri if address.path is None else text_of(address.path)


def shown(name: str) -> str:
    """A name as messages and the lake have it."""
    return name if is_url(name) else uri_of(path_of(name))[0]


def uri_of_name(name: str) -> str:
    """As the address of the file there has it."""
    return name if is_url(name) else address_of(path_of(name)).uri


def joined(folder: str, name: str) -> str:
    """A name below a folder, or elsewhere if it says so, without `.` and `..`."""
    if is_url(name):
        return name
    if not is_url(folder):
        # what JSON spells as half a surrogate pair is no name of a file
        plain = name.encode("utf-8", "surrogateescape" if _has_bytes(name) else "replace")
        return text_of(os.path.normpath(os.path.join(path_of(folder), plain)))  # noqa: PTH118
    scheme, _, rest = folder.partition("://")
    site, _, below = rest.partition("/")
    # A path from the top of a disk is none in a store; `..` ends at the top of a bucket.
    path = posixpath.normpath(posixpath.join("/", below, name.lstrip("/"))).lstrip("/")
    return f"{scheme}://{site}/{path}" if path != "." else f"{scheme}://{site}"


def parent(name: str) -> str:
    if not is_url(name):
        return text_of(os.path.dirname(path_of(name)))  # noqa: PTH120
    site_end = name.find("/", name.find("://") + 3)
    return name.rstrip("/").rpartition("/")[0] if 0 <= site_end < len(name.rstrip("/")) else name


def _has_bytes(name: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in name)
