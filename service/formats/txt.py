"""txt: a line has the exact bytes of one path, or one URL.

`xargs -d '\\n'` and most scripts read it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from indexer.errors import BadRequest
from indexer.sources.names import uri_of
from service.formats.batch import Batch, LeftOutItem
from service.formats.chunk import Job
from service.formats.item import Item, LeftOut
from service.search.json_columns import bytes_of


class Writer:
    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._file = file

    def add(self, item: Item) -> None:
        self._file.write(_line(item))

    def add_all(self, batch: Batch) -> list[LeftOutItem]:
        places = batch.places.cast(pa.binary())
        is_line = pc.invert(pc.match_substring(batch.places, "\n"))
        found = pc.if_else(
            is_line, pc.binary_join_element_wise(places, b"\n", b""), pa.scalar(None, pa.binary())
        )
        lines, left_out = batch.lines(found, _line)
        self._file.write(bytes_of(lines))
        return left_out

    def finish(self) -> None: ...


def _line(item: Item) -> bytes:
    """:raises LeftOut: if no line can hold it."""
    place = item.uri.encode() if item.path is None else item.path
    if b"\n" in place:
        raise LeftOut(
            "its path has a line break in it, which a list of one path a line cannot hold"
        )
    return place + b"\n"


def read_paths(path: Path) -> list[str]:
    """The uris of a list of images, as `search --paths`, `--print0` and `export` print it; empty
    lines are passed over.

    :param path: of a file; - for standard input.
    :raises BadRequest: if it cannot be read, or names nothing.
    """
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise BadRequest("file", f"{path} cannot be read ({error.strerror})") from None
    separator = b"\0" if b"\0" in data else b"\n"
    lines = data.removeprefix(b"\xef\xbb\xbf").split(separator)
    uris = [uri_of(line.removesuffix(b"\r"))[0] for line in lines if line.strip()]
    if not uris:
        raise BadRequest("file", f"{path} names no image; it needs one path a line")
    return uris
