"""Names in order, of folders of any size: more than fit are sorted in runs, on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from heapq import merge
from typing import BinaryIO

NAMES_AT_ONCE = 100_000  # in memory: about 10 MB
_READ_BYTES = 1 << 16  # of each run at once


class SortedNames:
    """File names, added in any order and given in that of their bytes. None holds a NUL."""

    def __init__(self) -> None:
        self._names: list[bytes] = []
        self._spilled: BinaryIO | None = None
        self._runs: list[tuple[int, int]] = []  # where each begins and ends

    def add(self, name: bytes) -> None:
        """:raises OSError: if the disk for temporary files is full."""
        self._names.append(name)
        if len(self._names) == NAMES_AT_ONCE:
            self._spill()

    def __iter__(self) -> Iterator[bytes]:
        """Once."""
        self._names.sort()
        if self._spilled is None:
            yield from self._names
            return
        with self._spilled:
            yield from merge(self._names, *(self._run(begin, end) for begin, end in self._runs))

    def _spill(self) -> None:
        self._names.sort()
        if self._spilled is None:
            self._spilled = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by __iter__
        begin = self._runs[-1][1] if self._runs else 0
        run = b"".join(name + b"\0" for name in self._names)
        end = begin
        while end < begin + len(run):
            end += self._spilled.write(run[end - begin :])
        self._runs.append((begin, end))
        self._names = []

    def _run(self, begin: int, end: int) -> Iterator[bytes]:
        assert self._spilled is not None
        rest = b""
        while begin < end:
            read = os.pread(self._spilled.fileno(), min(_READ_BYTES, end - begin), begin)
            begin += len(read)
            *names, rest = (rest + read).split(b"\0")
            yield from names
