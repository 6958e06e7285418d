"""Whether vectors are those of the model that is said to have made them, measured on images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.address import Address
from indexer.arrays import Pixels, Vectors
from indexer.config import ReadLimits
from indexer.embed import Embedder
from indexer.errors import UnreadableImage
from indexer.images.shared_decoder import SHARED
from indexer.run.embedding.pipeline import embed_batch
from indexer.sources.bytes_of import BytesOf

# Another tool's resizing and precision cost a few hundredths; vectors of another model are about 0.
LEAST_AGREEMENT = 0.8
IMAGES = 16
TRIES = 200  # images looked for, of which some may be gone


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cosines between vectors as they came and those that the model makes of the same images."""

    cosines: tuple[float, ...]  # at least one

    @property
    def median(self) -> float:
        return float(np.median(self.cosines))

    @property
    def least(self) -> float:
        return min(self.cosines)


def measure(
    pairs: Iterable[tuple[Address, Vectors]], embedder: Embedder, limits: ReadLimits
) -> Agreement | None:
    """Embed the first few images that can be read on this disk.

    :param pairs: an image's place, and the vector that it came with, (dim,), unit length.
    :returns: None if none of them can be read here.
    """
    reader = BytesOf()
    found: list[tuple[Pixels, Vectors]] = []
    for number, (address, vector) in enumerate(pairs):
        if len(found) == IMAGES or number == TRIES:
            break
        if address.is_url:
            continue
        try:
            data = reader.read(address, limits.max_bytes)
            pixels = SHARED.decode(str(address), data, embedder.input_shape).pixels
        except UnreadableImage:
            continue
        found.append((pixels, vector))
    cosines = _cosines(found, embedder)
    return Agreement(tuple(cosines)) if cosines else None


def _cosines(found: Sequence[tuple[Pixels, Vectors]], embedder: Embedder) -> list[float]:
    made = embed_batch(embedder, [pixels for pixels, _ in found])
    return [
        float(vector @ given)
        for vector, (_, given) in zip(made, found, strict=True)
        if not isinstance(vector, str)
    ]
