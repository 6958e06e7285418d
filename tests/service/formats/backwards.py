"""A format that only tests know: one uri a line, written backwards, in both directions."""

from __future__ import annotations

from typing import BinaryIO

from service.formats.chunk import Job
from service.formats.incoming import Collected, IncomingLabels, Reading
from service.formats.item import Item

NOTE = "read it from right to left"


class Writer:
    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._file = file

    def add(self, item: Item) -> None:
        self._file.write(item.uri[::-1].encode() + b"\n")

    def finish(self) -> None:
        self._file.write(b".\n")


def read(data: bytes, reading: Reading) -> IncomingLabels:
    """Everything that is named was kept."""
    collected = Collected(reading)
    for line in data.decode().splitlines():
        if line != ".":
            collected.take(line, None, line[::-1], ["keep"], None)
    return collected.labels()
