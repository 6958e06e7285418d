"""Compressed bytes in pieces, each of which can be unpacked without those before it.

A piece begins at a point. What lies between two points is read in one go, unpacked at once and kept
for a while: images that lie close together are unpacked together.
"""

from __future__ import annotations

import io
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeAlias

# Of one piece, unpacked: more is held in memory by nobody.
MAX_PIECE_BYTES = 256 << 20
_HELD_BYTES = 32 << 20
_NO_SENSE = "its seek index makes no sense"


@dataclass(frozen=True, slots=True)
class Point:
    """Where a piece begins."""

    packed: int  # byte of the file
    unpacked: int  # byte of what it holds
    # of the byte before `packed`, so many of its last bits are the piece's first
    bits: int = 0
    # what stands before it, unpacked, as far as it is needed: up to 32 KiB
    window: bytes = b""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One piece."""

    data: bytes
    # where streams end in it, and what stands there to check them by; None: it was checked
    ends: Sequence[tuple[int, bytes | None]] = ()


# The packed bytes from a point up to the next one, and how many bytes they hold, to those bytes.
Unpack: TypeAlias = Callable[[Point, bytes, int], Unpacked]


class Unpackable(Exception):
    """A piece is not what its point says; str() is the reason."""


class Pieces:
    """What a file holds, by place. Safe for several threads."""

    def __init__(
        self,
        points: Sequence[Point],
        packed_bytes: int,
        unpacked_bytes: int,
        unpack: Unpack,
        read: Callable[[int, int], bytes],
    ) -> None:
        """
        :param points: by place; the first one's `unpacked` is 0.
        :param read: offset and length in the file to these bytes.
        """
        self.points = points
        self.packed_bytes, self.size_bytes = packed_bytes, unpacked_bytes
        self._begins = [point.unpacked for point in points]
        self._unpack, self._read = unpack, read
        self._kept: OrderedDict[int, Future[Unpacked]] = OrderedDict()
        self._turn = threading.Lock()

    def at(self, offset: int, length: int) -> bytes:
        """So many bytes; fewer where it ends before.

        :raises Unpackable: if the file holds something else than its points say.
        :raises OSError: whatever went wrong with the file.
        """
        end = min(offset + length, self.size_bytes)
        if not 0 <= offset < end:
            return b""
        first = bisect_right(self._begins, offset) - 1
        if first < 0:
            raise Unpackable(_NO_SENSE)
        parts, place = [], offset
        for number in range(first, len(self.points)):
            if place >= end:
                break
            begin = self._begins[number]
            part = self.piece(number).data[place - begin : end - begin]
            parts.append(part)
            place += len(part)
        return b"".join(parts)

    def opened(self, see: Callable[[Unpacked], None]) -> io.BufferedReader:
        """As a file that can be read at any place.

        :param see: is shown every piece once, in their order, up to the place that is read.
        """
        return io.BufferedReader(_Opened(self, see), 1 << 16)

    def piece(self, number: int) -> Unpacked:
        """Those who want one at once wait for the first of them."""
        mine: Future[Unpacked] = Future()
        with self._turn:
            kept = self._kept.setdefault(number, mine)
            self._kept.move_to_end(number)
        if kept is not mine:
            return kept.result()
        try:
            mine.set_result(self._unpacked(number))
        except BaseException as error:
            with self._turn:
                self._kept.pop(number, None)
            mine.set_exception(error)
            raise
        self._drop()
        return mine.result()

    def _unpacked(self, number: int) -> Unpacked:
        point, is_last = self.points[number], number + 1 == len(self.points)
        ends = (
            (self.packed_bytes, self.size_bytes)
            if is_last
            else (self.points[number + 1].packed, self.points[number + 1].unpacked)
        )
        start, size = point.packed - (point.bits > 0), ends[1] - point.unpacked
        is_inside = 0 <= start < ends[0] <= self.packed_bytes and 0 <= point.bits < 8
        if not (is_inside and 0 <= size <= MAX_PIECE_BYTES):
            raise Unpackable(_NO_SENSE)
        packed = self._read(start, ends[0] - start)
        piece = self._unpack(point, packed, size)
        if len(piece.data) != size:
            raise Unpackable("it is not what it was when it was listed, or cut short")
        return piece

    def _drop(self) -> None:
        with self._turn:
            done = [(n, each) for n, each in self._kept.items() if each.done()]
            held = sum(len(each.result().data) for _, each in done if each.exception() is None)
            for number, each in done[:-1]:
                if held <= _HELD_BYTES:
                    return
                if each.exception() is None:
                    held -= len(each.result().data)
                del self._kept[number]


class _Opened(io.RawIOBase):
    def __init__(self, pieces: Pieces, see: Callable[[Unpacked], None]) -> None:
        self._pieces, self._see = pieces, see
        self._place = self._seen = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._pieces.size_bytes}
        self._place = starts[whence] + offset
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        points = self._pieces.points
        while self._seen < len(points) and points[self._seen].unpacked < self._place + len(buffer):
            self._see(self._pieces.piece(self._seen))
            self._seen += 1
        data = self._pieces.at(self._place, len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
