"""What the verb `train` does before and around `training.fit`:
refuses what cannot work, reads the sets, starts it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from indexer.embed.model_folder import ModelFolder
from indexer.embed.runtime import let_torch_sleep
from indexer.errors import BadRequest, ModelUnavailable
from training.datasets import DataSet, read, without_leaks

PACKAGES = ("torch", "onnx", "safetensors")
BASES = ("builtin", "imagenet")
INSTALL = "pip install 'lakesift[train]'"


class FitReport(Protocol):
    @property
    def lines(self) -> tuple[str, ...]:
        """What was made and how good it is, in sentences."""


class Fit(Protocol):
    """`training.fit.fit`: writes the model folder whole or not at all."""

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
    ) -> FitReport: ...


@dataclass(frozen=True, slots=True)
class Training:
    """One that can begin: its sets are read, none holds in train what any is measured on."""

    sets: tuple[DataSet, ...]
    out: Path
    base: str
    name: str
    seed: int
    notes: tuple[str, ...]  # what the user should know of the sets, in sentences

    @classmethod
    def check(
        cls, data: Sequence[Path], out: Path, *, base: str, name: str | None, seed: int
    ) -> Training:
        """Read the sets, after all that is quicker to check.

        :param name: None for that of the folder `out`.
        :raises BadRequest: if out is in use, a set says too little, or two sets have one name.
        :raises ModelUnavailable: if base is neither one of BASES nor a model folder.
        """
        out = out.expanduser().absolute()  # lakes keep the name
        _check_out(out)
        if base not in BASES:
            ModelFolder.open(Path(base).expanduser(), base, f"or give --base {' or '.join(BASES)}")
        name = out.stem if name is None else name.strip()
        if not name.isprintable() or not name:
            raise BadRequest("--name", "a model's name has letters, and no line breaks")
        read_sets = [read(path, seed) for path in data]
        _check_names(read_sets)
        sets, leaks = without_leaks(read_sets)
        if not any(part.part("train") for part in sets):
            raise BadRequest(
                "DATA", "there is nothing to train on: all images are for validation or test"
            )
        return cls(sets, out, base, name, seed, tuple(_notes(read_sets, leaks)))

    def run(
        self,
        fit: Fit,
        steps: int | None,
        fine_tune: int,
        on_progress: Callable[[str, int, int], None],
    ) -> FitReport:
        """:param steps: None for fit's own choice."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        return fit(
            self.sets,
            self.out,
            base=self.base,
            name=self.name,
            seed=self.seed,
            steps=steps,
            fine_tune=fine_tune,
            on_progress=on_progress,
        )


def load_fit() -> Fit:
    """`training.fit.fit`, and with it torch: seconds, so only when all is checked."""
    let_torch_sleep()
    from training.fit import fit

    return fit


def check_packages(packages: Sequence[str] = PACKAGES) -> None:
    """:param packages: import names.
    :raises ModelUnavailable: if one is not installed; none is imported.
    """
    lacking = [package for package in packages if find_spec(package) is None]
    if lacking:
        raise ModelUnavailable("training", f"it needs {', '.join(lacking)}; run: {INSTALL}")


def _check_out(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        raise BadRequest("--out", f"{out} is not empty; name a new folder, or move that one away")
    if out.exists() and not out.is_dir():
        raise BadRequest("--out", f"{out} is a file; name a new folder")


def _check_names(sets: Sequence[DataSet]) -> None:
    for name, count in Counter(data.name for data in sets).items():
        if count > 1:
            raise BadRequest(
                "DATA",
                f"{count} of them are called {name!r}; rename one, or give it as another folder",
            )


def _notes(sets: Sequence[DataSet], leaks: int) -> Iterator[str]:
    for data in sets:
        if data.missing:
            count = f"{data.missing:,}, first {data.first_missing}"
            yield f"{data.name}: images it names that are not on this machine: {count}"
    if leaks:
        yield f"training images left out, because they are also in a part for validation or test: {leaks:,}"
