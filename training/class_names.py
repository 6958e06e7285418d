"""Names of class folders as words that a text encoder can read:
`n02123045-tabby_cat` becomes `tabby cat`.
"""

from __future__ import annotations

import re

# A WordNet id (ImageNet, Stanford Dogs), a number and a dot (CUB), or three digits and a dash,
# before a word.
_ID = re.compile(r"^(?:n\d{8}(?![^\W_])[-_ ]*|\d+\.\s*(?=[^\W\d_])|\d{3,}[-_ ]+(?=[^\W\d_]))")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


def readable(name: str) -> str | None:
    """The name in words: no ids, no underscores or dashes,
    camelCase split; None if no letter is left.

    Words keep their capitals (`brain MRI`), but for those that only stood where camelCase joins
    them.
    """
    words = re.sub(r"[-_]+", " ", _ID.sub("", name.strip())).split()
    text = " ".join(_apart(word) for word in words)
    return text if any(character.isalpha() for character in text) else None


def _apart(word: str) -> str:
    parts = _HUMP.split(word)
    if len(parts) == 1:
        return word
    return " ".join(part if len(part) > 1 and part.isupper() else part.lower() for part in parts)
