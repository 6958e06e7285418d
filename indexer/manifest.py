"""Snapshots: what is live in a lake, written so that a crash leaves the old one or the new one, never half.

A snapshot is one JSON document, `manifests/N.json`; `manifest.json` is a copy of the current one. Each carries a
checksum of itself. Everything it names is durable before it is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.checks import FileCheck, find_damage
from indexer.durable import fsync_folder, replace_file, write_file
from indexer.errors import LakeDamaged, LakeError, LakeNotFound
from indexer.layout import FORMAT, Layout

ALWAYS_DEEP_BELOW_BYTES = 256_000_000  # a lake this small is checked whole whenever it is opened

Fingerprint = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class SourceEntry:
    uri: str
    columns: str | None = None  # path of the user's own table, joined by path


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    id: str  # a ULID: its folder's name
    rows: int
    files: dict[str, FileCheck]  # "rows.parquet", "vectors.faiss"
    unsettled_since_us: int | None = (
        None  # rows modified at or after this (us since the epoch) are looked at again
    )


@dataclass(frozen=True, slots=True)
class TombstonesEntry:
    id: str
    rows: int
    segments: tuple[str, ...]  # the segments it has entries for
    file: FileCheck


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    id: str
    rows: int
    file: FileCheck


@dataclass(frozen=True, slots=True)
class Manifest:
    model_id: str
    fingerprint: Fingerprint
    dim: int
    snapshot: int = 0  # 0: nothing committed yet
    created: str = ""
    made_by: str = ""
    next_row_id: int = 1
    sources: tuple[SourceEntry, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)  # the sources' own columns: name -> Arrow type
    segments: tuple[SegmentEntry, ...] = ()
    tombstones: tuple[TombstonesEntry, ...] = ()
    skipped: tuple[SkippedEntry, ...] = ()

    @property
    def live_rows(self) -> int:
        return sum(s.rows for s in self.segments) - sum(t.rows for t in self.tombstones)

    def tombstones_beside(self, damaged: Collection[str]) -> tuple[TombstonesEntry, ...]:
        """Those that speak of a segment in service. A damaged file is never among them: all its segments are out."""
        return tuple(entry for entry in self.tombstones if not set(damaged).issuperset(entry.segments))

    @property
    def size_bytes(self) -> int:
        return sum(check.length for _, check in self._files())

    def _files(self) -> list[tuple[str, FileCheck]]:
        files = [(f"segments/{s.id}/{name}", check) for s in self.segments for name, check in s.files.items()]
        files += [(f"tombstones/{t.id}.parquet", t.file) for t in self.tombstones]
        return files + [(f"skipped/{s.id}.parquet", s.file) for s in self.skipped]

    @property
    def file_names(self) -> list[str]:
        """Every file that the snapshot needs, as a path in the lake's folder."""
        return [name for name, _ in self._files()]

    def to_json(self) -> bytes:
        body = {"format": FORMAT, **asdict(self)}
        return json.dumps({**body, "checksum": _checksum(body)}, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes, path: str) -> Manifest:
        """Read a manifest, of this format or an earlier one.

        The checksum comes first, so that a flipped bit in the format number is not taken for a later format; it is made
        the same way in every format.

        :raises LakeDamaged: if it is not a manifest, or its checksum differs; LakeError: of a later format.
        """
        try:
            body = json.loads(data)
            checksum = body.pop("checksum")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise LakeDamaged(path, "it is not a manifest (no JSON object with a checksum)") from None
        if checksum != _checksum(body):
            raise LakeDamaged(path, "its checksum does not match its content")
        if body["format"] > FORMAT:
            raise LakeError(
                f"{path} has format {body['format']}; this lakesift reads up to {FORMAT}: update lakesift"
            )
        return _parse(body)


@dataclass(frozen=True, slots=True)
class Opened:
    """A manifest as read, and what is wrong with the files it names."""

    manifest: Manifest
    out_of_service: dict[str, str]  # segment id -> sentence
    damaged_skipped: frozenset[str]  # ids of skipped files that cannot be believed
    problems: tuple[str, ...]  # every sentence, these included


def read_manifest(layout: Layout) -> tuple[Manifest, tuple[str, ...]]:
    """The current snapshot. Where manifest.json is damaged, the newest whole one of manifests/, and a sentence on it.

    :raises LakeNotFound: if there is no manifest at all.
    :raises LakeDamaged: if none of them can be used.
    """
    try:
        return Manifest.from_json(layout.manifest.read_bytes(), str(layout.manifest)), ()
    except (FileNotFoundError, NotADirectoryError):
        first = LakeDamaged(str(layout.manifest), "it is missing")
    except OSError as error:
        first = LakeDamaged(str(layout.manifest), f"it cannot be read ({error.strerror})")
    except LakeDamaged as error:
        first = error
    for path in layout.snapshots():
        try:
            manifest = Manifest.from_json(path.read_bytes(), str(path))
        except (LakeDamaged, OSError):
            continue
        return manifest, (
            f"{first}; read {path.name} of manifests/ instead, the next `lakesift sync` repairs it",
        )
    if not layout.manifest.exists():
        raise _not_found(layout.root)
    raise first


def _not_found(root: Path) -> LakeNotFound:
    """Most often it is the photos' own folder that was named: a lake made there would lie among them."""
    if root.is_file():
        return LakeNotFound(str(root), "it is a file, and a lake is a folder")
    with suppress(OSError):  # not there, or not to be looked into
        if any(root.iterdir()):
            way_out = f"if it holds photos, make one of them with: lakesift index {root} --into {root}.lake"
            return LakeNotFound(str(root), way_out)
    return LakeNotFound(str(root))


def check_files(
    layout: Layout, manifest: Manifest, *, deep: bool | None = None, known: Collection[str] = ()
) -> Opened:
    """Compare the files of a snapshot with what was committed.

    Tombstones and skipped files are small and always read whole: a dead row must not come back.

    :param deep: True reads everything, False lengths and ends; None decides by the lake's size (256 MB).
    :param known: ids of segments that were found whole before; of these, lengths and ends.
    """
    if deep is None:
        deep = manifest.size_bytes < ALWAYS_DEEP_BELOW_BYTES
    out_of_service: dict[str, str] = {}
    problems: list[str] = []
    for segment in manifest.segments:
        for name, check in segment.files.items():
            path = layout.segment(segment.id) / name
            if damage := find_damage(path, check, deep=deep and segment.id not in known):
                sentence = f"{path} is damaged: {damage}; its {segment.rows:,} rows are out of service"
                out_of_service.setdefault(segment.id, sentence)
                problems.append(sentence)
    for entry in manifest.tombstones:
        path = layout.tombstone_file(entry.id)
        if damage := find_damage(path, entry.file, deep=True):
            sentence = f"{path} is damaged: {damage}; the segments it speaks of are out of service"
            out_of_service.update(
                {segment: sentence for segment in entry.segments if segment not in out_of_service}
            )
            problems.append(sentence)
    damaged_skipped = set()
    for skipped in manifest.skipped:
        path = layout.skipped_file(skipped.id)
        if damage := find_damage(path, skipped.file, deep=True):
            damaged_skipped.add(skipped.id)
            problems.append(f"{path} is damaged: {damage}; the next `lakesift sync` tries those files again")
    problems += _check_copy(layout, manifest)
    return Opened(manifest, out_of_service, frozenset(damaged_skipped), tuple(problems))


def _check_copy(layout: Layout, manifest: Manifest) -> list[str]:
    """A sentence where manifests/N.json, what manifest.json would be restored from, is not the same snapshot."""
    path = layout.snapshot(manifest.snapshot)
    try:
        if Manifest.from_json(path.read_bytes(), str(path)) == manifest:
            return []
        damage = "it is not the snapshot that manifest.json is"
    except LakeDamaged as error:
        damage = error.reason
    except FileNotFoundError:
        damage = "it is missing"
    except OSError as error:
        damage = f"it cannot be read ({error.strerror})"
    return [
        f"{path} is damaged: {damage}; manifest.json is whole, the next `lakesift sync` writes another copy"
    ]


def publish(layout: Layout, manifest: Manifest) -> Manifest:
    """Make a snapshot the current one. All files it names must be durable already.

    Order: manifests/N.json and its folder are fsynced, then manifest.json is replaced and the root fsynced.

    :returns: the manifest with its number (one above any file present) and time.
    """
    from indexer import __version__

    published = replace(
        manifest,
        snapshot=max([manifest.snapshot, *(int(path.stem) for path in layout.snapshots())]) + 1,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        made_by=f"lakesift {__version__}",
    )
    data = published.to_json()
    write_file(layout.snapshot(published.snapshot), data)
    fsync_folder(layout.manifests)
    replace_file(layout.manifest, data)
    return published


def _checksum(body: dict[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _parse(body: dict[str, Any]) -> Manifest:
    """Build the dataclasses; the checksum has vouched for the shape, unknown fields of later versions are ignored."""
    segments = tuple(
        SegmentEntry(
            s["id"],
            s["rows"],
            {name: FileCheck.from_json(check) for name, check in s["files"].items()},
            s["unsettled_since_us"],
        )
        for s in body["segments"]
    )
    tombstones = tuple(
        TombstonesEntry(t["id"], t["rows"], tuple(t["segments"]), FileCheck.from_json(t["file"]))
        for t in body["tombstones"]
    )
    skipped = tuple(SkippedEntry(s["id"], s["rows"], FileCheck.from_json(s["file"])) for s in body["skipped"])
    return Manifest(
        model_id=body["model_id"],
        fingerprint=body["fingerprint"],
        dim=body["dim"],
        snapshot=body["snapshot"],
        created=body["created"],
        made_by=body["made_by"],
        next_row_id=body["next_row_id"],
        sources=tuple(SourceEntry(s["uri"], s["columns"]) for s in body["sources"]),
        columns=body["columns"],
        segments=segments,
        tombstones=tombstones,
        skipped=skipped,
    )
