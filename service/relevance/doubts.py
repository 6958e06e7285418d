"""What a filter is unsure of: a number for each image, 1 at even chances and 0 where it is sure."""

from __future__ import annotations

import numpy as np

from indexer.errors import BadRequest
from service.curate.picking.pick import Doubts
from service.relevance.definition import Definition
from service.relevance.scoring.scorer import score_rows
from service.relevance.scoring.teaching import Taught
from service.snapshot.snapshot import Snapshot


def doubts_of(
    name: str, snapshot: Snapshot, definition: Definition, taught: Taught, answered: list[int]
) -> Doubts:
    """4 p (1 - p) of each image that the filter's `where` keeps, p its calibrated chance to be
    relevant: the variance of yes or no, in units of its largest.

    :param answered: row_ids that people answered.
    :raises BadRequest: if the answers do not tell chances apart yet.
    """
    calibration = taught.calibration
    if calibration is None or not calibration.slope:
        raise BadRequest(
            "unsure_of",
            f"filter {name} has learnt too little to be unsure of some images more than of others; "
            "answer yes and no to some more of them first",
        )
    scored = score_rows(snapshot, taught.scorer, definition.where)
    chance = calibration.probability(scored.scores).astype(np.float64)
    known = np.array(sorted(answered), np.int64)
    return Doubts(name, known, scored.row_ids, 4 * chance * (1 - chance))
