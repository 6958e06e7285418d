"""Memory that a lake's mapped files take of a process: how much, and giving it back.

What was read of a mapped file counts as the process's until the kernel needs the room. A search of
every row of a very large lake so makes it seem as large as the lake. Given back, the bytes stay in
the system's cache: whoever reads them next finds them there, and waits a microsecond for some 16
pages. On Linux; elsewhere nothing is known and nothing is given back.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from service.snapshot.snapshot import Snapshot

MOST = 1 / 8  # of the memory that the process may use
_STATUS, _MAPS = Path("/proc/self/status"), Path("/proc/self/maps")
_LIMIT = Path("/sys/fs/cgroup/memory.max")
PAGE = mmap.PAGESIZE
_DONT_NEED = 4  # MADV_DONTNEED of madvise(2)


def is_much() -> bool:
    """Whether the files that this process maps take more than MOST of the memory there is."""
    found = mapped_bytes()
    return found > 0 and found > MOST * memory_bytes()


def mapped_bytes() -> int:
    """Resident pages of all files that this process maps; 0: nobody knows."""
    with suppress(OSError):
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("RssFile:"):
                return int(line.split()[1]) * 1024
    return 0


@cache
def memory_bytes() -> int:
    """What the machine has, or what its control group allows, if that is less."""
    pages = os.sysconf("SC_PHYS_PAGES") * PAGE
    with suppress(OSError, ValueError):  # "max", or no such groups
        pages = min(pages, int(_LIMIT.read_text(encoding="ascii")))
    return pages


def give_back(snapshot: Snapshot) -> int:
    """Give back the pages of the files that a snapshot maps: its vectors and codes.

    Safe at any time: what is read again comes back. The snapshot is held meanwhile, so nothing of
    it is unmapped, and nobody else's memory lies there. What is in no file, or written to, stays.

    :returns: bytes of the maps that were given back, read or not.
    :raises OSError: if the system refuses.
    """
    given, maps = 0, _file_maps()
    starts = [start for start, _ in maps]
    for address, size in _extents(snapshot):
        start, end = -(-address // PAGE) * PAGE, (address + size) // PAGE * PAGE
        at = bisect_right(starts, start) - 1
        if start >= end or at < 0 or end > maps[at][1]:
            continue
        if _libc().madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONT_NEED):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        given += end - start
    return given


def _extents(snapshot: Snapshot) -> Iterator[tuple[int, int]]:
    """Where the large arrays of a snapshot begin, and their bytes."""
    all_codes = [part.codes for part in snapshot.parts]
    all_codes.append(None if snapshot.groups is None else snapshot.groups.stored.codes)
    for part in snapshot.parts:
        yield part.vectors.extent
    for codes in all_codes:
        for block in () if codes is None else codes.blocks:
            for half in (block.head, block.tail):
                yield half.__array_interface__["data"][0], half.nbytes


def _file_maps() -> list[tuple[int, int]]:
    """Where maps of files that are only read begin and end, rising; neighbours are one."""
    found: list[tuple[int, int]] = []
    with suppress(FileNotFoundError):
        # Not as text: a path may hold what text takes for the end of a line.
        for line in _MAPS.read_bytes().rstrip(b"\n").split(b"\n"):
            place, rights, _, _, inode, *_ = line.split(maxsplit=5)
            if inode != b"0" and b"w" not in rights:
                start, end = (int(each, 16) for each in place.split(b"-"))
                if found and found[-1][1] == start:
                    found[-1] = (found[-1][0], end)
                else:
                    found.append((start, end))
    return found


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
