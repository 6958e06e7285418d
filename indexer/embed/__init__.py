"""What a model must offer to the pipeline and to search, and how a model is found by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]  # (height, width, 3), RGB, upright
Vectors: TypeAlias = NDArray[np.float32]  # (n, dim), unit rows


@dataclass(frozen=True, slots=True)
class InputShape:
    """How an image is brought to the size a model sees. Decoders do this, so that only small arrays travel.

    shortest: scale the shorter side to the target, keep the centre. longest: scale the longer side, pad evenly with
    `fill`. squash: scale both sides, proportions lost. inside: for people, no model: scale so that both sides fit, a
    smaller image as it is, nothing cut or padded, so that the result may be smaller than this shape. `resize_to` is
    the target of the scaling where it is larger than what is kept (a resize to 256 before a crop of 224); None: the
    kept size itself.
    """

    width_px: int
    height_px: int
    mode: Literal["shortest", "longest", "squash", "inside"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fill: tuple[int, int, int] = (0, 0, 0)
    resize_to: int | None = None


class Embedder(Protocol):
    """A model that puts images and texts into one space. Knows nothing of rows, files or lakes."""

    @property
    def model_id(self) -> str:
        """The name a user types: "builtin", "open_clip:ViT-B-32/openai"."""

    @property
    def fingerprint(self) -> dict[str, str | int]:
        """What makes two vectors comparable: name, weights (a sha256), preprocessing, dim, precision."""

    @property
    def dim(self) -> int: ...

    @property
    def input_shape(self) -> InputShape: ...

    @property
    def batch_size(self) -> int:
        """Images an encoder call that run fastest on this machine."""

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """float32, (n, dim), unit rows. Images of another size than input_shape are brought to it first."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """float32, (n, dim), unit rows."""
