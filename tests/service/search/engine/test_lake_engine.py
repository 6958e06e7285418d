"""One lake's rows in a real Postgres or a real Milvus, beside snapshots that have others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer.engines.engine import Engine, Held
from indexer.engines.names import table_of
from indexer.engines.opening import open_engine
from indexer.engines.pgvector.address import Address
from indexer.engines.pgvector.engine import PgVector
from indexer.engines.pushing import push_lake
from indexer.errors import EngineAway, EngineError
from service import Lake
from service.search.engine import lake_engine
from service.search.engine.lake_engine import LakeEngine
from service.search.ranking import Ranking
from service.where.where import Where
from tests.fakes import ColourEmbedder
from tests.postgres import PASSWORD, Server, database_of
from tests.service.lakes import Maker, unit

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """Rows 1 to 30 on a quarter of a circle, the nearest to red first."""
    maker = Maker(tmp_path / "my.lake")
    for number in range(30):
        maker.add((30 - number, number, 0), count=number)
    maker.segment()
    return maker


@pytest.fixture
def postgres_engine(database: str) -> Iterator[PgVector]:
    engine = PgVector.of(database)
    yield engine
    engine.close()


@pytest.fixture(params=["database", "milvus_database"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine = open_engine(request.getfixturevalue(request.param))
    yield engine
    engine.close()


RED = unit(1, 0, 0)


def ids(engine: LakeEngine, lake: Lake, count: int, where: str | None = None) -> list[int]:
    snapshot = lake.snapshot
    understood = None if where is None else Where.parse(where, snapshot.schema)
    found, _ = engine.near(snapshot, RED, understood, count)
    return [int(row_id) for row_id in found.row_ids]


def test_scores_and_order_are_those_of_an_exact_search(maker: Maker, engine: Engine) -> None:
    with maker.open() as lake:
        push_lake(lake.folder, engine)
        found, has_more = LakeEngine(engine, "my").near(lake.snapshot, RED, None, 12)
        exact = Ranking(lake.snapshot, RED, None).top(12)
        assert has_more
        assert found.row_ids.tolist() == list(range(1, 13))
        assert np.array_equal(found.scores, exact.scores)
        assert np.array_equal(found.positions, exact.positions)


def test_a_snapshot_before_and_one_after_the_push_find_their_own_rows(
    maker: Maker, engine: Engine
) -> None:
    with maker.open() as before:
        push_lake(before.folder, engine)
        beside = LakeEngine(engine, "my")
        assert ids(beside, before, 3) == [1, 2, 3]
        maker.add((1, 0, 0), count=100)
        with maker.open() as after:
            # Not pushed yet: it is found here.
            assert ids(beside, after, 3) == [1, 31, 2]
            assert ids(beside, after, 3, "count > 1") == [31, 3, 4]
            push_lake(after.folder, engine)
            assert ids(beside, after, 3) == [1, 31, 2]
            # Of the four that are named it has three.
            assert ids(beside, before, 4) == [1, 2, 3]
            assert ids(beside, before, 3, "count > 1") == [3, 4]


def test_rows_that_come_to_the_engine_while_it_is_asked_need_no_second_look(
    maker: Maker, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with maker.open() as lake:
        push_lake(lake.folder, engine)
        beside = LakeEngine(engine, "my")
        assert ids(beside, lake, 2) == [1, 2]
    looked: list[str] = []
    held = engine.held

    def watched(lake: str) -> Held | None:
        looked.append(lake)
        return held(lake)

    monkeypatch.setattr(engine, "held", watched)
    maker.add((1, 0, 0))
    with maker.open() as lake:
        push_lake(lake.folder, engine)
        looked.clear()
        assert ids(beside, lake, 2) == [1, 31]
        assert looked == []
        beside.look(lake.snapshot)
        assert looked == ["my"]


def test_rows_that_go_from_the_engine_are_noticed_with_the_next_search(
    maker: Maker, engine: Engine
) -> None:
    """A push of a newer snapshot removes what an older one, still searched, has."""
    with maker.open() as lake:
        push_lake(lake.folder, engine)
        beside = LakeEngine(engine, "my")
        assert ids(beside, lake, 3) == [1, 2, 3]
        with engine.pushing("my") as push:
            push.remove(np.array([1, 3]), [])
        assert ids(beside, lake, 3) == [1, 2, 3]


def test_an_engine_that_hangs_is_left_alone_for_a_while(
    maker: Maker, database: str, postgres: Server
) -> None:
    from pg8000.native import Connection

    impatient = PgVector(Address.parse(database), patience_s=0.3)
    with maker.open() as lake:
        push_lake(lake.folder, impatient)
        beside = LakeEngine(impatient, "my")
        assert ids(beside, lake, 2) == [1, 2]
        socket = f"{postgres.socket}/.s.PGSQL.5432"
        with Connection("postgres", unix_sock=socket, database=database_of(database)) as other:
            other.run("BEGIN")
            other.run("LOCK TABLE lakesift_lakes IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(EngineAway, match="it took too long"):
                ids(beside, lake, 2)
            started = time.monotonic()
            with pytest.raises(EngineError, match="it took too long"):
                ids(beside, lake, 2)
            assert time.monotonic() - started < 0.2
            other.run("ROLLBACK")
        beside.look(lake.snapshot)
        assert beside.trouble is None
        assert ids(beside, lake, 2) == [1, 2]
    impatient.close()


def test_a_user_who_may_only_read_searches_and_keeps_recall_in_memory(
    maker: Maker, postgres_engine: PgVector, database: str, postgres: Server
) -> None:
    from indexer.engines.engine import Recalled

    with maker.open() as lake:
        push_lake(lake.folder, postgres_engine)
        name = database_of(database)
        postgres.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO outsider", name)
        reader = open_engine(postgres.url(name, user=f"outsider:{PASSWORD}"))
        beside = LakeEngine(reader, "my")
        assert ids(beside, lake, 2) == [1, 2]
        for found in (10, 8):
            beside.add_recalled([Recalled("image", 10, found, 10, 1)])
        assert beside.recall == {10: {"image": 0.9}, 100: {}}
        assert postgres_engine.recalled("my") == []
        reader.close()


def test_an_engine_without_its_index_or_its_table_is_not_asked(
    maker: Maker, postgres_engine: PgVector, database: str, postgres: Server
) -> None:
    with maker.open() as lake:
        push_lake(lake.folder, postgres_engine)
        state = postgres_engine.state("my")
        assert state is not None
        beside = LakeEngine(postgres_engine, "my")
        postgres.run(f"DROP INDEX {state.table}_hnsw", database_of(database))
        with pytest.raises(EngineError, match="a push was cut short, or its index is gone; push"):
            ids(beside, lake, 2)
        dropped = postgres_engine.state("my")
        assert dropped is not None and not dropped.is_complete
        push_lake(
            lake.folder, postgres_engine
        )  # which makes it again, though there are no new rows
        assert (again := postgres_engine.state("my")) is not None and again.is_complete
        beside.look(lake.snapshot)
        assert ids(beside, lake, 2) == [1, 2]
        postgres_engine.drop("my")
        with pytest.raises(EngineError, match="does not exist"):
            ids(beside, lake, 2)
        beside.look(lake.snapshot)
        assert beside.trouble == "it has nothing of this lake: lakesift engine push LAKE ENGINE"


def test_the_index_is_what_answers_in_a_lake_of_some_size(
    tmp_path: Path, postgres_engine: PgVector, database: str, postgres: Server
) -> None:
    """HNSW finds nearly all: this many rows, and as few dimensions, are easy for it."""
    maker = Maker(tmp_path / "my.lake")
    random = np.random.default_rng(3)
    for vector in random.normal(size=(3_000, 3)):
        maker.add(vector, count=1)
    with maker.open() as lake:
        push_lake(lake.folder, postgres_engine)
        state = postgres_engine.state("my")
        assert state is not None
        plan = postgres.run(
            f"EXPLAIN SELECT row_id FROM {state.table} ORDER BY vector <#> '[1,0,0]' LIMIT 400",
            database_of(database),
        )
        assert f"Index Scan using {state.table}_hnsw" in str(plan)
        found = ids(LakeEngine(postgres_engine, "my"), lake, 400)
        exact = Ranking(lake.snapshot, RED, None).top(400).row_ids
        assert np.isin(exact[:100], found).mean() >= 0.99
        assert len(set(found)) == 400


def test_searches_of_two_snapshots_are_right_while_others_push_and_remove(
    maker: Maker, engine: Engine
) -> None:
    """What is found never depends on what a push has done so far."""
    with maker.open() as before:
        push_lake(before.folder, engine)
        maker.add((1, 0, 0), count=100)
        maker.add((0, 1, 0), count=100)
        with maker.open() as after:
            beside = LakeEngine(engine, "my")
            stopping = threading.Event()

            def search(lake: Lake, right: list[int], where: str | None) -> int:
                searches = 0
                while not stopping.is_set() or not searches:
                    assert ids(beside, lake, 40, where)[: len(right)] == right
                    searches += 1
                return searches

            wanted = [
                (before, [1, 2, 3, 4], None),
                (after, [1, 31, 2, 3], None),
                (before, [29, 30], "count > 27"),
                (after, [31, 30, 32], "count > 28"),
            ]
            with ThreadPoolExecutor(len(wanted)) as threads:
                found = [threads.submit(search, *each) for each in wanted]
                try:
                    for _ in range(5):
                        push_lake(after.folder, engine)
                        with engine.pushing("my") as push:
                            segments = {part.segment.entry.id for part in after.snapshot.parts}
                            push.remove(np.array([1, 2, 31, 30]), segments)
                finally:
                    stopping.set()
                assert all(each.result(60) for each in found)


def test_searches_wait_for_a_connection_where_a_server_takes_few(
    maker: Maker, postgres: Server, database: str, postgres_engine: PgVector
) -> None:
    name = database_of(database)
    postgres.run("CREATE ROLE crowded LOGIN CONNECTION LIMIT 2")
    try:
        with maker.open() as lake:
            push_lake(lake.folder, postgres_engine)
            postgres.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO crowded", name)
            engine = PgVector.of(postgres.url(name, "crowded"))
            beside = LakeEngine(engine, "my")
            with ThreadPoolExecutor(12) as threads:
                found = list(threads.map(lambda _: ids(beside, lake, 3), range(60)))
            assert found == [[1, 2, 3]] * 60
            # With all its connections taken by others there is nothing to wait for.
            engine.close()
            others = [PgVector.of(postgres.url(name, "crowded")) for _ in range(2)]
            for other in others:
                other.check()
            with pytest.raises(EngineAway, match="too many connections for role"):
                engine.check()
            for other in others:
                other.close()
    finally:
        postgres.run("DROP OWNED BY crowded", name)
        postgres.run("DROP ROLE crowded")


def test_a_table_that_somebody_locks_is_not_waited_for(
    maker: Maker, postgres: Server, database: str, postgres_engine: PgVector
) -> None:
    """As a VACUUM FULL does, or a REINDEX."""
    from pg8000.native import Connection

    engine = PgVector(Address.parse(database), patience_s=0.5)
    with maker.open() as lake:
        push_lake(lake.folder, postgres_engine)
        with Connection(
            "postgres",
            unix_sock=f"{postgres.socket}/.s.PGSQL.5432",
            database=database_of(database),
        ) as other:
            other.run("BEGIN")
            other.run(f"LOCK TABLE {table_of('my')}")
            started = time.monotonic()
            with pytest.raises(EngineAway, match="it took too long"):
                ids(LakeEngine(engine, "my"), lake, 3)
            assert time.monotonic() - started < 20
            other.run("COMMIT")
        assert ids(LakeEngine(engine, "my"), lake, 3) == [1, 2, 3]
    engine.close()


def test_a_snapshot_that_is_no_more_of_the_pushed_lake_is_not_asked_for(
    maker: Maker, engine: Engine, tmp_path: Path
) -> None:
    """A service that has read what the engine holds sees a lake put in the old one's place."""
    beside = LakeEngine(engine, "my")
    with maker.open() as lake:
        push_lake(lake.folder, engine)
        assert ids(beside, lake, 3) == [1, 2, 3]
    other = Maker(tmp_path / "other" / "my.lake")
    for number in range(29):
        other.add((30 - number, number, 0), count=number)
    other.add((1, 0, 1), count=29)
    with other.open() as lake, pytest.raises(EngineError, match="it has rows of another lake"):
        ids(beside, lake, 3)
    twin = Maker(tmp_path / "twin" / "my.lake", ColourEmbedder(weights="1"))
    for number in range(30):
        twin.add((30 - number, number, 0), count=number)
    beside = LakeEngine(engine, "my")
    with maker.open() as lake:
        assert ids(beside, lake, 3) == [1, 2, 3]
    with twin.open() as lake, pytest.raises(EngineError, match="it has vectors of another model"):
        ids(beside, lake, 3)


def test_searches_that_find_it_being_read_are_done_otherwise(
    maker: Maker, postgres_engine: PgVector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_engine, "_WAIT_S", 0.1)
    held, begun, go_on = postgres_engine.held, threading.Event(), threading.Event()

    def slow(lake: str) -> Held | None:
        begun.set()
        assert go_on.wait(60)
        return held(lake)

    with maker.open() as lake, ThreadPoolExecutor(1) as threads:
        push_lake(lake.folder, postgres_engine)
        monkeypatch.setattr(postgres_engine, "held", slow)
        beside = LakeEngine(postgres_engine, "my")
        first = threads.submit(ids, beside, lake, 3)
        assert begun.wait(60)
        with pytest.raises(EngineError, match="what it has is still being read"):
            ids(beside, lake, 3)
        beside.look(lake.snapshot)
        # No outage: the next search asks at once.
        assert beside.trouble is None
        go_on.set()
        assert first.result() == [1, 2, 3] == ids(beside, lake, 3)
