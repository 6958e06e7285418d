"""Hits as lines of JSON, many at once: the bytes of `Hit.to_json`, without a Hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from service.search.hits import Span, rounded_score, rounded_z
from service.search.json_columns import (
    bytes_of,
    columns_json,
    joined,
    numbers_json,
    or_null,
    values_json,
)


def hit_lines(
    rows: pa.Table,
    scores: Sequence[float],
    zs: Sequence[float] | None,
    folded: Mapping[int, tuple[int, ...]] | None,
    spans: Mapping[int, Span],
) -> memoryview:
    """A line for each hit, each with its end.

    :param rows: theirs, every column, in their order, one chunk a column.
    :param scores, zs, folded, spans: as `Hit` and `Chosen` have them; zs: None: there are none.
    """
    pieces: list[pa.Array | str] = [
        '{"row_id":',
        values_json(rows["row_id"]),
        ',"score":',
        numbers_json([rounded_score(score) for score in scores]),
        ',"z":',
        "null" if zs is None else numbers_json([rounded_z(z) for z in zs]),
    ]
    for name in ("uri", "width_px", "height_px"):
        pieces += [f',"{name}":', or_null(values_json(rows[name]))]
    pieces += [',"columns":', columns_json(rows)]
    if folded is not None:
        others = [folded.get(row_id, ()) for row_id in rows["row_id"].to_pylist()]
        pieces += [',"collapsed":', _texts([list(each) for each in others])]
    if spans:
        found = [spans.get(row_id) for row_id in rows["row_id"].to_pylist()]
        texts = _texts([None if span is None else span.to_json() for span in found])
        pieces.append(pc.fill_null(joined(',"span":', texts), ""))
    return bytes_of(joined(*pieces, "}\n"))


def _texts(values: Sequence[object]) -> pa.Array:
    """text, (n,): each value as JSON; null for None."""
    return pa.array(
        [None if value is None else orjson.dumps(value).decode() for value in values], pa.string()
    )
