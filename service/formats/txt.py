"""txt: a line has the exact bytes of one path, or one URL.

`xargs -d '\\n'` and most scripts read it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

from indexer.errors import BadRequest
from indexer.sources.names import uri_of
from service.formats.chunk import Job
from service.formats.item import Item, LeftOut


class Writer:
    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._file = file

    def add(self, item: Item) -> None:
        place = item.uri.encode() if item.path is None else item.path
        if b"\n" in place:
            raise LeftOut(
                "its path has a line break in it, which a list of one path a line cannot hold"
            )
        self._file.write(place + b"\n")

    def finish(self) -> None: ...


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
