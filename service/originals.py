"""The bytes of a row's image, if they are still those that were indexed. A caller names a row, never a place.

Every byte handed out belongs to the sha256 that the row carries, so that a link, a mount or a store that points
elsewhere by now gives nothing away.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from indexer.config import ReadLimits
from indexer.errors import ImageGone, ImageUnreachable, SourceError, UnreadableImage
from indexer.images import hash_bytes, read_bytes
from indexer.images.files import KINDS
from indexer.sources import ImageFile
from indexer.sources.local import os_reason
from indexer.sources.names import is_url, path_of
from indexer.sources.store import Store, read_remote, store_reason

ROW_COLUMNS = ("row_id", "uri", "path_bytes", "size_bytes", "sha256", "format")
CHANGED = "it has changed since it was indexed"
MISSING = "it is not there any more"


@dataclass(frozen=True, slots=True)
class IndexedImage:
    """What a row says of its image."""

    row_id: int
    uri: str
    path_bytes: bytes | None  # the path's own bytes, where uri had to escape some
    size_bytes: int  # 0 where its store did not say
    sha256: str
    format: str  # as "jpeg", "heif"

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> IndexedImage:
        """:param row: a row of a snapshot, its other columns are passed over."""
        return cls(**{name: row[name] for name in ROW_COLUMNS})


class Originals:
    """Reads images where they lie, on disk or in any store that `indexer.sources` reads. Safe for several threads."""

    def __init__(self) -> None:
        self._stores: dict[str, Store] = {}
        self._opening = threading.Lock()

    def read(self, image: IndexedImage) -> bytes:
        """The image file's bytes, whole.

        :raises ImageGone: if it is not there, or not what was indexed.
        :raises ImageUnreachable: if that cannot be told: permission, network, credentials.
        """
        data = self._read_remote(image) if is_url(image.uri) else _read_local(image)
        if hash_bytes(data) != image.sha256:
            raise ImageGone(image.uri, CHANGED)
        return data

    def _read_remote(self, image: IndexedImage) -> bytes:
        file = ImageFile(image.uri, None, image.size_bytes, None, None, None)
        most = image.size_bytes or ReadLimits().max_bytes
        try:
            store = self._store(image.uri)
        except SourceError as error:
            raise ImageUnreachable(image.uri, error.reason) from error
        try:
            return read_remote(store, store.path_of(image.uri), file, most)
        except UnreadableImage as error:
            raise _remote_trouble(store, image, error) from error

    def _store(self, url: str) -> Store:
        site = url[: url.find("/", url.find("://") + 3)]
        with self._opening:
            if site not in self._stores:
                self._stores[site] = Store.open(url)
            return self._stores[site]


def _remote_trouble(
    store: Store, image: IndexedImage, error: UnreadableImage
) -> ImageGone | ImageUnreachable:
    cause = error.__cause__
    if isinstance(cause, FileNotFoundError):
        return ImageGone(image.uri, MISSING)
    if not isinstance(cause, Exception):
        return ImageGone(image.uri, CHANGED)  # larger than it was
    try:  # a range of an object that is empty by now is an error too, another one in each store
        size_bytes = store.info(store.path_of(image.uri))["size"]
    except Exception:  # noqa: BLE001 - each store raises its own library's errors
        return ImageUnreachable(image.uri, store_reason(cause))
    if size_bytes is not None and image.size_bytes and size_bytes != image.size_bytes:
        return ImageGone(image.uri, CHANGED)
    return ImageUnreachable(image.uri, store_reason(cause))


def _read_local(image: IndexedImage) -> bytes:
    path = path_of(image.uri, image.path_bytes)
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib knows no bytes
    except (FileNotFoundError, NotADirectoryError):
        raise ImageGone(image.uri, MISSING) from None
    except OSError as error:
        raise ImageUnreachable(image.uri, os_reason(error)) from error
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "something special")
        raise ImageGone(image.uri, f"{kind} is in its place")
    if status.st_size != image.size_bytes:
        raise ImageGone(image.uri, CHANGED)
    try:
        return read_bytes(image.uri, path, ReadLimits(max_bytes=image.size_bytes))
    except UnreadableImage as error:
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError):
            raise ImageUnreachable(image.uri, os_reason(error.__cause__)) from error
        raise ImageGone(image.uri, CHANGED) from error  # between our look and the reading of it
