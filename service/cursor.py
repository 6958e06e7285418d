"""Where a page of hits ended, as a text that a caller sends back: the snapshot, the query and how far it got.

The query's vector travels inside, so the next page needs no model and is cut from the very same order, also after a
restart. Nothing in it is trusted: it goes through the checks of any query again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from dataclasses import dataclass, replace

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer.errors import BadCursor
from indexer.manifest import Manifest

NOT_A_CURSOR = "it is not a cursor of this service; send next_cursor of an answer as it is"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after a page."""

    lake: str
    snapshot: int
    stamp: int  # of the snapshot, so that another lake of the same name and number is told apart
    position: int  # hits used up so far; for rows without a query, the last row_id
    where: str | None = None
    filter: str | None = None  # with its version, which must not change from page to page
    decisions: tuple[str, ...] = ()
    min_z: float | None = None
    collapse: bool = False
    query: str = ""  # digest of the request's examples: a cursor is for one query
    vector: NDArray[np.float32] | None = None  # (dim,); None: rows without a query

    def at(self, position: int) -> Cursor:
        return replace(self, position=position)

    def encode(self) -> str:
        head = {
            "l": self.lake,
            "s": self.snapshot,
            "t": self.stamp,
            "p": self.position,
            "w": self.where,
            "f": self.filter,
            "d": self.decisions,
            "z": self.min_z,
            "c": self.collapse,
            "q": self.query,
        }
        vector = b"" if self.vector is None else self.vector.astype("<f4").tobytes()
        return base64.urlsafe_b64encode(orjson.dumps(head) + b"\n" + vector).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """:raises BadCursor: if it is not one of ours."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            head, _, numbers = raw.partition(b"\n")
            facts = orjson.loads(head)
            cursor = cls(
                lake=facts["l"],
                snapshot=facts["s"],
                stamp=facts["t"],
                position=facts["p"],
                where=facts["w"],
                filter=facts.get("f"),  # cursors of older versions have none
                decisions=tuple(facts.get("d", ())),
                min_z=facts["z"],
                collapse=facts["c"],
                query=facts["q"],
                vector=np.frombuffer(numbers, "<f4").astype(np.float32) if numbers else None,
            )
        except (binascii.Error, ValueError, KeyError, TypeError):
            raise BadCursor(NOT_A_CURSOR) from None
        cursor._check_types()
        return cursor

    def _check_types(self) -> None:
        numbers = (self.snapshot, self.stamp, self.position)
        maybe = [text for text in (self.where, self.filter) if text is not None]
        texts = (self.lake, self.query, *maybe, *self.decisions)
        is_well = (
            all(type(number) is int and 0 <= number < 2**53 for number in numbers)
            and all(isinstance(text, str) for text in texts)
            and isinstance(self.collapse, bool)
            and (self.min_z is None or isinstance(self.min_z, int | float))
        )
        if not is_well:
            raise BadCursor(NOT_A_CURSOR)

    def check_query(self, query: str) -> None:
        """:raises BadCursor: if it was made for another query than the one beside it."""
        if query not in ("", self.query):
            raise BadCursor("it belongs to another query; send it with its own query, or alone")


def stamp_of(manifest: Manifest) -> int:
    """A number that two snapshots of one number hardly share."""
    return zlib.crc32(f"{manifest.created} {manifest.snapshot} {manifest.live_rows}".encode())


def digest(request: object) -> str:
    """16 hex digits that say which query this is; what a request leaves out does not count."""
    return hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
