"""Files on this machine's disks: what a listing says of one, and what lies beside it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from indexer.sources import ColumnValue, ImageFile
from indexer.sources.joining import Join
from indexer.sources.names import address_of, uri_of
from indexer.sources.sidecars import max_sidecar_bytes


def read_start(path: bytes, count: int) -> bytes:
    """At most `count` bytes from the start of a plain file;
    raises OSError, for any other kind of file too.

    Opened without blocking: a pipe that nobody writes to would hold the run up for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file")
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            return opened.read(count)
    finally:
        os.close(descriptor)


def os_reason(error: OSError) -> str:
    """The system's words for what went wrong, without number and path."""
    return (error.strerror or str(error)).lower()


def image_file(
    path: bytes, status: os.stat_result | None, sidecars: tuple[str, ...], join: Join
) -> ImageFile:
    """A listing's entry for a path.

    :param status: None where it could not be had; the reader finds out why.
    :param sidecars: names of files in the same folder; they may be gone by now, or be no plain
        files.
    """
    marks: dict[str, str] = {}
    for name in sidecars:
        sidecar = path[: path.rindex(b"/") + 1] + name.encode("utf-8", "surrogateescape")
        marked = _sidecar_mark(sidecar, name, join)
        if marked is not None:
            marks[uri_of(sidecar)[0]] = marked
    address = address_of(path)
    return ImageFile(
        address,
        size_bytes=status.st_size if status else 0,
        modified_us=status.st_mtime_ns // 1000 if status else None,
        etag=None,
        columns_etag=join.etag(address.uri, marks.values()),
        sidecars=tuple(marks),
    )


def local_columns(file: ImageFile, join: Join) -> Mapping[str, ColumnValue]:
    return join.values(file, lambda sidecar, count: read_start(_sidecar_path(file, sidecar), count))


def _sidecar_mark(path: bytes, name: str, join: Join) -> str | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib knows no bytes
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    if status.st_size > max_sidecar_bytes(name):
        join.pass_over(uri_of(path)[0], name)
        return None
    return f"{name}:{status.st_size}:{status.st_mtime_ns // 1000}"


def _sidecar_path(file: ImageFile, sidecar: str) -> bytes:
    """A sidecar's path; beside an image whose path is not UTF-8
    the sidecar's uri is escaped as well.
    """
    path = file.address.path_bytes
    if path is None:
        return sidecar.encode()
    stem = os.path.splitext(path)[0]  # noqa: PTH122
    candidates = (base + ending for base in (stem, path) for ending in (b".cls", b".json", b".txt"))
    return next((beside for beside in candidates if uri_of(beside)[0] == sidecar), sidecar.encode())
