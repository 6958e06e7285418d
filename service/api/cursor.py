"""Where a page of hits ended, as a text that a caller sends back:
the snapshot, the query and how far it got.

The query's vector travels inside, so the next page needs no model and is cut from the very same
order, also after a restart. It is signed: a place in an order is not for callers to choose, since
far pages cost more than near ones. Yet nothing in it is trusted: it goes through the checks of any
query again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson

from indexer.disk.manifest import Manifest
from indexer.errors import BadCursor, BadRequest
from service.api.signing import Signer
from service.search.query import Query

NOT_A_CURSOR = "it is not a cursor of this service; send next_cursor of an answer as it is"


# What the options of a query are called in a cursor; those that are not here have their own names.
_SHORT = {"where": "w", "filter": "f", "decision": "d", "min_z": "z", "collapse": "c"}
_DEFAULT: dict[str, Any] = {
    "where": None,
    "filter": None,
    "decision": [],
    "min_z": None,
    "collapse": False,
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after a page."""

    lake: str
    snapshot: int
    stamp: int  # of the snapshot, so that another lake of the same name and number is told apart
    # As `Understood.portable` has it: one vector (none: rows without a query), a filter with its
    # version, and the offset of the page; for rows without a query, the offset is the last row_id.
    query: Query
    digest: str = ""  # of the request's examples and options: a cursor is for one request

    def at(self, offset: int, seen: int | None = None) -> Cursor:
        """:param seen: as `Page.seen`."""
        return replace(self, query=replace(self.query, offset=offset, seen=seen))

    def encode(self, signer: Signer) -> str:
        said = _DEFAULT | self.query.options_json()
        options = {
            _SHORT.get(name, name): said[name] for name in said if name not in ("k", "offset")
        }
        head = {
            "l": self.lake,
            "s": self.snapshot,
            "t": self.stamp,
            "p": self.query.offset,
            **options,
            "q": self.digest,
        }
        vector = b"".join(vector.astype("<f4").tobytes() for vector, _ in self.query.vectors)
        signed = signer.signed(orjson.dumps(head) + b"\n" + vector)
        return base64.urlsafe_b64encode(signed).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, signer: Signer) -> Cursor:
        """:raises BadCursor: if it is not one of ours."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            head, _, numbers = signer.opened(raw).partition(b"\n")
            facts = orjson.loads(head)
            # One of a newer version may have options that are unknown here, and is refused.
            said = {name: facts.pop(short) for name, short in _SHORT.items()}
            said["decision"] = [*said["decision"]] or None
            lake, snapshot, stamp, said_before = (facts.pop(name) for name in ("l", "s", "t", "q"))
            query = Query.from_json({**said, "offset": facts.pop("p"), **facts})
            if numbers:
                vector = np.frombuffer(numbers, "<f4").astype(np.float32)
                query = replace(query, vectors=[(vector, 1.0)])
            cursor = cls(lake, snapshot, stamp, query, said_before)
        except (binascii.Error, ValueError, KeyError, TypeError, BadRequest):
            raise BadCursor(NOT_A_CURSOR) from None
        cursor._check_types()
        return cursor

    def _check_types(self) -> None:
        numbers = (self.snapshot, self.stamp, self.query.offset)
        is_well = all(type(number) is int and 0 <= number < 2**53 for number in numbers) and all(
            isinstance(text, str) for text in (self.lake, self.digest)
        )
        if not is_well:
            raise BadCursor(NOT_A_CURSOR)

    @property
    def has_query(self) -> bool:
        """False: it is of rows without a query."""
        return bool(self.query.vectors)

    def check_digest(self, digest: str) -> None:
        """:raises BadCursor: if it was made for another query than the one beside it."""
        if digest not in ("", self.digest):
            raise BadCursor("it belongs to another query; send it with its own query, or alone")


def stamp_of(manifest: Manifest) -> int:
    """A number that two snapshots of one number hardly share."""
    return zlib.crc32(f"{manifest.created} {manifest.snapshot} {manifest.live_rows}".encode())


def digest(request: object) -> str:
    """16 hex digits that say which query this is; what a request leaves out does not count."""
    return hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
