"""The live rows of a snapshot in the order that a `Sort` asks for, whatever is looked for.

Values are turned into numbers that sort as they do: then one stable sort, of rows that lie by
rising row_id, leaves ties by row_id in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.arrays import Positions
from service.search.sort import Sort
from service.snapshot.orders import Order
from service.snapshot.snapshot import Snapshot, hash_row_ids

# Where images lie in one file: in a tar by name, in a video by time.
_IN_A_FILE = ("member", "stream_id", "row_group", "row_index", "time_us", "offset")


def order_of(snapshot: Snapshot, sort: Sort) -> Order:
    """(live rows,): their numbers among all live rows by rising row_id; kept for the next page.

    :param sort: by anything but match.
    :raises BadRequest: if its column is unknown, or has no order.
    """
    if sort.by == "column":
        sort.find(snapshot.schema)  # before a lock is held
    return snapshot.orders.get(sort.said, lambda: _made(snapshot, sort))


def _made(snapshot: Snapshot, sort: Sort) -> Positions:
    if sort.by == "random":
        seed = hash_row_ids(np.array([sort.seed], np.int64))
        ids = snapshot.places[0].astype(np.uint64) ^ seed
        return np.argsort(hash_row_ids(ids.view(np.int64)), kind="stable")
    if sort.by == "date":
        return _sorted([_Keys.of(_dates(snapshot))], is_down=sort.is_down)
    if sort.by == "path":
        names = [name for name in _IN_A_FILE if name in snapshot.schema.names]
        columns = [_column(snapshot, (name,)) for name in ("uri", *names)]
        known = [each for each in columns if each.null_count < len(each)]
        return _sorted([_Keys.of(each) for each in known], is_down=sort.is_down)
    return _sorted([_Keys.of(_column(snapshot, sort.find(snapshot.schema)))], is_down=sort.is_down)


def _column(snapshot: Snapshot, path: tuple[str, ...]) -> Any:
    """One value for each live row, by rising row_id."""
    chunks: list[pa.Array] = []
    for part in snapshot.parts:
        whole = part.columns([path[0]])[path[0]]
        for inner in path[1:]:
            whole = pc.struct_field(whole, [inner])
        chunks += whole.chunks
    if not chunks:
        return pa.nulls(0)
    places = snapshot.places[1].astype(np.int64)
    # Taken from one chunk: of many, Arrow looks for each row's. Texts of over 2 GB have no one.
    whole = pa.chunked_array(chunks)
    if pa.types.is_string(whole.type):
        whole = whole.cast(pa.large_string())
    return whole.combine_chunks().take(pa.array(places))


def _dates(snapshot: Snapshot) -> Any:
    """When each was taken, by the camera's clock; where that is unknown, when its file changed."""
    taken, changed = _column(snapshot, ("captured_at",)), _column(snapshot, ("modified",))
    if not len(taken):
        return taken
    return pc.coalesce(taken.cast(pa.int64()), changed.cast(pa.int64()))


class _Keys:
    """Numbers that sort as the values of a column do, and which rows have one."""

    def __init__(self, numbers: NDArray[Any], is_known: NDArray[np.bool_]) -> None:
        """
        :param numbers: (n,); is_known: bool, (n,).
        """
        self.numbers, self.is_known = numbers, is_known

    @classmethod
    def of(cls, column: Any) -> _Keys:
        kind = column.type
        is_known = _numpy(column.is_valid())
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return cls(_ranks(column), is_known)
        if pa.types.is_floating(kind):
            numbers = _numpy(column.fill_null(0.0))
            return cls(numbers, is_known & ~np.isnan(numbers))
        if pa.types.is_boolean(kind):
            column = column.cast(pa.int8())
        elif pa.types.is_timestamp(kind):
            column = column.cast(pa.int64())
        elif pa.types.is_null(kind):
            column = column.cast(pa.int8())
        return cls(_numpy(column.fill_null(0)), is_known)

    def turned(self, *, is_down: bool) -> NDArray[Any]:
        if not is_down:
            return self.numbers
        # ~ has no overflow, where - of the smallest whole number has
        is_float = np.issubdtype(self.numbers.dtype, np.floating)
        return -self.numbers if is_float else ~self.numbers


def _ranks(column: Any) -> NDArray[np.int32]:
    """int32, (n,): equal texts have one number, and numbers rise as the texts do, byte by byte."""
    encoded = column.dictionary_encode()
    rising = _numpy(pc.array_sort_indices(encoded.dictionary))
    ranks = np.empty(len(rising) + 1, np.int32)  # one more: no value where there is no text at all
    ranks[rising] = np.arange(len(rising), dtype=np.int32)
    return np.asarray(ranks[_numpy(encoded.indices.fill_null(0))], np.int32)


def _numpy(column: Any) -> NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _sorted(keys: Sequence[_Keys], *, is_down: bool) -> Positions:
    """int64, (n,): by the first keys, then by the next; those without a first one come last."""
    if not keys:
        return np.empty(0, np.int64)
    first, *others = keys
    known = np.flatnonzero(first.is_known)
    if others:
        # Without a value before all others: a file itself before what is in it.
        columns = [first.turned(is_down=is_down)[known]]
        for each in others:
            columns += [
                _Keys(each.is_known, each.is_known).turned(is_down=is_down)[known],
                each.turned(is_down=is_down)[known],
            ]
        rising = np.lexsort(columns[::-1])
    else:
        rising = np.argsort(first.turned(is_down=is_down)[known], kind="stable")
    return np.concatenate([known[rising], np.flatnonzero(~first.is_known)])
