"""A lake's copy in a bucket onto a disk, or a lake on a disk brought to what the bucket has.

Everything that the snapshot names is here and checked before the snapshot is; who dies before has
changed nothing, and what was fetched is not fetched again. What a lake has of its own is never
overwritten: such a lake is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ulid import ULID

from indexer.buckets.deleted import as_moved, deleted_here, deleted_there, move
from indexer.buckets.origins import (
    Origin,
    Underway,
    checksum_of_snapshot,
    has_been_there,
    note_origin,
    read_origins,
    read_underway,
)
from indexer.buckets.room import make_room
from indexer.buckets.said import (
    Compared,
    Rule,
    compare,
    in_order,
    mark_of,
    named,
    read_whole,
    rule_of,
    said_in,
    whole_lines,
)
from indexer.buckets.store import Bucket, Stored
from indexer.config import IndexConfig
from indexer.disk.checks import FileCheck, find_damage
from indexer.disk.durable import fsync_file, fsync_folder, make_folder, replace_file, write_file
from indexer.disk.entries import read_file, reason_of
from indexer.disk.layout import Layout
from indexer.disk.locks import held
from indexer.disk.manifest import Manifest, read_manifest
from indexer.disk.writer_note import NotedProgress
from indexer.errors import (
    BadRequest,
    BucketError,
    CopiesDiverged,
    LakeDamaged,
    LakeNotFound,
    NotWritten,
)
from indexer.report import Progress, Silent
from indexer.run.writing.commits import clear_staging
from indexer.run.writing.compact import snapshots_named_by_filters
from indexer.run.writing.first_run import FirstRun, folder_held

AT_ONCE = 8  # files on their way
_TRIES = 3  # snapshots that may be replaced while they are fetched
_LOCKS = {  # what holds each
    "filters": "labels.lock",
    "tags": "tags.lock",
    "searches": "searches.lock",
    "map": "map.lock",
    "alike": "groups.lock",
}
_LOCK_WAIT_S = 10.0
_ELSEWHERE = "pull into another folder"


@dataclass(slots=True)
class PullReport:
    """What a lake got from its copy in a bucket."""

    lake: str
    url: str
    snapshot: int = 0
    rows: int = 0
    fetched_files: int = 0
    fetched_bytes: int = 0
    kept_files: int = 0  # files of the snapshot that were here already
    own: int = 0  # files of what people said that have more here than there
    is_ahead: bool = False  # the lake here goes on from the bucket's
    interrupted: bool = False
    # sentences worth reading, of which none is a failure
    notes: list[str] = field(default_factory=list)


class _Replaced(Exception):
    """A file is gone from the bucket that its snapshot named."""


def pull_lake(
    url: str,
    lake: Path,
    *,
    config: IndexConfig | None = None,
    at_most: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    way_out: str = _ELSEWHERE,
) -> PullReport:
    """Bring a lake on disk to the snapshot of its copy in a bucket; make it, if it is not there.

    :param url: of the copy, as `s3://bucket/my.lake`.
    :param at_most: bytes that the lake's folder may take, above 0; None: as many as it needs. Old
        snapshots that nobody has open go as soon as a new one would not fit beside them.
    :param way_out: what is told where both have what the other has not.
    :raises LakeNotFound: if there is no lake in the bucket; LakeLocked: if another writes this one.
    :raises BadRequest: if url names no folder in a bucket, or at_most is below 1.
    :raises BucketError: if the bucket cannot be read or is damaged, or if both have what the other
        has not, or if the snapshot takes more than at_most; the lake stays as it was.
    :raises NotWritten: if the disk is full.
    """
    if at_most is not None and at_most < 1:
        raise BadRequest("at_most", f"it is {at_most:,} bytes; a lake takes more")
    layout, config = Layout(lake), config or IndexConfig.from_env()
    bucket = Bucket.open(url)
    if bucket.read("manifest.json") is None:
        raise LakeNotFound(bucket.url, "nothing was published there")
    with folder_held(layout, config) as first_run:
        clear_staging(layout)
        told = NotedProgress(progress or Silent(), layout)
        pulling = _Pulling(layout, bucket, first_run, told, should_stop, way_out, at_most)
        for attempt in range(_TRIES):
            try:
                return pulling.run()
            except _Replaced as error:
                if attempt == _TRIES - 1:
                    raise BucketError(
                        bucket.url,
                        f"{error} is missing there, which its snapshot names; publish the lake from where it is whole",
                    ) from None
            except OSError as error:
                raise NotWritten(str(error.filename or lake), reason_of(error)) from None
    raise AssertionError("each try returns or raises")


class _Pulling:
    def __init__(
        self,
        layout: Layout,
        bucket: Bucket,
        first_run: FirstRun,
        progress: Progress,
        should_stop: Callable[[], bool],
        way_out: str,
        at_most: int | None,
    ) -> None:
        self._layout, self._bucket, self._first_run = layout, bucket, first_run
        self._progress, self._should_stop, self._way_out = progress, should_stop, way_out
        self._at_most = at_most
        self._stored: Mapping[str, Stored] = {}

    def run(self) -> PullReport:
        layout, bucket = self._layout, self._bucket
        self._progress.stage("comparing", None)
        found = bucket.read("manifest.json")
        if found is None:
            raise LakeNotFound(bucket.url, "nothing was published there")
        data, _ = found
        theirs = Manifest.from_json(data, f"{bucket.url}/manifest.json")
        stored = bucket.names()
        origin = read_origins(layout).get(bucket.url)
        report = PullReport(str(layout.root), bucket.url, theirs.snapshot, theirs.live_rows)
        report.is_ahead = self._is_ahead(theirs, data, origin, stored)
        here = said_in(layout)
        moves = deleted_there(here, bucket, stored)
        here = as_moved(here, moves)
        deleted = deleted_here(here, bucket, stored)
        self._stored = {name: each for name, each in stored.items() if name not in deleted}
        remembered = {} if origin is None else origin.said
        compared = compare(here, bucket, self._stored, remembered)
        self._check_said(compared)
        fresh = [] if report.is_ahead else compared.made
        said_there = [*compared.only_there, *compared.further_there, *fresh]
        if report.is_ahead:
            self._make_room(theirs, {}, said_there)
        else:
            # The old manifest goes once the new one and its copy among the snapshots are there.
            manifests = 0 if self._has(data) else 2 * len(data)
            self._make_room(theirs, theirs.checks, said_there, manifests)
        if not report.is_ahead:
            if not self._fetch_files(theirs.checks, report):
                return report
            self._publish(theirs, data, {} if origin is None else origin.said)
        move(layout, moves, compared.ours, bucket.url)
        self._take_said(said_there, compared, report)
        self._fetch_older(report)
        if not report.interrupted:
            checksum = checksum_of_snapshot(data, bucket.url)
            note_origin(layout, bucket.url, Origin(checksum, compared.common))
        report.own = len(compared.only_here) + len(compared.further_here) + len(deleted)
        return report

    def _is_ahead(
        self,
        theirs: Manifest,
        data: bytes,
        origin: Origin | None,
        stored: Mapping[str, Stored],
    ) -> bool:
        """Whether this lake goes on from the bucket's.

        :param stored: names of the bucket.
        :raises BucketError: if neither goes on from the other.
        """
        layout, url = self._layout, self._bucket.url
        is_whole = layout.manifest.exists()
        try:
            ours, problems = read_manifest(layout)
        except LakeNotFound:  # what a first pull left that died, if anything
            return False
        if problems and is_whole:
            raise LakeDamaged(str(layout.manifest), problems[0])
        path = layout.manifest if is_whole else layout.snapshot(ours.snapshot)
        our, their = (checksum_of_snapshot(each, url) for each in (read_file(path), data))
        underway = read_underway(layout, url)
        common = None if origin is None else origin.checksum
        if our in (their, common, underway.taken):
            return False
        if not is_whole:  # and it was not left so by a first pull, which writes it last
            raise LakeDamaged(str(layout.manifest), problems[0])
        if their in (common, underway.sent):
            return True
        if their in {checksum_of_snapshot(read_file(p), str(p)) for p in layout.snapshots()}:
            return True
        if has_been_there(self._bucket, stored, ours.snapshot, our):
            return False
        raise CopiesDiverged(
            url,
            f"neither its snapshot {theirs.snapshot} nor snapshot {ours.snapshot} of {layout.root} goes on from the "
            f"other, so nothing was fetched: {self._way_out}",
        )

    def _check_said(self, compared: Compared) -> None:
        if compared.differ:
            raise CopiesDiverged(
                self._bucket.url,
                f"{named(compared.differ)} there and in {self._layout.root} were both changed, and neither goes on "
                f"from the other; nothing was fetched: {self._way_out}",
            )

    # -- files of snapshots

    def _missing(self, checks: Mapping[str, FileCheck]) -> dict[str, FileCheck]:
        return {
            name: check
            for name, check in checks.items()
            if find_damage(self._layout.root / name, check, deep=False)
        }

    def _make_room(
        self,
        manifest: Manifest,
        checks: Mapping[str, FileCheck],
        said: Sequence[str] = (),
        manifest_bytes: int = 0,
    ) -> None:
        """
        :param checks: the files of the snapshot, those that are here among them.
        :param said: names of what people said that will be taken.
        """
        if self._at_most is None:
            return
        coming = sum(check.length for check in self._missing(checks).values())
        coming += sum(self._stored[name].length for name in said) + manifest_bytes
        make_room(self._layout, manifest, coming, at_most=self._at_most, url=self._bucket.url)

    def _fetch_files(self, checks: Mapping[str, FileCheck], report: PullReport) -> bool:
        """:returns: whether all of them are here now."""
        missing = self._missing(checks)
        report.kept_files += len(checks) - len(missing)
        if not missing:
            return True
        self._progress.stage("fetching", sum(each.length for each in missing.values()), "bytes")
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for name, is_here in threads.map(self._fetch_one, missing, missing.values()):
                if not is_here:
                    report.interrupted = True
                    return False
                self._progress.advance(missing[name].length)
                report.fetched_files += 1
                report.fetched_bytes += missing[name].length
        return True

    def _fetch_one(self, name: str, check: FileCheck) -> tuple[str, bool]:
        def find(beside: Path) -> str | None:
            return find_damage(beside, check, deep=True)

        if self._should_stop():
            return name, False
        with self._fetched(name, check.length, find) as beside:
            if beside is None:
                return name, False
            self._put_in_place(beside, self._layout.root / name)
            self._first_run.keep()
        return name, True

    @contextmanager
    def _fetched(
        self, name: str, length: int, find: Callable[[Path], str | None]
    ) -> Iterator[Path | None]:
        """An object on its way to its place; None: it was stopped.

        :param find: what is wrong with it.
        """
        beside = self._layout.staging / f"{ULID()}"
        try:
            is_whole = self._bucket.fetch(
                name, beside, length=length, should_stop=self._should_stop
            )
            if is_whole and (damage := find(beside)):
                raise BucketError(
                    self._bucket.url,
                    f"{name} is damaged there: {damage}; remove it there, and publish the lake from where it is whole",
                )
            yield beside if is_whole else None
        except FileNotFoundError:
            raise _Replaced(name) from None
        finally:
            beside.unlink(missing_ok=True)

    def _put_in_place(self, beside: Path, path: Path) -> None:
        fsync_file(beside)
        make_folder(path.parent.parent)
        make_folder(path.parent)
        beside.replace(path)
        fsync_folder(path.parent)

    def _has(self, data: bytes) -> bool:
        manifest = self._layout.manifest
        return manifest.exists() and read_file(manifest) == data

    def _publish(self, manifest: Manifest, data: bytes, remembered: Mapping[str, str]) -> None:
        """As `indexer.disk.manifest.publish` does, byte by byte the bucket's.

        :param remembered: as `Origin.said`.
        """
        layout, url = self._layout, self._bucket.url
        if self._has(data):
            return
        # Whoever dies from here on has either snapshot, and neither is more than the bucket had.
        origin = None
        if layout.manifest.exists():
            our = checksum_of_snapshot(read_file(layout.manifest), str(layout.manifest))
            origin = Origin(our, remembered)
        note_origin(layout, url, origin, Underway(taken=checksum_of_snapshot(data, url)))
        write_file(layout.snapshot(manifest.snapshot), data)
        fsync_folder(layout.manifests)
        replace_file(layout.manifest, data)

    def _fetch_older(self, report: PullReport) -> None:
        """Older snapshots that filters name, as far as the bucket has them."""
        layout = self._layout
        for number in sorted(snapshots_named_by_filters(layout) or ()):
            path = layout.snapshot(number)
            name = f"manifests/{path.name}"
            # What a filter names may be no file's name at all: the bucket's names come first.
            if name not in self._stored or path.exists() or report.interrupted:
                continue
            found = self._bucket.read(name)
            if found is None:
                continue
            older = Manifest.from_json(found[0], f"{self._bucket.url}/{name}")
            if older.snapshot != number:
                continue
            # `--prune` leaves the manifest where it removes the files.
            if any(each not in self._stored for each in self._missing(older.checks)):
                continue
            try:
                self._make_room(older, older.checks, manifest_bytes=len(found[0]))
            except BucketError as error:  # the newest is here, and is answered from
                report.notes.append(f"a filter names an older snapshot: {error}")
                continue
            if self._fetch_files(older.checks, report):
                write_file(path, found[0])
                fsync_folder(layout.manifests)

    # -- what people said

    def _take_said(self, names: Sequence[str], compared: Compared, report: PullReport) -> None:
        for name in in_order(names):
            if report.interrupted or self._should_stop():
                report.interrupted = True
                return
            is_once = rule_of(name) in (Rule.ONCE, Rule.MADE)
            length = (self._take_file if is_once else self._take_text)(name, compared)
            if length is None:
                report.interrupted = True
                return
            report.fetched_files += 1
            report.fetched_bytes += length

    def _take_file(self, name: str, compared: Compared) -> int | None:
        """What is written once, or made from the rows; of any size.

        :returns: bytes; None: it was stopped.
        """
        path, length = self._layout.root / name, self._stored[name].length

        def find(beside: Path) -> str | None:
            got = beside.stat().st_size
            return None if got == length else f"it has {got:,} bytes where {length:,} are listed"

        with self._fetched(name, length, find) as beside:
            if beside is None:
                return None
            with self._changing(name):
                if rule_of(name) is Rule.ONCE and path.exists():
                    if read_file(path) != read_file(beside):
                        raise self._changed_meanwhile(name)
                    return 0
                fsync_file(beside)
                beside.replace(path)
                fsync_folder(path.parent)
        return length

    def _take_text(self, name: str, compared: Compared) -> int:
        """Lines that are added to, or what is replaced as a whole.

        :returns: bytes.
        """
        path = self._layout.root / name
        found = read_whole(self._bucket, name, self._stored[name])
        if found is None:
            return 0
        data = found[0]
        if rule_of(name) is Rule.LOG:
            # Lines that came since it was listed may rest on what was not listed.
            data = data[: self._stored[name].length]
        with self._changing(name):
            # Somebody may have answered since it was compared.
            ours = read_file(path) if path.exists() else None
            if rule_of(name) is Rule.LOG:
                is_as_compared = ours is None or data.startswith(whole_lines(ours))
            else:
                is_as_compared = (None if ours is None else mark_of(ours)) == compared.ours.get(
                    name
                )
            if not is_as_compared:
                raise self._changed_meanwhile(name)
            replace_file(path, data)
        if rule_of(name) is Rule.REPLACED:
            compared.common[name] = mark_of(data)
        return len(data)

    def _changed_meanwhile(self, name: str) -> BucketError:
        return BucketError(
            self._bucket.url, f"{name} was changed here while it was pulled, and stays: pull again"
        )

    @contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """Nobody else writes it; its folder is there."""
        path = self._layout.root / name
        for folder in reversed(path.relative_to(self._layout.root).parents):
            make_folder(self._layout.root / folder)
        folder, lock = path.parent, _LOCKS[name.partition("/")[0]]
        if folder.name in ("audits", "ledger"):
            folder = folder.parent
        if lock == "labels.lock" and rule_of(name) is Rule.ONCE:
            lock = "filter.lock"  # of its versions and audits
        no_locking = f"{path.parent} lies on a file system without locks; pull onto a local disk"
        with held(folder / lock, no_locking, wait_s=_LOCK_WAIT_S):
            yield
