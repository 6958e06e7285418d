"""A lake's snapshot, and what people said of it, into a bucket.

Files of a snapshot never change and their names are never used again, so that those that are there
are not sent again. Once all are there, `manifest.json` is put on the condition that it still is
what it was: of two who publish at once the second is refused, and has overwritten nothing.

Each snapshot that was ever there stays among `manifests/`, and is among them before another takes
its place: whoever sent it and died at once sees by that, however late, that the others went on from
what it has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from indexer.buckets.deleted import deleted_here
from indexer.buckets.origins import (
    Origin,
    Underway,
    checksum_of_snapshot,
    has_been_there,
    note_origin,
    read_origins,
    read_underway,
)
from indexer.buckets.said import (
    SMALL_BYTES,
    Compared,
    Rule,
    compare,
    in_order,
    mark_of,
    named,
    rule_of,
    said_in,
    that_lines_rest_on,
)
from indexer.buckets.store import Bucket, Changed, Stored
from indexer.disk.checks import FileCheck, find_damage
from indexer.disk.entries import check_lake, read_file
from indexer.disk.layout import Layout
from indexer.disk.locks import Reading
from indexer.disk.manifest import Manifest, read_manifest
from indexer.errors import BucketError, CopiesDiverged, LakeDamaged, LakeError
from indexer.report import Progress, Silent
from indexer.run.writing.compact import snapshots_named_by_filters

AT_ONCE = 4  # files on their way, each in parts
DELETED = "filters/.deleted/"
PRUNE_AFTER_S = 24 * 3600.0  # files that no snapshot names may be another's, on their way
_ID = "[0-9A-HJKMNP-TV-Z]{26}"
# By their whole names: a bucket may hold other things in folders called so, which are not ours.
_OURS = re.compile(
    rf"segments/{_ID}/[a-z]+\.(?:parquet|faiss)|codes/{_ID}\.arrow|groups/{_ID}/[a-z]+\.[a-z]+"
    rf"|(?:tombstones|skipped)/{_ID}\.parquet|manifests/[0-9]{{6,}}\.json|staging/{_ID}"
)

# What parts of a run send, which `indexer.parts` reads and takes away again.
OF_PARTS = re.compile(r"parts/(?:plan\.json|\d+-of-\d+(?:\.json|\.members\.parquet|/.+))")


@dataclass(slots=True)
class PublishReport:
    """What a lake's copy in a bucket got."""

    lake: str
    url: str
    snapshot: int = 0
    rows: int = 0
    sent_files: int = 0
    sent_bytes: int = 0
    kept_files: int = 0  # files of the snapshot that were there already
    removed_files: int = 0
    interrupted: bool = False


def publish_lake(
    lake: Path,
    url: str,
    *,
    prune: bool = False,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PublishReport:
    """Bring a bucket's copy of a lake to the lake's snapshot.

    :param url: of the copy, as `s3://bucket/my.lake`.
    :param prune: True removes from it the files that no snapshot needs any more and that are older
        than a day.
    :raises LakeNotFound, LakeDamaged: if there is no lake, or it cannot be sent whole.
    :raises BadRequest: if url names no folder in a bucket.
    :raises BucketError: if the bucket cannot be read or written, keeps no conditions, or has what
        this lake does not go on from.
    """
    layout = Layout(lake)
    read_manifest(layout)  # LakeNotFound before anything else
    check_lake(layout, everything=True)
    bucket = Bucket.open(url)
    with closing(Reading(layout)) as reading:
        _, problems = read_manifest(layout)
        if problems:
            raise LakeDamaged(str(layout.manifest), problems[0])
        # Read once: a sync beside us may replace it at any time.
        data = read_file(layout.manifest)
        manifest = Manifest.from_json(data, str(layout.manifest))
        kept = snapshots_named_by_filters(layout)
        if kept is None:
            raise LakeError(
                f"a filter of {lake} is damaged: see `lakesift doctor {lake}`; nothing was sent"
            )
        kept = {number for number in kept if layout.snapshot(number).exists()}
        reading.hold([manifest.snapshot, *kept])
        publishing = _Publishing(layout, bucket, progress or Silent(), should_stop)
        report = publishing.run(manifest, data, sorted(kept - {manifest.snapshot}))
        if prune and not report.interrupted:
            report.removed_files = publishing.prune()
    return report


def check_not_foreign(bucket: Bucket, stored: Mapping[str, Stored]) -> None:
    """That a folder that has no lake has nothing of anybody else's: what is there, if anything is,
    is of a publish that was cut short, or of parts.

    :raises BucketError: if it has.
    """
    ours = (_OURS.fullmatch, OF_PARTS.fullmatch, rule_of)
    foreign = [
        name
        for name, each in stored.items()
        # Consoles of stores make an empty object for an empty folder.
        if each.length and not any(is_ours(name) for is_ours in ours)
    ]
    if foreign:
        raise BucketError(
            bucket.url,
            f"it is not empty and not a lake (it has {min(foreign)}); choose another folder",
        )


class _Publishing:
    def __init__(
        self, layout: Layout, bucket: Bucket, progress: Progress, should_stop: Callable[[], bool]
    ) -> None:
        self._layout, self._bucket = layout, bucket
        self._progress, self._should_stop = progress, should_stop
        self._needed: dict[str, FileCheck] = {}

    def run(self, manifest: Manifest, data: bytes, kept: list[int]) -> PublishReport:
        """
        :param data: what the manifest was read from.
        :param kept: numbers of older snapshots that filters name.
        """
        layout, bucket = self._layout, self._bucket
        report = PublishReport(str(layout.root), bucket.url, manifest.snapshot, manifest.live_rows)
        self._progress.stage("comparing", None)
        stored = bucket.names()
        there = bucket.read("manifest.json")
        origin = read_origins(layout).get(bucket.url)
        if there is None:
            check_not_foreign(bucket, stored)
        self._check_ours(there, manifest, data, origin, stored)
        here = said_in(layout)
        deleted = deleted_here(here, bucket, stored)
        said_there = {name: each for name, each in stored.items() if name not in deleted}
        compared = compare(here, bucket, said_there, {} if origin is None else origin.said)
        self._check_said(compared)
        # Lines that were read may speak of what somebody wrote since it was listed.
        late = [name for name in that_lines_rest_on(said_in(layout)) if name not in here]
        compared.only_here += late
        older = {number: read_file(layout.snapshot(number)) for number in kept}
        for each in (manifest, *(Manifest.from_json(d, str(n)) for n, d in older.items())):
            self._needed.update(each.checks)
        to_send = {
            name: check
            for name, check in self._needed.items()
            if name not in stored or stored[name].length != check.length
        }
        is_same = there is not None and there[0] == data
        said_new = [*compared.only_here, *compared.further_here, *compared.made]
        is_changed = bool(to_send or not is_same or said_new)
        if is_changed:
            bucket.check_conditions()
            to_send.update(self._soon_removed(stored, there))
        report.kept_files = len(self._needed) - len(to_send)
        if not self._send(to_send, report):
            report.interrupted = True
            return report
        checksum = checksum_of_snapshot(data, str(layout.manifest))
        if not is_same:
            # Whoever dies from here on may have sent it or not; that what is there is an earlier
            # state of this lake was just seen.
            if there is not None:
                origin = Origin(
                    checksum_of_snapshot(there[0], bucket.url),
                    {} if origin is None else origin.said,
                )
                # Who sent that one may have died before it put it among the older ones.
                replaced = Manifest.from_json(there[0], f"{bucket.url}/manifest.json")
                self._put_snapshots({replaced.snapshot: there[0]}, stored)
            note_origin(layout, bucket.url, origin, Underway(sent=checksum))
            self._swap("manifest.json", data, None if there is None else there[1])
        self._put_snapshots({**older, manifest.snapshot: data}, stored)
        self._say([name for name in said_new if name.startswith(DELETED)], compared)
        bucket.remove(sorted(deleted))
        self._say([name for name in said_new if not name.startswith(DELETED)], compared)
        report.removed_files += len(deleted)
        report.sent_files += len(said_new)
        note_origin(layout, bucket.url, Origin(checksum, compared.common))
        return report

    def _soon_removed(
        self, stored: Mapping[str, Stored], there: tuple[bytes, Stored] | None
    ) -> dict[str, FileCheck]:
        """Files that are there, that the snapshot there does not name, and that lie there so long
        that another's `--prune` may be about to remove them: they are sent again.
        """
        named = (
            set() if there is None else set(Manifest.from_json(there[0], "manifest.json").checks)
        )
        rest = {name: check for name, check in self._needed.items() if name not in named}
        rest = {name: check for name, check in rest.items() if name in stored}
        if not rest:
            return {}
        before = self._bucket.now_s() - PRUNE_AFTER_S / 2
        return {name: check for name, check in rest.items() if stored[name].modified_s < before}

    def _put_snapshots(self, documents: Mapping[int, bytes], stored: Mapping[str, Stored]) -> None:
        """Our own only after the manifest: whoever lost the race for that one writes none."""
        for number, document in documents.items():
            name = f"manifests/{number:06d}.json"
            found = self._bucket.read(name) if name in stored else None
            if found is None or found[0] != document:
                self._bucket.put(name, document)

    def _check_ours(
        self,
        there: tuple[bytes, Stored] | None,
        ours: Manifest,
        data: bytes,
        origin: Origin | None,
        stored: Mapping[str, Stored],
    ) -> None:
        """That what is there is an earlier state of this lake."""
        if there is None or there[0] == data:
            return
        layout, url = self._layout, self._bucket.url
        theirs = Manifest.from_json(there[0], f"{url}/manifest.json")
        known: set[str | None] = {
            checksum_of_snapshot(read_file(path), str(path)) for path in layout.snapshots()
        }
        known.add(None if origin is None else origin.checksum)
        known.add(read_underway(layout, url).sent)
        if checksum_of_snapshot(there[0], url) in known:
            return
        our = checksum_of_snapshot(data, str(layout.manifest))
        was_common = origin is not None and origin.checksum == our
        if was_common or has_been_there(self._bucket, stored, ours.snapshot, our):
            raise CopiesDiverged(
                url,
                f"it has snapshot {theirs.snapshot} of {theirs.created[:19]}Z, which goes on from all that "
                f"{layout.root} has; nothing was sent: `lakesift pull {url} {layout.root}` brings it here",
            )
        raise CopiesDiverged(
            url,
            f"it has snapshot {theirs.snapshot} of {theirs.created[:19]}Z, which {layout.root} does not go on from; "
            f"nothing was sent: `lakesift pull {url} another.lake` brings that one, and `lakesift publish` to another "
            "folder keeps both",
        )

    def _check_said(self, compared: Compared) -> None:
        if compared.differ or compared.further_there:
            names = [*compared.differ, *compared.further_there]
            way_out = (
                f"`lakesift pull {self._bucket.url} {self._layout.root}` brings what is missing here"
                if not compared.differ
                else "both were changed, and no copy goes on from the other; publish to another folder keeps both"
            )
            raise CopiesDiverged(
                self._bucket.url,
                f"{named(names)} there has what this lake has not; nothing was sent: {way_out}",
            )

    def _send(self, checks: Mapping[str, FileCheck], report: PublishReport) -> bool:
        """:returns: whether all of them are there now."""
        if not checks:
            return True
        self._progress.stage("sending", sum(each.length for each in checks.values()), "bytes")
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for name, length in threads.map(self._send_one, checks, checks.values()):
                if length is None:
                    return False
                self._progress.advance(length)
                report.sent_files += 1
                report.sent_bytes += checks[name].length
        return True

    def _send_one(self, name: str, check: FileCheck) -> tuple[str, int | None]:
        if self._should_stop():
            return name, None
        path = self._layout.root / name
        if damage := find_damage(path, check, deep=True):
            raise LakeDamaged(
                str(path),
                f"{damage}; `lakesift sync {self._layout.root}` mends what it can, then publish again",
            )
        self._bucket.send(name, path)
        return name, check.length

    def _swap(self, name: str, data: bytes, old: Stored | None) -> None:
        try:
            self._bucket.swap(name, data, old)
        except Changed:
            raise BucketError(
                self._bucket.url,
                f"{name} was changed by another while this was sent, and was not touched: run the same command again, "
                "which compares anew",
            ) from None

    def _say(self, names: Sequence[str], compared: Compared) -> None:
        for name in in_order(names):
            path, rule = self._layout.root / name, rule_of(name)
            is_once = rule in (Rule.ONCE, Rule.MADE)
            if is_once and path.stat().st_size > SMALL_BYTES:
                self._bucket.send(name, path)
                continue
            data = compared.logs[name] if rule is Rule.LOG else read_file(path)
            if rule is Rule.MADE:
                self._bucket.put(name, data)
            else:
                self._swap(name, data, compared.versions.get(name))
            if rule is Rule.REPLACED:
                compared.common[name] = mark_of(data)

    def prune(self) -> int:
        """:returns: how many objects were removed."""
        before = self._bucket.now_s() - PRUNE_AFTER_S
        old = [
            name
            for name, each in self._bucket.names().items()
            if _OURS.fullmatch(name)
            and not name.startswith("manifests/")
            and name not in self._needed
            and each.modified_s < before
        ]
        self._bucket.remove(old)
        return len(old)
