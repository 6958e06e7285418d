"""Centres of groups, and which row is of which group."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.disk.groups import halves_of
from indexer.run.grouping.grouped_rows import Counted

SAMPLE_A_GROUP = 48  # rows that centres are made from
ROUNDS = 10
_ROWS = 4_096  # compared at once: 64 MB of scores with 4,096 centres


def number_of_groups(rows: int) -> int:
    """The power of two next to the root: 1,024 for a million rows, 4,096 for ten million.

    A search then compares itself with about as many centres as a group has rows.
    """
    return int(2 ** np.clip(round(np.log2(max(rows, 1)) / 2), 2, 16))


def centres_of(counted: Counted, groups: int, seed: int = 0) -> Vectors:
    """float32, (groups, dim): means of rows near to one another, by k-means on a sample."""
    sample = counted.take(counted.sample(SAMPLE_A_GROUP * groups, seed))
    found = faiss.Kmeans(
        counted.dim,
        min(groups, len(sample)),
        niter=ROUNDS,
        seed=seed + 1,
        min_points_per_centroid=1,
        max_points_per_centroid=SAMPLE_A_GROUP,
    )
    found.train(sample)
    return np.asarray(found.centroids, np.float32)


def groups_of_rows(
    counted: Counted, centres: Vectors, advance: Callable[[int], None]
) -> NDArray[np.int32]:
    """int32, (rows,): of each row the group whose centre is nearest to it.

    :param advance: told of the rows done since it was called last.
    """
    from threadpoolctl import threadpool_limits

    turned = np.ascontiguousarray(centres.T)  # (dim, groups)
    halves = halves_of(centres)  # (groups,)
    found = np.empty(counted.rows, np.int32)

    def assign(start: int) -> int:
        end = min(start + _ROWS, counted.rows)
        scores = counted.take(np.arange(start, end)) @ turned  # (rows, groups)
        scores -= halves
        found[start:end] = scores.argmax(1)
        return end - start

    # Threads of ours share the rows; BLAS's own would only wait for one another.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(assign, range(0, counted.rows, _ROWS)):
            advance(done)
    return found
