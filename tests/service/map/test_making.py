"""The map of a lake: made, kept in step, gone on with, told by the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.disk.locks import only_maker
from indexer.errors import BadRequest, LakeDamaged, LakeError
from service.cli.main import main
from service.cli.mapping import keep_map_in_step
from service.doctor import examine as doctor
from service.lake import Lake
from service.map import making
from service.map.placing import Placer
from service.map.points import Points
from service.map.stored import MapFile, Places, StoredMap
from service.snapshot.snapshot import Snapshot
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    for name, colour in (("a", BLUE), ("b", GREEN), ("c", RED)):
        desk.add(f"{name}.png", colour)
    desk.index()
    return desk


def stored(desk: Desk) -> StoredMap:
    found = MapFile(desk.lake / "map").read()
    assert found is not None
    return found


def opened(desk: Desk) -> Lake:
    return Lake.open(desk.lake, desk.model)


def test_a_map_is_made_and_those_that_come_are_placed_beside_the_others(desk: Desk) -> None:
    with opened(desk) as lake:
        assert Points.of(lake.snapshot) is None
        made = lake.make_map()
        assert made.to_json() == {
            "rows": 3, "placed": 3, "landmarks": 3, "is_new": True, "names": 0,
        }  # fmt: skip
    before = stored(desk)
    assert before.row_ids.tolist() == [1, 2, 3] and before.is_landmark.all()
    assert not (desk.lake / "map" / "making").exists()
    desk.add("d.png", (250, 0, 0))  # nearly red
    (desk.photos / "a.png").unlink()
    desk.sync()
    with opened(desk) as lake:
        points = Points.of(lake.snapshot)
        assert points is not None and points.row_ids.tolist() == [2, 3] and points.since == 1
        (finding,) = doctor._map(lake)
        assert (finding.ok, finding.detail) == (True, "2 images on it; 1 image came since")
        step = lake.make_map()
        assert (step.rows, step.placed, step.landmarks, step.is_new) == (3, 1, 2, False)
        assert making.keep_in_step(lake.snapshot) is None
    after = stored(desk)
    assert after.row_ids.tolist() == [2, 3, 4] and after.is_landmark.tolist() == [True, True, False]
    assert np.allclose(after.places[:2], before.places[1:])
    assert np.allclose(after.places[2], before.places[2], atol=0.15)
    assert after.about.made_at == before.about.made_at
    with opened(desk) as lake:
        assert lake.make_map(anew=True).is_new


def test_a_run_that_was_interrupted_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "PIECE_ROWS", 1)

    class Interrupted(Placer):
        left = 2

        def place(self, vectors: Vectors) -> Places:
            if not Interrupted.left:
                raise KeyboardInterrupt
            Interrupted.left -= 1
            return super().place(vectors)

    monkeypatch.setattr(making, "Placer", Interrupted)
    with opened(desk) as lake, pytest.raises(KeyboardInterrupt):
        lake.make_map()
    assert MapFile(desk.lake / "map").read() is None
    (folder,) = (desk.lake / "map" / "making").iterdir()
    kept = sorted(path.name for path in folder.iterdir())
    assert kept == ["landmarks.f32", "placed-0.f32", "placed-1.f32"]
    # what is not whole is made again
    data = (folder / "placed-1.f32").read_bytes()
    (folder / "placed-1.f32").write_bytes(data[:-1])
    monkeypatch.setattr(making, "lay_out", lambda *_: pytest.fail("landmarks are there"))
    Interrupted.left = 2
    with opened(desk) as lake:
        assert lake.make_map().rows == 3
    gone_on = stored(desk).places
    monkeypatch.undo()
    with opened(desk) as lake:
        lake.make_map(anew=True)
    assert np.array_equal(stored(desk).places, gone_on)


def test_two_at_once_do_not_write_into_each_other_s_map(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another process's lock is as good as one of this: it belongs to the open file."""
    busy = f"another process makes the map in {desk.lake / 'map'} just now; wait for it to end"
    with opened(desk) as lake:
        lake.make_map()
        before = MapFile(desk.lake / "map").stamp()
        desk.add("d.png", (250, 0, 0))
        desk.sync()
        lake.reload()
        with only_maker(desk.lake / "map" / "map.lock", "the map"):
            with pytest.raises(LakeError, match=re.escape(busy)):
                lake.make_map()
            with pytest.raises(LakeError, match=re.escape(busy)):
                making.keep_in_step(lake.snapshot)
            # A sync that is done says so, and does not fail.
            whole = Lake.open
            monkeypatch.setattr(Lake, "open", lambda folder: whole(folder, desk.model))
            keep_map_in_step(desk.lake)
            assert capsys.readouterr().err == f"warning: the map is not in step: {busy}\n"
        assert MapFile(desk.lake / "map").stamp() == before
        step = making.keep_in_step(lake.snapshot)
        assert step is not None and (step.rows, step.placed) == (4, 1)


def test_a_map_that_was_laid_out_meanwhile_is_the_one_that_is_kept_in_step(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(desk) as lake:
        lake.make_map()
        old = stored(desk)
        (desk.photos / "a.png").unlink()
        desk.sync()
        lake.reload()
        alone = making._alone

        def laid_out_meanwhile(snapshot: Snapshot) -> object:
            turned = StoredMap(old.about, old.row_ids, -old.places, old.is_landmark)
            MapFile(desk.lake / "map").write(turned)
            return alone(snapshot)

        monkeypatch.setattr(making, "_alone", laid_out_meanwhile)
        making.keep_in_step(lake.snapshot)
    assert np.array_equal(stored(desk).places, -old.places[1:])


@pytest.mark.parametrize("kept", [np.zeros((2, 2)), np.full((3, 2), np.nan), np.full((3, 2), 3)])
def test_what_somebody_else_left_of_a_run_is_not_believed(
    desk: Desk, kept: NDArray[np.float64]
) -> None:
    with opened(desk) as lake:
        lake.make_map()
        right = stored(desk).places
        chosen = lake.snapshot.places[0]
        making._Making.of(lake.snapshot, chosen, making.LANDMARKS, 0).keep(
            "landmarks", kept.astype(np.float32)
        )
        lake.make_map(anew=True)
    assert np.array_equal(stored(desk).places, right)


def test_what_is_wrong_is_told(desk: Desk) -> None:
    with opened(desk) as lake:
        for knobs, name in (({"landmarks": 3}, "landmarks"), ({"seed": -1}, "seed")):
            with pytest.raises(BadRequest, match=f"{name}: .* is not from"):
                lake.make_map(**knobs)  # type: ignore[arg-type]
        lake.make_map()
        path = MapFile(desk.lake / "map").path
        table = pq.read_table(path)
        far = table.set_column(1, "x", table["x"].combine_chunks().fill_null(0).cast("float32"))
        pq.write_table(far.set_column(1, "x", [np.array([2, 0, 0], np.float32)]), path)
        with pytest.raises(LakeDamaged, match=r"outside of -1 to 1; `lakesift map .* --anew`"):
            lake.make_map()
        path.write_bytes(b"no map")
        with pytest.raises(LakeDamaged, match="makes it anew"):
            Points.of(lake.snapshot)
        assert [each.ok for each in doctor._map(lake)] == [False]
        assert lake.make_map(anew=True).rows == 3


def test_without_opentsne_a_sentence_says_what_to_install(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openTSNE", None)
    with opened(desk) as lake:
        assert lake.make_map().rows == 3  # so few need none
        monkeypatch.setattr(making, "FEWEST", 2)
        with pytest.raises(LakeError, match=r"pip install 'lakesift\[map\]'"):
            lake.make_map(anew=True)


def test_the_command_makes_it_and_sync_keeps_it_in_step(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Lake.open
    monkeypatch.setattr(
        Lake, "open", lambda folder, **options: whole(folder, ColourEmbedder(), **options)
    )
    monkeypatch.setattr("service.cli.indexing.loader", lambda *_: lambda manifest: desk.model)
    folder = str(desk.lake)
    assert main(["map", folder]) == 0
    assert capsys.readouterr().out == "3 images on the map, by 3 landmarks\n"
    desk.add("d.png", YELLOW)
    assert main(["sync", folder]) == 0
    assert stored(desk).row_ids.tolist() == [1, 2, 3, 4]
    capsys.readouterr()
    assert main(["map", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["placed"] == 0
    MapFile(desk.lake / "map").path.write_bytes(b"no map")
    desk.add("e.png", (9, 9, 9))
    assert main(["sync", folder]) == 0
    assert "warning: the map is not in step: " in capsys.readouterr().err
