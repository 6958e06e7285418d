"""Puts a report, or a sheet of images, where a person wants it: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from indexer.disk.durable import replace_file
from indexer.errors import BadRequest, NotWritten
from indexer.sources.local import os_reason
from service.formats.place import alone_at


def check_out(out: Path, *, overwrite: bool = False) -> None:
    """Refuse a place that cannot be written to, before the work is done.

    :raises BadRequest: if a file is there and may not be replaced.
    :raises NotWritten: if there is no such folder.
    """
    if os.path.lexists(out) and not overwrite:
        raise BadRequest(
            "out", f"{out} is there already; choose another place, or overwrite it (--overwrite)"
        )
    if not out.parent.is_dir():
        raise NotWritten(str(out), f"there is no folder {out.parent}; make it first")


def write_out(data: bytes, out: Path) -> None:
    """:raises NotWritten: if the disk is full, or out cannot be written; then what was there stays.

    :raises LakeLocked: if another process or thread writes it.
    """
    try:
        with alone_at(out, "another command"):
            replace_file(out, data)
    except OSError as error:
        raise NotWritten(str(out), os_reason(error)) from error
