"""A filter's definition to start from, and what tests ask of files."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.relevance.definition import Definition, Examples, Target
from service.relevance.scorer import Scorer


def definition(name: str = "hospital", version: int = 1, **changes: Any) -> Definition:
    """Of a lake of ColourEmbedder: keep red. Every field may be changed."""
    fields: dict[str, Any] = {
        "created_at": "2026-03-01T12:00:00.000+01:00",
        "parent": version - 1 or None,
        "reason": "created",
        "keep": Examples(texts=("red",)),
        "drop": Examples(),
        "where": None,
        "target": Target(),
        "model": {"name": "colours", "dim": 3},
        "snapshot": 1,
        "scorer": Scorer("prompts", np.array([[1, 0, 0]], np.float32), np.empty((0, 3), np.float32)),
    }
    return Definition(name, version, **{**fields, **changes})
