"""What each of a query's examples adds to a hit's score.

A query's examples are unit vectors p_i with weights w_i, and it looks along the one direction
q = s / |s|, where s = sum of w_i p_i. The score of a row x is its cosine with q, and so a sum:

    score(x) = <q, x> = sum of w_i <p_i, x> / |s|

Each summand is an example's share. <p_i, x> is the example's own cosine with the row. An unwanted
example (w_i < 0) takes away what it is like; it adds where its cosine is below zero.

A row in half precision may be a little longer than 1. A score that was cut to 1 for it, or to -1,
has shares that are shortened by as much, so that they add up to it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from service.search.vector import Example, Kind, scaled_weights, weighted_sum


@dataclass(frozen=True, slots=True)
class Share:
    """What one of the query's examples adds to the score of one hit."""

    kind: Kind
    # The text; the row_id; an image's path, or its number among the query's images where it has
    # none, from 0; a vector's number.
    value: str | int
    weight: float
    cosine: float  # of the example alone with the hit, in [-1, 1]
    share: float  # of the score; all shares of a hit add up to it, to float32's rounding

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "value": self.value,
            "weight": self.weight,
            "cosine": round(self.cosine, 6) + 0.0,  # not -0.0
            "share": round(self.share, 6) + 0.0,
        }


class Explaining:
    """Explains the hits of one query, the examples in the order texts, images, rows, vectors."""

    def __init__(self, examples: Sequence[Example]) -> None:
        kinds: tuple[Kind, ...] = ("text", "image", "row", "vector")
        self._examples = sorted(examples, key=lambda each: kinds.index(each.kind))
        length = float(np.linalg.norm(weighted_sum(examples).astype(np.float64)))
        # (examples,); in float32 first, as the query's vector has them
        self._factors = scaled_weights(self._examples).astype(np.float64) / length
        self._vectors = np.stack([each.vector for each in self._examples]).astype(np.float64)

    def shares(self, rows: Vectors, scores: NDArray[np.float32]) -> list[tuple[Share, ...]]:
        """Of each hit the shares of all examples.

        :param rows: float32, (n, dim): the hits' stored vectors; scores: float32, (n,): theirs.
        """
        cosines = np.vecdot(rows.astype(np.float64)[:, None], self._vectors)  # (n, examples)
        shares = cosines * self._factors
        totals = shares.sum(axis=1)
        is_cut = np.abs(totals) > 1
        shares[is_cut] *= (scores[is_cut] / totals[is_cut])[:, None]
        cosines = np.clip(cosines, -1, 1)
        return [
            tuple(
                Share(each.kind, each.value, each.weight, cosine, share)
                for each, cosine, share in zip(self._examples, *of_hit, strict=True)
            )
            for of_hit in zip(cosines.tolist(), shares.tolist(), strict=True)
        ]
