"""The runner of this machine: reading, decoding and embedding at once, in bounded memory.
Images come out in the order they went in.

    tasks -> [reader threads: what is no file of its own] -> [decoder processes] -> batches ->
    encoder

Order is kept so that a run that was interrupted and continued gives the same row ids as one that
was not. The window between feeder and encoder holds a few batches; what reader threads read also
counts against a budget of bytes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from indexer.arrays import Pixels, Vectors
from indexer.cores import usable_cores
from indexer.embed import Embedder
from indexer.errors import LakeError, ModelUnavailable, UnreadableImage
from indexer.images.decoder import Decoder, DecoderFailed, ReadSettings
from indexer.read_image import ReadImage
from indexer.run.embedding.tasks import Embedded, Failed, Result, Task
from indexer.sources.bytes_of import BytesOf
from indexer.sources.pace import Pace

BYTES_ON_THE_WAY = 256_000_000  # of images that are read and not yet decoded
_END = None
# One grey pixel, as PNG.
_GREY = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU"
    b"\x00\x00\x00\nIDATx\xdach\x00\x00\x00\x82\x00\x81\xdaE\x08;\x00\x00\x00\x00IEND\xaeB`\x82"
)


Read = tuple[Task, ReadImage] | Failed
_Decoded = tuple[Task, "Future[ReadImage]"]


def default_decoders() -> int:
    """One decoder a core that this process may use, at most 16."""
    return min(usable_cores(), 16)


class Pipeline:
    """Threads and processes of one run. Use as a context manager; leaving it stops them all."""

    def __init__(
        self,
        embedder: Embedder,
        settings: ReadSettings,
        *,
        decoders: int,
        readers: int,
        batch_size: int,
        bytes_of: BytesOf | None = None,
    ) -> None:
        """:param readers: images that are read at once where they are no files of their own; 0: as
        many as make it faster.
        """
        self._embedder = embedder
        self._settings = settings
        self._batch_size = batch_size
        self._bytes_of = bytes_of or BytesOf()
        self._window: queue.Queue[_Decoded | BaseException | None] = queue.Queue(
            maxsize=4 * batch_size + 2 * decoders
        )
        self._pace = Pace(readers)
        self._bytes_of.stores.on_busy = self._pace.slow_down
        self._readers = ThreadPoolExecutor(self._pace.most, "reader")
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
        batch: list[Read] = []
        decoded = 0
        for read in self.read(tasks):
            batch.append(read)
            decoded += not isinstance(read, Failed)
            if decoded == self._batch_size or len(batch) == 4 * self._batch_size:
                yield self._embed(batch)
                batch, decoded = [], 0
        if batch:
            yield self._embed(batch)

    def read(self, tasks: Iterable[Task]) -> Iterator[Read]:
        """Read and decode the images of tasks, in their order; nothing is embedded.

        :raises LakeError: if decoders crash over any image at all, which is no image's fault.
        """
        self._feeder = threading.Thread(target=self._feed, args=(iter(tasks),), daemon=True)
        self._feeder.start()
        while (item := self._window.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            task, future = item
            try:
                read: Read = (task, future.result())
            except UnreadableImage as error:
                read = Failed(task, error.reason, error.transient)
            yield read

    def _feed(self, tasks: Iterator[Task]) -> None:
        try:
            for task in tasks:
                if self._stopping.is_set():
                    return
                self._window.put((task, self._submit(task)))
            self._window.put(_END)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            self._window.put(error)

    def _submit(self, task: Task) -> Future[ReadImage]:
        address, limits = task.address, self._settings.limits
        if task.refused is not None:
            refusal: Future[ReadImage] = Future()
            refusal.set_exception(UnreadableImage(str(address), task.refused))
            return refusal
        if address.is_whole and address.path is not None:
            return self._decoders.submit(self._decode, task, address.path, None)  # opens it itself
        held = min(task.size_bytes, limits.max_bytes)
        self._budget.take(held)
        reading = self._readers.submit(self._read_bytes, task)
        return self._decoders.submit(self._decode, task, None, reading, held)

    def _read_bytes(self, task: Task) -> bytes:
        with self._pace:
            return self._bytes_of.read(
                task.address, self._settings.limits.max_bytes, size_bytes=task.size_bytes
            )

    def _decode(
        self, task: Task, path: bytes | None, reading: Future[bytes] | None, held: int = 0
    ) -> ReadImage:
        try:
            data = reading.result() if reading is not None else None
            return self._decoder().decode(str(task.address), path, data)
        except DecoderFailed:
            self._check_decoder()
            raise
        finally:
            self._budget.give(held)

    def _check_decoder(self) -> None:
        """:raises LakeError: if a decoder fails on a plain picture too."""
        if self._stopping.is_set():  # it was stopped, and did not crash
            return
        try:
            self._decoder().decode("a grey pixel", None, _GREY)
        except DecoderFailed as error:
            raise LakeError(
                f"no image can be decoded on this machine, not even a grey pixel: {error.reason}; look for a limit "
                "on memory or processes, or install lakesift anew"
            ) from error

    def _decoder(self) -> Decoder:
        if not hasattr(self._local, "decoder"):
            self._local.decoder = Decoder(self._settings)
            self._all_decoders.append(self._local.decoder)
        decoder: Decoder = self._local.decoder
        return decoder

    def _embed(self, batch: Sequence[Read]) -> list[Result]:
        read = [item for item in batch if not isinstance(item, Failed)]
        vectors = iter(embed_batch(self._embedder, [image.pixels for _, image in read]))
        results: list[Result] = []
        for item in batch:
            if isinstance(item, Failed):
                results.append(item)
                continue
            task, image = item
            vector = next(vectors)
            if isinstance(vector, str):
                results.append(Failed(task, vector))
            else:
                results.append(Embedded(task, image.columns(), vector))
        return results


def embed_batch(embedder: Embedder, images: Sequence[Pixels]) -> list[Vectors | str]:
    """A vector for each image, or the reason why there is none:
    where a batch fails, its images are tried one by one.

    :raises LakeError: if the model fails on a plain picture too: then it is the model that is
        broken, no image.
    """
    if not images:
        return []
    try:
        return _checked(embedder.embed_images(images), len(images), embedder.dim)
    # it says itself what is wrong, and a grey image would not find out more
    except ModelUnavailable:
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
            self._changed.wait_for(
                lambda: self._open or self._used == 0 or self._used + amount <= self._size
            )
            self._used += amount

    def give(self, amount: int) -> None:
        with self._changed:
            self._used -= amount
            self._changed.notify_all()

    def open(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()
