"""Fixtures that several modules share: a lake of real photos, built once with the model that ships."""

from __future__ import annotations

import os
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from service.cli import main
from service.relevance import audit


def sample_folders() -> list[str]:
    """Real photos that come inside installed packages."""
    folders = []
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None, f"the tests need {package}: pip install '.[dev]'"
        folders.append(str(Path(spec.origin).parent / folder))
    return folders


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted models and row tables go here, in child processes too, and not into the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["LAKESIFT_CACHE"] = str(folder)
    os.environ["LAKESIFT_STATE"] = str(tmp_path_factory.mktemp("state"))
    return folder


@pytest.fixture(autouse=True)
def draws_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test's audits draw with the seeds 1, 2, 3 ...: what a promise may get wrong in 5 % of all draws would
    fail one run of the tests in a hundred. That real seeds are the operating system's has its own test."""
    seeds = count(1)
    monkeypatch.setattr(audit, "fresh_seed", lambda: f"{next(seeds):064x}")


@pytest.fixture(scope="session")
def photo_lake(tmp_path_factory: pytest.TempPathFactory, cache_of_the_tests: Path) -> Path:
    """The sample photos, indexed with `builtin`. Read it; do not write it."""
    lake = tmp_path_factory.mktemp("lakes") / "photos.lake"
    assert main(["index", *sample_folders(), "--into", str(lake)]) == 0
    return lake
