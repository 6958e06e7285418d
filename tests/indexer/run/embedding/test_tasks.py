"""What a run asks of a runner: any will do, and all that it is asked can be pickled."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from indexer.address import Address
from indexer.arrays import Vectors
from indexer.config import ReadLimits
from indexer.disk.manifest import SourceEntry
from indexer.disk.rows import ROW_SCHEMA
from indexer.errors import LakeError
from indexer.images import read_image
from indexer.run.embedding.tasks import AHEAD, Embedded, Failed, Result, Task, with_columns
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sync import sync
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, LONG_AGO_S, RED, Desk, png


@dataclass
class Elsewhere:
    """A runner on another machine: all it is given and all it gives has been pickled."""

    asked: list[Task] = field(default_factory=list)

    def run(self, tasks: Iterable[Task]) -> Iterator[list[Result]]:
        for task in tasks:
            sent: Task = pickle.loads(pickle.dumps(task))
            self.asked.append(sent)
            yield [pickle.loads(pickle.dumps(self._result(sent)))]

    def _result(self, task: Task) -> Result:
        path = task.address.path
        assert path is not None
        if path.endswith(b"bad.png"):
            return Failed(task, "this machine is out of paper", transient=True)
        data = Path(path.decode()).read_bytes()
        image = read_image(str(task.address), data, ColourEmbedder.input_shape, ReadLimits())
        vector: Vectors = np.array([0.6, 0, 0.8], np.float32)  # none that the model would give
        return Embedded(task, image.columns(), vector)


def test_sync_takes_any_runner(tmp_path: Path) -> None:
    desk, runner = Desk(tmp_path), Elsewhere()
    desk.add("a.png", RED)
    (desk.photos / "a.txt").write_text("a red wall")
    desk.add("bad.png", BLUE)
    desk.add("c.png", GREEN, size=(6, 3))
    report = sync(
        desk.lake, lambda _: desk.model, add=[SourceEntry(str(desk.photos))], runner=runner
    )
    assert (report.new, report.rows, report.skipped) == (2, 2, 1)
    assert report.newly_skipped == [(f"{desk.photos}/bad.png", "this machine is out of paper")]
    rows = desk.rows()
    assert {name: (row["row_id"], row["vector"]) for name, row in rows.items()} == {
        "a.png": (1, [0.6, 0, 0.8]),
        "c.png": (2, [0.6, 0, 0.8]),
    }
    assert (rows["a.png"]["caption"], rows["c.png"]["width_px"]) == ("a red wall", 6)
    assert desk.model.calls == []  # nothing was embedded here
    a, _, c = runner.asked
    assert (a.address, c.address) == (
        Address(f"{desk.photos}/a.png"),
        Address(f"{desk.photos}/c.png"),
    )
    assert c.columns == {
        "source": str(desk.photos),
        "size_bytes": len(png(GREEN, (6, 3))),
        "modified": LONG_AGO_S * 1_000_000,
        "etag": None,
        "columns_etag": None,
    }
    assert a.columns["caption"] == "a red wall"
    # what failed for a passing reason is asked for again, of whoever runs next
    assert desk.sync().new == 1


def test_a_runner_that_fails_ends_the_run_and_sync_goes_on(tmp_path: Path) -> None:
    class Broken(Elsewhere):
        def run(self, tasks: Iterable[Task]) -> Iterator[list[Result]]:
            results = super().run(tasks)
            yield next(results)
            raise LakeError("the other machine went away")

    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    desk.add("b.png", GREEN)
    with pytest.raises(LakeError, match="the other machine went away"):
        sync(desk.lake, lambda _: desk.model, add=[SourceEntry(str(desk.photos))], runner=Broken())
    assert (desk.sync().new, desk.ids()) == (2, {"a.png": 1, "b.png": 2})


def test_a_row_has_every_column_that_can_be_known() -> None:
    address = Address("/a.tar", member="x.png", offset=512, length=70)
    file = ImageFile(address, 70, 5_000_000, "tag", "mark")
    image = read_image("x", png(RED, (6, 3)), ColourEmbedder.input_shape, ReadLimits())
    task = Task.of(file, "/a.tar", {"caption": "red", "ward": 3})
    row = Embedded(task, image.columns(), np.zeros(3, np.float32)).row
    assert set(row) == {*ROW_SCHEMA.names, "ward"} - {"row_id"}
    assert (row["uri"], row["member"], row["offset"], row["length"]) == (
        "/a.tar",
        "x.png",
        512,
        70,
    )
    assert (row["modified"], row["ward"], row["width_px"]) == (5_000_000, 3, 6)


class Slow:
    """A source whose sidecars take long; the first is only read once others were asked for."""

    uri = "/slow"

    def __init__(self) -> None:
        self.others = threading.Event()

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        for number in range(3 * AHEAD):
            mark = None if number % 3 == 2 else "mark"
            yield ImageFile(Address(f"/slow/{number:03d}.png"), 1, None, None, mark)

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        if file.uri.endswith("000.png"):
            assert self.others.wait(10)
        else:
            self.others.set()
        return {"caption": file.uri}


def test_sidecars_are_read_ahead_and_tasks_stay_in_order() -> None:
    source = Slow()
    files = list(source.files(Listing()))
    with ThreadPoolExecutor(2) as readers:
        tasks = list(with_columns(((file, source) for file in files), readers))
    assert [task.address for task in tasks] == [file.address for file in files]
    for file, task in zip(files, tasks, strict=True):
        expected = None if file.columns_etag is None else file.uri
        assert task.columns.get("caption") == expected


def test_tasks_without_sidecars_wait_for_nothing() -> None:
    def files() -> Iterator[tuple[ImageFile, Slow]]:
        yield ImageFile(Address("/slow/a.png"), 1, None, None, None), Slow()
        raise AssertionError("a second file was asked for")

    with ThreadPoolExecutor(1) as readers:
        assert next(with_columns(files(), readers)).address == Address("/slow/a.png")
