"""What a tag may be called, and who gave it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from indexer.errors import BadRequest
from indexer.words import quoted

MAX_CHARS = 64
UNNAMED = "unnamed"  # who tags without saying who it is
_BESIDE_LETTERS = frozenset("-_. ")


def tag_name(said: str, field: str = "name", of: str = "tag") -> str:
    """The name in Unicode's composed form (NFC), which is how it is stored.

    :param of: what is called so.
    :raises BadRequest: if it is not 1 to 64 letters, digits, '-', '_', '.' and single spaces
        between them.
    """
    # Not all of what is far too long: composing megabytes takes its time. It makes one of four at
    # most, so that what is cut stays too long.
    name = unicodedata.normalize("NFC", said[: 4 * MAX_CHARS + 1])
    is_plain = all(_is_plain(character) for character in name)
    is_spaced = name == name.strip() and "  " not in name
    if 0 < len(name) <= MAX_CHARS and is_plain and is_spaced:
        return name
    raise BadRequest(
        field,
        f"{quoted(said)} is no name for a {of}: 1 to {MAX_CHARS} letters, digits, '-', '_', '.' "
        "and single spaces between them",
    )


def key_of(name: str) -> str:
    """What tells tags apart: Night and night are one, called as it was first."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_by(name: str) -> str:
    """Who tags.

    :raises BadRequest: if the name cannot be shown, or is too long.
    """
    if 0 < len(name) <= MAX_CHARS and name.isprintable() and name == name.strip():
        return name
    raise BadRequest(
        "by",
        f"{quoted(name)} is not 1 to {MAX_CHARS} printable characters, without spaces around them",
    )


def _is_plain(character: str) -> bool:
    # A letter may need marks (Mn, Mc) that no composed form has, as in Devanagari.
    category = unicodedata.category(character)
    return character in _BESIDE_LETTERS or category[0] in "LM" or category == "Nd"


def asked_as(columns: Iterable[str]) -> str:
    """What a `where` calls the tags: `tag`, beside a user's own column of that name `lakesift_tag`:
    what was asked of that column means the same as before.
    """
    return beside("tag", columns)


def shown_as(columns: Iterable[str]) -> str:
    """What rows and exports call the list of a row's tags, as `asked_as`: `tags`."""
    return beside("tags", columns)


def beside(name: str, columns: Iterable[str]) -> str:
    """What is not a user's own column, called so that it is none of those."""
    taken = {column.lower() for column in columns}
    while name in taken:
        name = f"lakesift_{name}"
    return name
