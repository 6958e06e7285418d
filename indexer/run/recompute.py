"""Columns that are computed from the images, computed again for the rows that are there.

A row whose values differ is written anew, with its row_id and its vector. One that was imported,
whose image nobody read yet, gets every column. The manifest says how far this has come, in the same
snapshot as the rows, so that a run that was cut short is gone on with. Every image is read again,
so this takes as long as indexing without the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.address import Address
from indexer.disk.manifest import Recomputing, SegmentEntry
from indexer.disk.rows import lake_schema
from indexer.disk.segment import Segment
from indexer.disk.tables import Place, dead_positions
from indexer.errors import BadRequest, UnreadableImage
from indexer.read_image import QUALITY, QUALITY_COLUMNS, RECOMPUTABLE
from indexer.run.context import Context
from indexer.run.embedding.pipeline import Pipeline, Read
from indexer.run.embedding.tasks import Failed, Task
from indexer.run.writing.commits import Commits
from indexer.sources.guard import Reach

CHANGED = "it has changed since it was indexed, in neither size nor time; touch it and sync again"


def recomputable(names: Sequence[str]) -> tuple[str, ...]:
    """The columns that are meant: `quality` is all that begin so.

    :raises BadRequest: if one of them is no column that is computed from the image.
    """
    for name in names:
        if name not in (*RECOMPUTABLE, QUALITY):
            raise BadRequest(
                "--recompute",
                f"{name!r} is not computed from the images; there are {', '.join(RECOMPUTABLE)}, "
                f"and {QUALITY} for all that begin so",
            )
    return tuple(
        column for name in names for column in (QUALITY_COLUMNS if name == QUALITY else [name])
    )


@dataclass(slots=True)
class Block:
    """Live rows of one segment, next to each other but for those that are gone."""

    segment: Segment
    rows: list[dict[str, Any]]
    positions: list[int]
    end: int  # the position after the last one, gone rows included


@dataclass(slots=True)
class Recompute:
    context: Context
    commits: Commits
    columns: tuple[str, ...]
    # source -> columns that it says in its images' place, which stay
    said: Mapping[str, frozenset[str]]
    _done: dict[str, int] = field(default_factory=dict)

    def run(self, pipeline: Pipeline, entries: Sequence[SegmentEntry]) -> None:
        """Go through the rows of these segments, or on from where a run was cut short.

        :raises LakeDamaged: if a segment is not what was committed.
        """
        manifest = self.commits.manifest
        if manifest.recomputing and manifest.recomputing.columns == self.columns:
            self._done = dict(manifest.recomputing.done)
        dead = dead_positions(self.context.layout, manifest)
        none = np.empty(0, np.int64)
        todo = [
            entry
            for entry in entries
            if self._done.get(entry.id, 0) < entry.rows
            and len(dead.get(entry.id, none)) < entry.rows
        ]
        left = sum(entry.rows - self._done.get(entry.id, 0) for entry in todo)
        self.context.progress.stage("recomputing", left)
        schema = lake_schema(manifest.columns)
        for entry in todo:
            for block in self._blocks(entry, schema, dead.get(entry.id, none)):
                self._recompute(pipeline, block)
                if self.context.should_stop():
                    return
        self.commits.commit(recomputing=None)

    def _blocks(
        self, entry: SegmentEntry, schema: pa.Schema, dead: NDArray[np.int64]
    ) -> Iterator[Block]:
        segment = Segment(self.context.layout, entry)
        segment.check()
        size = self.context.config.commit_rows  # one commit a block
        first, done = 0, self._done.get(entry.id, 0)
        for table in segment.row_groups(schema.names):
            table = segment.conform(table, schema)
            for start in range(0, table.num_rows, size):
                rows = table.slice(start, size)
                at = np.arange(first + start, first + start + rows.num_rows)
                wanted = (at >= done) & ~np.isin(at, dead)
                if at[-1] >= done:
                    here = rows.filter(pa.array(wanted)).to_pylist()
                    yield Block(segment, here, at[wanted].tolist(), int(at[-1]) + 1)
            first += table.num_rows

    def _recompute(self, pipeline: Pipeline, block: Block) -> None:
        changed: list[tuple[int, dict[str, Any]]] = []
        end, done = block.end, self._done.get(block.segment.entry.id, 0)
        readable = list(self._readable(block))
        tasks = [task for _, _, task in readable]
        seen = 0
        for (position, row, task), read in zip(readable, pipeline.read(tasks), strict=True):
            new = self._new_values(task, row, read)
            if new is not None and any(row[name] != value for name, value in new.items()):
                changed.append((position, {**row, **new}))
            self.context.progress.advance(1, skipped=new is None)
            seen += 1
            if self.context.should_stop():
                end = position + 1
                break
        self._write(block.segment, changed)
        self._done[block.segment.entry.id] = end
        before = {entry.id for entry in self.commits.manifest.segments}
        self.commits.commit(recomputing=Recomputing(self.columns, dict(self._done)))
        # What this commit wrote is done as well; the next commit says so.
        for entry in self.commits.manifest.segments:
            if entry.id not in before:
                self._done[entry.id] = entry.rows
        self.context.report.recomputed += len(changed)
        self.context.progress.advance(end - done - seen)  # rows that are gone, or name no place

    def _new_values(self, task: Task, row: Mapping[str, Any], read: Read) -> dict[str, Any] | None:
        """The row's columns as they are computed now; None where it keeps what it had."""
        if isinstance(read, Failed):
            self._leave(str(task.address), read.reason)
            return None
        _, image = read
        if row["sha256"] is None:  # it was imported, and is read for the first time
            return image.columns()
        if image.sha256 != row["sha256"]:
            self._leave(str(task.address), CHANGED)
            return None
        found = image.columns()
        said = self.said.get(row["source"], frozenset())
        return {name: found[name] for name in self.columns if name not in said}

    def _readable(self, block: Block) -> Iterator[tuple[int, dict[str, Any], Task]]:
        reach = Reach.of(self.commits.manifest.sources)
        for position, row in zip(block.positions, block.rows, strict=True):
            try:
                address = Address.of(row)
            except UnreadableImage as error:
                self._leave(error.uri, error.reason)
                continue
            if reason := reach.why_not(address):
                self._leave(str(address), reason)
                continue
            yield position, row, Task(address, {"size_bytes": row["size_bytes"]})

    def _leave(self, uri: str, reason: str) -> None:
        self.context.report.not_recomputed.append((uri, reason))

    def _write(self, segment: Segment, rows: Sequence[tuple[int, dict[str, Any]]]) -> None:
        if not rows:
            return
        positions = np.array([position for position, _ in rows], np.int64)
        vectors = segment.vectors.take(positions)
        for (position, row), vector in zip(rows, vectors, strict=True):
            self.commits.carry(row, vector, Place(segment.entry.id, position))
