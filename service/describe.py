"""What a lake holds, as plain facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexer.layout import Layout
from indexer.manifest import check_files, read_manifest
from indexer.tables import read_skipped


def describe(folder: Path, *, with_skipped: bool = False) -> dict[str, Any]:
    """Facts about the current snapshot, in the order a person would ask for them.

    :param with_skipped: also `skipped_files`: uri, reason and when of every file that could not be read.
    """
    layout = Layout(folder)
    manifest, problems = read_manifest(layout)
    opened = check_files(layout, manifest, deep=False)
    facts: dict[str, Any] = {
        "lake": str(folder),
        "images": manifest.live_rows,
        "model": manifest.model_id,
        "dim": manifest.dim,
        "snapshot": manifest.snapshot,
        "created": manifest.created,
        "made_by": manifest.made_by,
        "sources": [source.uri for source in manifest.sources],
        "columns": dict(manifest.columns),
        "segments": len(manifest.segments),
        "deleted_rows": sum(entry.rows for entry in manifest.tombstones),
        "skipped": sum(entry.rows for entry in manifest.skipped),
        "size_bytes": manifest.size_bytes,
        "fingerprint": dict(manifest.fingerprint),
        "problems": [*problems, *opened.problems],
    }
    if with_skipped:
        rows = read_skipped(layout, manifest).to_pylist()
        facts["skipped_files"] = [
            {"uri": row["uri"], "reason": row["reason"], "when": row["when"].isoformat()} for row in rows
        ]
    return facts
