from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.config import ReadLimits
from indexer.decoder import Decoder, ReadSettings
from indexer.embed import Pixels, Vectors
from indexer.errors import LakeError, UnreadableImage
from indexer.pipeline import Embedded, Failed, Pipeline, Result, Task, _ByteBudget, embed_batch
from indexer.sources import ColumnValue, ImageFile, Listing
from tests.fakes import ColourEmbedder
from tests.lakes import BLACK, BLUE, GREEN, RED, Desk, png

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@dataclass
class Shelf:
    """A source of images held in memory: uri -> bytes, or the error that reading it raises."""

    images: dict[str, bytes | UnreadableImage]
    is_local: bool = False
    uri: str = "shelf://"

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        for uri, data in self.images.items():
            yield ImageFile(
                uri, None, len(data) if isinstance(data, bytes) else 9, None, None, columns_etag=None
            )

    def read(self, file: ImageFile, max_bytes: int) -> bytes:
        data = self.images[file.uri]
        if isinstance(data, UnreadableImage):
            raise data
        return data

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return {"caption": f"of {file.uri}"}


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
    tasks = [Task(file, shelf) for file in shelf.files(Listing())]
    with Pipeline(model, settings(), decoders=decoders, readers=4, batch_size=model.batch_size) as pipeline:
        return list(pipeline.run(tasks))


def told(results: Sequence[Result]) -> list[tuple[str, Any]]:
    """(uri, vector or reason) of each."""
    return [
        (
            r.task.file.uri,
            r.error.reason if isinstance(r, Failed) else [round(x, 3) for x in r.vector.tolist()],
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
    assert [[r.task.file.uri for r in batch] for batch in batches] == [
        ["00", "01", "02", "03"],
        ["04", "05", "06", "07"],
        ["08", "09", "10"],
    ]
    assert model.calls == [4, 4, 3]
    for number, result in enumerate(r for batch in batches for r in batch):
        assert isinstance(result, Embedded)
        assert result.image.width_px == sizes[number]
        assert result.columns == {"caption": f"of {number:02d}"}
        assert np.allclose(result.vector, np.array([number, 0, 255]) / np.hypot(number, 255), atol=1e-6)


def test_a_failing_image_fails_alone_wherever_it_fails() -> None:
    gone = UnreadableImage("gone", "the store did not answer in time", transient=True)
    shelf = Shelf(
        {"red": png(RED), "gone": gone, "broken": b"no", "black": png(BLACK), "empty": b"", "blue": png(BLUE)}
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
    assert [r.error.transient for r in results if isinstance(r, Failed)] == [True, False, False, False]


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
        yield from (Task(file, shelf) for file in shelf.files(Listing()))
        raise OSError("the disk went away")

    shelf = Shelf({"red": png(RED)})
    with (
        Pipeline(ColourEmbedder(), settings(), decoders=1, readers=1, batch_size=8) as pipeline,
        pytest.raises(OSError, match="the disk went away"),
    ):
        list(pipeline.run(tasks()))


# memory


def test_the_window_bounds_how_far_reading_runs_ahead() -> None:
    shelf = Shelf({f"{n:03d}": png(RED) for n in range(300)})
    fed: list[str] = []

    def tasks() -> Iterator[Task]:
        for file in shelf.files(Listing()):
            fed.append(file.uri)
            yield Task(file, shelf)

    with Pipeline(ColourEmbedder(), settings(), decoders=1, readers=4, batch_size=5) as pipeline:
        batches = pipeline.run(tasks())
        next(batches)
        time.sleep(0.3)
        # one batch out, 4 batches and 2 images a decoder in the window, one in the feeder's hand
        assert len(fed) <= 5 + (4 * 5 + 2) + 1
    assert threading.active_count() < 10
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
        if int(ppid) == parent and b"indexer.decoder" in command and state != "Z":
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


def test_leaving_the_pipeline_early_ends_its_decoders() -> None:
    shelf = Shelf({str(n): png(RED, (1500, 1500)) for n in range(60)})
    with Pipeline(ColourEmbedder(2), settings(), decoders=2, readers=2, batch_size=2) as pipeline:
        next(pipeline.run(Task(file, shelf) for file in shelf.files(Listing())))
    assert children(os.getpid()) == {} if Path("/proc").exists() else True


# the process itself is interrupted or killed

CHILD = """
import sys
from pathlib import Path
from indexer import manifest, sync
from tests.fakes import ColourEmbedder
sync.sync(Path(sys.argv[1]), lambda manifest: ColourEmbedder(1), add=[manifest.SourceEntry(sys.argv[2])])
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
    command = [sys.executable, "-m", "service.cli", "index", str(desk.photos), "--into", str(desk.lake)]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: desk.lake.joinpath("manifest.json").exists() and desk.manifest.live_rows, 60)
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
    assert {name: row["row_id"] for name, row in after.items()} == {f"{n:03d}.png": n + 1 for n in range(200)}
    assert {name: after[name] for name in before} == before
