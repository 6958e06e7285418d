"""New images for a gate that are at hand: paths, bytes, pixels; read one after another, embedded a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexer.config import ReadLimits
from indexer.embed import Embedder, Pixels, Vectors
from indexer.errors import BadRequest, UnreadableImage
from indexer.images import ReadImage, perceptual_hash, read_file, read_image
from indexer.pipeline import embed_batch
from service.query import ImageLike
from service.relevance.gate import Decided, Gate, Incoming


def incoming(
    name: str, image: ReadImage, vector: Vectors, columns: Mapping[str, Any] | None = None
) -> Incoming:
    """An image that was read and embedded.

    :param columns: what its source says of it; what the image says itself is added.
    """
    row = {
        **(columns or {}),
        "sha256": image.sha256,
        "phash": image.phash,
        "width_px": image.width_px,
        "height_px": image.height_px,
        "format": image.format,
        "captured_at": image.captured_at,
        "camera": image.camera,
        "place": image.place and {"latitude": image.place[0], "longitude": image.place[1]},
    }
    return Incoming(name, vector, image.phash, image.sha256, row)


def decide_images(gate: Gate, images: Sequence[ImageLike], embedder: Embedder) -> list[Decided]:
    """One answer an image, in their order; a batch of the model at a time.

    :param images: paths, encoded bytes, or uint8 RGB arrays (height, width, 3).
    :raises BadRequest: if an array is of another kind.
    """
    found: list[Decided] = []
    size = max(embedder.batch_size, 1)
    for start in range(0, len(images), size):
        numbered = list(enumerate(images[start : start + size], start + 1))
        found += decide_batch(gate, [_read(number, image, embedder) for number, image in numbered], embedder)
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


def decide_batch(gate: Gate, batch: Sequence[Read], embedder: Embedder) -> list[Decided]:
    """One answer an image, in their order.

    :raises LakeError: if the model fails on any image at all.
    """
    read = [(name, image) for name, image in batch if not isinstance(image, UnreadableImage)]
    vectors = embed_batch(embedder, [image.pixels for _, image in read])
    wanted = [
        image.as_incoming(name, vector) if isinstance(image, Pixelled) else incoming(name, image, vector)
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
            raise BadRequest("image", f"{name}: an array must be uint8 with shape (height, width, 3)")
        return name, Pixelled(image)
    try:
        if isinstance(image, bytes):
            return name, read_image(name, image, embedder.input_shape, limits)
        return name, read_file(name, str(image), embedder.input_shape, limits)
    except UnreadableImage as error:
        return name, error
