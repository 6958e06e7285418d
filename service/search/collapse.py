"""Near-identical images as one hit: each folds into the best hit
before it whose perceptual hash is nearly the same.

Measured on photos of Flickr8k with `builtin`: 18 copies of each of 200, and all 4.5 million pairs
of 3,000.

    share of the copies within           4 bits  6 bits  8 bits  10 bits  12 bits
    JPEG again, quality 30 to 95          1.00    1.00    1.00    1.00     1.00
    resized to 50 to 200 %                1.00    1.00    1.00    1.00     1.00
    brightness 90 to 110 %                1.00    1.00    1.00    1.00     1.00
    2 or 3 % cut off, half on each side   0.88    0.97    0.99    1.00     1.00
    2 or 3 % cut off, left and top        0.54    0.77    0.92    0.98     1.00
    5 % cut off, half on each side        0.52    0.83    0.94    0.99     0.99
    5 % cut off, left and top             0.07    0.20    0.38    0.66     0.86
    pairs of different photos                0       0       0       1       33

Hence 8 bits. (One more pair has the very same hash: a photo that is in Flickr8k twice.) A least
cosine beside it would lose more than it wins: after JPEG at quality 30 a photo's cosine with its
copy is below 0.72 for one in 20, while 0.1 % of the pairs of different photos are above 0.93.

Flat pictures are the exception: whatever their colour, and smooth ramps too, at most 5 of their
bits are set, where each of the photos had 32. So those are told apart by their vectors. Black and
its JPEG have cosine 1.00, white and grey 0.99, black and white 0.97, red and blue 0.82, grey and a
ramp 0.85. Black frames with noise differ in 28 bits and stay apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from service.search.ranking import Found, vectors_of
from service.snapshot.snapshot import Snapshot

NEAR_BITS = 8
# set in the hash; a picture with structure has 32, of 64 frequencies those above the median
FLAT_BELOW_BITS = 16
FLAT_MIN_COSINE = 0.98
BLOCK = 512  # hits compared at once; bounds the memory
Features: TypeAlias = NDArray[Any]  # (n, ...): what hits are compared by
Near: TypeAlias = Callable[[Features, Features], NDArray[np.bool_]]  # (n, ...), (m, ...) -> (n, m)


@dataclass(frozen=True, slots=True)
class Compared:
    """A few hits, compared with all that stayed before them, and with each other."""

    # (n,): the number of the best earlier hit that each is near to, its own where there is none.
    homes: Positions
    near: NDArray[np.bool_]  # (n, n): row i tells which later ones are near to hit i
    # Pictures, then flat pictures: their places among the n, and what they are compared by.
    kinds: tuple[tuple[Positions, Features], ...]


class Likeness:
    """Compares hits, from the best one on, with those that stay; says nothing of which do."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._kept = (_Kept(are_near), _Kept(are_alike))  # pictures, and flat ones

    def compare(self, numbers: Positions, found: Found) -> Compared:
        """Compare at most BLOCK hits.

        :param numbers: int64, (n,): theirs, among all hits; found: the hits themselves.
        """
        hashes, known = self._hashes(found)
        is_flat = known & (np.bitwise_count(hashes) < FLAT_BELOW_BITS)
        pictures, flat = np.flatnonzero(known & ~is_flat), np.flatnonzero(is_flat)
        kinds: tuple[tuple[Positions, Features], ...] = (
            (pictures, hashes[pictures]),
            (flat, vectors_of(self._snapshot, found.at(flat))),
        )
        homes, near = numbers.copy(), np.zeros((len(numbers), len(numbers)), bool)
        for kept, (here, features) in zip(self._kept, kinds, strict=True):
            homes[here] = kept.homes(numbers[here], features)
            near[np.ix_(here, here)] = np.triu(kept.near(features, features), k=1)
        return Compared(homes, near, kinds)

    def keep(self, numbers: Positions, compared: Compared, stays: NDArray[np.bool_]) -> None:
        """Compare later hits with these, too.

        :param stays: bool, (n,): which of those that were compared.
        """
        for kept, (here, features) in zip(self._kept, compared.kinds, strict=True):
            staying = stays[here]
            if staying.any():
                kept.blocks.append((numbers[here][staying], features[staying]))

    def _hashes(self, found: Found) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """uint64, (n,), and which of them there are."""
        hashes, known = np.zeros(len(found), np.uint64), np.zeros(len(found), bool)
        for number in np.unique(found.parts):
            here = found.parts == number
            of_part, is_there = self._snapshot.parts[number].phashes
            hashes[here], known[here] = (
                of_part[found.positions[here]],
                is_there[found.positions[here]],
            )
        return hashes, known


class _Kept:
    """The hits of one kind that stay."""

    def __init__(self, near: Near) -> None:
        self.near = near
        self.blocks: list[tuple[Positions, Features]] = []  # their numbers and features

    def homes(self, numbers: Positions, features: Features) -> Positions:
        """int64, (n,): the number of the best hit that each is near to,
        its own where there is none.
        """
        homes = numbers.copy()
        for kept_numbers, kept in self.blocks:
            left = np.flatnonzero(homes == numbers)
            near = self.near(features[left], kept)  # (left, kept)
            folds = near.any(axis=1)
            homes[left[folds]] = kept_numbers[near.argmax(axis=1)[folds]]
        return homes


def are_near(some: Features, others: Features) -> NDArray[np.bool_]:
    """Whether perceptual hashes differ in at most NEAR_BITS:
    uint64 (n,) and (m,) -> bool (n, m).
    """
    return np.asarray(np.bitwise_count(some[:, None] ^ others) <= NEAR_BITS)


def are_alike(some: Features, others: Features) -> NDArray[np.bool_]:
    """Whether vectors have at least FLAT_MIN_COSINE:
    float32 (n, dim) and (m, dim) -> bool (n, m).
    """
    return np.asarray(some @ others.T >= FLAT_MIN_COSINE)
