"""Which images are a part's own: a hash of their file's address says it, so that no part needs to
ask another.

All images of a container go to one part. To deal out its images, each part would have to read all
of them to know which are its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from indexer.errors import BadRequest

MOST = 100_000
# Of the hash, as many hexadecimal digits as fill 32 bits. `sharing` does the same in SQL.
DIGITS = 8


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """Part `number` of `of`, counted from 1."""

    number: int
    of: int

    def __post_init__(self) -> None:
        """:raises BadRequest: if there is no such part."""
        if not 1 <= self.of <= MOST:
            raise BadRequest("part", f"{self}: there are 1 to {MOST:,} parts")
        if not 1 <= self.number <= self.of:
            raise BadRequest(
                "part", f"{self}: parts are counted from 1/{self.of} to {self.of}/{self.of}"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """As people write it, 3/16.

        :raises BadRequest: if it is nothing such.
        """
        if not (found := re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)):
            raise BadRequest("part", f"{text!r} is not of the form 3/16")
        return cls(int(found[1]), int(found[2]))

    def holds(self, uri: str) -> bool:
        """:param uri: of the image's file, or of the container that it lies in."""
        digest = hashlib.sha256(uri.encode()).hexdigest()
        return int(digest[:DIGITS], 16) % self.of + 1 == self.number

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def named(parts: Sequence[int | str], most: int = 20) -> str:
    """Parts for a message: 3, 7 and 12 more."""
    more = len(parts) - most
    return ", ".join(map(str, parts[:most])) + (f" and {more:,} more" if more > 0 else "")
