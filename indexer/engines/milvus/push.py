"""One push to Milvus, which knows no transactions: each step leaves what services may search, and
what the next push goes on from, wherever it is killed.

A row counts as there once its id is; its columns once its segment is recorded. So rows come first
and their segment's record last. What is to be removed is recorded before it goes, and counts no
more from then on.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from indexer.arrays import Positions
from indexer.engines.columns import EngineColumn, changed, less_whole
from indexer.engines.engine import Held, LakeMark, Rows, State, check_mark, first_version
from indexer.engines.milvus.claim import Claim
from indexer.engines.milvus.connection import Connection
from indexer.engines.milvus.records import Records
from indexer.engines.milvus.rows import (
    MOST_DIM,
    can_hold,
    delete,
    load,
    make_rows,
    read_row_ids,
    write,
)
from indexer.errors import EngineError

_LOOK_S = 0.5  # at whether the index is made


class MilvusPush:
    """A push under way."""

    def __init__(self, connection: Connection, records: Records, claim: Claim) -> None:
        self._connection, self._records, self._claim = connection, records, claim
        self._table = records.table

    def begin(self, mark: LakeMark, columns: Sequence[EngineColumn]) -> Held:
        if mark.dim > MOST_DIM:
            raise EngineError(
                self._connection.url,
                f"Milvus holds vectors of up to {MOST_DIM:,} dimensions, and {mark.name} has {mark.dim:,}",
            )
        with self._writing():
            state = self._records.state()
            if state is not None:
                check_mark(self._connection.url, state, mark)
            is_there = self._connection.call("has_collection", self._table)
            if state is None:
                first = first_version()
                state = State(mark, self._table, tuple(columns), first, first, False, None, None)
                self._make(state, is_there=is_there)
                self._records.write_state(state)
            elif (new := changed(state.columns, columns)[2]) or not is_there:
                self._make_anew(state, columns if new else state.columns, is_there=is_there)
            load(self._connection, self._table)
            # What a push before this one was removing when it was killed.
            delete(self._connection, self._table, self._records.going())
            self._records.remove_going()
            row_ids = read_row_ids(self._connection, self._table)
            begun = self._records.begun()
            return Held(self._known(), row_ids, self._records.segments(), begun)

    def _make(self, state: State, *, is_there: bool) -> None:
        if is_there:
            # Of a push that was killed before it recorded it, or a drop.
            self._connection.call("drop_collection", self._table, timeout=None)
        self._records.remove_segments(self._records.segments())
        make_rows(self._connection, self._table, state.mark.dim, state.columns)

    def _make_anew(self, state: State, columns: Sequence[EngineColumn], *, is_there: bool) -> None:
        """Milvus Lite adds no column to a collection, and no Milvus takes one away: all rows are
        sent again. Services search without it until that is done.
        """
        state = self._records.changed(
            state, is_breaking=True, is_complete=False, columns=tuple(columns)
        )
        self._make(state, is_there=is_there)
        # Twice, so that whoever looked between the two looks again.
        self._records.changed(state, is_breaking=True)

    def put(self, segment: str, rows: Iterable[Rows], columns: Sequence[EngineColumn]) -> None:
        unfit: set[EngineColumn] = set()
        is_begun = False
        for some in rows:
            if not (is_begun or some.is_new.all()):
                with self._writing():
                    self._records.add_begun(segment)
                    self._records.changed(self._known(), is_breaking=True)
                is_begun = True
            for column, cells in zip(columns, some.cells, strict=True):
                if not can_hold(cells):
                    unfit.add(column)
            with self._writing():
                write(self._connection, self._table, some, columns)
        with self._writing():
            state = self._known()
            known = tuple(less_whole(state.columns, unfit))
            if known != state.columns:
                state = self._records.changed(state, is_breaking=True, columns=known)
            self._records.add_segment(segment)
            self._records.changed(state)

    def remove(self, row_ids: Positions, segments: Collection[str]) -> None:
        with self._writing():
            self._records.add_going(row_ids)
            state = self._records.changed(self._known(), is_breaking=True)
            self._records.remove_segments(segments)
            delete(self._connection, self._table, row_ids)
            self._records.remove_going()
            self._records.changed(state, is_breaking=bool(segments))

    def finish(self, snapshot: int) -> list[str]:
        with self._writing():
            self._connection.call("flush", self._table, timeout=None)
        while not self._is_indexed():
            time.sleep(_LOOK_S)
        with self._writing():
            self._records.remove_begun()
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._records.changed(self._known(), is_complete=True, snapshot=snapshot, pushed_at=now)
        return []

    def _is_indexed(self) -> bool:
        said = self._connection.call("describe_index", self._table, "vector")
        if str(said.get("state", "Finished")) == "Failed":
            raise EngineError(self._connection.url, f"it failed to make the index: {said}")
        return str(said.get("state", "Finished")) == "Finished" and not said.get(
            "pending_index_rows", 0
        )

    def _known(self) -> State:
        state = self._records.state()
        if state is None:
            raise EngineError(
                self._connection.url,
                f"what it had of {self._records.lake} was dropped meanwhile; push again",
            )
        return state

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._claim.writing:
            self._claim.check()
            yield
