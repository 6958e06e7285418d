"""One model, many callers: texts and images that arrive at the
same time share a batch; recent vectors are kept.

A `SharedEmbedder` is an `Embedder`, so search does not know that it has one. Knows no HTTP and no
lake.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import InputShape, Pixels, Vectors
from indexer.embed import Embedder, Reading, ReadsEnglish
from indexer.errors import ModelUnavailable
from indexer.run.embedding.pipeline import embed_batch

Kind = Literal["text", "image"]
KEPT_VECTORS = 8_192  # 17 MB at 512 dimensions
END_WITHIN_S = 3.0
EMBED_TIMEOUT_S = 60.0
_Vector = NDArray[np.float32]  # (dim,)


@dataclass(frozen=True, slots=True)
class _Order:
    item: str | Pixels
    done: Future[_Vector]

    @property
    def kind(self) -> Kind:
        return "text" if isinstance(self.item, str) else "image"


class SharedEmbedder:
    """Wraps a model that is not safe to call from several threads,
    or not fast when called with one item at a time.

    One thread calls the model. While it is busy, what arrives waits and becomes the next batch, so
    that batches grow with the load and nobody waits for a timer. An image that the model refuses
    fails alone.
    """

    def __init__(
        self,
        model: Embedder,
        *,
        keep: int = KEPT_VECTORS,
        timeout_s: float = EMBED_TIMEOUT_S,
        batched: Callable[[Kind, int], None] = lambda kind, size: None,
        looked_up: Callable[[Kind, bool], None] = lambda kind, found: None,
    ) -> None:
        """:param keep: how many vectors stay at hand, the least recently used going first.
        :param timeout_s: to wait for a vector; what nobody waits for any more is not embedded.
        :param batched: told the kind and size of every batch; looked_up: of every item, whether its
            vector was kept.
        """
        self._model = model
        self._keep = keep
        self._timeout_s = timeout_s
        self._batched = batched
        self._looked_up = looked_up
        self._kept: OrderedDict[bytes, _Vector] = OrderedDict()
        self._lock = threading.Lock()
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        # taken from the queue, of another kind than the batch before it
        self._held: _Order | None = None
        self._thread = threading.Thread(target=self._work, name="embedder", daemon=True)
        self._thread.start()

    @property
    def model_id(self) -> str:
        return self._model.model_id

    @property
    def fingerprint(self) -> dict[str, str | int]:
        return self._model.fingerprint

    @property
    def dim(self) -> int:
        return self._model.dim

    @property
    def input_shape(self) -> InputShape:
        return self._model.input_shape

    @property
    def batch_size(self) -> int:
        return self._model.batch_size

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """float32, (n, dim), unit rows.

        :raises ModelUnavailable: if it takes longer than timeout_s.
        """
        return self._embed("text", [(_key_of_text(text), text) for text in texts])

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """float32, (n, dim), unit rows.

        :raises ValueError: with the reason, if the model refuses one of them.
        """
        return self._embed("image", [(_key_of_pixels(image), image) for image in images])

    def read(self, text: str) -> Reading | None:
        """What the model makes of a text; None if it cannot tell."""
        return self._model.read(text) if isinstance(self._model, ReadsEnglish) else None

    def works(self, timeout_s: float) -> bool:
        """Whether the model embeds a text now; a vector that was kept does not count."""
        order = _Order("a photo", Future())
        self._orders.put(order)
        try:
            order.done.result(timeout_s)
        except Exception:  # noqa: BLE001 - whatever a model raises, it does not work
            order.done.cancel()
            return False
        return True

    def close(self) -> None:
        """Finish what was ordered, then end the thread;
        one that does not end soon ends with the process.
        """
        self._orders.put(None)
        self._thread.join(END_WITHIN_S)

    def _embed(self, kind: Kind, items: Sequence[tuple[bytes, str | Pixels]]) -> Vectors:
        waiting: list[_Vector | Future[_Vector]] = []
        for key, item in items:
            kept = self._find(key)
            self._looked_up(kind, kept is not None)
            if kept is not None:
                waiting.append(kept)
                continue
            order = _Order(item, Future())
            self._orders.put(order)
            waiting.append(order.done)
        vectors = []
        for (key, _), vector in zip(items, waiting, strict=True):
            if isinstance(vector, Future):
                vector = self._waited_for(vector, waiting)
                self._remember(key, vector)
            vectors.append(vector)
        return np.stack(vectors) if vectors else np.empty((0, self.dim), np.float32)

    def _waited_for(
        self, order: Future[_Vector], all_orders: Sequence[_Vector | Future[_Vector]]
    ) -> _Vector:
        try:
            return order.result(self._timeout_s)
        except FutureTimeout:
            for other in all_orders:
                if isinstance(other, Future):
                    other.cancel()
            reason = f"it did not answer within {self._timeout_s:g} s, it has too much to do; try again later"
            raise ModelUnavailable(self.model_id, reason) from None

    def _find(self, key: bytes) -> _Vector | None:
        with self._lock:
            vector = self._kept.get(key)
            if vector is not None:
                self._kept.move_to_end(key)
            return vector

    def _remember(self, key: bytes, vector: _Vector) -> None:
        with self._lock:
            self._kept[key] = vector
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)

    def _work(self) -> None:
        while (taken := self._next_batch()) is not None:
            orders = [order for order in taken if order.done.set_running_or_notify_cancel()]
            if not orders:
                continue
            self._batched(orders[0].kind, len(orders))
            try:
                answers = self._call(orders)
                if len(answers) != len(orders):
                    raise ValueError(
                        f"the model returned {len(answers)} vectors for {len(orders)} items"
                    )
            except Exception as error:  # noqa: BLE001 - handed to those who wait
                answers = [error] * len(orders)
            for order, answer in zip(orders, answers, strict=True):
                if isinstance(answer, Exception):
                    order.done.set_exception(answer)
                else:
                    order.done.set_result(answer)

    def _next_batch(self) -> list[_Order] | None:
        """What waits, up to the first of another kind or a full batch; None at the end."""
        first = self._held if self._held is not None else self._orders.get()
        self._held = None
        if first is None:
            return None
        batch = [first]
        while len(batch) < max(self.batch_size, 1):
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                break
            if order is None:
                self._orders.put(None)  # the end comes once this batch is done
                break
            if order.kind != first.kind:
                self._held = order
                break
            batch.append(order)
        return batch

    def _call(self, orders: Sequence[_Order]) -> Sequence[_Vector | Exception]:
        images = [order.item for order in orders if not isinstance(order.item, str)]
        if images:
            return [
                ValueError(v) if isinstance(v, str) else v for v in embed_batch(self._model, images)
            ]
        return self._call_texts([order.item for order in orders if isinstance(order.item, str)])

    def _call_texts(self, texts: Sequence[str]) -> Sequence[_Vector | Exception]:
        try:
            return list(self._model.embed_texts(texts))
        except Exception as error:  # noqa: BLE001 - handed to the one whose text it was
            return [error] if len(texts) == 1 else [self._call_texts([text])[0] for text in texts]


def _key_of_text(text: str) -> bytes:
    return b"t" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _key_of_pixels(pixels: Pixels) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(pixels).data)
    digest.update(repr(pixels.shape).encode())
    return b"i" + digest.digest()
