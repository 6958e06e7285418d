"""The filters of a lake on disk: `filters/<name>/<version>.json`, versions that are written once and never changed."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ulid import ULID

from indexer.durable import fsync_folder, make_folder, write_file
from indexer.errors import BadRequest, FilterExists, LakeDamaged, LakeError, LakeLocked, UnknownFilter
from indexer.layout import Layout
from indexer.locks import acquire
from service.relevance.definition import NAME, Definition, check_name, now
from service.relevance.labels import LabelBook

_VERSION = re.compile(r"(?!0+$)[0-9]{6}|[1-9][0-9]{6,}")
LONGEST_LIST_SHOWN = 8  # of numbers, in a diff


class FilterStore:
    """The filters of one lake. Reading takes no lock; two writers of one version cannot both win."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def names(self) -> list[str]:
        """All filters, in the order of the alphabet."""
        folders = self._layout.filters.iterdir() if self._layout.filters.is_dir() else ()
        return sorted(folder.name for folder in folders if NAME.fullmatch(folder.name) and _versions(folder))

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
        try:
            definition = Definition.from_json(path.read_bytes(), str(path))
        except OSError as error:
            raise LakeDamaged(str(path), error.strerror or str(error)) from None
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

        A promise belongs to the labels that were drawn for it, so it is not copied.

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
        )
        path = self.add(copied)
        if labels:
            self.labels(name).copy_to(path.parent)
        return copied

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
    """The numbers of the version files in a folder, rising."""
    return sorted(int(path.stem) for path in folder.glob("*.json") if _VERSION.fullmatch(path.stem))


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
