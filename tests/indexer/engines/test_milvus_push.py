"""A lake's rows into a real Milvus Lite: what is there afterwards, whatever happened meanwhile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.engines.engine import Recalled
from indexer.engines.milvus import claim
from indexer.engines.milvus.engine import Milvus
from indexer.engines.names import column_of, table_of
from indexer.engines.opening import open_engine
from indexer.engines.predicate import Compared
from indexer.engines.pushing import push_lake
from indexer.errors import EngineAway, EngineError
from indexer.run.writing.compact import compact_lake
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk
from tests.milvus import Milvus as Server
from tests.milvus import database_of

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
def engine(milvus_database: str) -> Iterator[Milvus]:
    engine = Milvus.of(milvus_database)
    yield engine
    engine.close()


def there(server: Server, url: str, *fields: str, lake: str = "my") -> dict[int, Any]:
    """row_id -> what the collection says, read by a client that knows nothing of ours."""
    client = server.client(database_of(url))
    wanted = [*fields] or ["vector"]
    rows = client.query(table_of(lake), filter="row_id > 0", output_fields=["row_id", *wanted])
    client.close()
    return {
        row["row_id"]: row[wanted[0]] if len(wanted) == 1 else [row[each] for each in wanted]
        for row in sorted(rows, key=lambda row: int(row["row_id"]))
    }


def column(engine: Milvus, *path: str) -> str:
    state = engine.state("my")
    assert state is not None
    return next(column_of(each) for each in state.columns if each.path == path)


def test_a_push_brings_each_row_with_its_vector_and_columns(
    desk: Desk, engine: Milvus, milvus: Server, milvus_database: str
) -> None:
    report = push_lake(desk.lake, engine)

    assert (report.rows, report.new_rows, report.sent_segments, report.removed_rows) == (3, 3, 1, 0)
    assert there(milvus, milvus_database) == {1: [0, 0, 1], 2: [0, 1, 0], 3: [1, 0, 0]}
    width = column(engine, "width_px")
    assert there(milvus, milvus_database, width) == {1: 4, 2: 4, 3: 8}
    state = engine.state("my")
    assert state is not None and state.is_complete and state.snapshot == desk.manifest.snapshot


def test_a_second_push_sends_nothing_and_changes_nothing(desk: Desk, engine: Milvus) -> None:
    push_lake(desk.lake, engine)
    before = engine.state("my")
    report = push_lake(desk.lake, engine)

    assert (report.new_rows, report.sent_segments, report.kept_segments) == (0, 0, 1)
    assert engine.state("my") == before


def test_after_a_sync_what_came_is_sent_what_went_is_removed_and_what_moved_has_its_new_address(
    desk: Desk, engine: Milvus, milvus: Server, milvus_database: str
) -> None:
    push_lake(desk.lake, engine)
    (desk.photos / "b-green.png").unlink()
    (desk.photos / "a-blue.png").rename(desk.photos / "z-blue.png")
    desk.add("d-yellow.png", YELLOW)
    assert desk.sync().moved == 1
    report = push_lake(desk.lake, engine)

    assert (report.new_rows, report.removed_rows) == (1, 1)
    half = 0.70703125  # 1/sqrt(2) in half precision
    found = there(milvus, milvus_database, "vector", column(engine, "uri"))
    assert found == {
        1: [[0, 0, 1], f"{desk.photos}/z-blue.png"],
        3: [[1, 0, 0], f"{desk.photos}/c-red.png"],
        4: [[half, half, 0], f"{desk.photos}/d-yellow.png"],
    }


def test_segments_that_were_merged_write_no_row_anew(
    desk: Desk, engine: Milvus, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.add("d-yellow.png", YELLOW)
    desk.sync()
    push_lake(desk.lake, engine)
    compact_lake(desk.lake)
    [merged] = [entry.id for entry in desk.manifest.segments]
    written = calls(monkeypatch)
    report = push_lake(desk.lake, engine)

    assert (report.sent_segments, report.new_rows, report.removed_rows) == (1, 0, 0)
    assert table_of("my") not in [where for name, where in written if name == "upsert"]
    held = engine.held("my")
    assert held is not None and held.segments == {merged}


def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What is asked of Milvus from now on, and of which collection."""
    from indexer.engines.milvus.connection import Connection

    seen: list[tuple[str, Any]] = []
    call = Connection.call

    def watched(self: Connection, name: str, *args: object, **kwargs: object) -> Any:
        seen.append((name, args[0] if args else None))
        return call(self, name, *args, **kwargs)

    monkeypatch.setattr(Connection, "call", watched)
    return seen


def test_rows_that_somebody_took_away_are_sent_again(
    desk: Desk, engine: Milvus, milvus: Server, milvus_database: str
) -> None:
    push_lake(desk.lake, engine)
    client = milvus.client(database_of(milvus_database))
    client.delete(table_of("my"), ids=[2])
    client.close()
    report = push_lake(desk.lake, engine)

    assert (report.new_rows, report.removed_rows) == (1, 0)
    assert there(milvus, milvus_database) == {1: [0, 0, 1], 2: [0, 1, 0], 3: [1, 0, 0]}


def test_a_column_that_comes_later_sends_all_rows_again(
    desk: Desk, engine: Milvus, milvus: Server, milvus_database: str
) -> None:
    push_lake(desk.lake, engine)
    table = desk.root / "own.csv"
    table.write_text("path,room\nc-red.png,ward\n")
    desk.index(columns=table)
    before = engine.state("my")
    report = push_lake(desk.lake, engine)

    after = engine.state("my")
    assert before is not None and after is not None and after.version > before.version
    assert (report.new_rows, report.rows) == (3, 3)
    assert there(milvus, milvus_database, column(engine, "room")) == {1: None, 2: None, 3: "ward"}


def test_a_column_may_be_called_as_it_likes_and_hold_what_it_likes(
    tmp_path: Path, engine: Milvus, milvus: Server, milvus_database: str
) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.add("blue.png", BLUE)
    odd = 'a"] or row_id > 0 or key in ["'
    columns = {
        "path": ["red.png", "blue.png"],
        odd: ['" or row_id > 0 or "a" == "\\', None],
        "zero": ["a\0b", "plain"],
        "far": pa.array([2**53 + 1, None], pa.int64()),
        "share": [0.1, -0.0],
        "flag": [True, None],
    }
    pq.write_table(pa.table(columns), tmp_path / "own.parquet")
    desk.index(columns=tmp_path / "own.parquet")
    push_lake(desk.lake, engine)

    ids = desk.ids()
    red, blue = ids["red.png"], ids["blue.png"]
    said = {path: there(milvus, milvus_database, column(engine, path)) for path in [*columns][1:]}
    assert said[odd] == {red: '" or row_id > 0 or "a" == "\\', blue: None}
    assert said["zero"] == {red: None, blue: "plain"}
    assert said["far"] == {red: 9007199254740993, blue: None}
    assert said["share"] == {red: 0.1, blue: 0.0}
    assert said["flag"] == {red: True, blue: None}
    state = engine.state("my")
    assert state is not None
    # A text with a zero byte is not sent, so nothing may be asked of its column there.
    assert [each.path for each in state.columns if not each.is_whole] == [("zero",)]
    named = Compared((odd,), "=", '" or row_id > 0 or "a" == "\\')
    found = engine.candidates(state, np.array([0, 0, 1], np.float32), 2, named)
    assert found.row_ids.tolist() == [red]


def test_of_more_columns_than_a_collection_holds_the_first_are_there_and_the_others_are_told(
    desk: Desk, engine: Milvus
) -> None:
    table = {"path": ["c-red.png"], **{f"own_{number:02}": [number] for number in range(50)}}
    pq.write_table(pa.table(table), desk.root / "own.parquet")
    desk.index(columns=desk.root / "own.parquet")
    report = push_lake(desk.lake, engine)

    assert report.columns == 60
    [note] = report.notes
    assert note.startswith("it holds 60 columns of a lake; a where on own_35, own_36,")


def test_candidates_are_the_nearest_rows_that_pass(desk: Desk, engine: Milvus) -> None:
    push_lake(desk.lake, engine)
    state = engine.state("my")
    assert state is not None
    nearly_red = np.array([0.96, 0.28, 0], np.float32)
    found = engine.candidates(state, nearly_red, 2, None)
    assert (found.version, found.row_ids.tolist()) == (state.version, [3, 2])
    narrow = Compared(("width_px",), "<", 8)
    assert engine.candidates(state, nearly_red, 2, narrow).row_ids.tolist() == [2, 1]


def test_drop_takes_one_lake_away_and_leaves_the_other(
    desk: Desk, tmp_path: Path, engine: Milvus, milvus: Server, milvus_database: str
) -> None:
    other = Desk(tmp_path / "other")
    other.add("red.png", RED)
    other.index()
    other_lake = other.lake.rename(other.root / "other.lake")
    push_lake(desk.lake, engine)
    push_lake(other_lake, engine)
    for lake in ("my", "other"):
        engine.add_recalled(lake, [Recalled("text", 10, 9, 10, 1)])

    assert engine.drop("my") and not engine.drop("my")
    assert (engine.state("my"), engine.held("my"), engine.recalled("my")) == (None, None, [])
    assert there(milvus, milvus_database, lake="other") == {1: [1, 0, 0]}
    assert engine.recalled("other") == [Recalled("text", 10, 9, 10, 1)]
    client = milvus.client(database_of(milvus_database))
    assert sorted(client.list_collections()) == sorted(
        ["lakesift_lakes", "lakesift_recall", table_of("other")]
    )
    of_lakes = client.query("lakesift_lakes", filter='key like "%"', output_fields=["lake"])
    client.close()
    assert {row["lake"] for row in of_lakes} == {table_of("other")}


def test_another_lake_of_the_same_name_is_refused_and_nothing_is_changed(
    desk: Desk, tmp_path: Path, engine: Milvus, milvus: Server, milvus_database: str
) -> None:
    push_lake(desk.lake, engine)
    other = Desk(tmp_path / "other")
    other.add("red.png", RED)
    other.index()
    says = "it has rows of another lake under the name my, and nothing"
    with pytest.raises(EngineError, match=says):
        push_lake(other.lake, engine)
    assert len(there(milvus, milvus_database)) == 3


@pytest.mark.parametrize("name", ['" or key like "%', "Größe ☂ 夜", "x" * 200, "with space:$1"])
def test_a_lake_may_be_called_as_it_likes(desk: Desk, engine: Milvus, name: str) -> None:
    lake = desk.lake.rename(desk.root / f"{name}.lake")
    assert push_lake(lake, engine).name == name
    held = engine.held(name)
    assert held is not None and held.row_ids.tolist() == [1, 2, 3]
    assert engine.drop(name)


def test_two_pushes_at_once_are_kept_apart(
    desk: Desk, engine: Milvus, milvus_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "BEAT_S", 0.2)
    monkeypatch.setattr(claim, "DEAD_S", 5.0)
    says = "another process pushes my just now; wait for it"
    with Milvus.of(milvus_database).pushing("my"), pytest.raises(EngineError, match=says):
        push_lake(desk.lake, engine)
    assert push_lake(desk.lake, engine).new_rows == 3


def test_a_push_that_is_taken_for_dead_goes_no_further(
    desk: Desk, engine: Milvus, milvus_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose machine slept."""
    monkeypatch.setattr(claim, "BEAT_S", 60.0)
    monkeypatch.setattr(claim, "DEAD_S", 0.4)
    with Milvus.of(milvus_database).pushing("my") as asleep:
        assert push_lake(desk.lake, engine).new_rows == 3
        with pytest.raises(EngineError, match="another process has taken over, since nothing was"):
            asleep.remove(np.array([1]), [])
    held = engine.held("my")
    assert held is not None and held.row_ids.tolist() == [1, 2, 3]


def test_nobody_there_and_nobody_who_answers_are_away(
    desk: Desk, milvus: Server, milvus_database: str
) -> None:
    with pytest.raises(EngineAway, match=r"milvus://127.0.0.1:1: it cannot be reached$"):
        push_lake(desk.lake, open_engine("milvus://127.0.0.1:1"))
    engine = Milvus.of(milvus_database)
    engine.check()
    impatient = Milvus(engine._address, patience_s=0.3)
    impatient.check()
    milvus.hold()
    try:
        with pytest.raises(EngineAway, match="it took too long"):
            impatient.check()
    finally:
        milvus.go_on()
    engine.check()


def test_no_database_and_a_collection_of_somebody_else_s_are_told_with_the_way_out(
    desk: Desk, milvus: Server, milvus_database: str
) -> None:
    nowhere = open_engine(milvus.url("nowhere"))
    with pytest.raises(EngineError, match="database 'nowhere' does not exist; make it there first"):
        push_lake(desk.lake, nowhere)
    nowhere.close()
    client = milvus.client(database_of(milvus_database))
    client.create_collection("lakesift_lakes", dimension=4)
    client.close()
    engine = open_engine(milvus_database)
    says = "it has a collection lakesift_lakes that is none of lakesift's; name another database"
    with pytest.raises(EngineError, match=says):
        push_lake(desk.lake, engine)
    engine.close()


def test_a_secret_is_in_no_message(desk: Desk) -> None:
    with pytest.raises(EngineAway) as raised:
        push_lake(desk.lake, open_engine("milvus://me:so-secret@127.0.0.1:1/lakes"))
    assert str(raised.value) == "milvus://me@127.0.0.1:1/lakes: it cannot be reached"
    assert "so-secret" not in repr(raised.value.__context__)


def test_what_a_later_version_wrote_is_left_alone(
    desk: Desk, engine: Milvus, milvus: Server, milvus_database: str
) -> None:
    push_lake(desk.lake, engine)
    client = milvus.client(database_of(milvus_database))
    [row] = client.query("lakesift_lakes", filter='kind == "state"', output_fields=["*"])
    row["said"] = row["said"].replace('"format": 1', '"format": 2')
    client.upsert("lakesift_lakes", [row])
    client.close()
    with pytest.raises(EngineError, match="of format 2, and this lakesift knows 1: update"):
        push_lake(desk.lake, engine)


def test_a_folder_of_milvus_lite_is_for_one_process_and_keeps_what_was_pushed(
    desk: Desk, tmp_path: Path
) -> None:
    url = f"milvus+lite://{tmp_path}/lakes.db"
    pushed = ["-m", "service.cli", "engine", "push", str(desk.lake), url]
    done = subprocess.run(
        [sys.executable, *pushed], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("of my, 3 images: 3 rows sent, 0 removed\n")
    engine = Milvus.of(url)
    held = engine.held("my")
    assert held is not None and held.row_ids.tolist() == [1, 2, 3] and held.state.is_complete
    second = subprocess.run(
        [sys.executable, *pushed], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    engine.close()
    assert (second.returncode, second.stderr) == (
        1,
        f"lakesift: {url}: it cannot be opened: a folder of Milvus Lite is for one process at a time, so another one "
        "has it, or it is none; for several run: milvus-lite server --data-dir FOLDER --host 127.0.0.1\n",
    )
    with pytest.raises(EngineAway, match=f"there is no folder {tmp_path}/nowhere"):
        push_lake(desk.lake, open_engine(f"milvus+lite://{tmp_path}/nowhere/lakes.db"))
