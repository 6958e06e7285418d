"""What a lake is made of: from which sources, in which formats, what was skipped and why, and how
it came to be. What the page "Lake" shows.

Counts are of one snapshot; snapshots are those whose manifests `vacuum` has left. Knows no HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from indexer.disk.entries import read_file
from indexer.disk.layout import FORMAT, Layout
from indexer.disk.manifest import Manifest
from indexer.disk.tables import key_of, read_skipped
from indexer.errors import LakeError
from service.search.facets import MAX_VALUES, Facet, facets
from service.snapshot.snapshot import Snapshot

SNAPSHOTS = 20  # the latest
SKIPPED_SHOWN = 100
REASONS = 50


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Where images come from, as `index` was told it."""

    uri: str
    kind: str | None  # "imported": rows and vectors that another tool made
    layout: str | None  # how it is read, where somebody said so
    columns: str | None  # the user's own table beside it
    frames: str | None  # of videos, where somebody said so
    rows: int  # live ones


@dataclass(frozen=True, slots=True)
class FormatFacts:
    format: str | None  # null: imported, and the image was not read yet
    rows: int


@dataclass(frozen=True, slots=True)
class Reason:
    reason: str
    files: int


@dataclass(frozen=True, slots=True)
class SkippedFile:
    uri: str
    reason: str
    when: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class SkippedFacts:
    """Files that could not be read; each is tried again when it changes."""

    files: int
    reasons: tuple[Reason, ...]  # of most files first, at most REASONS
    more_reasons: int
    shown: tuple[SkippedFile, ...]  # the latest first, at most SKIPPED_SHOWN


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    snapshot: int
    committed_at: str
    rows: int


@dataclass(frozen=True, slots=True)
class About:
    snapshot: int
    committed_at: str
    rows: int
    format: int  # of the lake on disk
    made_by: str  # the version that wrote it
    model: str
    dim: int
    fingerprint: dict[str, str | int]
    size_bytes: int
    segments: int
    sources: tuple[SourceFacts, ...]
    other_rows: int  # live ones of sources that the lake no longer names
    formats: tuple[FormatFacts, ...]  # of most rows first
    skipped: SkippedFacts
    snapshots: tuple[SnapshotFacts, ...]  # the latest first, at most SNAPSHOTS

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def about(snapshot: Snapshot) -> About:
    """Count what a snapshot holds, and read what is told beside it."""
    manifest = snapshot.manifest
    by_source, by_format = facets(snapshot, columns=["source", "format"], values=MAX_VALUES).facets
    sources = _sources(manifest, by_source)
    return About(
        snapshot=manifest.snapshot,
        committed_at=manifest.created,
        rows=snapshot.live_rows,
        format=FORMAT,
        made_by=manifest.made_by,
        model=manifest.model_id,
        dim=manifest.dim,
        fingerprint=dict(manifest.fingerprint),
        size_bytes=manifest.size_bytes,
        segments=len(manifest.segments),
        sources=sources,
        other_rows=snapshot.live_rows - sum(source.rows for source in sources),
        formats=_formats(by_format),
        skipped=_skipped(snapshot.layout, manifest),
        snapshots=tuple(islice(_snapshots(snapshot.layout), SNAPSHOTS)),
    )


def _sources(manifest: Manifest, counted: Facet) -> tuple[SourceFacts, ...]:
    rows = {value.value: value.rows for value in counted.values}
    return tuple(
        SourceFacts(
            uri=entry.uri,
            kind=entry.kind,
            layout=entry.layout,
            columns=entry.columns,
            frames=entry.frames,
            # one uri may be named twice, with two tables: its rows are told once
            rows=rows.pop(entry.uri, 0),
        )
        for entry in manifest.sources
    )


def _formats(counted: Facet) -> tuple[FormatFacts, ...]:
    known = [FormatFacts(str(value.value), value.rows) for value in counted.values]
    return (*known, *([FormatFacts(None, counted.nulls)] if counted.nulls else []))


def _skipped(layout: Layout, manifest: Manifest) -> SkippedFacts:
    # of a file that was skipped twice the later one counts
    rows = {
        (key_of(row["uri"], row["part"]), row["source"]): row
        for row in read_skipped(layout, manifest).to_pylist()
    }
    reasons = Counter(row["reason"] for row in rows.values())
    ordered = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    latest = sorted(rows.values(), key=lambda row: (row["when"], row["uri"]), reverse=True)
    return SkippedFacts(
        files=len(rows),
        reasons=tuple(Reason(reason, files) for reason, files in ordered[:REASONS]),
        more_reasons=max(0, len(ordered) - REASONS),
        shown=tuple(
            SkippedFile(row["uri"], row["reason"], row["when"].isoformat())
            for row in latest[:SKIPPED_SHOWN]
        ),
    )


def _snapshots(layout: Layout) -> Iterator[SnapshotFacts]:
    for path in layout.snapshots():
        try:
            manifest = Manifest.from_json(read_file(path), str(path))
        except (LakeError, OSError):
            continue  # vacuum took it meanwhile, or `doctor` has more to say of it
        yield SnapshotFacts(manifest.snapshot, manifest.created, manifest.live_rows)
