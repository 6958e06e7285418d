"""Centres of groups, and which row is of which group."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from indexer.cores import usable_cores
from indexer.disk.groups import halves_of
from indexer.run.grouping.grouped_rows import Counted

SAMPLE_A_GROUP = 32  # rows that centres are made from
ROUNDS = 8
_SMALL, _LARGE = 100_000, 2_000_000  # rows
_TURNS = 6  # towards the largest spread
_ROWS = 4_096  # compared at once: 64 MB of scores with 4,096 centres


def number_of_groups(rows: int) -> int:
    """The power of two next to the root of a small lake's rows, to four times the root from 100,000
    on, and to twice the root from two million on: 4,096 for a million rows, 8,192 for ten million.

    Small groups hold less that is far from a query. Of 200,000 drawn rows, for a recall of 0.99
    photos read 39,400 in 512 groups and 17,800 in 2,048, texts 49,500 and 28,800; to compare a
    query with the centres takes as long as to read twice as many rows. But the time that groups
    take to be made grows as rows times groups.
    """
    more = 0 if rows < _SMALL else 2 if rows < _LARGE else 1
    return int(2 ** np.clip(round(np.log2(max(rows, 1)) / 2 + more), 2, 16))


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
    centres = np.asarray(found.centroids, np.float32)
    return centres[in_order(centres)]


def in_order(centres: Vectors) -> Positions:
    """int64, (groups,): an order in which centres near to one another are near in the order, too:
    halved along the direction of their largest spread, and each half again.

    Groups that follow one another are read in one piece. Of 2,048 groups, the 248 nearest to a
    photo were 219 pieces as k-means leaves them, and 135 so; to a text 216 and 154.
    """
    waiting, found = [(np.arange(len(centres)), centres[0])], []
    while waiting:
        some, before = waiting.pop()
        if len(some) <= 2:
            found.append(some)
            continue
        apart = centres[some] - centres[some].mean(0)
        along = apart[np.square(apart).sum(1).argmax()]
        for _ in range(_TURNS):
            along = (apart @ along) @ apart
            along /= np.linalg.norm(along) + np.float32(1e-12)
        # The way of the whole, so that the end of one half is where the other begins.
        along *= 1 if along @ before >= 0 else -1
        halves = some[np.argsort(apart @ along, kind="stable")]
        waiting += [(halves[len(some) // 2 :], along), (halves[: len(some) // 2], along)]
    return np.concatenate(found)


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
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(usable_cores()) as pool:
        for done in pool.map(assign, range(0, counted.rows, _ROWS)):
            advance(done)
    return found
