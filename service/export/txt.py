"""txt: one path a line, its exact bytes, or one URL. What `xargs -d '\\n'` and most scripts read."""

from __future__ import annotations

from typing import BinaryIO

from service.export.chunk import FileFormat, Job
from service.export.item import Item, LeftOut


class _Paths:
    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._file = file

    def add(self, item: Item) -> None:
        place = item.uri.encode() if item.path is None else item.path
        if b"\n" in place:
            raise LeftOut("its path has a line break in it, which a list of one path a line cannot hold")
        self._file.write(place + b"\n")

    def finish(self) -> None: ...


TXT = FileFormat("txt", _Paths, streams=True)
