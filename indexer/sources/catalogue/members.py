"""The images in a data file of a table, and their columns, by what the table says of the file."""

from __future__ import annotations

from collections.abc import Iterator

from indexer.address import Address
from indexer.sources import ColumnValue
from indexer.sources.catalogue import DataFile
from indexer.sources.containers import Member
from indexer.sources.containers.kinds import Containers, kind_of
from indexer.sources.containers.lance import Lance
from indexer.sources.containers.own_columns import constant_columns
from indexer.sources.containers.parquet import Parquet
from indexer.sources.sidecars import last_word


def members_of(containers: Containers, file: DataFile) -> Iterator[Member]:
    """As `Container.members`, without those of rows that the table has deleted."""
    kind = kind_of(file.address.uri)
    reader = None if kind is None else containers.of(kind)
    if isinstance(reader, Lance):
        yield from reader.members(file.address, file.column)
    elif isinstance(reader, Parquet):
        deleted = frozenset(() if file.deleted is None else file.deleted().tolist())
        for row, member in enumerate(reader.members(file.address, file.names)):
            if row not in deleted:
                yield member


def columns_of(containers: Containers, file: DataFile, member: Address) -> dict[str, ColumnValue]:
    """As `Container.columns`."""
    kind = kind_of(file.address.uri)
    assert kind is not None
    reader = containers.of(kind)
    if not isinstance(reader, Parquet):
        return reader.columns(member, ())
    own = reader.columns(member, (), file.names)
    return last_word(constant_columns(file.constants), own)
