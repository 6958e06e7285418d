"""New images for a gate that are at hand: paths, bytes, pixels;
read one after another, embedded a batch at a time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexer.arrays import Pixels, Vectors
from indexer.config import ReadLimits
from indexer.embed import Embedder
from indexer.errors import BadRequest, UnreadableImage
from indexer.images import ReadImage, perceptual_hash
from indexer.images.shared_decoder import SHARED
from indexer.run.embedding.pipeline import embed_batch
from indexer.sources.bytes_of import BytesOf
from indexer.sources.names import address_of
from service.relevance.gate.answers import ImageDecided
from service.relevance.gate.gate import Gate, Incoming
from service.search.query import ImageLike


def incoming(name: str, row: Mapping[str, Any], vector: Vectors) -> Incoming:
    """An image that was read and embedded.

    :param row: the columns of its row as far as they are known, with all that the image says.
    """
    return Incoming(name, vector, row["phash"], row["sha256"], row)


def decide_images(
    gate: Gate, images: Sequence[ImageLike], embedder: Embedder
) -> list[ImageDecided]:
    """One answer an image, in their order; a batch of the model at a time.

    :param images: paths, encoded bytes, or uint8 RGB arrays (height, width, 3).
    :raises BadRequest: if an array is of another kind.
    """
    found: list[ImageDecided] = []
    size = max(embedder.batch_size, 1)
    for start in range(0, len(images), size):
        numbered = list(enumerate(images[start : start + size], start + 1))
        found += decide_batch(
            gate, [_read(number, image, embedder) for number, image in numbered], embedder
        )
    return found


@dataclass(frozen=True, slots=True)
class Pixelled:
    """An image as pixels: nothing else is known of it."""

    pixels: Pixels

    def as_incoming(self, name: str, vector: Vectors) -> Incoming:
        height, width = self.pixels.shape[:2]
        phash = perceptual_hash(Image.fromarray(self.pixels))
        return Incoming(name, vector, phash, None, {"width_px": width, "height_px": height})


Read = tuple[str, ReadImage | Pixelled | UnreadableImage]  # the image's name, and what came of it


def decide_batch(gate: Gate, batch: Sequence[Read], embedder: Embedder) -> list[ImageDecided]:
    """One answer an image, in their order.

    :raises LakeError: if the model fails on any image at all.
    """
    read = [(name, image) for name, image in batch if not isinstance(image, UnreadableImage)]
    vectors = embed_batch(embedder, [image.pixels for _, image in read])
    wanted = [
        image.as_incoming(name, vector)
        if isinstance(image, Pixelled)
        else incoming(name, image.columns(), vector)
        for (name, image), vector in zip(read, vectors, strict=True)
        if not isinstance(vector, str)
    ]
    decided, embedded = iter(gate.decide(wanted)), iter(vectors)
    found = []
    for name, image in batch:
        reason = image.reason if isinstance(image, UnreadableImage) else next(embedded)
        found.append(gate.unreadable(name, reason) if isinstance(reason, str) else next(decided))
    return found


def _read(number: int, image: ImageLike, embedder: Embedder) -> Read:
    limits = ReadLimits()
    name = str(image) if isinstance(image, str | Path) else f"image {number}"
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise BadRequest(
                "image", f"{name}: an array must be uint8 with shape (height, width, 3)"
            )
        return name, Pixelled(image)
    try:
        data = image if isinstance(image, bytes) else _bytes_at(image, limits)
        return name, SHARED.decode(name, data, embedder.input_shape)
    except UnreadableImage as error:
        return name, error


def _bytes_at(path: str | Path, limits: ReadLimits) -> bytes:
    """A path's bytes: made absolute, it is never taken for a URL."""
    address = address_of(os.path.abspath(os.fsencode(path)))  # noqa: PTH100 - pathlib knows no bytes
    return BytesOf().read(address, limits.max_bytes)
