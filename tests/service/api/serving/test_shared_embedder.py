"""One model shared by many threads: batches form under load,
vectors are kept, and a bad item fails alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexer.arrays import Vectors
from indexer.errors import ModelUnavailable
from service.api.serving.shared_embedder import SharedEmbedder
from tests.fakes import ColourEmbedder


class SlowToStart(ColourEmbedder):
    """Its first call waits for a sign, so that a test can let callers gather behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.batches: list[list[str]] = []

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        assert self.go_on.wait(10)
        return super().embed_texts(texts)


@pytest.fixture
def slow() -> Iterator[tuple[SlowToStart, SharedEmbedder]]:
    model = SlowToStart()
    shared = SharedEmbedder(model)
    yield model, shared
    model.go_on.set()
    shared.close()


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen within 10 s")


def test_what_arrives_while_the_model_is_busy_is_one_batch(
    slow: tuple[SlowToStart, SharedEmbedder],
) -> None:
    model, shared = slow
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(shared.embed_texts, ["red"])
        wait_until(lambda: model.batches == [["red"]])
        later = [
            pool.submit(shared.embed_texts, [colour]) for colour in ("green", "blue", "yellow")
        ]
        wait_until(lambda: shared._orders.qsize() == 3)
        model.go_on.set()
        assert first.result(10).tolist() == [[1, 0, 0]]
        assert [vector.result(10).tolist() for vector in later[:2]] == [[[0, 1, 0]], [[0, 0, 1]]]
        assert np.allclose(later[2].result(10), [[0.5**0.5, 0.5**0.5, 0]])
    assert len(model.batches) == 2
    assert sorted(model.batches[1]) == ["blue", "green", "yellow"]


def test_a_batch_is_never_larger_than_the_model_takes() -> None:
    model = SlowToStart()
    model.batch_size = 2
    shared = SharedEmbedder(model)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(shared.embed_texts, ["red"])]
        wait_until(lambda: len(model.batches) == 1)
        answers += [pool.submit(shared.embed_texts, [text]) for text in ("red", "green", "blue")]
        wait_until(lambda: shared._orders.qsize() == 3)
        model.go_on.set()
        assert [answer.result(10).shape for answer in answers] == [(1, 3)] * 4
    assert [len(batch) for batch in model.batches] == [1, 2, 1]
    shared.close()


def test_a_text_asked_twice_is_embedded_once_and_the_oldest_is_forgotten() -> None:
    found: list[bool] = []
    batches: list[int] = []
    shared = SharedEmbedder(
        ColourEmbedder(),
        keep=2,
        batched=lambda kind, size: batches.append(size),
        looked_up=lambda kind, kept: found.append(kept),
    )
    for text in (
        "red",
        "green",
        "red",
        "blue",
        "red",
        "green",
    ):  # blue drives green out, not the red just used
        shared.embed_texts([text])
    assert found == [False, False, True, False, True, False]
    assert batches == [1, 1, 1, 1]
    shared.close()


def test_a_text_and_an_image_with_the_same_vector_are_not_confused() -> None:
    shared = SharedEmbedder(ColourEmbedder())
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    blue = np.full((8, 8, 3), (0, 0, 255), np.uint8)
    assert shared.embed_images([red, blue]).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert shared.embed_texts(["green"]).tolist() == [[0, 1, 0]]
    assert shared.embed_images([blue]).tolist() == [[0, 0, 1]]
    assert shared.embed_images([]).shape == (0, 3)
    shared.close()


def test_an_image_the_model_refuses_fails_alone(slow: tuple[SlowToStart, SharedEmbedder]) -> None:
    model, shared = slow
    black = np.zeros((8, 8, 3), np.uint8)
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    with ThreadPoolExecutor(8) as pool:
        busy = pool.submit(shared.embed_texts, ["red"])
        wait_until(lambda: len(model.batches) == 1)
        poison = pool.submit(shared.embed_images, [black])
        good = pool.submit(shared.embed_images, [red])
        wait_until(lambda: shared._orders.qsize() == 2)
        model.go_on.set()
        busy.result(10)
        with pytest.raises(ValueError, match="black has no colour"):
            poison.result(10)
        assert good.result(10).tolist() == [[1, 0, 0]]


def test_a_text_the_model_refuses_fails_alone(slow: tuple[SlowToStart, SharedEmbedder]) -> None:
    model, shared = slow
    with ThreadPoolExecutor(8) as pool:
        busy = pool.submit(shared.embed_texts, ["red"])
        wait_until(lambda: len(model.batches) == 1)
        poison = pool.submit(shared.embed_texts, ["no colour"])
        good = pool.submit(shared.embed_texts, ["green"])
        wait_until(lambda: shared._orders.qsize() == 2)
        model.go_on.set()
        busy.result(10)
        with pytest.raises(KeyError):
            poison.result(10)
        assert good.result(10).tolist() == [[0, 1, 0]]


def test_it_says_whether_the_model_works_now() -> None:
    class Once(ColourEmbedder):
        broken = False

        def embed_texts(self, texts: Sequence[str]) -> Vectors:
            if self.broken:
                raise RuntimeError("out of memory")
            return super().embed_texts(["red" for _ in texts])

    model = Once()
    shared = SharedEmbedder(model)
    assert shared.works(10)
    model.broken = True
    assert not shared.works(10)
    model.broken = False
    assert shared.works(10)
    shared.close()


def test_who_waits_too_long_is_told_and_what_nobody_waits_for_is_not_embedded() -> None:
    model = SlowToStart()
    shared = SharedEmbedder(model, timeout_s=0.05)
    with pytest.raises(ModelUnavailable, match=r"^model colours: it did not answer within 0.05 s"):
        shared.embed_texts(["red"])
    with pytest.raises(ModelUnavailable):
        shared.embed_texts(["green", "yellow"])
    model.go_on.set()
    shared.close()  # once all that was ordered is done
    assert model.batches == [["red"]]


def test_a_model_that_returns_too_few_vectors_fails_and_the_next_call_goes_well() -> None:
    class Forgetful(ColourEmbedder):
        forgets = True

        def embed_texts(self, texts: Sequence[str]) -> Vectors:
            return super().embed_texts(texts[1:] if self.forgets else texts)

    model = Forgetful()
    shared = SharedEmbedder(model, timeout_s=10)
    with pytest.raises(ValueError, match=r"^the model returned 0 vectors for 1 items$"):
        shared.embed_texts(["red"])
    model.forgets = False
    assert shared.embed_texts(["red"]).tolist() == [[1, 0, 0]]
    shared.close()
