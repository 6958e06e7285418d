"""One line of the tags' log: rows that got a tag or lost it, or an act taken back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from indexer.errors import BadRequest
from indexer.fields import Fields
from service.tags.names import check_by, key_of, tag_name
from service.tags.row_sets import RowSet


@dataclass(frozen=True, slots=True)
class Act:
    """What one command or request did: all of it counts, or nothing."""

    seq: int
    by: str
    at: str  # ISO 8601 with the offset
    tag: str | None = None  # None: an act is taken back
    is_add: bool = True  # False: the rows lose the tag
    rows: RowSet | None = None  # None: an act is taken back
    undo: int | None = None  # the seq of the act that this one takes back

    @property
    def key(self) -> str:
        return "" if self.tag is None else key_of(self.tag)

    def to_json(self) -> dict[str, Any]:
        """What people see of it; of an act that takes no other back."""
        return {
            "act": self.seq,
            "name": self.tag,
            "is_add": self.is_add,
            "rows": 0 if self.rows is None else self.rows.rows,
            "by": self.by,
            "at": self.at,
        }

    def to_line(self) -> bytes:
        """A line without its chain."""
        document: dict[str, Any] = {"seq": self.seq}
        if self.rows is None:
            document["undo"] = self.undo
        else:
            document |= {"act": "add" if self.is_add else "remove", "tag": self.tag}
            document |= self.rows.to_json()
        document |= {"by": self.by, "at": self.at}
        return json.dumps(document, ensure_ascii=False).encode()

    @classmethod
    def from_line(cls, data: bytes) -> Act:
        """:raises ValueError: if it is no act."""
        fields = Fields.parse(data)
        seq, by, at = fields.whole("seq", 1), fields.text("by"), fields.text("at")
        try:
            check_by(by)
            if fields.has("undo"):
                undo = fields.whole("undo", 1)
                fields.end()
                return cls(seq, by, at, undo=undo)
            kind, tag = fields.text("act"), tag_name(fields.text("tag"))
        except BadRequest as error:
            raise ValueError(str(error)) from None
        if kind not in ("add", "remove"):
            raise ValueError(f"act {kind!r} is unknown")
        rows = RowSet.of(fields)
        fields.end()
        return cls(seq, by, at, tag, kind == "add", rows)


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
