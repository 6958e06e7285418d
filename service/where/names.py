"""Columns and texts as a `where` writes them."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_KEYWORDS = frozenset(
    ["and", "or", "not", "in", "like", "ilike", "between", "is", "null", "true", "false"]
)


def sql_name(column: str) -> str:
    """A column's name; in double quotes where it would mean something else."""
    words = column.lower().split(".")
    if _PLAIN.fullmatch(column) and _KEYWORDS.isdisjoint(words):
        return column
    return '"' + column.replace('"', '""') + '"'


def sql_text(text: str) -> str:
    """A text as a literal."""
    return "'" + text.replace("'", "''") + "'"
