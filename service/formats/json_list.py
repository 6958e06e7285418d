"""Writes a JSON document with one long list in it, element by element.

The list's elements are never all in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from service.search.json_columns import bytes_of, joined

if TYPE_CHECKING:
    import pyarrow as pa


class JsonList:
    """Writes each element on a line of its own, between the document's head and its end."""

    def __init__(
        self, file: BinaryIO, head: Mapping[str, Any] | None = None, name: str = ""
    ) -> None:
        """
        :param head: the document's other members; None: the document is the list.
        :param name: the list's own name, where there is a head.
        """
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

    def add_all(self, elements: pa.Array) -> None:
        """:param elements: text, (n,): each one's JSON."""
        if not len(elements):
            return
        lines = bytes_of(joined(",\n", elements))
        self._file.write(lines[1:] if self._between == b"\n" else lines)
        self._between = b",\n"

    def finish(self) -> None:
        self._file.write(self._end)


class JsonObject:
    """Writes one long object in the way of JsonList."""

    def __init__(self, file: BinaryIO, start: bytes = b"{", end: bytes = b"}") -> None:
        self._file = file
        self._end = end
        self._between = b"\n"
        file.write(start)

    def add(self, name: str, value: Any) -> None:
        self._file.write(self._between + orjson.dumps(name) + b":" + orjson.dumps(value))
        self._between = b",\n"

    def add_all(self, members: pa.Array) -> None:
        """:param members: text, (n,): each one's name and value as JSON has them."""
        if not len(members):
            return
        lines = bytes_of(joined(",\n", members))
        self._file.write(lines[1:] if self._between == b"\n" else lines)
        self._between = b",\n"

    def finish(self) -> None:
        self._file.write(b"\n" + self._end + b"\n")
