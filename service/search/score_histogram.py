"""How strongly all rows match a query: counted in bins of one width, and above a cut.

Every row that passes is scored in one pass. What a count says is what a search with that `min_z`
finds: a row that lies too near an edge for the pass to tell is scored again by FAISS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.disk.stored_vectors import HalfQueries, NewVectors, half_precision_pays
from indexer.errors import BadRequest
from service.search.ranking import Ranking
from service.search.remarks import best_of
from service.search.search import Centre, background_centre, least_score
from service.search.understood import Understood
from service.snapshot.nearest import exact_scores
from service.snapshot.part import Block, blocks_of
from service.snapshot.scan.halves import bound
from service.snapshot.threads import for_each

BINS = 200  # at most, if not said: steps of 0.1 z in most lakes
FEWEST_BINS, MOST_BINS = 4, 1_000
# Rows scored again for the edges of bins, those that match best first: 10 ms. Of 30,000 rows no
# more lie near an edge; in larger lakes these are the edges that some 50,000 rows are above.
SCORED_AGAIN = 5_000
# Bins by which float32 may be off in the place of a score among them.
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """How many rows match a query how strongly."""

    unit: Literal["z", "score"]  # score: the lake has no z
    rows: int  # that where and the filter keep
    low: float  # where the first bin begins: a multiple of step
    step: float  # how wide a bin is: 1, 2 or 5 times a power of ten
    counts: tuple[int, ...]  # of each bin, its lower edge among its rows
    best: float | None  # of all of them; None: there is none
    # z that the best of so many rows has where nothing fits; None: they have no z
    chance: float | None
    min_z: float | None  # the query's
    above: int | None  # rows whose z is at least that; None: the query has none

    def to_json(self) -> dict[str, Any]:
        """As `POST /v1/scores` answers, but for the snapshot."""
        return {
            "unit": self.unit,
            "rows": self.rows,
            "low": self.low,
            "step": self.step,
            "counts": list(self.counts),
            "best": None if self.best is None else round(self.best, 6),
            "chance": None if self.chance is None else round(self.chance, 3),
            "min_z": self.min_z,
            "above": self.above,
        }


def score_histogram(asked: Understood, bins: int = BINS) -> ScoreHistogram:
    """Count the rows that the query's where and filter keep by how strongly they match, in z, or in
    scores where the lake has no z; its k, collapse and the like do not count.

    :param bins: at most so many, FEWEST_BINS to MOST_BINS.
    :raises BadRequest: if bins is out of range, or min_z is asked for and there is no z.
    """
    if not FEWEST_BINS <= bins <= MOST_BINS:
        raise BadRequest(
            "bins", f"{bins} is no number of bins; it is {FEWEST_BINS} to {MOST_BINS:,}"
        )
    min_z = asked.query.min_z
    centre = background_centre(asked.snapshot, asked.vector)
    cut = None if min_z is None else least_score(asked.snapshot, centre, min_z)
    passing = _Passing(asked)
    middle, sigma = centre or (0.0, 1.0)
    low, step, counts = _binned(passing, (middle, sigma), bins)
    best = float(passing.scores.max()) if len(passing.scores) else None
    return ScoreHistogram(
        unit="score" if centre is None else "z",
        rows=len(passing.scores),
        low=low,
        step=step,
        counts=tuple(counts.tolist()),
        best=None if best is None else (best - middle) / sigma,
        chance=None if centre is None else best_of(len(passing.scores)),
        min_z=min_z,
        above=None if cut is None else passing.at_least(cut),
    )


def masks_above(asked: Understood) -> list[RowMask]:
    """bool, (rows of the part,), a mask a part: what a search with the query's min_z finds.

    :raises BadRequest: if there is no z.
    """
    min_z = asked.query.min_z
    if min_z is None:
        raise BadRequest("min_z", "say from which match strength on")
    cut = least_score(asked.snapshot, background_centre(asked.snapshot, asked.vector), min_z)
    return _Passing(asked).masks(cut)


class _Passing:
    """The rows that pass, with their scores: at most `epsilon` off those of a search."""

    def __init__(self, asked: Understood) -> None:
        self._snapshot, self._vector = asked.snapshot, asked.vector
        among = None if asked.decided is None else asked.decided.masks
        ranking = Ranking(asked.snapshot, asked.vector, asked.where, among)
        parts = asked.snapshot.parts
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

    def exact(self, rows: Positions) -> NDArray[np.float32]:
        """float32, (n,): what a search says of these.

        :param rows: int64, (n,): their numbers among those that pass, rising.
        """
        places = rows if self._places is None else self._places[rows]
        numbers, positions = self._snapshot.locate(places.astype(np.uint64))
        few = NewVectors(len(self._vector))
        for number in np.unique(numbers).tolist():
            self._snapshot.parts[number].vectors.copy_to(few, positions[numbers == number])
        return np.clip(exact_scores(few.stored(), self._vector), -1, 1)

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


def _binned(passing: _Passing, centre: Centre, bins: int) -> tuple[float, float, NDArray[np.int64]]:
    """Where the first bin begins, how wide each is, and int64, (n,): the rows of each."""
    scores, (middle, sigma) = passing.scores, centre
    if not len(scores):
        return 0.0, 1.0, np.empty(0, np.int64)
    lowest = (float(scores.min()) - passing.epsilon - middle) / sigma
    highest = (float(scores.max()) + passing.epsilon - middle) / sigma
    step = _round_step((highest - lowest) / (bins - 2))
    first = math.floor(lowest / step)
    digits = max(0, -math.floor(math.log10(step)))
    edges = np.round(np.arange(first, math.floor(highest / step) + 2) * step, digits)  # (n + 1,)
    cuts = (middle + edges * sigma).astype(np.float32)
    # A product and no search among the edges: of a million rows that takes a tenth of the time.
    at = (scores - np.float32(cuts[0])) * np.float32(1 / (step * sigma))
    homes = np.clip(np.floor(at), 0, len(edges) - 2).astype(np.int64)
    unsure = _near_an_edge(at, passing.epsilon / (step * sigma) + _ROUNDING)
    if len(unsure) > SCORED_AGAIN:
        least = np.partition(scores[unsure], -SCORED_AGAIN)[-SCORED_AGAIN]
        unsure = unsure[scores[unsure] > least]
    exact = passing.exact(unsure)
    homes[unsure] = np.clip(np.searchsorted(cuts, exact, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(homes, minlength=len(edges) - 1)
    used = np.flatnonzero(counts)
    return float(edges[used[0]]) + 0.0, step, counts[used[0] : used[-1] + 1]


def _near_an_edge(at: NDArray[np.float32], off: float) -> Positions:
    """The rows whose place among the bins may be on the other side of an edge."""
    return np.flatnonzero(np.abs(at - np.rint(at)) <= np.float32(off))


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least this."""
    power = math.floor(math.log10(least))
    factor = next(each for each in (1, 2, 5, 10) if each * 10.0**power >= least * (1 - 1e-9))
    return float(f"{factor}e{power}")
