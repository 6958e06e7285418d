"""What is printed commands no terminal: names and texts may come from a lake of somebody else.

A code that moves the cursor, renames the window or turns the text round is shown as it is written,
`\\u001b`, which JSON reads as the same text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

# Control characters but for tab and line feed, and the marks that turn text round. A carriage
# return is what progress bars are drawn with, on stderr.
_CODES = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"


@contextmanager
def without_codes() -> Iterator[None]:
    """While it lasts, stdout and stderr show codes and do not send them."""
    before = sys.stdout, sys.stderr
    sys.stdout = cast(TextIO, _Shown(sys.stdout, f"[{_CODES}\r]"))
    sys.stderr = cast(TextIO, _Shown(sys.stderr, f"[{_CODES}]"))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Shown:
    """A stream of text that shows the characters of a pattern."""

    def __init__(self, stream: TextIO, codes: str) -> None:
        self._stream, self._codes = stream, re.compile(codes)

    def write(self, text: str) -> int:
        self._stream.write(self._codes.sub(_escaped, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> Any:
        """Bytes are for programs, and go as they are, unless a terminal would get them."""
        return _Bytes(self._stream) if self._stream.isatty() else self._stream.buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Bytes:
    """The terminal's end for bytes, as those of a path that is not UTF-8."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._codes = stream, re.compile(f"[{_CODES}\r\udc80-\udcff]")

    def write(self, data: bytes) -> int:
        self._stream.write(self._codes.sub(_escaped, data.decode("utf-8", "surrogateescape")))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if code >= 0xDC80 else f"\\u{code:04x}"
