"""Reads JSON as tools write it: strictly, but for the numbers that JSON does not have.

Python's own `json` writes NaN, Infinity and -Infinity where an area or a score was never computed.
None of them says what an image shows, so each is read as null.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

# A text is matched whole, so that a NaN inside it stays.
_TEXT_OR_NO_NUMBER = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)


def parse(data: bytes) -> Any:
    """:raises ValueError: if it is no JSON; str() says where, a column more for each NaN before."""
    try:
        return orjson.loads(data)
    except ValueError:
        without = _TEXT_OR_NO_NUMBER.sub(_null_for_no_number, data)
        if without == data:
            raise
        return orjson.loads(without)


def _null_for_no_number(found: re.Match[bytes]) -> bytes:
    return found[0] if found[0].startswith(b'"') else b"null"
