"""Whether the files of a filter are those that were written: what `lakesift doctor` asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from indexer.disk.filter_checks import FilterChecks, check_file_of
from indexer.disk.filter_folders import versions_in
from indexer.disk.manifest import ALWAYS_DEEP_BELOW_BYTES
from indexer.errors import LakeDamaged, LakeError
from service.relevance.decisions.store import FilterStore, read_version, rests_on
from service.relevance.definition import Definition
from service.relevance.labels.book import LabelBook
from service.relevance.promise.auditing import Auditing


@dataclass(slots=True)
class Soundness:
    """What was found of one filter."""

    versions: int = 0
    files: int = 0  # of audits and ledgers
    labels: int = 0  # lines
    unchecked: int = 0  # files, or books of labels, that older versions wrote without checksums
    problems: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """What is there, where nothing is wrong."""
        found = (
            f"{_count(self.versions, 'version')}, {_count(self.files, 'file')} of audits and ledgers, "
            f"{_count(self.labels, 'line')} of labels"
        )
        if not self.unchecked:
            return f"{found}, as written"
        return (
            f"{found}; {_count(self.unchecked, 'file')} written by an older version, unchecked: checksums come "
            "with the next label and the next version"
        )


def soundness(store: FilterStore, name: str, *, deep: bool) -> Soundness:
    """Look at every file of a filter. What is wrong with one keeps none of the others from it.

    :param deep: True reads large audits and ledgers whole, too; False looks at their length and at
        both ends.
    :raises LakeError: if its folder cannot be looked into.
    """
    found = Soundness()
    folder = store.folder(name)
    _look_at(folder, lambda version: store.read(name, version), found, deep=deep)
    _look_at_labels(store.labels(name), found)
    if not found.problems:
        try:
            Auditing(folder / "audits", store.labels(name)).check_looks(store.read(name))
        except LakeDamaged as error:
            found.problems.append(str(error))
    return found


def soundness_of_deleted(folder: Path, *, deep: bool) -> Soundness:
    """Of a filter that is out of service: its audits still count, and `vacuum` keeps what it names.

    :raises LakeError: if its folder cannot be looked into.
    """
    found = Soundness()
    _look_at(folder, lambda version: read_version(folder, version), found, deep=deep)
    return found


def _look_at(
    folder: Path, read: Callable[[int], Definition], found: Soundness, *, deep: bool
) -> None:
    definitions = []
    for number in versions_in(folder):
        found.versions += 1
        try:
            definition = read(number)
        except LakeDamaged as error:
            found.problems.append(str(error))
        else:
            definitions.append(definition)
            found.unchecked += not definition.is_sealed
    _look_at_files(folder, definitions, found, deep=deep)


def _look_at_files(
    folder: Path, definitions: list[Definition], found: Soundness, *, deep: bool
) -> None:
    # An audit is named by each version that rests on it.
    checks: dict[str, FilterChecks | None] = {}
    for definition in definitions:
        for name in rests_on(definition):
            is_known = definition.checks is not None and name in definition.checks.files
            checks[name] = definition.checks if is_known else checks.get(name)
    there = [folder / name for name in checks if (folder / name).exists()]
    deep = deep or sum(path.lstat().st_size for path in there) < ALWAYS_DEEP_BELOW_BYTES
    for name, known in checks.items():
        found.files += 1
        try:
            check_file_of(folder, name, known, deep=deep)
            if known is None:
                found.unchecked += 1
                if folder / name not in there:
                    raise LakeDamaged(str(folder / name), "it is missing; put it back")
        except LakeDamaged as error:
            found.problems.append(str(error))


def _look_at_labels(book: LabelBook, found: Soundness) -> None:
    try:
        # Held to the latest version; those before it may count lines that were lost and mended.
        found.labels = len(book.records())
    except LakeError as error:
        found.problems.append(str(error))
    else:
        found.unchecked += book.unchained > 0


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
