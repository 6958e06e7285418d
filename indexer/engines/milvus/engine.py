"""Milvus as an engine: the questions, each of which says what it saw."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.engines.engine import Candidates, Held, Recalled, State
from indexer.engines.milvus import records, rows
from indexer.engines.milvus.address import Address
from indexer.engines.milvus.claim import claimed
from indexer.engines.milvus.connection import Connection
from indexer.engines.milvus.expressions import expression
from indexer.engines.milvus.push import MilvusPush
from indexer.engines.milvus.records import Records
from indexer.engines.predicate import Predicate
from indexer.errors import EngineAway

PATIENCE_S = 5.0  # of a search
_TRIES = 5  # while rows are pushed
_LEAST_EF = 64


class Milvus:
    """May be asked by several threads at once."""

    kind = "milvus"
    most_columns = rows.MOST_COLUMNS

    def __init__(self, address: Address, patience_s: float = PATIENCE_S) -> None:
        """:param patience_s: for an answer to a search."""
        self._address = address
        self.url = address.url
        self._connection = Connection(address, patience_s=patience_s)
        self._measuring = threading.Lock()

    @classmethod
    def of(cls, url: str) -> Milvus:
        """:raises BadRequest: if it cannot be read."""
        return cls(Address.parse(url))

    @contextmanager
    def pushing(self, lake: str) -> Iterator[MilvusPush]:
        connection = Connection(self._address)
        try:
            records.make(connection, records.LAKES)
            of_lake = Records(connection, lake)
            with claimed(of_lake, is_alone=self._address.folder is not None) as claim:
                yield MilvusPush(connection, of_lake, claim)
        finally:
            connection.close()

    def state(self, lake: str) -> State | None:
        if not records.has(self._connection, records.LAKES):
            return None
        of_lake = Records(self._connection, lake)
        return of_lake.state(is_whole=self._is_searchable(of_lake.table))

    def held(self, lake: str) -> Held | None:
        state = self.state(lake)
        for _ in range(_TRIES):
            if state is None:
                return None
            of_lake = Records(self._connection, lake)
            going, begun, segments = of_lake.going(), of_lake.begun(), of_lake.segments()
            there = np.empty(0, np.int64)
            if self._is_searchable(state.table):
                there = rows.read_row_ids(self._connection, state.table)
            held = Held(state, np.setdiff1d(there, going), segments, begun)
            # Milvus shows no two collections as of one moment: what was read between two equal
            # states is of neither before nor after.
            state = self.state(lake)
            if state is not None and state.version == held.state.version:
                return held
        raise EngineAway(self.url, "it is pushed to faster than it can be read")

    def vectors(self, lake: str, row_ids: Positions) -> dict[int, NDArray[np.float16]]:
        state = self.state(lake)
        if state is None or not self._is_searchable(state.table):
            return {}
        return rows.read_vectors(self._connection, state.table, row_ids)

    def candidates(
        self, state: State, vector: NDArray[np.float32], count: int, where: Predicate | None
    ) -> Candidates:
        said = None if where is None else expression(where, state.columns)
        found = self._connection.read(
            "search",
            state.table,
            data=[vector.tolist()],
            anns_field="vector",
            filter=said or "",
            limit=count,
            output_fields=["row_id"],
            search_params={"metric_type": "IP", "params": {"ef": max(count, _LEAST_EF)}},
        )
        # Afterwards: a state that changes before anything goes shows whether it was still the one.
        now = Records(self._connection, state.mark.name).state()
        row_ids = np.fromiter((hit["row_id"] for hit in found[0]), np.int64)
        return Candidates(-1 if now is None else now.version, row_ids)

    def drop(self, lake: str) -> bool:
        connection = Connection(self._address)
        try:
            if not records.has(connection, records.LAKES):
                return False
            of_lake = Records(connection, lake)
            if of_lake.state() is None:
                return False
            with claimed(of_lake, is_alone=self._address.folder is not None):
                connection.call("drop_collection", of_lake.table, timeout=None)
                of_lake.remove_recalled()
                of_lake.remove_all()
            return True
        finally:
            connection.close()

    def recalled(self, lake: str) -> list[Recalled]:
        return Records(self._connection, lake).recalled()

    def add_recalled(self, lake: str, measured: Sequence[Recalled]) -> None:
        with self._measuring:
            Records(self._connection, lake).add_recalled(measured)

    def check(self) -> None:
        self._connection.call("list_collections")

    def close(self) -> None:
        self._connection.close()

    def _is_searchable(self, table: str) -> bool:
        """Milvus Lite has nothing in memory when it starts; a server has what it had."""
        if self._connection.is_lite and self._connection.call("has_collection", table):
            rows.load(self._connection, table)
        return rows.is_loaded(self._connection, table)
