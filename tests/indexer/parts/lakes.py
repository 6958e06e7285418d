"""Lakes made in parts, beside what one run makes of the same photos."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import SourceEntry
from indexer.disk.rows import lake_schema
from indexer.disk.segment import Segment
from indexer.disk.tables import dead_positions, read_skipped
from indexer.parts.commit import CommitReport, commit_parts
from indexer.parts.part import index_part
from indexer.parts.share import Share
from indexer.report import SyncReport
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import SMALL, current

SETTLED = replace(SMALL, settle_s=0.5)


def part(
    lake: Path,
    share: str,
    *sources: Path | SourceEntry,
    model: ColourEmbedder | None = None,
    config: IndexConfig = SETTLED,
    **options: Any,
) -> SyncReport:
    """Run one part, such as 3/16."""
    entries = [s if isinstance(s, SourceEntry) else SourceEntry(str(s)) for s in sources]
    embedder = model or ColourEmbedder(batch_size=5)
    return index_part(
        lake, lambda _: embedder, Share.parse(share), add=entries, config=config, **options
    )


def parts(lake: Path, of: int, *sources: Path | SourceEntry, only: Iterable[int] = ()) -> list[int]:
    """Run all of them or those that are named; how many images each embedded."""
    numbers = only or range(1, of + 1)
    return [part(lake, f"{number}/{of}", *sources).new for number in numbers]


def commit(lake: Path, **options: Any) -> CommitReport:
    def no_model(_: object) -> ColourEmbedder:
        raise AssertionError("a commit embeds nothing")

    return commit_parts(lake, load_embedder=no_model, config=SETTLED, **options)


def whole_rows(lake: Path) -> dict[int, dict[str, Any]]:
    """Every live row with all its columns and its vector, by row_id."""
    layout, manifest = Layout(lake), current(lake)
    dead, rows = dead_positions(layout, manifest), {}
    for entry in manifest.segments:
        segment = Segment(layout, entry)
        table = segment.read_rows(lake_schema(manifest.columns))
        vectors = segment.vectors.take(np.arange(entry.rows))
        table = table.append_column("vector", pa.array(vectors.tolist()))
        for position, row in enumerate(table.to_pylist()):
            if position not in dead.get(entry.id, []):
                rows[row["row_id"]] = row
    return rows


def skips(lake: Path) -> set[tuple[str, str, bool]]:
    rows = read_skipped(Layout(lake), current(lake)).to_pylist()
    return {(row["uri"], row["reason"], row["transient"]) for row in rows}
