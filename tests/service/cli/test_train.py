"""The verb `train` around a fit that is told, and tells, only what a person gets to see."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from indexer.errors import ModelUnavailable
from service.cli.main import main
from service.cli.train import Training, check_packages
from service.cli.upkeep import run_training
from training.datasets import DataSet

Capture = pytest.CaptureFixture[str]


@dataclass
class Report:
    lines: tuple[str, ...] = ("It knows 2 classes.", "It is right 9 times of 10.")


@dataclass
class Fitted:
    """A fit that goes through two stages, and keeps what it was given."""

    given: dict[str, Any] = field(default_factory=dict)

    def __call__(
        self,
        sets: Sequence[DataSet],
        out: Path,
        *,
        base: str,
        name: str,
        seed: int,
        steps: int | None,
        fine_tune: int,
        on_progress: Callable[[str, int, int], None],
    ) -> Report:
        self.given = {
            "sets": sets,
            "out": out,
            "base": base,
            "name": name,
            "seed": seed,
            "steps": steps,
        }
        self.given["fine_tune"] = fine_tune
        for stage in ("reading", "training"):
            for done in (0, 2, 4):
                on_progress(stage, done, 4)
        return Report()


def png(path: Path, red: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2), (red, 0, 0)).save(path)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """cat: 1 and 2, dog: 3; a fourth, in test, is a copy of 1."""
    for name, red in (
        ("train/cat/1", 1),
        ("train/cat/2", 2),
        ("train/dog/3", 3),
        ("test/cat/4", 1),
    ):
        png(tmp_path / f"pets/{name}.png", red)
    return tmp_path / "pets"


def check(data: Path, out: Path, base: str = "builtin", name: str | None = None) -> Training:
    return Training.check([data], out, base=base, name=name, seed=3)


def refused(capsys: Capture, code: int, *arguments: object) -> str:
    assert main(["train", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    return str(err)


def test_a_training_is_fitted_shown_and_told(pets: Path, tmp_path: Path, capsys: Capture) -> None:
    fit, out = Fitted(), tmp_path / "new folder" / "my.model"
    assert run_training(check(pets, out), fit, steps=7, fine_tune=2) == 0
    (data,) = fit.given.pop("sets")
    assert "1.png" not in [example.path.name for example in data.part("train")]
    assert fit.given == {
        "out": out,
        "base": "builtin",
        "name": "my",
        "seed": 3,
        "steps": 7,
        "fine_tune": 2,
    }
    assert out.parent.is_dir()
    told, talk = capsys.readouterr()
    assert told == "It knows 2 classes.\nIt is right 9 times of 10.\n"
    assert (
        "note: training images left out, because they are also in a part for validation or test: 1\n"
        in talk
    )
    assert "reading: 100%" in talk
    assert "training: 100%" in talk
    assert "4/4" in talk
    assert f"next: lakesift index PHOTOS --into my.lake --model 'builtin@{out}'\n" in talk


def test_missing_images_are_told(tmp_path: Path) -> None:
    png(tmp_path / "1.png", 1)
    table = tmp_path / "mine.csv"
    table.write_text("uri,text\n1.png,a cat\n2.png,a dog\n3.png,a dog\n")
    assert check(table, tmp_path / "m").notes == (
        "mine: images it names that are not on this machine: 2, first 2.png",
    )


def test_a_name_of_ones_own(pets: Path, tmp_path: Path) -> None:
    assert check(pets, tmp_path / "m", name="pets-1").name == "pets-1"


def test_what_cannot_work_is_refused(pets: Path, tmp_path: Path, capsys: Capture) -> None:
    new, used, file = tmp_path / "new.model", tmp_path / "used", png(tmp_path / "file.png", 9)
    png(used / "photo.png", 1)
    copy, only_test = tmp_path / "copy" / "pets", tmp_path / "only_test"
    for name in ("cat/1", "dog/2"):
        png(copy / f"{name}.png", 1)
        png(only_test / f"test/{name}.png", 1)
    assert "used is not empty; name a new folder" in refused(capsys, 2, pets, "--out", used)
    assert "file.png is a file; name a new folder" in refused(capsys, 2, pets, "--out", file)
    assert "there is no such file or folder" in refused(capsys, 2, tmp_path / "none", "--out", new)
    assert "2 of them are called 'pets'" in refused(capsys, 2, pets, copy, "--out", new)
    assert "nothing to train on" in refused(capsys, 2, only_test, "--out", new)
    assert "no model.json in it; or give" in refused(capsys, 1, pets, "--out", new, "--base", used)
    assert "--name: a model's name has letters" in refused(
        capsys, 2, pets, "--out", new, "--name", " "
    )
    assert not new.exists()


def test_missing_packages_are_named_with_the_way_out() -> None:
    with pytest.raises(ModelUnavailable) as raised:
        check_packages(("json", "no_such_package_1", "no_such_package_2"))
    assert str(raised.value) == (
        "model training: it needs no_such_package_1, no_such_package_2; run: pip install 'lakesift[train]'"
    )


def test_sets_are_checked_before_torch_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from service.cli.main import main; "
        f"code = main(['train', {str(tmp_path / 'none')!r}, '--out', {str(tmp_path / 'm')!r}]); "
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
