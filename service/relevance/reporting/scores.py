"""Where the scores lie, which side of the line they fall on, and where the audit has looked."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from service.decided import DECISIONS
from service.relevance.martingale import NO, UNKNOWN, YES, Numbers
from service.relevance.reporting.material import Material

BINS = 48
SHOWN_BANDS = 10


def histogram(material: Material) -> dict[str, Any]:
    """Bins of equal width, with the images of each decision; `rows` alone where nothing is decided."""
    scores = material.scored.scores.astype(np.float64)
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    document: dict[str, Any] = {"edges": [round(edge, 6) for edge in edges.tolist()]}
    if material.decisions is None:
        document["rows"] = np.histogram(scores, edges)[0].tolist()
    else:
        for code, name in enumerate(DECISIONS):
            document[name] = np.histogram(scores[material.decisions == code], edges)[0].tolist()
    return {**document, **_audited(material, edges)}


def _audited(material: Material, edges: Numbers) -> dict[str, list[int]]:
    """How many of each bin the audit has looked at, by what was said."""
    if material.audit is None:
        return {}
    audit, said = material.audit, np.array(material.audit.prefix(material.said), np.int64)
    at = np.searchsorted(audit.row_ids, audit.order[1][: len(said)])
    scores = audit.scores[at].astype(np.float64)
    return {
        name: np.histogram(scores[said == answer], edges)[0].tolist()
        for name, answer in (("audit_yes", YES), ("audit_no", NO), ("audit_unclear", UNKNOWN))
    }


def bands(material: Material) -> list[dict[str, Any]]:
    """The audit's strata, best scores first: how many images, how many looked at, and what was found."""
    audit, standing = material.audit, material.standing
    if audit is None or standing is None:
        return []
    said = audit.prefix(material.said)
    counts = Counter(zip(audit.order[0].tolist(), said, strict=False))
    inside = [np.flatnonzero(audit.strata == number) for number in range(len(audit.sizes))]
    line = material.cuts.get("recall", material.cuts.get("precision"))
    return [
        {
            "score_from": round(float(audit.scores[rows].min()), 6),
            "score_to": round(float(audit.scores[rows].max()), 6),
            "rows": len(rows),
            "yes": counts[number, YES],
            "no": counts[number, NO],
            "unclear": counts[number, UNKNOWN],
            "above_line": None if line is None else number < line,
        }
        for number, rows in enumerate(inside)
    ]


def fewer(found: list[dict[str, Any]], most: int = SHOWN_BANDS) -> list[dict[str, Any]]:
    """Neighbours put together, never across the line, until about `most` are left: for people to read."""
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
