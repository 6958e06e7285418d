"""A file or an object opened to be read at any place, on disk or on anything fsspec opens."""

from __future__ import annotations

import io
import os
import stat
from typing import BinaryIO, cast

from indexer.address import Address
from indexer.errors import UnreadableImage
from indexer.images.files import KINDS, OPEN_FLAGS
from indexer.sources.store import Store, Stores, store_reason

_LOCAL_BLOCK_BYTES = 4_096
# Small images lie close together, and a request costs about as much as a megabyte.
_REMOTE_BLOCK_BYTES = 1 << 20


def open_file(
    address: Address, stores: Stores, block_bytes: int | None = None
) -> tuple[BinaryIO, int]:
    """The whole file that an address names, seekable, and its size in bytes. Close it.

    :param block_bytes: read at once; None: as listing a container needs it.
    :raises UnreadableImage: if it is a local path and no plain file.
    :raises OSError: if it is not there or cannot be read; a store raises its own library's errors.
    """
    path = address.path
    if path is not None:
        descriptor = os.open(path, OPEN_FLAGS)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            kind = KINDS.get(stat.S_IFMT(status.st_mode), "something special")
            raise UnreadableImage(address.uri, f"{kind}, not a file")
        opened = os.fdopen(descriptor, "rb", block_bytes or _LOCAL_BLOCK_BYTES)
        return opened, status.st_size
    store = stores.of(address.uri)
    name = store.path_of(address.uri)
    size_bytes = int(store.info(name)["size"])
    raw = _Ranges(store, name, size_bytes)
    return cast(BinaryIO, io.BufferedReader(raw, block_bytes or _REMOTE_BLOCK_BYTES)), size_bytes


def read_part(address: Address, offset: int, length: int, stores: Stores) -> bytes:
    """`length` bytes of the file that an address names, in one request; fewer where a local file
    ends before.

    :raises OSError: whatever went wrong.
    """
    if address.path is not None:
        try:
            opened, _ = open_file(address, stores)
        except UnreadableImage as error:
            raise OSError(error.reason) from error
        with opened:
            opened.seek(offset)
            return opened.read(length)
    store = stores.of(address.uri)
    try:
        return store.exactly(store.path_of(address.uri), offset, length)
    except Exception as error:
        raise OSError(store_reason(error)) from error


class _Ranges(io.RawIOBase):
    """An object of a store, read by ranges."""

    def __init__(self, store: Store, name: str, size_bytes: int) -> None:
        self._store, self._name, self._size = store, name, size_bytes
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._size - self._place)
        if wanted <= 0:
            return 0
        buffer[:wanted] = self._store.exactly(self._name, self._place, wanted)
        self._place += wanted
        return wanted
