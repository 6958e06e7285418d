"""Arrays that travel through the whole house, named once:
pixels, vectors, rows, and the shape a model sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]  # (height, width, 3), RGB, upright
Vectors: TypeAlias = NDArray[np.float32]  # (n, dim), unit rows
Positions: TypeAlias = NDArray[np.int64]  # (n,), of rows in their segment
RowMask: TypeAlias = NDArray[np.bool_]  # (n_rows,), True keeps the row


@dataclass(frozen=True, slots=True)
class InputShape:
    """How an image is brought to the size a model sees.
    Decoders do this, so that only small arrays travel.

    shortest: scale the shorter side to the target, keep the centre. longest: scale the longer side,
    pad evenly with `fill`. squash: scale both sides, proportions lost. inside: for people, no
    model: scale so that both sides fit, a smaller image as it is, nothing cut or padded, so that
    the result may be smaller than this shape. `resize_to` is the target of the scaling where it is
    larger than what is kept (a resize to 256 before a crop of 224); None: the kept size itself.
    """

    width_px: int
    height_px: int
    mode: Literal["shortest", "longest", "squash", "inside"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fill: tuple[int, int, int] = (0, 0, 0)
    resize_to: int | None = None
