"""What was opened and is asked for again: it is kept as long as its file stays the same."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from indexer.address import Address
from indexer.sources.store import Stores, etag, modified_us

T = TypeVar("T")
Mark: TypeAlias = tuple[object, ...]

_TRUSTED_S = 10.0  # a store is asked again after this long whether an object is still the same


@dataclass(slots=True)
class _Entry(Generic[T]):
    mark: Mark
    checked_s: float  # as time.monotonic tells it
    value: T


class Kept(Generic[T]):
    """The values used last. Safe for several threads; two may make the same value at once."""

    def __init__(self, stores: Stores, most: int) -> None:
        """:param most: values that are kept."""
        self._stores, self._most = stores, most
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._turn = threading.Lock()

    def of(self, key: Hashable, file: Address, make: Callable[[], T]) -> T:
        """The value of a key, made where it is not there or its file is another by now.

        :raises OSError: if the file is not there; a store raises its own library's errors.
        """
        with self._turn:
            entry = self._entries.get(key)
        now = time.monotonic()
        if entry is not None and file.is_url and now - entry.checked_s < _TRUSTED_S:
            mark = entry.mark
        else:
            mark = self._mark(file)
        if entry is None or entry.mark != mark:
            entry = _Entry(mark, now, make())
        elif file.is_url and mark is not entry.mark:
            entry.checked_s = now
        with self._turn:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        return entry.value

    def _mark(self, file: Address) -> Mark:
        if file.path is not None:
            status = os.stat(file.path)  # noqa: PTH116 - pathlib knows no bytes
            return status.st_ino, status.st_size, status.st_mtime_ns
        store = self._stores.of(file.uri)
        info = store.info(store.path_of(file.uri))
        return info["size"], etag(info), modified_us(info)
