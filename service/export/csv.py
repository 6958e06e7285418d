"""csv: a header, then one line an image, as RFC 4180 has it but for \\n; UTF-8; no value is an empty field.

`uri` escapes a path's undecodable bytes as everywhere in a lake; `row_id` and `uri` are what `filter label` reads.
"""

from __future__ import annotations

import csv
from typing import Any, BinaryIO

import orjson

from service.export.chunk import FileFormat, Job
from service.export.columns import OWN, own_values, plain_columns
from service.export.item import Item


class _Lines:
    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._lines = csv.writer(_Encoder(file), lineterminator="\n")
        self._names: list[str] | None = None if job.schema is None else plain_columns(job.schema.names)
        if self._names is not None:
            self._lines.writerow([*OWN, *self._names])

    def add(self, item: Item) -> None:
        if self._names is None:
            self._names = plain_columns(item.columns)
            self._lines.writerow([*OWN, *self._names])
        columns = item.to_json()["columns"]
        self._lines.writerow([*own_values(item), *(_cell(columns.get(name)) for name in self._names)])

    def finish(self) -> None:
        if self._names is None:
            self._lines.writerow(OWN)


def _cell(value: Any) -> Any:
    """Truth and what has parts as JSON writes it."""
    return orjson.dumps(value).decode() if isinstance(value, bool | dict | list) else value


class _Encoder:
    """csv writes text. Not a TextIOWrapper: that closes the file, stdout even, when it is forgotten."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())


CSV = FileFormat("csv", _Lines, streams=True)
