"""Lakes under their names, and how a service moves from one snapshot to the next."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.disk.layout import Layout
from indexer.errors import (
    BadRequest,
    LakeDamaged,
    LakeNotFound,
    ModelUnavailable,
    UnknownLake,
    WrongModel,
)
from service.api.serving.hub import Hub, Models, ServedLake, name_lakes
from service.lake import Lake
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.add("green.png", GREEN)
    desk.index()
    return desk


@pytest.fixture
def hub(desk: Desk) -> Iterator[Hub]:
    hub = Hub.open({"my": desk.lake}, Models(desk.model))
    yield hub
    hub.close()


def within_10_s(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_the_only_lake_needs_no_name(hub: Hub) -> None:
    assert hub.lake(None) is hub.lake("my")
    with pytest.raises(UnknownLake, match=r"^there is no lake 'other' here; there is my$"):
        hub.lake("other")


def test_a_damaged_lake_is_told_and_the_others_serve(desk: Desk, tmp_path: Path) -> None:
    broken = tmp_path / "broken.lake"
    shutil.copytree(desk.lake, broken)
    for manifest in (broken / "manifest.json", *(broken / "manifests").iterdir()):
        manifest.write_text("{}")
    hub = Hub.open({"broken": broken, "my": desk.lake}, Models(desk.model))
    said = f"{broken / 'manifest.json'} is damaged: it is not a manifest (no JSON object with a checksum)"
    assert {name: str(error) for name, error in hub.unopened.items()} == {"broken": said}
    assert hub.lake("my").name == "my"
    with pytest.raises(LakeDamaged, match="is damaged: it is not a manifest"):
        hub.lake("broken")
    with pytest.raises(BadRequest, match=r"^lake: several are served; name one of my$"):
        hub.lake(None)  # who asked before the damage may have meant the other
    hub.close()
    with pytest.raises(LakeDamaged):
        Hub.open({"broken": broken}, Models(desk.model))


def test_one_of_several_must_be_named(desk: Desk) -> None:
    hub = Hub.open({"a": desk.lake, "b": desk.lake}, Models(desk.model))
    with pytest.raises(BadRequest, match=r"^lake: several are served; name one of a, b$"):
        hub.lake(None)
    assert hub.lake("b").name == "b"
    assert hub.lake("a").embedder() is hub.lake("b").embedder()  # one model, loaded once
    hub.close()


def test_names_are_the_folders_without_their_ending(tmp_path: Path) -> None:
    folders = [tmp_path / "cats.lake", tmp_path / "dogs"]
    assert name_lakes(folders) == {"cats": folders[0], "dogs": folders[1]}
    with pytest.raises(BadRequest, match=r"cats\.lake is given twice$"):
        name_lakes([folders[0], folders[0]])
    with pytest.raises(BadRequest, match=r"would both be called cats; rename one of them"):
        name_lakes([tmp_path / "cats.lake", tmp_path / "other" / "cats.lake"])


def test_where_one_lake_cannot_be_opened_none_is_kept(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(LakeNotFound, match="nowhere is not a lake"):
        Hub.open({"my": desk.lake, "other": tmp_path / "nowhere"}, Models(desk.model))
    assert list((desk.lake / "readers").glob("*.lock")) == []


def test_a_new_snapshot_is_noticed_and_the_old_one_still_answers(hub: Hub, desk: Desk) -> None:
    served = hub.lake("my")
    old = served.lake.snapshot
    hub.start()
    desk.add("blue.png", BLUE)
    desk.index()
    assert within_10_s(lambda: served.lake.rows == 3)
    assert served.lake.snapshot.number > old.number
    assert old.live_rows == 2  # who began on it ends on it
    assert served.problems == ()


def test_a_commit_in_the_moment_a_lake_is_opened_is_not_missed(desk: Desk) -> None:
    with Lake.open(desk.lake) as lake:
        desk.add("blue.png", BLUE)
        desk.index()
        served = ServedLake("my", lake, Models(desk.model))
        assert served.look()
        assert lake.rows == 3


def test_whatever_one_look_comes_to_others_follow(desk: Desk) -> None:
    class Startled(ServedLake):
        looks = 0

        def look(self) -> bool:
            self.looks += 1
            if self.looks == 1:
                raise RuntimeError("nobody thought of this")
            return super().look()

    models = Models(desk.model)
    served = Startled("my", Lake.open(desk.lake), models)
    hub = Hub([served], models, look_every_s=0.01)
    hub.start()
    desk.add("blue.png", BLUE)
    desk.index()
    assert within_10_s(lambda: served.lake.rows == 3)
    hub.close()


def test_a_damaged_manifest_changes_nothing_until_it_is_whole_again(hub: Hub, desk: Desk) -> None:
    served = hub.lake("my")
    number = served.lake.snapshot.number
    whole = Layout(desk.lake).manifest.read_bytes()
    for path in [Layout(desk.lake).manifest, *Layout(desk.lake).snapshots()]:
        path.write_bytes(b"{}")
    assert not served.look()
    assert served.lake.rows == 2
    assert len(served.problems) == 1
    assert f"snapshot {number} goes on answering" in served.problems[0]
    Layout(desk.lake).manifest.write_bytes(whole)
    served.look()
    assert served.problems == ()


def test_a_lake_whose_folder_went_away_goes_on_answering(
    hub: Hub, desk: Desk, tmp_path: Path
) -> None:
    served = hub.lake("my")
    desk.lake.rename(tmp_path / "elsewhere")
    assert not served.look()
    assert served.lake.rows == 2
    assert "goes on answering" in served.problems[0]
    (tmp_path / "elsewhere").rename(desk.lake)
    served.look()
    assert served.problems == ()


def test_who_has_a_model_does_not_wait_for_the_loading_of_another(
    desk: Desk, tmp_path: Path
) -> None:
    loading, go_on = threading.Event(), threading.Event()

    class Loading(ColourEmbedder):
        """Takes its time for who asks from a thread of that name."""

        def __getattribute__(self, name: str) -> object:
            if name == "fingerprint" and threading.current_thread().name.startswith("slow"):
                loading.set()
                assert go_on.wait(20)
            return super().__getattribute__(name)

    other = Desk(tmp_path / "other", ColourEmbedder(weights="1"))
    other.add("blue.png", BLUE)
    other.index()
    with (
        Lake.open(desk.lake) as mine,
        Lake.open(other.lake) as theirs,
        ThreadPoolExecutor(1, "slow") as slow,
        ThreadPoolExecutor(1) as quick,
    ):
        models = Models(Loading())
        refused = slow.submit(models.of, theirs)
        try:
            assert loading.wait(10)
            assert quick.submit(models.of, mine).result(10).model_id == "colours"
        finally:
            go_on.set()
        with pytest.raises(WrongModel):
            refused.result(10)
        models.close()


def test_another_model_is_refused_when_it_is_needed_and_not_before(desk: Desk) -> None:
    hub = Hub.open({"my": desk.lake}, Models(ColourEmbedder(weights="1")))
    with pytest.raises(WrongModel, match="was built with colours"):
        hub.lake("my").embedder()
    hub.close()


def test_a_model_that_is_not_here_is_a_sentence(desk: Desk) -> None:
    hub = Hub.open({"my": desk.lake}, Models())
    assert hub.lake("my").problems == ()
    with pytest.raises(ModelUnavailable, match=r"^model colours: "):
        hub.lake("my").embedder()
    (problem,) = hub.lake("my").problems
    assert problem.startswith(
        "no search by text or upload: model colours: there is no model 'colours'"
    )
    hub.close()


def test_a_lake_without_its_model_says_so_before_anybody_searches(desk: Desk) -> None:
    hub = Hub.open({"my": desk.lake}, Models())
    hub.start()
    assert within_10_s(lambda: len(hub.lake("my").problems) == 1)
    hub.close()
