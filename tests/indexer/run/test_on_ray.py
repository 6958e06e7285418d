"""Images that are read and embedded by the workers of a Ray cluster: the lake is the one that this
machine makes alone.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.arrays import Pixels, Vectors
from indexer.disk.manifest import SourceEntry
from indexer.errors import LakeError
from indexer.report import SyncReport
from indexer.run.embedding.on_ray import Cluster, RayRunner, connect
from indexer.run.embedding.tasks import Task
from indexer.sync import sync
from service.cli.main import main
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import current, index
from tests.indexer.parts.lakes import SETTLED, skips, whole_rows
from tests.indexer.test_crash import make_photos

# Ray warns of what it itself is about to change.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two cores, as two workers."""
    ray = pytest.importorskip("ray")
    before = os.environ.get("RAY_USAGE_STATS_ENABLED")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.shutdown()  # of whoever was here before
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield connect(None, 2)
    ray.shutdown()
    if before is None:
        del os.environ["RAY_USAGE_STATS_ENABLED"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """66 images, and two files that are none."""
    make_photos(tmp_path / "photos")
    return tmp_path / "photos"


def small() -> ColourEmbedder:
    return ColourEmbedder(batch_size=5)


class Dies(ColourEmbedder):
    """Takes its process with it, once, at the first images that it is given."""

    def __init__(self, once: Path) -> None:
        super().__init__(batch_size=5)
        self._once = once

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        try:
            self._once.touch(exist_ok=False)
        except FileExistsError:
            return super().embed_images(images)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it is dead")


class Breaks(ColourEmbedder):
    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        raise RuntimeError("no such kernel")


def on_ray(
    cluster: Cluster,
    lake: Path,
    photos: Path,
    load: Callable[[], ColourEmbedder] = small,
    should_stop: Callable[[], bool] = lambda: False,
) -> SyncReport:
    runner = RayRunner(cluster, config=SETTLED, load=load)
    return sync(
        lake,
        runner.noting(lambda _: small()),
        add=[SourceEntry(str(photos))],
        config=SETTLED,
        runner=runner,
        should_stop=should_stop,
    )


def equal(lake: Path, plain: Path) -> None:
    assert whole_rows(lake) == whole_rows(plain)
    assert skips(lake) == skips(plain)


def test_a_cluster_makes_what_one_machine_makes(
    cluster: Cluster, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With chunks so small that they are more than what is held at once."""
    monkeypatch.setattr("indexer.run.embedding.on_ray.LEAST_CHUNK", 3)
    monkeypatch.setattr("indexer.run.embedding.on_ray.BATCHES", 0)
    index(tmp_path / "plain.lake", photos, SETTLED)
    report = on_ray(cluster, tmp_path / "my.lake", photos)
    assert (report.new, report.skipped, report.problems) == (66, 2, [])
    equal(tmp_path / "my.lake", tmp_path / "plain.lake")
    again = on_ray(cluster, tmp_path / "my.lake", photos)
    assert (again.unchanged, again.new) == (66, 0)


def test_a_worker_that_dies_loses_and_doubles_nothing(
    cluster: Cluster, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.run.embedding.on_ray.LEAST_CHUNK", 10)
    monkeypatch.setattr("indexer.run.embedding.on_ray.BATCHES", 0)
    index(tmp_path / "plain.lake", photos, SETTLED)
    once = tmp_path / "died"
    report = on_ray(cluster, tmp_path / "my.lake", photos, lambda: Dies(once))
    assert once.exists()
    assert (report.new, report.skipped) == (66, 2)
    equal(tmp_path / "my.lake", tmp_path / "plain.lake")


def test_a_run_that_was_stopped_goes_on(
    cluster: Cluster, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.run.embedding.on_ray.LEAST_CHUNK", 6)
    monkeypatch.setattr("indexer.run.embedding.on_ray.BATCHES", 0)
    index(tmp_path / "plain.lake", photos, SETTLED)
    lake = tmp_path / "my.lake"
    first = on_ray(
        cluster,
        lake,
        photos,
        should_stop=lambda: (lake / "manifest.json").exists() and current(lake).live_rows > 0,
    )
    assert first.interrupted and 0 < first.rows < 66
    assert not on_ray(cluster, lake, photos).interrupted
    equal(lake, tmp_path / "plain.lake")


def test_a_worker_whose_model_is_another_ends_the_run(
    cluster: Cluster, photos: Path, tmp_path: Path
) -> None:
    def another() -> ColourEmbedder:
        return ColourEmbedder(batch_size=5, weights="1")

    with pytest.raises(LakeError, match=r"a worker on .*: its .* is not the model of this run"):
        on_ray(cluster, tmp_path / "my.lake", photos, another)
    assert current(tmp_path / "my.lake").live_rows == 0


def test_a_model_that_fails_on_a_worker_is_told(
    cluster: Cluster, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(LakeError, match="fails on every image, even on a plain grey one"):
        on_ray(cluster, tmp_path / "my.lake", photos, Breaks)


class Missing:
    """As where the package is not installed: it cannot be unpickled."""

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return _missing, ()

    def __call__(self) -> ColourEmbedder:
        raise AssertionError("it is not there")


def _missing() -> object:
    raise ModuleNotFoundError("No module named 'lakesift'")


def _exits() -> ColourEmbedder:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it is dead")


@pytest.mark.parametrize(
    ("load", "reason"), [(Missing(), "No module named 'lakesift'"), (_exits, "died")]
)
def test_workers_that_never_start_end_the_run(
    load: Callable[[], ColourEmbedder],
    reason: str,
    cluster: Cluster,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.run.embedding.on_ray.MOST_RESTARTS", 1)
    with pytest.raises(LakeError, match=f"a worker of the Ray cluster failed: .*{reason}"):
        on_ray(cluster, tmp_path / "my.lake", photos, load)
    assert current(tmp_path / "my.lake").live_rows == 0


def test_what_lists_the_tasks_may_fail(cluster: Cluster, photos: Path) -> None:
    """What came before it is done; then its own error is raised."""
    runner = RayRunner(cluster, config=SETTLED, load=small)
    runner.noting(lambda _: small())(None)

    def tasks() -> Iterator[Task]:
        raise LakeError("the plan is gone")
        yield

    with pytest.raises(LakeError, match="the plan is gone"):
        list(runner.run(tasks()))
    assert list(runner.run(iter(()))) == []


def test_a_cluster_that_is_not_there_is_one_sentence(
    cluster: Cluster, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = str(tmp_path / "my.lake")
    assert main(["index", str(photos), "--into", lake, "--ray-workers", "2"]) == 2
    assert "--ray-workers: it is of a cluster; add --runner ray" in capsys.readouterr().err
    assert main(["sync", lake, "--watch", "--runner", "ray"]) == 2
    assert "--runner: it is for one sync" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address, reason",
    [("127.0.0.1:1", "refused"), ("ray://a:10001", "HOST:PORT"), ("a", "HOST:PORT")],
)
def test_where_no_cluster_answers_it_is_said_at_once(
    address: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(LakeError, match=f"there is no Ray cluster at {address}: .*{reason}"):
        connect(address)


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(LakeError, match=r"needs Ray, which is not installed; pip install"):
        connect(None)


def test_the_page_s_command_runs(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the model that ships, loaded on each worker by its name."""
    page = (Path(__file__).parents[3] / "docs/ray.md").read_text()
    assert "lakesift index photos --into new.lake --runner ray\n" in page
    from tests.lakes import Desk

    desk = Desk(tmp_path)
    for number in range(5):
        desk.add(f"{number}.png", (255, number * 20, 0))
    arguments = ["index", str(desk.photos), "--into", str(tmp_path / "my.lake"), "--runner", "ray"]
    assert main([*arguments, "--ray-workers", "2"]) == 0
    said = capsys.readouterr().err
    assert "on Ray: 2 workers, 1 cores each" in said and "indexed: 5 images (5 new)" in said
    assert main(["index", str(desk.photos), "--into", str(tmp_path / "plain.lake")]) == 0
    ours, plain = (whole_rows(tmp_path / name) for name in ("my.lake", "plain.lake"))
    assert ours.keys() == plain.keys()
    for row_id, row in ours.items():
        assert np.allclose(row["vector"], plain[row_id]["vector"], atol=2e-3)
