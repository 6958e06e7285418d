"""The bytes of a row's image, if they are still those that were indexed.
A caller names a row, never a place.

Every byte handed out belongs to the sha256 that the row carries, so that a link, a mount or a store
that points elsewhere by now gives nothing away.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.address import ADDRESS_COLUMNS, Address
from indexer.config import ReadLimits
from indexer.errors import (
    ImageGone,
    ImageRefused,
    ImageUnreachable,
    SourceError,
    UnreadableImage,
)
from indexer.images import hash_bytes
from indexer.images.files import KINDS
from indexer.sources.bytes_of import BytesOf, why_unreadable
from indexer.sources.guard import INSIDE, OTHER_KIND, Reach, site_of
from indexer.sources.local import os_reason
from indexer.sources.store import store_reason
from service.pictures.fetches import Fetches

ROW_COLUMNS = ("row_id", *ADDRESS_COLUMNS, "size_bytes", "sha256", "format")
CHANGED = "it has changed since it was indexed"
MISSING = "it is not there any more"
NOT_READ = (
    "its row was imported and the image not read yet, so nothing says which bytes may be shown; "
    "`lakesift sync LAKE --recompute width_px` reads the images"
)


@dataclass(frozen=True, slots=True)
class IndexedImage:
    """What a row says of its image."""

    row_id: int
    address: Address
    size_bytes: int  # 0 where its store did not say
    sha256: str
    format: str  # as "jpeg", "heif"
    seeks: Path | None = None  # the folder of its lake's seek indexes, where it is known

    @property
    def uri(self) -> str:
        """How messages name it."""
        return str(self.address)

    @property
    def site(self) -> str:
        """Of its store; "" for a file of this machine."""
        return site_of(self.address.uri) if self.address.is_url else ""

    @classmethod
    def of(cls, row: Mapping[str, Any], reach: Reach) -> IndexedImage:
        """:param row: a row of a snapshot with ROW_COLUMNS, its other columns are passed over.
        :param reach: of the row's lake.
        :raises UnreadableImage: if it holds no address of an image, or says too little of it.
        :raises ImageRefused: if a row of this lake may not name that address.
        """
        address = Address.of(row)
        if reason := reach.why_not(address):
            raise ImageRefused(str(address), reason)
        if row["sha256"] is None:
            raise ImageRefused(str(address), NOT_READ)
        facts = {name: row[name] for name in ("row_id", "size_bytes", "sha256", "format")}
        if missing := [name for name, value in facts.items() if value is None]:
            raise UnreadableImage(str(address), f"its row says no {missing[0]}")
        return cls(address=address, **facts, seeks=reach.seeks)


class Originals:
    """Reads images where they lie, wherever `indexer.sources` reads. Safe for several threads."""

    def __init__(self, fetches: Fetches | None = None) -> None:
        """:param fetches: how long and by how many threads a store's answer is waited for; None: as
        suits a program of its own.
        """
        self._bytes_of = BytesOf(careful=True)
        self.fetches = fetches or Fetches()

    @contextmanager
    def waiting(self, image: IndexedImage) -> Iterator[None]:
        """Stand among those who wait for the image's store; a file of this machine has none.

        :raises ImageUnreachable: if there are too many.
        """
        with self.fetches.waiting(image.uri, image.site) if image.site else nullcontext():
            yield

    def read(self, image: IndexedImage) -> bytes:
        """The image's bytes, as its file holds them.

        :raises ImageGone: if it is not there, or not what was indexed.
        :raises ImageUnreachable: if that cannot be told: permission, network, credentials; or if
            images at such a place are not read here; if its store is too slow.
        """
        if not image.site:
            return self._read(image)
        with self.waiting(image):
            return self.fetches.fetch(
                image.uri, image.site, lambda: self._read(image), image.size_bytes
            )

    def _read(self, image: IndexedImage) -> bytes:
        if reason := why_unreadable(image.address):
            raise ImageUnreachable(image.uri, reason)
        # A frame's size is only foretold: in the middle of a video it may become another.
        known = image.size_bytes if image.address.stream is None else 0
        most = known or ReadLimits().max_bytes
        try:
            data = self._bytes_of.read(
                image.address, most, size_bytes=image.size_bytes, seeks=image.seeks
            )
        except UnreadableImage as error:
            raise self._trouble(image, error) from error
        if hash_bytes(data) != image.sha256:
            raise ImageGone(image.uri, CHANGED)
        return data

    def _trouble(self, image: IndexedImage, error: UnreadableImage) -> ImageGone | ImageUnreachable:
        if error.reason in (INSIDE, OTHER_KIND):
            return ImageRefused(image.uri, error.reason)
        cause = error.__cause__
        if isinstance(cause, FileNotFoundError | NotADirectoryError):
            return ImageGone(image.uri, MISSING)
        if isinstance(cause, SourceError):
            return ImageUnreachable(image.uri, cause.reason)
        path = image.address.path
        if not isinstance(cause, Exception):  # larger than it was, cut short, or no file at all
            return ImageGone(image.uri, _in_its_place(path) or CHANGED)
        if path is not None:
            reason = os_reason(cause) if isinstance(cause, OSError) else error.reason
            return ImageUnreachable(image.uri, reason)
        return self._remote_trouble(image, cause)

    def _remote_trouble(
        self, image: IndexedImage, cause: Exception
    ) -> ImageGone | ImageUnreachable:
        # A range of an object that is shorter by now is an error too, another one in each store.
        try:
            store = self._bytes_of.stores.of(image.address.uri)
            size_bytes = store.info(store.path_of(image.address.uri))["size"]
        except Exception:  # noqa: BLE001 - each store raises its own library's errors
            return ImageUnreachable(image.uri, store_reason(cause))
        if size_bytes is not None and _is_another_size(image, size_bytes):
            return ImageGone(image.uri, CHANGED)
        return ImageUnreachable(image.uri, store_reason(cause))


def _is_another_size(image: IndexedImage, size_bytes: int) -> bool:
    """Whether a file of this size cannot hold the image as it was indexed."""
    if image.address.span is not None:
        return sum(image.address.span) > size_bytes
    return bool(image.size_bytes) and size_bytes != image.size_bytes


def _in_its_place(path: bytes | None) -> str | None:
    """What is there that is no file; None where that cannot be said."""
    if path is None:
        return None
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - pathlib knows no bytes
    except OSError:
        return None
    if stat.S_ISREG(mode):
        return None
    return f"{KINDS.get(stat.S_IFMT(mode), 'something special')} is in its place"
