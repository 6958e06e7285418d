"""A push to Milvus, which knows no transactions, is killed before each of its writes in turn: what
a service finds then is what an exact search finds, and the next push brings all.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.engines.engine import Engine
from indexer.engines.milvus import claim
from indexer.engines.milvus.connection import Connection
from indexer.engines.milvus.engine import Milvus
from indexer.engines.pushing import push_lake
from indexer.errors import EngineError
from service import Lake
from service.search.engine.lake_engine import LakeEngine
from service.search.ranking import Ranking
from service.where.where import Where
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk
from tests.service.lakes import unit

pytestmark = pytest.mark.timeout(600)

WRITES = ("create_collection", "drop_collection", "upsert", "delete", "flush")


class _Killed(BaseException):
    pass


class _Killer:
    """Lets so many writes pass; then nothing of the process does anything any more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        call = Connection.call

        def watched(connection: Connection, name: str, *args: object, **kwargs: object) -> Any:
            if self.left is not None:
                if name in WRITES:
                    self.left -= 1
                if self.left < 0:
                    raise _Killed
            return call(connection, name, *args, **kwargs)

        monkeypatch.setattr(Connection, "call", watched)


def pushed_and_killed(lake: Path, engine: Engine, killer: _Killer, after: int) -> bool:
    """Whether it was killed before its end."""
    killer.left = after
    try:
        push_lake(lake, engine)
    except _Killed:
        return True
    finally:
        killer.left = None
    return False


@pytest.fixture
def lakes(tmp_path: Path) -> tuple[Path, Path]:
    """One lake before and after a sync, in which a row came, one went, and one moved."""
    desk = Desk(tmp_path)
    desk.add("a-blue.png", BLUE)
    desk.add("b-green.png", GREEN)
    desk.add("c-red.png", RED)
    desk.index()
    before = Path(shutil.copytree(desk.lake, tmp_path / "before" / "my.lake"))
    (desk.photos / "b-green.png").unlink()
    (desk.photos / "a-blue.png").rename(desk.photos / "z-blue.png")
    desk.add("d-yellow.png", YELLOW)
    assert desk.sync().moved == 1
    return before, desk.lake


WHERES = (None, "uri LIKE '%blue%'", "uri LIKE '%a-blue%' OR width_px > 4", "width_px = 4")


def assert_as_an_exact_search(lake: Lake, engine: Engine) -> None:
    beside = LakeEngine(engine, "my")
    near = unit(0.5, 0.3, 0.8)
    for where in WHERES:
        understood = None if where is None else Where.parse(where, lake.snapshot.schema)
        found, _ = beside.near(lake.snapshot, near, understood, 10)
        exact = Ranking(lake.snapshot, near, understood).top(10)
        assert found.row_ids.tolist() == exact.row_ids.tolist(), where
        assert np.array_equal(found.scores, exact.scores)


def test_a_push_that_is_killed_before_any_of_its_writes(
    lakes: tuple[Path, Path], milvus_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "BEAT_S", 60.0)
    monkeypatch.setattr(claim, "DEAD_S", 0.05)
    killer = _Killer(monkeypatch)
    engine = Milvus.of(milvus_database)
    folders = lakes
    with (
        Lake.open(folders[0], ColourEmbedder()) as before,
        Lake.open(folders[1], ColourEmbedder()) as after,
    ):
        writes = 0
        push_lake(folders[0], engine)
        while pushed_and_killed(folders[1], engine, killer, writes):
            for lake in (before, after):
                assert_as_an_exact_search(lake, engine)
            push_lake(folders[1], engine)
            held = engine.held("my")
            assert held is not None and held.row_ids.tolist() == [1, 3, 4]
            assert held.segments == {part.segment.entry.id for part in after.snapshot.parts}
            assert_as_an_exact_search(after, engine)
            # Back to where it was.
            push_lake(folders[0], engine)
            writes += 1
        assert_as_an_exact_search(after, engine)
    # Who pushes; segments, a row, what became of it; what goes, and that; the whole.
    assert writes > 15
    engine.close()


def test_a_first_push_that_is_killed_before_any_of_its_writes(
    lakes: tuple[Path, Path], milvus_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "BEAT_S", 60.0)
    monkeypatch.setattr(claim, "DEAD_S", 0.05)
    killer = _Killer(monkeypatch)
    engine = Milvus.of(milvus_database)
    with Lake.open(lakes[0], ColourEmbedder()) as lake:
        writes = 0
        while pushed_and_killed(lakes[0], engine, killer, writes):
            try:
                assert_as_an_exact_search(lake, engine)
            except EngineError as error:
                assert "nothing of this lake" in error.reason or "was cut short" in error.reason
            push_lake(lakes[0], engine)
            assert_as_an_exact_search(lake, engine)
            assert engine.drop("my")
            writes += 1
        assert_as_an_exact_search(lake, engine)
    assert writes > 7
    engine.close()


def test_a_drop_that_is_killed_before_any_of_its_writes_is_done_again(
    lakes: tuple[Path, Path], milvus_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "BEAT_S", 60.0)
    monkeypatch.setattr(claim, "DEAD_S", 0.05)
    killer = _Killer(monkeypatch)
    engine = Milvus.of(milvus_database)
    with Lake.open(lakes[0], ColourEmbedder()) as lake:
        for writes in range(5):
            push_lake(lakes[0], engine)
            killer.left = writes
            with pytest.raises(_Killed):
                engine.drop("my")
            killer.left = None
            if engine.state("my") is not None:
                assert engine.drop("my")
            assert engine.state("my") is None
            push_lake(lakes[0], engine)
            assert_as_an_exact_search(lake, engine)
    engine.close()
