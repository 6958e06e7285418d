"""Snapshots: what is live in a lake,
written so that a crash leaves the old one or the new one, never half.

A snapshot is one JSON document, `manifests/N.json`; `manifest.json` is a copy of the current one.
Each carries a checksum of itself. Everything it names is durable before it is written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.disk.checks import FileCheck, find_damage
from indexer.disk.durable import fsync_folder, replace_file, write_file
from indexer.disk.entries import check_lake, read_file
from indexer.disk.layout import FORMAT, Layout
from indexer.disk.rows import check_own_columns, still_own
from indexer.disk.sealed import BROKEN, checksum_of
from indexer.errors import LakeDamaged, LakeError, LakeNotFound
from indexer.fields import Fields, whole
from indexer.words import count

ALWAYS_DEEP_BELOW_BYTES = 256_000_000  # a lake this small is checked whole whenever it is opened

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # a ULID, or what a test calls one
_FILE_NAME = re.compile(r"[a-z0-9_-]{1,64}\.[a-z0-9_-]{1,16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

IMPORTED = "imported"
Fingerprint = dict[str, str | int]
_checksum = checksum_of


@dataclass(frozen=True, slots=True)
class Moments:
    """Which images of a recording are rows, and what its other topics say of them."""

    every_us: int = 0  # that images of one topic are apart, at least
    join: tuple[str, ...] = ()  # topics and fields, as /battery/percentage
    within_us: int = 500_000  # of an image, for what is joined to it
    # images that differ from the last one kept by less, in thousandths, are no rows; 0: all are
    still_permille: int = 0


@dataclass(frozen=True, slots=True)
class SourceEntry:
    uri: str
    columns: str | None = None  # path of the user's own table, joined by path
    layout: str | None = None  # how it is read, where the user said so, as "classes"
    crops: bool = False  # each box of a labelled set is a row, too
    moments: Moments | None = None  # None: every image, and nothing joined
    # "imported": rows and vectors that another tool made; never listed, so never found gone
    kind: str | None = None
    # which frames of videos become rows, as "1s", "key" or "none"; None: as it is by default
    frames: str | None = None

    @property
    def is_imported(self) -> bool:
        return self.kind == IMPORTED


@dataclass(frozen=True, slots=True)
class CodesEntry:
    """A segment's codes; nothing needs them."""

    id: str
    file: FileCheck


# Of the rows of groups, the share that may be gone since they were measured. Of rows deleted at
# random, a fifth cost searches with 0.9 to 0.99 at most 0.005 of their recall.
MOST_GONE = 0.1


@dataclass(frozen=True, slots=True)
class GroupsEntry:
    """The lake's rows by what they are near to; nothing needs them."""

    id: str  # a ULID: their folder's name
    segments: tuple[str, ...]  # whose rows they hold
    files: dict[str, FileCheck]
    recall: float | None = None  # of searches that ask for none; None: those are exact
    dead: int = 0  # of their rows, when it was measured how many groups a search must look into


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    id: str  # a ULID: its folder's name
    rows: int
    files: dict[str, FileCheck]  # "rows.parquet", "vectors.faiss"
    # rows modified at or after this (us since the epoch) are looked at again
    unsettled_since_us: int | None = None
    codes: CodesEntry | None = None


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
class Recomputing:
    """How far a run has come that computes columns of old rows again."""

    columns: tuple[str, ...]
    done: dict[str, int]  # segment id -> rows from its start that are done


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
    # the sources' own columns: name -> Arrow type
    columns: dict[str, str] = field(default_factory=dict)
    segments: tuple[SegmentEntry, ...] = ()
    tombstones: tuple[TombstonesEntry, ...] = ()
    skipped: tuple[SkippedEntry, ...] = ()
    recomputing: Recomputing | None = None  # None: nothing was left half done
    groups: GroupsEntry | None = None

    @property
    def grouped_rows(self) -> int:
        """Rows that groups hold, dead ones too."""
        held = () if self.groups is None else self.groups.segments
        return sum(entry.rows for entry in self.segments if entry.id in held)

    @property
    def are_groups_outlived(self) -> bool:
        """Whether so many rows of the groups are gone since they were measured that what was
        measured says little of those that are left: of a copy's neighbours, once copies are
        deleted, one in three was found where 0.99 had been measured.
        """
        if self.groups is None:
            return False
        held = set(self.groups.segments)
        dead = sum(each.rows for each in self.tombstones if held.intersection(each.segments))
        return dead - self.groups.dead > MOST_GONE * self.grouped_rows

    @property
    def live_rows(self) -> int:
        return sum(s.rows for s in self.segments) - sum(t.rows for t in self.tombstones)

    def tombstones_beside(self, damaged: Collection[str]) -> tuple[TombstonesEntry, ...]:
        """Those that speak of a segment in service.
        A damaged file is never among them: all its segments are out.
        """
        return tuple(
            entry for entry in self.tombstones if not set(damaged).issuperset(entry.segments)
        )

    @property
    def size_bytes(self) -> int:
        return sum(check.length for check in self.checks.values())

    @property
    def checks(self) -> dict[str, FileCheck]:
        """Every file that the snapshot needs, as a path in the lake's folder with slashes."""
        files = [
            (f"segments/{s.id}/{name}", check)
            for s in self.segments
            for name, check in s.files.items()
        ]
        files += [(f"codes/{s.codes.id}.arrow", s.codes.file) for s in self.segments if s.codes]
        if self.groups is not None:
            folder = f"groups/{self.groups.id}"
            files += [(f"{folder}/{name}", check) for name, check in self.groups.files.items()]
        files += [(f"tombstones/{t.id}.parquet", t.file) for t in self.tombstones]
        files += [(f"skipped/{s.id}.parquet", s.file) for s in self.skipped]
        return dict(files)

    def to_json(self) -> bytes:
        body = {"format": FORMAT, **asdict(self)}
        return json.dumps(
            {**body, "checksum": _checksum(body)}, indent=1, ensure_ascii=False
        ).encode()

    @classmethod
    def from_json(cls, data: bytes, path: str) -> Manifest:
        """Read a manifest, of this format or an earlier one.

        The checksum comes first, so that a flipped bit in the format number is not taken for a
        later format; it is made the same way in every format.

        :raises LakeDamaged: if it is not a manifest, or its checksum differs; LakeError: of a later
            format.
        """
        try:
            body = json.loads(data)
            checksum = body.pop("checksum")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise LakeDamaged(
                path, "it is not a manifest (no JSON object with a checksum)"
            ) from None
        if checksum != _checksum(body):
            raise LakeDamaged(path, BROKEN)
        if not isinstance(body.get("format"), int):
            raise LakeDamaged(path, "it says no format")
        if body["format"] > FORMAT:
            raise LakeError(
                f"{path} has format {body['format']}; this lakesift reads up to {FORMAT}: update lakesift"
            )
        try:
            return _parse(body)
        except ValueError as error:
            raise LakeDamaged(path, str(error)) from None


@dataclass(frozen=True, slots=True)
class Opened:
    """A manifest as read, and what is wrong with the files it names."""

    manifest: Manifest
    out_of_service: dict[str, str]  # segment id -> sentence
    damaged_skipped: frozenset[str]  # ids of skipped files that cannot be believed
    problems: tuple[str, ...]  # every sentence, these included
    # id of codes or groups -> sentence; searches do without them
    damaged_codes: Mapping[str, str] = field(default_factory=dict)


def read_manifest(layout: Layout) -> tuple[Manifest, tuple[str, ...]]:
    """The current snapshot. Where manifest.json is damaged,
    the newest whole one of manifests/, and a sentence on it.

    :raises LakeNotFound: if there is no manifest at all.
    :raises LakeDamaged: if none of them can be used; LakeUnsafe: if a link stands for something of
        the lake.
    """
    check_lake(layout)
    try:
        return Manifest.from_json(read_file(layout.manifest), str(layout.manifest)), ()
    except (FileNotFoundError, NotADirectoryError):
        first = LakeDamaged(str(layout.manifest), "it is missing")
    except OSError as error:
        first = LakeDamaged(str(layout.manifest), f"it cannot be read ({error.strerror})")
    except LakeDamaged as error:
        first = error
    for path in layout.snapshots():
        try:
            manifest = Manifest.from_json(read_file(path), str(path))
        except (LakeDamaged, OSError):
            continue
        return manifest, (
            f"{first}; read {path.name} of manifests/ instead, the next `lakesift sync` repairs it",
        )
    if not layout.manifest.exists():
        raise _not_found(layout.root)
    raise first


def _not_found(root: Path) -> LakeNotFound:
    """Most often it is the photos' own folder that was named:
    a lake made there would lie among them.
    """
    if os.path.lexists(Layout(root).parts_plan):
        way_out = f"it has parts that are not committed yet: lakesift commit {root}"
        return LakeNotFound(str(root), way_out)
    if root.is_file():
        return LakeNotFound(str(root), "it is a file, and a lake is a folder")
    if Layout(root).manifests.is_dir():
        way_out = "what was to make it was cut short: run that again (`lakesift pull` goes on)"
        return LakeNotFound(str(root), way_out)
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

    :param deep: True reads everything, False lengths and ends; None decides by the lake's size (256
        MB).
    :param known: ids of segments, codes and groups that were found whole before; of these, lengths
        and ends.
    """
    if deep is None:
        deep = manifest.size_bytes < ALWAYS_DEEP_BELOW_BYTES
    out_of_service: dict[str, str] = {}
    problems: list[str] = []
    for segment in manifest.segments:
        for name, check in segment.files.items():
            path = layout.segment(segment.id) / name
            if damage := find_damage(path, check, deep=deep and segment.id not in known):
                rows = count(segment.rows, "row is", "rows are")
                sentence = f"{path} is damaged: {damage}; its {rows} out of service"
                out_of_service.setdefault(segment.id, sentence)
                problems.append(sentence)
    damaged_codes: dict[str, str] = {}
    for segment in manifest.segments:
        if segment.codes is None:
            continue
        path = layout.codes_file(segment.codes.id)
        is_known = segment.codes.id in known
        if damage := find_damage(path, segment.codes.file, deep=deep and not is_known):
            damaged_codes[segment.codes.id] = without_codes(path, damage)
    if (groups := manifest.groups) is not None:
        for name, check in groups.files.items():
            path = layout.groups_folder(groups.id) / name
            if damage := find_damage(path, check, deep=deep and groups.id not in known):
                damaged_codes.setdefault(groups.id, without_groups(path, damage))
    problems += damaged_codes.values()
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
            problems.append(
                f"{path} is damaged: {damage}; the next `lakesift sync` tries those files again"
            )
    problems += _check_copy(layout, manifest)
    return Opened(
        manifest, out_of_service, frozenset(damaged_skipped), tuple(problems), damaged_codes
    )


def without_codes(path: str | Path, damage: str) -> str:
    """What is to be told of codes that cannot be used."""
    return (
        f"{path} is damaged: {damage}; searches are right without it, but slower, and the next "
        "`lakesift sync` makes it anew"
    )


def without_groups(path: str | Path, damage: str) -> str:
    """What is to be told of groups that cannot be used."""
    return (
        f"{path} is damaged: {damage}; searches go on exactly without it, and the next "
        "`lakesift sync` makes it anew"
    )


def _check_copy(layout: Layout, manifest: Manifest) -> list[str]:
    """A sentence where manifests/N.json,
    what manifest.json would be restored from, is not the same snapshot.
    """
    path = layout.snapshot(manifest.snapshot)
    try:
        if Manifest.from_json(read_file(path), str(path)) == manifest:
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

    Order: manifests/N.json and its folder are fsynced, then manifest.json is replaced and the root
    fsynced.

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


class _BadId(ValueError):
    """What should name a file of the lake is no name; str() says which."""


def _id(value: object) -> str:
    """A file's or folder's name, as a manifest has it:
    it becomes part of a path, so it can be no path itself.

    The checksum vouches for nothing here: whoever writes a lake writes that, too.
    """
    if not (isinstance(value, str) and _ID.fullmatch(value)):
        raise _BadId(f"{value!r} is no id")
    return value


def _file_name(value: str) -> str:
    if not _FILE_NAME.fullmatch(value):
        raise _BadId(f"{value!r} is no name of a segment's file")
    return value


def _check_from(fields: Fields) -> FileCheck:
    check = FileCheck(
        fields.whole("length"), fields.text("ends"), tuple(map(str, fields.items("blocks")))
    )
    # The ends name a file of the cache.
    if not all(_SHA256.fullmatch(digest) for digest in (check.ends, *check.blocks)):
        raise _BadId(f"{check.ends!r} is no checksum")
    return check


def _parse(body: dict[str, Any]) -> Manifest:
    """Build the dataclasses; unknown fields of later versions are ignored.

    :raises ValueError: if a field is missing or of another type. The checksum vouches for nothing
        here, see `_id`.
    """
    fields = Fields(body)
    return Manifest(
        model_id=fields.text("model_id"),
        fingerprint=fingerprint_from(fields.inner("fingerprint").rest()),
        dim=fields.whole("dim", 1),
        snapshot=fields.whole("snapshot"),
        created=fields.text("created"),
        made_by=fields.text("made_by"),
        next_row_id=fields.whole("next_row_id", 1),
        sources=tuple(map(source_from, _objects(fields, "sources"))),
        columns=_own_columns(fields.inner("columns").rest()),
        segments=tuple(map(_segment, _objects(fields, "segments"))),
        tombstones=tuple(map(_tombstones, _objects(fields, "tombstones"))),
        skipped=tuple(map(_skipped, _objects(fields, "skipped"))),
        # Lakes of earlier versions have no such field.
        recomputing=_recomputing(fields.inner("recomputing"))
        if fields.has("recomputing")
        else None,
        groups=_groups(fields.inner("groups")) if fields.has("groups") else None,
    )


def _objects(fields: Fields, name: str) -> list[Fields]:
    return [Fields(value, fields.path(name)) for value in fields.items(name)]


def fingerprint_from(facts: dict[str, Any]) -> Fingerprint:
    """:raises ValueError: if one is neither a text nor a whole number."""
    for name, fact in facts.items():
        if not isinstance(fact, str | int) or isinstance(fact, bool):
            raise ValueError(f"fingerprint.{name} is neither a text nor a whole number")
    return facts


def _texts(values: dict[str, Any], name: str) -> dict[str, str]:
    for key, value in values.items():
        if not isinstance(value, str):
            raise ValueError(f"{name}.{key} is not a text")
    return values


def _own_columns(values: dict[str, Any]) -> dict[str, str]:
    columns = {still_own(name): kind for name, kind in _texts(values, "columns").items()}
    check_own_columns(columns)
    return columns


def source_from(fields: Fields) -> SourceEntry:
    """:raises ValueError: if a field is missing or of another type."""
    # Lakes of earlier versions have none of these.
    layout = fields.maybe_text("layout") if fields.has("layout") else None
    crops = fields.take("crops") if fields.has("crops") else False
    if not isinstance(crops, bool):
        raise ValueError(f"{fields.path('crops')} is neither true nor false")
    has_moments = fields.has("moments")
    moments = _moments(fields.inner("moments")) if has_moments else None
    kind = fields.maybe_text("kind") if fields.has("kind") else None
    frames = fields.maybe_text("frames") if fields.has("frames") else None
    uri, columns = fields.text("uri"), fields.maybe_text("columns")
    return SourceEntry(uri, columns, layout, crops, moments, kind, frames)


def _moments(fields: Fields) -> Moments:
    still_permille = fields.whole("still_permille") if fields.has("still_permille") else 0
    joined = tuple(map(str, fields.items("join")))
    return Moments(fields.whole("every_us"), joined, fields.whole("within_us"), still_permille)


def _segment(fields: Fields) -> SegmentEntry:
    segment_id, rows = _id(fields.take("id")), fields.whole("rows", 1)
    files = {
        _file_name(name): _check_from(Fields(check, f"files.{name}"))
        for name, check in fields.inner("files").rest().items()
    }
    unsettled = fields.take("unsettled_since_us")
    if unsettled is not None and (not isinstance(unsettled, int) or isinstance(unsettled, bool)):
        raise ValueError(f"{fields.path('unsettled_since_us')} is not a whole number")
    # Lakes of earlier versions have no such field.
    codes = fields.take("codes") if fields.has("codes") else None
    return SegmentEntry(
        segment_id, rows, files, unsettled, None if codes is None else _codes(fields, codes)
    )


def _codes(of: Fields, value: object) -> CodesEntry:
    if not isinstance(value, dict):
        raise ValueError(f"{of.path('codes')} is no object")
    fields = Fields(value, of.path("codes"))
    return CodesEntry(_id(fields.take("id")), _check_from(fields.inner("file")))


def _groups(fields: Fields) -> GroupsEntry:
    recall = fields.maybe_number("recall")
    if recall is not None and not 0 < recall <= 1:
        raise ValueError(f"{fields.path('recall')} is no share")
    files = {
        _file_name(name): _check_from(Fields(check, fields.path(f"files.{name}")))
        for name, check in fields.inner("files").rest().items()
    }
    segments = tuple(map(_id, fields.items("segments")))
    dead = fields.whole("dead") if fields.has("dead") else 0
    return GroupsEntry(_id(fields.take("id")), segments, files, recall, dead)


def _tombstones(fields: Fields) -> TombstonesEntry:
    return TombstonesEntry(
        _id(fields.take("id")),
        fields.whole("rows"),
        tuple(map(_id, fields.items("segments"))),
        _check_from(fields.inner("file")),
    )


def _skipped(fields: Fields) -> SkippedEntry:
    return SkippedEntry(
        _id(fields.take("id")), fields.whole("rows"), _check_from(fields.inner("file"))
    )


def _recomputing(fields: Fields) -> Recomputing:
    columns = tuple(map(str, fields.items("columns")))
    done = {
        _id(name): whole(rows, f"recomputing.done.{name}")
        for name, rows in fields.inner("done").rest().items()
    }
    return Recomputing(columns, done)
