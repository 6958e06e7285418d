"""How many lines a filter's versions say that its `labels.jsonl` has at least, and whether it does.

The chain tells of lines that are gone before others. That the last ones are gone only a version
can tell, which was made when they were there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from indexer.disk.chain import Chain
from indexer.disk.filter_checks import FROM_A_BACKUP, LabelsMark, VersionFile
from indexer.disk.filter_folders import versions_in
from indexer.errors import LakeDamaged


@dataclass(frozen=True, slots=True)
class Counted:
    """What one version says."""

    version: int
    mark: LabelsMark | None  # None: of an older version of lakesift, or made before any label

    def check(self, chain: Chain, path: Path) -> None:
        """
        :param chain: of all lines that are there; path: of their file.
        :raises LakeDamaged: if lines are gone that the version was made with.
        """
        mark = self.mark
        if mark is None:
            return
        if chain.lines < mark.lines:
            count = f"{chain.lines:,} {'line' if chain.lines == 1 else 'lines'}"
            found = f"it has {count}" if path.exists() else "it is missing"
            reason = f"{found}, and version {self.version} was made with {mark.lines:,} of them"
        elif chain.head_after(mark.lines) != mark.head:
            reason = f"line {mark.lines:,} is not the one that version {self.version} was made with"
        else:
            return
        raise LakeDamaged(str(path), f"{reason}; {way_out_of(path.parent)}")


class Versions:
    """The versions beside a filter's labels, each read once."""

    def __init__(self, folder: Path) -> None:
        """:param folder: the filter's; it may have no version, as one that is being made."""
        self._folder = folder
        self._latest = Counted(0, None)

    def latest(self) -> Counted:
        """What the latest one that can be read says; one that cannot is told by whoever needs it.

        Ask before the lines are read: more may be added meanwhile, and be counted by a new version.
        """
        for version in reversed(versions_in(self._folder)):
            if version == self._latest.version:
                return self._latest
            with suppress(LakeDamaged):
                checks = VersionFile.read(self._folder, version).checks
                self._latest = Counted(version, None if checks is None else checks.labels)
                return self._latest
        return Counted(0, None)


def way_out_of(folder: Path) -> str:
    """What can be done about damaged labels.

    :param folder: the filter's.
    """
    lake, name = folder.parent.parent, folder.name
    return f"{FROM_A_BACKUP}, or keep what can be read: lakesift filter mend {lake} {name}"
