"""What is trained on: each image's pooled features,
or what the last block takes, and each text's sentence vector.

All come from the parts that training leaves as they are, so they are computed once and kept in the
user's cache folder: a second training on the same images starts at once.
"""

from __future__ import annotations

import hashlib
import io
import math
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import InputShape, Pixels
from indexer.config import ReadLimits
from indexer.embed.model_cache import cache_folder, cached
from indexer.embed.runtime import open_session
from indexer.embed.tokens import TextTokenizer
from indexer.errors import BadRequest, UnreadableImage
from indexer.images import read_file
from training.arrays import Floats, ImageArrays, ModelArrays, TextArrays
from training.graphs import image_graph, map_shape, text_graph, trunk_graph

Halves = NDArray[np.float16]
OnProgress = Callable[[str, int, int], None]  # what is done, done, in all

BATCH_SIZE = 16
READERS = 3  # threads: Pillow decodes without the interpreter's lock


def image_features(
    name: str, paths: Sequence[Path], image: ImageArrays, on_progress: OnProgress
) -> Halves:
    """float16, (n, features): the backbone's pooled features;
    a row of zeros where an image cannot be read.

    :param name: of the set, for the progress.
    """
    bare = image_graph(replace(image, class_table=None, head=None))
    key = _key([hashlib.sha256(bare).hexdigest(), *map(_state, paths)])

    def compute() -> bytes:
        rows = np.zeros((len(paths), len(image.backbone["_conv_head.bias"])), np.float16)
        _fill(rows, name, paths, bare, image.variant.side_px, on_progress)
        return _saved(rows)

    return np.asarray(_loaded(cached(f"features-{key}", ".npy", compute)), np.float16)


def image_maps(
    name: str, paths: Sequence[Path], image: ImageArrays, on_progress: OnProgress
) -> Halves:
    """float16, (n, channels, side, side): what the last block takes;
    zeros where an image cannot be read.

    They stay on disk, in the cache folder, and are read where they are used: 34 kB an image with
    Lite2.

    :raises BadRequest: if the cache folder cannot be written, or has no room for them.
    """
    trunk = trunk_graph(image)
    path = _maps_file(trunk, paths)
    if not path.is_file():
        beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            shape = len(paths), *map_shape(image)
            _check_room(path.parent, len(paths), image)
            rows = np.lib.format.open_memmap(beside, "w+", np.float16, shape)
            _fill(rows, name, paths, trunk, image.variant.side_px, on_progress)
            rows.flush()
            beside.replace(path)
        except OSError as error:
            raise BadRequest(str(path.parent), f"cannot be written ({error.strerror})") from error
        finally:
            with suppress(OSError):  # it must not hide what went wrong
                beside.unlink()
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))  # still on disk


def check_room_for_maps(splits: Iterable[Sequence[Path]], image: ImageArrays) -> None:
    """Before the first image of many is looked at:
    whether there is room for what is not in the cache yet.

    :raises BadRequest: as `image_maps`, which looks again.
    """
    trunk, folder = trunk_graph(image), cache_folder() / "maps"
    missing = sum(len(paths) for paths in splits if not _maps_file(trunk, paths).is_file())
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(str(folder), f"cannot be written ({error.strerror})") from error
    _check_room(folder, missing, image)


def _maps_file(trunk: bytes, paths: Sequence[Path]) -> Path:
    key = _key([hashlib.sha256(trunk).hexdigest(), *map(_state, paths)])
    return cache_folder() / "maps" / f"{key}.npy"


def _check_room(folder: Path, images: int, image: ImageArrays) -> None:
    wanted_bytes = images * math.prod(map_shape(image)) * np.dtype(np.float16).itemsize
    # a full disk under a memory map ends the process, not the write
    free = shutil.disk_usage(folder).free
    if wanted_bytes > free:
        raise BadRequest(
            str(folder),
            f"{math.ceil(wanted_bytes / 1e6):,} MB of features go there, and {int(free / 1e6):,} MB are free; name "
            "another with LAKESIFT_CACHE, or train without --fine-tune",
        )


def _fill(
    rows: Halves,
    name: str,
    paths: Sequence[Path],
    graph: bytes,
    side_px: int,
    on_progress: OnProgress,
) -> None:
    """What the graph says of each image that can be read, in its row."""
    session, done = open_session(graph), 0
    for batch in _batches(paths, InputShape(side_px, side_px)):
        read = [index for index, pixels in enumerate(batch, done) if pixels is not None]
        if read:
            pixels = np.stack([pixels for pixels in batch if pixels is not None])
            rows[read] = session.run(None, {"pixels": pixels})[0]
        done += len(batch)
        on_progress(f"looking at {name}", done, len(paths))


def sentence_vectors(texts: Sequence[str], model: ModelArrays, on_progress: OnProgress) -> Floats:
    """float32, (n, width): the text tower's mean over its tokens, before the head."""
    bare = text_graph(
        TextArrays(model.text.bert, model.text.attention_heads, head=None), in_4_bits=True
    )
    key = _key([hashlib.sha256(bare).hexdigest(), str(model.most_tokens), *texts])

    def compute() -> bytes:
        session, tokenizer = open_session(bare), TextTokenizer(model.tokenizer, model.most_tokens)
        vectors, done = None, 0
        for batch in tokenizer.batches(texts):
            found = session.run(None, {"input_ids": batch.ids, "attention_mask": batch.mask})[0]
            vectors = (
                np.empty((len(texts), found.shape[1]), np.float32) if vectors is None else vectors
            )
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
