"""How the scores of a filter's images lie, by what was decided: the picture that shows the line.

What people's own answers decided stands apart: it is on either side of the line, whatever it
scores.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.relevance.as_json import AsJson, told
from service.relevance.definition import Definition, Thresholds
from service.search.decided import DECISIONS
from service.search.score_bins import Bins

BINS = 120  # at most, if not said: some eight pixels each on a desk


@dataclass(frozen=True, slots=True)
class ScoreCounts(AsJson):
    """Bin i counts the images whose score is from low + i step to below low + (i + 1) step."""

    filter: str
    version: int
    snapshot: int = field(metadata=told("Of the version: images that came since are not counted."))
    rows: int
    thresholds: Thresholds
    low: float = field(metadata=told("Where the first bin begins: a multiple of step."))
    step: float = field(metadata=told("How wide a bin is: 1, 2 or 5 times a power of ten."))
    keep: tuple[int, ...] = field(metadata=told("Of each bin: kept by their score."))
    ask: tuple[int, ...] = field(metadata=told("Of each bin: left to a person."))
    drop: tuple[int, ...] = field(metadata=told("Of each bin: dropped by their score."))
    people: tuple[int, ...] = field(
        metadata=told("Of each bin: decided by people's own answers, whatever they score.")
    )


def count_scores(
    definition: Definition,
    scores: NDArray[np.float32],
    decisions: NDArray[np.object_],
    by_score: NDArray[np.bool_],
    bins: int,
) -> ScoreCounts:
    """:param definition: a version that was applied.

    :param scores: (n,), of its ledger's rows; decisions: (n,), "keep", "ask" or "drop";
        by_score: (n,), as `decided_by_score` has it.
    :param bins: at most so many, as `check_bins` has it.
    """
    assert definition.thresholds is not None, "it was applied"
    wide = scores.astype(np.float64)
    lowest, highest = (float(wide.min()), float(wide.max())) if len(wide) else (0.0, 1.0)
    even = Bins.over(lowest, max(highest, np.nextafter(lowest + 1e-6, 2)), bins)
    groups = {name: by_score & (decisions == name) for name in DECISIONS} | {"people": ~by_score}
    counts = {
        name: tuple(np.histogram(wide[rows], even.edges)[0].tolist())
        for name, rows in groups.items()
    }
    return ScoreCounts(
        filter=definition.name,
        version=definition.version,
        snapshot=definition.snapshot,
        rows=len(scores),
        thresholds=definition.thresholds,
        low=float(even.edges[0]),
        step=even.step,
        **counts,
    )
