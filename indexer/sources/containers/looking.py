"""What a file is by its own bytes, where its name does not say it and the user did.

A row remembers its file and the member, and no kind: who shows its image looks here.
"""

from __future__ import annotations

import zipfile
from typing import BinaryIO

_BEGINNINGS = (
    (b"PAR1", "parquet"),
    (b"\x89MCAP0\r\n", "mcap"),
    (b"#ROSBAG V2.0", "bag"),
    (b"\x1f\x8b", "tar.gz"),
    (b"PK\x03\x04", "zip"),
)


def kind_by_looking(opened: BinaryIO) -> str | None:
    """:param opened: seekable.

    :returns: the name of a kind whose images have no bytes of their own in the file.
    """
    opened.seek(0)
    first = opened.read(max(len(begin) for begin, _ in _BEGINNINGS))
    for begin, name in _BEGINNINGS:
        if first.startswith(begin):
            return name
    # something may stand before a zip, as a program that unpacks it
    return "zip" if zipfile.is_zipfile(opened) else None
