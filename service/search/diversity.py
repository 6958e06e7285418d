"""Hits that differ from each other: maximal marginal relevance.

The first hit is the best one. Each further one is, of those left in the pool, the row x with the
largest

    (1 - d) score(x) - d max over the hits s before it of <x, s>

where d is the query's diversity and <x, s> the cosine of the two images. Ties go to the row that
comes first without diversity: by falling score, then by rising row_id.

The pool is the POOL best hits without diversity, with all else that the query asks for (where,
min_z, collapse, max_per, moments). So it does not depend on how many hits are asked for: there is
one order of all hits, and pages of any size are pieces of it. Behind the pool come all other hits,
by falling score as ever.

Source: Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking for Reordering Documents
and Producing Summaries, SIGIR 1998; their lambda is 1 - d.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from service.search.choosing import Chosen, choose, first_count, joined
from service.search.query import Query
from service.search.ranking import Found, Ranking, vectors_of

POOL = 500  # each step compares all of them with one hit: 0.05 ms at 512 dimensions


def choose_diverse(query: Query, ranking: Ranking, median: Callable[[], float]) -> Chosen:
    """As `choose`, in the order of this module; the query's offset counts hits in it.

    :param query: its diversity is in [0, 1].
    """
    plain = replace(query, diversity=0.0)
    pool = choose(replace(plain, offset=0, k=POOL), ranking, median)
    size, behind = len(pool.found), pool.next_offset  # behind: where the other hits begin
    end = None if query.k is None else query.offset + query.k
    here = _of_pool(query, ranking, pool.found, size if end is None else min(end, size))
    if behind is None or (end is not None and end <= size):
        follows = end is not None and (end < size or behind is not None)
        return replace(pool, found=here, next_offset=end if follows else None)
    if query.offset < size:
        # from the top, so that all that folds into hits of the pool is known
        whole = choose(replace(plain, offset=0, k=end), ranking, median)
        found = joined([here, whole.found.at(slice(size, None))])
    else:
        whole = choose(replace(plain, offset=query.offset - size + behind), ranking, median)
        found = whole.found
    follows_at = None if whole.next_offset is None else size + whole.next_offset - behind
    return replace(whole, found=found, next_offset=follows_at)


def _of_pool(query: Query, ranking: Ranking, pool: Found, end: int) -> Found:
    """The page's hits of the pool, up to place `end` in the order of this module."""
    if query.offset >= end:
        return pool.at(slice(0, 0))
    vectors = vectors_of(ranking.snapshot, pool)
    return pool.at(mixed_order(vectors, pool.scores, query.diversity, end)[query.offset :])


def first_count_of(query: Query, ranking: Ranking) -> int | None:
    """How many rows `choose` or `choose_diverse` looks at first; None: all."""
    if query.diversity:
        query = replace(query, diversity=0.0, offset=0, k=POOL)
    return first_count(query, ranking.snapshot)


def mixed_order(
    vectors: Vectors, scores: NDArray[np.float32], diversity: float, count: int
) -> Positions:
    """int64, (count,): the places of the first hits among those of the pool.

    :param vectors: float32, (n, dim), unit rows; scores: float32, (n,), falling.
    :param diversity: in [0, 1].
    :param count: at most n.
    """
    worth = (1 - diversity) * scores.astype(np.float64)  # (n,)
    likest = np.full(len(scores), -np.inf)  # (n,): the largest cosine with a hit so far
    is_left = np.ones(len(scores), bool)
    order = np.zeros(count, np.int64)
    for step in range(1, count):
        before = order[step - 1]
        is_left[before] = False
        # Not @: what it gives for two equal rows may differ, and equal rows must tie.
        np.maximum(likest, np.vecdot(vectors, vectors[before]), out=likest)
        order[step] = np.argmax(np.where(is_left, worth - diversity * likest, -np.inf))
    return order
