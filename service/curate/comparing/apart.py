"""Whether two sets of vectors differ at all: a line that is found on one half tells the sets apart
in the other half, and is asked again with the sets mixed up at random.

The line is Fisher's discriminant: the difference of the means in the measure of the spread of all.
Halves and spread are worked out without knowing which set a vector is of. So where the sets are
draws of the same, all relabellings are as likely as the true one, and the share of those that tell
them apart at least as well is a p that needs no assumption (Lopez-Paz and Oquab, "Revisiting
classifier two-sample tests", ICLR 2017; Phipson and Smyth, "Permutation p-values should never be
zero", 2010: the true one is counted with them). It is taken for granted that each image was drawn
by itself: frames of one video were not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import RowMask, Vectors

PERMUTATIONS = 999
AT_ONCE = 128  # relabellings; bounds the memory
RIDGE = 0.1  # of the mean variance, added to each direction's


@dataclass(frozen=True, slots=True)
class Apart:
    # Of an image of a and one of b, how often the line tells which is which; 0.5 is by chance.
    auc: float
    p: float
    permutations: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def told_apart(
    vectors: Vectors,
    is_b: RowMask,
    is_second: RowMask,
    random: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> Apart:
    """
    :param vectors: float32, (n, dim), unit rows.
    :param is_b: (n,), True: of b; is_second: (n,), of the second half, drawn without is_b.
    """
    halves = [vectors[~is_second], vectors[is_second]]
    measures = [_measure(half) for half in halves]
    labels = np.concatenate([is_b[~is_second], is_b[is_second]])
    cut = len(halves[0])
    found = np.empty(permutations + 1)
    for start in range(0, len(found), AT_ONCE):
        some = min(AT_ONCE, len(found) - start)
        mixed = random.permuted(np.repeat(labels[:, None], some, axis=1), axis=0)
        if start == 0:
            mixed[:, 0] = labels
        first, second = mixed[:cut], mixed[cut:]
        found[start : start + some] = (
            _aucs(halves[1] @ _lines(halves[0], measures[0], first), second)
            + _aucs(halves[0] @ _lines(halves[1], measures[1], second), first)
        ) / 2
    at_least = int(np.count_nonzero(found >= found[0]))  # the true one is among them
    return Apart(float(found[0]), at_least / len(found), permutations)


def _measure(half: Vectors) -> NDArray[np.float32]:
    """float32, (dim, dim): the inverse of the spread of all."""
    apart = half - half.mean(axis=0)
    spread = apart.T @ apart / max(len(half), 1)
    ridge = RIDGE * float(np.trace(spread)) / len(spread) + 1e-9
    return np.asarray(np.linalg.inv(spread + ridge * np.eye(len(spread))), np.float32)


def _lines(
    half: Vectors, measure: NDArray[np.float32], is_b: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """float32, (dim, labellings).

    :param is_b: (n, labellings).
    """
    of_b = is_b.astype(np.float32)
    counts = of_b.sum(axis=0)
    sums, total = half.T @ of_b, half.sum(axis=0)[:, None]
    means_b = sums / np.maximum(counts, 1)
    means_a = (total - sums) / np.maximum(len(half) - counts, 1)
    return np.asarray(measure @ (means_b - means_a), np.float32)


def _aucs(scores: NDArray[np.float32], is_b: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64, (labellings,): how often one of b scores above one of a, ties counting half; 0.5
    where a side has none.

    :param scores: (n, labellings); is_b: likewise.
    """
    from scipy.stats import rankdata

    many_b = is_b.sum(axis=0)
    pairs = many_b * (len(is_b) - many_b)
    above = (rankdata(scores, axis=0) * is_b).sum(axis=0) - many_b * (many_b + 1) / 2
    return np.where(pairs > 0, above / np.maximum(pairs, 1), 0.5)
