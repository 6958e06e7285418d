"""Arrays that the workers of one service have in common, and a lock over them. Knows no HTTP.

A process that serves alone has them in its own memory. Workers map the files of one folder, which
their supervisor makes and deletes: what one of them writes the others see at once, and what it
wrote outlives it. Nothing there is secret.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from indexer.errors import LakeError


class SharedArrays:
    """The arrays of one service, each by its name. Safe from several threads and processes."""

    def __init__(self, folder: Path | None = None, worker: int = 0, workers: int = 1) -> None:
        """
        :param folder: of the arrays' files; None: this process serves alone.
        :param worker: which of the workers this is, from 0.
        """
        self.folder = folder
        self.worker = worker
        self.workers = workers
        self._mine = threading.Lock()
        self._file = None if folder is None else _opened(folder / "lock")
        # uint8, (workers,): 1 where there is one; what a dead worker held counts no more
        self.alive: NDArray[np.uint8] = self.array("alive", np.uint8, (workers,))
        # int64, (workers,): connections that each has open
        self.connections: NDArray[np.int64] = self.array("connections", np.int64, (workers,))

    @property
    def is_alone(self) -> bool:
        return self.folder is None

    def array(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Zeros at first; for all workers that ask for this name with this type and shape the same.

        :param name: fit for a file's name.
        :raises LakeError: where there is no room for its file.
        """
        if self.folder is None:
            return np.zeros(shape, dtype)
        size = max(1, prod(shape)) * np.dtype(dtype).itemsize
        try:
            return np.frombuffer(_mapped(self.folder / f"{name}.array", size), dtype).reshape(shape)
        except OSError as error:
            raise LakeError(
                f"{self.folder} cannot hold what workers share ({error.strerror}); TMPDIR names "
                "another folder for it"
            ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """For moments only: the event loops of all workers wait for it."""
        with self._mine:
            if self._file is None:
                yield
                return
            import fcntl  # Windows has none, and there is one worker there

            # Of the process, not of the open file: the system gives it back if this process dies.
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)


def number_of(text: str) -> np.uint64:
    """64 bits that stand for a text in an array; never 0."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest) | 1)


def _mapped(path: Path, size: int) -> mmap.mmap:
    descriptor = _opened(path)
    try:
        if hasattr(os, "posix_fallocate"):
            # With its blocks: on a full disk a write to a hole would end the process.
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.ftruncate(descriptor, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
