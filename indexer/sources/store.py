"""A bucket, or whatever else fsspec opens: its listings, its bytes, and its errors as one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, TypeAlias

import fsspec

from indexer.config import ReadLimits
from indexer.errors import SourceError, UnreadableImage
from indexer.images.files import check_size
from indexer.sources import ImageFile

Info: TypeAlias = Mapping[str, Any]  # what fsspec says of one file; only name, size and type are agreed on

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
}
_MODIFIED = ("LastModified", "last_modified", "mtime", "updated", "modified", "Last-Modified", "created")
_ETAGS = ("ETag", "etag", "md5Hash", "content_md5")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Store:
    """One fsspec file system. Safe to call from several threads: those that are not themselves take turns."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs
        self.is_parallel: bool = fs.async_impl
        self._turn: AbstractContextManager[object] = nullcontext() if self.is_parallel else Lock()

    @classmethod
    def open(cls, url: str) -> Store:
        """
        :raises SourceError: if the package for this kind of address is not installed, or there is none.
        """
        scheme = url.partition("://")[0]
        try:
            # No cache of listings: a sync must see what is there now.
            fs, _ = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            extra = _EXTRAS.get(scheme)
            way_out = f"pip install 'lakesift[{extra}]'" if extra else str(error)
            raise SourceError(url, f"{scheme}:// needs a package that is not installed: {way_out}") from error
        except ValueError as error:
            raise SourceError(url, f"this address cannot be opened: {error}") from error
        return cls(fs)

    @property
    def is_s3(self) -> bool:
        return hasattr(self._fs, "call_s3")

    def path_of(self, url: str) -> str:
        return str(self._fs._strip_protocol(url))

    def info(self, path: str) -> Info:
        with self._turn:
            info: Info = self._fs.info(path)
            return info

    def list_folder(self, path: str) -> list[Info]:
        with self._turn:
            infos: list[Info] = self._fs.ls(path, detail=True)
            return [
                info for info in infos if info["name"].rstrip("/") != path
            ]  # some list a folder in itself

    def list_below(self, path: str, prefix: str) -> Iterator[Info]:
        """Every object of an S3 bucket whose key starts so, by key; 1,000 a request, one page in memory.

        s3fs's own listings hold a folder whole, about 1 kB an object, and ask once for each folder.
        """
        bucket, _, _ = self._fs.split_path(path)
        more: dict[str, str] = {}
        while True:
            page = self._fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
            for found in page.get("Contents", ()):
                yield {**found, "name": f"{bucket}/{found['Key']}", "size": found["Size"], "type": "file"}
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def start(self, path: str, count: int) -> bytes:
        """At most `count` bytes from the start; one request, where cat_file without a range makes two."""
        with self._turn:
            data: bytes = self._fs.cat_file(path, start=0, end=count)
            return data

    def whole(self, path: str) -> bytes:
        with self._turn:
            data: bytes = self._fs.cat_file(path)
            return data


def read_remote(store: Store, path: str, file: ImageFile, max_bytes: int) -> bytes:
    """
    :raises UnreadableImage: if it is gone, not permitted, out of reach, empty, or larger than max_bytes.
    """
    limits = ReadLimits(max_bytes=max_bytes)
    if file.size_bytes:
        check_size(file.uri, file.size_bytes, limits)
    try:
        # A range of an empty object is an error; 0 may also stand for a size that the store did not tell.
        data = store.start(path, max_bytes + 1) if file.size_bytes else store.whole(path)
    except Exception as error:  # each store raises its own library's errors, none may stop the run
        is_gone = isinstance(error, FileNotFoundError)
        raise UnreadableImage(file.uri, store_reason(error), transient=not is_gone) from error
    check_size(file.uri, len(data), limits)
    return data


def store_reason(error: Exception) -> str:
    """What a store's library raised, in a few words without its trace."""
    if type(error).__name__ in ("NoCredentialsError", "DefaultCredentialsError", "PartialCredentialsError"):
        return (
            "no credentials were found; set them as the store's own tools take them "
            "(for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=true for a public bucket)"
        )
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, PermissionError):
        return f"access is denied ({_first_line(error)})"
    if isinstance(error, TimeoutError):
        return "the store did not answer in time"
    return _first_line(error)


def modified_us(info: Info) -> int | None:
    """When a file was last written: microseconds since the epoch, UTC, rounded down; None if not told."""
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
