"""How strongly all rows match a query: counted in bins of one width, and above a cut.

Every row that passes is scored in one pass. What a count says is what a search with that `min_z`
finds: a row that lies too near an edge for the pass to tell is scored again by FAISS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.errors import BadRequest
from service.search.ranking import Ranking
from service.search.remarks import best_of
from service.search.score_bins import Bins, check_bins
from service.search.scored import Scored
from service.search.search import Centre, background_centre, least_score
from service.search.understood import Understood

BINS = 200  # at most, if not said: steps of 0.1 z in most lakes
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

    :param bins: at most so many, as `check_bins` has it.
    :raises BadRequest: if bins is out of range, or min_z is asked for and there is no z.
    """
    check_bins(bins)
    min_z = asked.query.min_z
    centre = background_centre(asked.snapshot, asked.vector)
    cut = None if min_z is None else least_score(asked.snapshot, centre, min_z)
    passing = Scored(_ranking(asked))
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
    return Scored(_ranking(asked)).masks(cut)


def strengths(asked: Understood) -> NDArray[np.float32]:
    """float32, (rows of all parts,): how strongly each matches, in z, or in scores where the lake
    has no z; NaN where it does not pass. At most half precision off.
    """
    passing = Scored(_ranking(asked))
    middle, sigma = background_centre(asked.snapshot, asked.vector) or (0.0, 1.0)
    return passing.whole((passing.scores - np.float32(middle)) / np.float32(sigma))


def _ranking(asked: Understood) -> Ranking:
    among = None if asked.decided is None else asked.decided.masks
    return Ranking(asked.snapshot, asked.vector, asked.where, among)


def _binned(passing: Scored, centre: Centre, bins: int) -> tuple[float, float, NDArray[np.int64]]:
    """Where the first bin begins, how wide each is, and int64, (n,): the rows of each."""
    scores, (middle, sigma) = passing.scores, centre
    if not len(scores):
        return 0.0, 1.0, np.empty(0, np.int64)
    lowest = (float(scores.min()) - passing.epsilon - middle) / sigma
    highest = (float(scores.max()) + passing.epsilon - middle) / sigma
    even = Bins.over(lowest, highest, bins)
    edges, step = even.edges, even.step
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
