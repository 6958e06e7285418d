"""One push to Postgres: a transaction a segment, so that what was done before a kill is whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

from indexer.arrays import Positions
from indexer.engines.columns import EngineColumn, changed, less_whole
from indexer.engines.engine import Held, LakeMark, Rows, State, check_mark, first_version
from indexer.engines.names import column_of, table_of
from indexer.engines.pgvector import tables
from indexer.engines.pgvector.connection import IS_THERE, Connection, Refused
from indexer.engines.pgvector.copying import copied, copied_ids
from indexer.engines.pgvector.reading import read_row_ids
from indexer.engines.pgvector.sql import TYPES
from indexer.errors import EngineError

MOST_DIM = 4_000  # that an HNSW index of half-precision vectors takes


class PgPush:
    """A push under way."""

    def __init__(self, connection: Connection, lake: str, keeper: Connection) -> None:
        """:param keeper: the connection that holds the lake's lock."""
        self._connection, self._lake, self._keeper = connection, lake, keeper
        self._state: State | None = None
        self._unfit: set[EngineColumn] = set()
        self._rewrites = False

    def begin(self, mark: LakeMark, columns: Sequence[EngineColumn]) -> Held:
        if mark.dim > MOST_DIM:
            raise EngineError(
                self._connection.url,
                f"pgvector indexes vectors of up to {MOST_DIM:,} dimensions, and {mark.name} has {mark.dim:,}",
            )
        state = tables.read_state(self._connection, self._lake)
        if state is None:
            self._make(mark, columns)
        else:
            check_mark(self._connection.url, state, mark)
            self._bring_columns(state, columns)
        state = self._known()
        with self._transaction():
            row_ids = read_row_ids(self._connection, state.table)
            return Held(state, row_ids, tables.read_segments(self._connection, self._lake))

    def _make(self, mark: LakeMark, columns: Sequence[EngineColumn]) -> None:
        table = table_of(self._lake)
        listed = "".join(f", {column_of(each)} {TYPES[each.kind]}" for each in columns)
        with self._transaction():
            try:
                self._connection.run(
                    f"CREATE TABLE {table} "
                    f"(row_id bigint PRIMARY KEY, vector halfvec({mark.dim}) NOT NULL{listed})"
                )
            except Refused as error:
                if error.code != IS_THERE:
                    raise
                raise EngineError(
                    self._connection.url,
                    f"it has a table {table} that no push of {self._lake} is recorded of, as where only some tables "
                    f"were restored; take it away there, with DROP TABLE {table}, then push again",
                ) from None
            self._connection.run(
                "INSERT INTO lakesift_lakes VALUES "
                "(:lake, :table, :format, :fingerprint, :dim, :columns, :first, :first, false, NULL, NULL)",
                lake=tables.key_of(self._lake),
                table=table,
                format=tables.FORMAT,
                fingerprint=mark.fingerprint,
                dim=mark.dim,
                columns=tables.columns_text(columns),
                first=first_version(),
            )

    def _bring_columns(self, state: State, columns: Sequence[EngineColumn]) -> None:
        """Columns that came to the lake since, or got another type there."""
        kept, gone, new = changed(state.columns, columns)
        if not new:
            if tuple(kept) != state.columns:
                with self._transaction():
                    self._changed(columns=kept, is_breaking=True)
            return
        with self._transaction():
            for each in gone:
                self._connection.run(
                    f"ALTER TABLE {state.table} DROP COLUMN IF EXISTS {column_of(each)}"
                )
            for each in new:
                self._connection.run(
                    f"ALTER TABLE {state.table} ADD COLUMN {column_of(each)} {TYPES[each.kind]}"
                )
            self._connection.run(
                "DELETE FROM lakesift_segments WHERE lake = :lake", lake=tables.key_of(self._lake)
            )
            self._changed(columns=[*kept, *new], is_breaking=True)

    def put(self, segment: str, rows: Iterable[Rows], columns: Sequence[EngineColumn]) -> None:
        state = self._known()
        names = [column_of(each) for each in columns]
        of_columns = "".join(f", {name}" for name in names)
        typed = "".join(
            f", {name} {TYPES[each.kind]}" for name, each in zip(names, columns, strict=True)
        )
        self._unfit, self._rewrites = set(), False
        with self._transaction():
            self._connection.run(
                "CREATE TEMPORARY TABLE lakesift_incoming "
                f"(row_id bigint, vector halfvec({state.mark.dim}){typed}) ON COMMIT DROP"
            )
            self._connection.copy_in(
                f"COPY lakesift_incoming (row_id, vector{of_columns}) FROM STDIN (FORMAT binary)",
                copied(self._watched(rows, columns)),
            )
            self._connection.run(
                f"INSERT INTO {state.table} (row_id, vector{of_columns}) "
                f"SELECT row_id, vector{of_columns} FROM lakesift_incoming "
                "WHERE vector IS NOT NULL ON CONFLICT (row_id) DO NOTHING"
            )
            if names:
                # Rows that are as they were are not touched: to write one anew puts its vector
                # into the index once more.
                new = ", ".join(f"{name} = incoming.{name}" for name in names)
                there = ", ".join(f"rows.{name}" for name in names)
                here = ", ".join(f"incoming.{name}" for name in names)
                self._connection.run(
                    f"UPDATE {state.table} AS rows SET {new} FROM lakesift_incoming AS incoming "
                    "WHERE rows.row_id = incoming.row_id AND incoming.vector IS NULL "
                    f"AND ROW({there}) IS DISTINCT FROM ROW({here})"
                )
            self._connection.run(
                "INSERT INTO lakesift_segments VALUES (:lake, :id) ON CONFLICT DO NOTHING",
                lake=tables.key_of(self._lake),
                id=segment,
            )
            known = less_whole(state.columns, self._unfit)
            is_less = any(not new.is_whole for new in known if new not in state.columns)
            self._changed(columns=known, is_breaking=self._rewrites or is_less)

    def _watched(self, batches: Iterable[Rows], columns: Sequence[EngineColumn]) -> Iterator[Rows]:
        """Notes whether rows are written anew, and the columns with a text that Postgres cannot
        hold: one with a zero byte.
        """
        for rows in batches:
            self._rewrites |= not rows.is_new.all()
            for column, cells in zip(columns, rows.cells, strict=True):
                if any(text is not None and "\0" in text for text in cells.texts or ()):
                    self._unfit.add(column)
            yield rows

    def remove(self, row_ids: Positions, segments: Collection[str]) -> None:
        state = self._known()
        with self._transaction():
            if len(row_ids):
                self._connection.run(
                    "CREATE TEMPORARY TABLE lakesift_gone (row_id bigint) ON COMMIT DROP"
                )
                self._connection.copy_in(
                    "COPY lakesift_gone FROM STDIN (FORMAT binary)", copied_ids(row_ids)
                )
                self._connection.run(
                    f"DELETE FROM {state.table} AS rows USING lakesift_gone AS gone "
                    "WHERE rows.row_id = gone.row_id"
                )
            for segment in segments:
                self._connection.run(
                    "DELETE FROM lakesift_segments WHERE lake = :lake AND id = :id",
                    lake=tables.key_of(self._lake),
                    id=segment,
                )
            self._changed(is_breaking=True)

    def finish(self, snapshot: int) -> list[str]:
        state = self._known()
        # Most of a first push is this: in one piece it takes a fraction of what row by row would.
        self._connection.notices()
        with self._transaction():
            self._connection.run(
                f"CREATE INDEX IF NOT EXISTS {state.table}_hnsw "
                f"ON {state.table} USING hnsw (vector halfvec_ip_ops)"
            )
        said = [note for note in self._connection.notices() if "already exists" not in note]
        self._connection.run(f"ANALYZE {state.table}")
        with self._transaction():
            self._connection.run(
                "UPDATE lakesift_lakes SET is_complete = true, snapshot = :snapshot, "
                "pushed_at = now() WHERE name = :lake",
                snapshot=snapshot,
                lake=tables.key_of(self._lake),
            )
            self._changed()
        return [f"the database says: {note}" for note in said]

    def _transaction(self) -> AbstractContextManager[None]:
        """:raises EngineError: if the lake's lock is lost: another may push by now."""
        self._keeper.run("SELECT 1")
        # So that a push whose process is gone does not go on building an index for nobody.
        return self._connection.transaction({"client_connection_check_interval": 2_000})

    def _known(self) -> State:
        if self._state is None:
            self._state = tables.read_state(self._connection, self._lake)
        assert self._state is not None, "begin() made it"
        return self._state

    def _changed(
        self, columns: Sequence[EngineColumn] | None = None, *, is_breaking: bool = False
    ) -> None:
        """Within a transaction: services see that something is new."""
        self._state = None
        self._connection.run(
            "UPDATE lakesift_lakes SET changes = changes + 1, version = version + :step "
            "WHERE name = :lake",
            step=int(is_breaking),
            lake=tables.key_of(self._lake),
        )
        if columns is not None:
            self._connection.run(
                "UPDATE lakesift_lakes SET columns = :columns WHERE name = :lake",
                columns=tables.columns_text(columns),
                lake=tables.key_of(self._lake),
            )
