"""Collects rows, tombstones and skipped files, and makes snapshots of them: everything of one commit, or nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from indexer.config import IndexConfig
from indexer.durable import make_folder
from indexer.embed import Vectors
from indexer.errors import LakeError
from indexer.images import ReadImage
from indexer.layout import Layout
from indexer.manifest import Manifest, publish
from indexer.segment import SegmentWriter, merge_types, own_types, rows_table
from indexer.sources import ColumnValue, ImageFile
from indexer.tables import Place, Skipped, write_no_tombstones, write_skipped, write_tombstones

_KNOWN = {
    "manifest.json",
    "manifests",
    "segments",
    "tombstones",
    "skipped",
    "filters",
    "ledger",
    "readers",
    "staging",
}
_KNOWN |= {"writer.lock", "writer.json", "writer.json.new", "labels.jsonl", "manifest.json.new"}


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

    :raises LakeError: if the folder holds something that is not a lake, or cannot be written.
    """
    try:
        layout.root.parent.mkdir(parents=True, exist_ok=True)
        make_folder(layout.root)
        foreign = sorted({entry.name for entry in layout.root.iterdir()} - _KNOWN)
        if foreign and not layout.manifest.exists():
            raise LakeError(
                f"{layout.root} is not empty and not a lake (it has {foreign[0]}); choose another folder"
            )
        for folder in (layout.manifests, layout.segments, layout.tombstones, layout.skipped, layout.staging):
            make_folder(folder)
        write_no_tombstones(layout)
    except (FileExistsError, NotADirectoryError):
        raise LakeError(f"{layout.root} is a file; choose a folder for the lake") from None
    except OSError as error:
        raise LakeError(f"{layout.root} cannot be written ({error.strerror})") from None


def clear_staging(layout: Layout) -> None:
    for leftover in layout.staging.iterdir():
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


class Commits:
    """The writer's end of a lake: `manifest` is the last snapshot committed."""

    def __init__(self, layout: Layout, manifest: Manifest, config: IndexConfig, scan_started_us: int) -> None:
        self.layout = layout
        self.manifest = manifest
        self._config = config
        self._unsettled_from_us = scan_started_us - int(config.settle_s * 1e6)
        self._pending = _Pending([], [], [], [])
        self._wait_s = config.first_commit_s
        self._since = time.monotonic()

    def add(
        self,
        file: ImageFile,
        source: str,
        image: ReadImage,
        columns: Mapping[str, ColumnValue],
        vector: Vectors,
    ) -> None:
        """A new row; its row_id is the next one."""
        row = {
            **columns,
            **file_columns(file, source),
            "row_id": self._next_row_id(),
            "sha256": image.sha256,
            "phash": image.phash,
            "width_px": image.width_px,
            "height_px": image.height_px,
            "format": image.format,
            "captured_at": image.captured_at,
            "camera": image.camera,
            "place": image.place and {"latitude": image.place[0], "longitude": image.place[1]},
        }
        self._pending.rows.append(row)
        self._pending.vectors.append(vector)

    def carry(self, row: Mapping[str, Any], vector: Vectors, old: Place) -> None:
        """A row that keeps its row_id and vector; its old place becomes a tombstone in the same commit."""
        self._pending.rows.append(dict(row))
        self._pending.vectors.append(vector)
        self._pending.dead.append(old)

    def remove(self, place: Place) -> None:
        self._pending.dead.append(place)

    def skip(self, file: ImageFile, source: str, reason: str, *, transient: bool) -> None:
        when = datetime.now(UTC).replace(tzinfo=None)
        skipped = Skipped(
            file.uri,
            file.path_bytes,
            source,
            file.size_bytes,
            file.modified_us,
            file.etag,
            reason,
            transient,
            when,
        )
        self._pending.skipped.append(skipped)

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
        if not pending and not changes and manifest.snapshot:
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
        self.manifest = publish(self.layout, replace(manifest, **changes))
        self._pending = _Pending([], [], [], [])
        self._wait_s = self._config.commit_s
        self._since = time.monotonic()

    def _with_segment(self, manifest: Manifest) -> Manifest:
        rows, vectors = self._pending.rows, np.stack(self._pending.vectors)
        table = rows_table(rows)
        writer = SegmentWriter(self.layout, manifest.dim)
        writer.add_rows(table)
        writer.add_vectors(vectors)
        entry = writer.finish(self._unsettled_since(rows))
        return replace(
            manifest,
            segments=(*manifest.segments, entry),
            columns=merge_types(manifest.columns, own_types(table.schema)),
            next_row_id=max(manifest.next_row_id, max(row["row_id"] for row in rows) + 1),
        )

    def _unsettled_since(self, rows: list[dict[str, Any]]) -> int | None:
        modified = (row["modified"] for row in rows)
        recent = any(
            time_us is not None and _in_us(time_us) >= self._unsettled_from_us for time_us in modified
        )
        return self._unsettled_from_us if recent else None

    def _next_row_id(self) -> int:
        new = [row["row_id"] for row in self._pending.rows[-1:] if row["row_id"] >= self.manifest.next_row_id]
        return new[0] + 1 if new else self.manifest.next_row_id


def file_columns(file: ImageFile, source: str) -> dict[str, Any]:
    """The columns of a row that say where its bytes are."""
    return {
        "uri": file.uri,
        "path_bytes": file.path_bytes,
        "source": source,
        "size_bytes": file.size_bytes,
        "modified": file.modified_us,
        "etag": file.etag,
        "columns_etag": file.columns_etag,
    }


def _in_us(modified: int | datetime) -> int:
    if isinstance(modified, int):
        return modified
    return int(modified.timestamp()) * 1_000_000 + modified.microsecond
