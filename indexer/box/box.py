"""What of the box holds on this machine, and closing it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from indexer.box.landlock import refuse_everything
from indexer.box.linux import set_no_new_privs
from indexer.box.seccomp import refuse_all_but_open_work

T = TypeVar("T")

# this kernel has no such wall, or this system no such call at all
WITHOUT = (OSError, AttributeError)
OPEN_FILES = 16  # descriptors a boxed process may have, those it stands on among them


@dataclass(frozen=True, slots=True)
class Box:
    """Which walls stand; the others are missing on this machine."""

    memory_cap_bytes: int | None  # of writable memory; None: not limited
    no_new_privs: bool
    landlock_abi: int | None
    seccomp: bool

    def __str__(self) -> str:
        memory = self.memory_cap_bytes and f"memory up to {self.memory_cap_bytes / 1e9:.1f} GB"
        walls = {
            memory or "a memory cap": memory is not None,
            "no_new_privs": self.no_new_privs,
            f"Landlock (ABI {self.landlock_abi})" if self.landlock_abi else "Landlock": bool(
                self.landlock_abi
            ),
            "seccomp": self.seccomp,
        }
        holds = [wall for wall, stands in walls.items() if stands]
        missing = [wall for wall, stands in walls.items() if not stands]
        text = ", ".join(holds) or "nothing but a process of its own"
        return f"{text}; not on this machine: {', '.join(missing)}" if missing else text


def close(memory_cap_bytes: int) -> Box:
    """Close this process in: no file but those that are open, no network, no new process, so much
    memory. A wall that this machine lacks is left out.

    Call it when all modules are loaded and before there is a second thread: nothing can be
    imported afterwards, and Landlock closes in the calling thread and those it starts.

    :param memory_cap_bytes: of writable memory; more raises MemoryError.
    """
    # None on seconds of work: a decoder works for hours, and its parent ends it where one image
    # takes long.
    capped = limit(memory_cap_bytes, OPEN_FILES)
    return Box(
        memory_cap_bytes=memory_cap_bytes if capped else None,
        # in this order: each needs those before it, and the last refuses their calls
        no_new_privs=_stands(set_no_new_privs),
        landlock_abi=_or_none(refuse_everything),
        seccomp=_stands(refuse_all_but_open_work),
    )


def _stands(build: Callable[[], None]) -> bool:
    try:
        build()
    except WITHOUT:
        return False
    return True


def _or_none(build: Callable[[], T]) -> T | None:
    try:
        return build()
    except WITHOUT:
        return None


def limit(memory_cap_bytes: int, open_files: int, work_s: int | None = None) -> bool:
    """
    :param work_s: of all its threads together; None: no limit.
    :returns: whether this system holds a process to its memory.
    """
    try:
        import resource
    except ImportError:  # Windows
        return False
    # No limit on processes: it counts all of a user's, so that threads would fail too.
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, open_files),
    ):
        _lower(kind, most)
    if work_s is not None:
        _lower(resource.RLIMIT_CPU, work_s)
    # Address space is more than what is written: threads and libraries reserve some that they never
    # use, the more the more cores there are.
    return sys.platform == "linux" and _lower(resource.RLIMIT_DATA, memory_cap_bytes)


def _lower(limit: int, most: int) -> bool:
    import resource

    _, hard = resource.getrlimit(limit)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(limit, (value, value))
    except (OSError, ValueError):
        return False
    return True
