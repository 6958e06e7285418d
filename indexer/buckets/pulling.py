"""A lake's copy in a bucket onto a disk, or a lake on a disk brought to what the bucket has.

Everything that the snapshot names is here and checked before the snapshot is; who dies before has
changed nothing, and what was fetched is not fetched again. What a lake has of its own is never
overwritten: such a lake is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ulid import ULID

from indexer.buckets.origins import Origin, checksum_of_snapshot, note_origin, read_origins
from indexer.buckets.said import Compared, Rule, compare, in_order, mark_of, named, rule_of
from indexer.buckets.store import Bucket, Stored
from indexer.config import IndexConfig
from indexer.disk.checks import FileCheck, find_damage
from indexer.disk.durable import fsync_file, fsync_folder, make_folder, replace_file, write_file
from indexer.disk.entries import read_file, reason_of
from indexer.disk.layout import Layout
from indexer.disk.locks import held
from indexer.disk.manifest import Manifest, read_manifest
from indexer.disk.writer_note import NotedProgress
from indexer.errors import BucketError, CopiesDiverged, LakeDamaged, LakeNotFound, NotWritten
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


class _Replaced(Exception):
    """A file is gone from the bucket that its snapshot named."""


def pull_lake(
    url: str,
    lake: Path,
    *,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PullReport:
    """Bring a lake on disk to the snapshot of its copy in a bucket; make it, if it is not there.

    :param url: of the copy, as `s3://bucket/my.lake`.
    :raises LakeNotFound: if there is no lake in the bucket; LakeLocked: if another writes this one.
    :raises BadRequest: if url names no folder in a bucket.
    :raises BucketError: if the bucket cannot be read or is damaged, or if both have what the other
        has not; the lake stays as it was.
    :raises NotWritten: if the disk is full.
    """
    layout, config = Layout(lake), config or IndexConfig.from_env()
    bucket = Bucket.open(url)
    if bucket.read("manifest.json") is None:
        raise LakeNotFound(bucket.url, "nothing was published there")
    with folder_held(layout, config) as first_run:
        clear_staging(layout)
        told = NotedProgress(progress or Silent(), layout)
        pulling = _Pulling(layout, bucket, first_run, told, should_stop)
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
    ) -> None:
        self._layout, self._bucket, self._first_run = layout, bucket, first_run
        self._progress, self._should_stop = progress, should_stop

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
        report.is_ahead = self._is_ahead(theirs, data, origin)
        compared = compare(layout, bucket, stored, {} if origin is None else origin.said)
        self._check_said(compared)
        if not report.is_ahead:
            if not self._fetch_files(theirs.checks, report):
                return report
            self._publish(theirs, data)
        fresh = [] if report.is_ahead else compared.made
        said = self._take_said([*compared.only_there, *compared.further_there, *fresh], report)
        self._fetch_older(stored, report)
        if not report.interrupted and not report.is_ahead:
            note_origin(layout, bucket.url, Origin(checksum_of_snapshot(data, bucket.url), said))
        report.own = len(compared.only_here) + len(compared.further_here)
        return report

    def _is_ahead(self, theirs: Manifest, data: bytes, origin: Origin | None) -> bool:
        """Whether this lake goes on from the bucket's.

        :raises BucketError: if neither goes on from the other.
        """
        layout, url = self._layout, self._bucket.url
        if not layout.manifest.exists() and not layout.snapshots():
            return False
        ours, problems = read_manifest(layout)
        if problems:
            raise LakeDamaged(str(layout.manifest), problems[0])
        our, their = (
            checksum_of_snapshot(each, url) for each in (read_file(layout.manifest), data)
        )
        if our == their or (origin is not None and our == origin.checksum):
            return False
        if origin is not None and their == origin.checksum:
            return True
        if their in {checksum_of_snapshot(read_file(p), str(p)) for p in layout.snapshots()}:
            return True
        raise CopiesDiverged(
            url,
            f"neither its snapshot {theirs.snapshot} nor snapshot {ours.snapshot} of {layout.root} goes on from the "
            "other, so nothing was fetched: pull into another folder",
        )

    def _check_said(self, compared: Compared) -> None:
        if compared.differ:
            raise CopiesDiverged(
                self._bucket.url,
                f"{named(compared.differ)} there and in {self._layout.root} were both changed, and neither goes on "
                "from the other; nothing was fetched: pull into another folder",
            )

    # -- files of snapshots

    def _fetch_files(self, checks: Mapping[str, FileCheck], report: PullReport) -> bool:
        """:returns: whether all of them are here now."""
        missing = {
            name: check
            for name, check in checks.items()
            if find_damage(self._layout.root / name, check, deep=False)
        }
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
        if self._should_stop():
            return name, False
        beside = self._layout.staging / f"{ULID()}"
        try:
            self._bucket.fetch(name, beside)
            if damage := find_damage(beside, check, deep=True):
                raise BucketError(
                    self._bucket.url,
                    f"{name} is damaged there: {damage}; remove it there, and publish the lake from where it is whole",
                )
            self._put_in_place(beside, self._layout.root / name)
            self._first_run.keep()
        except FileNotFoundError:
            raise _Replaced(name) from None
        finally:
            beside.unlink(missing_ok=True)
        return name, True

    def _put_in_place(self, beside: Path, path: Path) -> None:
        fsync_file(beside)
        make_folder(path.parent.parent)
        make_folder(path.parent)
        beside.replace(path)
        fsync_folder(path.parent)

    def _publish(self, manifest: Manifest, data: bytes) -> None:
        """As `indexer.disk.manifest.publish` does, byte by byte the bucket's."""
        layout = self._layout
        if layout.manifest.exists() and read_file(layout.manifest) == data:
            return
        write_file(layout.snapshot(manifest.snapshot), data)
        fsync_folder(layout.manifests)
        replace_file(layout.manifest, data)

    def _fetch_older(self, stored: Mapping[str, Stored], report: PullReport) -> None:
        """Older snapshots that filters name, as far as the bucket has them."""
        layout = self._layout
        for number in sorted(snapshots_named_by_filters(layout) or ()):
            path = layout.snapshot(number)
            name = f"manifests/{path.name}"
            if path.exists() or name not in stored or report.interrupted:
                continue
            found = self._bucket.read(name)
            if found is None:
                continue
            older = Manifest.from_json(found[0], f"{self._bucket.url}/{name}")
            if self._fetch_files(older.checks, report):
                write_file(path, found[0])
                fsync_folder(layout.manifests)

    # -- what people said

    def _take_said(self, names: Sequence[str], report: PullReport) -> dict[str, str]:
        """:returns: name -> mark, of what is replaced as a whole."""
        for name in in_order(names):
            found = self._bucket.read(name)
            if found is not None:
                self._take_one(name, found[0])
                report.fetched_files += 1
                report.fetched_bytes += len(found[0])
        searches = self._layout.root / "searches" / "searches.json"
        return {"searches/searches.json": mark_of(read_file(searches))} if searches.exists() else {}

    def _take_one(self, name: str, data: bytes) -> None:
        path = self._layout.root / name
        for folder in reversed(path.relative_to(self._layout.root).parents):
            make_folder(self._layout.root / folder)
        with ExitStack() as locks:
            lock = path.parent / _LOCKS[name.partition("/")[0]]
            if rule_of(name) is not Rule.ONCE:
                no_locking = (
                    f"{path.parent} lies on a file system without locks; pull onto a local disk"
                )
                locks.enter_context(held(lock, no_locking, wait_s=_LOCK_WAIT_S))
            is_grown = rule_of(name) is Rule.LOG and path.exists()
            # Somebody may have answered since it was compared.
            if is_grown and not data.startswith(read_file(path)):
                raise BucketError(
                    self._bucket.url,
                    f"{name} was added to here while it was pulled; pull again",
                )
            replace_file(path, data)
