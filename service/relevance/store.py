"""The filters of a lake on disk: `filters/<name>/<version>.json`, versions that are written once and never changed."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ulid import ULID

from indexer.durable import fsync_folder, make_folder, write_file
from indexer.errors import BadRequest, FilterExists, LakeDamaged, LakeError, LakeLocked, UnknownFilter
from indexer.layout import Layout
from indexer.locks import acquire
from service.relevance.audit import numbers
from service.relevance.definition import NAME, Copied, Definition, check_name, now
from service.relevance.labels import LOCK_WAIT_S, LabelBook

_VERSION = re.compile(r"(?!0+$)[0-9]{6}|[1-9][0-9]{6,}")
LONGEST_LIST_SHOWN = 8  # of numbers, in a diff


class FilterStore:
    """The filters of one lake. Reading takes no lock; two writers of one version cannot both win."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def names(self) -> list[str]:
        """All filters, in the order of the alphabet; those that cannot be looked into as well.

        :raises LakeDamaged: if the folder of filters cannot be read.
        """
        try:
            folders = list(self._layout.filters.iterdir()) if self._layout.filters.is_dir() else []
        except OSError as error:
            raise LakeDamaged(str(self._layout.filters), error.strerror or str(error)) from None
        return sorted(folder.name for folder in folders if NAME.fullmatch(folder.name) and _is_filter(folder))

    def versions(self, name: str) -> list[int]:
        """The numbers of a filter's versions, rising; at least one.

        :raises UnknownFilter: if there is none of this name.
        """
        return _versions(self.folder(name))

    def folder(self, name: str) -> Path:
        """Where a filter's versions, labels and audits lie.

        :raises UnknownFilter: if there is none of this name.
        """
        folder = self._place(name)
        if not _versions(folder):
            near = difflib.get_close_matches(name, self.names(), n=1)
            raise UnknownFilter(str(self._layout.root), name, near[0] if near else None)
        return folder

    def labels(self, name: str) -> LabelBook:
        """The filter's labels; each call makes a new book, which reads its file from the start.

        :raises UnknownFilter: if there is none of this name.
        """
        return LabelBook(self.folder(name))

    def read(self, name: str, version: int | None = None) -> Definition:
        """One version; None: the latest.

        :raises UnknownFilter: if there is no filter of this name; BadRequest: if it has no such version.
        :raises LakeDamaged: if its file cannot be read, or is another's.
        """
        folder = self.folder(name)
        versions = _versions(folder)
        version = versions[-1] if version is None else version
        if version not in versions:
            raise BadRequest("version", f"{name!r} has no version {version}; its latest is {versions[-1]}")
        path = _file(folder, version)
        definition = _read(path)
        if (definition.name, definition.version) != (name, version):
            raise LakeDamaged(
                str(path), f"it says that it is version {definition.version} of {definition.name!r}"
            )
        return definition

    def add(self, definition: Definition) -> Path:
        """Write a filter's next version; version 1 makes the filter. Whole and durable when this returns.

        :raises BadRequest: if there is such a version already, or it would leave a gap.
        :raises LakeError: if the lake cannot be written.
        """
        folder, version = self._place(definition.name), definition.version
        latest = _versions(folder)[-1:] or [0]
        if version > latest[0] + 1:
            raise BadRequest(
                "version", f"the next one of {definition.name!r} is {latest[0] + 1}, not {version}"
            )
        data = definition.to_json()
        with self._writing():
            if version == 1:
                make_folder(self._layout.filters)
                make_folder(folder)
            try:
                _write_once(_file(folder, version), data)
            except FileExistsError:
                raise self._taken(definition) from None
        return _file(folder, version)

    def _taken(self, definition: Definition) -> BadRequest:
        name, version = definition.name, definition.version
        if version == 1:
            return FilterExists(name)
        return BadRequest(
            "version",
            f"{name!r} has a version {version} already, written by somebody else meanwhile; try again",
        )

    def copy(self, name: str, new_name: str, *, labels: bool = False) -> Definition:
        """Make a filter like another's latest version: a version 1 without that one's audit, thresholds and measures.

        A promise belongs to the labels that were drawn for it, so it is not copied. Its audits count on with those of
        the filter, see `audits_begun`.

        :param labels: True copies the labels and the calibration that follows from them; what was labelled for an
            audit teaches in the copy.
        :raises UnknownFilter: if there is no filter `name`; BadRequest: if there is one `new_name` already.
        """
        source = self.read(name)
        if _versions(self._place(new_name)):
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
            thresholds=None,
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

        :param row_of: see `LabelBook.copy_to`.
        :raises LakeError: as for `add`, and then there is neither.
        """
        path = self.add(definition)
        if book is None:
            return
        try:
            book.copy_to(path.parent, row_of)
        except (
            BaseException
        ):  # a full disk, Ctrl-C: rather no copy than one without the labels it was made with
            with suppress(OSError):
                path.unlink()
            raise

    def copied_from(self, name: str) -> Copied:
        """What a copy of this filter, made now, keeps of where it is from.

        :raises UnknownFilter: if there is none of this name; LakeDamaged: if its first version cannot be read.
        """
        return replace(self._origin(name), audits=self.audits_begun(name))

    def audits_begun(self, name: str) -> int:
        """How many audits a filter and its copies have begun in all; or what it was copied from, and copies of that.

        They share one chance of error, so that copying is no way to try again; what was deleted counts as well.

        :raises UnknownFilter: if there is none of this name; LakeDamaged: if its first version cannot be read.
        """
        origin = self._origin(name)
        begun = [origin.audits]
        for folder in self._folders():
            with suppress(LakeDamaged):  # nothing can be promised of a filter without its first version
                theirs = _origin_of(_read(_file(folder, 1)))
                if (theirs.origin, theirs.made_at) == (origin.origin, origin.made_at):
                    begun += [theirs.audits, *numbers(folder / "audits")]
        return max(begun)

    @contextmanager
    def next_audit(self, name: str) -> Iterator[int]:
        """The number of a filter's next audit. The block saves it, and nobody begins another in this lake till it ends.

        :raises LakeLocked: if another has been beginning one for long.
        """
        lock = acquire(
            self._layout.filters / "audits.lock",
            f"{self._layout.filters} lies on a file system without locks; move the lake to a local disk",
            wait_s=LOCK_WAIT_S,
        )
        if lock is None:
            raise LakeLocked(str(self._layout.filters), "another process or request")
        try:
            yield self.audits_begun(name) + 1
        finally:
            lock.release()

    def _origin(self, name: str) -> Copied:
        return _origin_of(self.read(name, 1))

    def _folders(self) -> list[Path]:
        """Of all filters, deleted ones too."""
        deleted = self._layout.filters / ".deleted"
        gone = deleted.iterdir() if deleted.is_dir() else ()
        return [*(self._place(name) for name in self.names()), *gone]

    def delete(self, name: str) -> Path:
        """Take a filter out of service; nothing of it is lost.

        :returns: the folder it lies in now, which also keeps its snapshots from `vacuum` until it is deleted by hand.
        :raises UnknownFilter: if there is none of this name; LakeLocked: if another process works on it.
        """
        folder = self.folder(name)
        bin_ = self._layout.filters / ".deleted"
        place = bin_ / f"{name}-{ULID()}"
        with self.lock(name), LabelBook(folder).lock(), self._writing():
            make_folder(bin_)
            folder.rename(place)
            fsync_folder(bin_)
            fsync_folder(self._layout.filters)
        return place

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep other processes and threads from changing a filter's versions and audits; labelling goes on.

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

    def _place(self, name: str) -> Path:
        return self._layout.filters / check_name(name)

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
    """What differs: (field, before, after) in the order of the fields, a dot between a field and what is in it.

    Values are as in JSON. Long lists of numbers are told by their length and digest; what is not there is None.
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
        return {path: leaf for key, part in inner.items() for path, leaf in _leaves(part, key).items()}
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


def _versions(folder: Path) -> list[int]:
    """The numbers of the version files in a folder, rising.

    :raises LakeDamaged: if the folder is there and cannot be looked into.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 glob would take a folder that is locked for an empty one
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise LakeDamaged(str(folder), error.strerror or str(error)) from None
    stems = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    return sorted(int(stem) for stem in stems if _VERSION.fullmatch(stem))


def _is_filter(folder: Path) -> bool:
    try:
        return bool(_versions(folder))
    except LakeDamaged:  # which is said by whoever reads it
        return True


def _read(path: Path) -> Definition:
    """:raises LakeDamaged: if it is no filter's version that can be read."""
    try:
        return Definition.from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise LakeDamaged(str(path), error.strerror or str(error)) from None


def _origin_of(first: Definition) -> Copied:
    """:param first: a filter's first version."""
    return first.copied or Copied(first.name, first.created_at, 0)


def _file(folder: Path, version: int) -> Path:
    return folder / f"{version:06d}.json"


def _write_once(path: Path, data: bytes) -> None:
    """Write a file that must not exist: a reader meets all of it or none.

    :raises FileExistsError: if it exists.
    """
    beside = path.with_name(f"{path.name}.{ULID()}.new")
    write_file(beside, data)
    try:
        os.link(beside, path)  # unlike a rename it never replaces
    finally:
        with suppress(OSError):
            beside.unlink()
    fsync_folder(path.parent)
