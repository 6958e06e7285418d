"""The rows of a snapshot without a query: a page at a time, by row_id."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.errors import BadRequest
from service.hits import Row
from service.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows by rising row_id."""

    rows: list[Row]
    next_after: int | None  # the row_id after which the next page begins; None: nothing follows


def browse(snapshot: Snapshot, where: str | None = None, *, after: int = 0, k: int = 50) -> RowPage:
    """The first k live rows with a row_id above `after` that where keeps.

    :raises BadRequest: if k is below 1, or after below 0.
    :raises WhereError: if where is not understood.
    """
    if k < 1:
        raise BadRequest("k", f"{k} is not a number of rows; it must be at least 1")
    if after < 0:
        raise BadRequest("after", f"{after} is not a row_id; it must be at least 0")
    row_ids, places = snapshot.places
    start = int(np.searchsorted(row_ids, min(after, 2**53), side="right"))
    wanted = np.arange(start, min(start + k + 1, len(row_ids)))  # one more: does anything follow?
    if where is not None:
        wanted = start + np.flatnonzero(_kept(snapshot, where)[places[start:]])[: k + 1]
    rows = [Row.of(columns) for columns in snapshot.take(*snapshot.locate(places[wanted[:k]]))]
    return RowPage(rows, rows[-1].row_id if len(wanted) > k else None)


def row(snapshot: Snapshot, row_id: int) -> Row | None:
    """A live row, or None."""
    place = snapshot.find(row_id)
    return None if place is None else Row.of(place[0].take(np.array([place[1]]))[0])


def _kept(snapshot: Snapshot, where: str) -> NDArray[np.bool_]:
    """bool, (rows of all parts,): whether where keeps the row at each place."""
    from service.where import Where  # not at the top: Arrow's expressions take a quarter of a second to load

    predicate = Where.parse(where, snapshot.schema)
    masks = [part.mask(predicate) for part in snapshot.parts]
    return np.concatenate([np.empty(0, bool), *(mask for mask in masks if mask is not None)])
