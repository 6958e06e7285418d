"""What is installed: versions without known holes; a wheel that is whole and the same each time."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.version import Version

from tests.floors import ROOT, floor, requirements

PACKAGES = ("lakesift", "indexer", "service", "training")
BUILD = """
import sys
from hatchling.build import build_sdist, build_wheel
print(build_wheel(sys.argv[1]), build_sdist(sys.argv[1]), sep="\\n")
"""


def pinned() -> dict[str, Version]:
    """The versions that the tests run with, by name as pip compares names."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {plain(name): Version(version) for name, version in pairs}


def plain(name: str) -> str:
    return name.lower().replace("_", "-")


def test_the_tests_run_with_versions_that_pyproject_allows() -> None:
    versions = pinned()
    found = {plain(each.name): each for each in requirements() if plain(each.name) in versions}
    assert {"pillow", "starlette", "pyarrow", "aiohttp", "onnxruntime"} <= set(found)
    refused = {
        n: str(versions[n]) for n, each in found.items() if versions[n] not in each.specifier
    }
    assert refused == {}


def test_of_one_name_all_extras_ask_for_the_same_floor() -> None:
    floors: dict[str, set[str | None]] = {}
    for each in requirements():
        floors.setdefault(plain(each.name), set()).add(floor(each))
    assert {name: asked for name, asked in floors.items() if len(asked) > 1} == {}


@dataclass(frozen=True)
class Built:
    wheel: Path
    sdist: Path

    @property
    def hashes(self) -> list[str]:
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.wheel, self.sdist)]


def sources() -> list[str]:
    """What is or would be committed, but for what was deleted just now."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True)
    names = done.stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def build(folder: Path, umask: int) -> Built:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, "out"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"},
        umask=umask,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    wheel, sdist = done.stdout.splitlines()[-2:]
    return Built(folder / "out" / wheel, folder / "out" / sdist)


@pytest.mark.slow
def test_two_builds_are_the_same_bytes_and_hold_all_of_it(tmp_path: Path) -> None:
    names = [n for n in sources() if n.split("/")[0] in PACKAGES or "/" not in n]
    for folder, mode, time_s in (("one", 0o644, 10**9), ("two/deeper", 0o600, 17 * 10**8)):
        for name in names:
            copy = tmp_path / folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy)
            copy.chmod(mode)
            os.utime(copy, (time_s, time_s))
    first = build(tmp_path / "one", 0o022)
    second = build(tmp_path / "two/deeper", 0o077)
    assert first.hashes == second.hashes

    wheel = zipfile.ZipFile(first.wheel)
    inside = set(wheel.namelist())
    code = {name for name in names if name.split("/")[0] in PACKAGES and not name.endswith(".d.ts")}
    about = {name for name in inside if ".dist-info/" in name}
    assert inside - about == code
    assert {f"{package}/py.typed" for package in PACKAGES} <= code
    assert {"indexer/embed/builtin_model/image.onnx", "service/page/label/label.html"} <= code
    bare = {name.partition("/")[2] for name in about}
    assert {"licenses/LICENSE", "licenses/NOTICE", "entry_points.txt"} <= bare
    [metadata] = [name for name in about if name.endswith("/METADATA")]
    assert b"\nLicense-Expression: Apache-2.0\n" in wheel.read(metadata)

    with tarfile.open(first.sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    [unpacked] = (tmp_path / "unpacked").iterdir()
    assert build(unpacked, 0o022).hashes == first.hashes
