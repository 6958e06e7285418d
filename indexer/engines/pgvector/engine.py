"""Postgres with pgvector as an engine: connections that threads share, and the questions."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.engines.engine import Candidates, Held, Recalled, State
from indexer.engines.pgvector import tables
from indexer.engines.pgvector.address import Address
from indexer.engines.pgvector.connection import Connection, NoRoom
from indexer.engines.pgvector.push import PgPush
from indexer.engines.pgvector.reading import read_row_ids, read_vectors, vector_text
from indexer.engines.pgvector.sql import Condition
from indexer.engines.predicate import Predicate
from indexer.errors import EngineAway

PATIENCE_S = 5.0  # of a search
# All row_ids of ten million rows, say.
LONG_PATIENCE_S = 120.0
# Connections of a process: others have a server's hundred, too. Whoever finds them all busy waits.
MOST_CONNECTIONS = 8
MOST_EF = 1_000  # of hnsw.ef_search, as pgvector has it
# Rows that a scan looks at while few of them pass its condition; 20,000 are pgvector's default.
_SCAN_MOST = 40_000

Done = TypeVar("Done")


class PgVector:
    """May be asked by several threads at once."""

    kind = "pgvector"
    # Postgres holds 1,600 in a table. A row has 8,160 bytes, of which a long text takes 24.
    most_columns = 300

    def __init__(self, address: Address, patience_s: float = PATIENCE_S) -> None:
        """:param patience_s: for an answer to a search."""
        self._address, self._patience_s = address, patience_s
        self.url = address.url
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue()
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)

    @classmethod
    def of(cls, url: str) -> PgVector:
        """:raises BadRequest: if it cannot be read."""
        return cls(Address.parse(url))

    @contextmanager
    def pushing(self, lake: str) -> Iterator[PgPush]:
        with (
            closing(Connection(self._address)) as connection,
            closing(Connection(self._address)) as keeper,
        ):
            tables.make_tables(connection)
            # A lock of the session would stay with a pooler's connection after we are gone; and a
            # push is many transactions. So one that does nothing else holds it.
            with keeper.transaction():
                tables.lock_lake(keeper, lake)
                yield PgPush(connection, lake, keeper)

    def state(self, lake: str) -> State | None:
        return self._asked(lambda connection: tables.read_state(connection, lake))

    def held(self, lake: str) -> Held | None:
        def read(connection: Connection) -> Held | None:
            # One moment for all three.
            # Much is read for long; nobody waits so for another's lock.
            patience = {
                "statement_timeout": round(LONG_PATIENCE_S * 1e3),
                "lock_timeout": round(self._patience_s * 1e3),
            }
            with connection.transaction(patience):
                connection.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                state = tables.read_state(connection, lake)
                if state is None:
                    return None
                row_ids = read_row_ids(connection, state.table)
                return Held(state, row_ids, tables.read_segments(connection, lake))

        return self._asked(read, patience_s=LONG_PATIENCE_S)

    def vectors(self, lake: str, row_ids: Positions) -> dict[int, NDArray[np.float16]]:
        def read(connection: Connection) -> dict[int, NDArray[np.float16]]:
            state = tables.read_state(connection, lake)
            return {} if state is None else read_vectors(connection, state.table, row_ids)

        return self._asked(read)

    def candidates(
        self, state: State, vector: NDArray[np.float32], count: int, where: Predicate | None
    ) -> Candidates:
        condition = None if where is None else Condition(where, list(state.columns))
        passing = "" if condition is None else f"WHERE {condition.sql} "
        # The version beside the rows, of one moment: what was pushed meanwhile shows.
        sql = (
            "SELECT (SELECT version FROM lakesift_lakes WHERE name = :lake), "
            f"ARRAY(SELECT row_id FROM {state.table} {passing}"
            "ORDER BY vector <#> :vector::halfvec LIMIT :count)"
        )
        values = {} if condition is None else condition.values

        def ask(connection: Connection) -> Candidates:
            with connection.transaction(_tuned(min(max(count, 40), MOST_EF))):
                (found,) = connection.run(
                    sql,
                    lake=tables.key_of(state.mark.name),
                    vector=vector_text(vector),
                    count=count,
                    **values,
                )
            version, row_ids = found
            return Candidates(-1 if version is None else version, np.array(row_ids, np.int64))

        return self._asked(ask)

    def drop(self, lake: str) -> bool:
        connection = Connection(self._address)
        try:
            state = tables.read_state(connection, lake)
            if state is None:
                return False
            with connection.transaction():
                tables.lock_lake(connection, lake)
                connection.run(f"DROP TABLE IF EXISTS {state.table}")
                for table, column in (
                    ("lakesift_lakes", "name"),
                    ("lakesift_segments", "lake"),
                    ("lakesift_recall", "lake"),
                ):
                    connection.run(
                        f"DELETE FROM {table} WHERE {column} = :lake", lake=tables.key_of(lake)
                    )
            return True
        finally:
            connection.close()

    def recalled(self, lake: str) -> list[Recalled]:
        return self._asked(lambda connection: tables.read_recall(connection, lake))

    def add_recalled(self, lake: str, measured: Sequence[Recalled]) -> None:
        def add(connection: Connection) -> None:
            with connection.transaction():
                tables.add_recall(connection, lake, measured)

        self._asked(add)

    def check(self) -> None:
        self._asked(lambda connection: connection.run("SELECT 1"))

    def close(self) -> None:
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _asked(self, ask: Callable[[Connection], Done], *, patience_s: float | None = None) -> Done:
        """The answer; a connection that broke while it lay idle is no reason to have none.

        :param patience_s: None: as for a search.
        """
        while True:
            with self._taken() as (connection, was_idle):
                try:
                    if patience_s is not None:
                        connection.wait(patience_s)
                    return ask(connection)
                except EngineAway:
                    if not (was_idle and connection.is_broken):
                        raise

    @contextmanager
    def _taken(self) -> Iterator[tuple[Connection, bool]]:
        """A connection for one alone, and whether it lay idle."""
        if not self._room.acquire(timeout=self._patience_s):
            raise EngineAway(
                self.url, f"its {MOST_CONNECTIONS} connections were busy for {self._patience_s:g} s"
            )
        try:
            connection, was_idle = self._found()
            try:
                yield connection, was_idle
            finally:
                if connection.is_broken:
                    connection.close()
                else:
                    connection.wait(self._patience_s)
                    self._idle.put(connection)
        finally:
            self._room.release()

    def _found(self) -> tuple[Connection, bool]:
        with suppress(queue.Empty):
            return self._idle.get_nowait(), True
        try:
            return Connection(self._address, patience_s=self._patience_s), False
        except NoRoom:
            # Where others of ours are answered, one of these is free before long.
            with suppress(queue.Empty):
                return self._idle.get(timeout=self._patience_s), True
            raise


def _tuned(ef_search: int) -> dict[str, str | int]:
    """How far a search looks.

    Source: https://github.com/pgvector/pgvector#iterative-index-scans
    """
    return {
        "hnsw.ef_search": ef_search,
        "hnsw.iterative_scan": "relaxed_order",
        "hnsw.max_scan_tuples": _SCAN_MOST,
    }
