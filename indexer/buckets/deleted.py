"""Filters that were deleted in one of two copies of a lake, so that the other does not bring them
back.

A deleted filter's folder is moved whole, from `filters/NAME` to `filters/.deleted/NAME-ULID`. A
copy in which it still is in service has the same files, or the beginnings of its logs. Where it has
more, as labels that were given since, people went on with it there, and it stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from indexer.buckets.said import SMALL_BYTES, Rule, mark_of, read_whole, rule_of, whole_lines
from indexer.buckets.store import Bucket, Stored
from indexer.disk.durable import fsync_folder, make_folder
from indexer.disk.entries import read_file
from indexer.disk.layout import Layout
from indexer.disk.locks import held
from indexer.errors import BucketError

_IN_SERVICE = re.compile(r"filters/([a-z0-9][a-z0-9_.-]*)/.+")
_DELETED = re.compile(r"(filters/\.deleted/([a-z0-9][a-z0-9_.-]*)-[0-9A-HJKMNP-TV-Z]{26})/.+")
_LOCK_WAIT_S = 10.0


def deleted_here(
    here: Mapping[str, Path], bucket: Bucket, stored: Mapping[str, Stored]
) -> set[str]:
    """Names of the bucket, of filters that are in service there and were deleted here since.

    :raises BucketError: if one cannot be read.
    """
    places = _folders(here)
    in_service = _in_service(stored)
    gone = set()
    for name, folder in places:
        files = in_service.get(name, [])
        if files and all(
            each in stored
            and _goes_on(here.get(f"{folder}/{_rest(each)}"), each, bucket, stored[each])
            for each in files
        ):
            gone.update(files)
    return gone


def deleted_there(
    here: Mapping[str, Path], bucket: Bucket, stored: Mapping[str, Stored]
) -> dict[str, str]:
    """Filters that are in service here and were deleted there since.

    :returns: `filters/NAME` -> `filters/.deleted/NAME-ULID`.
    :raises BucketError: if one cannot be read.
    """
    in_service = _in_service(here)
    found: dict[str, str] = {}
    for name, folder in _folders(stored):
        files = in_service.get(name, [])
        is_new = files and not any(each.startswith(f"{folder}/") for each in here)
        if is_new and all(
            _is_beginning(here[each], f"{folder}/{_rest(each)}", bucket, stored) for each in files
        ):
            found[f"filters/{name}"] = folder
    return found


def as_moved(here: Mapping[str, Path], moves: Mapping[str, str]) -> dict[str, Path]:
    """Files by the names that they have once these folders are moved."""
    moved = {}
    for name, path in here.items():
        folder = "/".join(name.split("/")[:2])
        moved[f"{moves[folder]}/{_rest(name)}" if folder in moves else name] = path
    return moved


def move(layout: Layout, moves: Mapping[str, str], marks: Mapping[str, str], url: str) -> None:
    """Take filters out of service, as deleting them does.

    :param moves: as `deleted_there` has them.
    :param marks: name once it is moved -> mark of what was compared.
    :raises BucketError: if somebody answered since.
    """
    for name, place in moves.items():
        folder, no_locking = (
            layout.root / name,
            f"{layout.root} lies on a file system without locks",
        )
        with ExitStack() as locks:
            for lock in ("filter.lock", "labels.lock"):
                locks.enter_context(held(folder / lock, no_locking, wait_s=_LOCK_WAIT_S))
            labels = folder / "labels.jsonl"
            mark = marks.get(f"{place}/labels.jsonl")
            if labels.exists() and mark_of(whole_lines(read_file(labels))) != mark:
                raise BucketError(url, f"{name} was labelled here while it was pulled; pull again")
            make_folder(layout.filters / ".deleted")
            folder.rename(layout.root / place)
            fsync_folder(layout.filters / ".deleted")
            fsync_folder(layout.filters)


def _folders(names: Iterable[str]) -> list[tuple[str, str]]:
    """(filter's name, its folder) of those that are out of service."""
    found = {(each[2], each[1]) for each in map(_DELETED.fullmatch, names) if each}
    return sorted(found)


def _in_service(names: Iterable[str]) -> dict[str, list[str]]:
    """Filter's name -> its files."""
    found: dict[str, list[str]] = {}
    for name, each in _matched(names):
        found.setdefault(each, []).append(name)
    return found


def _matched(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        each = _IN_SERVICE.fullmatch(name)
        if each is not None and rule_of(name) is not None:
            yield name, each[1]


def _rest(name: str) -> str:
    """Of `filters/NAME/REST`."""
    return name.split("/", 2)[2]


def _goes_on(path: Path | None, name: str, bucket: Bucket, there: Stored) -> bool:
    """Whether the file here is what is there, or was added to since."""
    if path is None:
        return False
    if rule_of(name) is not Rule.LOG and there.length > SMALL_BYTES:
        return path.stat().st_size == there.length
    theirs = read_whole(bucket, name, there)
    ours = read_file(path)
    if theirs is None:
        return False
    return ours.startswith(theirs[0]) if rule_of(name) is Rule.LOG else ours == theirs[0]


def _is_beginning(path: Path, name: str, bucket: Bucket, stored: Mapping[str, Stored]) -> bool:
    """Whether the file there is what is here, or was added to since."""
    if name not in stored:
        return False
    if rule_of(name) is not Rule.LOG and stored[name].length > SMALL_BYTES:
        return path.stat().st_size == stored[name].length
    theirs = read_whole(bucket, name, stored[name])
    if theirs is None:
        return False
    ours = read_file(path)
    is_log = rule_of(name) is Rule.LOG
    return theirs[0].startswith(whole_lines(ours)) if is_log else ours == theirs[0]
