"""What a lake holds, as plain facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, check_files, read_manifest
from indexer.disk.tables import read_skipped
from indexer.errors import ModelUnavailable, WrongModel
from indexer.models import check_model, load_model_of


def describe(folder: Path, *, with_skipped: bool = False) -> dict[str, Any]:
    """Facts about the current snapshot, in the order a person would ask for them.

    :param with_skipped: also `skipped_files`: uri, reason and when of every file that could not be
        read.
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
        "committed_at": manifest.created,
        "made_by": manifest.made_by,
        "sources": [
            f"{source.uri} ({source.kind})" if source.kind else source.uri
            for source in manifest.sources
        ],
        "columns": dict(manifest.columns),
        "segments": len(manifest.segments),
        "coded_rows": sum(entry.rows for entry in manifest.segments if entry.codes),
        "grouped_rows": manifest.grouped_rows,
        "recall": None if manifest.groups is None else manifest.groups.recall,
        "deleted_rows": sum(entry.rows for entry in manifest.tombstones),
        "skipped": sum(entry.rows for entry in manifest.skipped),
        "size_bytes": manifest.size_bytes,
        "fingerprint": dict(manifest.fingerprint),
        "problems": [*problems, *opened.problems, *_model_problems(folder, manifest)],
    }
    if with_skipped:
        rows = read_skipped(layout, manifest).to_pylist()
        facts["skipped_files"] = [
            {"uri": row["uri"], "reason": row["reason"], "when": row["when"].isoformat()}
            for row in rows
        ]
    return facts


def _model_problems(folder: Path, manifest: Manifest) -> list[str]:
    """Whether a model of ours is still the one the lake was built with.
    Others would take seconds to load.
    """
    if manifest.model_id.partition("@")[0] != "builtin":
        return []
    try:
        check_model(str(folder), manifest, load_model_of(str(folder), manifest))
    except (ModelUnavailable, WrongModel) as error:
        return [str(error)]
    return []
