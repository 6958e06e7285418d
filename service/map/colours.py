"""What the points of a map are coloured by: a number of a legend for each row, or a place between
the lowest and the highest value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.arrays import RowMask
from indexer.errors import BadRequest
from service.search.decided import DECISIONS
from service.search.facets import facets
from service.search.score_histogram import strengths
from service.search.understood import Understood
from service.snapshot.snapshot import Snapshot
from service.tags.names import asked_as
from service.where.columns import Columns
from service.where.values import Mismatch

UNKNOWN, HIDDEN = 255, 254  # the row has no value; it does not pass
HIGHEST = 250  # of a range; 0 is the lowest
VALUES = 9  # of a column that have a colour of their own; all others share one
OTHERS = VALUES

Bytes = NDArray[np.uint8]  # (rows of all parts,)


@dataclass(frozen=True, slots=True)
class Coloured:
    """A colour for each row of a snapshot, dead ones too."""

    kind: str  # "values", "range" or "none"
    numbers: Bytes
    values: tuple[tuple[str, int], ...] = ()  # what each number stands for, and its rows
    low: float | str | None = None  # of a range: what 0 stands for; times are ISO 8601
    high: float | str | None = None  # what HIGHEST stands for

    def to_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {"kind": self.kind}
        if self.kind == "values":
            said["values"] = [{"value": value, "rows": rows} for value, rows in self.values]
        if self.kind == "range":
            said |= {"low": self.low, "high": self.high}
        return said


def by_nothing(snapshot: Snapshot) -> Coloured:
    return Coloured("none", np.zeros(_rows(snapshot), np.uint8))


def by_match(asked: Understood) -> Coloured:
    """By z, or by score where the lake has none: 0 is the middle of the lake and less."""
    found = strengths(asked)
    known = np.isfinite(found)
    low = 0.0 if asked.snapshot.live_rows >= 100 else float(found[known].min(initial=0.0))
    high = max(float(found[known].max(initial=low)), low + 1e-6)
    numbers = np.full(len(found), HIDDEN, np.uint8)
    numbers[known] = _between(found[known].astype(np.float64), low, high)
    return Coloured("range", numbers, low=round(low, 3), high=round(high, 3))


def by_decision(snapshot: Snapshot, masks_of: Callable[[str], Sequence[RowMask]]) -> Coloured:
    """:param masks_of: the rows that a filter decided so: keep, ask or drop; a mask a part."""
    numbers = np.full(_rows(snapshot), UNKNOWN, np.uint8)
    values = []
    for number, decision in enumerate(DECISIONS):
        mask = _joined(masks_of(decision))
        numbers[mask] = number
        values.append((decision, int(mask.sum())))
    return Coloured("values", numbers, tuple(values))


def by_column(snapshot: Snapshot, name: str) -> Coloured:
    """By a column, or by tags: a row with several has the colour that most rows have.

    :raises BadRequest: if there is no such column, or it holds bytes.
    """
    (facet,) = facets(snapshot, None, [name], values=VALUES).facets
    if facet.kind == "range":
        return _by_range(snapshot, name)
    values = [(str(each.value), each.rows) for each in facet.values]
    if facet.more_values:
        values.append((f"{facet.more_values:,} others", facet.rows - sum(n for _, n in values)))
    if name == asked_as(snapshot.schema.names):
        numbers = _of_tags(snapshot, [value for value, _ in values[:VALUES]])
    else:
        numbers = _of_values(snapshot, name, [each.value for each in facet.values])
    return Coloured("values", numbers, tuple(values))


def hide(coloured: Coloured, passes: RowMask) -> Coloured:
    """With those hidden that do not pass. :param passes: bool, (rows of all parts,)"""
    numbers = np.where(passes, coloured.numbers, np.uint8(HIDDEN))
    return Coloured(coloured.kind, numbers, coloured.values, coloured.low, coloured.high)


def _of_tags(snapshot: Snapshot, names: Sequence[str]) -> Bytes:
    tags = snapshot.tags()
    of_set = np.full(len(tags.sets) + 1, UNKNOWN, np.uint8)  # the last one is of rows without
    for number, names_of_set in enumerate(tags.sets):
        known = [names.index(name) for name in names_of_set if name in names]
        of_set[number] = min(known, default=OTHERS if names_of_set else UNKNOWN)
    return _joined_bytes([of_set[tags.codes(part.row_ids)] for part in snapshot.parts])


def _of_values(snapshot: Snapshot, name: str, values: Sequence[str | bool]) -> Bytes:
    found = []
    for column in _columns(snapshot, name):
        if pa.types.is_list(column.type):
            found.append(_of_lists(column, values))
            continue
        at = pc.fill_null(pc.index_in(column, value_set=pa.array(values, column.type)), OTHERS)
        numbers = at.to_numpy().astype(np.uint8)
        numbers[column.is_null().to_numpy()] = UNKNOWN
        found.append(numbers)
    return _joined_bytes(found)


def _of_lists(column: pa.ChunkedArray, values: Sequence[str | bool]) -> Bytes:
    rows = pc.list_parent_indices(column).to_numpy()
    inner = pc.list_flatten(column)
    at = pc.fill_null(pc.index_in(inner, value_set=pa.array(values, inner.type)), OTHERS)
    numbers = np.full(len(column), UNKNOWN, np.uint8)
    np.minimum.at(numbers, rows, at.to_numpy().astype(np.uint8))
    return numbers


def _by_range(snapshot: Snapshot, name: str) -> Coloured:
    columns = _columns(snapshot, name)
    kind = columns[0].type if columns else pa.float64()
    is_time = pa.types.is_timestamp(kind)
    floats = []
    for column in columns:
        plain = column.cast(pa.int64()) if is_time else column
        floats.append(pc.fill_null(plain.cast(pa.float64(), safe=False), np.nan).to_numpy())
    found = np.concatenate([np.empty(0), *floats])
    known = np.isfinite(found)
    live = known & _joined([_alive(part) for part in snapshot.parts])
    if not live.any():
        return Coloured("range", np.full(len(found), UNKNOWN, np.uint8))
    low, high = float(found[live].min()), float(found[live].max())
    numbers = np.full(len(found), UNKNOWN, np.uint8)
    numbers[known] = _between(found[known], low, max(high, np.nextafter(low, np.inf)))
    told = (lambda value: str(np.datetime64(int(value), kind.unit))) if is_time else float
    return Coloured("range", numbers, low=told(low), high=told(high))


def _columns(snapshot: Snapshot, name: str) -> list[pa.ChunkedArray]:
    """The column of each part. :raises BadRequest: if there is none."""
    try:
        found = Columns(snapshot.schema).find_named(name)
    except Mismatch as error:
        raise BadRequest("column", str(error)) from None
    path = [name] if name in snapshot.schema.names else name.split(".")
    columns = []
    for part in snapshot.parts:
        column: Any = part.columns([path[0]])[path[0]]
        for field in path[1:]:
            column = pc.struct_field(column, field)
        columns.append(column)
    assert found.said
    return columns


def _between(values: NDArray[np.float64], low: float, high: float) -> Bytes:
    shares = np.clip((values - low) / (high - low), 0, 1)
    return np.rint(shares * HIGHEST).astype(np.uint8)


def _alive(part: Any) -> RowMask:
    return np.ones(part.rows, bool) if part.alive is None else part.alive


def _rows(snapshot: Snapshot) -> int:
    return sum(part.rows for part in snapshot.parts)


def _joined(masks: Sequence[RowMask]) -> RowMask:
    return np.concatenate([np.empty(0, bool), *masks])


def _joined_bytes(pieces: Sequence[Bytes]) -> Bytes:
    return np.concatenate([np.empty(0, np.uint8), *pieces])
