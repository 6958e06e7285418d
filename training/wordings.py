"""How a class is said in words: training sees many ways,
so that no one of them is the only one that works.
"""

from __future__ import annotations

WORDINGS = (
    "{}",
    "a photo of a {}",
    "a picture of a {}",
    "the {}",
    "a photo of the {}",
    "there is a {} in the photo",
    "{} in a photo",
    "a close-up of a {}",
    "photo of {}",
    "an image showing a {}",
)
PLURALS = ("{}", "photos of {}", "two {}", "several {}", "many {}")
NO_PLURAL = ("fish", "sheep", "food")  # and what ends in s


def wordings(word: str) -> list[str]:
    """One text a wording."""
    return [wording.format(word) for wording in WORDINGS]


def plurals(word: str) -> list[str]:
    """One text a plural; of the word itself where it has none."""
    many = word if word in NO_PLURAL or word.endswith("s") else f"{word}s"
    return [plural.format(many) for plural in PLURALS]
