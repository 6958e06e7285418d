"""Hits as lines of JSON, many at once: the bytes of `Hit.to_json`, without a Hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from service.search.hits import SCORE_DIGITS, Z_DIGITS, Span
from service.search.json_columns import (
    bytes_of,
    joined,
    joined_or_nothing,
    members,
    numbers_json,
    object_pieces,
    values_json,
    written,
)


def hit_lines(
    rows: pa.Table,
    scores: NDArray[np.float64],
    zs: NDArray[np.float64] | None,
    folded: Mapping[int, tuple[int, ...]] | None,
    spans: Mapping[int, Span],
) -> memoryview:
    """A line for each hit, each with its end.

    :param rows: theirs, every column, in their order, one chunk a column.
    :param scores, zs: float64, (n,), folded, spans: as `Hit` and `Chosen` have them; zs: None:
        there are none.
    """
    pieces: list[pa.Array | str] = [
        '{"row_id":',
        values_json(rows["row_id"]),
        ',"score":',
        numbers_json(rounded(scores, SCORE_DIGITS)),
    ]
    if zs is None:
        pieces.append(',"z":null')
    else:
        pieces += [',"z":', numbers_json(rounded(zs, Z_DIGITS))]
    for name in ("uri", "width_px", "height_px"):
        value = written(rows[name]).or_null()
        pieces += [f',"{name}":{value.before}', value.values, value.after]
    pieces += [',"columns":', *object_pieces(members(rows))]
    if folded is not None:
        others = [folded.get(row_id, ()) for row_id in rows["row_id"].to_pylist()]
        pieces += [',"collapsed":', _texts([list(each) for each in others])]
    if spans:
        found = [spans.get(row_id) for row_id in rows["row_id"].to_pylist()]
        texts = _texts([None if span is None else span.to_json() for span in found])
        pieces.append(joined(',"span":', texts))
    return bytes_of(joined_or_nothing(*pieces, "}\n"))


def rounded(numbers: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    """float64, (n,): as Python's round() does it, which takes ten times as long.

    Times 10^digits a number is off by 2^-53 of itself at most. So where it is neither large nor
    near the middle between two whole numbers, the nearest of those is known for certain, and
    divided by 10^digits it is the double next to the decimal number, as round() gives it.
    """
    scale = 10.0**digits
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = numbers * scale
        found = np.rint(scaled) / scale
        is_sure = (np.abs(scaled - np.floor(scaled) - 0.5) > 1e-3) & (np.abs(scaled) < 2.0**40)
    others = np.flatnonzero(~is_sure)
    found[others] = [round(number, digits) for number in numbers[others].tolist()]
    return found


def _texts(values: Sequence[object]) -> pa.Array:
    """text, (n,): each value as JSON; null for None."""
    return pa.array(
        [None if value is None else orjson.dumps(value).decode() for value in values], pa.string()
    )
