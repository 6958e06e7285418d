"""The tables that Postgres has for all lakes together, and what they say of one.

lakesift_lakes: a row a lake. lakesift_segments: which segments' rows are all there.
lakesift_recall: what searches found of what there was to find. They lie in the schema that comes
first in the search path, as do the tables of rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from indexer.engines.columns import EngineColumn
from indexer.engines.engine import LakeMark, Recalled, State
from indexer.engines.names import table_of
from indexer.engines.pgvector.connection import MAY_NOT, NOT_OURS, Connection, Refused
from indexer.errors import EngineError

FORMAT = 1
LEAST_PGVECTOR = (0, 8)  # the first with iterative scans
# A number that no other program is likely to lock by.
_MAKING = 7_126_418_930_551
_LOCKED = "hashtextextended('lakesift ' || :lake, 0)"

_MADE = (
    """CREATE TABLE IF NOT EXISTS lakesift_lakes (
    name text PRIMARY KEY, rows_in text NOT NULL, format integer NOT NULL,
    fingerprint text NOT NULL, dim integer NOT NULL, columns text NOT NULL,
    version bigint NOT NULL, changes bigint NOT NULL, is_complete boolean NOT NULL, snapshot bigint,
    pushed_at timestamptz)""",
    """CREATE TABLE IF NOT EXISTS lakesift_segments (
    lake text NOT NULL, id text NOT NULL, PRIMARY KEY (lake, id))""",
    """CREATE TABLE IF NOT EXISTS lakesift_recall (
    lake text NOT NULL, made_of text NOT NULL, nearest integer NOT NULL,
    found bigint NOT NULL, wanted bigint NOT NULL, queries bigint NOT NULL,
    PRIMARY KEY (lake, made_of, nearest))""",
)


def key_of(lake: str) -> str:
    """A lake's name as Postgres can hold it: bytes that are no text are written out."""
    return lake.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def make_tables(connection: Connection) -> None:
    """In a transaction of their own.

    :raises EngineError: if the database has no pgvector that will do, or holds other than UTF-8.
    """
    with connection.transaction():
        # Two who make them at once would meet in Postgres's own tables.
        connection.run("SELECT pg_advisory_xact_lock(:key)", key=_MAKING)
        _check_encoding(connection)
        _make_extension(connection)
        for statement in _MADE:
            connection.run(statement)


def are_made(connection: Connection) -> bool:
    found = connection.run("SELECT to_regclass('lakesift_lakes') IS NOT NULL")
    return bool(found[0][0])


def _check_encoding(connection: Connection) -> None:
    encoding = connection.run("SHOW server_encoding")[0][0]
    if encoding != "UTF8":
        raise EngineError(
            connection.url,
            f"the database holds {encoding}, and a lake's texts are UTF-8; make another one with: "
            "createdb --encoding UTF8 --template template0 NAME",
        )


def _make_extension(connection: Connection) -> None:
    way_out = f"pgvector {LEAST_PGVECTOR[0]}.{LEAST_PGVECTOR[1]} or newer"
    found = _version(connection)
    if found is None:
        offered = connection.run("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        if not offered:
            raise EngineError(
                connection.url, f"the server has no pgvector; have {way_out} installed there"
            )
        try:
            connection.run("CREATE EXTENSION vector")
        except Refused as error:
            if error.code != MAY_NOT:
                raise
            raise EngineError(
                connection.url,
                "the database has no pgvector, and this user may not make it; ask its administrator "
                "for: CREATE EXTENSION vector",
            ) from None
        found = _version(connection)
    numbers = tuple(int(part) for part in (found or "0").split(".")[:2] if part.isdigit())
    if numbers < LEAST_PGVECTOR:
        raise EngineError(
            connection.url,
            f"the database has pgvector {found}; install {way_out} there, then: ALTER EXTENSION vector UPDATE",
        )


def _version(connection: Connection) -> str | None:
    found = connection.run("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    return str(found[0][0]) if found else None


def lock_lake(connection: Connection, lake: str) -> None:
    """While the transaction lasts, nobody else pushes this lake. It may wait as long as it likes,
    whatever the server would have of others.

    :raises EngineError: if another does.
    """
    connection.run(
        "SELECT set_config(name, '0', true) FROM pg_settings "
        "WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
    )
    if not connection.run(f"SELECT pg_try_advisory_xact_lock({_LOCKED})", lake=key_of(lake))[0][0]:
        raise EngineError(
            connection.url, f"another process pushes {lake} just now; wait for it to end"
        )


def read_state(connection: Connection, lake: str) -> State | None:
    """
    :raises EngineError: if it was written by a later version.
    """
    if not are_made(connection):
        return None
    try:
        found = connection.run(
            "SELECT format, fingerprint, dim, columns, version, changes, "
            "is_complete AND to_regclass(rows_in || '_hnsw') IS NOT NULL, snapshot, "
            "to_char(pushed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
            "FROM lakesift_lakes WHERE name = :lake",
            lake=key_of(lake),
        )
    except Refused as error:
        if error.code not in NOT_OURS:
            raise
        raise EngineError(
            connection.url,
            "it has a table lakesift_lakes that is none of lakesift's; name another database, or a schema by "
            "?options=-csearch_path%3DNAME",
        ) from None
    if not found:
        return None
    format_, fingerprint, dim, columns, version, changes, is_complete, snapshot, pushed = found[0]
    if format_ != FORMAT:
        raise EngineError(
            connection.url,
            f"what it has of {lake} is of format {format_}, and this lakesift knows {FORMAT}: update lakesift",
        )
    try:
        known = tuple(EngineColumn.from_json(each) for each in json.loads(columns))
    except (ValueError, KeyError, TypeError):
        raise EngineError(
            connection.url,
            f"its table lakesift_lakes says of {lake}'s columns what cannot be read; drop the lake there and push it "
            "again",
        ) from None
    mark = LakeMark(lake, fingerprint, dim)
    # By our own rule: what a table says never becomes part of a statement.
    return State(mark, table_of(lake), known, version, changes, is_complete, snapshot, pushed)


def columns_text(columns: Sequence[EngineColumn]) -> str:
    return json.dumps([column.to_json() for column in columns])


def read_segments(connection: Connection, lake: str) -> frozenset[str]:
    found = connection.run("SELECT id FROM lakesift_segments WHERE lake = :lake", lake=key_of(lake))
    return frozenset(row[0] for row in found)


def read_recall(connection: Connection, lake: str) -> list[Recalled]:
    if not are_made(connection):
        return []
    found = connection.run(
        "SELECT made_of, nearest, found, wanted, queries FROM lakesift_recall "
        "WHERE lake = :lake ORDER BY made_of, nearest",
        lake=key_of(lake),
    )
    return [Recalled(*row) for row in found]


def add_recall(connection: Connection, lake: str, measured: Sequence[Recalled]) -> None:
    for each in measured:
        connection.run(
            "INSERT INTO lakesift_recall AS known VALUES "
            "(:lake, :made_of, :nearest, :found, :wanted, :queries) "
            "ON CONFLICT (lake, made_of, nearest) DO UPDATE SET found = known.found + excluded.found, "
            "wanted = known.wanted + excluded.wanted, queries = known.queries + excluded.queries",
            lake=key_of(lake),
            made_of=each.made_of,
            nearest=each.nearest,
            found=each.found,
            wanted=each.wanted,
            queries=each.queries,
        )
