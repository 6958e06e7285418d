"""Rows and hits as they are answered, and their one form in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Told beside the columns, or of no use outside: a path's bytes, the state of a file of columns, a hash's bits.
NOT_AMONG_COLUMNS = frozenset(
    {"row_id", "uri", "width_px", "height_px", "path_bytes", "columns_etag", "phash"}
)


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a lake, without a query."""

    row_id: int
    uri: str
    columns: dict[str, Any] = field(repr=False)  # every column of the row, by name

    @classmethod
    def of(cls, columns: dict[str, Any]) -> Row:
        return cls(int(columns["row_id"]), str(columns["uri"]), columns)

    def to_json(self) -> dict[str, Any]:
        """The row as the API prints it: as a hit's, without score and z."""
        return row_json(self.columns)


@dataclass(frozen=True, slots=True)
class Hit:
    """One image found."""

    row_id: int
    score: float  # cosine with the query, in [-1, 1]
    z: float | None  # (score - median) / (1.4826 MAD) over the lake's background; None under 100 rows
    uri: str
    columns: dict[str, Any] = field(repr=False)  # every column of the row, by name
    collapsed: tuple[int, ...] | None = (
        None  # row_ids folded into this one, best first; None: it was not asked
    )

    def to_json(self) -> dict[str, Any]:
        """The hit as the API and the CLI print it; `collapsed` only where the query asked for it."""
        row = row_json(self.columns)
        document = {
            "row_id": row.pop("row_id"),
            "score": round(self.score, 6),
            "z": None if self.z is None else round(self.z, 3),
            **row,
        }
        return document if self.collapsed is None else {**document, "collapsed": list(self.collapsed)}


def row_json(columns: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON has it: row_id, uri, width_px, height_px, and among `columns` all else that has a value.

    Times are ISO 8601, bytes hexadecimal digits, infinity and NaN texts.
    """
    shown = {
        name: _plain(value)
        for name, value in columns.items()
        if name not in NOT_AMONG_COLUMNS and value is not None
    }
    return {
        "row_id": columns["row_id"],
        "uri": columns["uri"],
        "width_px": columns["width_px"],
        "height_px": columns["height_px"],
        "columns": shown,
    }


def to_pandas(hits: Sequence[Hit]) -> pd.DataFrame:
    """A DataFrame with one row a hit: row_id, score, z, uri, then the other columns. Needs the pandas extra."""
    import pandas as pd

    first = ["row_id", "score", "z", "uri"]
    names = list(hits[0].columns) if hits else []
    rows = [
        {**hit.columns, "row_id": hit.row_id, "score": hit.score, "z": hit.z, "uri": hit.uri} for hit in hits
    ]
    return pd.DataFrame(rows, columns=first + [name for name in names if name not in first])


def _plain(value: Any) -> Any:
    """A column's value as JSON has it; it has no number for infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else value
