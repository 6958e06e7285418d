"""The lake folder's layout, format 1: every path in one place.
docs/lake-format.md describes what is in each file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Layout:
    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def segments(self) -> Path:
        return self.root / "segments"

    @property
    def codes(self) -> Path:
        return self.root / "codes"

    @property
    def groups(self) -> Path:
        return self.root / "groups"

    @property
    def tombstones(self) -> Path:
        return self.root / "tombstones"

    @property
    def skipped(self) -> Path:
        return self.root / "skipped"

    @property
    def filters(self) -> Path:
        return self.root / "filters"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger"

    @property
    def tags(self) -> Path:
        """What people call images: a log that is only added to, and the rows of its large acts."""
        return self.root / "tags"

    @property
    def searches(self) -> Path:
        """Queries that people saved by name."""
        return self.root / "searches"

    @property
    def alike(self) -> Path:
        """Derived: the groups of near-identical images."""
        return self.root / "alike"

    @property
    def map(self) -> Path:
        """Derived: where each image lies on the map."""
        return self.root / "map"

    @property
    def seeks(self) -> Path:
        """Derived: where in compressed tars their members are. What is not there is made again."""
        return self.root / "seeks"

    @property
    def parts(self) -> Path:
        """What parts of a run wrote that are not committed yet: a lake of its own for each."""
        return self.root / "parts"

    @property
    def parts_plan(self) -> Path:
        """What all of them agree on."""
        return self.parts / "plan.json"

    @property
    def origins(self) -> Path:
        """What this lake and its copies in buckets had in common last."""
        return self.root / "origins.json"

    @property
    def origins_lock(self) -> Path:
        return self.root / "origins.lock"

    @property
    def readers(self) -> Path:
        return self.root / "readers"

    @property
    def staging(self) -> Path:
        """Files on their way: whatever lies here when a writer starts
        was left by one that died, and is removed.
        """
        return self.root / "staging"

    @property
    def writer_lock(self) -> Path:
        return self.root / "writer.lock"

    @property
    def writer_note(self) -> Path:
        """Who holds the lock, for the message alone: the kernel's lock decides."""
        return self.root / "writer.json"

    def entries(self) -> list[Path]:
        """Everything that may lie in the root;
        a lake's folder may hold other things, which are not ours to touch.
        """
        folders = [self.manifests, self.segments, self.tombstones, self.skipped, self.filters]
        folders += [self.ledger, self.seeks, self.readers, self.staging, self.codes, self.groups]
        folders += [self.tags, self.searches, self.alike, self.map, self.parts]
        files = [self.manifest, self.root / "manifest.json.new", self.writer_lock]
        files += [self.writer_note, self.root / "writer.json.new", self.root / "labels.jsonl"]
        files += [self.origins, self.root / "origins.json.new", self.origins_lock]
        return [*folders, *files]

    def snapshot(self, number: int) -> Path:
        return self.manifests / f"{number:06d}.json"

    def snapshots(self) -> list[Path]:
        """The files of all snapshots, the youngest first."""
        numbered = [path for path in self.manifests.glob("*.json") if path.stem.isdigit()]
        return sorted(numbered, key=lambda path: int(path.stem), reverse=True)

    def segment(self, segment_id: str) -> Path:
        return self.segments / segment_id

    def codes_file(self, file_id: str) -> Path:
        return self.codes / f"{file_id}.arrow"

    def groups_folder(self, groups_id: str) -> Path:
        return self.groups / groups_id

    def tombstone_file(self, file_id: str) -> Path:
        return self.tombstones / f"{file_id}.parquet"

    def skipped_file(self, file_id: str) -> Path:
        return self.skipped / f"{file_id}.parquet"
