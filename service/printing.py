"""How the command prints a document, and a name that may hold anything."""

from __future__ import annotations

import json


def print_json(document: object) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=1, default=str))


def one_line(text: str) -> str:
    """Names may hold newlines and terminal codes: shown escaped, so that a line stays a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
