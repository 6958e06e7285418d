"""The rows of a snapshot without a query, by row_id or as they are sorted: a page at a time, or all
that pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.errors import BadRequest
from service.search.hits import Row
from service.search.sort import Sort
from service.snapshot.orders import Order
from service.snapshot.snapshot import Snapshot
from service.snapshot.tagged_rows import add_tags

READ_ROWS = 1_000  # rows read at once


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows by rising row_id, or as they are sorted."""

    rows: list[Row]
    # the `after` of the next page; None: nothing follows
    next_after: int | None
    # The act of tagging that where went by, for the next page; None: it does not ask for tags.
    tags_act: int | None = None


def browse(
    snapshot: Snapshot,
    where: str | None = None,
    *,
    after: int = 0,
    k: int = 50,
    among: Sequence[RowMask] | None = None,
    tags_act: int | None = None,
    sort: Sort | None = None,
) -> RowPage:
    """The first k live rows behind `after` that where keeps.

    :param after: a row_id; of sorted rows, how many of all live ones lie before the page. So a page
        begins where the last one ended, also if people tagged images meanwhile.
    :param among: as `passing` has it.
    :param tags_act: of the page before; None: as tags are now.
    :param sort: by anything but match; None: by row_id.
    :raises BadRequest: if k is below 1, after below 0, or there is nothing to sort by.
    :raises WhereError: if where is not understood.
    """
    if k < 1:
        raise BadRequest("k", f"{k} is not a number of rows; it must be at least 1")
    if after < 0:
        raise BadRequest("after", f"{after} is not a row_id; it must be at least 0")
    row_ids, places = snapshot.places
    order = _order(snapshot, sort)
    start = min(after, len(row_ids))
    if order is None:
        start = int(np.searchsorted(row_ids, min(after, 2**53), side="right"))
    # numbers among all live rows by row_id, of the rest
    rest = np.arange(start, len(row_ids)) if order is None else order[start:].astype(np.int64)
    masks, act = [], None
    if where is not None:
        kept, act = _kept(snapshot, where, tags_act)
        masks.append(kept)
    masks += [] if among is None else [_joined(among)]
    passing = np.arange(min(k + 1, len(rest)))  # one more: does anything follow?
    if masks:
        keeps = np.logical_and.reduce([mask[places[rest]] for mask in masks])
        passing = np.flatnonzero(keeps)[: k + 1]
    wanted = rest[passing[:k]]
    rows = [Row.of(columns) for columns in snapshot.take(*snapshot.locate(places[wanted]))]
    after_last: int | None = None
    if len(passing) > k:
        after_last = rows[-1].row_id if order is None else start + int(passing[k - 1]) + 1
    return RowPage(rows, after_last, act)


def _order(snapshot: Snapshot, sort: Sort | None) -> Order | None:
    """None: by row_id."""
    if sort is None:
        return None
    # not at the top: Arrow's compute module takes a while to load
    from service.search.sorting import order_of

    return order_of(snapshot, sort)


class Passing:
    """The live rows that pass, by rising row_id or as they are sorted: counted at once, read a
    thousand at a time.
    """

    def __init__(self, snapshot: Snapshot, wanted: Positions) -> None:
        """:param wanted: (n,): their numbers among all live rows by rising row_id, in order."""
        self._snapshot = snapshot
        self._wanted = wanted

    def __len__(self) -> int:
        return len(self._wanted)

    def __iter__(self) -> Iterator[Row]:
        return self.first(None)

    @property
    def row_ids(self) -> Positions:
        """int64, (n,), in their order"""
        return self._snapshot.places[0][self._wanted]

    def first(self, k: int | None) -> Iterator[Row]:
        """The first k of them; None: all."""
        _, places = self._snapshot.places
        wanted = self._wanted[:k]
        for start in range(0, len(wanted), READ_ROWS):
            found = self._snapshot.locate(places[wanted[start : start + READ_ROWS]])
            yield from map(Row.of, self._snapshot.take(*found))


def passing(
    snapshot: Snapshot,
    where: str | None = None,
    among: Sequence[RowMask] | None = None,
    sort: Sort | None = None,
) -> Passing:
    """All live rows that where keeps.

    :param among: bool, (rows of the part,), a mask a part: only these rows; None: all of them.
    :param sort: by anything but match; None: by row_id.
    :raises BadRequest: if there is nothing to sort by.
    :raises WhereError: if where is not understood.
    """
    row_ids, places = snapshot.places
    keeps = np.ones(len(row_ids), bool) if where is None else _kept(snapshot, where)[0][places]
    if among is not None:
        keeps &= _joined(among)[places]
    order = _order(snapshot, sort)
    return Passing(snapshot, np.flatnonzero(keeps) if order is None else order[keeps[order]])


def passing_rows(
    snapshot: Snapshot, where: str | None, among: Sequence[RowMask] | None = None
) -> RowMask:
    """bool, (rows of all parts,): which rows pass; of those that are gone it says nothing.

    :param among: as `passing` has it.
    :raises WhereError: if where is not understood.
    """
    keeps = [] if where is None else [_kept(snapshot, where)[0]]
    keeps += [] if among is None else [_joined(among)]
    rows = sum(part.rows for part in snapshot.parts)
    passing: RowMask = np.logical_and.reduce([np.ones(rows, bool), *keeps])
    return passing


def row(snapshot: Snapshot, row_id: int) -> Row | None:
    """A live row, or None."""
    place = snapshot.find(row_id)
    if place is None:
        return None
    found = place[0].take(np.array([place[1]]))
    add_tags(found, snapshot.tag_book, snapshot.schema)
    return Row.of(found[0])


def _kept(
    snapshot: Snapshot, where: str, tags_act: int | None = None
) -> tuple[NDArray[np.bool_], int | None]:
    """bool, (rows of all parts,): whether where keeps the row at each place; the act of tagging
    that it went by.
    """
    # not at the top: Arrow's expressions take a quarter of a second to load
    from service.where.where import Where

    predicate = Where.parse(
        where, snapshot.schema, partial(snapshot.tags, tags_act), snapshot.alike
    )
    masks = [part.mask(predicate) for part in snapshot.parts]
    return _joined([mask for mask in masks if mask is not None]), predicate.tags_act


def _joined(masks: Sequence[RowMask]) -> NDArray[np.bool_]:
    """bool, (rows of all parts,)"""
    return np.concatenate([np.empty(0, bool), *masks])
