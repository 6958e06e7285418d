"""What a file is by its own bytes, where its name does not say it and the user did.

A row remembers its file and the member, and no kind: who shows its image looks here.
"""

from __future__ import annotations

import zipfile
from typing import BinaryIO

# At which byte of a file which bytes say what it is.
_MARKS = (
    (0, b"PAR1", "parquet"),
    (0, b"\x89MCAP0\r\n", "mcap"),
    (0, b"#ROSBAG V2.0", "bag"),
    (0, b"SQLite format 3\0", "db3"),
    (0, b"\x1f\x8b", "tar.gz"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"\x1a\x45\xdf\xa3", "video"),  # Matroska, WebM
    (4, b"ftyp", "video"),  # MP4, QuickTime
)


def kind_by_looking(opened: BinaryIO) -> str | None:
    """:param opened: seekable.

    :returns: the name of a kind whose images have no bytes of their own in the file.
    """
    opened.seek(0)
    first = opened.read(max(at + len(mark) for at, mark, _ in _MARKS))
    for at, mark, name in _MARKS:
        if first.startswith(mark, at):
            return name
    # something may stand before a zip, as a program that unpacks it
    return "zip" if zipfile.is_zipfile(opened) else None
