"""How large the pages of a Parquet file are: pyarrow reads each of them whole, and does not say.

Source: https://github.com/apache/parquet-format (`parquet.thrift`, PageHeader) and
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

import pyarrow.parquet as pq

MAX_PAGE_BYTES = 500_000_000
_PAGES_ASKED_FOR = 32

_HEADER_BYTES = 1 << 16  # statistics in it may be long
_MOST_DEPTH = 8
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_NUMBERS = (4, 5, 6)
_UNPACKED_SIZE, _PACKED_SIZE = 2, 3  # fields of a PageHeader


def page_sizes(opened: BinaryIO, start: int, length: int) -> Iterator[int]:
    """The bytes of each page of a column chunk, unpacked; none from where it makes no sense on.

    :param opened: the file, seekable.
    :param start: of the chunk's first page in the file.
    :param length: of the chunk in the file.
    """
    place = start
    while place < start + length:
        opened.seek(place)
        header = _Header(opened.read(min(_HEADER_BYTES, start + length - place)))
        try:
            sizes = header.numbers()
        except (ValueError, IndexError):
            return
        unpacked, packed = sizes.get(_UNPACKED_SIZE, -1), sizes.get(_PACKED_SIZE, -1)
        if unpacked < 0 or packed < 0:
            return
        yield unpacked
        place += header.place + packed


class Pages:
    """The pages of one file that are too large to be read, as pyarrow does it, whole."""

    def __init__(self, table: pq.ParquetFile, opened: BinaryIO, *, is_url: bool = False) -> None:
        """
        :param opened: the same file.
        :param is_url: each look at a page is a request.
        """
        self._metadata, self._opened = table.metadata, opened
        # those of one chunk are much alike
        self._most = _PAGES_ASKED_FOR if is_url else None
        self.large_columns: list[tuple[str, int]] = []  # those asked for that have such a page

    def large(self, group: int, leaf: str) -> int | None:
        """The bytes of the first one of a column in a row group; None if there is none.

        :param leaf: as `leaf_of` has it.
        """
        chunks = self._metadata.row_group(group)
        for number in range(chunks.num_columns):
            chunk = chunks.column(number)
            if chunk.path_in_schema != leaf or chunk.total_uncompressed_size <= MAX_PAGE_BYTES:
                continue
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                start = min(start, chunk.dictionary_page_offset)
            sizes = page_sizes(self._opened, start, chunk.total_compressed_size)
            for size in islice(sizes, self._most):
                if size > MAX_PAGE_BYTES:
                    self.large_columns.append((leaf, size))
                    return size
        return None


class _Header:
    """A struct of Thrift's compact protocol, read from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data, self.place = data, 0

    def numbers(self, depth: int = 0) -> dict[int, int]:
        """Its fields that are whole numbers, by their ids; the others are passed over.

        :raises ValueError, IndexError: if it is none.
        """
        found, field = {}, 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._number()
            if kind & 15 in _NUMBERS:
                found[field] = self._number()
            else:
                self._pass_over(kind & 15, depth)
        return found

    def _pass_over(self, kind: int, depth: int) -> None:
        if depth > _MOST_DEPTH:
            raise ValueError("it is nested too deeply")
        if kind in _NUMBERS:
            self._number()
        elif kind == _BYTE:
            self.place += 1
        elif kind == _DOUBLE:
            self.place += 8
        elif kind == _BINARY:
            length = self._length()
            self.place += length
        elif kind == _STRUCT:
            self.numbers(depth + 1)
        elif kind in (_LIST, _SET):
            first = self._byte()
            count = self._length() if first >> 4 == 15 else first >> 4
            for _ in range(min(count, len(self._data))):
                self._pass_over(first & 15, depth + 1)
        elif kind not in (_TRUE, _FALSE):
            raise ValueError(f"there is no type {kind}")

    def _byte(self) -> int:
        self.place += 1
        return self._data[self.place - 1]

    def _length(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number without an end")

    def _number(self) -> int:
        value = self._length()
        return value >> 1 ^ -(value & 1)
