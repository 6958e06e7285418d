"""Local files opened so that nothing can block, surprise or exhaust the process that reads them.

A listing is older than the read: a path may have become a pipe, a folder, a loop of links, or nothing. Each
such case is one reason in an `UnreadableImage`. Knows nothing of images.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from mmap import mmap

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

# A pipe put there after the check opens at once, without waiting for a writer. Windows lacks most of these.
OPEN_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")
)


def read_bytes(uri: str, path: bytes | str, limits: ReadLimits) -> bytes:
    """The bytes of a regular file, complete and of one moment: if it changed meanwhile, it is read once more.

    :param uri: how messages name it.
    :raises UnreadableImage: if it is gone, not permitted, not a regular file, empty, over limits.max_bytes,
        or keeps changing.
    """
    try:
        for _attempt in range(2):
            data = _read_once(uri, path, limits)
            if data is not None:
                return data
    except OSError as error:
        raise UnreadableImage(uri, _reason(error, path), transient=True) from error
    except ValueError as error:  # a NUL in the path
        raise UnreadableImage(uri, "not a path this system can open: it contains a NUL") from error
    except MemoryError as error:
        raise UnreadableImage(uri, "does not fit into this machine's memory") from error
    raise UnreadableImage(
        uri, "changed while it was being read, twice; the next sync tries again", transient=True
    )


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


def _read_once(uri: str, path: bytes | str, limits: ReadLimits) -> bytes | None:
    """None if size or time moved while it was read."""
    _check_regular(uri, os.stat(path))  # noqa: PTH116  before opening: opening a device acts on it
    with io.FileIO(os.open(path, OPEN_FLAGS)) as file:
        before = os.fstat(file.fileno())
        _check_regular(uri, before)
        check_size(uri, before.st_size, limits)
        data = _read_up_to(file, before.st_size + 1)
        after = os.fstat(file.fileno())
    unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return data if unchanged and len(data) == before.st_size else None


def _read_up_to(file: io.FileIO, size_bytes: int) -> bytes:
    """Up to size_bytes; one system call may give less (Linux stops at 2 GiB, network disks sooner)."""
    parts: list[bytes] = []
    while size_bytes > 0:
        part = file.read(size_bytes)
        if not part:
            break
        parts.append(part)
        size_bytes -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_regular(uri: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "something special")
        raise UnreadableImage(uri, f"{kind}, not a file")


def _reason(error: OSError, path: bytes | str) -> str:
    if error.errno == errno.ENOENT and os.path.islink(path):  # noqa: PTH114
        return "a symbolic link to something that is not there"
    return REASONS.get(error.errno or 0, f"cannot be read: {error.strerror or error}")
