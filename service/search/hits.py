"""Rows and hits as they are answered, and their one form in JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from indexer.address import Address
from indexer.disk.rows import beside
from indexer.errors import UnreadableImage

if TYPE_CHECKING:
    import pandas as pd

    from service.search.explained import Share

# Told beside the columns, or of no use outside: a path's bytes, the state of a file of columns, a
# hash's bits.
NOT_AMONG_COLUMNS = frozenset(
    {"row_id", "uri", "width_px", "height_px", "path_bytes", "columns_etag", "phash"}
)
# Types whose values JSON has: most values are of these, and ten hits have 300.
_AS_THEY_ARE = frozenset({int, str, bool})

SCORE_DIGITS, Z_DIGITS = 6, 3  # as they are answered
VIDEO = "video"  # the stream_id of a video's frames; recordings have topics
_YEAR_10000_US = 253_402_300_800_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a lake, without a query."""

    row_id: int
    uri: str
    columns: dict[str, Any] = field(repr=False)  # every column of the row, by name

    @property
    def place(self) -> str:
        """As people read it: the uri, and the part where the image is only one of its file."""
        return place_of(self.columns)

    @property
    def path(self) -> bytes:
        """The exact bytes of the path, or the URL; a part of a file as it prints."""
        return _path_of(self.columns)

    @classmethod
    def of(cls, columns: dict[str, Any]) -> Row:
        return cls(int(columns["row_id"]), str(columns["uri"]), columns)

    def to_json(self) -> dict[str, Any]:
        """The row as the API prints it: as a hit's, without score and z."""
        return row_json(self.columns)


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when a video or a recording shows what was found, as `time_us` counts."""

    from_us: int
    to_us: int  # when its last frame is shown, or, where it stays so for a while, until when
    frames: int  # rows in it that fit; not each row between may

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    def said(self, *, is_video: bool) -> str:
        """As `12:03 to 12:09 (7 frames)`; of a recording, whose times are those of the day, with
        its date.
        """
        if is_video:
            begin, end = _clock(self.from_us), _clock(self.to_us)
        else:
            begin, end = _date(self.from_us), _date(self.to_us).partition(" ")[2]
        said = begin if begin.endswith(end) else f"{begin} to {end}"
        return said if self.frames == 1 else f"{said} ({self.frames:,} frames)"


@dataclass(frozen=True, slots=True)
class Hit:
    """One image found."""

    row_id: int
    score: float  # cosine with the query, in [-1, 1]
    # (score - median) / (1.4826 MAD) over the lake's background; None under 100 rows
    z: float | None
    uri: str
    columns: dict[str, Any] = field(repr=False)  # every column of the row, by name
    # row_ids folded into this one, best first; None: it was not asked
    collapsed: tuple[int, ...] | None = None
    # of the moment whose best frame it is; None: it was not asked, or it is of no stream
    span: Span | None = None
    # what each of the query's examples adds to the score; None: it was not asked
    explained: tuple[Share, ...] | None = None

    @property
    def place(self) -> str:
        """As people read it: the uri, and the part where the image is only one of its file."""
        return place_of(self.columns)

    @property
    def path(self) -> bytes:
        """The exact bytes of the path, or the URL; a part of a file as it prints."""
        return _path_of(self.columns)

    @property
    def moment(self) -> str | None:
        """Its span as people read it; None where it has none."""
        is_video = self.columns.get("stream_id") == VIDEO
        return None if self.span is None else self.span.said(is_video=is_video)

    def to_json(self) -> dict[str, Any]:
        """The hit as the API and the CLI print it;
        `collapsed`, `span` and `explain` only where the query asked for them.
        """
        row = row_json(self.columns)
        document = {
            "row_id": row.pop("row_id"),
            "score": round(self.score, SCORE_DIGITS),
            "z": None if self.z is None else round(self.z, Z_DIGITS),
            **row,
        }
        if self.collapsed is not None:
            document["collapsed"] = list(self.collapsed)
        if self.span is not None:
            document["span"] = self.span.to_json()
        if self.explained is not None:
            document["explain"] = [share.to_json() for share in self.explained]
        return document


def _clock(time_us: int) -> str:
    """12:03, or 1:02:03."""
    minutes, seconds = divmod(time_us // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _date(time_us: int) -> str:
    """2023-11-14 22:13:20 (UTC), as far as the calendar goes."""
    if time_us >= _YEAR_10000_US:
        return _clock(time_us)
    return f"{datetime(1970, 1, 1) + timedelta(microseconds=time_us):%Y-%m-%d %H:%M:%S}"


def place_of(row: Mapping[str, Any]) -> str:
    """A row's address as it prints, `/a.tar#member=7.jpg`; its uri where it makes no sense."""
    try:
        return str(Address.of(row))
    except UnreadableImage:
        return str(row["uri"])


def _path_of(row: Mapping[str, Any]) -> bytes:
    path: bytes | None = row.get("path_bytes")
    place = place_of(row)
    return path if path is not None and place == row["uri"] else os.fsencode(place)


def row_json(columns: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON has it: row_id, uri, width_px, height_px,
    and among `columns` all else that has a value.

    Times are ISO 8601, bytes hexadecimal digits, infinity and NaN texts.
    """
    shown = {
        name: value if type(value) in _AS_THEY_ARE else plain_value(value)
        for name, value in columns.items()
        if value is not None and name not in NOT_AMONG_COLUMNS
    }
    return {
        "row_id": columns["row_id"],
        "uri": columns["uri"],
        "width_px": columns["width_px"],
        "height_px": columns["height_px"],
        "columns": shown,
    }


def to_pandas(hits: Sequence[Hit]) -> pd.DataFrame:
    """A DataFrame with one row a hit: row_id, score, z,
    uri, then the other columns; one of the user's that is called score is `own_score`. Needs the
    pandas extra.
    """
    import pandas as pd

    first = ["row_id", "score", "z", "uri"]
    others = [name for name in (hits[0].columns if hits else ()) if name not in ("row_id", "uri")]
    rows = [
        [hit.row_id, hit.score, hit.z, hit.uri, *(hit.columns.get(name) for name in others)]
        for hit in hits
    ]
    return pd.DataFrame(rows, columns=first + [beside(name, first, "own_") for name in others])


def plain_value(value: Any) -> Any:
    """A column's value as JSON has it; it has no number for infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else value
