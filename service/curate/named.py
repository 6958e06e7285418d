"""Names directions among vectors by the phrase that lies farthest along them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors

TEXTS_AT_ONCE = 16  # so that somebody's search need not wait for all of them

Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Named:
    phrases: Sequence[str]
    vectors: NDArray[np.floating[Any]]  # (phrases, dim)

    @classmethod
    def of(cls, phrases: Sequence[str], embed: Embed) -> Named:
        """:param embed: texts to float32, (n, dim), unit rows."""
        starts = range(0, len(phrases), TEXTS_AT_ONCE)
        return cls(
            phrases,
            np.concatenate([embed(phrases[start : start + TEXTS_AT_ONCE]) for start in starts]),
        )

    def best(self, direction: NDArray[np.floating[Any]]) -> str:
        """What lies farthest along a direction."""
        return self.phrases[int(np.argmax(self.vectors @ direction))]
