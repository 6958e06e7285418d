"""A lake's rows into an engine: what is there already is not sent again, what is gone is removed.

A row_id never gets another vector, so a row that moved to another segment, as when segments are
merged, costs its columns alone. What was done is recorded a segment at a time: a push that was
killed goes on, and one that is run twice does nothing the second time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from indexer.arrays import Positions, RowMask
from indexer.disk.entries import check_lake
from indexer.disk.layout import Layout
from indexer.disk.locks import Reading
from indexer.disk.manifest import Manifest, check_files, read_manifest
from indexer.disk.rows import lake_schema
from indexer.disk.segment import Segment
from indexer.disk.tables import dead_positions
from indexer.engines.columns import cells_of, engine_columns
from indexer.engines.engine import Engine, Held, LakeMark, Push, Rows, same_vectors, telling_rows
from indexer.errors import EngineError, LakeDamaged
from indexer.report import Progress, Silent

_ROWS_AT_ONCE = 4_096  # 8 MB of vectors on their way, at 512 dimensions


@dataclass(slots=True)
class PushReport:
    """What an engine got of a lake."""

    lake: str
    engine: str
    name: str  # of the lake, in the engine
    snapshot: int = 0
    rows: int = 0
    new_rows: int = 0  # whose vectors were sent
    sent_segments: int = 0
    kept_segments: int = 0  # segments of the snapshot that were there already
    removed_rows: int = 0
    columns: int = 0  # that a `where` can be asked on there
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False


def name_of(lake: Path) -> str:
    """What an engine calls a lake: as `serve` does, by its folder, without `.lake`."""
    return lake.resolve().name.removesuffix(".lake")


def mark_of(name: str, manifest: Manifest) -> LakeMark:
    fingerprint = json.dumps(manifest.fingerprint, sort_keys=True)
    return LakeMark(name, fingerprint, manifest.dim)


def push_lake(
    lake: Path,
    engine: Engine,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PushReport:
    """Bring what an engine has of a lake to the lake's snapshot.

    :raises LakeNotFound, LakeDamaged: if there is no lake, or it cannot be sent whole.
    :raises EngineError: if the engine refuses, cannot be reached, or has another lake of this name.
    """
    layout = Layout(lake)
    read_manifest(layout)  # LakeNotFound before anything else
    check_lake(layout)
    name = name_of(lake)
    with closing(Reading(layout)) as reading:
        manifest, problems = read_manifest(layout)
        reading.hold([manifest.snapshot])
        opened = check_files(layout, manifest, deep=False)
        if problems or opened.out_of_service:
            sentence = (*problems, *opened.out_of_service.values())[0]
            raise LakeDamaged(str(layout.root), f"{sentence}; nothing was pushed")
        with engine.pushing(name) as push:
            report = PushReport(str(lake), engine.url, name, manifest.snapshot, manifest.live_rows)
            pushing = _Pushing(layout, manifest, engine, progress or Silent(), should_stop)
            return pushing.run(push, report)


class _Pushing:
    def __init__(
        self,
        layout: Layout,
        manifest: Manifest,
        engine: Engine,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        self._manifest, self._engine = manifest, engine
        self._progress, self._should_stop = progress, should_stop
        self._schema = lake_schema(manifest.columns)
        found, most = engine_columns(self._schema), engine.most_columns
        self._columns, self._left_out = found[:most], found[most:]
        dead = dead_positions(layout, manifest)
        self._segments = [Segment(layout, entry) for entry in manifest.segments]
        self._live: list[Positions] = []  # of each segment, the positions of its live rows
        self._row_ids: list[Positions] = []  # of each segment, those of its live rows
        for segment in self._segments:
            alive = np.ones(segment.entry.rows, bool)
            alive[dead.get(segment.entry.id, np.empty(0, np.int64))] = False
            ids = segment.read_rows(self._schema, ["row_id"])["row_id"].to_numpy()
            self._live.append(np.flatnonzero(alive))
            self._row_ids.append(np.asarray(ids, np.int64)[alive])

    def run(self, push: Push, report: PushReport) -> PushReport:
        self._check_lake(report.name, self._engine.held(report.name))
        held = push.begin(mark_of(report.name, self._manifest), self._columns)
        known = held.row_ids
        waiting = [
            number
            for number, entry in enumerate(self._manifest.segments)
            if entry.id not in held.segments
            # Somebody may have taken rows away behind our back.
            or not np.isin(self._row_ids[number], known, assume_unique=True).all()
        ]
        report.kept_segments = len(self._segments) - len(waiting)
        report.columns = len(self._columns)
        outlived = held.segments - {entry.id for entry in self._manifest.segments}
        if outlived:
            # First, so that nobody asks of their rows by columns that are about to become others.
            push.remove(np.empty(0, np.int64), outlived)
        if waiting:
            rows = sum(len(self._row_ids[number]) for number in waiting)
            self._progress.stage("pushing", rows, "rows")
        for number in waiting:
            if self._should_stop():
                report.interrupted = True
                return report
            is_new = ~np.isin(self._row_ids[number], known, assume_unique=True)
            push.put(self._segments[number].entry.id, self._rows(number, is_new), self._columns)
            report.sent_segments += 1
            report.new_rows += int(np.count_nonzero(is_new))
        live = np.concatenate([np.empty(0, np.int64), *self._row_ids])
        gone = np.setdiff1d(known, live)
        if len(gone):
            push.remove(gone, ())
        report.removed_rows = len(gone)
        is_same = not (waiting or len(gone) or outlived)
        if not (is_same and held.state.is_complete and held.state.snapshot == report.snapshot):
            self._progress.stage("making the index", None)
            report.notes = push.finish(report.snapshot)
        if self._left_out:
            names = ", ".join(".".join(each.path) for each in self._left_out)
            report.notes.append(
                f"it holds {len(self._columns)} columns of a lake; a where on {names} is asked here alone"
            )
        return report

    def _rows(self, number: int, is_new: RowMask) -> Iterator[Rows]:
        """The live rows of a segment, some thousand at a time."""
        segment, live = self._segments[number], self._live[number]
        names = list(dict.fromkeys(column.path[0] for column in self._columns))
        start = 0  # of the row group, among all rows
        for group in segment.row_groups(names or ["row_id"]):
            here = live[(live >= start) & (live < start + group.num_rows)]
            table = segment.conform(group, self._schema, names)
            for at in range(0, len(here), _ROWS_AT_ONCE):
                some = here[at : at + _ROWS_AT_ONCE]
                which = np.searchsorted(live, some)
                new = is_new[which]
                few = table.take(pa.array(some - start))
                vectors = segment.vectors.decoded(some[new]).astype(np.float16)
                cells = [cells_of(column, few) for column in self._columns]
                yield Rows(self._row_ids[number][which], new, vectors, cells)
                self._progress.advance(len(some))
            start += group.num_rows

    def _check_lake(self, name: str, held: Held | None) -> None:
        """That what is there is of this lake, and not of another one that is called so: a row_id
        never gets another vector.

        :raises EngineError: if it is another's.
        """
        if held is None or not len(held.row_ids):
            return
        ids = np.concatenate([np.empty(0, np.int64), *self._row_ids])
        some = telling_rows(np.intersect1d(ids, held.row_ids))
        there = self._engine.vectors(name, some)
        here = np.concatenate(
            [
                np.empty((0, self._manifest.dim), np.float32),
                *(
                    segment.vectors.take(live[np.isin(row_ids, some)])
                    for segment, live, row_ids in zip(
                        self._segments, self._live, self._row_ids, strict=True
                    )
                ),
            ]
        )
        order = np.concatenate(
            [np.empty(0, np.int64), *(ids[np.isin(ids, some)] for ids in self._row_ids)]
        )
        if len(some) and same_vectors(there, order, here):
            return
        raise EngineError(
            self._engine.url,
            f"it has rows of another lake under the name {name}, and nothing was changed (one that goes on from an "
            "older copy of itself is another): rename one of the folders, push to another database, or take that one "
            "away first with: lakesift engine drop LAKE ENGINE",
        )
