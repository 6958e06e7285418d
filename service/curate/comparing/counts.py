"""Two counts beside each other, and many such pairs: how sure one may be that they differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Counts:
    """How many images of a and of b are of something."""

    in_a: int
    of_a: int
    in_b: int
    of_b: int

    @property
    def share_a(self) -> float:
        return self.in_a / max(self.of_a, 1)

    @property
    def share_b(self) -> float:
        return self.in_b / max(self.of_b, 1)

    @property
    def p(self) -> float:
        """Fisher's exact test, two-sided: twice the smaller tail, 1 at most."""
        from scipy.stats import hypergeom

        there = hypergeom(self.of_a + self.of_b, self.in_a + self.in_b, self.of_a)
        return float(min(1.0, 2 * min(there.cdf(self.in_a), there.sf(self.in_a - 1))))


def q_values(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64, (n,): of those with q up to x, at most a share of x is expected to be there by
    chance, if what is tested does not hang together negatively.

    Source: Benjamini and Hochberg, "Controlling the false discovery rate", JRSS-B 57 (1995).
    """
    order = np.argsort(p, kind="stable")
    times = p[order] * len(p) / np.arange(1, len(p) + 1)
    found = np.empty(len(p))
    found[order] = np.minimum.accumulate(times[::-1])[::-1]
    return np.minimum(found, 1.0)
