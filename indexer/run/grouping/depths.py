"""How many groups a search must look into: measured with queries of which all is known.

All rows of the groups that are looked into are scored exactly. So a row among the nearest is found
if and only if its group is looked into, and one exact search tells the recall for every number of
groups at once: a row whose group is the seventh nearest to the query is found from seven on.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from indexer.cores import usable_cores
from indexer.disk.groups import NEAREST, Depths, halves_of
from indexer.run.grouping.grouped_rows import Counted

CONFIDENCE = 0.95
_AT_ONCE, _ROWS = 512, 4_096  # queries and rows scored at once: 8 MB
_RANKED = 256  # queries whose groups are put in order at once: 34 MB with 16,384 groups


def measure(
    counted: Counted,
    centres: Vectors,
    groups: NDArray[np.int32],
    queries: Vectors,
    made_of: str,
    themselves: Positions | None = None,
    advance: Callable[[int], None] = lambda rows: None,
) -> Depths:
    """
    :param groups: int32, (rows,): of each row its group.
    :param queries: float32, (n, dim), unit rows.
    :param made_of: what the queries are, in a word.
    :param themselves: int64, (n,): the row that each query is, which does not count as found.
    :param advance: told of the rows read, once for all queries.
    """
    places = nearest(counted, queries, NEAREST[-1], themselves, advance)  # (n, 100)
    needed = _needed(centres, groups, queries, places)  # (n, 100)
    grid = depth_grid(len(centres))
    means: list[tuple[float, ...]] = []
    least: list[tuple[float, ...]] = []
    for count in NEAREST:
        there = np.maximum((places[:, :count] >= 0).sum(1), 1)  # (n,)
        shares = [(needed[:, :count] <= depth).sum(1) / there for depth in grid]
        means.append(tuple(float(share.mean()) for share in shares))
        bounds = np.array([least_mean(share) for share in shares])
        # No deeper search has a smaller bound: so whoever takes the first that is large enough is
        # wrong as seldom as if one depth alone had been looked at, the last that has too little.
        least.append(tuple(np.minimum.accumulate(bounds[::-1])[::-1].tolist()))
    return Depths(len(queries), made_of, grid, means[0], means[1], least[0], least[1])


def _needed(
    centres: Vectors, groups: NDArray[np.int32], queries: Vectors, places: Positions
) -> NDArray[np.int64]:
    """int64, (n, 100): with how many groups each of the nearest is found; one more than there are
    where it is not there.
    """
    halves, found = halves_of(centres), []
    for start in range(0, len(queries), _RANKED):
        here = slice(start, start + _RANKED)
        order = np.argsort(halves - queries[here] @ centres.T, axis=1, kind="stable")
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(len(centres))[None], axis=1)
        needed = np.take_along_axis(ranks, groups[places[here]].astype(np.int64), axis=1) + 1
        found.append(np.where(places[here] >= 0, needed, len(centres) + 1))
    return np.concatenate(found)


def depth_grid(groups: int) -> tuple[int, ...]:
    """Numbers of groups, each about a twentieth more than the one before."""
    return tuple(sorted({min(round(1.05**step), groups) for step in range(256)}))


def nearest(
    counted: Counted,
    queries: Vectors,
    count: int,
    themselves: Positions | None = None,
    advance: Callable[[int], None] = lambda rows: None,
) -> Positions:
    """int64, (n, count): the places of each query's nearest living rows, in any order; -1 where
    there are fewer.

    In single precision, whatever the order of its sums: rows that differ in the seventh digit may
    change places.
    """
    from threadpoolctl import threadpool_limits

    starts = range(0, len(queries), _AT_ONCE)

    def some(start: int) -> Positions:
        end = min(start + _AT_ONCE, len(queries))
        own = None if themselves is None else themselves[start:end]
        told = advance if start == 0 else lambda rows: None
        return _nearest(counted, queries[start:end], count, own, told)

    # Threads of ours share the queries; BLAS's own would only wait for one another.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(usable_cores()) as pool:
        return np.concatenate(list(pool.map(some, starts)))


def _nearest(
    counted: Counted,
    queries: Vectors,
    count: int,
    themselves: Positions | None,
    advance: Callable[[int], None],
) -> Positions:
    turned = np.ascontiguousarray(queries.T)  # (dim, queries)
    best = _Best(len(queries), count if themselves is None else count + 1)
    for number, store in enumerate(counted.stores):
        alive = counted.alive(number)
        for start in range(0, store.rows, _ROWS):
            end = min(start + _ROWS, store.rows)
            scores = store.decoded(np.arange(start, end)) @ turned  # (rows, queries)
            if alive is not None:
                scores[~alive[start:end]] = -np.inf
            best.add(scores, int(counted.starts[number]) + start)
            advance(end - start)
    places = best.places()
    if themselves is not None:
        is_self = places == themselves[:, None]
        # The worst of all goes where the query is not among its own nearest, as among many copies.
        is_self[~is_self.any(1), -1] = True
        places = places[~is_self].reshape(len(queries), count)
    return places


class _Best:
    """The best rows of several queries, found in pieces: those that may be among them wait until
    they are many, and are then put in order at once.
    """

    def __init__(self, queries: int, count: int) -> None:
        self._places: Positions = np.full((queries, count), -1)  # best first
        self._scores = np.full((queries, count), -np.inf, np.float32)
        self._waiting: list[tuple[Positions, Positions, NDArray[np.float32]]] = []
        self._room = 4 * self._places.size

    def add(self, scores: NDArray[np.float32], first_place: int) -> None:
        """:param scores: float32, (rows, queries): of rows in a row, from this place on."""
        count = self._places.shape[1]
        rows, queries = np.nonzero(scores > self._scores[:, -1])
        are_many = len(rows) > count * scores.shape[1]  # as of the first rows
        if are_many:
            rows = np.argpartition(-scores, min(count, len(scores)) - 1, axis=0)[:count]
            queries = np.broadcast_to(np.arange(scores.shape[1]), rows.shape)
            rows, queries = rows.ravel(), queries.ravel()
        self._waiting.append((queries, rows + first_place, scores[rows, queries]))
        self._room -= len(rows)
        if are_many or self._room <= 0:
            self._settle()

    def places(self) -> Positions:
        """int64, (queries, count): best first; -1 where there are fewer."""
        self._settle()
        return self._places

    def _settle(self) -> None:
        shape = self._places.shape
        numbers = np.repeat(np.arange(shape[0]), shape[1])
        known = (numbers, self._places.ravel(), self._scores.ravel())
        queries, places, scores = map(np.concatenate, zip(known, *self._waiting, strict=True))
        order = np.lexsort((-scores, queries))
        firsts = np.searchsorted(queries[order], np.arange(shape[0]))
        kept = order[(firsts[:, None] + np.arange(shape[1])).ravel()]
        places, scores = places[kept].reshape(shape), scores[kept].reshape(shape)
        self._places, self._scores = np.where(scores > -np.inf, places, -1), scores
        self._waiting, self._room = [], 4 * self._places.size


def least_mean(shares: NDArray[np.float64], confidence: float = CONFIDENCE, seed: int = 0) -> float:
    """What the mean of all that these were drawn from is at least, with so much confidence.

    A bet against each lower mean: were it the mean, the capital would hardly grow twentyfold. It
    holds for any numbers in [0, 1] and any number of them, unlike the normal approximation, which
    promises too much where nearly all of them are 1.

    :param shares: (n,), in [0, 1], n at least 1.

    Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
    JRSS-B 86(1), 2024: the predictable plug-in bets of section 4.2, for a fixed n.
    """
    drawn = np.random.default_rng(seed).permutation(np.asarray(shares, np.float64))
    n = len(drawn)
    counts = np.arange(1, n + 1)
    means = (0.5 + np.cumsum(drawn)) / (counts + 1)
    spreads = (0.25 + np.cumsum(np.square(drawn - means))) / (counts + 1)
    before = np.concatenate([[0.25], spreads[:-1]])
    wanted = np.log(1 / (1 - confidence))
    bets = np.sqrt(2 * wanted / (n * before))  # (n,)

    def is_refuted(mean: float) -> bool:
        capped = np.minimum(bets, 0.9 / mean)
        return bool(np.log1p(capped * (drawn - mean)).sum() >= wanted)

    low, high = 0.0, float(drawn.mean())
    for _ in range(40):
        middle = (low + high) / 2
        if middle > 0 and is_refuted(middle):
            low = middle
        else:
            high = middle
    return low
