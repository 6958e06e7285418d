"""Texts as cells of a CSV that a spreadsheet may open.

A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` as a formula, quoted or not, so that
a file's name or a caption from somebody else could send away what stands beside it. Such a text
gets a `'` before it, which our readers take off again. Numbers are no texts and stay as they are.

Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from typing import Any

# What some spreadsheets skip before a formula, and its signs, those of full width too.
_FORMULA = "[ \t\r\n\x00]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]"
# RE2 and `re` both understand it.
UNSAFE = f"^'*(?:{_FORMULA})"
_UNSAFE = re.compile(UNSAFE)
# One `'` more than the text has; as UNSAFE.
SAFE = f"^'('*(?:{_FORMULA}))"
_SAFE = re.compile(SAFE)


def safe_cell(value: Any) -> Any:
    """A text that no spreadsheet runs; what is no text, such as a number, as it is.

    Texts that begin with `'` and a formula get one `'` more, so that each comes back as it was.
    """
    return f"'{value}" if isinstance(value, str) and _UNSAFE.match(value) else value


def text_of_cell(cell: str) -> str:
    """The text that `safe_cell` made this of; a cell that it did not make, as it is."""
    return _SAFE.sub(r"\1", cell, count=1)
