"""How a class is said in words: training sees many ways, so that no one of them is the only one that works."""

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
PLURALS = ("{}s", "photos of {}s", "two {}s", "several {}s", "many {}s")
NO_PLURAL = ("fish", "sheep", "food")  # and what ends in s


def wordings(word: str) -> list[str]:
    """One text a wording."""
    return [wording.format(word) for wording in WORDINGS]


def plurals(word: str) -> list[str]:
    """One text a plural; the word itself where it has none."""
    stem = word if word in NO_PLURAL or word.endswith("s") else word + "s"
    return [plural.removesuffix("s").format(stem) for plural in PLURALS[:1]] + [
        plural.replace("{}s", "{}").format(stem) for plural in PLURALS[1:]
    ]
