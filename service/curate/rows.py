"""Some rows of a snapshot, by number: where they are, their vectors and values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from indexer.errors import BadRequest
from service.search.browse import passing
from service.search.ranking import Found, vectors_of
from service.snapshot.snapshot import Snapshot
from service.tags.names import beside

READ_ROWS = 16_384  # vectors at once
COMPARED_ROWS = 4_096  # of one matrix product; bounds the memory


@dataclass(frozen=True, slots=True)
class Rows:
    """Numbered from 0, by rising row_id."""

    snapshot: Snapshot
    row_ids: Positions  # int64, (n,), rising
    parts: Positions  # int64, (n,)
    positions: Positions  # int64, (n,): in their parts
    # float64, (n,), 0 to 1: how much each counts; None: all count the same
    weights: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, row_ids: Positions) -> Rows:
        return cls(snapshot, *snapshot.places_of(row_ids))

    def __len__(self) -> int:
        return len(self.row_ids)

    def at(self, some: Positions) -> Rows:
        weights = None if self.weights is None else self.weights[some]
        return Rows(
            self.snapshot, self.row_ids[some], self.parts[some], self.positions[some], weights
        )

    def drawn(self, count: int, random: np.random.Generator) -> Positions:
        """int64, (m,), rising: numbers drawn at random, count of them, or all, if that is more."""
        if count >= len(self):
            return np.arange(len(self))
        return np.sort(random.choice(len(self), count, replace=False))

    def stand_ins(self, count: int, random: np.random.Generator) -> Rows:
        """At most count of them, which stand for all: those drawn in proportion to their weights
        count the same, since they came so often; all of few keep their weights. Rows of weight 0
        stand for nothing.
        """
        if self.weights is None:
            return self.at(self.drawn(count, random))
        some = np.flatnonzero(self.weights)
        if len(some) <= count:
            return self.at(some)
        # Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information
        # Processing Letters 97 (2006), in logarithms: the largest of u ** (1 / weight).
        keys = random.exponential(size=len(some)) / self.weights[some]
        return replace(self.at(np.sort(some[np.argpartition(keys, count)[:count]])), weights=None)

    def vectors(self) -> Vectors:
        """float32, (n, dim), unit rows."""
        nothing = np.zeros(len(self), np.float32)
        return vectors_of(self.snapshot, Found(nothing, self.parts, self.positions, self.row_ids))

    def nearest_to(self, vectors: Vectors) -> NDArray[np.float32]:
        """float32, (m,): of each of these vectors the largest cosine with one of the rows, -1 where
        there are none.
        """
        found = np.full(len(vectors), -1, np.float32)
        for start in range(0, len(self), READ_ROWS):
            here = np.arange(start, min(start + READ_ROWS, len(self)))
            np.maximum(found, nearest(vectors, self.at(here).vectors()), out=found)
        return found

    def passing(self, where: str) -> NDArray[np.bool_]:
        """bool, (n,)

        :raises WhereError: if where is not understood.
        """
        return np.isin(self.row_ids, passing(self.snapshot, where).row_ids)

    def values(self, column: str, option: str = "at_most") -> Positions:
        """int64, (n,): each row's value as a number from 0, -1 where it has none.

        :param option: that names the column; errors name it.
        :raises BadRequest: if there is no such column, or its values are lists or bytes.
        """
        group = beside("group", self.snapshot.schema.names)
        if column == group:
            return self._groups(option)
        kinds = {field.name: field.type for field in self.snapshot.schema}
        if column not in kinds:
            raise BadRequest(
                option,
                f"there is no column {column}; there are {group}, {', '.join(sorted(kinds))}",
            )
        kind = kinds[column]
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise BadRequest(option, f"{column} holds {kind}, and no values that images share")
        read = self.snapshot.rows(self.parts, self.positions, [column])[column]
        numbers = pc.dictionary_encode(read.combine_chunks()).indices
        return np.asarray(pc.fill_null(numbers, -1)).astype(np.int64)

    def _groups(self, option: str) -> Positions:
        groups = self.snapshot.alike()
        if groups is None:
            raise BadRequest(
                option,
                f"this lake has no groups of near-identical images yet; `lakesift curate groups "
                f"{self.snapshot.layout.root}` makes them",
            )
        (middles, is_null), _, _ = groups.columns(self.row_ids)
        numbers = np.unique(middles, return_inverse=True)[1].astype(np.int64)
        return np.where(is_null, -1, numbers)


def nearest(vectors: Vectors, to: Vectors) -> NDArray[np.float32]:
    """float32, (n,): of each vector the largest cosine with one of `to`, -1 where that is empty."""
    found = np.full(len(vectors), -1, np.float32)
    for start in range(0, len(to), COMPARED_ROWS):
        others = to[start : start + COMPARED_ROWS].T
        for first in range(0, len(vectors), COMPARED_ROWS):
            here = slice(first, first + COMPARED_ROWS)
            np.maximum(found[here], (vectors[here] @ others).max(axis=1), out=found[here])
    return found
