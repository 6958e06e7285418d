"""What a filter's version knows of the files it rests on, as a manifest does of a segment's: its
audit, its ledger, and the labels that were there when it was made.

Stands in `filters/<name>/<version>.json` as `checks`; versions of older versions of lakesift have
none. Knows names and bytes, not what a filter says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexer.disk.checks import FileCheck, check_of, find_damage
from indexer.disk.entries import read_file
from indexer.disk.filter_folders import DELETED, version_file
from indexer.disk.sealed import break_seal
from indexer.errors import LakeDamaged
from indexer.fields import Fields

FROM_A_BACKUP = "put it back from a backup"
# A name is part of a path, so it can be no path itself.
_NAME = re.compile(
    r"(audits/[0-9]{6,15}(-[0-9]{4,9})?\.(json|parquet))|(audits/[0-9]{6,15}\.shares-[0-9]{2}\.json)"
    r"|(ledger/[0-9]{6,15}\.parquet)"
)


def ledger_name(version: int) -> str:
    """Of a version's ledger, in the filter's folder."""
    return f"ledger/{version:06d}.parquet"


def audit_names(number: int, piece: int = 0) -> tuple[str, str]:
    """Of an audit's design and its population, in the filter's folder.

    :param piece: from 1, of what follows it when images came and went; 0: of the audit itself.
    """
    stem = f"audits/{number:06d}" + (f"-{piece:04d}" if piece else "")
    return f"{stem}.json", f"{stem}.parquet"


def shares_name(number: int, look: int) -> str:
    """Of how an audit's draws are shared out from its look on, in the filter's folder.

    :param look: its number, from 1.
    """
    return f"audits/{number:06d}.shares-{look:02d}.json"


def is_shares_of(number: int, name: str) -> bool:
    """Whether a file's name is one that `shares_name` gives for an audit."""
    return name.startswith(f"audits/{number:06d}.shares-")


@dataclass(frozen=True, slots=True)
class LabelsMark:
    """How far `labels.jsonl` had come: so many lines at least are there from then on."""

    lines: int
    head: str  # of the chain, after that many lines; see `chain.py`


@dataclass(frozen=True, slots=True)
class FilterChecks:
    """What a version rests on."""

    files: Mapping[str, FileCheck]  # "audits/000001.json", "ledger/000003.parquet"
    labels: LabelsMark | None = None  # None: nobody had labelled

    @classmethod
    def of(
        cls,
        folder: Path,
        names: Sequence[str],
        labels: LabelsMark | None,
        before: FilterChecks | None,
    ) -> FilterChecks | None:
        """Read the files once and remember what they are; None where there is nothing to remember.

        :param folder: the filter's. Files that are not there are left out.
        :param before: of the version before: what it knows is taken over and not read again, so
            that damage since is not vouched for.
        :raises OSError: if one cannot be read.
        """
        known = {} if before is None else before.files
        files = {
            name: known.get(name) or check_of(folder / name)
            for name in names
            if name in known or (folder / name).exists()
        }
        return cls(files, labels) if files or labels else None

    def to_json(self) -> dict[str, Any]:
        return {
            "files": {name: check.to_json() for name, check in self.files.items()},
            "labels": None if self.labels is None else asdict(self.labels),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> FilterChecks:
        """:raises ValueError: if it is not what `to_json` gives."""
        inner = fields.inner("files")
        files = {
            name: _file_check(Fields(value, inner.path(name)))
            for name, value in inner.rest().items()
        }
        if unknown := [name for name in files if not _NAME.fullmatch(name)]:
            raise ValueError(f"{unknown[0]!r} is no file of a filter")
        mark = fields.maybe_inner("labels")
        labels = None
        if mark is not None:
            labels = LabelsMark(mark.whole("lines", 1), mark.text("head"))
            mark.end()
        fields.end()
        return cls(files, labels)


@dataclass(frozen=True, slots=True)
class VersionFile:
    """What a version's file tells whoever knows no more of filters than their files."""

    number: int
    reason: Any  # why it was made
    has_thresholds: bool
    checks: FilterChecks | None

    @classmethod
    def read(cls, folder: Path, number: int) -> VersionFile:
        """
        :param folder: the filter's.
        :raises LakeDamaged: if it cannot be read, or is another version's.
        """
        path = version_file(folder, number)
        try:
            fields = Fields.parse(read_file(path))
            break_seal(fields)
            checks = take_checks(fields)
            if (found := fields.take("version")) != number:
                raise ValueError(f"it says that it is version {found!r}")
            reason, thresholds = fields.take("reason"), fields.take("thresholds")
        except OSError as error:
            raise LakeDamaged(str(path), error.strerror or str(error)) from None
        except ValueError as error:
            raise LakeDamaged(str(path), f"{error}; {without(number)}") from None
        return cls(number, reason, thresholds is not None, checks)


def without(version: int) -> str:
    """The way out where a version's file is damaged."""
    if version == 1:
        return FROM_A_BACKUP
    return f"{FROM_A_BACKUP}, or take that file out: the filter goes on with its other versions"


def take_checks(fields: Fields) -> FilterChecks | None:
    """Those of a version's document; None: it has none.

    :raises ValueError: if they are none.
    """
    return FilterChecks.from_fields(fields.inner("checks")) if fields.has("checks") else None


def check_file_of(
    folder: Path, name: str, checks: FilterChecks | None, *, deep: bool = True
) -> None:
    """Compare one file with what a version remembers of it; what it knows nothing of passes.

    :param folder: the filter's.
    :param deep: False looks at the length and at both ends.
    :raises LakeDamaged: if it differs.
    """
    check = None if checks is None else checks.files.get(name)
    if check is None:
        return
    damage = find_damage(folder / name, check, deep=deep)
    if damage is not None:
        raise LakeDamaged(str(folder / name), f"{damage}; {anew(folder, name)}")


def anew(folder: Path, name: str) -> str:
    """The way out where a file that a version rests on is missing or damaged.

    :param folder: the filter's; name: in it, of an audit's or a ledger's file.
    """
    if folder.parent.name == DELETED:
        return f"{FROM_A_BACKUP}, or delete {folder}, if it never has to come back"
    lake, named = folder.parent.parent, folder.name
    if name.startswith("ledger/"):
        return f"{FROM_A_BACKUP}, or decide anew: lakesift filter apply {lake} {named}"
    again = f"lakesift filter next {lake} {named} --purpose audit --again"
    return f"{FROM_A_BACKUP}, or begin another audit: {again}"


def _file_check(fields: Fields) -> FileCheck:
    blocks = fields.items("blocks")
    if not all(isinstance(block, str) for block in blocks):
        raise ValueError(f"{fields.path('blocks')} is not a list of texts")
    check = FileCheck(fields.whole("length"), fields.text("ends"), tuple(blocks))
    fields.end()
    return check
