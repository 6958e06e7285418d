"""Where filters lie in a lake: `filters/<name>/<version>.json`.
Knows names and numbers, not what a filter says.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from indexer.disk.entries import check_entry
from indexer.disk.layout import Layout
from indexer.errors import BadRequest, LakeDamaged, UnknownFilter

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
DELETED = ".deleted"  # the folder of those out of service, in that of the filters
_VERSION = re.compile(r"(?!0+$)[0-9]{6}|[1-9][0-9]{6,}")


class FilterFolders:
    """The folders of a lake's filters. Reads only."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def names(self) -> list[str]:
        """All filters, in the order of the alphabet; those that cannot be looked into as well.

        :raises LakeDamaged: if the folder of filters cannot be read.
        """
        try:
            check_entry(self._layout.filters)
            folders = list(self._layout.filters.iterdir()) if self._layout.filters.is_dir() else []
        except OSError as error:
            raise LakeDamaged(str(self._layout.filters), error.strerror or str(error)) from None
        return sorted(
            folder.name for folder in folders if NAME.fullmatch(folder.name) and _is_filter(folder)
        )

    def deleted(self) -> list[Path]:
        """The folders of filters that are out of service, by name and time.

        :raises LakeDamaged: if the folder they lie in cannot be read.
        """
        folder = self._layout.filters / DELETED
        try:
            check_entry(folder)
            return sorted(folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            raise LakeDamaged(str(folder), error.strerror or str(error)) from None

    def place(self, name: str) -> Path:
        """Where a filter of this name lies, or would lie.

        :raises BadRequest: if it is no name.
        """
        return self._layout.filters / check_name(name)

    def folder(self, name: str) -> Path:
        """Where a filter's versions, labels and audits lie.

        :raises UnknownFilter: if there is none of this name.
        """
        folder = self.place(name)
        if not versions_in(folder):
            near = difflib.get_close_matches(name, self.names(), n=1)
            raise UnknownFilter(str(self._layout.root), name, near[0] if near else None)
        return folder

    def version_file(self, name: str, version: int | None = None) -> Path:
        """The file of one version; None: the latest.

        :raises UnknownFilter: if there is no filter of this name; BadRequest: if it has no such
            version.
        """
        folder = self.folder(name)
        versions = versions_in(folder)
        version = versions[-1] if version is None else version
        if version not in versions:
            raise BadRequest(
                "version", f"{name!r} has no version {version}; its latest is {versions[-1]}"
            )
        return version_file(folder, version)


def check_name(name: str, field: str = "name") -> str:
    """The name itself, if it is fit for a folder, a URL and a command line.

    :raises BadRequest: if it is not.
    """
    if not NAME.fullmatch(name):
        raise BadRequest(
            field,
            f"{name!r} is no name for a filter: 1 to 64 of a-z, 0-9, '_', '.' and '-', a letter or digit first",
        )
    return name


def versions_in(folder: Path) -> list[int]:
    """The numbers of the version files in a folder, rising.

    :raises LakeDamaged: if the folder is there and cannot be looked into.
    """
    try:
        check_entry(folder)
        names = os.listdir(folder)  # noqa: PTH208 glob would take a folder that is locked for an empty one
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise LakeDamaged(str(folder), error.strerror or str(error)) from None
    stems = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    return sorted(int(stem) for stem in stems if _VERSION.fullmatch(stem))


def version_file(folder: Path, version: int) -> Path:
    """:param folder: the filter's."""
    return folder / f"{version:06d}.json"


def _is_filter(folder: Path) -> bool:
    try:
        return bool(versions_in(folder))
    except LakeDamaged:  # which is said by whoever reads it
        return True
