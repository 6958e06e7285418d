"""One snapshot of a lake, opened for reading: its segments,
which of their rows live, and a background for z scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from indexer.disk.codes import Frame, StoredCodes
from indexer.disk.entries import reason_of
from indexer.disk.groups import open_groups
from indexer.disk.layout import Layout
from indexer.disk.manifest import (
    ALWAYS_DEEP_BELOW_BYTES,
    Manifest,
    Opened,
    without_codes,
    without_groups,
)
from indexer.disk.rows import lake_schema
from indexer.disk.segment import VECTORS, Segment
from indexer.disk.tables import dead_positions
from indexer.errors import LakeDamaged
from indexer.sources.guard import Reach
from indexer.words import count
from service.alike.live import LiveGroups
from service.alike.stored import GroupsFile, Stamp
from service.snapshot.groups.groups import Groups
from service.snapshot.orders import Orders
from service.snapshot.part import CUT_OUT_BELOW_ROWS, Part, in_order
from service.snapshot.scan.scanner import Scanner
from service.snapshot.tagged_rows import add_tags
from service.tags.book import TagBook
from service.tags.tags import Tags

BACKGROUND_ROWS = 10_000


class Snapshot:
    """Immutable: a query that began on a snapshot ends on it, whatever is committed meanwhile."""

    def __init__(
        self,
        layout: Layout,
        opened: Opened,
        known: Iterable[Part] = (),
        known_groups: Groups | None = None,
        tag_book: TagBook | None = None,
    ) -> None:
        """:param known: parts of other snapshots of the lake, and groups of one; what they have
        open is shared.
        :param tag_book: the lake's, as other snapshots of it have it.
        """
        self.layout = layout
        self.tag_book = TagBook(layout.tags) if tag_book is None else tag_book
        self.groups_file = GroupsFile(layout.alike)
        self.manifest: Manifest = opened.manifest
        self.problems = list(opened.problems)
        self.schema = lake_schema(self.manifest.columns)
        self.parts = self._open_parts(
            layout, opened, {part.segment.entry.id: part for part in known}
        )
        self.scanner = Scanner(self.parts)
        self.orders = Orders()
        self.groups = self._open_groups(opened, known_groups)  # None: every search is exact

    def _open_groups(self, opened: Opened, known: Groups | None) -> Groups | None:
        entry = self.manifest.groups
        if entry is None or entry.id in opened.damaged_codes:
            return None
        folder = self.layout.groups_folder(entry.id)
        if known is not None and known.stored.id == entry.id:
            stored = known.stored
        else:
            try:
                stored = open_groups(folder, self.manifest.dim)
            except (OSError, ValueError) as error:
                reason = reason_of(error) if isinstance(error, OSError) else str(error)
                self.problems.append(without_groups(folder, reason))
                return None
        groups = Groups(stored, self.parts, entry.recall)
        return None if groups.is_empty else groups

    def _open_parts(self, layout: Layout, opened: Opened, known: Mapping[str, Part]) -> list[Part]:
        readable = self.manifest.tombstones_beside(opened.out_of_service)
        dead = dead_positions(layout, replace(self.manifest, tombstones=readable))
        parts: list[Part] = []
        shared = [part.codes.frame for part in known.values() if part.codes is not None]
        frames = {frame.key: frame for frame in shared}
        for entry in self.manifest.segments:
            if entry.id in opened.out_of_service:
                continue
            gone = dead.get(entry.id, np.empty(0, np.int64))
            segment = Segment(layout, entry)
            if entry.id in known:
                part = known[entry.id]
                is_same = entry.codes is not None and _codes_id(part) == entry.codes.id
                codes = part.codes if is_same else self._codes(segment, opened, frames)
                parts.append(part.kept(gone, self.schema, codes))
                continue
            try:
                _ = segment.rows
                _check_vectors(segment, self.manifest)
            except LakeDamaged as error:
                self.problems.append(
                    f"{error}; its {count(entry.rows, 'row is', 'rows are')} out of service"
                )
                continue
            codes = self._codes(segment, opened, frames)
            parts.append(Part(segment, gone, self.schema, codes))
        return parts

    def _codes(
        self, segment: Segment, opened: Opened, frames: dict[bytes, Frame]
    ) -> StoredCodes | None:
        """None: it has none, or none that can be used.

        :param frames: known ones; segments share them, so that a query is turned once for all.
        """
        entry = segment.entry.codes
        if entry is None or entry.id in opened.damaged_codes:
            return None
        try:
            codes = segment.open_codes()
        except LakeDamaged as error:
            self.problems.append(without_codes(error.path, error.reason))
            return None
        if codes is not None:
            codes.frame = frames.setdefault(codes.frame.key, codes.frame)
        return codes

    def without(self, damaged: Mapping[str, str]) -> Snapshot:
        """This snapshot with the parts of damaged segments (id -> sentence)
        taken out, damaged codes and groups (likewise) left aside, and the sentences told.
        """
        here = {part.segment.entry.id for part in self.parts}
        here |= {_codes_id(part) for part in self.parts}
        here |= set() if self.groups is None else {self.groups.stored.id}
        sentences = [sentence for segment, sentence in damaged.items() if segment in here]
        if not sentences:
            return self
        rest = copy(self)
        rest.parts = [
            part.kept(part.dead, part.schema, None if _codes_id(part) in damaged else part.codes)
            for part in self.parts
            if part.segment.entry.id not in damaged
        ]
        rest.scanner = Scanner(rest.parts)
        rest.orders = Orders()
        rest.groups = None
        if self.groups is not None and self.groups.stored.id not in damaged:
            rest.groups = self.groups.beside(rest.parts)
        rest.problems = [*self.problems, *sentences]
        for derived in ("_starts", "places", "background", "_alike"):
            rest.__dict__.pop(derived, None)
        return rest

    @property
    def number(self) -> int:
        return self.manifest.snapshot

    @cached_property
    def reach(self) -> Reach:
        """What its rows may name."""
        return Reach.of(self.manifest.sources, self.layout.seeks)

    @property
    def live_rows(self) -> int:
        return sum(part.live_rows for part in self.parts)

    def tags(self, act: int | None = None) -> Tags:
        """What rows are called now: people tag at any time, whatever the snapshot.

        :param act: as they were called once the act of this seq was done.
        :raises LakeDamaged: if the log of tags is damaged; BadCursor: if it has no such act.
        """
        return self.tag_book.tags() if act is None else self.tag_book.tags_at(act)

    def alike(self) -> LiveGroups | None:
        """The groups of near-identical images as they were made last, of the rows that live here;
        None: the lake has none.

        :raises LakeDamaged: if their file is damaged.
        """
        stamp = self.groups_file.stamp()
        known: tuple[Stamp | None, LiveGroups | None] | None = self.__dict__.get("_alike")
        if known is None or known[0] != stamp:
            stored = None if stamp is None else self.groups_file.read()
            known = (stamp, None if stored is None else LiveGroups(stored, self.places[0]))
            self.__dict__["_alike"] = known
        return known[1]

    def warm(self) -> Snapshot:
        """Read now what the first query would wait for; returns itself.

        :raises LakeDamaged: if the rows of a segment cannot be read.
        """
        _ = self.places, self.background, None if self.groups is None else self.groups.warm()
        return self

    @cached_property
    def _starts(self) -> Positions:
        """int64, (parts + 1,): how many rows, dead ones too, come before each part."""
        return np.cumsum([0, *(part.rows for part in self.parts)])

    @cached_property
    def places(self) -> tuple[Positions, NDArray[np.unsignedinteger]]:
        """All live rows, by row_id: their row_ids, and each one's place,
        counted through all parts, dead rows too.

        One number a place, of 4 bytes where that will do: several snapshots of ten million rows may
        be open.
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
        """int64, (n,) each: the numbers of the parts that these places
        are in, and the positions in those.
        """
        wide = places.astype(np.int64)
        numbers = np.searchsorted(self._starts, wide, side="right") - 1
        return numbers, wide - self._starts[numbers]

    def take(self, numbers: Positions, positions: Positions) -> list[dict[str, Any]]:
        """The rows at these places, in their order, every column as Python values, and their tags.

        :param numbers: int64, (n,): of their parts; positions: int64, (n,): in those.
        """
        if len(numbers) < CUT_OUT_BELOW_ROWS and (few := self._few(numbers, positions)) is not None:
            add_tags(few, self.tag_book, self.schema)
            return few
        homes, pieces = self._pieces(numbers, positions, None)
        # One table, one chunk a column: ten rows of six parts took 0.9 ms when each part's were
        # made on their own. Put in order as objects: Arrow's take loads its compute module.
        found = pa.concat_tables(pieces).combine_chunks().to_pylist() if pieces else []
        add_tags(found, self.tag_book, self.schema)
        rows = dict(zip(homes.tolist(), found, strict=True))
        return [rows[at] for at in range(len(numbers))]

    def _few(self, numbers: Positions, positions: Positions) -> list[dict[str, Any]] | None:
        """As `take`, without tags; None: some rows have other types than the lake's."""
        found = []
        for number, position in zip(numbers.tolist(), positions.tolist(), strict=True):
            cells = self.parts[number].cells
            if cells is None:
                return None
            found.append(cells.row(position))
        return found

    def rows(
        self, numbers: Positions, positions: Positions, names: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows at these places, in their order, one chunk a column.

        :param numbers, positions: as `take` has them.
        :param names: the columns wanted; None: all.
        """
        homes, pieces = self._pieces(numbers, positions, names)
        if not pieces:
            wanted = self.schema.names if names is None else names
            return pa.schema([self.schema.field(name) for name in wanted]).empty_table()
        return in_order(homes, pieces)

    def _pieces(
        self, numbers: Positions, positions: Positions, names: Sequence[str] | None
    ) -> tuple[Positions, list[pa.Table]]:
        """int64, (n,): which of the rows asked for each row of the tables is; the rows of each part
        that has some.
        """
        order = np.argsort(numbers, kind="stable")
        homes, tables = [np.empty(0, np.int64)], []
        for number in np.unique(numbers).tolist():
            asked = order[numbers[order] == number]
            at, pieces = self.parts[number].pieces(positions[asked], names)
            homes.append(asked[at])
            tables += pieces
        return np.concatenate(homes), tables

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
        """int64, (n,) each: those of these rows that live,
        in their order, their parts and their positions there.
        """
        ids, places = self.places
        at = np.searchsorted(ids, row_ids)
        known = at < len(ids)
        known[known] = ids[at[known]] == row_ids[known]
        return (row_ids[known], *self.locate(places[at[known]]))

    @cached_property
    def background(self) -> Vectors:
        """float32, (n, dim): the up to 10,000 live rows with the
        smallest hash(row_id), what z scores compare with.
        """
        ids, places = self.places
        if len(ids) > BACKGROUND_ROWS:
            places = places[np.argpartition(hash_row_ids(ids), BACKGROUND_ROWS)[:BACKGROUND_ROWS]]
        numbers, positions = self.locate(places)
        blocks = []
        for number, part in enumerate(self.parts):
            blocks.append(part.vectors.take(np.sort(positions[numbers == number])))
        return np.concatenate(blocks) if blocks else np.empty((0, self.manifest.dim), np.float32)


def _codes_id(part: Part) -> str:
    return "" if part.codes is None else part.codes.id


def _check_vectors(segment: Segment, manifest: Manifest) -> None:
    """Their values only of a lake that is read whole whenever it is opened.

    :raises LakeDamaged: if they have another dimension than the manifest says, or are no numbers.
    """
    path, vectors = str(segment.folder / VECTORS), segment.vectors
    if vectors.dim != manifest.dim:
        raise LakeDamaged(
            path,
            f"its vectors have {vectors.dim:,} dimensions where the manifest says {manifest.dim:,}",
        )
    if manifest.size_bytes < ALWAYS_DEEP_BELOW_BYTES and not vectors.are_finite:
        raise LakeDamaged(path, "some of its vectors hold what is no number")


def hash_row_ids(row_ids: Positions) -> NDArray[np.uint64]:
    """A fixed scramble of row ids, the same on every machine: the finaliser of SplitMix64.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014;
    constants of https://prng.di.unimi.it/splitmix64.c
    """
    x = row_ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
