"""What filters decided of the rows that a lake has now:
ledgers by segment, read once for many searches.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.disk.entries import check_file
from indexer.disk.filter_checks import (
    FilterChecks,
    VersionFile,
    check_file_of,
    ledger_name,
)
from indexer.disk.filter_folders import FilterFolders, version_file, versions_in
from indexer.disk.layout import Layout
from indexer.errors import BadRequest, LakeDamaged
from service.search.decided import DECISIONS, WANTED, DecidedBy, DecidedRows
from service.snapshot.part import Part
from service.snapshot.snapshot import Snapshot

UNDECIDED = WANTED.index("undecided")  # behind those of DECISIONS
KEPT = 4  # ledgers, each of a byte a row
KEPT_VERSIONS = 64

# segment -> (rows,): the number of each row's decision, or UNDECIDED
Codes = dict[str, NDArray[np.uint8]]


class LedgersInUse:
    """The ledgers that searches asked for last. Safe from several threads.

    A row keeps its number for good and a segment never changes, so what was decided of a segment's
    rows stays true in every later snapshot; only segments that are new are looked up.
    """

    def __init__(self, layout: Layout) -> None:
        self._folders = FilterFolders(layout)
        self._kept: OrderedDict[tuple[int, int], Codes] = (
            OrderedDict()
        )  # by the filter's folder and its version
        # by the file's inode and time, and its number
        self._versions: OrderedDict[tuple[int, int, int], VersionFile] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, snapshot: Snapshot, asked: DecidedBy) -> DecidedRows:
        """The rows of a snapshot that were decided so.

        :raises UnknownFilter: if there is no such filter; BadRequest: if it was not applied, or not
            this version.
        :raises LakeDamaged: if the ledger cannot be read.
        """
        folder = self._folders.folder(asked.filter)
        version = applied_version(folder, asked.version, self._version)
        codes = self._codes(folder, version, snapshot)
        of_parts = [codes[part.segment.entry.id] for part in snapshot.parts]
        wanted = np.array([name in asked.decisions for name in WANTED])
        undecided = sum(
            np.count_nonzero(
                (found == UNDECIDED) if part.alive is None else (found == UNDECIDED) & part.alive
            )
            for part, found in zip(snapshot.parts, of_parts, strict=True)
        )
        by = DecidedBy(asked.filter, asked.decisions, version.number)
        return DecidedRows(by, tuple(wanted[found] for found in of_parts), int(undecided))

    def _version(self, folder: Path, number: int) -> VersionFile:
        """Each version is read once: one with many examples takes a search longer than its hits."""
        try:
            status = version_file(folder, number).lstat()
        except OSError:  # which the reader puts into words
            return VersionFile.read(folder, number)
        key = (status.st_ino, status.st_mtime_ns, number)
        with self._lock:
            known = self._versions.get(key)
        if known is None:
            known = VersionFile.read(folder, number)
        with self._lock:
            self._versions[key] = known
            self._versions.move_to_end(key)
            while len(self._versions) > KEPT_VERSIONS:
                self._versions.popitem(last=False)
        return known

    def _codes(self, folder: Path, version: VersionFile, snapshot: Snapshot) -> Codes:
        """Of at least the segments of this snapshot."""
        # By its folder: a filter of the same name, made after this one was deleted, is another.
        key = (folder.stat().st_ino, version.number)
        with self._lock:
            known = self._kept.get(key, {})
        missing = [part for part in snapshot.parts if part.segment.entry.id not in known]
        if missing:
            found = _looked_up(folder, version, missing)
            here = {part.segment.entry.id for part in snapshot.parts}
            known = {**{name: codes for name, codes in known.items() if name in here}, **found}
        with self._lock:
            self._kept[key] = known
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return known


def _looked_up(folder: Path, version: VersionFile, parts: list[Part]) -> Codes:
    table = read(folder, version.number, version.checks, ["row_id", "decision"])
    ids = np.asarray(table["row_id"])  # rising
    numbers = pc.index_in(table["decision"], value_set=pa.array(DECISIONS))
    decided = np.append(np.asarray(numbers).astype(np.uint8), np.uint8(UNDECIDED))
    found = {}
    for part in parts:
        at = np.searchsorted(ids, part.row_ids)
        is_there = np.append(ids, -1)[at] == part.row_ids
        found[part.segment.entry.id] = decided[np.where(is_there, at, len(ids))]
    return found


def applied_version(
    folder: Path,
    version: int | None,
    read: Callable[[Path, int], VersionFile] = VersionFile.read,
) -> VersionFile:
    """A filter's version that decided rows.

    A ledger without such a version was left by a crash, and counts for nothing.

    :param folder: the filter's.
    :param version: None: the one that was applied last.
    :param read: reads a version of the folder.
    :raises BadRequest: if it has no such version, it was not applied, or none was.
    :raises LakeDamaged: if a version cannot be read.
    """
    versions = versions_in(folder)
    if version is None:
        for number in reversed(versions):
            found = read(folder, number)
            if found.has_thresholds and found.reason == "applied":
                return found
        raise BadRequest(
            "filter",
            f"{folder.name} was not applied yet, so nothing is decided; see: lakesift filter apply",
        )
    if version not in versions:
        raise BadRequest(
            "version", f"{folder.name!r} has no version {version}; its latest is {versions[-1]}"
        )
    found = read(folder, version)
    if not found.has_thresholds:
        raise BadRequest("version", f"{folder.name} version {version} was not applied")
    return found


def path_of(folder: Path, version: int) -> Path:
    """:param folder: the filter's."""
    return folder / ledger_name(version)


def check_ledger(
    folder: Path, version: int, checks: FilterChecks | None, *, deep: bool = True
) -> Path:
    """Where the ledger of a version lies.

    :param folder: the filter's.
    :param checks: the version's.
    :param deep: False looks at its length and at both ends.
    :raises LakeDamaged: if it is not the one that the version was made with.
    """
    check_file_of(folder, ledger_name(version), checks, deep=deep)
    return path_of(folder, version)


def read(
    folder: Path,
    version: int,
    checks: FilterChecks | None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """
    :param folder, checks: as `check_ledger` has them.
    :param columns: those that are needed; None: all.
    :raises LakeDamaged: if it is missing or cannot be read, or is another.
    """
    path = check_ledger(folder, version, checks)
    try:
        check_file(path)
        return pq.read_table(path, columns=None if columns is None else list(columns))
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(str(path), str(error)) from None
