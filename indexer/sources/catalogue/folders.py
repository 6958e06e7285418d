"""Which folders are tables, by what lies in them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from indexer.address import Address
from indexer.sources import TableFolder
from indexer.sources.store import Store, Stores


class _Log(NamedTuple):
    kind: str
    folder: str  # in the table's own
    files: re.Pattern[str]  # in that, of which a table has at least one


# v3.metadata.json of a Hadoop table, 00003-UUID.metadata.json of any other; packed or not.
_ICEBERG = re.compile(r"(v\d+|\d+-[^/]+?)(\.gz)?\.metadata\.json(\.gz)?")
_LOGS = (
    _Log("lance", "_versions", re.compile(r"\d+\.manifest")),
    _Log("delta", "_delta_log", re.compile(r"\d{20}\.(json|checkpoint\..*)|_last_checkpoint")),
    _Log("iceberg", "metadata", _ICEBERG),
)
_DATA_SUFFIXES = (".parquet", ".lance")
# Where the files of a table lie, below its folder; some have names that an image might have.
_PARTS = frozenset(
    "_versions _transactions _deletions _indices _refs data _delta_log _change_data metadata".split()  # noqa: SIM905
)


def kind_of_folder(
    folders: Collection[str], names_of: Callable[[str], Collection[str]]
) -> str | None:
    """The kind of table that a folder holds; None if it holds none.

    :param folders: the names of the folders in it.
    :param names_of: gives the names in one of those.
    """
    for log in _LOGS:
        if log.folder in folders and any(map(log.files.fullmatch, names_of(log.folder))):
            return log.kind
    return None


def table_at(root: Address, stores: Stores) -> TableFolder | None:
    """The table that a folder is; None if it is none.

    :raises OSError: if it cannot be looked into; a store raises its own library's errors.
    """
    folders = [log.folder for log in _LOGS]
    kind = kind_of_folder(folders, lambda folder: names_in(root, folder, stores))
    return None if kind is None else TableFolder(kind, root)


def names_in(root: Address, folder: str, stores: Stores) -> frozenset[str]:
    """The names in a folder of a table; none if there is no such folder.

    :raises OSError: if it cannot be listed; a store raises its own library's errors.
    """
    path = root.path
    if path is not None:
        return names_on_disk(os.path.join(path, folder.encode()))  # noqa: PTH118
    store = stores.of(root.uri)
    return _names_in_store(store, f"{store.folder_of(root.uri.rstrip('/'))}/{folder}")


def is_metadata(name: str) -> bool:
    """Whether a file of a folder `metadata` is that of an Iceberg table."""
    return _ICEBERG.fullmatch(name) is not None


def names_on_disk(folder: bytes) -> frozenset[str]:
    try:
        return frozenset(map(os.fsdecode, os.listdir(folder)))  # noqa: PTH208 - pathlib knows no bytes
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _names_in_store(store: Store, folder: str) -> frozenset[str]:
    try:
        infos = store.list_folder(folder)
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    return frozenset(str(info["name"]).rstrip("/").rpartition("/")[2] for info in infos)


def may_be_of_table(name: str) -> bool:
    """Whether a file of this name, its folders included, may be a part of a table."""
    return name.lower().endswith(_DATA_SUFFIXES) or not _PARTS.isdisjoint(name.split("/"))


class TablesInStore:
    """Tells which objects of a store belong to tables. One listing, one thread at a time.

    A listing by key meets a table's data before or after its log, so each folder with such data is
    asked for, and those above it.
    """

    def __init__(self, store: Store, root: str) -> None:
        """:param root: the source's folder, as the store names it."""
        self._store, self._root = store, root.rstrip("/")
        self._kinds: dict[str, str | None] = {}

    def folder_of(self, name: str) -> tuple[str, str] | None:
        """Folder and kind of the table that an object belongs to; None if there is none.

        :raises OSError: as `names_in`.
        """
        if not name.startswith(f"{self._root}/"):
            return None
        folder = self._root
        # From above: a table within a table belongs to the outer one.
        for part in name[len(self._root) + 1 :].split("/"):
            if kind := self._kind(folder):
                return folder, kind
            folder = f"{folder}/{part}"
        return None

    def _kind(self, folder: str) -> str | None:
        if folder not in self._kinds:
            self._kinds[folder] = kind_of_folder(
                [log.folder for log in _LOGS],
                lambda name: _names_in_store(self._store, f"{folder}/{name}"),
            )
        return self._kinds[folder]
