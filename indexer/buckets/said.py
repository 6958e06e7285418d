"""What lies beside a lake's rows: what people said (filters, labels, tags, saved searches), and
what was made of all images at once (the map, near-identical images).

None of it belongs to a snapshot, so each kind of file has its own rule for two copies that are not
alike. What nobody can tell apart is refused, never guessed: a label is somebody's word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from indexer.buckets.store import Bucket, Stored
from indexer.disk.entries import read_file
from indexer.disk.layout import Layout
from indexer.errors import BucketError

SMALL_BYTES = 1 << 20  # of files that are compared byte by byte: versions, designs of audits


class Rule(Enum):
    """How a file comes to be."""

    LOG = "lines are only ever added"
    ONCE = "written once"
    REPLACED = "replaced as a whole"
    MADE = "made from the rows, and can be made anew"


_NAME = r"[a-z0-9][a-z0-9_.-]{0,63}"
# The names that filters have, and no others: two that differ in capitals are one on some disks.
_FILTER = rf"filters/(?:{_NAME}|\.deleted/{_NAME}-[0-9A-HJKMNP-TV-Z]{{26}})"
_RULES = (
    (re.compile(rf"{_FILTER}/labels\.jsonl"), Rule.LOG),
    (re.compile(r"tags/log\.jsonl"), Rule.LOG),
    (re.compile(rf"{_FILTER}/[0-9]{{6,}}\.json"), Rule.ONCE),
    (
        re.compile(rf"{_FILTER}/(?:audits|ledger)/[0-9]{{6,}}[a-z0-9.-]{{0,32}}\.(?:json|parquet)"),
        Rule.ONCE,
    ),
    (re.compile(r"tags/[0-9A-HJKMNP-TV-Z]{26}\.parquet"), Rule.ONCE),
    (re.compile(r"searches/searches\.json"), Rule.REPLACED),
    (re.compile(r"map/points\.parquet"), Rule.MADE),
    (re.compile(r"alike/groups\.parquet"), Rule.MADE),
)
FOLDERS = ("filters", "tags", "searches", "map", "alike")


def rule_of(name: str) -> Rule | None:
    """
    :param name: a path in the lake's folder, with slashes.
    :returns: None for what stays where it is: locks, leases, files on their way or put aside.
    """
    return next((rule for pattern, rule in _RULES if pattern.fullmatch(name)), None)


def said_in(layout: Layout) -> dict[str, Path]:
    """The files of a lake's folder that travel, by name; those that others rest on come first: a
    version of a filter names its audit, its ledger and so many labels.
    """
    found = {}
    for folder in FOLDERS:
        for path in (layout.root / folder).rglob("*"):
            name = path.relative_to(layout.root).as_posix()
            if rule_of(name) is not None and path.is_file():
                found[name] = path
    return {name: found[name] for name in in_order(found)}


def in_order(names: Iterable[str]) -> list[str]:
    """Versions of filters last: what they rest on is there before them."""
    return sorted(names, key=_place)


def that_lines_rest_on(names: Iterable[str]) -> list[str]:
    """Those files that are there before lines of labels that speak of them: of audits."""
    return [name for name in names if rule_of(name) is Rule.ONCE and not _place(name)[0]]


def _place(name: str) -> tuple[bool, str]:
    is_once = rule_of(name) is Rule.ONCE and name.endswith(".json")
    return is_once and name.count("/") == name.count(".deleted/") + 2, name


@dataclass(slots=True)
class Compared:
    """Two copies of what was said, name by name."""

    only_here: list[str] = field(default_factory=list)
    only_there: list[str] = field(default_factory=list)
    further_here: list[str] = field(default_factory=list)  # the other copy is its beginning
    further_there: list[str] = field(default_factory=list)
    differ: list[str] = field(default_factory=list)  # and neither goes on from the other
    made: list[str] = field(default_factory=list)  # differ, and follow from the rows
    versions: dict[str, Stored] = field(default_factory=dict)  # as they were read there
    ours: dict[str, str] = field(default_factory=dict)  # name -> mark of what was read here
    # name -> the lines here as they were compared: others may be added at any time
    logs: dict[str, bytes] = field(default_factory=dict)
    # name -> mark of what both have, of files that are replaced as a whole
    common: dict[str, str] = field(default_factory=dict)


def compare(
    here: Mapping[str, Path],
    bucket: Bucket,
    stored: Mapping[str, Stored],
    remembered: Mapping[str, str],
) -> Compared:
    """
    :param here: as `said_in` has them.
    :param stored: names of the bucket.
    :param remembered: name -> mark of what both had when they were last alike (`mark_of`), of files
        that are replaced as a whole.
    :raises BucketError: if one cannot be read.
    """
    found = Compared(common=dict(remembered))
    for name, path in here.items():
        if rule_of(name) is Rule.LOG:
            found.logs[name] = whole_lines(read_file(path))
    there = {name for name in stored if rule_of(name) is not None}
    found.only_here = [name for name in here if name not in there]
    found.only_there = in_order(name for name in there if name not in here)
    for name in here:
        if name in there:
            _compare_one(name, here[name], bucket, stored[name], found)
    return found


def _compare_one(name: str, path: Path, bucket: Bucket, there: Stored, found: Compared) -> None:
    rule, length = rule_of(name), path.stat().st_size
    if rule is Rule.ONCE and (length != there.length or length > SMALL_BYTES):
        # Of large ones the length decides: what names them has their checks.
        if length != there.length:
            found.differ.append(name)
        return
    theirs = read_whole(bucket, name, there)
    if theirs is not None:
        found.versions[name] = theirs[1]
    ours = found.logs[name] if rule is Rule.LOG else read_file(path)
    found.ours[name] = mark_of(ours)
    if theirs is None:
        return
    mark = found.common.get(name)
    if theirs[0] == ours:
        if rule is Rule.REPLACED:
            found.common[name] = mark_of(ours)
    elif rule is Rule.LOG and ours.startswith(theirs[0]):
        found.further_here.append(name)
    elif rule is Rule.LOG and theirs[0].startswith(ours):
        found.further_there.append(name)
    elif rule is Rule.REPLACED and mark == mark_of(theirs[0]):
        found.further_here.append(name)
    elif rule is Rule.MADE:
        found.made.append(name)
    elif rule is Rule.REPLACED and mark == mark_of(ours):
        found.further_there.append(name)
    else:
        found.differ.append(name)


def read_whole(bucket: Bucket, name: str, listed: Stored) -> tuple[bytes, Stored] | None:
    """What people said, all of it: half of a log reads like a shorter one.

    :raises BucketError: if fewer bytes come than the store lists.
    """
    found = bucket.read(name)
    if found is not None and len(found[0]) < listed.length:
        raise BucketError(
            bucket.url,
            f"{name} came with {len(found[0]):,} bytes, and {listed.length:,} are listed; run the same command again",
        )
    return found


def whole_lines(data: bytes) -> bytes:
    """Without half a line at its end, which another process is just writing, or left in a crash."""
    return data[: data.rfind(b"\n") + 1]


def mark_of(data: bytes) -> str:
    """What tells one state of a file from others."""
    return hashlib.sha256(data).hexdigest()


def named(names: list[str]) -> str:
    """The first few, for a sentence."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
