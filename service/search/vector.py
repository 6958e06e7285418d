"""The one vector that a query's examples become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Pixels, Vectors
from indexer.config import ReadLimits
from indexer.embed import Embedder
from indexer.errors import BadRequest, DimensionMismatch, UnreadableImage
from service.search.query import ImageLike, Query
from service.snapshot.snapshot import Snapshot

Weighted: TypeAlias = Sequence[tuple[Vectors, float]]  # (dim,) each, and its weight
Kind: TypeAlias = Literal["text", "image", "row", "vector"]


@dataclass(frozen=True, slots=True)
class Example:
    """One of a query's examples, as it counts."""

    kind: Kind
    # The text; the row_id; an image's path, or its number among the query's images where it has
    # none, from 0; a vector's number.
    value: str | int
    weight: float
    vector: NDArray[np.float32]  # (dim,), unit length


class NoSuchRow(BadRequest):
    """An example row that the snapshot has not."""

    def __init__(self, number: int, row_id: int) -> None:
        """:param number: of the example among the query's rows, from 0."""
        super().__init__("row_id", f"there is no row {row_id} in this lake")
        self.number = number
        self.row_id = row_id


def no_more() -> Weighted:
    return ()


def query_vector(
    snapshot: Snapshot,
    query: Query,
    embedder: Callable[[], Embedder],
    more: Callable[[], Weighted] = no_more,
) -> NDArray[np.float32]:
    """The one vector of a query, as `direction` makes it of what `examples_of` finds.

    :raises LakeError: as those two.
    """
    return direction(examples_of(snapshot, query, embedder, more))


def examples_of(
    snapshot: Snapshot,
    query: Query,
    embedder: Callable[[], Embedder],
    more: Callable[[], Weighted] = no_more,
) -> list[Example]:
    """The query's examples, each with its vector; never none.

    :param embedder: called only if the query has texts or images.
    :param more: makes further examples, of images; called when the rows and vectors were found to
        be right.
    :raises NoSuchRow: if an example row is not there (any more).
    :raises BadRequest: if there are no examples, or a weight is not a number.
    :raises DimensionMismatch: if a vector has not the lake's dim.
    :raises UnreadableImage: if an image cannot be read, or the model refuses it.
    """
    dim = snapshot.manifest.dim
    stored = [
        Example("row", row_id, weight, _stored(snapshot, number, row_id))
        for number, (row_id, weight) in enumerate(query.row_ids)
    ]
    found = [
        Example("vector", number, weight, _given(vector, dim))
        for number, (vector, weight) in enumerate(query.vectors)
    ]
    found += [
        Example("image", number, weight, _given(vector, dim))
        for number, (vector, weight) in enumerate(more())
    ]
    found += stored
    if any(not isinstance(image, np.ndarray) for image, _ in query.images):
        from indexer.images.shared_decoder import SHARED

        SHARED.start()  # while the model is loaded
    if query.texts:
        if any(not text.strip() for text, _ in query.texts):
            raise BadRequest("text", "it is empty; say what you look for")
        vectors = embedder().embed_texts([text for text, _ in query.texts])
        found += [
            Example("text", text, weight, vector)
            for vector, (text, weight) in zip(vectors, query.texts, strict=True)
        ]
    if query.images:
        images = _embedded([image for image, _ in query.images], embedder())
        found += [
            Example("image", _name(image, number), weight, vector)
            for number, (vector, (image, weight)) in enumerate(
                zip(images, query.images, strict=True)
            )
        ]
    if not found:
        raise BadRequest("query", "give at least one text, image or row to look for")
    if not np.all(np.isfinite([each.weight for each in found])):
        raise BadRequest("weight", "it must be a finite number")
    return found


def direction(examples: Sequence[Example]) -> NDArray[np.float32]:
    """float32, (dim,), unit length: the weighted sum of the examples' vectors, normalised.

    :raises BadRequest: if the examples cancel out.
    """
    return _unit(
        weighted_sum(examples),
        "query",
        "wanted and unwanted examples cancel out; nothing is left to look for",
    )


def weighted_sum(examples: Sequence[Example]) -> NDArray[np.float32]:
    """float32, (dim,): before it is of unit length."""
    if len(examples) == 1 and examples[0].weight == 1:
        return np.asarray(examples[0].vector, np.float32)
    weights = scaled_weights(examples)
    total = np.sum(
        [each.vector * weight for each, weight in zip(examples, weights, strict=True)], axis=0
    )
    return np.asarray(total, np.float32)


def scaled_weights(examples: Sequence[Example]) -> NDArray[np.float32]:
    """(examples,): as they are said; those whose squares float32 cannot hold, as shares of the
    largest one. What a query looks along is the same.
    """
    weights = np.array([each.weight for each in examples], np.float64)
    largest = float(np.abs(weights).max())
    is_held = largest == 0 or 1e-3 <= largest <= 1e6
    return np.asarray(weights if is_held else weights / largest, np.float32)


def _name(image: ImageLike, number: int) -> str | int:
    return str(image) if isinstance(image, str | Path) else number


def _given(vector: Vectors, dim: int) -> NDArray[np.float32]:
    numbers = np.asarray(vector, np.float32)
    if numbers.shape not in ((dim,), (1, dim)):
        raise DimensionMismatch(
            dim, numbers.shape[-1] if numbers.shape[-1:] != (dim,) else numbers.size
        )
    return _unit(numbers.reshape(dim), "vector", "it must be finite and not all zero")


def _stored(snapshot: Snapshot, number: int, row_id: int) -> NDArray[np.float32]:
    place = snapshot.find(row_id)
    if place is None:
        raise NoSuchRow(number, row_id)
    return np.asarray(place[0].vectors.take(np.array([place[1]]))[0])


def _embedded(images: Sequence[ImageLike], model: Embedder) -> list[NDArray[np.float32]]:
    from indexer.run.embedding.pipeline import (
        embed_batch,  # not at the top: a search by text decodes nothing
    )

    vectors = []
    for image, vector in zip(
        images, embed_batch(model, [_pixels(image, model) for image in images]), strict=True
    ):
        if isinstance(vector, str):
            raise UnreadableImage(str(image) if isinstance(image, str | Path) else "image", vector)
        vectors.append(vector)
    return vectors


def _pixels(image: ImageLike, model: Embedder) -> Pixels:
    from indexer.images import read_named
    from indexer.images.shared_decoder import SHARED

    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise BadRequest("image", "an array must be uint8 with shape (height, width, 3)")
        return image
    if isinstance(image, bytes):
        return SHARED.decode("image", image, model.input_shape).pixels
    data = read_named(image, ReadLimits())
    return SHARED.decode(str(image), data, model.input_shape).pixels


def _unit(vector: NDArray[np.float32], field: str, reason: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # of large finite numbers: infinite, and refused below
        length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length < 1e-6:
        raise BadRequest(field, reason)
    if abs(length - 1) < 1e-6:
        # as it is: a vector that was a query's before must order the next page's hits as it did
        # then
        return vector
    return np.asarray(vector / np.float32(length), np.float32)
