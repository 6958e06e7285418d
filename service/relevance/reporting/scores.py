"""Where the scores lie, which side of the line they fall on, and where the audit has looked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.relevance.as_json import AsJson
from service.relevance.promise.martingale import NO, UNKNOWN, YES, Numbers
from service.relevance.reporting.material import Material
from service.search.decided import DECISIONS

BINS = 48
SHOWN_BANDS = 10


@dataclass(frozen=True, slots=True)
class Histogram(AsJson):
    """Bins of equal width, and the images in each; in JSON without what there is none of."""

    edges: tuple[float, ...]  # (bins + 1,)
    rows: tuple[int, ...] | None = None  # (bins,): all images, where nothing is decided
    keep: tuple[int, ...] | None = None
    ask: tuple[int, ...] | None = None
    drop: tuple[int, ...] | None = None
    audit_yes: tuple[int, ...] | None = None  # looked at by the audit, by what was said
    audit_no: tuple[int, ...] | None = None
    audit_unclear: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        found = AsJson.to_json(self)
        return {name: numbers for name, numbers in found.items() if numbers is not None}


@dataclass(frozen=True, slots=True)
class Band(AsJson):
    """One stratum of the audit: its images, and what the audit found in it."""

    score_from: float
    score_to: float
    rows: int
    yes: int
    no: int
    unclear: int
    above_line: bool | None  # None: there is no line


def histogram(material: Material) -> Histogram:
    """How many images have each score, by what was decided, and by what the audit found."""
    scores = material.scored.scores.astype(np.float64)
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    if material.decisions is None:
        images = {"rows": _counts(scores, edges)}
    else:
        images = {
            name: _counts(scores[material.decisions == code], edges)
            for code, name in enumerate(DECISIONS)
        }
    rounded = tuple(round(edge, 6) for edge in edges.tolist())
    return Histogram(rounded, **images, **_audited(material, edges))


def _counts(scores: Numbers, edges: Numbers) -> tuple[int, ...]:
    return tuple(np.histogram(scores, edges)[0].tolist())


def _audited(material: Material, edges: Numbers) -> dict[str, tuple[int, ...]]:
    """How many of each bin the audit has looked at, by what was said."""
    if material.audit is None:
        return {}
    audit, said = material.audit, np.array(material.audit.prefix(material.said), np.int64)
    rows = audit.order[1][: len(said)]
    here = np.isin(rows, audit.row_ids)  # some may have gone, where it follows the lake
    at, said = np.searchsorted(audit.row_ids, rows[here]), said[here]
    scores = audit.scores[at].astype(np.float64)
    return {
        name: _counts(scores[said == answer], edges)
        for name, answer in (("audit_yes", YES), ("audit_no", NO), ("audit_unclear", UNKNOWN))
    }


def bands(material: Material) -> tuple[Band, ...]:
    """The audit's strata, best scores first: their images, and what the audit found in them."""
    audit, standing = material.audit, material.standing
    if audit is None or standing is None:
        return ()
    said = audit.prefix(material.said)
    counts = Counter(zip(audit.order[0].tolist(), said, strict=False))
    inside = [np.flatnonzero(audit.strata == number) for number in range(len(audit.sizes))]
    line = material.cuts.get("recall", material.cuts.get("precision"))
    return tuple(
        Band(
            score_from=round(float(audit.scores[rows].min()), 6),
            score_to=round(float(audit.scores[rows].max()), 6),
            rows=len(rows),
            yes=counts[number, YES],
            no=counts[number, NO],
            unclear=counts[number, UNKNOWN],
            above_line=None if line is None else number < line,
        )
        for number, rows in enumerate(inside)
        if len(rows)
    )


def fewer(found: list[dict[str, Any]], most: int = SHOWN_BANDS) -> list[dict[str, Any]]:
    """Put neighbours together until about `most` are left for people to read.

    Bands on two sides of the line stay apart.
    """
    total = sum(band["rows"] for band in found)
    joined: list[dict[str, Any]] = []
    for band in found:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last["above_line"] == band["above_line"]
            and (last["rows"] + band["rows"] <= total / most)
        ):
            joined[-1] = {
                **last,
                "score_from": band["score_from"],
                **{name: last[name] + band[name] for name in ("rows", "yes", "no", "unclear")},
            }
        else:
            joined.append(band)
    return joined
