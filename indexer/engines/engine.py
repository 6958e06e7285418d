"""What an engine is to us: a place to push a lake's rows to, and to ask for candidates.

Every number an engine gives back is a row_id; what it says of scores is never used.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from indexer.engines.columns import Cells, EngineColumn
from indexer.engines.predicate import Predicate
from indexer.errors import EngineError

NEAREST = (10, 100)  # of how many of the nearest rows recall is told
_LOOKED_AT = 32  # rows that tell one lake from another


@dataclass(frozen=True, slots=True)
class LakeMark:
    """What a lake is known by to an engine."""

    name: str
    fingerprint: str  # of its model
    dim: int


@dataclass(frozen=True, slots=True)
class State:
    """What an engine has of a lake."""

    mark: LakeMark
    table: str  # as the engine calls it
    columns: tuple[EngineColumn, ...]
    # Another after every change that makes what was known of it before wrong: rows that went,
    # columns that became others. Rows that came are no such change.
    version: int
    changes: int  # another after every change
    is_complete: bool  # False: no push has come to its end yet, or its index is gone
    snapshot: int | None  # that the last whole push brought
    pushed_at: str | None  # when that was, in ISO 8601


@dataclass(frozen=True, slots=True)
class Held:
    """What an engine has of a lake, and which rows."""

    state: State
    row_ids: Positions  # int64, (n,), rising
    segments: frozenset[str]  # whose rows and columns are all there
    # Whose columns are being written, so that rows which moved there may have theirs already.
    begun: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidates:
    version: int  # of the state that was asked; -1: there is none any more
    row_ids: Positions  # int64, (n,), in whatever order


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a segment, on their way."""

    row_ids: Positions  # int64, (n,)
    is_new: NDArray[np.bool_]  # (n,): False: the engine has the vector already
    vectors: NDArray[np.float16]  # (number of new rows, dim)
    cells: Sequence[Cells]  # a column each


@dataclass(frozen=True, slots=True)
class Recalled:
    """What candidates held of the nearest rows, of queries that people asked."""

    made_of: str  # "text", "image" or "mixed"
    nearest: int  # one of NEAREST
    found: int = 0
    wanted: int = 0
    queries: int = 0

    @property
    def share(self) -> float:
        return self.found / self.wanted if self.wanted else 1.0


class Push(Protocol):
    """A push under way: nobody else pushes to this lake meanwhile.

    Each call is one transaction: whenever a push is killed, what was done is whole, and the next
    one goes on.
    """

    def begin(self, mark: LakeMark, columns: Sequence[EngineColumn]) -> Held:
        """Make the lake's place ready; returns what is there.

        Columns that it had not make it forget which segments it has: their rows are sent again,
        without the vectors.

        :raises EngineError: if what is there is of another model, or another version's.
        """

    def put(self, segment: str, rows: Iterable[Rows], columns: Sequence[EngineColumn]) -> None:
        """Bring a segment's rows: new ones are added, those that are there get these columns."""

    def remove(self, row_ids: Positions, segments: Collection[str]) -> None:
        """Take rows and segments away that the lake has no more."""

    def finish(self, snapshot: int) -> list[str]:
        """Make the index, where there is none, and note which snapshot was brought.

        :returns: what the engine had to say meanwhile, a sentence each.
        """


class Engine(Protocol):
    """:raises EngineError: from every method, if the engine refuses or cannot be reached."""

    kind: str  # as "pgvector"
    url: str  # without its password
    most_columns: int  # that it holds of a lake

    def pushing(self, lake: str) -> AbstractContextManager[Push]:
        """:raises EngineError: if another process pushes this lake now."""

    def state(self, lake: str) -> State | None:
        """None: it has nothing of a lake of this name."""

    def held(self, lake: str) -> Held | None: ...

    def vectors(self, lake: str, row_ids: Positions) -> dict[int, NDArray[np.float16]]:
        """Of those of these rows that it has, the vectors as it has them."""

    def candidates(
        self, state: State, vector: NDArray[np.float32], count: int, where: Predicate | None
    ) -> Candidates:
        """Rows that are near to a vector.

        :param state: of the lake, as it was last seen.
        :param vector: float32, (dim,), unit length.
        :param count: rows wanted; fewer may come, as where few pass.
        :param where: only rows for which this holds; it asks of the state's columns alone.
        """

    def drop(self, lake: str) -> bool:
        """Remove all there is of a lake; False: there was nothing."""

    def recalled(self, lake: str) -> list[Recalled]:
        """What was measured on searches of this lake, all services together."""

    def add_recalled(self, lake: str, measured: Sequence[Recalled]) -> None: ...

    def check(self) -> None:
        """Whether it answers now."""

    def close(self) -> None: ...


def first_version() -> int:
    """Of the state of a lake that an engine had nothing of: hardly one that a lake of this name,
    which was dropped, ever had.
    """
    return secrets.randbelow(2**40) + 1


def check_mark(url: str, state: State, mark: LakeMark) -> None:
    """That what an engine has of a lake is of its model.

    :raises EngineError: if it is another's.
    """
    if (state.mark.fingerprint, state.mark.dim) != (mark.fingerprint, mark.dim):
        raise EngineError(
            url,
            f"it has vectors of another model under the name {mark.name}; take them away first: "
            "lakesift engine drop LAKE ENGINE",
        )


def same_vectors(
    there: Mapping[int, NDArray[np.float16]], row_ids: Positions, here: Vectors
) -> bool:
    """Whether an engine's vectors are these, bit for bit, where it has the row; True of none.

    :param here: float32, (n, dim): of the rows, from half precision.
    """
    for row_id, vector in zip(row_ids.tolist(), here.astype(np.float16), strict=True):
        if row_id in there and not np.array_equal(there[row_id], vector):
            return False
    return True


def telling_rows(both: Positions) -> Positions:
    """Of rows that a lake and an engine have, those few whose vectors tell whether they are of one
    lake: the last ones, and some of all.

    A lake that goes on from an older copy of itself gives the row_ids after that copy's to other
    images, so that the last one of both is another's, if any is.

    :param both: int64, (n,), rising.
    """
    last = both[-(_LOOKED_AT // 2) :]
    rest = both[: len(both) - len(last)]
    return np.concatenate([rest[:: max(1, len(rest) * 2 // _LOOKED_AT)][: _LOOKED_AT // 2], last])
