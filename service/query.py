"""What is looked for, and the one vector that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer import ann
from indexer.config import ReadLimits
from indexer.embed import Embedder, Pixels, Vectors
from indexer.errors import BadRequest, DimensionMismatch, UnreadableImage
from service.decided import DecidedBy
from service.snapshot import Snapshot

ImageLike: TypeAlias = str | Path | bytes | Pixels


@dataclass(frozen=True, slots=True)
class Query:
    """What is wanted; each example has a weight, below zero where it is unwanted."""

    texts: Sequence[tuple[str, float]] = ()
    images: Sequence[tuple[ImageLike, float]] = ()
    row_ids: Sequence[tuple[int, float]] = ()
    vectors: Sequence[tuple[Vectors, float]] = ()
    where: str | None = None
    decided: DecidedBy | None = None  # only rows that a filter decided so
    k: int | None = 10  # None: every row
    min_z: float | None = None
    offset: int = 0  # hits to pass over, near-identical ones included; a page's next_offset
    collapse: bool = False  # True: near-identical images are one hit, the best of them

    @classmethod
    def of(
        cls,
        text: str | Sequence[str] | None = None,
        *,
        image: ImageLike | Sequence[ImageLike] | None = None,
        not_text: str | Sequence[str] | None = None,
        not_image: ImageLike | Sequence[ImageLike] | None = None,
        row_id: int | Sequence[int] | None = None,
        not_row_id: int | Sequence[int] | None = None,
        vector: Vectors | None = None,
    ) -> Query:
        """Examples of weight 1, or -1 where they are unwanted; everything else as it is by default."""
        return cls(
            texts=[(t, 1.0) for t in _listed(text)] + [(t, -1.0) for t in _listed(not_text)],
            images=[(i, 1.0) for i in _listed(image)] + [(i, -1.0) for i in _listed(not_image)],
            row_ids=[(r, 1.0) for r in _listed(row_id)] + [(r, -1.0) for r in _listed(not_row_id)],
            vectors=[] if vector is None else [(vector, 1.0)],
        )

    def check(self) -> None:
        """:raises BadRequest: if k or offset is out of range."""
        if self.k is not None and self.k < 1:
            raise BadRequest("k", f"{self.k} is not a number of hits; it must be at least 1")
        if self.offset < 0:
            raise BadRequest("offset", f"{self.offset} is not a number of hits; it must be at least 0")


def query_vector(snapshot: Snapshot, query: Query, embedder: Callable[[], Embedder]) -> NDArray[np.float32]:
    """float32, (dim,), unit length: the weighted sum of the examples' vectors, normalised.

    :raises BadRequest: if there are no examples, one is not a number, or they cancel out.
    :raises DimensionMismatch: if a vector has not the lake's dim.
    :raises UnreadableImage: if an image cannot be read, or the model refuses it.
    """
    parts = [(_given(vector, snapshot.manifest.dim), weight) for vector, weight in query.vectors]
    parts += [(_stored(snapshot, row_id), weight) for row_id, weight in query.row_ids]
    if query.texts:
        if any(not text.strip() for text, _ in query.texts):
            raise BadRequest("text", "it is empty; say what you look for")
        vectors = embedder().embed_texts([text for text, _ in query.texts])
        parts += [(vector, weight) for vector, (_, weight) in zip(vectors, query.texts, strict=True)]
    if query.images:
        images = _embedded([image for image, _ in query.images], embedder())
        parts += [(vector, weight) for vector, (_, weight) in zip(images, query.images, strict=True)]
    if not parts:
        raise BadRequest("query", "give at least one text, image or row to look for")
    if not np.all(np.isfinite([weight for _, weight in parts])):
        raise BadRequest("weight", "it must be a finite number")
    total = np.sum([vector * np.float32(weight) for vector, weight in parts], axis=0)
    return _unit(total, "query", "wanted and unwanted examples cancel out; nothing is left to look for")


def _given(vector: Vectors, dim: int) -> NDArray[np.float32]:
    numbers = np.asarray(vector, np.float32)
    if numbers.shape not in ((dim,), (1, dim)):
        raise DimensionMismatch(dim, numbers.shape[-1] if numbers.shape[-1:] != (dim,) else numbers.size)
    return _unit(numbers.reshape(dim), "vector", "it must be finite and not all zero")


def _stored(snapshot: Snapshot, row_id: int) -> NDArray[np.float32]:
    place = snapshot.find(row_id)
    if place is None:
        raise BadRequest("row_id", f"there is no row {row_id} in this lake")
    return np.asarray(ann.vectors_at(place[0].segment.index, np.array([place[1]]))[0])


def _embedded(images: Sequence[ImageLike], model: Embedder) -> list[NDArray[np.float32]]:
    from indexer.pipeline import embed_batch  # not at the top: a search by text decodes nothing

    vectors = []
    for image, vector in zip(
        images, embed_batch(model, [_pixels(image, model) for image in images]), strict=True
    ):
        if isinstance(vector, str):
            raise UnreadableImage(str(image) if isinstance(image, str | Path) else "image", vector)
        vectors.append(vector)
    return vectors


def _pixels(image: ImageLike, model: Embedder) -> Pixels:
    from indexer.images import read_file, read_image

    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise BadRequest("image", "an array must be uint8 with shape (height, width, 3)")
        return image
    limits = ReadLimits()
    if isinstance(image, bytes):
        return read_image("image", image, model.input_shape, limits).pixels
    return read_file(str(image), str(image), model.input_shape, limits).pixels


def _unit(vector: NDArray[np.float32], field: str, reason: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # of large finite numbers: infinite, and refused below
        length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length < 1e-6:
        raise BadRequest(field, reason)
    if abs(length - 1) < 1e-6:
        return vector  # as it is: a vector that was a query's before must order the next page's hits as it did then
    return np.asarray(vector / np.float32(length), np.float32)


def _listed(value: object) -> list:  # type: ignore[type-arg]
    if value is None:
        return []
    if (
        isinstance(value, str | bytes | Path | int)
        or not isinstance(value, Iterable)
        or hasattr(value, "dtype")
    ):
        return [value]
    return list(value)
