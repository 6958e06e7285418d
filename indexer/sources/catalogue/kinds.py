"""The kinds of tables, and what opens each."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

from indexer.address import Address
from indexer.errors import SourceError
from indexer.sources import TableFolder
from indexer.sources.catalogue import Table
from indexer.sources.catalogue.delta import open_delta
from indexer.sources.catalogue.iceberg import open_iceberg
from indexer.sources.catalogue.lance_table import open_lance
from indexer.sources.store import Stores


class TableKind(NamedTuple):
    """One entry of the list of kinds."""

    name: str  # as rows' etag has it, and the extra that reads it
    title: str
    module: str  # what the extra installs
    opened: Callable[[Address, Stores], Table]

    def lacks(self) -> str | None:
        """What this machine lacks to read such a table, and the way out; None if nothing."""
        if find_spec(self.module) is not None:
            return None
        return f"{self.title} tables need `pip install 'lakesift[{self.name}]'`"


TABLE_KINDS = {
    kind.name: kind
    for kind in (
        TableKind("lance", "Lance", "lance", open_lance),
        TableKind("delta", "Delta Lake", "deltalake", open_delta),
        TableKind("iceberg", "Iceberg", "pyiceberg", open_iceberg),
    )
}


def open_table(folder: TableFolder, stores: Stores) -> Table:
    """The current version.

    :raises SourceError: if it cannot be read, or nothing is installed that reads it.
    """
    if lacking := TABLE_KINDS[folder.kind].lacks():
        raise SourceError(folder.address.uri, lacking)
    return TABLE_KINDS[folder.kind].opened(folder.address, stores)
