"""A JSON document with one long list in it, written as it comes: the list's elements are never all in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import orjson


class JsonList:
    """Elements, each on a line of its own, between what comes before the list and what comes after."""

    def __init__(self, file: BinaryIO, head: Mapping[str, Any] | None = None, name: str = "") -> None:
        """:param head: the document's other members; None: the document is the list. name: the list's."""
        self._file = file
        self._end = b"\n]\n" if head is None else b"\n]}\n"
        self._between = b"\n"
        start = b"["
        if head is not None:
            members = orjson.dumps(head)[:-1]
            comma = b"" if members == b"{" else b",\n"
            start = members + comma + orjson.dumps(name) + b":["
        file.write(start)

    def add(self, element: Any) -> None:
        self._file.write(self._between + orjson.dumps(element))
        self._between = b",\n"

    def finish(self) -> None:
        self._file.write(self._end)


class JsonObject:
    """As JsonList, of one long object."""

    def __init__(self, file: BinaryIO, start: bytes = b"{", end: bytes = b"}") -> None:
        self._file = file
        self._end = end
        self._between = b"\n"
        file.write(start)

    def add(self, name: str, value: Any) -> None:
        self._file.write(self._between + orjson.dumps(name) + b":" + orjson.dumps(value))
        self._between = b",\n"

    def finish(self) -> None:
        self._file.write(b"\n" + self._end + b"\n")
