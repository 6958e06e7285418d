"""A bucket, or whatever else fsspec opens:
its listings, its bytes, and its errors as one sentence each.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, TypeAlias

import fsspec

from indexer.errors import SourceError
from indexer.sources.guard import INSIDE, check_site, site_of, storage_options

# what fsspec says of one file; only name, size and type are agreed on
Info: TypeAlias = Mapping[str, Any]

_EXTRAS = {
    "http": "http",
    "https": "http",
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
}
_MODIFIED = (
    "LastModified",
    "last_modified",
    "mtime",
    "updated",
    "modified",
    "Last-Modified",
    "created",
)
_ETAGS = ("ETag", "etag", "md5Hash", "content_md5")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Store:
    """One fsspec file system. Safe to call from several threads:
    those that are not themselves take turns.
    """

    def __init__(self, fs: Any) -> None:
        self._fs = fs
        self.is_parallel: bool = fs.async_impl
        self._turn: AbstractContextManager[object] = nullcontext() if self.is_parallel else Lock()
        # called whenever the store says that it is asked too much
        self.on_busy: Callable[[], None] = lambda: None

    @classmethod
    def open(cls, url: str, *, careful: bool = False) -> Store:
        """
        :param careful: True: a lake names this place, and not the user.
        :raises SourceError: if the package for this kind of address is not installed, there is
            none, or no lake may name it.
        """
        scheme = url.partition("://")[0]
        if "::" in site_of(url):
            raise SourceError(url, "this is more than one address (::); name a single one")
        options = {}
        if careful:
            check_site(url)
            options = storage_options(url)
        try:
            # fsspec takes a "::" in a name for two addresses, and asks for another object.
            place = site_of(url) if "::" in url else url
            # No cache of listings: a sync must see what is there now.
            fs, _ = fsspec.core.url_to_fs(place, use_listings_cache=False, **options)
        except ImportError as error:
            extra = _EXTRAS.get(scheme)
            way_out = f"pip install 'lakesift[{extra}]'" if extra else str(error)
            raise SourceError(
                url, f"{scheme}:// needs a package that is not installed: {way_out}"
            ) from error
        except ValueError as error:
            raise SourceError(url, f"this address cannot be opened: {error}") from error
        return cls(fs)

    @property
    def is_s3(self) -> bool:
        return hasattr(self._fs, "call_s3")

    def path_of(self, url: str) -> str:
        """What the store is asked for. A key of S3 is no path: it may hold `//`, or end with `/`.

        :raises OSError: if the store would be asked for another object than this one.
        """
        name = url.partition("://")[2]
        if self.is_s3:
            if "?versionId=" in name:
                raise OSError(
                    "a version of an object cannot be asked for, nor a key with ?versionId="
                )
            return name
        path = str(self._fs._strip_protocol(url))
        below = name[name.find("/") :] if "/" in name else ""
        if ("//" in below or below.endswith("/")) and not path.endswith(below):
            raise OSError("this kind of store knows no names with // or with / at their end")
        return path

    def folder_of(self, url: str) -> str:
        """As `path_of`, of a folder, whether or not its url ends with "/"."""
        return self.path_of(url) if self.is_s3 else str(self._fs._strip_protocol(url))

    def info(self, path: str) -> Info:
        """:raises FileNotFoundError: if nothing is there, not even below it."""
        with self._turn:
            if self.is_s3 and "/" in path:
                bucket, key = self._split(path)
                # s3fs itself strips the key
                found = self._fs.call_s3("head_object", Bucket=bucket, Key=key)
                return {**found, "name": path, "size": found["ContentLength"], "type": "file"}
            try:
                info: Info = self._fs.info(path)
            except FileNotFoundError as error:
                # What fsspec raises of a web server for whatever happened there.
                if INSIDE in str(error.__cause__):
                    raise PermissionError(errno.EACCES, INSIDE) from error
                raise
            return info

    def exists(self, path: str) -> bool:
        """Whether an object or a folder is there, of this very name."""
        try:
            self.info(path)
        except FileNotFoundError:
            if not (self.is_s3 and "/" in path):
                return False
            bucket, key = self._split(path)
            try:
                page = next(self._pages(bucket, Prefix=f"{key}/", MaxKeys=1))
            except FileNotFoundError:  # not even the bucket
                return False
            return bool(page.get("Contents"))
        return True

    def list_folder(self, path: str) -> list[Info]:
        if self.is_s3:
            return self._list_level(path)
        with self._turn:
            infos: list[Info] = self._fs.ls(path, detail=True)
            return [
                info for info in infos if info["name"].rstrip("/") != path
            ]  # some list a folder in itself

    def _list_level(self, path: str) -> list[Info]:
        bucket, below = self._split(f"{path}/")
        found: list[Info] = []
        for page in self._pages(bucket, Prefix=below, Delimiter="/"):
            found += [_object(bucket, each) for each in page.get("Contents", ())]
            found += [
                {"name": f"{bucket}/{each['Prefix'][:-1]}", "size": 0, "type": "directory"}
                for each in page.get("CommonPrefixes", ())
            ]
        return found

    def _split(self, path: str) -> tuple[str, str]:
        """Bucket, which may be an access point with slashes in its name, and key."""
        bucket: str = self._fs.split_path(path)[0]
        return bucket, path[len(bucket) + 1 :]

    def list_below(self, folder: str, prefix: str = "") -> Iterator[Info]:
        """Every object of an S3 bucket below a folder whose name there starts so, by key;
        1,000 a request, one page in memory.

        s3fs's own listings hold a folder whole, about 1 kB an object, ask once for each folder, and
        take `a//b` for `a/b`.
        """
        bucket, below = self._split(f"{folder}/")
        for page in self._pages(bucket, Prefix=below + prefix):
            yield from (_object(bucket, found) for found in page.get("Contents", ()))

    def _pages(self, bucket: str, **wanted: str | int) -> Iterator[Mapping[str, Any]]:
        more: dict[str, str | int] = {}
        while True:
            page = self._fs.call_s3("list_objects_v2", Bucket=bucket, **wanted, **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def part(self, path: str, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`. One request: without a range, cat_file makes two.

        :raises OSError: if it is a web server that has no parts of files to give. A store raises
            its own library's errors.
        """
        return self._patiently(lambda: self._part(path, offset, length))

    def exactly(self, path: str, offset: int, length: int) -> bytes:
        """As `part`, and no fewer bytes: a shorter answer was cut on its way.

        :raises OSError: if the answers stay shorter.
        """

        def all_of_it() -> bytes:
            data = self._part(path, offset, length)
            if len(data) < length:
                raise _CutShort(
                    f"the store gave {len(data):,} bytes of it where {length:,} were asked for"
                )
            return data

        return self._patiently(all_of_it)

    def whole(self, path: str) -> bytes:
        def all_of_it() -> bytes:
            with self._turn:
                data: bytes = self._fs.cat_file(path)
                return data

        return self._patiently(all_of_it)

    def _part(self, path: str, offset: int, length: int) -> bytes:
        with self._turn:
            data: bytes = self._fs.cat_file(path, start=offset, end=offset + length)
        # A web server that knows no ranges answers with all it has, from its first byte.
        if len(data) > length and offset:
            raise OSError("its server gives whole files and no parts of them; copy the file first")
        return data[:length]

    def _patiently(self, ask: Callable[[], bytes]) -> bytes:
        """What the store answers, asked again where a fault may pass: it is busy, or its answer was
        cut or changed on its way. s3fs asks again itself, five times, for most of these.
        """
        for pause_s in (*_PAUSES_S, None):
            try:
                return ask()
            # each store raises its own library's errors
            except Exception as error:
                if is_busy(error):
                    self.on_busy()
                if pause_s is None or not _may_pass(error, is_s3=self.is_s3):
                    raise
                time.sleep(pause_s)
        raise AssertionError("the last try returns or raises")


class _CutShort(OSError):
    """An answer with fewer bytes than there are."""


# Before it is asked again, in seconds.
_PAUSES_S = (0.2, 1.0)
_PASSING_STATUS = frozenset((429, 500, 502, 503, 504))


def is_busy(error: Exception) -> bool:
    """Whether a store says that it is asked too much, now or in general."""
    # aiohttp has both, and warns whoever looks at the second
    status = error.status if hasattr(error, "status") else getattr(error, "code", None)
    return status in (429, 503) or (isinstance(error, OSError) and error.errno == errno.EBUSY)


def _may_pass(error: Exception, *, is_s3: bool) -> bool:
    # of these s3fs takes a wrong checksum alone for final
    if isinstance(error, _CutShort) or type(error).__name__ == "FlexibleChecksumError":
        return True
    return not is_s3 and (
        isinstance(error, ConnectionError)
        or type(error).__name__ in ("ClientPayloadError", "ServerDisconnectedError")
        or getattr(error, "status", None) in _PASSING_STATUS
    )


class Stores:
    """One `Store` for each site that is asked for, opened once. Safe for several threads."""

    def __init__(self, *, careful: bool = False) -> None:
        """:param careful: as `Store.open` has it."""
        self._careful = careful
        # called whenever one of them says that it is asked too much
        self.on_busy: Callable[[], None] = lambda: None
        self._stores: dict[str, Store] = {}
        # One each: some ask for credentials while they open, and who waits for that waits for no
        # other site.
        self._opening: dict[str, Lock] = {}

    def of(self, url: str) -> Store:
        """:raises SourceError: as `Store.open`."""
        site = site_of(url)
        with self._opening.setdefault(site, Lock()):
            if site not in self._stores:
                self._stores[site] = Store.open(url, careful=self._careful)
                self._stores[site].on_busy = lambda: self.on_busy()
            return self._stores[site]


def _object(bucket: str, found: Mapping[str, Any]) -> Info:
    name = f"{bucket}/{found['Key']}"
    return {**found, "name": name, "size": found["Size"], "type": "file"}


def store_reason(error: Exception) -> str:
    """What a store's library raised, in a few words without its trace."""
    if type(error).__name__ in (
        "NoCredentialsError",
        "DefaultCredentialsError",
        "PartialCredentialsError",
    ):
        return (
            "no credentials were found; set them as the store's own tools take them "
            "(for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=true for a public bucket)"
        )
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if INSIDE in str(error):
        return INSIDE
    if isinstance(error, PermissionError):
        return f"access is denied ({_first_line(error)})"
    if isinstance(error, TimeoutError):
        return "the store did not answer in time"
    return _first_line(error)


def modified_us(info: Info) -> int | None:
    """When a file was last written:
    microseconds since the epoch, UTC, rounded down; None if not told.
    """
    value = next((info[key] for key in _MODIFIED if info.get(key) is not None), None)
    if isinstance(value, str):
        value = _parsed_time(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (moment - _EPOCH) // timedelta(microseconds=1)
    return int(value * 1_000_000 // 1) if isinstance(value, int | float) else None


def etag(info: Info) -> str | None:
    value = next((info[key] for key in _ETAGS if info.get(key)), None)
    return str(value).strip('"') if value is not None else None


def _parsed_time(text: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(text)
        except ValueError:
            continue
    return None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
