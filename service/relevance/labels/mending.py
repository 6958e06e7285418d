"""What can still be believed of a damaged `labels.jsonl`.

A line of the chain is believed if its head follows from the one before it, as that one says it or
as it is worked out; or if the next line's does from its own, for then only its `chain` was changed.
So a flipped bit costs a line, and where a line is gone the next one goes, too. Lines of older
versions are believed as they are: nothing was known of them before either.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field

from indexer.disk.chain import CHAINED, FIRST, Chain, next_head, rest_of
from service.relevance.as_json import AsJson, told
from service.relevance.labels.book import Record

_ENDS_WITH_A_HEAD = re.compile(rb'"([0-9a-f]{32})"\}')


@dataclass(frozen=True, slots=True)
class Mended(AsJson):
    """What became of a filter's labels."""

    filter: str
    version: int
    lines: int = field(metadata=told("Lines that the labels have now."))
    lost: tuple[int, ...] = field(
        metadata=told("Lines of the damaged file that could not be believed, from 1.")
    )
    missing: int = field(metadata=told("At least so many lines that a version had are gone."))
    damaged: str | None = field(
        metadata=told(
            "Where the damaged file lies now; null: nothing was wrong, or it was missing."
        )
    )


@dataclass(slots=True)
class _Line:
    record: Record | None  # None: it is no label
    is_believed: bool


def believed(data: bytes) -> tuple[list[Record], list[int]]:
    """The lines that can be believed, and the numbers of those that cannot, from 1.

    Half a line at the end, as a crash leaves it, is neither. What an editor adds (a mark at the
    start, carriage returns) or takes (the last line feed) costs nothing.
    """
    *raw, half = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    raw += [half] if CHAINED.fullmatch(half + b"\n") else rest_of(half)
    raw = [line.removesuffix(b"\r") for line in raw]
    lines: list[_Line] = []
    older = Chain()  # of the lines at the start that have none
    # Of the line before: the head it says, then the one worked out if it was not believed.
    says, works_out = FIRST, ""
    is_begun = False
    for line in raw:
        found = CHAINED.fullmatch(line + b"\n")
        if found is None and not is_begun and b'"chain"' not in line:
            older.follow(line + b"\n")
            says, works_out = older.head, ""
            record = _record(line)
            lines.append(_Line(record, record is not None))
            continue
        is_begun = True
        if found is None:
            end = _ENDS_WITH_A_HEAD.search(line[-35:])
            says, works_out = end[1].decode() if end else "", ""
            lines.append(_Line(None, False))
            continue
        body, head = found[1] + b"}", found[2].decode()
        if works_out and next_head(works_out, body) == head:
            lines[-1].is_believed = lines[-1].record is not None
            follows = True
        else:
            follows = next_head(says, body) == head
        before, says = says, head
        works_out = "" if follows else next_head(before, body)
        lines.append(_Line(_record(body), follows))
    return _in_order(lines)


def _in_order(lines: list[_Line]) -> tuple[list[Record], list[int]]:
    kept: list[Record] = []
    lost = []
    for number, line in enumerate(lines, 1):
        record = line.record
        if line.is_believed and record and (not kept or record.seq > kept[-1].seq):
            kept.append(record)
        else:
            lost.append(number)
    return kept, lost


def _record(body: bytes) -> Record | None:
    try:
        return Record.from_line(body)
    except ValueError:
        return None
