"""The chain that runs through the lines of a log, `labels.jsonl` or the tags' `log.jsonl`, so that
a changed, missing or moved line is noticed. Knows bytes, not what they say.

A line ends with `, "chain": "<head>"}`. The head after a line is the first 32 hexadecimal digits of
the SHA-256 of the head before it, in ASCII, and of the line without its chain: `{...}`, no line
feed. The head before the first such line is the same of all bytes before it: older versions wrote
lines without a chain, and mostly there are none.

So a line stands for all before it. That the last ones are gone is noticed where a version of the
filter says more were there (`indexer.disk.filter_checks.LabelsMark`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator

from indexer.disk.filter_checks import LabelsMark

_DIGITS = 32
CHAINED = re.compile(rb'(\{.*), "chain": "([0-9a-f]{32})"\}\n')


FIRST = hashlib.sha256().hexdigest()[:_DIGITS]  # before any line


class BrokenChain(ValueError):
    """What is wrong with a line, without its number: "has no chain"."""


class Chain:
    """The heads after each of the lines followed so far."""

    def __init__(self) -> None:
        self._older = hashlib.sha256()  # of the lines without a chain
        self._heads = bytearray()  # 16 bytes a line
        self.unchained = 0  # lines at the start that older versions wrote

    @property
    def lines(self) -> int:
        return len(self._heads) // (_DIGITS // 2)

    @property
    def is_begun(self) -> bool:
        """False as long as all lines are older versions'."""
        return self.lines > self.unchained

    @property
    def head(self) -> str:
        return self.head_after(self.lines)

    @property
    def mark(self) -> LabelsMark | None:
        """None before the first line."""
        return LabelsMark(self.lines, self.head) if self.lines else None

    def head_after(self, lines: int) -> str:
        """:param lines: up to all that were followed."""
        size = _DIGITS // 2
        if not lines:
            return FIRST
        return self._heads[(lines - 1) * size : lines * size].hex()

    def continued(self, bodies: Iterable[bytes]) -> Iterator[bytes]:
        """The next lines to be written; none of them is taken, which `follow` does.

        :param bodies: `{...}` each, one JSON object without a chain and without a line feed.
        """
        head = self.head
        for body in bodies:
            head = next_head(head, body)
            yield b'%s, "chain": "%s"}\n' % (body[:-1], head.encode())

    def follow(self, line: bytes) -> bytes:
        """Take the next line.

        :returns: it without its chain.
        :raises BrokenChain: if it is not the line that comes next; then it is not taken.
        """
        found = CHAINED.fullmatch(line)
        if found is None:
            if self.is_begun:
                raise BrokenChain("has no chain, and the line before it has")
            self._older.update(line)
            self._heads += self._older.digest()[: _DIGITS // 2]
            self.unchained += 1
            return line
        body = found[1] + b"}"
        head = next_head(self.head, body)
        if head.encode() != found[2]:
            raise BrokenChain(
                "is not the one that comes next: it, or a line before it, was changed, taken out or moved"
            )
        self._heads += bytes.fromhex(head)
        return body


def next_head(head: str, body: bytes) -> str:
    """:param body: of the line after it."""
    return hashlib.sha256(head.encode() + body).hexdigest()[:_DIGITS]


def lines_of(bodies: Iterable[bytes]) -> bytes:
    """A file of these lines alone.

    :param bodies: as `Chain.continued` has them.
    """
    return b"".join(Chain().continued(bodies))


def mark_of(bodies: Iterable[bytes]) -> LabelsMark | None:
    """How far it comes."""
    chain = Chain()
    for line in Chain().continued(bodies):
        chain.follow(line)
    return chain.mark


def rest_of(half: bytes) -> list[bytes]:
    """The line in what a crash may have left, if it is more than that: a whole one, whose end is
    another byte than the line feed.
    """
    text = half.decode("utf-8", "surrogateescape")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return []
    return [text[:end].encode("utf-8", "surrogateescape")] if end < len(text) else []
