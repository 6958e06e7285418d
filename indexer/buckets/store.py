"""One folder of a bucket, by what object stores agree on: whole objects that are put at once,
and puts on a condition, which keep two writers apart. Knows objects and their names, not what a
lake is.

The conditions are HTTP's If-None-Match and If-Match on S3 and Azure, generations on Google Cloud
(`obstore`, the Rust crate object_store).
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from ulid import ULID

from indexer.disk.entries import create_file, open_file, reason_of
from indexer.errors import BadRequest, BucketError, NotWritten
from indexer.sources.object_store import object_store_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstore.store import ObjectStore
    from typing_extensions import Buffer

T = TypeVar("T")
SCHEMES = ("s3", "gs", "az")
_FORMS = "give s3://bucket/folder, gs://bucket/folder or az://container/folder"
_NO_BUCKET = "there is no such bucket"
_RETRIED = "max_retries"  # in what the library says once it has asked again and again
_REQUEST = re.compile(r"Error performing [A-Z]+ \S+ in .*? - ")
_READ_AT_ONCE = 8 << 20  # bytes
_WAITS_S = (0.2, 0.5, 1.0, 2.0)  # before what broke off is read again


class Changed(Exception):
    """Somebody else put this object since it was looked at."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store says of an object."""

    length: int  # bytes
    modified_s: float  # seconds since 1970, by the store's clock
    version: Mapping[str, str]  # what a condition names it by


class Bucket:
    """Safe from several threads."""

    def __init__(self, url: str, store: ObjectStore) -> None:
        self.url = url
        self._store = store

    @classmethod
    def open(cls, url: str) -> Bucket:
        """
        :param url: of a folder in a bucket, as `s3://bucket/lakes/my.lake`.
        :raises BadRequest: if it is none.
        :raises BucketError: if the package that reads buckets is not installed.
        """
        scheme, _, rest = url.partition("://")
        bucket, _, folder = rest.partition("/")
        if scheme not in SCHEMES or not bucket:
            raise BadRequest("bucket", f"{url} is no folder in a bucket; {_FORMS}")
        if not folder.strip("/"):
            raise BadRequest(
                "bucket",
                f"{url} names a whole bucket; name a folder in it, as {url.rstrip('/')}/my.lake",
            )
        try:
            from obstore.exceptions import BaseError
            from obstore.store import from_url
        except ImportError:
            raise BucketError(
                url,
                "lakes in buckets need a package that is not installed: pip install 'lakesift[bucket]'",
            ) from None
        given = url.rstrip("/")
        if scheme == "s3":
            _check_endpoint(url)
        config: Any = object_store_options(given) or {}
        allow_http = config.pop("allow_http", "false") == "true"
        provider = _profile() if scheme == "s3" and not _has_keys(config) else None
        try:
            store = from_url(
                given,
                config=config,
                client_options={"allow_http": allow_http},
                credential_provider=provider,
            )
            return cls(given, store)
        except (BaseError, ValueError) as error:
            raise BucketError(url, _first_line(error)) from None

    def names(self, below: str = "") -> dict[str, Stored]:
        """Every object of the folder: its name there -> what the store says of it.

        :param below: "" or a folder's name, as "segments".
        """
        import obstore

        def listed() -> dict[str, Stored]:
            pages = obstore.list(self._store, below or None)
            return {str(each["path"]): _stored(each) for page in pages for each in page}

        try:
            return self._again(below or "its names", listed)
        except FileNotFoundError:  # each store has words of its own for it
            raise BucketError(self.url, _NO_BUCKET) from None

    def read(self, name: str) -> tuple[bytes, Stored] | None:
        """An object whole; None where there is none."""
        import obstore

        def got() -> tuple[bytes, Stored]:
            found = obstore.get(self._store, name)
            return bytes(found.bytes()), _stored(found.meta)

        try:
            return self._again(name, got)
        except FileNotFoundError:
            return None

    def fetch(self, name: str, into: Path) -> None:
        """An object's bytes into a new file, which is not fsynced.

        :raises FileNotFoundError: if there is no such object.
        :raises NotWritten: if the file cannot be written.
        """
        import obstore

        def fetched() -> None:
            chunks = obstore.get(self._store, name).stream(min_chunk_size=_READ_AT_ONCE)
            file = _created(into)
            with file:
                for chunk in chunks:
                    _write(file, chunk, into)

        self._again(name, fetched)

    def send(self, name: str, path: Path) -> None:
        """A file's bytes as an object, whole or not at all; what has its name is replaced."""
        import obstore

        def sent() -> None:
            with open_file(path) as file:
                obstore.put(self._store, name, file)

        self._again(name, sent)

    def put(self, name: str, data: bytes) -> None:
        """An object, whatever has its name."""
        import obstore

        self._again(name, lambda: obstore.put(self._store, name, data, use_multipart=False))

    def swap(self, name: str, data: bytes, old: Stored | None) -> None:
        """An object in the place of the one that was looked at.

        :param old: None: there was none.
        :raises Changed: if there is one now, or another, that says something else.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if old is None else dict(old.version)
        try:
            self._again(name, lambda: obstore.put(self._store, name, data, mode=mode))
        except (AlreadyExistsError, PreconditionError):
            # An answer that was lost on its way is asked for again: then this is our own.
            found = self.read(name)
            if found is None or found[0] != data:
                raise Changed(name) from None
        except FileNotFoundError:  # it was deleted
            raise Changed(name) from None

    def remove(self, names: list[str]) -> None:
        import obstore

        if names:
            with suppress(FileNotFoundError):  # another was quicker
                self._again(names[0], lambda: obstore.delete(self._store, names))

    def check_conditions(self) -> None:
        """That this store keeps two writers apart: some that speak S3 pass over conditions, and
        would let the second overwrite the first.

        :raises BucketError: if it does not.
        """
        name = f"staging/{ULID()}"
        self.swap(name, b"first", None)
        try:
            found = self.read(name)
            self._refuses(name, None)
            if found is not None:
                self.swap(name, b"second", found[1])
                self._refuses(name, found[1])
        finally:
            self.remove([name])

    def _refuses(self, name: str, old: Stored | None) -> None:
        try:
            self.swap(name, b"third", old)
        except Changed:
            return
        raise BucketError(
            self.url,
            "this store passes over conditions (If-Match), so two writers could overwrite one another; publish to "
            "one that keeps them",
        )

    def _again(self, name: str, ask: Callable[[], T]) -> T:
        """What is asked, from its start again where an answer broke off in its middle: the library
        repeats only requests that were not answered.
        """
        from obstore.exceptions import GenericError

        with self._told(name):
            for wait_s in _WAITS_S:
                try:
                    return ask()
                except GenericError as error:
                    if _RETRIED in str(error).partition("\n")[0]:  # for long enough
                        raise
                time.sleep(wait_s * random.uniform(0.5, 1.0))
            return ask()

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Errors of the store as one sentence; conditions that were not met, and objects that are
        not there, are the caller's to meet.
        """
        from obstore.exceptions import (
            AlreadyExistsError,
            BaseError,
            NotSupportedError,
            PermissionDeniedError,
            PreconditionError,
            UnauthenticatedError,
        )

        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise BucketError(self.url, _NO_BUCKET) from None
            raise
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise BucketError(
                self.url, f"you may not read or write {name} there ({_first_line(error)})"
            ) from None
        except (NotSupportedError, NotImplementedError):
            raise BucketError(
                self.url, "this store knows no puts on a condition, which keep two writers apart"
            ) from None
        except BaseException as error:
            if type(error).__name__ == "PanicException":  # of the library's own code
                raise BucketError(self.url, f"{name}: {_first_line(error)}") from None
            if not isinstance(error, BaseError):
                raise
            no_bucket = _NO_BUCKET if "NoSuchBucket" in str(error) else None
            raise BucketError(self.url, no_bucket or f"{name}: {_first_line(error)}") from None


def _check_endpoint(url: str) -> None:
    """:raises BucketError: if what this machine's settings say is none: the library would panic."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        said = os.environ.get(name)
        if said is not None and not said.startswith(("http://", "https://")):
            raise BucketError(
                url, f"{name} is {said!r}, and no address: set it as http://HOST:PORT, or unset it"
            )


def _has_keys(config: Mapping[str, str]) -> bool:
    names = ("aws_access_key_id", "aws_skip_signature")
    return any(config.get(name) for name in names) or bool(os.environ.get("AWS_ACCESS_KEY_ID"))


def _profile() -> Callable[[], Any] | None:
    """Keys of `~/.aws` as its own tools find them, which the store's library does not read; None
    where botocore, which s3fs brings, is not installed or finds none.
    """
    try:
        from botocore.session import Session
    except ImportError:
        return None
    found = Session().get_credentials()
    if found is None:
        return None

    def keys() -> dict[str, Any]:
        frozen = found.get_frozen_credentials()  # renews those that end
        again = datetime.now(UTC) + timedelta(minutes=10)
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": again,
        }

    return keys


def _created(path: Path) -> BinaryIO:
    try:
        return create_file(path)
    except OSError as error:
        raise NotWritten(str(path), reason_of(error)) from None


def _write(file: BinaryIO, data: Buffer, path: Path) -> None:
    try:
        file.write(data)
    except OSError as error:
        raise NotWritten(str(path), reason_of(error)) from None


def _stored(meta: Mapping[str, Any]) -> Stored:
    version = {key: str(meta[key]) for key in ("e_tag", "version") if meta.get(key)}
    return Stored(int(meta["size"]), meta["last_modified"].timestamp(), version)


def _first_line(error: BaseException) -> str:
    """Without the request, which names the server's own address and how long it took."""
    line = str(error).partition("\n")[0]
    return _REQUEST.sub("", line).partition(": <?xml")[0].strip().rstrip(".")
