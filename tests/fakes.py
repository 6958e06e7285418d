"""A model one can compute in one's head:
an image's vector is its mean colour, a text's the colour it names.

As in "red", or "a photo of something red".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.arrays import InputShape, Pixels, Vectors
from service.search.vocabulary import VOCABULARY

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}


class ColourEmbedder:
    """dim 3: mean red, green, blue, scaled to unit length;
    "red" is (1, 0, 0). Black is refused, as a model may.
    """

    model_id = "colours"
    dim = 3
    input_shape = InputShape(8, 8, mode="squash")

    def __init__(self, batch_size: int = 8, weights: str = "0") -> None:
        self.batch_size = batch_size
        self.calls: list[int] = []
        self.fingerprint: dict[str, str | int] = {
            "name": "colours",
            "weights": weights,
            "preprocessing": "squash 8",
            "dim": 3,
            "precision": "fp32",
        }

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        self.calls.append(len(images))
        means = np.array(
            [image.reshape(-1, 3).mean(axis=0) for image in images], np.float32
        ).reshape(-1, 3)
        if (means.sum(axis=1) < 1).any():
            raise ValueError("black has no colour")
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        colours = np.array([_named(text) for text in texts], np.float32).reshape(-1, 3)
        return np.asarray(colours / np.linalg.norm(colours, axis=1, keepdims=True), np.float32)


def _named(text: str) -> tuple[int, int, int]:
    """:raises KeyError: if it is no colour."""
    if text in VOCABULARY:  # which the first screen asks for, whatever the lake
        return (1, 1, 1)
    return COLOURS.get(text) or COLOURS[text.split()[-1]]
