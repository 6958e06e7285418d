"""A process that ends with the one that started it, at once.

Its parent holds the writing end of a pipe and never writes: when the parent ends, however, the
kernel closes that end. PR_SET_PDEATHSIG will not do: it is sent when the thread that started a
process ends, and a service's threads come and go.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading


def die_with(descriptor: int) -> None:
    """:param descriptor: the reading end of the pipe; nothing is read from it otherwise."""
    if not _kernel_kills_at_the_end_of(descriptor):
        threading.Thread(target=_wait_for_the_end, args=(descriptor,), daemon=True).start()


def _kernel_kills_at_the_end_of(descriptor: int) -> bool:
    """Whatever this process is at then, and no code of its can hold that up."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    except OSError:  # a kernel that only passes for Linux
        return False
    # The parent may have ended before.
    watch = select.poll()
    watch.register(descriptor, select.POLLIN)
    if watch.poll(0):
        os._exit(1)
    return True


def _wait_for_the_end(descriptor: int) -> None:
    os.read(descriptor, 1)
    os._exit(1)
