"""SQL's LIKE and ILIKE as pyarrow expressions:
% is any run of characters, _ is one, no default escape.

Plain shapes become plain text searches, up to 10 times faster than the regular expression that does
the rest.
"""

from __future__ import annotations

import re
from enum import Enum

import pyarrow as pa
import pyarrow.compute as pc

from service.where.compare import all_of, if_known
from service.where.values import Column, Mismatch


class Wild(Enum):
    """A wildcard of a pattern; the value is its regular expression
    (RE2, where . is one code point).
    """

    MANY = ".*"
    ONE = "."


def like(column: Column, pattern: str, escape: str = "", any_case: bool = False) -> pc.Expression:
    """Match a text column against a pattern, the whole text; NULL stays NULL.

    :param escape: one character; the one after it stands for itself. Empty: none does.
    :param any_case: compare in lower case, by Unicode's simple mapping, as DuckDB's ILIKE.
    :raises Mismatch: if escape is longer, or the pattern ends with it.
    """
    parts = split(pattern, escape)
    text = column.expression
    if any_case:
        text = pc.utf8_lower(text)
        parts = [
            part if isinstance(part, Wild) else pc.utf8_lower(pa.scalar(part)).as_py()
            for part in parts
        ]
    if all(isinstance(part, Wild) for part in parts):
        return _of_length(column, text, parts)
    if Wild.ONE not in parts and (plain := _plain(text, parts)) is not None:
        return plain
    return pc.match_substring_regex(text, _regex(parts))


def split(pattern: str, escape: str = "") -> list[str | Wild]:
    """Split a pattern into texts and wildcards;
    in a run of wildcards the ones come first, then one many.

    :raises Mismatch: as like().
    """
    if len(escape) > 1:
        raise Mismatch(f"ESCAPE '{escape}' has {len(escape)} characters, one is wanted")
    parts: list[str | Wild] = []
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            character = next(characters, "")
            if not character:
                raise Mismatch(f"the pattern '{pattern}' ends with its escape character")
        elif character == "%":
            if not parts or parts[-1] is not Wild.MANY:
                parts.append(Wild.MANY)
            continue
        elif character == "_":  # %_ is _%
            parts.insert(len(parts) - (bool(parts) and parts[-1] is Wild.MANY), Wild.ONE)
            continue
        if parts and isinstance(parts[-1], str):
            parts[-1] += character
        else:
            parts.append(character)
    return parts


def _of_length(column: Column, text: pc.Expression, parts: list[str | Wild]) -> pc.Expression:
    ones = parts.count(Wild.ONE)
    if Wild.MANY not in parts:
        return pc.equal(pc.utf8_length(text), pc.scalar(ones))
    return (
        pc.greater_equal(pc.utf8_length(text), pc.scalar(ones)) if ones else if_known(column, True)
    )


def _plain(text: pc.Expression, parts: list[str | Wild]) -> pc.Expression | None:
    """The pattern as plain text searches: 'a', 'a%',
    '%a', '%a%' and 'a%b'; None if it takes more.
    """
    texts = [part for part in parts if isinstance(part, str)]
    if len(parts) == 1:
        return pc.equal(text, pa.scalar(texts[0]))
    starts = pc.starts_with(text, texts[0])
    ends = pc.ends_with(text, texts[-1])
    if len(parts) == 2:
        return starts if parts[1] is Wild.MANY else ends
    if len(parts) == 3 and len(texts) == 1:
        return pc.match_substring(text, texts[0])
    if len(parts) == 3:
        # bytes; a shorter text would use some of them twice
        size = sum(len(part.encode()) for part in texts)
        return all_of([starts, ends, pc.greater_equal(pc.binary_length(text), pc.scalar(size))])
    return None


def _regex(parts: list[str | Wild]) -> str:
    """The pattern as a regular expression to be found, not matched: open ends need no .* there."""
    inner = parts[parts[0] is Wild.MANY : len(parts) - (parts[-1] is Wild.MANY)]
    body = "".join(part.value if isinstance(part, Wild) else re.escape(part) for part in inner)
    return (
        "(?s)" + r"\A" * (parts[0] is not Wild.MANY) + body + r"\z" * (parts[-1] is not Wild.MANY)
    )
