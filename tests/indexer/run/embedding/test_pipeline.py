from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.address import Address
from indexer.arrays import Pixels, Vectors
from indexer.config import ReadLimits
from indexer.errors import LakeError, UnreadableImage
from indexer.images.decoder import Decoder, ReadSettings
from indexer.images.shared_decoder import SHARED
from indexer.run.embedding import pipeline
from indexer.run.embedding.pipeline import Pipeline, _ByteBudget, embed_batch
from indexer.run.embedding.tasks import Embedded, Failed, Result, Task
from indexer.sources.bytes_of import BytesOf
from tests.fakes import ColourEmbedder
from tests.lakes import BLACK, BLUE, GREEN, RED, Desk, png

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"
)


class Shelf(BytesOf):
    """Images held in memory: name -> bytes, or the error that reading it raises."""

    def __init__(self, images: dict[str, bytes | UnreadableImage]) -> None:
        super().__init__()
        self.images = images

    def tasks(self) -> Iterator[Task]:
        for name, data in self.images.items():
            size_bytes = len(data) if isinstance(data, bytes) else 9
            columns = {"caption": f"of {name}", "size_bytes": size_bytes}
            yield Task(Address(f"{SHELF}{name}"), columns)

    def read(
        self,
        address: Address,
        max_bytes: int,
        *,
        size_bytes: int = 0,
        seeks: Path | None = None,
    ) -> bytes:
        data = self.images[name_of(address)]
        if isinstance(data, UnreadableImage):
            raise data
        return data


SHELF = "shelf://"


def name_of(address: Address) -> str:
    return address.uri.removeprefix(SHELF)


class Faulty(ColourEmbedder):
    """A model whose vectors are spoilt by a function of the images and the right vectors."""

    def __init__(self, spoil: Callable[[Sequence[Pixels], Vectors], Vectors]) -> None:
        super().__init__()
        self.spoil = spoil

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        return self.spoil(images, super().embed_images(images))


def settings(limits: ReadLimits | None = None) -> ReadSettings:
    return ReadSettings(ColourEmbedder.input_shape, limits or ReadLimits())


def run(shelf: Shelf, model: ColourEmbedder, decoders: int = 2) -> list[list[Result]]:
    with pipeline_of(shelf, model, decoders=decoders) as pipeline:
        return list(pipeline.run(shelf.tasks()))


def pipeline_of(
    shelf: Shelf, model: ColourEmbedder, *, decoders: int = 1, readers: int = 4
) -> Pipeline:
    return Pipeline(
        model,
        settings(),
        decoders=decoders,
        readers=readers,
        batch_size=model.batch_size,
        bytes_of=shelf,
    )


def told(results: Sequence[Result]) -> list[tuple[str, Any]]:
    """(name, vector or reason) of each."""
    return [
        (
            name_of(r.task.address),
            r.reason if isinstance(r, Failed) else [round(x, 3) for x in r.vector.tolist()],
        )
        for r in results
    ]


def pictures(*colours: tuple[int, int, int]) -> list[Pixels]:
    return [np.full((8, 8, 3), colour, np.uint8) for colour in colours]


# order, batches, failures


def test_images_come_out_in_the_order_they_went_in_a_batch_at_a_time() -> None:
    sizes = [900, 4, 300, 4, 600, 4, 4, 500, 4, 4, 700]  # small ones overtake in the decoders
    shelf = Shelf({f"{n:02d}": png((n, 0, 255), (size, size)) for n, size in enumerate(sizes)})
    model = ColourEmbedder(batch_size=4)
    batches = run(shelf, model)
    assert [[name_of(r.task.address) for r in batch] for batch in batches] == [
        ["00", "01", "02", "03"],
        ["04", "05", "06", "07"],
        ["08", "09", "10"],
    ]
    assert model.calls == [4, 4, 3]
    for number, result in enumerate(r for batch in batches for r in batch):
        assert isinstance(result, Embedded)
        assert result.image["width_px"] == sizes[number]
        assert result.row["caption"] == f"of {number:02d}"
        assert np.allclose(
            result.vector, np.array([number, 0, 255]) / np.hypot(number, 255), atol=1e-6
        )


def test_a_failing_image_fails_alone_wherever_it_fails() -> None:
    gone = UnreadableImage("gone", "the store did not answer in time", transient=True)
    shelf = Shelf(
        {
            "red": png(RED),
            "gone": gone,
            "broken": b"no",
            "black": png(BLACK),
            "empty": b"",
            "blue": png(BLUE),
        }
    )
    [results] = run(shelf, ColourEmbedder())
    assert told(results) == [
        ("red", [1, 0, 0]),
        ("gone", "the store did not answer in time"),
        ("broken", "not an image that Pillow or HEIF can open"),
        ("black", "the model colours failed on it (black has no colour)"),
        ("empty", "empty file"),
        ("blue", [0, 0, 1]),
    ]
    assert [r.transient for r in results if isinstance(r, Failed)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_batch_of_nothing_but_failing_images_is_no_fault_of_the_model() -> None:
    assert (
        embed_batch(ColourEmbedder(), pictures(BLACK, BLACK))
        == ["the model colours failed on it (black has no colour)"] * 2
    )
    shelf = Shelf({str(n): b"no" for n in range(40)})
    model = ColourEmbedder(batch_size=2)
    batches = run(shelf, model)
    assert [len(batch) for batch in batches] == [8, 8, 8, 8, 8]  # reported four batches at a time
    assert model.calls == []


def test_a_model_that_fails_on_everything_ends_the_run_with_one_sentence() -> None:
    def spoil(images: Sequence[Pixels], vectors: Vectors) -> Vectors:
        raise RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA")

    sentence = (
        "the model colours fails on every image, even on a plain grey one: CUDA error: out of memory; "
        "`lakesift doctor` checks model and machine"
    )
    for count in (1, 3):
        with pytest.raises(LakeError) as caught:
            run(Shelf({str(n): png(RED) for n in range(count)}), Faulty(spoil))
        assert str(caught.value) == sentence


def test_a_vector_that_is_not_finite_costs_only_its_image() -> None:
    def spoil(images: Sequence[Pixels], vectors: Vectors) -> Vectors:
        vectors[[image[0, 0, 0] == 255 for image in images]] = np.nan
        return vectors

    red, blue = embed_batch(Faulty(spoil), pictures(RED, BLUE))
    assert (
        red
        == "the model colours failed on it (it returned a vector that is not finite or not of unit length)"
    )
    assert isinstance(blue, np.ndarray)
    assert blue.tolist() == [0, 0, 1]


def test_vectors_of_another_length_or_number_are_the_models_fault() -> None:
    for spoil, what in (
        (
            lambda images, vectors: vectors * 2,
            "it returned a vector that is not finite or not of unit length",
        ),
        (
            lambda images, vectors: vectors[:0],
            "it returned vectors of shape (0, 3) for 2 images of 3 dimensions",
        ),
    ):
        with pytest.raises(LakeError) as caught:
            embed_batch(Faulty(spoil), pictures(RED, BLUE))
        assert f"even on a plain grey one: {what}; " in str(caught.value)


def test_an_error_of_the_listing_reaches_the_caller() -> None:
    def tasks() -> Iterator[Task]:
        yield from shelf.tasks()
        raise OSError("the disk went away")

    shelf = Shelf({"red": png(RED)})
    with (
        pipeline_of(shelf, ColourEmbedder(8), readers=1) as pipeline,
        pytest.raises(OSError, match="the disk went away"),
    ):
        list(pipeline.run(tasks()))


# memory


def test_the_window_bounds_how_far_reading_runs_ahead() -> None:
    shelf = Shelf({f"{n:03d}": png(RED) for n in range(300)})
    fed: list[str] = []
    before = set(threading.enumerate())

    def tasks() -> Iterator[Task]:
        for task in shelf.tasks():
            fed.append(name_of(task.address))
            yield task

    with pipeline_of(shelf, ColourEmbedder(5)) as pipeline:
        batches = pipeline.run(tasks())
        next(batches)
        time.sleep(0.3)
        # one batch out, 4 batches and 2 images a decoder in the window, one in the feeder's hand
        assert len(fed) <= 5 + (4 * 5 + 2) + 1
    assert len(set(threading.enumerate()) - before) < 10
    assert len(fed) < 40


def test_the_byte_budget_makes_the_feeder_wait() -> None:
    budget = _ByteBudget(100)
    budget.take(60)
    budget.take(40)
    passed = threading.Event()

    def feeder() -> None:
        budget.take(30)
        passed.set()

    thread = threading.Thread(target=feeder)
    thread.start()
    assert not passed.wait(0.1)
    budget.give(20)  # 80 are out: 30 do not fit yet
    assert not passed.wait(0.1)
    budget.give(10)
    assert passed.wait(5)
    thread.join()


def test_an_image_over_the_budget_passes_alone() -> None:
    budget = _ByteBudget(100)
    budget.take(500)
    passed = threading.Event()

    def feeder() -> None:
        budget.take(1)
        passed.set()

    thread = threading.Thread(target=feeder)
    thread.start()
    assert not passed.wait(0.1)
    budget.give(500)
    assert passed.wait(5)
    thread.join()


def test_an_opened_budget_lets_everything_pass() -> None:
    budget = _ByteBudget(1)
    budget.take(1)
    thread = threading.Thread(target=budget.take, args=(1_000,))
    thread.start()
    budget.open()
    thread.join(5)
    assert not thread.is_alive()


# decoders that crash or hang


@pytest.fixture(autouse=True)
def no_decoder_of_earlier_tests() -> None:
    SHARED.end()


def children(parent: int) -> dict[int, str]:
    """pid -> state letter of the decoders that this process started."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(ppid) == parent and b"indexer.images.decoder" in command and state != "Z":
            found[int(folder.name)] = state
    return found


def wait_until(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


class Signaller(ColourEmbedder):
    """Sends a signal to the run's decoders while they decode what comes after the first batch."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(batch_size=1)
        self.number = number

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        if not self.calls:
            for pid in children(os.getpid()):
                os.kill(pid, self.number)
        return super().embed_images(images)


SLOW = png((9, 200, 9), (3000, 3000))  # takes a decoder long enough to be met at it


@needs_proc
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSEGV, "its decoder crashed (SIGSEGV)"),
        (signal.SIGKILL, "its decoder crashed (SIGKILL)"),
        (signal.SIGSTOP, "decoding took longer than 2 s and was stopped"),
    ],
)
def test_a_decoder_that_crashes_or_hangs_costs_only_its_image(
    tmp_path: Path, number: signal.Signals, reason: str
) -> None:
    desk = Desk(tmp_path, Signaller(number))
    desk.add("a.png", RED)
    (desk.photos / "b.png").write_bytes(SLOW)
    desk.add("c.png", BLUE)
    desk.add("d.png", GREEN)
    report = desk.index(limits=ReadLimits(decode_timeout_s=2.0))
    assert report.newly_skipped == [(f"{desk.photos}/b.png", reason)]
    assert {name: row["vector"] for name, row in desk.rows().items()} == {
        "a.png": [1, 0, 0],
        "c.png": [0, 0, 1],
        "d.png": [0, 1, 0],
    }
    assert children(os.getpid()) == {}
    desk.model = ColourEmbedder()
    assert desk.sync(retry_skipped=True).new == 1


@needs_proc
def test_a_decoder_that_died_idle_is_replaced() -> None:
    decoder = Decoder(settings())
    try:
        assert decoder.decode("x", None, png(RED)).pixels[0, 0].tolist() == [255, 0, 0]
        [pid] = children(os.getpid())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not children(os.getpid()))
        with pytest.raises(UnreadableImage) as caught:
            decoder.decode("y", None, png(BLUE))
        assert str(caught.value) == "y: its decoder crashed (SIGKILL)"
        assert decoder.decode("y", None, png(BLUE)).pixels[0, 0].tolist() == [0, 0, 255]
    finally:
        decoder.close()
    assert children(os.getpid()) == {}


def test_decoders_that_do_not_run_at_all_fail_the_run_and_skip_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    desk.add("b.png", BLUE)
    with monkeypatch.context() as broken:
        broken.setattr(pipeline, "Decoder", partial(Decoder, module="indexer.no_such_module"))
        with pytest.raises(LakeError) as caught:
            desk.index()
    assert str(caught.value) == (
        "no image can be decoded on this machine, not even a grey pixel: its decoder crashed (exit code 1); look for a "
        "limit on memory or processes, or install lakesift anew"
    )
    assert desk.skipped() == {}
    assert desk.sync().new == 2


def test_leaving_the_pipeline_early_ends_its_decoders() -> None:
    shelf = Shelf({str(n): png(RED, (1500, 1500)) for n in range(60)})
    with pipeline_of(shelf, ColourEmbedder(2), decoders=2, readers=2) as pipeline:
        next(pipeline.run(shelf.tasks()))
    assert children(os.getpid()) == {} if Path("/proc").exists() else True


# the process itself is interrupted or killed

CHILD = """
import sys
from pathlib import Path
from indexer.disk.manifest import SourceEntry
from indexer.sync import sync
from tests.fakes import ColourEmbedder
sync(Path(sys.argv[1]), lambda manifest: ColourEmbedder(1), add=[SourceEntry(sys.argv[2])])
"""


@needs_proc
def test_decoders_die_with_their_parent(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(200):
        desk.add(f"{number:03d}.png", RED, size=(800, 800))
    run = subprocess.Popen([sys.executable, "-c", CHILD, str(desk.lake), str(desk.photos)])
    try:
        decoders = wait_until(lambda: children(run.pid))
    finally:
        run.kill()
        run.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in decoders), 10)


@needs_proc
def test_ctrl_c_stops_the_command_cleanly_and_sync_goes_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(200):
        desk.add(f"{number:03d}.png", (number % 256, 200, number // 2), size=(64, 64))
    environment = {**os.environ, "LAKESIFT_COMMIT_ROWS": "10", "LAKESIFT_BATCH_SIZE": "4"}
    command = [
        sys.executable,
        "-m",
        "service.cli",
        "index",
        str(desk.photos),
        "--into",
        str(desk.lake),
    ]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(
            lambda: desk.lake.joinpath("manifest.json").exists() and desk.manifest.live_rows, 60
        )
        decoders = children(run.pid)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130
    assert "lakesift: stopping after what is under way; once more to stop at once" in said
    assert f"go on with: lakesift sync {desk.lake}" in said
    assert "Traceback" not in said
    before = desk.rows()
    assert 0 < len(before) < 200
    assert not any(Path(f"/proc/{pid}").exists() for pid in decoders)
    command = [sys.executable, "-m", "service.cli", "sync", str(desk.lake)]
    assert subprocess.run(command, stderr=subprocess.PIPE, env=environment).returncode == 0
    after = desk.rows()
    assert {name: row["row_id"] for name, row in after.items()} == {
        f"{n:03d}.png": n + 1 for n in range(200)
    }
    assert {name: after[name] for name in before} == before
