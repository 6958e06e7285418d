"""The rows of a snapshot without a query, by row_id: a page at a time, or all that pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.errors import BadRequest
from service.search.hits import Row
from service.snapshot.snapshot import Snapshot
from service.snapshot.tagged_rows import add_tags

READ_ROWS = 1_000  # rows read at once


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows by rising row_id."""

    rows: list[Row]
    next_after: int | None  # the row_id after which the next page begins; None: nothing follows


def browse(
    snapshot: Snapshot,
    where: str | None = None,
    *,
    after: int = 0,
    k: int = 50,
    among: Sequence[RowMask] | None = None,
) -> RowPage:
    """The first k live rows with a row_id above `after` that where keeps.

    :param among: as `passing` has it.

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
    masks = [] if where is None else [_kept(snapshot, where)]
    masks += [] if among is None else [_joined(among)]
    if masks:
        keeps = np.logical_and.reduce([mask[places[start:]] for mask in masks])
        wanted = start + np.flatnonzero(keeps)[: k + 1]
    rows = [Row.of(columns) for columns in snapshot.take(*snapshot.locate(places[wanted[:k]]))]
    return RowPage(rows, rows[-1].row_id if len(wanted) > k else None)


class Passing:
    """The live rows that pass, by rising row_id: counted at once, read a thousand at a time."""

    def __init__(self, snapshot: Snapshot, wanted: Positions) -> None:
        """:param wanted: (n,): their numbers among all live rows by rising row_id."""
        self._snapshot = snapshot
        self._wanted = wanted

    def __len__(self) -> int:
        return len(self._wanted)

    def __iter__(self) -> Iterator[Row]:
        return self.first(None)

    @property
    def row_ids(self) -> Positions:
        """int64, (n,), rising"""
        return self._snapshot.places[0][self._wanted]

    def first(self, k: int | None) -> Iterator[Row]:
        """The first k of them; None: all."""
        _, places = self._snapshot.places
        wanted = self._wanted[:k]
        for start in range(0, len(wanted), READ_ROWS):
            found = self._snapshot.locate(places[wanted[start : start + READ_ROWS]])
            yield from map(Row.of, self._snapshot.take(*found))


def passing(
    snapshot: Snapshot, where: str | None = None, among: Sequence[RowMask] | None = None
) -> Passing:
    """All live rows that where keeps.

    :param among: bool, (rows of the part,), a mask a part: only these rows; None: all of them.
    :raises WhereError: if where is not understood.
    """
    row_ids, places = snapshot.places
    keeps = np.ones(len(row_ids), bool) if where is None else _kept(snapshot, where)[places]
    if among is not None:
        keeps &= _joined(among)[places]
    return Passing(snapshot, np.flatnonzero(keeps))


def row(snapshot: Snapshot, row_id: int) -> Row | None:
    """A live row, or None."""
    place = snapshot.find(row_id)
    if place is None:
        return None
    found = place[0].take(np.array([place[1]]))
    add_tags(found, snapshot.tag_book, snapshot.schema)
    return Row.of(found[0])


def _kept(snapshot: Snapshot, where: str) -> NDArray[np.bool_]:
    """bool, (rows of all parts,): whether where keeps the row at each place."""
    # not at the top: Arrow's expressions take a quarter of a second to load
    from service.where.where import Where

    predicate = Where.parse(where, snapshot.schema, snapshot.tags)
    masks = [part.mask(predicate) for part in snapshot.parts]
    return _joined([mask for mask in masks if mask is not None])


def _joined(masks: Sequence[RowMask]) -> NDArray[np.bool_]:
    """bool, (rows of all parts,)"""
    return np.concatenate([np.empty(0, bool), *masks])
