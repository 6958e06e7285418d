"""The filters of a lake on disk: `filters/<name>/<version>.json`,
versions that are written once and never changed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ulid import ULID

from indexer.disk.chain import lines_of, mark_of
from indexer.disk.durable import fsync_folder, make_folder, replace_file, write_file, write_once
from indexer.disk.entries import read_file
from indexer.disk.filter_checks import (
    FilterChecks,
    LabelsMark,
    audit_names,
    is_shares_of,
    ledger_name,
    shares_name,
    without,
)
from indexer.disk.filter_folders import FilterFolders, version_file, versions_in
from indexer.disk.layout import Layout
from indexer.disk.locks import acquire
from indexer.errors import BadRequest, FilterExists, LakeDamaged, LakeError, LakeLocked
from service.relevance.decisions import lineage
from service.relevance.definition import Copied, Definition, LaterFormat, now
from service.relevance.labels.book import LOCK_WAIT_S, LabelBook, labels_used
from service.relevance.labels.mending import Mended, believed
from service.relevance.promise.sharing import given_away, one_in_left

DELETED = ".deleted"  # the folder of those that are out of service
ULID_CHARS = 26  # after a deleted one's name and a dash
LONGEST_LIST_SHOWN = 8  # of numbers, in a diff


class FilterStore:
    """The filters of one lake. Reading takes no lock;
    two writers of one version cannot both win.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._folders = FilterFolders(layout)

    def names(self) -> list[str]:
        """See `FilterFolders.names`."""
        return self._folders.names()

    def versions(self, name: str) -> list[int]:
        """The numbers of a filter's versions, rising; at least one.

        :raises UnknownFilter: if there is none of this name.
        """
        return versions_in(self.folder(name))

    def folder(self, name: str) -> Path:
        """See `FilterFolders.folder`."""
        return self._folders.folder(name)

    def labels(self, name: str) -> LabelBook:
        """The filter's labels; each call makes a new book, which reads its file from the start.

        :raises UnknownFilter: if there is none of this name.
        """
        return LabelBook(self.folder(name))

    def read(self, name: str, version: int | None = None) -> Definition:
        """One version; None: the latest.

        :raises UnknownFilter: if there is no filter of this name; BadRequest: if it has no such
            version.
        :raises LakeDamaged: if its file cannot be read, or is another's.
        """
        path = self._folders.version_file(name, version)
        definition = _read(path)
        if definition.name != name or version_file(path.parent, definition.version) != path:
            reason = f"it says that it is version {definition.version} of {definition.name!r}"
            raise LakeDamaged(str(path), f"{reason}; {without(int(path.stem))}")
        return definition

    def add(self, definition: Definition) -> Path:
        """Write a filter's next version; version 1 makes the filter. Whole and durable when this
        returns, with checks of the audit and the ledger that it names, and of the labels so far.

        :raises BadRequest: if there is such a version already, or it would leave a gap.
        :raises LakeError: if the lake cannot be written.
        """
        folder = self._folders.place(definition.name)
        return self._add(definition, LabelBook(folder).settled() if folder.is_dir() else None)

    def _add(self, definition: Definition, labels: LabelsMark | None) -> Path:
        """:param labels: how far they had come, or will have at once, as those of a copy."""
        folder, version = self._folders.place(definition.name), definition.version
        latest = versions_in(folder)[-1:] or [0]
        if version > latest[0] + 1:
            raise BadRequest(
                "version", f"the next one of {definition.name!r} is {latest[0] + 1}, not {version}"
            )
        with self._writing():
            if version == 1:
                make_folder(self._layout.filters)
                make_folder(folder)
            names = [*rests_on(definition), *_shares_there(folder, definition)]
            checks = FilterChecks.of(folder, names, labels, definition.checks)
            data = replace(definition, checks=checks).to_json()
            try:
                write_once(version_file(folder, version), data)
            except FileExistsError:
                raise self._taken(definition) from None
        return version_file(folder, version)

    def _taken(self, definition: Definition) -> BadRequest:
        name, version = definition.name, definition.version
        if version == 1:
            return FilterExists(name)
        return BadRequest(
            "version",
            f"{name!r} has a version {version} already, written by somebody else meanwhile; try again",
        )

    def copy(self, name: str, new_name: str, *, labels: bool = False) -> Definition:
        """Make a filter like another's latest version:
        a version 1 without that one's audit, thresholds and measures.

        A promise belongs to the labels that were drawn for it, so it is not copied. Its audits
        count on with those of the filter, see `audits_begun`.

        :param labels: True copies the labels and the calibration that follows from them; what was
            labelled for an audit teaches in the copy.
        :raises UnknownFilter: if there is no filter `name`; BadRequest: if there is one `new_name`
            already.
        """
        source = self.read(name)
        if versions_in(self._folders.place(new_name)):
            raise FilterExists(new_name, "choose another name")
        copied = replace(
            source,
            name=new_name,
            version=1,
            created_at=now(),
            parent=None,
            reason=f"copied from version {source.version} of {name}",
            calibration=source.calibration if labels else None,
            audit=None,
            pieces=0,
            scene=None,
            thresholds=None,
            checks=None,
            labels=source.labels if labels else None,
            measured=None,
            copied=self.copied_from(name),
        )
        self.add_copy(copied, self.labels(name) if labels else None)
        return copied

    def add_copy(
        self,
        definition: Definition,
        book: LabelBook | None,
        row_of: Callable[[int], int | None] = lambda row_id: row_id,
    ) -> None:
        """Write a filter's version 1 and, beside it, the labels of another filter.

        :param row_of: see `LabelBook.copied`.
        :raises LakeError: as for `add`, and then there is neither.
        """
        records = [] if book is None else book.copied(row_of)
        path = self._add(definition, mark_of(record.to_line() for record in records))
        try:
            LabelBook(path.parent, is_held=False).receive(records)
        except (
            BaseException
        ):  # a full disk, Ctrl-C: rather no copy than one without the labels it was made with
            with suppress(OSError):
                path.unlink()
            raise

    def copied_from(self, name: str) -> Copied:
        """What a copy of this filter in this lake, made now, keeps of where it is from.

        :raises UnknownFilter: if there is none of this name; LakeDamaged: if its first version
            cannot be read.
        """
        return lineage.up_to_now(lineage.origin_of(self.read(name, 1)), self._origins())

    def audits_begun(self, name: str) -> int:
        """How many audits a filter and its copies have begun in all;
        or what it was copied from, and copies of that.

        They share one chance of error, so that copying is no way to try again; what was deleted
        counts as well.

        :raises UnknownFilter: if there is none of this name; LakeDamaged: if its first version
            cannot be read.
        """
        return self.copied_from(name).audits

    def one_in(self, name: str) -> int:
        """The part of their chance of error that a filter and its copies have in this lake: one in
        so many, shared by their audits from now on. See `sharing.py`.

        :raises UnknownFilter, LakeDamaged: as for `audits_begun`.
        """
        return one_in_left(self.copied_from(name).part)

    def give(self, name: str, into: str, new_name: str) -> Copied:
        """Take a part of a filter's chance of error, for a copy in another lake;
        what that copy keeps of where it is from. Durable before the copy is there.

        :param into: the other lake's name; new_name: the copy's.
        :raises BadRequest: if next to nothing is left of it; LakeLocked: if another begins an audit
            for long.
        :raises LakeError: if this lake cannot be written, or is damaged there.
        """
        with self._counting():
            before = self.copied_from(name)
            taken = given_away(before.part, str(ULID()))
            path = lineage.given_file(self.folder(name), before.part.given + 1)
            with self._writing():
                try:
                    make_folder(path.parent)
                    write_once(path, lineage.given_document(taken, new_name, into))
                except FileExistsError:
                    raise LakeDamaged(str(path.parent), "it is no folder of copies") from None
        return replace(before, part=taken)

    def deleted_before(self, name: str) -> Copied | None:
        """What a filter of this name that is made anew goes on from: that of those deleted which
        has the least left of its chance of error. None: there is none, or it has taken nothing.

        Else to delete and make anew would be a way to try again.
        """
        if not any(folder.name[: -1 - ULID_CHARS] == name for folder in self._deleted()):
            return None
        origins = list(self._origins())
        found = [
            lineage.up_to_now(origin, origins)
            for origin, folder in origins
            if origin is not None
            and folder.parent.name == DELETED
            and folder.name[: -1 - ULID_CHARS] == name
        ]
        most = max(found, key=_taken, default=None)
        return most if most is not None and _taken(most) else None

    @contextmanager
    def next_audit(self, name: str) -> Iterator[int]:
        """The number of a filter's next audit. The block saves it,
        and nobody begins another in this lake till it ends.

        :raises LakeLocked: if another has been beginning one for long.
        """
        with self._counting():
            yield self.audits_begun(name) + 1

    @contextmanager
    def _counting(self) -> Iterator[None]:
        lock = acquire(
            self._layout.filters / "audits.lock",
            f"{self._layout.filters} lies on a file system without locks; move the lake to a local disk",
            wait_s=LOCK_WAIT_S,
        )
        if lock is None:
            raise LakeLocked(str(self._layout.filters), "another process or request")
        try:
            yield
        finally:
            lock.release()

    def _origins(self) -> Iterator[tuple[Copied | None, Path]]:
        """Where each filter is from, None if that cannot be told; its folder. Deleted ones too."""
        here = [self._folders.place(name) for name in self.names()]
        for folder in [*here, *self._deleted()]:
            try:
                yield lineage.origin_of(_read(version_file(folder, 1))), folder
            except LakeDamaged:
                yield None, folder

    def _deleted(self) -> list[Path]:
        """The folders of filters that are out of service."""
        deleted = self._layout.filters / DELETED
        return sorted(deleted.iterdir()) if deleted.is_dir() else []

    def delete(self, name: str) -> Path:
        """Take a filter out of service; nothing of it is lost.

        :returns: the folder it lies in now, which also keeps its snapshots from `vacuum` until it
            is deleted by hand.
        :raises UnknownFilter: if there is none of this name; LakeLocked: if another process works
            on it.
        """
        folder = self.folder(name)
        bin_ = self._layout.filters / DELETED
        place = bin_ / f"{name}-{ULID()}"
        with self.lock(name), LabelBook(folder).lock(), self._writing():
            make_folder(bin_)
            folder.rename(place)
            fsync_folder(bin_)
            fsync_folder(self._layout.filters)
        return place

    def mend(self, name: str) -> Mended:
        """Go on with those labels of a filter that can be believed, where its book is damaged.

        Writes the book anew, and a version that is held to it: without thresholds, for lines may be
        lost that the audit counted, and it asks for their rows again. The damaged book is kept
        beside it. What was applied goes on to decide.

        :raises UnknownFilter: if there is none of this name; LakeLocked: if another process works
            on it; LakeDamaged: if its latest version cannot be read.
        """
        folder = self.folder(name)
        book = LabelBook(folder, is_held=False)
        with self.lock(name), book.lock(), self._writing():
            latest = self.read(name)
            with suppress(LakeDamaged):
                lines = len(LabelBook(folder).records())
                return Mended(name, latest.version, lines, (), 0, None)
            data = read_file(book.path) if book.path.exists() else b""
            kept, lost = believed(data)
            damaged = folder / f"labels-{ULID()}.damaged" if data else None
            if damaged:
                write_file(damaged, data)
            bodies = [record.to_line() for record in kept]
            replace_file(book.path, lines_of(bodies))
            mark = None if latest.checks is None else latest.checks.labels
            missing = max(0, mark.lines - len(kept) - len(lost)) if mark else 0
            mended = replace(
                latest,
                version=latest.version + 1,
                created_at=now(),
                parent=latest.version,
                reason=f"labels mended: {len(lost) + missing:,} lines lost",
                thresholds=None,
                labels=labels_used(book.answers()),
                measured=None,
            )
            self._add(mended, mark_of(bodies))
        beside = None if damaged is None else str(damaged)
        return Mended(name, mended.version, len(kept), tuple(lost), missing, beside)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep other processes and threads from changing a filter's
        versions and audits; labelling goes on.

        :raises UnknownFilter: if there is none of this name; LakeLocked: if another holds it.
        """
        folder = self.folder(name)
        no_locking = f"{folder} lies on a file system without locks; move the lake to a local disk"
        lock = acquire(folder / "filter.lock", no_locking)
        if lock is None:
            raise LakeLocked(str(folder), "another process or request")
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise
        except OSError as error:
            raise LakeError(
                f"{self._layout.filters} cannot be written ({error.strerror}); filters need a writable lake"
            ) from None


def diff(before: Definition, after: Definition) -> list[tuple[str, Any, Any]]:
    """What differs: (field, before, after) in the order of the fields,
    a dot between a field and what is in it.

    Values are as in JSON. Long lists of numbers are told by their length and digest; what is not
    there is None.
    """
    fields = list(before.to_document())
    old, new = _leaves(before.to_document()), _leaves(after.to_document())
    names = [*old, *(name for name in new if name not in old)]
    names.sort(key=lambda name: fields.index(name.partition(".")[0]))
    return [
        (name, old.get(name), new.get(name))
        for name in names
        if old.get(name) != new.get(name) or type(old.get(name)) is not type(new.get(name))
    ]


def _leaves(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and (value or not name):
        inner = {f"{name}.{key}" if name else str(key): part for key, part in value.items()}
        return {
            path: leaf for key, part in inner.items() for path, leaf in _leaves(part, key).items()
        }
    return {name: _summary(value)}


def _summary(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _summary(part) for key, part in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) > LONGEST_LIST_SHOWN and all(isinstance(part, int | float) for part in value):
        digest = hashlib.sha256(json.dumps(value).encode()).hexdigest()
        return f"{len(value)} numbers, sha256 {digest[:12]}"
    return [_summary(part) for part in value]


def read_version(folder: Path, version: int) -> Definition:
    """One version of a filter, wherever its folder lies.

    :raises LakeDamaged: if its file cannot be read.
    """
    return _read(version_file(folder, version))


def _read(path: Path) -> Definition:
    """:raises LakeDamaged: if it is no filter's version that can be read."""
    try:
        return Definition.from_json(read_file(path), str(path))
    except OSError as error:
        raise LakeDamaged(str(path), error.strerror or str(error)) from None
    except LaterFormat:
        raise
    except LakeDamaged as error:
        raise LakeDamaged(str(path), f"{error.reason}; {without(int(path.stem))}") from None


def rests_on(definition: Definition) -> list[str]:
    """The files that a version names, in the filter's folder."""
    names: list[str] = []
    if (number := definition.audit) is not None:
        known = () if definition.checks is None else definition.checks.files
        pieces = range(definition.pieces + 1)
        names = [name for piece in pieces for name in audit_names(number, piece)]
        names += [name for name in known if is_shares_of(number, name)]
    return names if definition.thresholds is None else [*names, ledger_name(definition.version)]


def _shares_there(folder: Path, definition: Definition) -> Iterator[str]:
    """Those of the audit that a version rests on: they came after the version that began it."""
    if definition.audit is None:
        return
    for look in itertools.count(1):
        if not (folder / (name := shares_name(definition.audit, look))).exists():
            return
        yield name


def _taken(origin: Copied) -> float:
    """The more, the less is left of the chance of error; 0: it is whole."""
    return origin.audits * math.log(5) + math.log(one_in_left(origin.part))
