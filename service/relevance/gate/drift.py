"""Whether new scores look like those that were audited:
a warning beside decisions, never a change of them.

Knows no filter and no image. The largest distance D between the two distributions of scores
(Kolmogorov and Smirnov's) is held against the bound p = 2 exp(-2 n D^2), where n = a b / (a + b)
for a and b images. Scores that tie only make it safer.

Near-identical images are not independent: a hundred copies of one image say no more than one. So a
and b are effective numbers, (sum w)^2 / sum w^2 for groups of w near-identical images; the
distributions themselves keep every image, since what was audited had its copies, too.

Sources: Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", Annals of
Probability 18 (1990), for the bound, which is the first term of Kolmogorov's own series; Hoeffding
(1963), for weights, at each score; Kish, "Survey sampling" (1965), for the effective number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from service.relevance.as_json import AsJson, told
from service.search.collapse import FLAT_BELOW_BITS, are_alike, are_near

Scores = NDArray[np.float32]
Hashes = NDArray[np.uint64]

FEWEST = 20  # different images, below which nothing is said
RARELY = 0.001  # a warning without any drift comes in less than this share of batches
# of a large batch any little difference is beyond chance; below this one it is none to act on
LEAST_DISTANCE = 0.1
MOST_COMPARED = 2_000  # images that are looked at for copies, spread evenly over the batch


@dataclass(frozen=True, slots=True)
class DriftFound(AsJson):
    """How the scores compare with those that were audited."""

    warning: bool
    sentence: str
    images: int
    different: float = field(metadata=told("About how many; near-identical ones count together."))
    distance: float | None = field(
        metadata=told("Between the two distributions, 0 to 1; null: too few images to say.")
    )
    p_value: float | None = field(
        metadata=told("At most the chance of such a distance without any drift.")
    )
    above_line_then: float = field(
        metadata=told("The share at or above the line of what was audited.")
    )
    above_line_now: float | None

    def to_json(self) -> dict[str, Any]:
        """As all answers, with six digits."""
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in AsJson.to_json(self).items()
        }


class Sample:
    """A few of many images, spread evenly, however many come:
    their perceptual hashes and vectors.
    """

    def __init__(self, most: int = MOST_COMPARED) -> None:
        self._most = most
        self._every = 1
        self._seen = 0
        self._hashes: list[int] = []
        self._vectors: list[Vectors] = []

    def add(self, phash: int, vector: Vectors) -> None:
        """:param vector: float32, (dim,), unit length."""
        if self._seen % self._every == 0:
            self._hashes.append(phash)
            self._vectors.append(
                np.array(vector, np.float32)
            )  # a copy: the vector may be a view of its whole batch
        self._seen += 1
        if len(self._hashes) > self._most:
            self._hashes, self._vectors = self._hashes[::2], self._vectors[::2]
            self._every *= 2

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def different(self) -> float:
        """The effective number of the images in the sample."""
        if not self._hashes:
            return 0.0
        return effective(groups(np.array(self._hashes, np.uint64), np.stack(self._vectors)))


def groups(hashes: Hashes, vectors: Vectors) -> list[int]:
    """The sizes of groups of near-identical images,
    each made of an image and those after it that are near to it.

    :param hashes: uint64, (n,), perceptual; flat pictures, whose hashes are all alike, are told
        apart by their vectors.
    :param vectors: float32, (n, dim), unit rows.
    """
    flat = np.bitwise_count(hashes) < FLAT_BELOW_BITS
    return [
        *_sizes(are_near(hashes[~flat], hashes[~flat])),
        *_sizes(are_alike(vectors[flat], vectors[flat])),
    ]


def _sizes(near: NDArray[np.bool_]) -> list[int]:
    """:param near: bool, (n, n)."""
    free, found = np.ones(len(near), bool), []
    for number in range(len(near)):
        if free[number]:
            members = near[number] & free
            members[number] = True  # a vector's product with itself may round to below 1
            found.append(int(members.sum()))
            free &= ~members
    return found


def effective(sizes: Sequence[int]) -> float:
    """How many independent images so many groups are worth."""
    squares = sum(size * size for size in sizes)
    return sum(sizes) ** 2 / squares if squares else 0.0


def distance(then: Scores, now: Scores) -> float:
    """The largest difference, over all scores,
    between the two shares of images at or below that score.

    :param then: (n,), rising; now: (m,), in any order; neither is empty.
    """
    now = np.sort(now)
    at = np.concatenate([then, now])
    below = [np.searchsorted(scores, at, side="right") / len(scores) for scores in (then, now)]
    return float(np.abs(below[0] - below[1]).max())


def p_value(largest: float, some: float, others: float) -> float:
    """At most this is the chance of so large a distance between two samples of the same.

    :param some, others: effective numbers, above 0.
    """
    both = some * others / (some + others)
    return min(1.0, 2 * math.exp(-2 * both * largest**2))


def compare(
    then: Scores, then_different: float, now: Scores, now_different: float, line: float
) -> DriftFound:
    """
    :param then: (n,), rising: the scores of all that was audited; now: (m,), those of the new
        images.
    :param then_different, now_different: effective numbers of images.
    :param line: the score below which is dropped.
    """
    above_then = _above(then, line)
    if now_different < FEWEST or not len(then):
        sentence = (
            f"too few different images (about {now_different:.0f}, and {FEWEST} are needed) to tell whether their "
            "scores are like those that were audited"
        )
        above = _above(now, line) if len(now) else None
        return DriftFound(False, sentence, len(now), now_different, None, None, above_then, above)
    largest = distance(then, now)
    chance = p_value(largest, then_different, now_different)
    warning = chance < RARELY and largest >= LEAST_DISTANCE
    sentence = (
        _moved(then, now, line) if warning else "their scores are like those that were audited"
    )
    return DriftFound(
        warning, sentence, len(now), now_different, largest, chance, above_then, _above(now, line)
    )


def _above(scores: Scores, line: float) -> float:
    return float(np.mean(scores >= np.float32(line))) if len(scores) else 0.0


def _moved(then: Scores, now: Scores, line: float) -> str:
    return (
        f"these images are not like those that were audited: {_percent(_above(now, line))} of them score at or above "
        f"the line, {_percent(_above(then, line))} did then (median score {np.median(now):.3f} now, "
        f"{np.median(then):.3f} then); what held then may not hold here: index them, and audit again"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
