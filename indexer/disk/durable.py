"""Writes that survive a crash: bytes are fsynced before the name
that makes them visible, and the folder after it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ulid import ULID

from indexer.disk.entries import check_entry, create_file


def fsync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """Make the folder's entries durable. Windows cannot open a folder and needs no such call."""
    if os.name != "nt":
        fsync_file(folder)


def write_file(path: Path, data: bytes) -> None:
    """Write and fsync a new file; on a full disk nothing stays behind.
    The caller fsyncs the folder.

    One of this name, as a crash leaves it, is removed first and not written into: it may be a link.
    """
    try:
        with create_file(path) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes) -> None:
    """Put data in path's place at once: a reader meets the old bytes or the new, never half."""
    beside = path.with_name(path.name + ".new")
    write_file(beside, data)
    beside.replace(path)
    fsync_folder(path.parent)


def write_once(path: Path, data: bytes) -> None:
    """Write a file that must not exist: a reader meets all of it or none.

    :raises FileExistsError: if it exists.
    """
    beside = path.with_name(f"{path.name}.{ULID()}.new")
    write_file(beside, data)
    try:
        os.link(beside, path)  # unlike a rename it never replaces
    finally:
        with suppress(OSError):
            beside.unlink()
    fsync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make the folder, and its name in its parent durable, if it is not there yet.

    :raises OSError: if it cannot be made, or is a link.
    """
    check_entry(folder)
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)  # another writer may just have made it
        fsync_folder(folder.parent)
