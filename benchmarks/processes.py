"""Memory and processor time of this process and all it started,
from Linux's /proc; nothing elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def family(root: int) -> list[int]:
    """The process and its descendants that live now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_s(root: int) -> float:
    """Processor time of the process and its living descendants so
    far; to a hundredth of a second.
    """
    ticks = (sum(map(int, fields[11:13])) for pid in family(root) if (fields := _stat(pid)))
    return sum(ticks) / TICKS_A_SECOND


def resident_bytes(root: int) -> int:
    """Resident memory of the process and its descendants;
    pages they share are counted once for each of them.
    """
    return sum(int(fields[21]) for pid in family(root) if (fields := _stat(pid))) * PAGE_BYTES


def proportional_bytes(pid: int) -> int:
    """Memory of one process, with its part of the pages that it shares (PSS)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def anonymous_bytes(pid: int) -> int:
    """Resident memory of one process without the pages of files that it maps, which the kernel
    takes back when it needs them.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024


class Peak:
    """The largest memory seen while it was watched."""

    bytes = 0


@contextmanager
def watched_memory(
    root: int, every_s: float = 0.05, measured: Callable[[int], int] = resident_bytes
) -> Iterator[Peak]:
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(every_s):
            peak.bytes = max(peak.bytes, measured(root))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name: [state, parent, ...]; None if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
