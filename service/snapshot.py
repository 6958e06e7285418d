"""One snapshot of a lake, opened for reading: its segments, which of their rows live, and a background for z scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer import ann
from indexer.embed import Vectors
from indexer.errors import LakeDamaged
from indexer.layout import Layout
from indexer.manifest import Manifest, Opened
from indexer.segment import Segment, lake_schema
from indexer.tables import dead_positions
from service.rowcache import open_rows
from service.scan import Scanner

if TYPE_CHECKING:
    from service.where import Where

BACKGROUND_ROWS = 10_000
CUT_OUT_BELOW_ROWS = 50
Positions = NDArray[np.int64]


class Part:
    """A segment of a snapshot, and which of its rows live."""

    def __init__(self, segment: Segment, dead: Positions, schema: pa.Schema) -> None:
        self.segment = segment
        self.dead = dead
        self.schema = schema
        self.rows = segment.entry.rows
        self.alive: ann.RowMask | None = None  # None: every row lives
        if len(dead):
            self.alive = np.ones(self.rows, bool)
            self.alive[dead] = False

    def kept(self, dead: Positions, schema: pa.Schema) -> Part:
        """This part in another snapshot: itself where nothing changed, else one that shares what was read already."""
        if np.array_equal(dead, self.dead) and schema.equals(self.schema):
            return self
        part = Part(self.segment, dead, schema)
        for read in ("table", "row_ids", "phashes"):
            if read in self.__dict__:
                part.__dict__[read] = self.__dict__[read]
        return part

    @property
    def live_rows(self) -> int:
        return self.rows - len(self.dead)

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

    def mask(self, where: Where | None) -> ann.RowMask | None:
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
            self.table.select([n for n in names if n in self.table.column_names]), self.schema, names
        )

    def at(self, positions: Positions) -> pa.Table:
        """These rows, in their order, every column of the lake."""
        return self.segment.conform(_rows_at(self.table, positions), self.schema)

    def take(self, positions: Positions) -> list[dict[str, Any]]:
        """These rows, every column, as Python values."""
        return list(self.at(positions).to_pylist())


def _rows_at(table: pa.Table, positions: Positions) -> pa.Table:
    """The rows at these positions, in their order.

    A few are cut out: Arrow's compute module and, where it is installed, pandas are loaded by its take. More are taken
    a batch at a time: take of a whole table looks at every chunk, 36 ms for ten rows of a million.
    """
    if len(positions) < CUT_OUT_BELOW_ROWS:
        return pa.concat_tables([table.slice(position, 1) for position in positions.tolist()])
    batches = table.to_batches()
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    homes = np.searchsorted(starts, positions, side="right") - 1
    pieces = [batches[n].take(pa.array(positions[homes == n] - starts[n])) for n in np.unique(homes)]
    by_home = np.argsort(homes, kind="stable")
    rows = pa.Table.from_batches(pieces, table.schema).combine_chunks()
    return rows.take(pa.array(np.argsort(by_home)))


class Snapshot:
    """Immutable: a query that began on a snapshot ends on it, whatever is committed meanwhile."""

    def __init__(self, layout: Layout, opened: Opened, known: Iterable[Part] = ()) -> None:
        """:param known: parts of other snapshots of the lake; what they have open is shared."""
        self.manifest: Manifest = opened.manifest
        self.problems = list(opened.problems)
        self.schema = lake_schema(self.manifest.columns)
        self.parts = self._open_parts(layout, opened, {part.segment.entry.id: part for part in known})
        self.scanner = Scanner(self.parts)

    def _open_parts(self, layout: Layout, opened: Opened, known: Mapping[str, Part]) -> list[Part]:
        readable = self.manifest.tombstones_beside(opened.out_of_service)
        dead = dead_positions(layout, replace(self.manifest, tombstones=readable))
        parts = []
        for entry in self.manifest.segments:
            if entry.id in opened.out_of_service:
                continue
            gone = dead.get(entry.id, np.empty(0, np.int64))
            if entry.id in known:
                parts.append(known[entry.id].kept(gone, self.schema))
                continue
            segment = Segment(layout, entry)
            try:
                _ = segment.index, segment.rows
            except LakeDamaged as error:
                self.problems.append(f"{error}; its {entry.rows:,} rows are out of service")
                continue
            parts.append(Part(segment, gone, self.schema))
        return parts

    def without(self, damaged: Mapping[str, str]) -> Snapshot:
        """This snapshot with the parts of damaged segments (id -> sentence) taken out, and the sentences told."""
        here = {part.segment.entry.id for part in self.parts}
        sentences = [sentence for segment, sentence in damaged.items() if segment in here]
        if not sentences:
            return self
        rest = copy(self)
        rest.parts = [part for part in self.parts if part.segment.entry.id not in damaged]
        rest.scanner = Scanner(rest.parts)
        rest.problems = [*self.problems, *sentences]
        for derived in ("_starts", "places", "background"):
            rest.__dict__.pop(derived, None)
        return rest

    @property
    def number(self) -> int:
        return self.manifest.snapshot

    @property
    def live_rows(self) -> int:
        return sum(part.live_rows for part in self.parts)

    def warm(self) -> Snapshot:
        """Read now what the first query would wait for; returns itself.

        :raises LakeDamaged: if the rows of a segment cannot be read.
        """
        _ = self.places, self.background
        return self

    @cached_property
    def _starts(self) -> Positions:
        """int64, (parts + 1,): how many rows, dead ones too, come before each part."""
        return np.cumsum([0, *(part.rows for part in self.parts)])

    @cached_property
    def places(self) -> tuple[Positions, NDArray[np.unsignedinteger]]:
        """All live rows, by row_id: their row_ids, and each one's place, counted through all parts, dead rows too.

        One number a place, of 4 bytes where that will do: several snapshots of ten million rows may be open.
        """
        small = np.min_scalar_type(int(self._starts[-1]))
        ids, places = [np.empty(0, np.int64)], [np.empty(0, small)]
        for start, part in zip(self._starts.tolist(), self.parts, strict=False):
            here = np.arange(part.rows) if part.alive is None else np.flatnonzero(part.alive)
            ids.append(part.row_ids[here])
            places.append((start + here).astype(small))
        all_ids = np.concatenate(ids)
        order = np.argsort(all_ids, kind="stable")
        return all_ids[order], np.concatenate(places)[order]

    def locate(self, places: NDArray[np.unsignedinteger]) -> tuple[Positions, Positions]:
        """int64, (n,) each: the numbers of the parts that these places are in, and the positions in those."""
        wide = places.astype(np.int64)
        numbers = np.searchsorted(self._starts, wide, side="right") - 1
        return numbers, wide - self._starts[numbers]

    def take(self, numbers: Positions, positions: Positions) -> list[dict[str, Any]]:
        """The rows at these places, in their order, every column as Python values.

        :param numbers: int64, (n,): of their parts; positions: int64, (n,): in those.
        """
        homes = np.argsort(numbers, kind="stable")
        pieces = [
            self.parts[n].at(positions[homes[numbers[homes] == n]]) for n in np.unique(numbers).tolist()
        ]
        # One table, one chunk a column: ten rows of six parts took 0.9 ms when each part's were made on their own.
        found = pa.concat_tables(pieces).combine_chunks().to_pylist() if pieces else []
        rows = dict(zip(homes.tolist(), found, strict=True))
        return [rows[at] for at in range(len(numbers))]

    def find(self, row_id: int) -> tuple[Part, int] | None:
        """Where a live row is, or None."""
        if not 0 < row_id < 2**53:  # no row has such a number, and NumPy holds none beyond 64 bits
            return None
        ids, places = self.places
        at = int(np.searchsorted(ids, row_id))
        if at == len(ids) or ids[at] != row_id:
            return None
        numbers, positions = self.locate(places[at : at + 1])
        return self.parts[int(numbers[0])], int(positions[0])

    def places_of(self, row_ids: Positions) -> tuple[Positions, Positions, Positions]:
        """int64, (n,) each: those of these rows that live, in their order, their parts and their positions there."""
        ids, places = self.places
        at = np.searchsorted(ids, row_ids)
        known = at < len(ids)
        known[known] = ids[at[known]] == row_ids[known]
        return (row_ids[known], *self.locate(places[at[known]]))

    @cached_property
    def background(self) -> Vectors:
        """float32, (n, dim): the up to 10,000 live rows with the smallest hash(row_id), what z scores compare with."""
        ids, places = self.places
        if len(ids) > BACKGROUND_ROWS:
            places = places[np.argpartition(hash_row_ids(ids), BACKGROUND_ROWS)[:BACKGROUND_ROWS]]
        numbers, positions = self.locate(places)
        blocks = []
        for number, part in enumerate(self.parts):
            blocks.append(ann.vectors_at(part.segment.index, np.sort(positions[numbers == number])))
        return np.concatenate(blocks) if blocks else np.empty((0, self.manifest.dim), np.float32)


def hash_row_ids(row_ids: Positions) -> NDArray[np.uint64]:
    """A fixed scramble of row ids, the same on every machine: the finaliser of SplitMix64.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; constants of
    https://prng.di.unimi.it/splitmix64.c
    """
    x = row_ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
