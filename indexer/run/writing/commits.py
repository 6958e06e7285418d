"""Collects rows, tombstones and skipped files, and makes snapshots of them:
everything of one commit, or nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.arrays import Vectors
from indexer.config import IndexConfig
from indexer.disk.durable import make_folder
from indexer.disk.entries import check_lake, remove
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, SegmentEntry, publish
from indexer.disk.rows import Spellings, merge_types, own_types, rows_table
from indexer.disk.segment import SegmentWriter
from indexer.disk.tables import (
    SKIPPED_SCHEMA,
    Place,
    Skipped,
    read_skipped,
    write_no_tombstones,
    write_skipped,
    write_tombstones,
)
from indexer.errors import LakeError
from indexer.run.embedding.tasks import Embedded, Failed
from indexer.sources.lake_folder import is_lake


@dataclass(slots=True)
class _Pending:
    rows: list[dict[str, Any]]
    vectors: list[Vectors]
    dead: list[Place]
    skipped: list[Skipped]

    def __bool__(self) -> bool:
        return bool(self.rows or self.dead or self.skipped)


def prepare_folder(layout: Layout) -> None:
    """Make the lake's folders, and clear what a writer that died left in `staging/`.

    :raises LakeUnsafe: if a link stands for something of the lake.
    :raises LakeError: if the folder holds something that is not a lake, or cannot be written.
    """
    try:
        check_lake(layout)
        layout.root.parent.mkdir(parents=True, exist_ok=True)
        if not layout.root.is_dir():  # it may be a link to one: that name is the caller's
            make_folder(layout.root)
        check_foreign(layout)
        for folder in (
            layout.manifests,
            layout.segments,
            layout.tombstones,
            layout.skipped,
            layout.staging,
        ):
            make_folder(folder)
        write_no_tombstones(layout)
    except (FileExistsError, NotADirectoryError):
        raise LakeError(f"{layout.root} is a file; choose a folder for the lake") from None
    except OSError as error:
        raise LakeError(f"{layout.root} cannot be written ({error.strerror})") from None


def check_foreign(layout: Layout) -> None:
    """:raises LakeError: if the folder, which is there, holds something that is not a lake."""
    foreign = sorted(
        {path.name for path in layout.root.iterdir()} - {e.name for e in layout.entries()}
    )
    if foreign and not is_lake(os.fsencode(layout.root)):
        raise LakeError(
            f"{layout.root} is not empty and not a lake (it has {foreign[0]}); choose another folder"
        )


def clear_staging(layout: Layout) -> None:
    for leftover in layout.staging.iterdir():
        remove(leftover)


class Commits:
    """The writer's end of a lake: `manifest` is the last snapshot committed."""

    def __init__(
        self,
        layout: Layout,
        manifest: Manifest,
        config: IndexConfig,
        scan_started_us: int,
        *,
        holds: bool = False,
    ) -> None:
        """:param holds: True: what is committed is written, and published by `release` alone."""
        self._published = manifest
        self._holds = holds
        self.layout = layout
        self.manifest = manifest
        self._config = config
        self._unsettled_from_us = scan_started_us - int(config.settle_s * 1e6)
        self._pending = _Pending([], [], [], [])
        self.skipped_keys: set[str] = set()  # of what was skipped in this run
        self._spellings = Spellings(manifest.columns)
        # Columns that are text, or became it, though rows of this run hold something else:
        # name -> the type it had in the lake, and the type that was met
        self.met_beside_text: dict[str, tuple[str, str]] = {}
        self._wait_s = config.first_commit_s
        self._since = time.monotonic()

    def add(self, embedded: Embedded) -> None:
        """A new row; its row_id is the next one."""
        row = self._spellings.of(embedded.row)
        self._pending.rows.append({**row, "row_id": self._next_row_id()})
        self._pending.vectors.append(embedded.vector)

    def carry(self, row: Mapping[str, Any], vector: Vectors, old: Place) -> None:
        """A row that keeps its row_id and vector;
        its old place becomes a tombstone in the same commit.
        """
        self._pending.rows.append(self._spellings.of(row))
        self._pending.vectors.append(vector)
        self._pending.dead.append(old)

    @property
    def joined_names(self) -> dict[str, str]:
        """Columns whose name another one has but for its case: the spelling met -> the one kept."""
        return self._spellings.joined

    def remove(self, place: Place) -> None:
        self._pending.dead.append(place)

    def skip_as(self, skipped: Skipped) -> None:
        """A file that another run could not read."""
        self._pending.skipped.append(skipped)
        self.skipped_keys.add(skipped.key)

    def skip(self, failed: Failed) -> None:
        """What fails as it did before is noted already: no snapshot is due for that."""
        columns = failed.task.columns
        skipped = Skipped(
            str(failed.task.address),
            failed.task.address.path_bytes,
            columns["source"],
            columns["size_bytes"],
            columns["modified"],
            columns["etag"],
            failed.reason,
            failed.transient,
            datetime.now(UTC).replace(tzinfo=None),
            failed.task.address.part,
        )
        if not (failed.transient and (skipped.key, failed.reason) in self._failing):
            self._pending.skipped.append(skipped)
        self.skipped_keys.add(skipped.key)

    @cached_property
    def _failing(self) -> set[tuple[str, str]]:
        """(key, reason) of files that every run tries again, as the lake was when asked first."""
        rows = read_skipped(self.layout, self.manifest).to_pylist()
        files = (Skipped(*(row[name] for name in SKIPPED_SCHEMA.names)) for row in rows)
        return {(file.key, file.reason) for file in files if file.transient}

    def commit_if_due(self) -> bool:
        """Commit when enough rows wait or enough time has passed."""
        pending = self._pending
        waiting = len(pending.rows) + len(pending.dead) + len(pending.skipped)
        if waiting >= self._config.commit_rows or (
            waiting and time.monotonic() - self._since >= self._wait_s
        ):
            self.commit()
            return True
        return False

    def commit(self, **changes: Any) -> None:
        """Publish what waits. :param changes: other fields of the manifest that change with it."""
        pending, manifest = self._pending, self.manifest
        if not pending and not changes and (manifest.snapshot or self._holds):
            return
        if pending.rows:
            manifest = self._with_segment(manifest)
        if pending.dead:
            tombstones = write_tombstones(self.layout, pending.dead)
            manifest = replace(manifest, tombstones=(*manifest.tombstones, tombstones))
        if pending.skipped:
            manifest = replace(
                manifest, skipped=(*manifest.skipped, write_skipped(self.layout, pending.skipped))
            )
        self.manifest = replace(manifest, **changes)
        self._publish()
        self._pending = _Pending([], [], [], [])
        self._wait_s = self._config.commit_s
        self._since = time.monotonic()

    def adopt(self, entry: SegmentEntry, schema: pa.Schema, last_row_id: int) -> None:
        """A segment that is in place already.

        :param schema: of its rows.
        :param last_row_id: the highest in it.
        """
        self.manifest = replace(
            self.manifest,
            segments=(*self.manifest.segments, entry),
            columns=merge_types(self.manifest.columns, own_types(schema)),
            next_row_id=max(self.manifest.next_row_id, last_row_id + 1),
        )
        self._publish()

    def spelled(self, table: pa.Table) -> pa.Table:
        """Rows of elsewhere under the lake's spellings of their columns."""
        names = list(self._spellings.of(dict.fromkeys(table.column_names)))
        return table if names == table.column_names else table.rename_columns(names)

    def release(self) -> None:
        """From now on all is published as it is committed; at once what was held, if anything."""
        self._holds = False
        if self.manifest is not self._published:
            self._publish()

    def take_back(self) -> None:
        """Delete the files of what was held and is not published. The caller commits no more."""
        if not self._holds:
            return
        before, now, layout = self._published, self.manifest, self.layout
        segments = {each.id for each in now.segments} - {each.id for each in before.segments}
        tombstones = {each.id for each in now.tombstones} - {each.id for each in before.tombstones}
        skipped = {each.id for each in now.skipped} - {each.id for each in before.skipped}
        made = [*map(layout.segment, segments), *map(layout.tombstone_file, tombstones)]
        for path in [*made, *map(layout.skipped_file, skipped)]:
            with suppress(OSError):
                remove(path)
        self.manifest = before

    def _publish(self) -> None:
        if not self._holds:
            self.manifest = self._published = publish(self.layout, self.manifest)

    def _with_segment(self, manifest: Manifest) -> Manifest:
        rows, vectors = self._pending.rows, np.stack(self._pending.vectors)
        table = rows_table(rows)
        writer = SegmentWriter(self.layout, manifest.dim)
        writer.add_rows(table)
        writer.add_vectors(vectors)
        entry = writer.finish(self._unsettled_since(rows))
        found = own_types(table.schema)
        columns = merge_types(manifest.columns, found)
        for name, kind in found.items():
            before = manifest.columns.get(name, kind)
            if kind != before and columns[name] == "string":
                self.met_beside_text.setdefault(name, (before, kind))
        return replace(
            manifest,
            segments=(*manifest.segments, entry),
            columns=columns,
            next_row_id=max(manifest.next_row_id, max(row["row_id"] for row in rows) + 1),
        )

    def _unsettled_since(self, rows: list[dict[str, Any]]) -> int | None:
        modified = (row["modified"] for row in rows)
        recent = any(
            time_us is not None and _in_us(time_us) >= self._unsettled_from_us
            for time_us in modified
        )
        return self._unsettled_from_us if recent else None

    def _next_row_id(self) -> int:
        new = [
            row["row_id"]
            for row in self._pending.rows[-1:]
            if row["row_id"] >= self.manifest.next_row_id
        ]
        return new[0] + 1 if new else self.manifest.next_row_id


def _in_us(modified: int | datetime) -> int:
    if isinstance(modified, int):
        return modified
    return int(modified.timestamp()) * 1_000_000 + modified.microsecond
