"""A segment as a snapshot has it: its rows, which of them live, and what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.disk.codes import StoredCodes
from indexer.disk.segment import Segment
from indexer.disk.stored_vectors import BLOCK_ROWS, StoredVectors
from service.snapshot.cells import Cells
from service.snapshot.nearest import Answer, nearest_and_ties
from service.snapshot.row_cache import open_rows
from service.snapshot.streams import Streams, streams_of

if TYPE_CHECKING:
    from service.where.where import Where


Block: TypeAlias = tuple[int, int, int]  # number of the part; its rows from, to

CUT_OUT_BELOW_ROWS = 50


def blocks_of(parts: Sequence[Part], block_rows: int = BLOCK_ROWS) -> list[Block]:
    """The rows of all parts in pieces of one size: what threads share.

    Not a segment a thread: `index` leaves one very large segment beside small ones, and then one
    thread has nearly all of the work.
    """
    return [
        (number, start, min(start + block_rows, part.rows))
        for number, part in enumerate(parts)
        for start in range(0, part.rows, block_rows)
    ]


class Part:
    """A segment of a snapshot, and which of its rows live."""

    def __init__(
        self,
        segment: Segment,
        dead: Positions,
        schema: pa.Schema,
        codes: StoredCodes | None = None,
    ) -> None:
        self.segment = segment
        self.codes = codes  # None: its vectors are read instead
        self.dead = dead
        self.schema = schema
        self.rows = segment.entry.rows
        self.alive: RowMask | None = None  # None: every row lives
        if len(dead):
            self.alive = np.ones(self.rows, bool)
            self.alive[dead] = False

    def kept(self, dead: Positions, schema: pa.Schema, codes: StoredCodes | None) -> Part:
        """This part in another snapshot: itself where nothing changed,
        else one that shares what was read already.
        """
        is_same = np.array_equal(dead, self.dead) and schema.equals(self.schema)
        if is_same and codes is self.codes:
            return self
        part = Part(self.segment, dead, schema, codes)
        for read in ("table", "row_ids", "phashes", "streams"):
            if read in self.__dict__:
                part.__dict__[read] = self.__dict__[read]
        return part

    @property
    def live_rows(self) -> int:
        return self.rows - len(self.dead)

    @property
    def vectors(self) -> StoredVectors:
        """Of all rows, dead ones included."""
        return self.segment.vectors

    def nearest(
        self, query: NDArray[np.float32], k: int, mask: RowMask | None, start: int, end: int
    ) -> Answer:
        """Of the rows from start to end the k best, and all that are as good as the last of them.

        :param query: float32, (dim,), unit length.
        :param k: rows wanted, at least 1; fewer come back when fewer are allowed.
        :param mask: bool, (rows,): the rows that may be found; None: all of them, dead ones too.
        """
        here = self.vectors.between(start, end)
        scores, positions = nearest_and_ties(
            here, query, k, None if mask is None else mask[start:end]
        )
        return scores, positions + start

    @cached_property
    def table(self) -> pa.Table:
        """The rows, as stored; dead ones included."""
        return open_rows(self.segment)

    @cached_property
    def row_ids(self) -> Positions:
        """int64, (rows,)"""
        chunks = self.table["row_id"].chunks
        # Not to_numpy: it loads pandas, where that is installed.
        return np.concatenate([np.empty(0, np.int64), *(np.from_dlpack(chunk) for chunk in chunks)])

    @cached_property
    def phashes(self) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """uint64, (rows,): perceptual hashes; bool, (rows,): False where a row has none."""
        chunks = self.table["phash"].chunks
        known = [np.from_dlpack(chunk.is_valid().cast(pa.uint8())).astype(bool) for chunk in chunks]
        hashes = [np.from_dlpack(chunk.fill_null(0)) for chunk in chunks]
        return (
            np.concatenate([np.empty(0, np.uint64), *hashes]),
            np.concatenate([np.empty(0, bool), *known]),
        )

    @cached_property
    def streams(self) -> Streams:
        """Which rows are moments of which video or recording."""
        return streams_of(self.schema, self.rows, self.columns)

    def mask(self, where: Where | None) -> RowMask | None:
        """The live rows that where keeps; None: all of them."""
        if where is None:
            return self.alive
        wanted = where.mask(self.columns(sorted(where.columns)))
        return wanted if self.alive is None else wanted & self.alive

    def columns(self, names: Sequence[str]) -> pa.Table:
        """All rows, these columns alone, with the lake's types."""
        if not names:  # a predicate of literals alone still needs to know how many rows there are
            names = ["row_id"]
        return self.segment.conform(
            self.table.select([n for n in names if n in self.table.column_names]),
            self.schema,
            names,
        )

    def at(self, positions: Positions, names: Sequence[str] | None = None) -> pa.Table:
        """These rows, in their order, with the lake's types, one chunk a column.

        :param names: the columns wanted; None: all.
        """
        return in_order(*self.pieces(positions, names))

    def pieces(
        self, positions: Positions, names: Sequence[str] | None = None
    ) -> tuple[Positions, list[pa.Table]]:
        """int64, (n,): which of these positions each row of the tables is of; at least one table,
        with the lake's types.

        :param names: the columns wanted; None: all.
        """
        table = self.table
        if names is not None:
            table = table.select([name for name in names if name in table.column_names])
            if not table.num_columns:  # which would not know how many rows it has
                table = self.table.select(["row_id"])
        order, found = _pieces_at(table, positions)
        return order, [self.segment.conform(piece, self.schema, names) for piece in found]

    def take(self, positions: Positions) -> list[dict[str, Any]]:
        """These rows, every column, as Python values."""
        return list(self.at(positions).to_pylist())

    @cached_property
    def cells(self) -> Cells | None:
        """The rows cell by cell; None: they have other types than the lake's."""
        return Cells(self.table) if self.table.schema.equals(self.schema) else None


def in_order(order: Positions, pieces: Sequence[pa.Table]) -> pa.Table:
    """The rows of the tables by their number in the order, one chunk a column.

    :param order: int64, (n,): each of 0..n-1 once.
    """
    found = pa.concat_tables(pieces).combine_chunks()
    if np.all(order[1:] > order[:-1]):
        return found
    return found.take(pa.array(np.argsort(order)))


def _pieces_at(table: pa.Table, positions: Positions) -> tuple[Positions, list[pa.Table]]:
    """int64, (n,): which of these positions each row of the tables is of.

    A few are cut out: Arrow's compute module and, where it is installed, pandas are loaded by its
    take. More are taken a batch at a time: take of a whole table looks at every chunk, 36 ms for
    ten rows of a million.
    """
    if not len(positions):
        return np.empty(0, np.int64), [table.slice(0, 0)]
    if len(positions) < CUT_OUT_BELOW_ROWS:
        cut_out = [table.slice(position, 1) for position in positions.tolist()]
        return np.arange(len(positions)), [pa.concat_tables(cut_out)]
    batches = table.to_batches()
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    homes = np.searchsorted(starts, positions, side="right") - 1
    pieces = [
        pa.Table.from_batches([_taken(batches[n], positions[homes == n] - starts[n])])
        for n in np.unique(homes)
    ]
    return np.argsort(homes, kind="stable"), pieces


def _taken(batch: pa.RecordBatch, positions: Positions) -> pa.RecordBatch:
    """Nothing is copied where the rows follow one another."""
    first, count = int(positions[0]), len(positions)
    if positions[-1] - first == count - 1 and np.array_equal(
        positions, np.arange(first, first + count)
    ):
        return batch.slice(first, count)
    return batch.take(pa.array(positions))
