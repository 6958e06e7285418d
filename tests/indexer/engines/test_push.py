"""A lake's rows into a real Postgres: what is there afterwards, whatever happened meanwhile."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.engines.engine import Engine, LakeMark, Recalled
from indexer.engines.names import column_of, table_of
from indexer.engines.opening import open_engine
from indexer.engines.pgvector import connection
from indexer.engines.pgvector.address import Address
from indexer.engines.pgvector.connection import Connection
from indexer.engines.pgvector.engine import PgVector
from indexer.engines.pgvector.push import PgPush
from indexer.engines.pushing import push_lake
from indexer.errors import EngineAway, EngineError
from indexer.run.writing.compact import compact_lake
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk
from tests.pooler import pooled
from tests.postgres import Server, database_of
from tests.service.lakes import Maker

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.add("a-blue.png", BLUE)
    desk.add("b-green.png", GREEN)
    desk.add("c-red.png", RED, size=(8, 4))
    desk.index()
    return desk


@pytest.fixture
def engine(database: str) -> Any:
    engine = open_engine(database)
    yield engine
    engine.close()


def there(
    postgres: Server, database: str, lake: str = "my", what: str = "vector"
) -> dict[int, str]:
    """row_id -> what the table says, read by a connection that knows nothing of ours."""
    sql = f"SELECT row_id, {what}::text FROM {table_of(lake)} ORDER BY row_id"
    return dict(map(tuple, postgres.run(sql, database_of(database))))


def column(engine: Engine, *path: str, lake: str = "my") -> str:
    state = engine.state(lake)
    assert state is not None
    return next(column_of(each) for each in state.columns if each.path == path)


def test_a_push_brings_each_row_with_its_vector_and_columns(
    desk: Desk, engine: Engine, postgres: Server, database: str
) -> None:
    report = push_lake(desk.lake, engine)

    assert (report.rows, report.new_rows, report.sent_segments, report.removed_rows) == (3, 3, 1, 0)
    assert there(postgres, database) == {1: "[0,0,1]", 2: "[0,1,0]", 3: "[1,0,0]"}
    width = column(engine, "width_px")
    assert there(postgres, database, what=width) == {1: "4", 2: "4", 3: "8"}
    state = engine.state("my")
    assert state is not None and state.is_complete and state.snapshot == desk.manifest.snapshot


def test_a_second_push_sends_nothing_and_changes_nothing(desk: Desk, engine: Engine) -> None:
    push_lake(desk.lake, engine)
    before = engine.state("my")
    report = push_lake(desk.lake, engine)

    assert (report.new_rows, report.sent_segments, report.kept_segments) == (0, 0, 1)
    assert engine.state("my") == before


def test_after_a_sync_what_came_is_sent_and_what_went_is_removed(
    desk: Desk, engine: Engine, postgres: Server, database: str
) -> None:
    push_lake(desk.lake, engine)
    (desk.photos / "b-green.png").unlink()
    desk.add("d-yellow.png", YELLOW)
    desk.sync()
    report = push_lake(desk.lake, engine)

    assert (report.new_rows, report.removed_rows) == (1, 1)
    yellow = "[0.70703125,0.70703125,0]"  # 1/sqrt(2) in half precision
    assert there(postgres, database) == {1: "[0,0,1]", 3: "[1,0,0]", 4: yellow}


def test_a_row_that_moved_keeps_its_vector_and_gets_its_new_address(
    desk: Desk, engine: Engine, postgres: Server, database: str
) -> None:
    push_lake(desk.lake, engine)
    where = "SELECT row_id, ctid::text FROM " + table_of("my")
    before = dict(map(tuple, postgres.run(where, database_of(database))))
    (desk.photos / "a-blue.png").rename(desk.photos / "z-blue.png")
    assert desk.sync().moved == 1
    report = push_lake(desk.lake, engine)

    assert (report.new_rows, report.removed_rows) == (0, 0)
    addresses = there(postgres, database, what=column(engine, "uri"))
    assert addresses[1] == f"{desk.photos}/z-blue.png"
    # The others were not written anew: that would put their vectors into the index once more.
    after = dict(map(tuple, postgres.run(where, database_of(database))))
    assert [after[row] == before[row] for row in (1, 2, 3)] == [False, True, True]


def test_a_push_that_is_killed_goes_on_where_it_was(
    tmp_path: Path,
    engine: Engine,
    postgres: Server,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(tmp_path)
    for number in range(6):
        desk.add(f"{number}.png", (40 * number + 10, 255 - 40 * number, 128))
        if number == 2:
            desk.index()
    desk.sync()
    first, _ = [entry.id for entry in desk.manifest.segments]
    put = PgPush.put

    def killed(self: PgPush, segment: str, rows: Any, columns: Any) -> None:
        def cut() -> Any:
            yield from rows
            raise KeyboardInterrupt  # all rows are sent, and nothing is committed

        put(self, segment, rows if segment == first else cut(), columns)

    with monkeypatch.context() as patched:
        patched.setattr(PgPush, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            push_lake(desk.lake, engine)
    assert len(there(postgres, database)) == 3
    state = engine.state("my")
    assert state is not None and not state.is_complete

    report = push_lake(desk.lake, engine)
    assert (report.kept_segments, report.sent_segments, report.new_rows) == (1, 1, 3)
    assert len(there(postgres, database)) == 6


def test_drop_takes_one_lake_away_and_leaves_the_other(
    desk: Desk, tmp_path: Path, engine: Engine, postgres: Server, database: str
) -> None:
    other = Desk(tmp_path / "other")
    other.add("red.png", RED)
    other.index()
    other_lake = other.lake.rename(other.root / "other.lake")
    push_lake(desk.lake, engine)
    push_lake(other_lake, engine)

    assert engine.drop("my") and not engine.drop("my")
    assert engine.state("my") is None
    assert there(postgres, database, "other") == {1: "[1,0,0]"}
    assert postgres.run("SELECT lake FROM lakesift_segments", database_of(database)) == [["other"]]


def test_another_lake_of_the_same_name_is_refused_and_nothing_is_changed(
    desk: Desk, tmp_path: Path, engine: Engine, postgres: Server, database: str
) -> None:
    push_lake(desk.lake, engine)
    other = Desk(tmp_path / "other")
    other.add("red.png", RED)
    other.index()
    with pytest.raises(
        EngineError, match="it has rows of another lake under the name my, and nothing"
    ):
        push_lake(other.lake, engine)
    assert len(there(postgres, database)) == 3


def test_two_pushes_at_once_are_kept_apart(desk: Desk, engine: Engine, database: str) -> None:
    says = "another process pushes my just now; wait for it"
    with PgVector.of(database).pushing("my"), pytest.raises(EngineError, match=says):
        push_lake(desk.lake, engine)
    assert push_lake(desk.lake, engine).new_rows == 3


@pytest.mark.parametrize(
    "name",
    [
        'it\'s "mine"; DROP TABLE lakesift_lakes; --',
        "Größe ☂ 夜",
        "x" * 200,
        "with space:colon %s $1",
    ],
)
def test_a_lake_may_be_called_as_it_likes(
    desk: Desk, engine: Engine, postgres: Server, database: str, name: str
) -> None:
    lake = desk.lake.rename(desk.root / f"{name}.lake")
    assert push_lake(lake, engine).name == name
    assert len(there(postgres, database, name)) == 3
    held = engine.held(name)
    assert held is not None and held.row_ids.tolist() == [1, 2, 3]
    assert engine.drop(name)


def test_a_column_may_be_called_as_it_likes_and_hold_what_it_likes(
    tmp_path: Path, engine: Engine, postgres: Server, database: str
) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.add("blue.png", BLUE)
    odd = "a\"; DROP TABLE x; --' :v0 $1"
    table = tmp_path / "own.parquet"
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table(
            {
                "path": ["red.png", "blue.png"],
                odd: ["'; DROP TABLE lakesift_lakes; --", None],
                "zero": ["a\0b", "plain"],
                "far": pa.array([2**53 + 1, None], pa.int64()),
                "share": [0.1, -0.0],
                "flag": [True, None],
            }
        ),
        table,
    )
    desk.index(columns=table)
    push_lake(desk.lake, engine)

    ids = desk.ids()
    said = {
        path: there(postgres, database, what=column(engine, path))
        for path in (odd, "zero", "far", "share", "flag")
    }
    red, blue = ids["red.png"], ids["blue.png"]
    assert said[odd] == {red: "'; DROP TABLE lakesift_lakes; --", blue: None}
    assert said["zero"] == {red: None, blue: "plain"}
    assert said["far"] == {red: "9007199254740993", blue: None}
    assert said["share"] == {red: "0.1", blue: "-0"}
    assert said["flag"] == {red: "true", blue: None}
    state = engine.state("my")
    assert state is not None
    # A text with a zero byte cannot be held, so nothing may be asked of its column there.
    assert [each.path for each in state.columns if not each.is_whole] == [("zero",)]


def test_a_wrong_password_is_refused_and_never_shown(
    desk: Desk, postgres: Server, database: str
) -> None:
    url = postgres.url(database_of(database), user="outsider:so-wrong-it-hurts")
    with pytest.raises(EngineError, match="password authentication failed") as raised:
        push_lake(desk.lake, open_engine(url))
    assert "so-wrong" not in str(raised.value)
    assert str(raised.value).startswith(f"postgresql://outsider@/{database_of(database)}?host=")
    with pytest.raises(EngineError, match="it asks for a password; write it into the address, or"):
        push_lake(desk.lake, open_engine(postgres.url(database_of(database), user="outsider")))


def test_a_user_who_may_not_make_the_extension_is_told_who_can(
    desk: Desk, postgres: Server, database: str
) -> None:
    url = postgres.url(database_of(database), user="outsider:geheim-7")
    with pytest.raises(EngineError, match="ask its administrator for: CREATE EXTENSION vector"):
        push_lake(desk.lake, open_engine(url))


def test_a_push_finds_nobody_there(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="it cannot be reached"):
        push_lake(desk.lake, open_engine(f"postgresql://x@/y?host={tmp_path}"))


def test_a_server_that_takes_a_connection_and_says_nothing_is_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_WITHIN_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://me:secret@127.0.0.1:{silent.getsockname()[1]}/x?sslmode=disable"
        started = time.monotonic()
        with pytest.raises(EngineAway, match="it cannot be reached") as raised:
            push_lake(desk.lake, open_engine(url))
        assert time.monotonic() - started < 10
        assert "secret" not in str(raised.value)


def test_candidates_are_the_nearest_rows_that_pass(desk: Desk, engine: Engine) -> None:
    from indexer.engines.predicate import Compared

    push_lake(desk.lake, engine)
    state = engine.state("my")
    assert state is not None
    nearly_red = np.array([0.96, 0.28, 0], np.float32)
    found = engine.candidates(state, nearly_red, 2, None)
    assert (found.version, found.row_ids.tolist()) == (state.version, [3, 2])
    narrow = Compared(("width_px",), "<", 8)
    assert engine.candidates(state, nearly_red, 2, narrow).row_ids.tolist() == [2, 1]


def test_a_server_without_pgvector_is_told_to_have_it_installed(
    desk: Desk, engine: Engine, postgres: Server, database: str
) -> None:
    name = database_of(database)
    postgres.run(f"ALTER DATABASE {name} SET extension_control_path = '/nowhere'")
    with pytest.raises(EngineError, match="the server has no pgvector; have pgvector"):
        push_lake(desk.lake, engine)


def test_a_database_of_another_encoding_is_refused(desk: Desk, postgres: Server) -> None:
    postgres.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    engine = open_engine(postgres.url("latin"))
    with pytest.raises(
        EngineError, match="the database holds LATIN1, and a lake's texts are UTF-8"
    ):
        push_lake(desk.lake, engine)
    engine.close()
    postgres.run("DROP DATABASE latin WITH (FORCE)")


def test_segments_that_were_merged_cost_no_vector_and_no_new_place_in_the_index(
    desk: Desk, engine: Engine, postgres: Server, database: str
) -> None:
    desk.add("d-yellow.png", YELLOW)
    desk.sync()
    push_lake(desk.lake, engine)
    places = there(postgres, database, what="ctid")
    compact_lake(desk.lake)
    [merged] = [entry.id for entry in desk.manifest.segments]
    report = push_lake(desk.lake, engine)

    assert (report.sent_segments, report.new_rows, report.removed_rows) == (1, 0, 0)
    assert there(postgres, database, what="ctid") == places
    held = engine.held("my")
    assert held is not None and held.segments == {merged}


def test_a_column_that_comes_later_is_there_after_the_next_push(
    tmp_path: Path, engine: Engine, postgres: Server, database: str
) -> None:
    desk = Desk(tmp_path)
    red = desk.add("red.png", RED)
    desk.index()
    push_lake(desk.lake, engine)
    table = tmp_path / "own.csv"
    table.write_text("path,room\nred.png,ward\n")
    desk.index(columns=table)
    report = push_lake(desk.lake, engine)

    assert (report.new_rows, str(red)) == (0, f"{desk.photos}/red.png")
    assert there(postgres, database, what=column(engine, "room")) == {1: "ward"}


def test_a_process_that_is_killed_in_the_middle_of_a_segment_leaves_nothing_of_it(
    desk: Desk, engine: Engine, postgres: Server, database: str
) -> None:
    from pg8000.native import Connection as Native

    with engine.pushing("my"):
        pass  # makes the tables that all lakes share
    blocker = Native(
        "postgres", unix_sock=f"{postgres.socket}/.s.PGSQL.5432", database=database_of(database)
    )
    with blocker:
        blocker.run("BEGIN")
        # The rows are there by then, and their segment is to be noted.
        blocker.run("LOCK TABLE lakesift_segments IN SHARE MODE")
        command = [sys.executable, "-m", "service.cli", "engine", "push", str(desk.lake), database]
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            f"AND datname = '{database_of(database)}'"
        )
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: postgres.run(waiting) == [[1]])
            finally:
                process.kill()
        # The server notices by itself, though it waits for somebody else.
        until(lambda: postgres.run(waiting) == [[0]])
        blocker.run("ROLLBACK")
    assert there(postgres, database) == {}

    report = push_lake(desk.lake, engine)
    assert (report.new_rows, report.sent_segments) == (3, 1)
    assert sorted(there(postgres, database)) == [1, 2, 3]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def refusal(desk: Desk, url: str) -> str:
    engine = open_engine(url)
    try:
        with pytest.raises(EngineError) as raised:
            push_lake(desk.lake, engine)
    finally:
        engine.close()
    return str(raised.value).removeprefix(f"{engine.url}: ")


def test_what_a_server_refuses_is_told_with_the_way_out(
    desk: Desk, postgres: Server, database: str
) -> None:
    name = database_of(database)
    assert refusal(desk, postgres.url("nowhere")) == (
        'it refuses: database "nowhere" does not exist (3D000); make it with: createdb NAME'
    )
    postgres.run("CREATE EXTENSION vector", name)
    assert refusal(desk, postgres.url(name, "outsider:geheim-7")) == (
        "it refuses: permission denied for schema public (42501); its owner gives rights: who searches needs GRANT "
        "SELECT ON ALL TABLES IN SCHEMA public, who pushes CREATE on the schema, and to own the tables that are there"
    )
    postgres.run(f"CREATE TABLE {table_of('my')} (id int)", name)
    assert refusal(desk, database) == (
        f"it has a table {table_of('my')} that no push of my is recorded of, as where only some tables were restored; "
        f"take it away there, with DROP TABLE {table_of('my')}, then push again"
    )
    postgres.run("DROP TABLE lakesift_lakes; CREATE TABLE lakesift_lakes (id int)", name)
    assert refusal(desk, database) == (
        "it has a table lakesift_lakes that is none of lakesift's; name another database, or a schema by "
        "?options=-csearch_path%3DNAME"
    )
    postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert refusal(desk, database) == (
        "it refuses: cannot execute CREATE TABLE in a read-only transaction (25006); it takes no writes, as a replica "
        "does: push to the primary server"
    )


def test_a_schema_that_is_named_in_the_address_holds_all_tables(
    desk: Desk, postgres: Server, database: str
) -> None:
    """As the sentence about a foreign table says."""
    name = database_of(database)
    postgres.run("CREATE TABLE lakesift_lakes (id int); CREATE SCHEMA other", name)
    engine = open_engine(f"{database}&options=-csearch_path%3Dother,public")
    push_lake(desk.lake, engine)
    engine.close()
    found = postgres.run("SELECT tablename FROM pg_tables WHERE schemaname = 'other'", name)
    assert sorted(row[0] for row in found) == [
        "lakesift_lakes", table_of("my"), "lakesift_recall", "lakesift_segments",
    ]  # fmt: skip


def test_a_table_of_many_long_texts_fits_into_a_page(
    desk: Desk, engine: Engine, tmp_path: Path
) -> None:
    """Of more columns a row would have more than Postgres's 8,160 bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # That no compression makes short.
    texts = {f"text_{at:03}": [secrets.token_hex(100)] * 2 for at in range(400)}
    table = tmp_path / "columns.parquet"
    pq.write_table(pa.table({"path": ["c-red.png", "a-blue.png"], **texts}), table)
    desk.index(columns=table)
    report = push_lake(desk.lake, engine)
    assert (report.rows, report.columns) == (3, 300)
    assert report.notes[0].startswith("it holds 300 columns of a lake; a where on text_")


def test_columns_that_are_pushed_no_more_are_not_asked(desk: Desk, engine: Engine) -> None:
    """As those above the most that an earlier version sent."""
    push_lake(desk.lake, engine)
    state = engine.state("my")
    assert state is not None and all(each.is_whole for each in state.columns)
    with engine.pushing("my") as push:
        held = push.begin(state.mark, [each for each in state.columns if each.path != ("uri",)])
    assert [each.path for each in held.state.columns if not each.is_whole] == [("uri",)]
    assert held.state.version == state.version + 1
    assert len(held.segments) == 1


def test_a_lake_that_goes_on_from_an_older_copy_of_itself_is_refused(
    tmp_path: Path, engine: Engine
) -> None:
    """Its rows 151 and 152 are others than those that were pushed; all before are the same."""
    for folder, last in (("before", [(1, 1, 0)] * 50), ("restored", [(1, 0, 1)] * 2)):
        maker = Maker(tmp_path / folder / "my.lake")
        for vector in [*((200 - number, number, 0) for number in range(150)), *last]:
            maker.add(vector)
        maker.open().close()
    push_lake(tmp_path / "before" / "my.lake", engine)
    with pytest.raises(EngineError, match="one that goes on from an older copy of itself"):
        push_lake(tmp_path / "restored" / "my.lake", engine)
    held = engine.held("my")
    assert held is not None and len(held.row_ids) == 200


@pytest.fixture
def pooled_engine(postgres: Server, database: str) -> Any:
    with pooled(postgres.socket, database_of(database)) as url:
        engine = PgVector(Address.parse(url), patience_s=7.0)
        yield engine
        engine.close()


def test_behind_a_pooler_all_is_as_without_one(
    desk: Desk, pooled_engine: PgVector, postgres: Server, database: str
) -> None:
    engine = pooled_engine
    assert push_lake(desk.lake, engine).new_rows == 3
    assert push_lake(desk.lake, engine).new_rows == 0
    (desk.photos / "b-green.png").unlink()
    desk.add("d-yellow.png", YELLOW)
    desk.sync()
    report = push_lake(desk.lake, engine)
    assert (report.new_rows, report.removed_rows) == (1, 1)
    assert sorted(there(postgres, database)) == [1, 3, 4]
    state, held = engine.state("my"), engine.held("my")
    assert state is not None and held is not None and held.row_ids.tolist() == [1, 3, 4]
    with ThreadPoolExecutor(6) as threads:
        found = list(
            threads.map(
                lambda count: engine.candidates(
                    state, np.array([1, 0, 0], np.float32), count, None
                ).row_ids.tolist(),
                [1, 2, 3] * 20,
            )
        )
    assert found == [[3], [3, 4], [3, 4, 1]] * 20
    engine.add_recalled("my", [Recalled("text", 10, 9, 10, 1)])
    assert [each.found for each in engine.recalled("my")] == [9]
    assert engine.drop("my") and engine.state("my") is None


def test_behind_a_pooler_nothing_of_ours_stays_with_the_connections_of_others(
    desk: Desk, pooled_engine: PgVector, postgres: Server, database: str
) -> None:
    engine = pooled_engine
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    with engine.pushing("my"):
        assert postgres.run(locks) == [[1]]
        with (
            pytest.raises(EngineError, match="another process pushes my just now"),
            engine.pushing("my"),
        ):
            pass
        with pytest.raises(EngineError, match="another process pushes my just now"):
            push_lake(desk.lake, open_engine(database))
    assert postgres.run(locks) == [[0]]
    push_lake(desk.lake, engine)
    state = engine.state("my")
    assert state is not None
    engine.candidates(state, np.array([1, 0, 0], np.float32), 100, None)
    said = []
    with closing(Connection(Address.parse(engine.url + "?sslmode=disable"))) as other:
        for _ in range(8):
            for name in ("statement_timeout", "client_connection_check_interval"):
                said += other.run(f"SELECT current_setting('{name}')")
            said += other.run("SELECT current_setting('hnsw.ef_search', true)")
    assert {value for (value,) in said} <= {"0", "40", "", None}


def test_a_push_that_lost_its_lock_goes_no_further(
    desk: Desk, engine: Engine, postgres: Server, database: str
) -> None:
    with pytest.raises(EngineAway), engine.pushing("my") as push:
        ended = postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        )
        assert ended == [[True]]
        push.begin(LakeMark("my", "{}", 3), [])
    assert engine.state("my") is None
    assert push_lake(desk.lake, engine).new_rows == 3
