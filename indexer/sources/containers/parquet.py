"""Parquet files with the images' bytes in a column, as Hugging Face's data sets are kept.

An image's place is its column, row group and row. The column is found by looking
(`image_columns`), and the file's other columns ride along. Row groups are read a few rows at a
time, however large they are.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images.files import check_size
from indexer.sources import ColumnValue, UnreadColumns
from indexer.sources.containers import DamagedContainer, Member, PassedOver
from indexer.sources.containers.field_names import FieldNames
from indexer.sources.containers.image_columns import (
    NO_BYTES,
    batches,
    holds_bytes,
    image_column,
    is_bytes,
    leaf_of,
    may_be_text,
    why_none,
)
from indexer.sources.containers.kept import Kept
from indexer.sources.containers.own_columns import own_columns
from indexer.sources.containers.pages import MAX_PAGE_BYTES, Pages
from indexer.sources.opened import open_file
from indexer.sources.store import Stores, store_reason

# Read ahead within a column; without it pyarrow reads a row group's column whole.
logger = logging.getLogger(__name__)

_BUFFER_BYTES = 1 << 20
_MAX_WAITING_BYTES = 256_000_000  # of images that were passed on the way to another row
_OPEN = 4  # row groups that are being read at once, of images and of columns each


class Parquet:
    """Images in a column of a Parquet file."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._told: set[tuple[str, int]] = set()  # files and row groups without their columns
        self._telling = threading.Lock()
        self._groups: Kept[_Images] = Kept(stores, _OPEN)
        self._columns: Kept[pa.Table] = Kept(stores, _OPEN)

    def members(self, file: Address, names: FieldNames | None = None) -> Iterator[Member]:
        """:param names: of the columns that the file's table has; None: all, as in the file."""
        opened, _ = open_file(file, self._stores)
        with opened:
            try:
                yield from _members(file, opened, names)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise DamagedContainer(f"Parquet cannot read it ({_brief(error)})") from error

    def columns(
        self, member: Address, sidecars: tuple[str, ...], names: FieldNames | None = None
    ) -> dict[str, ColumnValue]:
        """:param names: as of `members`; the same for all images of a file."""
        file = Address(member.uri, member.path_bytes)
        group, row = _place(member)
        try:
            table = self._columns.of(
                (member.uri, group, member.member),
                file,
                lambda: self._read_columns(file, group, str(member.member), names),
            )
            return cast(dict[str, ColumnValue], table.slice(row, 1).to_pylist()[0])
        # A row without its columns is of use, if it is told. Each store raises its own library's
        # errors.
        except Exception as error:
            if _may_pass(error):
                raise UnreadColumns(member.uri, store_reason(error)) from error
            self._tell(member.uri, group, store_reason(error))
            return {}

    def _tell(self, uri: str, group: int, reason: str) -> None:
        with self._telling:
            if (uri, group) in self._told:
                return
            self._told.add((uri, group))
        logger.warning(
            "%s: the columns of row group %d cannot be read, and its images are without them (%s)",
            uri,
            group,
            reason,
        )

    def read(self, member: Address, limits: ReadLimits) -> bytes:
        name, file = str(member), Address(member.uri, member.path_bytes)
        group, row = _place(member)
        try:
            images = self._groups.of(
                (member.uri, group, member.member),
                file,
                lambda: self._open_group(file, group, str(member.member)),
            )
            data = images.at(row)
        except UnreadableImage:
            raise
        except (pa.ArrowException, ValueError, KeyError, IndexError) as error:
            raise UnreadableImage(name, f"Parquet cannot read it ({_brief(error)})") from error
        except Exception as error:
            gone = isinstance(error, FileNotFoundError)
            raise UnreadableImage(name, store_reason(error), transient=not gone) from error
        if data is None:
            raise UnreadableImage(name, NO_BYTES)
        check_size(name, len(data), limits)
        return data

    def _open_group(self, file: Address, group: int, column: str) -> _Images:
        opened, _ = open_file(file, self._stores)
        try:
            images = _Images(_open(opened), group, column)
        except BaseException:
            opened.close()
            raise
        weakref.finalize(images, opened.close)
        return images

    def _read_columns(
        self, file: Address, group: int, image: str, names: FieldNames | None
    ) -> pa.Table:
        opened, _ = open_file(file, self._stores)
        with opened:
            table = _open(opened)
            known = _names(table, names)
            wanted = [name for name in _beside(table, group, image) if name in known]
            read = table.read_row_group(group, columns=wanted)
        called = [known.get(name, name) for name in read.column_names]
        return own_columns(file.uri, called, read.columns, read.num_rows)


class _Images:
    """The images of one row group, read in order; one that was passed by is kept for a while."""

    def __init__(self, table: pq.ParquetFile, group: int, column: str) -> None:
        self._table, self._group, self._leaf = table, group, leaf_of(table, column)
        self._turn = threading.Lock()
        self._begin()

    def at(self, row: int) -> bytes | None:
        """:raises IndexError: if the row group has no such row."""
        with self._turn:
            if row < self._next and row not in self._waiting:
                self._begin()
            try:
                self._read_up_to(row)
            except BaseException:
                # What failed once has ended, and would read as the end of the row group.
                self._begin()
                raise
            data = self._waiting.pop(row)
            self._held -= len(data or b"")
            return data

    def _read_up_to(self, row: int) -> None:
        while row >= self._next:
            values = next(self._batches, None)
            if values is None:
                raise IndexError(f"there is no row {row:,}")
            for value in values:
                self._keep(self._next, value.as_py())
                self._next += 1
            if self._held > _MAX_WAITING_BYTES:
                self._drop_before(row)

    def _begin(self) -> None:
        self._batches = batches(self._table, self._group, self._leaf)
        self._next, self._held = 0, 0
        self._waiting: dict[int, bytes | None] = {}

    def _keep(self, row: int, data: bytes | None) -> None:
        self._waiting[row] = data
        self._held += len(data or b"")

    def _drop_before(self, row: int) -> None:
        for each in [each for each in self._waiting if each < row]:
            self._held -= len(self._waiting.pop(each) or b"")


def _members(file: Address, opened: BinaryIO, names: FieldNames | None) -> Iterator[Member]:
    table = _open(opened)
    # as most tables that lie beside photos
    if not any(holds_bytes(field.type) for field in table.schema_arrow):
        return
    pages = Pages(table, opened, is_url=file.is_url)
    column = image_column(table, _names(table, names), pages=pages)
    if column is None:
        if large := pages.large_columns:
            raise _too_large(*large[0])
        if why := why_none(table):
            raise PassedOver(why)
        return
    leaf = leaf_of(table, column)
    for group in range(table.num_row_groups):
        if size := pages.large(group, leaf):
            raise _too_large(column, size)
        row = 0
        for values in batches(table, group, leaf):
            for size in pc.binary_length(values).to_pylist():
                place = replace(file, member=column, row_group=group, row_index=row)
                refused = None if size else NO_BYTES
                yield Member(place, size or 0, columns_mark="row", refused=refused)
                row += 1


def _names(table: pq.ParquetFile, names: FieldNames | None) -> dict[str, str]:
    """Name in the file -> name in the table."""
    schema = table.schema_arrow
    return {name: name for name in schema.names} if names is None else names.of(schema)


def _too_large(column: str, page_bytes: int) -> DamagedContainer:
    return DamagedContainer(
        f"{page_bytes / 1e6:,.0f} MB of its column {column} are one page, which can only be read whole, and at most "
        f"{MAX_PAGE_BYTES / 1e6:,.0f} MB are; write it with smaller pages or row groups (in pyarrow "
        "write_batch_size=16 or row_group_size=100)"
    )


def _open(opened: BinaryIO) -> pq.ParquetFile:
    return pq.ParquetFile(
        opened, buffer_size=_BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us"
    )


def _beside(table: pq.ParquetFile, group: int, image: str) -> list[str]:
    """The columns of a row group that ride along with the images: none that holds bytes deep
    inside, as other images, or whose bytes are no text.
    """
    return [
        field.name
        for field in table.schema_arrow
        if field.name != image
        and (
            may_be_text(table, group, field.name)
            if is_bytes(field.type)
            else not holds_bytes(field.type)
        )
    ]


def _place(member: Address) -> tuple[int, int]:
    assert member.row_index is not None
    return member.row_group or 0, member.row_index


def _may_pass(error: Exception) -> bool:
    """Whether a file cannot be read just now; else it is damaged, or gone.

    pyarrow tells of damage by bare OSErrors, too.
    """
    if isinstance(error, pa.ArrowException | ValueError | LookupError | FileNotFoundError):
        return False
    return type(error) is not OSError or error.errno is not None


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
