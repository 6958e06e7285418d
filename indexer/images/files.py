"""Local files opened so that nothing can block, surprise or exhaust the process that reads them.

A listing is older than the read: a path may have become a pipe, a folder, a loop of links, or
nothing. Each such case is one reason in an `UnreadableImage`. Knows nothing of images.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path

from indexer.config import ReadLimits
from indexer.errors import UnreadableImage

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

REASONS = {
    errno.ENOENT: "vanished: there is no such file any more",
    errno.ENOTDIR: "vanished: a folder of its path is not a folder any more",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ELOOP: "a loop of symbolic links",
    errno.ENAMETOOLONG: "its path is longer than this system allows",
}

CHANGED = "changed while it was being read, twice; the next sync tries again"

# A pipe put there after the check opens at once, without waiting for a writer. Windows lacks most
# of these.
OPEN_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")
)


def read_bytes(
    uri: str, path: bytes | str, limits: ReadLimits, span: tuple[int, int] | None = None
) -> bytes:
    """The bytes of a regular file, complete and of one moment:
    if it changed meanwhile, it is read once more.

    :param uri: how messages name it.
    :param span: (offset, length): these bytes alone, both from 0. None: the whole file.
    :raises UnreadableImage: if it is gone, not permitted, not a regular file, empty, over
        limits.max_bytes, keeps changing, or ends before the span does.
    """
    for _attempt in range(2):
        descriptor = open_file(uri, path)
        try:
            data = _read_once(uri, descriptor, limits, span)
        finally:
            os.close(descriptor)
        if data is not None:
            return data
    raise UnreadableImage(uri, CHANGED, transient=True)


def open_file(uri: str, path: bytes | str) -> int:
    """A descriptor of a regular file, for reading: whoever has it reads this file and no other.

    :raises UnreadableImage: if it is gone, not permitted, or not a regular file.
    """
    with _told(uri, path):
        _check_regular(uri, os.stat(path))  # noqa: PTH116  before opening: opening a device acts on it
        return os.open(path, OPEN_FLAGS)


def read_opened(uri: str, descriptor: int, limits: ReadLimits) -> bytes:
    """As `read_bytes`, of a file that is open; the descriptor stays open."""
    for _attempt in range(2):
        data = _read_once(uri, descriptor, limits, None)
        if data is not None:
            return data
    raise UnreadableImage(uri, CHANGED, transient=True)


def read_named(path: str | Path, limits: ReadLimits) -> bytes:
    """As `read_bytes`, a file that a person has just named:
    what was never there has not vanished.
    """
    try:
        return read_bytes(str(path), str(path), limits)
    except UnreadableImage as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise UnreadableImage(str(path), "there is no such file") from None
        raise


def hash_file(uri: str, path: bytes | str, limits: ReadLimits) -> str:
    """The sha256 of a file's bytes, 64 hex digits, without decoding it; raises as `read_bytes`."""
    return hash_bytes(read_bytes(uri, path, limits))


def hash_bytes(data: bytes | mmap) -> str:
    """sha256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def check_size(uri: str, size_bytes: int, limits: ReadLimits) -> None:
    """:raises UnreadableImage: if nothing is in the file, or more than limits.max_bytes."""
    if size_bytes == 0:
        raise UnreadableImage(uri, "empty file")
    if size_bytes > limits.max_bytes:
        size, cap = (f"{value / 1e6:.6g} MB" for value in (size_bytes, limits.max_bytes))
        raise UnreadableImage(uri, f"{size}, over the cap of {cap} (LAKESIFT_MAX_BYTES)")


def check_end(uri: str, end: int, size_bytes: int) -> None:
    """:raises UnreadableImage: if a file of size_bytes has no byte end - 1."""
    if end > size_bytes:
        raise UnreadableImage(
            uri, f"it should end at byte {end:,} of its file, which has only {size_bytes:,}"
        )


@contextmanager
def _told(uri: str, path: bytes | str | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableImage(uri, _reason(error, path), transient=True) from error
    except ValueError as error:  # a NUL in the path
        raise UnreadableImage(uri, "not a path this system can open: it contains a NUL") from error
    except MemoryError as error:
        raise UnreadableImage(uri, "takes more memory than there is for one image") from error


def _read_once(
    uri: str, descriptor: int, limits: ReadLimits, span: tuple[int, int] | None
) -> bytes | None:
    """None if size or time moved while it was read."""
    with _told(uri):
        before = os.fstat(descriptor)
        _check_regular(uri, before)
        offset, length = span or (0, before.st_size)
        check_size(uri, length, limits)
        check_end(uri, offset + length, before.st_size)
        os.lseek(descriptor, offset, os.SEEK_SET)
        # One byte more than a whole file has: it may have grown.
        data = _read_up_to(descriptor, length if span else length + 1)
        after = os.fstat(descriptor)
    unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return data if unchanged and len(data) == length else None


def _read_up_to(descriptor: int, size_bytes: int) -> bytes:
    """Up to size_bytes; one system call may give less (Linux stops
    at 2 GiB, network disks sooner).
    """
    parts: list[bytes] = []
    while size_bytes > 0:
        part = os.read(descriptor, size_bytes)
        if not part:
            break
        parts.append(part)
        size_bytes -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_regular(uri: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "something special")
        raise UnreadableImage(uri, f"{kind}, not a file")


def _reason(error: OSError, path: bytes | str | None) -> str:
    if path is not None and error.errno == errno.ENOENT and os.path.islink(path):  # noqa: PTH114
        return "a symbolic link to something that is not there"
    return REASONS.get(error.errno or 0, f"cannot be read: {error.strerror or error}")
