"""A filter's definition to start from, and what tests ask of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from indexer.disk.sealed import sealed
from service.relevance.definition import Definition, Examples, Target
from service.relevance.scoring.scorer import Scorer


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
        "scorer": Scorer(
            "prompts", np.array([[1, 0, 0]], np.float32), np.empty((0, 3), np.float32)
        ),
    }
    return Definition(name, version, **{**fields, **changes})


def rewritten(path: Path, **changes: Any) -> None:
    """Change fields of a version's file, with the checksum that is right then."""
    body = {**json.loads(path.read_bytes()), **changes}
    body.pop("checksum", None)
    path.write_text(json.dumps(sealed(body)))


def as_older_versions_wrote(folder: Path) -> None:
    """Take all checksums and the chain of a filter out."""
    for path in folder.glob("0*.json"):
        body = json.loads(path.read_bytes())
        path.write_text(
            json.dumps({k: v for k, v in body.items() if k not in ("checks", "checksum")})
        )
    labels = folder / "labels.jsonl"
    if labels.exists():
        lines = [json.loads(line) for line in labels.read_bytes().splitlines()]
        plain = [{k: v for k, v in line.items() if k != "chain"} for line in lines]
        labels.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in plain))
