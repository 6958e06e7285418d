"""Which group of a column each row of a filter is of: one for each value, and one for rows without.

Values are told apart as they print: a string, a whole number, a truth value or a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from indexer.arrays import Positions
from indexer.errors import BadRequest
from service.relevance.promise.audit import Grouped
from service.search.single_column import single_column
from service.snapshot.snapshot import Snapshot

MOST_GROUPS = 100
# What the values of an option's column are called.
PARTS = {"every": "groups", "scene": "scenes"}


def grouped_by(snapshot: Snapshot, row_ids: Positions, column: str) -> Grouped:
    """:param row_ids: int64, (n,), rising; rows of the snapshot.

    :raises BadRequest: if there is no such column of single values, if it holds fractions, or if it
        has one value alone or more than a hundred.
    """
    import pyarrow.compute as pc

    values = values_of("every", snapshot, row_ids, column)
    encoded = pc.dictionary_encode(values, null_encoding="encode")
    names = [None if each is None else str(each) for each in encoded.dictionary.to_pylist()]
    if len(names) > MOST_GROUPS:
        raise BadRequest(
            "every",
            f"{column} has {len(names):,} values, and at most {MOST_GROUPS} groups are promised at once, each of "
            "which takes labels of its own; name a coarser column, or take fewer with where",
        )
    if len(names) < 2:
        raise BadRequest(
            "every", f"all images have one value of {column}: a promise of all of them is the same"
        )
    # In their order, whatever the rows' is; those without a value last.
    order = sorted(range(len(names)), key=lambda at: (names[at] is None, names[at] or ""))
    rank = np.empty(len(names), np.int16)
    rank[order] = np.arange(len(names), dtype=np.int16)
    at = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)
    return Grouped(column, tuple(names[each] for each in order), rank[at])


def values_of(option: str, snapshot: Snapshot, row_ids: Positions, column: str) -> Any:
    """pyarrow.Array, (n,): each row's value.

    :param option: that names the column; errors name it.
    :raises BadRequest: if there is no such column of single values, or if it holds fractions.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    name, found = single_column(option, column, snapshot.schema)
    _, numbers, positions = snapshot.places_of(row_ids)
    values = snapshot.rows(numbers, positions, [name])[name].combine_chunks()
    for inner in found.said.removeprefix(name).split(".")[1:]:
        values = pc.struct_field(values, [inner])
    if pa.types.is_floating(values.type) or pa.types.is_binary(values.type):
        raise BadRequest(
            option,
            f"{column} holds no names or whole numbers; name a column whose values are {PARTS[option]}",
        )
    return values
