"""Rows of every kind that a lake has, as items one at a time and as batches of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from indexer.disk.rows import LIST, lake_schema
from service.formats.batch import DECIDED, Batch
from service.formats.item import Item

OWN = {
    "label": "string",
    "Image": "string",
    "score": "double",
    "seen": "bool",
    "taken": "timestamp[us]",
    "tags": str(LIST),
    "empty": "string",
    "count": "int64",
}
SCHEMA = lake_schema(OWN)
AT = datetime(2024, 5, 6, 7, 8, 9)
IN = "/photos/a.tar"
ROWS: list[dict[str, Any]] = [
    {"uri": "/photos/1.jpg", "camera": "Nikon", "count": 7, "modified": AT.replace(tzinfo=UTC)},
    {"uri": "s3://shop/2.jpg", "caption": 'a "bed"\\\n\ta\x01 chair\x7f ü', "seen": True},
    {"uri": IN, "member": "x/3.jpg", "offset": 512, "length": 9, "score": float("nan")},
    {"uri": "/photos/4 %FF.jpg", "path_bytes": b"/photos/4 \xff.jpg", "score": float("inf")},
    {"uri": "/photos/a\nb.jpg", "caption": "=1+1", "label": "own"},
    {"uri": "/photos/ü #6.jpg", "caption": "'-x", "Image": "@y", "seen": False},
    {"uri": "/photos/7.jpg", "width_px": None, "height_px": None, "score": float("-inf")},
    {"uri": "/t.parquet", "row_group": 2, "row_index": 5, "score": 1e-07},
    {"uri": "/v.mp4", "stream_id": "video", "time_us": 61_000_042, "score": 0.1},
    {"uri": IN, "offset": 10, "length": 20, "taken": AT.replace(microsecond=42)},
    {"uri": "s3://shop/a.tar", "member": "11.jpg", "tags": ["a", 'b"', None]},
    {"uri": "/photos/12.jpg", "region_px": "1,2,3,4", "tags": []},
    {"uri": "/elsewhere/13.jpg", "taken": AT, "place": {"latitude": 59.9, "longitude": -0.0}},
    {"uri": "/photos/14.jpg", "place": {"latitude": float("nan"), "longitude": 1e21}},
    {"uri": "/r.mcap", "stream_id": "/cam", "time_us": 5, "row_group": 3, "row_index": 4},
    {"uri": "/photos/16.jpg", "label": "", "score": 12345678901234567.0, "count": -(2**62)},
    {"uri": '/photos/a&b<c>.x/"17".tar.png', "format": "png", "score": -2.5e-05},
    {"uri": "/photos/.18", "format": "ppm", "width_px": 9, "score": -0.25},
    {"uri": "/photos/19\x01'\t.jpg", "format": None, "score": -1e15},
    {"uri": "http://shop/..20", "format": "WEBP"},
]
DECISIONS = ("keep", "ask", "drop")


class Given:
    """Items as an export of a filter's decisions is given them."""

    def __init__(self, rows: Sequence[dict[str, Any]] = ROWS, batch_rows: int = 3) -> None:
        sized = {"width_px": 640, "height_px": 480, "format": "jpeg", "phash": 5}
        whole = [{**sized, "row_id": at + 1, **row} for at, row in enumerate(rows)]
        self.rows = pa.Table.from_pylist(whole, SCHEMA)
        decided = [
            {
                "decision": DECISIONS[at % 3],
                "score": float(at) / 7,
                "probability": None if at == 4 else at / 16,
                "label": "yes" if at == 2 else None,
                "labeller": "ann" if at == 2 else None,
            }
            for at in range(len(rows))
        ]
        kinds = (pa.string(), pa.float64(), pa.float64(), pa.string(), pa.string())
        schema = pa.schema(list(zip(DECIDED, kinds, strict=True)))
        self.decided = pa.Table.from_pylist(decided, schema)
        self._batch_rows = batch_rows

    def __iter__(self) -> Iterator[Item]:
        for row, said in zip(self.rows.to_pylist(), self.decided.to_pylist(), strict=True):
            yield Item.of(row, *(said[name] for name in DECIDED))

    def batches(self, names: Sequence[str] | None) -> Iterator[Batch]:
        rows = self.rows if names is None else self.rows.select(names)
        for start in range(0, self.rows.num_rows, self._batch_rows):
            yield Batch(rows, self.decided).between(
                start, min(start + self._batch_rows, rows.num_rows)
            )
