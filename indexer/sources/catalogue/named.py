"""A table whose rows name images by path or URL, instead of holding them."""

from __future__ import annotations

from itertools import islice

from indexer.address import Address
from indexer.errors import SourceError, UnreadableImage
from indexer.sources.catalogue import Table
from indexer.sources.catalogue.folders import table_at
from indexer.sources.catalogue.kinds import TABLE_KINDS, open_table
from indexer.sources.catalogue.members import members_of
from indexer.sources.columns import ColumnTable
from indexer.sources.containers import DamagedContainer, PassedOver
from indexer.sources.containers.kinds import Containers
from indexer.sources.file_list import FileListSource
from indexer.sources.store import Stores

_LOOKED_AT = 20  # data files


def open_named(root: Address, *, must: bool, careful: bool) -> FileListSource | None:
    """The images that a table on this disk names. None where a folder is no such table: it is none
    at all, or holds the images themselves, or cannot be read here.

    :param must: True: a lake knows it to be one.
    :param careful: as `Stores` has it.
    :raises SourceError: if it has neither images nor a column that names some; if it must be one
        and cannot be read.
    """
    stores = Stores(careful=careful)
    folder = table_at(root, stores)
    if folder is None or (not must and TABLE_KINDS[folder.kind].lacks()):
        return None
    table = open_table(folder, stores)
    if table.passed_over:
        if must:
            raise SourceError(
                root.uri, f"some of its files are not read: {next(iter(table.passed_over))}"
            )
        return None
    if not must and _holds_images(table, stores):
        return None
    rows = table.read()
    if not len(rows):
        if must:
            raise SourceError(root.uri, "it has no rows now")
        return None
    assert root.path is not None
    named = ColumnTable.of(root.uri, rows)
    return FileListSource(root.path, named, is_table=True, careful=careful)


def _holds_images(table: Table, stores: Stores) -> bool:
    """True where that cannot be told, which the listing tells."""
    containers = Containers(stores)
    for file in islice(table.files, _LOOKED_AT):
        try:
            if next(members_of(containers, file), None) is not None:
                return True
        except (DamagedContainer, PassedOver, UnreadableImage, OSError):
            return True
    return False
