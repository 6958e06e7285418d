"""Fixtures that several modules share:
a lake of real photos, built once with the model that ships.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from indexer import trust
from service.cli.main import main
from service.relevance.promise import audit
from tests.milvus import milvus as milvus
from tests.milvus import milvus_database as milvus_database
from tests.postgres import database as database
from tests.postgres import postgres as postgres
from tests.s3 import bucket as bucket
from tests.s3 import s3_server as s3_server
from tests.warm_decoders import COLD, WarmDecoder, warm

# What `make check` leaves out, by the name of a module or folder: what starts browsers, servers,
# kernels or many processes, imports PyTorch, kills writers, or takes more than some five seconds of
# processor. By name, so that a module keeps its place here when it moves.
THOROUGH = frozenset(
    {
        "api/test_engine.py",
        "api/test_search.py",
        "benchmarks",
        "buckets/test_killed.py",
        "catalogue",
        "indexer/engines",
        "page",
        "search/engine",
        "test_growing.py",
        "test_landmarks.py",
        "test_on_ray.py",
        "training",
        "test_bad_folder.py",
        "test_carrying.py",
        "test_catalog.py",
        "test_cli.py",
        "test_contact_sheets.py",
        "test_crafted_lakes.py",
        "test_corruption.py",
        "test_crash.py",
        "test_crash_codes.py",
        "test_crash_containers.py",
        "test_decide.py",
        "test_decoders.py",
        "test_docs.py",
        "test_engine_command.py",
        "test_exporting.py",
        "test_fetches.py",
        "test_filter_command.py",
        "test_filter_uploads.py",
        "test_fsync_order.py",
        "test_full_disk.py",
        "parts/test_damage.py",
        "parts/test_killed.py",
        "test_fuzz.py",
        "test_lerobot.py",
        "test_limits.py",
        "test_links.py",
        "test_listing.py",
        "test_locks.py",
        "test_model_cache.py",
        "test_model_folder.py",
        "test_models.py",
        "test_notebooks.py",
        "test_nuscenes.py",
        "test_open_clip.py",
        "test_packaging.py",
        "test_packed_shards.py",
        "test_paging.py",
        "test_pipeline.py",
        "test_privacy.py",
        "test_processes.py",
        "test_remote.py",
        "test_said_kinds.py",
        "test_serve.py",
        "test_serve_workers.py",
        "test_soak.py",
        "test_sync_bucket.py",
        "test_tag_command.py",
        "test_text_streams.py",
        "test_text_tower.py",
        "test_tools.py",
        "test_train.py",
        "test_videos.py",
        "test_watch.py",
        "test_watch_command.py",
        "test_where_duckdb.py",
        "test_worker.py",
    }
)
# What takes longest, and so begins first: where several processes share the tests, a long module at
# the end keeps one busy while the others have nothing left.
LONGEST = (
    "test_notebooks.py",
    "training/test_fit.py",
    "test_docs.py",
    "benchmarks/test_benchmarks.py",
    "test_robot_logs.py",
    "test_shards.py",
    "test_full_disk.py",
    "test_soak.py",
    "test_links.py",
    "test_crash.py",
    "test_crash_codes.py",
    "test_crash_containers.py",
    "parts/test_killed.py",
    "engine/test_milvus_killed.py",
    "training/test_bridge.py",
    "page",
    "test_videos.py",
    "catalogue",
)
HERE = Path(__file__).parent


def is_thorough(path: Path) -> bool:
    return any(is_part_of(path, name) for name in THOROUGH)


def is_part_of(path: Path, name: str) -> bool:
    return f"/{name}/" in f"/{path.relative_to(HERE).as_posix()}/"


def place_in_line(path: Path) -> int:
    """The longest first, then what `make check` leaves out, then the rest."""
    names = (place for place, name in enumerate(LONGEST) if is_part_of(path, name))
    return next(names, len(LONGEST) + (not is_thorough(path)))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m quick` does not import the rest: PyTorch alone takes longer than most modules' tests."""
    return True if config.option.markexpr == "quick" and is_thorough(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not is_thorough(item.path) and item.get_closest_marker("slow") is None:
            item.add_marker("quick")
    items.sort(key=lambda item: place_in_line(item.path))


def sample_folders() -> list[str]:
    """Real photos that come inside installed packages."""
    folders = []
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None, (
            f"the tests need {package}: pip install '.[dev]'"
        )
        folders.append(str(Path(spec.origin).parent / folder))
    return folders


@pytest.fixture(scope="session", autouse=True)
def decoders_end() -> Iterator[None]:
    yield
    WarmDecoder.end_all()


@pytest.fixture(autouse=True)
def warm_decoders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.name not in COLD:
        monkeypatch.setattr("indexer.run.embedding.pipeline.Decoder", warm)


@pytest.fixture(autouse=True)
def whole_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loaded machine a short listing may take a second, and is handed over in two pieces: then
    batches, and commits, fall elsewhere.
    """
    monkeypatch.setattr("indexer.run.plan.plan.BATCH_S", 60.0)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted models and row tables go here,
    in child processes too, and not into the user's cache.
    """
    folder = tmp_path_factory.mktemp("cache")
    os.environ["LAKESIFT_CACHE"] = str(folder)
    os.environ["LAKESIFT_STATE"] = str(tmp_path_factory.mktemp("state"))
    return folder


@pytest.fixture
def nothing_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who named no model and no site on this machine yet."""
    monkeypatch.setenv("LAKESIFT_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(trust, "_named", {"models": set(), "sites": set()})


@pytest.fixture(autouse=True)
def draws_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test's audits draw with the seeds 1, 2, 3 ...: what a promise may get
    wrong in 5 % of all draws would fail one run of the tests in a hundred. That
    real seeds are the operating system's has its own test.
    """
    seeds = count(1)
    monkeypatch.setattr(audit, "fresh_seed", lambda: f"{next(seeds):064x}")


@pytest.fixture(scope="session")
def photo_lake(tmp_path_factory: pytest.TempPathFactory, cache_of_the_tests: Path) -> Path:
    """The sample photos, indexed with `builtin`. Read it; do not write it."""
    lake = tmp_path_factory.mktemp("lakes") / "photos.lake"
    assert main(["index", *sample_folders(), "--into", str(lake)]) == 0
    return lake
