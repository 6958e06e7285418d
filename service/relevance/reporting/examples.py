"""A few images from each side of the line, the same ones whenever the report is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.relevance.as_json import AsJson
from service.relevance.promise.applying import ASK, decided_by_score
from service.relevance.reporting.material import Material
from service.snapshot.snapshot import hash_row_ids

NEAREST, ANY, MISSES = 8, 8, 12
# Group, and what it shows.
TITLES = {
    "found_below": "Relevant, found by people below the line",
    "kept_nearest": "Kept, just above the line",
    "dropped_nearest": "Dropped, just below the line",
    "kept_any": "Kept, at random",
    "dropped_any": "Dropped, at random",
    "asked_any": "To ask about, at random",
}


@dataclass(frozen=True, slots=True)
class Example(AsJson):
    """An image that is shown."""

    row_id: int
    uri: str
    score: float
    probability: float | None
    label: str | None  # that counts


def choose(material: Material) -> dict[str, tuple[Example, ...]]:
    """The rows of each group, by its name in TITLES.

    Nothing is chosen where nothing is decided.

    `found_below` are images that people answered yes to, and that the line alone would have
    dropped: each is kept. Next to the line are those that their score decided. "At random" is by a
    fixed scramble of the row's number, so that the choice is nobody's, and the same again.
    """
    thresholds = material.definition.thresholds
    if material.decisions is None or thresholds is None or material.audit is None:
        return {}
    scores = material.scored.scores
    line = np.float32(thresholds.drop)
    yes = np.array([label == "yes" for label in material.labels], bool)
    scramble = hash_row_ids(material.scored.row_ids)
    asked = material.decided(ASK)
    by_score = decided_by_score(material.audit, material.open_rows)
    chosen = {
        "found_below": _first(yes & (scores < line), -scores, MISSES),
        "kept_nearest": _first(material.kept & by_score, scores, NEAREST),
        "dropped_nearest": _first(material.dropped & by_score, -scores, NEAREST),
        "kept_any": _first(material.kept, scramble, ANY),
        "dropped_any": _first(material.dropped, scramble, ANY),
        "asked_any": _first(asked, scramble, ANY),
    }
    return {group: _rows(material, at) for group, at in chosen.items() if len(at)}


def _first(mask: NDArray[np.bool_], key: NDArray[Any], count: int) -> NDArray[np.int64]:
    """int64: the places of the rows with the smallest keys."""
    at = np.flatnonzero(mask)
    return at[np.argsort(key[at], kind="stable")[:count]]


def _rows(material: Material, at: NDArray[np.int64]) -> tuple[Example, ...]:
    calibration = material.definition.calibration
    scores = material.scored.scores[at]
    chances = [None] * len(at) if calibration is None else calibration.probability(scores).tolist()
    uris = material.ledger["uri"].take(at).to_pylist()
    return tuple(
        Example(
            row_id=int(material.scored.row_ids[place]),
            uri=uri,
            score=round(float(score), 6),
            probability=None if chance is None else round(chance, 4),
            label=material.labels[place],
        )
        for place, uri, score, chance in zip(
            at.tolist(), uris, scores.tolist(), chances, strict=True
        )
    )
