"""Reading, decoding and embedding at once, in bounded memory: images come out in the order they went in.

    tasks -> [reader threads: bytes of remote images, sidecars] -> [decoder processes] -> batches -> encoder

Order is kept so that a run that was interrupted and continued gives the same row ids as one that was not. The window
between feeder and encoder holds a few batches; images of remote sources also count against a budget of bytes.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from indexer.decoder import Decoder, ReadSettings
from indexer.embed import Embedder, Pixels, Vectors
from indexer.errors import LakeError, ModelUnavailable, UnreadableImage
from indexer.images import ReadImage
from indexer.sources import ColumnValue, ImageFile, Source

BYTES_ON_THE_WAY = 256_000_000  # of remote images, read and not yet decoded
_END = None


@dataclass(frozen=True, slots=True)
class Task:
    """One image to index."""

    file: ImageFile
    source: Source


@dataclass(frozen=True, slots=True)
class Embedded:
    task: Task
    image: ReadImage
    columns: Mapping[str, ColumnValue]
    vector: Vectors  # (dim,), unit length


@dataclass(frozen=True, slots=True)
class Failed:
    task: Task
    error: UnreadableImage


Result = Embedded | Failed
_Decoded = tuple[Task, "Future[tuple[ReadImage, Mapping[str, ColumnValue]]]"]


def default_decoders() -> int:
    """One decoder a core that this process may use, at most 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


class Pipeline:
    """Threads and processes of one run. Use as a context manager; leaving it stops them all."""

    def __init__(
        self, embedder: Embedder, settings: ReadSettings, *, decoders: int, readers: int, batch_size: int
    ) -> None:
        self._embedder = embedder
        self._settings = settings
        self._batch_size = batch_size
        self._window: queue.Queue[_Decoded | BaseException | None] = queue.Queue(
            maxsize=4 * batch_size + 2 * decoders
        )
        self._readers = ThreadPoolExecutor(readers, "reader")
        self._decoders = ThreadPoolExecutor(decoders, "decoder")
        self._local = threading.local()
        self._all_decoders: list[Decoder] = []
        self._budget = _ByteBudget(BYTES_ON_THE_WAY)
        self._stopping = threading.Event()
        self._feeder: threading.Thread | None = None

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop feeding, let nothing new start, end the decoders."""
        self._stopping.set()
        self._budget.open()
        while self._feeder is not None and self._feeder.is_alive():
            _drain(self._window)
            self._feeder.join(0.05)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._decoders.shutdown(wait=False, cancel_futures=True)
        for decoder in self._all_decoders:
            decoder.stop()
        self._decoders.shutdown(wait=True)
        for decoder in self._all_decoders:
            decoder.close()

    def run(self, tasks: Iterable[Task]) -> Iterator[list[Result]]:
        """Embed the images of tasks; results come a batch at a time, in the order of tasks.

        :raises LakeError: if the encoder fails on any image at all, which is no image's fault.
        """
        self._feeder = threading.Thread(target=self._feed, args=(iter(tasks),), daemon=True)
        self._feeder.start()
        batch: list[tuple[Task, ReadImage, Mapping[str, ColumnValue]] | Failed] = []
        decoded = 0
        while (item := self._window.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            task, future = item
            try:
                batch.append((task, *future.result()))
                decoded += 1
            except UnreadableImage as error:
                batch.append(Failed(task, error))
            if decoded == self._batch_size or len(batch) == 4 * self._batch_size:
                yield self._embed(batch)
                batch, decoded = [], 0
        if batch:
            yield self._embed(batch)

    def _feed(self, tasks: Iterator[Task]) -> None:
        try:
            for task in tasks:
                if self._stopping.is_set():
                    return
                self._window.put((task, self._submit(task)))
            self._window.put(_END)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            self._window.put(error)

    def _submit(self, task: Task) -> Future[tuple[ReadImage, Mapping[str, ColumnValue]]]:
        local = task.source.is_local
        if local and task.file.columns_etag is None:
            return self._decoders.submit(self._decode, task, None)
        held = 0 if local else min(task.file.size_bytes, self._settings.limits.max_bytes)
        self._budget.take(held)
        return self._decoders.submit(self._decode, task, self._readers.submit(self._read, task), held)

    def _read(self, task: Task) -> tuple[bytes | None, Mapping[str, ColumnValue]]:
        columns = task.source.columns(task.file)
        if task.source.is_local:
            return None, columns
        return task.source.read(task.file, self._settings.limits.max_bytes), columns

    def _decode(
        self,
        task: Task,
        reading: Future[tuple[bytes | None, Mapping[str, ColumnValue]]] | None,
        held: int = 0,
    ) -> tuple[ReadImage, Mapping[str, ColumnValue]]:
        try:
            data, columns = reading.result() if reading is not None else (None, {})
            path = local_path(task.file) if data is None else None
            return self._decoder().decode(task.file.uri, path, data), columns
        finally:
            self._budget.give(held)

    def _decoder(self) -> Decoder:
        if not hasattr(self._local, "decoder"):
            self._local.decoder = Decoder(self._settings)
            self._all_decoders.append(self._local.decoder)
        decoder: Decoder = self._local.decoder
        return decoder

    def _embed(
        self, batch: Sequence[tuple[Task, ReadImage, Mapping[str, ColumnValue]] | Failed]
    ) -> list[Result]:
        read = [item for item in batch if not isinstance(item, Failed)]
        vectors = iter(embed_batch(self._embedder, [image.pixels for _, image, _ in read]))
        results: list[Result] = []
        for item in batch:
            if isinstance(item, Failed):
                results.append(item)
                continue
            task, image, columns = item
            vector = next(vectors)
            if isinstance(vector, str):
                results.append(Failed(task, UnreadableImage(task.file.uri, vector)))
            else:
                results.append(Embedded(task, image, columns, vector))
        return results


def local_path(file: ImageFile) -> bytes:
    return file.path_bytes if file.path_bytes is not None else os.fsencode(file.uri)


def embed_batch(embedder: Embedder, images: Sequence[Pixels]) -> list[Vectors | str]:
    """A vector for each image, or the reason why there is none: where a batch fails, its images are tried one by one.

    :raises LakeError: if the model fails on a plain picture too: then it is the model that is broken, no image.
    """
    if not images:
        return []
    try:
        return _checked(embedder.embed_images(images), len(images), embedder.dim)
    except ModelUnavailable:  # it says itself what is wrong, and a grey image would not find out more
        raise
    except Exception as error:
        reason = _brief(error)
        if not _works(embedder):
            raise LakeError(
                f"the model {embedder.model_id} fails on every image, even on a plain grey one: {reason}; "
                "`lakesift doctor` checks model and machine"
            ) from error
    if len(images) == 1:
        told = f"the model {embedder.model_id} failed on it"
        # A model that is shared by several callers says it already.
        return [reason if reason.startswith(told) else f"{told} ({reason})"]
    return [embed_batch(embedder, [image])[0] for image in images]


def _works(embedder: Embedder) -> bool:
    shape = embedder.input_shape
    grey = np.full((shape.height_px, shape.width_px, 3), 128, np.uint8)
    try:
        _checked(embedder.embed_images([grey]), 1, embedder.dim)
    except Exception:  # noqa: BLE001 - whatever a model raises
        return False
    return True


def _checked(vectors: Vectors, count: int, dim: int) -> list[Vectors | str]:
    if vectors.shape != (count, dim):
        raise LakeError(
            f"it returned vectors of shape {vectors.shape} for {count} images of {dim} dimensions"
        )
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.all(np.abs(lengths - 1) < 1e-3):  # NaN fails this comparison too
        raise LakeError("it returned a vector that is not finite or not of unit length")
    return list(vectors)


def _brief(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__


def _drain(window: queue.Queue[_Decoded | BaseException | None]) -> None:
    try:
        while True:
            window.get_nowait()
    except queue.Empty:
        pass


class _ByteBudget:
    """Lets at most so many bytes be on their way; a single larger image passes alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._open = False
        self._changed = threading.Condition()

    def take(self, amount: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._used == 0 or self._used + amount <= self._size)
            self._used += amount

    def give(self, amount: int) -> None:
        with self._changed:
            self._used -= amount
            self._changed.notify_all()

    def open(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()
