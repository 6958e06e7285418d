"""What the heads are trained on: each image's pooled features, and each text's sentence vector.

Both come from the parts that training leaves as they are, so they are computed once and kept in the user's
cache folder: a second training on the same images starts at once.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.config import ReadLimits
from indexer.embed import InputShape, Pixels
from indexer.embed.model_cache import cached
from indexer.embed.runtime import open_session
from indexer.embed.tokens import TextTokenizer
from indexer.errors import UnreadableImage
from indexer.images import read_file
from training.arrays import Floats, ImageArrays, ModelArrays, TextArrays
from training.graphs import image_graph, text_graph

Halves = NDArray[np.float16]
OnProgress = Callable[[str, int, int], None]  # what is done, done, in all

BATCH_SIZE = 16
READERS = 3  # threads: Pillow decodes without the interpreter's lock


def image_features(name: str, paths: Sequence[Path], image: ImageArrays, on_progress: OnProgress) -> Halves:
    """float16, (n, features): the backbone's pooled features; a row of zeros where an image cannot be read.

    :param name: of the set, for the progress.
    """
    bare = image_graph(replace(image, class_table=None, head=None))
    key = _key([hashlib.sha256(bare).hexdigest(), *map(_state, paths)])
    side_px = image.variant.side_px

    def compute() -> bytes:
        session, rows = open_session(bare), []
        for batch in _batches(paths, InputShape(side_px, side_px)):
            read = [pixels for pixels in batch if pixels is not None]
            pooled = iter(session.run(None, {"pixels": np.stack(read)})[0] if read else ())
            width = len(image.backbone["_conv_head.bias"])
            rows += [np.zeros(width, np.float32) if pixels is None else next(pooled) for pixels in batch]
            on_progress(f"looking at {name}", len(rows), len(paths))
        return _saved(np.asarray(rows, np.float16))

    return np.asarray(_loaded(cached(f"features-{key}", ".npy", compute)), np.float16)


def sentence_vectors(texts: Sequence[str], model: ModelArrays, on_progress: OnProgress) -> Floats:
    """float32, (n, width): the text tower's mean over its tokens, before the head."""
    bare = text_graph(
        TextArrays(model.text.bert, model.text.attention_heads, head=None), words_in_4_bits=True
    )
    key = _key([hashlib.sha256(bare).hexdigest(), str(model.most_tokens), *texts])

    def compute() -> bytes:
        session, tokenizer = open_session(bare), TextTokenizer(model.tokenizer, model.most_tokens)
        vectors, done = None, 0
        for batch in tokenizer.batches(texts):
            found = session.run(None, {"input_ids": batch.ids, "attention_mask": batch.mask})[0]
            vectors = np.empty((len(texts), found.shape[1]), np.float32) if vectors is None else vectors
            vectors[batch.positions] = found
            done += len(found)
            on_progress("reading texts", done, len(texts))
        assert vectors is not None  # there are texts
        return _saved(vectors)

    return np.asarray(_loaded(cached(f"sentences-{key}", ".npy", compute)), np.float32)


def _batches(paths: Sequence[Path], shape: InputShape) -> Iterable[list[Pixels | None]]:
    """All images in order, the next batch read while this one is used; None: cannot be read."""
    limits = ReadLimits()

    def read(path: Path) -> Pixels | None:
        try:
            return read_file(str(path), str(path), shape, limits).pixels
        except UnreadableImage:
            return None

    with ThreadPoolExecutor(READERS) as pool:
        rest = iter(paths)
        waiting: list[list[Future[Pixels | None]]] = []
        while True:
            while len(waiting) < 2 and (names := list(islice(rest, BATCH_SIZE))):
                waiting.append([pool.submit(read, name) for name in names])
            if not waiting:
                return
            yield [future.result() for future in waiting.pop(0)]


def _state(path: Path) -> str:
    stat = path.stat()
    return f"{path.name} {stat.st_size} {stat.st_mtime_ns}"


def _key(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()[:24]


def _saved(array: NDArray[np.floating]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _loaded(content: bytes) -> NDArray[np.floating]:
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
