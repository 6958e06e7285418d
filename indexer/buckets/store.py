"""One folder of a bucket, by what object stores agree on: whole objects that are put at once,
and puts on a condition, which keep two writers apart. Knows objects and their names, not what a
lake is.

The conditions are HTTP's If-None-Match and If-Match on S3 and Azure, generations on Google Cloud
(`obstore`, the Rust crate object_store).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from ulid import ULID

from indexer.buckets.opening import opened, place_of, said_by_store
from indexer.disk.entries import create_file, open_file, reason_of
from indexer.errors import BucketError, NotWritten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstore.store import ObjectStore
    from typing_extensions import Buffer

T = TypeVar("T")
_NO_BUCKET = "there is no such bucket"
_NO_BUCKET_CODES = ("NoSuchBucket", "ContainerNotFound")  # S3's and Google's, Azure's
MOST_READ_BYTES = 1 << 30  # of what is read into memory: manifests, labels of millions
_RETRIED = "max_retries"  # in what the library says once it has asked again and again
_READ_AT_ONCE = 8 << 20  # bytes
_PARTS_AT_ONCE = 2  # of a file, 5 MiB each: on a slow line each must get through in QUIET_S
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
        place = place_of(url)
        return cls(place.url, opened(place))

    def names(self, below: str = "") -> dict[str, Stored]:
        """Every object of the folder: its name there -> what the store says of it.

        :param below: "" or a folder's name, as "segments".
        """
        import obstore

        def listed() -> dict[str, Stored]:
            pages = obstore.list(self._store, below or None)
            found = {str(each["path"]): _stored(each) for page in pages for each in page}
            found.pop("", None)  # what consoles of stores make for an empty folder
            return found

        try:
            return self._again(below or "its names", listed)
        except FileNotFoundError:  # each store has words of its own for it
            raise BucketError(self.url, _NO_BUCKET) from None

    def read(self, name: str) -> tuple[bytes, Stored] | None:
        """An object whole; None where there is none.

        :raises BucketError: if it has more than `MOST_READ_BYTES`: whoever fills a bucket shall not
            fill the memory.
        """
        import obstore

        def got() -> tuple[bytes, Stored]:
            found = obstore.get(self._store, name)
            data = bytearray()
            for chunk in found.stream(min_chunk_size=_READ_AT_ONCE):
                data += chunk
                if len(data) > MOST_READ_BYTES:
                    raise BucketError(
                        self.url,
                        f"{name} has more than the {MOST_READ_BYTES:,} bytes that such an object may have",
                    )
            return bytes(data), _stored(found.meta)

        try:
            return self._again(name, got)
        except FileNotFoundError:
            return None

    def fetch(
        self,
        name: str,
        into: Path,
        *,
        length: int,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """An object's bytes into a new file, which is not fsynced.

        :param length: bytes that it should have. No more is read than shows that it has more, so
            that no store fills the disk.
        :returns: False where it was stopped; what there is of the file is the caller's to remove.
        :raises FileNotFoundError: if there is no such object.
        :raises NotWritten: if the file cannot be written.
        """
        import obstore

        def fetched() -> bool:
            chunks = obstore.get(self._store, name).stream(min_chunk_size=_READ_AT_ONCE)
            got = 0
            with _created(into) as file:
                for chunk in chunks:
                    if should_stop():
                        return False
                    _write(file, chunk, into)
                    got += len(chunk)
                    if got > length:
                        break
            return True

        return self._again(name, fetched)

    def send(self, name: str, path: Path) -> None:
        """A file's bytes as an object, whole or not at all; what has its name is replaced."""
        import obstore

        def sent() -> None:
            with open_file(path) as file:
                obstore.put(self._store, name, file, max_concurrency=_PARTS_AT_ONCE)

        self._again_into(name, sent)

    def put(self, name: str, data: bytes) -> None:
        """An object, whatever has its name."""
        import obstore

        self._again_into(name, lambda: obstore.put(self._store, name, data, use_multipart=False))

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
        try:
            self.swap(name, b"first", None)
            found = self.read(name)
            if found is None:
                raise self._unfit("it does not find an object that was just put there")
            self._refuses(name, None)
            self.swap(name, b"second", found[1])
            self._refuses(name, found[1])
        except Changed:
            raise self._unfit(
                "it refuses what meets a condition, as where a proxy before it changes ETags"
            ) from None
        finally:
            self._leave(name)

    def now_s(self) -> float:
        """Seconds since 1970, by the store's clock, by which it says when an object was put."""
        name = f"staging/{ULID()}"
        self.put(name, b"now")
        try:
            found = self.read(name)
        finally:
            self._leave(name)
        if found is None:
            raise self._unfit("it does not find an object that was just put there")
        return found[1].modified_s

    def _leave(self, name: str) -> None:
        """Remove an object of our own; who may put and not delete leaves it to `--prune`."""
        with suppress(BucketError):
            self.remove([name])

    def _unfit(self, why: str) -> BucketError:
        return BucketError(
            self.url,
            f"this store cannot keep two writers apart: {why}; publish to one that keeps conditions (If-Match)",
        )

    def _refuses(self, name: str, old: Stored | None) -> None:
        try:
            self.swap(name, b"third", old)
        except Changed:
            return
        raise self._unfit("it passes over conditions")

    def _again_into(self, name: str, ask: Callable[[], object]) -> None:
        """As `_again`, of a put: what is not there can only be the bucket."""
        try:
            self._again(name, ask)
        except FileNotFoundError as error:
            raise BucketError(self.url, f"{_NO_BUCKET} ({said_by_store(error)})") from None

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
            if _says_no_bucket(error):
                raise BucketError(self.url, _NO_BUCKET) from None
            raise
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise BucketError(
                self.url, f"you may not read or write {name} there ({said_by_store(error)})"
            ) from None
        except (NotSupportedError, NotImplementedError):
            raise self._unfit("it knows no puts on a condition") from None
        except BaseException as error:
            if type(error).__name__ == "PanicException":  # of the library's own code
                raise BucketError(self.url, f"{name}: {said_by_store(error)}") from None
            if not isinstance(error, BaseError):
                raise
            text = str(error)
            if "ETag required for conditional put" in text:
                raise self._unfit("it says no ETags") from None
            if "501 Not Implemented" in text and name.startswith("staging/"):
                raise self._unfit("it knows no puts on a condition") from None
            if _says_no_bucket(error):
                raise BucketError(self.url, _NO_BUCKET) from None
            raise BucketError(self.url, f"{name}: {said_by_store(error)}") from None


def _says_no_bucket(error: BaseException) -> bool:
    return any(f"<Code>{code}</Code>" in str(error) for code in _NO_BUCKET_CODES)


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
