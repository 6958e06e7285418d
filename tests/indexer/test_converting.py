"""A model that is converted before its first image is a stage of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from indexer.disk.manifest import SourceEntry
from indexer.embed import Conversion
from indexer.sync import sync
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, RED, Desk


class Slow(ColourEmbedder):
    """Converts itself in three steps."""

    def conversion(self) -> Conversion | None:
        def run(step: Callable[[], None]) -> None:
            for _ in range(3):
                step()
            self.is_converted = True

        return None if self.is_converted else Conversion("int8", 3, run)

    is_converted = False


class Stages:
    """What a run's progress was told, a line a stage."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int | None, str | None, int]] = []

    def stage(self, name: str, total: int | None, unit: str | None = None) -> None:
        self.told.append((name, total, unit, 0))

    def expect(self, total: int, *, more: bool = False) -> None: ...

    def advance(self, done: int, skipped: int = 0) -> None:
        name, total, unit, before = self.told[-1]
        self.told[-1] = (name, total, unit, before + done)


def test_a_conversion_is_a_stage_before_the_first_image_and_comes_once(tmp_path: Path) -> None:
    desk, model = Desk(tmp_path), Slow()
    desk.add("a.png", RED)
    converting = ("converting the model to int8, once on this machine", 3, "steps", 3)
    first, second = Stages(), Stages()
    source = [SourceEntry(str(desk.photos))]
    assert sync(desk.lake, lambda _: model, add=source, progress=first).new == 1
    names = [name for name, *_ in first.told]
    at = first.told.index(converting)
    assert names.index("loading the model") < at < names.index("indexing")
    desk.add("b.png", BLUE)
    assert sync(desk.lake, lambda _: model, progress=second).new == 1
    assert not [name for name, *_ in second.told if name.startswith("converting")]
