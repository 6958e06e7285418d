"""From a query to hits: one vector, one mask, the best rows of every segment. Knows no HTTP and opens no lake."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer import ann
from indexer.config import ReadLimits
from indexer.embed import Embedder, Pixels, Vectors
from indexer.errors import BadRequest, DimensionMismatch, UnreadableImage
from service.snapshot import Part, Snapshot

if TYPE_CHECKING:
    import pandas as pd

    from service.where import Where

ImageLike: TypeAlias = str | Path | bytes | Pixels
MIN_ROWS_FOR_Z = 100
MAD_TO_SIGMA = 1.4826  # a normal distribution's standard deviation over its median absolute deviation
PARALLEL_FROM_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Query:
    """What is wanted; each example has a weight, below zero where it is unwanted."""

    texts: Sequence[tuple[str, float]] = ()
    images: Sequence[tuple[ImageLike, float]] = ()
    row_ids: Sequence[tuple[int, float]] = ()
    vectors: Sequence[tuple[Vectors, float]] = ()
    where: str | None = None
    k: int | None = 10  # None: every row
    min_z: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One image found."""

    row_id: int
    score: float  # cosine with the query, in [-1, 1]
    z: float | None  # (score - median) / (1.4826 MAD) over the lake's background; None under 100 rows
    uri: str
    columns: dict[str, Any] = field(repr=False)  # every column of the row, by name

    def to_json(self) -> dict[str, Any]:
        """The hit as the API and the CLI print it; times as ISO 8601, columns without a value left out."""
        hidden = {"row_id", "uri", "width_px", "height_px", "path_bytes", "columns_etag"}
        shown = {
            name: value for name, value in self.columns.items() if name not in hidden and value is not None
        }
        return {
            "row_id": self.row_id,
            "score": round(self.score, 6),
            "z": None if self.z is None else round(self.z, 3),
            "uri": self.uri,
            "width_px": self.columns["width_px"],
            "height_px": self.columns["height_px"],
            "columns": {name: _plain(value) for name, value in shown.items()},
        }


def to_pandas(hits: Sequence[Hit]) -> pd.DataFrame:
    """A DataFrame with one row a hit: row_id, score, z, uri, then the other columns. Needs the pandas extra."""
    import pandas as pd

    first = ["row_id", "score", "z", "uri"]
    names = list(hits[0].columns) if hits else []
    rows = [
        {**hit.columns, "row_id": hit.row_id, "score": hit.score, "z": hit.z, "uri": hit.uri} for hit in hits
    ]
    return pd.DataFrame(rows, columns=first + [name for name in names if name not in first])


def search(snapshot: Snapshot, query: Query, embedder: Callable[[], Embedder]) -> list[Hit]:
    """The best live rows that the query's where keeps, exactly; ties in order of row_id.

    :param embedder: called only if the query has texts or images.
    """
    if query.k is not None and query.k < 1:
        raise BadRequest("k", f"{query.k} is not a number of hits; it must be at least 1")
    where = None if query.where is None else _parsed(query.where, snapshot)
    vector = query_vector(snapshot, query, embedder)
    centre = background_centre(snapshot, vector)
    if query.min_z is not None and centre is None:
        raise BadRequest(
            "min_z", f"z scores need {MIN_ROWS_FOR_Z} different rows; this lake has {snapshot.live_rows}"
        )
    found = _best(snapshot, vector, query.k, where)
    if query.min_z is not None and centre is not None:
        found = found.above(centre[0] + query.min_z * centre[1])
    return _hits(snapshot, found, centre)


def _parsed(text: str, snapshot: Snapshot) -> Where:
    from service.where import Where  # not at the top: Arrow's expressions take a quarter of a second to load

    return Where.parse(text, snapshot.schema)


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


def background_centre(snapshot: Snapshot, vector: NDArray[np.float32]) -> tuple[float, float] | None:
    """Median and 1.4826 MAD of the background's scores; None under 100 rows, or where they hardly differ."""
    if snapshot.live_rows < MIN_ROWS_FOR_Z:
        return None
    # (n_background,); not @, whose BLAS threads go on spinning and took a third of the search's time after it
    scores = np.vecdot(snapshot.background, vector)
    median = float(np.median(scores))
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(scores - median)))
    return (median, sigma) if sigma > 1e-9 else None


@dataclass(frozen=True, slots=True)
class _Found:
    """Hits before their rows are read, best first."""

    scores: NDArray[np.float32]
    parts: NDArray[np.int64]
    positions: NDArray[np.int64]
    row_ids: NDArray[np.int64]

    def above(self, score: float) -> _Found:
        keep = self.scores >= score
        return _Found(self.scores[keep], self.parts[keep], self.positions[keep], self.row_ids[keep])


def _best(snapshot: Snapshot, vector: NDArray[np.float32], k: int | None, where: Where | None) -> _Found:
    def search_part(part: Part) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        return ann.search_index(part.segment.index, vector, k or part.rows, part.mask(where))

    if sum(part.rows for part in snapshot.parts) >= PARALLEL_FROM_ROWS:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            answers = list(pool.map(search_part, snapshot.parts))
    else:
        answers = [search_part(part) for part in snapshot.parts]
    if not answers:
        return _Found(np.empty(0, np.float32), *[np.empty(0, np.int64)] * 3)
    scores = np.clip(np.concatenate([scores for scores, _ in answers]), -1, 1)
    positions = np.concatenate([positions for _, positions in answers])
    parts = np.repeat(np.arange(len(answers)), [len(found) for found, _ in answers])
    row_ids = np.concatenate(
        [part.row_ids[found] for part, (_, found) in zip(snapshot.parts, answers, strict=True)]
    )
    order = np.lexsort((row_ids, -scores))[:k]
    return _Found(scores[order], parts[order], positions[order], row_ids[order])


def _hits(snapshot: Snapshot, found: _Found, centre: tuple[float, float] | None) -> list[Hit]:
    rows: dict[int, dict[str, Any]] = {}
    for number, part in enumerate(snapshot.parts):
        here = np.flatnonzero(found.parts == number)
        if len(here):
            rows.update(zip(here.tolist(), part.take(found.positions[here]), strict=True))
    hits = []
    for at, score in enumerate(found.scores.tolist()):
        z = None if centre is None else (score - centre[0]) / centre[1]
        hits.append(Hit(int(found.row_ids[at]), score, z, str(rows[at]["uri"]), rows[at]))
    return hits


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
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length < 1e-6:
        raise BadRequest(field, reason)
    return np.asarray(vector / np.float32(length), np.float32)


def _plain(value: Any) -> Any:
    """A column's value as JSON has it: times as ISO 8601, infinity as text, since JSON has no number for it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
