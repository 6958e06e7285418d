"""What an engine has of a lake, beside what the lake has."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from indexer.arrays import Positions
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, read_manifest
from indexer.disk.rows import lake_schema
from indexer.disk.segment import Segment
from indexer.disk.tables import dead_positions
from indexer.engines.engine import Engine, Recalled
from indexer.engines.pushing import mark_of, name_of


@dataclass(slots=True)
class Standing:
    lake: str
    engine: str
    kind: str
    name: str  # of the lake, in the engine
    snapshot: int  # of the lake
    pushed_snapshot: int | None = None  # None: no push has come to its end
    pushed_at: str | None = None
    is_there: bool = False  # whether the engine has anything of a lake of this name
    is_complete: bool = False
    is_same_model: bool = True
    rows: int = 0  # that the engine has
    missing_rows: int = 0  # live rows that it has not
    gone_rows: int = 0  # rows that it has, and the lake has not
    columns: list[str] = field(default_factory=list)  # that a `where` can be asked on there
    recall: list[Recalled] = field(default_factory=list)

    @property
    def is_behind(self) -> bool:
        return bool(self.missing_rows or self.gone_rows) or self.pushed_snapshot != self.snapshot


def standing(lake: Path, engine: Engine) -> Standing:
    """
    :raises LakeNotFound, LakeDamaged: if the lake cannot be read.
    :raises EngineError: if the engine refuses or cannot be reached.
    """
    layout = Layout(lake)
    manifest, _ = read_manifest(layout)
    name = name_of(lake)
    found = Standing(str(lake), engine.url, engine.kind, name, manifest.snapshot)
    held = engine.held(name)
    live = live_row_ids(layout, manifest)
    if held is None:
        found.missing_rows = len(live)
        return found
    state = held.state
    found.is_there, found.is_complete = True, state.is_complete
    found.pushed_snapshot, found.pushed_at = state.snapshot, state.pushed_at
    found.is_same_model = state.mark == mark_of(name, manifest)
    found.rows = len(held.row_ids)
    found.missing_rows = len(np.setdiff1d(live, held.row_ids))
    found.gone_rows = len(np.setdiff1d(held.row_ids, live))
    found.columns = [".".join(each.path) for each in state.columns if each.is_whole]
    found.recall = engine.recalled(name)
    return found


def live_row_ids(layout: Layout, manifest: Manifest) -> Positions:
    """int64, (n,): of all rows that live."""
    schema, dead = lake_schema(manifest.columns), dead_positions(layout, manifest)
    found = [np.empty(0, np.int64)]
    for entry in manifest.segments:
        ids = Segment(layout, entry).read_rows(schema, ["row_id"])["row_id"].to_numpy()
        found.append(np.delete(np.asarray(ids, np.int64), dead.get(entry.id, [])))
    return np.concatenate(found)
