"""Text as other people's tools save it: UTF-8 with or without a mark, UTF-16, UTF-32."""

from __future__ import annotations

import codecs
from io import BytesIO
from typing import BinaryIO

_LOOKED_AT_BYTES = 4096
# The marks of UTF-32 come first: that of its little-endian form begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def open_text(path: bytes | str) -> BinaryIO:
    """The file, open after its mark, if it has one; what is UTF-16 or UTF-32 comes as UTF-8.

    Other bytes come as they are: a name in a list may be no UTF-8.

    :raises UnicodeDecodeError: if it is UTF-16 or UTF-32 and breaks off, or is damaged.
    :raises OSError: if it cannot be read.
    """
    opened = open(path, "rb")  # noqa: PTH123, SIM115 - handed to the caller, who closes it
    try:
        start = opened.read(_LOOKED_AT_BYTES)
        encoding = wide_encoding(start)
        if encoding is None:
            opened.seek(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)
            return opened
        with opened:
            return BytesIO((start + opened.read()).decode(encoding).encode())
    except BaseException:
        opened.close()
        raise


def decoded(data: bytes) -> str:
    """A whole text, its lines ended by a newline alone; what is no UTF-8 stands as U+FFFD.

    :raises UnicodeDecodeError: if it is UTF-16 or UTF-32 and damaged.
    """
    encoding = wide_encoding(data[:_LOOKED_AT_BYTES])
    text = data.decode(encoding) if encoding else data.decode("utf-8-sig", "replace")
    return text.replace("\r\n", "\n")


def wide_encoding(start: bytes) -> str | None:
    """Which of UTF-16 and UTF-32 a file's first bytes are; None if they are neither.

    Without a mark it is UTF-16 if most of every second byte is zero, and the zero beside each
    newline stands where it would: `find -print0` ends a name, not a letter, with a zero.
    """
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    even, odd = start[0::2], start[1::2]
    if 2 * odd.count(0) > len(odd) and even.count(b"\n") and not even.count(0):
        return "utf-16-le" if not odd.count(b"\n") else None
    if 2 * even.count(0) > len(even) and odd.count(b"\n") and not odd.count(0):
        return "utf-16-be" if not even.count(b"\n") else None
    return None


def first_bad_byte(data: bytes) -> tuple[int, int] | None:
    """Line, from 1, and value of the first byte that is not UTF-8; None if all of them are."""
    try:
        # Looking for it makes no text of the whole, which may be large.
        for start in range(0, len(data), 1 << 24):
            end = _character_start(data, start + (1 << 24))
            data[_character_start(data, start) : end].decode()
    except UnicodeDecodeError as error:
        place = _character_start(data, start) + error.start
        return data.count(b"\n", 0, place) + 1, data[place]
    return None


def _character_start(data: bytes, place: int) -> int:
    """The place, or up to 3 bytes before it, where a character of UTF-8 begins."""
    if place >= len(data):
        return len(data)
    begin = place
    while begin > max(place - 3, 0) and data[begin] & 0b1100_0000 == 0b1000_0000:
        begin -= 1
    return begin
