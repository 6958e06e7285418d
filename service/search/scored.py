"""All rows that pass, with their scores: which of them match so strongly.

Every row is scored in one pass, in half precision where that is fast. A row that lies too near a
cut for the pass to tell is scored again by FAISS, so that what is said of a cut is what a search
says.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.disk.stored_vectors import HalfQueries, NewVectors, half_precision_pays
from service.search.ranking import Ranking
from service.snapshot.nearest import exact_scores
from service.snapshot.part import Block, blocks_of
from service.snapshot.scan.halves import bound
from service.snapshot.snapshot import Snapshot
from service.snapshot.threads import for_each

SCORED_AT_ONCE = 4_096  # rows by FAISS, which puts them in order, too


def scores_at(
    snapshot: Snapshot, vector: NDArray[np.float32], numbers: Positions, positions: Positions
) -> NDArray[np.float32]:
    """float32, (n,): what a search says of these rows, bit for bit, in their order.

    :param numbers: int64, (n,): of their parts; positions: int64, (n,): in those.
    """
    scores = np.empty(len(numbers), np.float32)
    for start in range(0, len(numbers), SCORED_AT_ONCE):
        here = np.arange(start, min(start + SCORED_AT_ONCE, len(numbers)))
        here = here[np.argsort(numbers[here], kind="stable")]
        few = NewVectors(len(vector))
        for number in np.unique(numbers[here]).tolist():
            of_part = here[numbers[here] == number]
            snapshot.parts[number].vectors.copy_to(few, positions[of_part])
        scores[here] = np.clip(exact_scores(few.stored(), vector), -1, 1)
    return scores


class Scored:
    """The rows that pass, with their scores: at most `epsilon` off those of a search."""

    def __init__(self, ranking: Ranking) -> None:
        """:param ranking: whose rows, whatever their score, and whose vector."""
        self._snapshot, self._vector = ranking.snapshot, ranking.vector
        parts = ranking.snapshot.parts
        parallel = ranking.is_parallel
        masks = for_each(ranking.mask, range(len(parts)), parallel=parallel)
        # As far as half precision is off; where rows are decoded, much less.
        self.epsilon = bound(self._vector, self._vector.astype(np.float16))
        score = self._scorer()
        blocks = blocks_of(parts)
        found = [np.empty(0, np.float32), *for_each(score, blocks, parallel=parallel)]
        kept = [
            np.ones(part.rows, bool) if mask is None else mask
            for part, mask in zip(parts, masks, strict=True)
        ]
        mask: RowMask = np.concatenate([np.empty(0, bool), *kept])
        scores = np.clip(np.concatenate(found), -1, 1)
        # Their places, counted through all parts; None: every row passes.
        self._places = None if mask.all() else np.flatnonzero(mask)
        self.scores: NDArray[np.float32] = scores if self._places is None else scores[mask]

    def _scorer(self) -> Callable[[Block], NDArray[np.float32]]:
        parts, vector = self._snapshot.parts, self._vector
        half = HalfQueries(vector[None])

        def in_halves(block: Block) -> NDArray[np.float32]:
            number, start, end = block
            return parts[number].vectors.score(half, start, end)[:, 0]

        def decoded(block: Block) -> NDArray[np.float32]:
            number, start, end = block
            rows = parts[number].vectors.take(np.arange(start, end))
            return np.asarray(np.vecdot(rows, vector), np.float32)

        return in_halves if half_precision_pays() else decoded

    def whole(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, (rows of all parts,), NaN where a row does not pass.

        :param values: float32, (n,): of those that pass.
        """
        if self._places is None:
            return values
        rows = sum(part.rows for part in self._snapshot.parts)
        whole = np.full(rows, np.nan, np.float32)
        whole[self._places] = values
        return whole

    def exact(self, rows: Positions) -> NDArray[np.float32]:
        """float32, (n,): what a search says of these.

        :param rows: int64, (n,): their numbers among those that pass, rising.
        """
        places = rows if self._places is None else self._places[rows]
        numbers, positions = self._snapshot.locate(places.astype(np.uint64))
        return scores_at(self._snapshot, self._vector, numbers, positions)

    def at_least(self, cut: float) -> int:
        """How many a search for this score or more finds."""
        return int(np.count_nonzero(self._above(cut)))

    def masks(self, cut: float) -> list[RowMask]:
        """bool, (rows of the part,), a mask a part: which they are."""
        above = self._above(cut)
        ends = np.cumsum([part.rows for part in self._snapshot.parts])
        whole = above
        if self._places is not None:
            whole = np.zeros(int(ends[-1]) if len(ends) else 0, bool)
            whole[self._places[above]] = True
        return np.split(whole, ends[:-1]) if len(ends) else []

    def _above(self, cut: float) -> RowMask:
        """bool, (n,): which of those that pass a search for this score or more finds."""
        above: RowMask = self.scores >= cut
        unsure = np.flatnonzero(np.abs(self.scores - np.float32(cut)) <= 2 * self.epsilon)
        above[unsure] = self.exact(unsure) >= cut
        return above
