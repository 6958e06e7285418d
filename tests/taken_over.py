"""A decoder in its box, as it is, which an image has taken over: it tries what the image's bytes
say, and tells how far it came. Run as indexer.images.decoder_process is.

See WAYS; other bytes are images.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import resource
import socket
import threading
from collections.abc import Callable
from mmap import mmap as Mapped
from pathlib import Path

import numpy as np

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images import ReadImage, decoder_process, reading


def _open(path: str, flags: int = os.O_RDONLY) -> Callable[[], object]:
    return lambda: os.open(path, flags)


def _socket(kind: int) -> Callable[[], object]:
    return lambda: socket.socket(kind, socket.SOCK_STREAM)


def _in_a_thread(way: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        caught: list[OSError] = []

        def attempt() -> None:
            try:
                way()
            except OSError as error:
                caught.append(error)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        if caught:
            raise caught[0]
        return "done"

    return run


def _libc(name: str, *arguments: int) -> Callable[[], object]:
    def call() -> object:
        result = getattr(LIBC, name)(*arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    return call


LIBC = ctypes.CDLL(None, use_errno=True)

# Each has to be refused.
WAYS: dict[str, Callable[[], object]] = {
    "read a file": _open("/etc/passwd"),
    "read a file from a thread": _in_a_thread(_open("/etc/passwd")),
    "read the code it runs": _open(decoder_process.__file__),
    "read its parent's environment": _open(f"/proc/{os.getppid()}/environ"),
    "read its parent's memory": _open(f"/proc/{os.getppid()}/mem"),
    "open what it has once more": _open("/proc/self/fd/0", os.O_WRONLY),
    "list a folder": lambda: list(Path("/").iterdir()),
    "look at a file": Path("/etc/passwd").stat,
    "write a file": _open("/tmp/lakesift-taken-over", os.O_WRONLY | os.O_CREAT),
    "delete a file": Path("/tmp/lakesift-taken-over").unlink,
    "make a file in memory": lambda: os.memfd_create("x"),
    "talk to the network": _socket(socket.AF_INET),
    "talk to the network by IPv6": _socket(socket.AF_INET6),
    "talk to other programs": _socket(socket.AF_UNIX),
    "make a socket of its own": socket.socketpair,
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "start a process": os.fork,
    "signal its parent": lambda: os.kill(os.getppid(), 0),
    "signal a group": lambda: os.killpg(0, 0),
    "trace its parent": _libc("ptrace", 16, os.getppid(), 0, 0),
    "make memory executable": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "make its memory executable": _libc("mprotect", 0, 0, mmap.PROT_EXEC),
    "let go of its lifeline": lambda: os.close(0),
    "put something else for its lifeline": lambda: os.dup2(1, 0),
    "raise a limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)),
    "take 10 GB": lambda: np.ones(10_000_000_000, np.uint8),
}


def _spin() -> object:
    while True:
        pass


# These end it.
HANGS: dict[str, Callable[[], object]] = {
    "spin": _spin,
    # matching holds the interpreter's lock: no other thread of Python gets a turn
    "spin in native code": lambda: re.match(r"(a+)+$", "a" * 64 + "b"),
}


def _attempt(
    uri: str, data: bytes | Mapped, shape: InputShape, limits: ReadLimits, exact: bool = False
) -> ReadImage:
    text = bytes(data[:100]).decode(errors="replace")
    if text == "environment":
        raise UnreadableImage(uri, " ".join(sorted(os.environ)))
    way = WAYS.get(text) or HANGS.get(text)
    if way is None:
        return reading.read_image(uri, data, shape, limits, exact)
    try:
        result = way()
    except (OSError, MemoryError, ValueError) as error:
        raise UnreadableImage(uri, f"refused: {type(error).__name__}") from None
    raise UnreadableImage(uri, f"it could: {result!r}")


if __name__ == "__main__":
    decoder_process.read_image = _attempt  # type: ignore[attr-defined]
    decoder_process.main()
