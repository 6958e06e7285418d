"""Lance: images in a column of a dataset, by the data file that holds them and the row in it.

A data file never changes, so this place holds until the dataset is compacted. Only `pylance` reads
it, through its dataset: a column may be split over several files, and bytes may lie in blobs.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.errors import SourceError, UnreadableImage
from indexer.images.files import check_size
from indexer.sources import ColumnValue
from indexer.sources.containers import DamagedContainer, Member, PassedOver
from indexer.sources.containers.image_columns import (
    NO_BYTES,
    are_images,
    holds_bytes,
    is_struct,
    may_hold_images,
    plain_bytes,
)
from indexer.sources.containers.kept import Kept
from indexer.sources.containers.own_columns import own_columns
from indexer.sources.object_store import object_store_options, place_of
from indexer.sources.store import Stores

logger = logging.getLogger(__name__)

MISSING = "Lance tables need `pip install 'lakesift[lance]'`"
_ROWS_AT_ONCE = 16
_SIZES_AT_ONCE = 1_024
_LOOKED_AT = 8
_BUFFER_BYTES = 64_000_000  # read ahead, of which the library takes 2 GB by itself
_COLUMN_ROWS = 512  # whose columns are read at once
_OPEN = 8
_EXTERNAL = 3  # of a blob: its bytes are in a file that the table names
_OUTSIDE = "its bytes lie outside the table, which are not read; write them into the table"
_NO_TABLE = "it is no part of a Lance table that lies around it; index the table's own folder"
_GONE = "its table was written anew and does not have it any more; `lakesift sync` finds it again"
_DELETED = "its row was deleted from the table; `lakesift sync` takes it out of the lake"


def open_dataset(root: Address) -> Any:
    """The current version of the dataset in a folder.

    :raises SourceError: if it cannot be opened.
    """
    import lance

    place = place_of(root, "Lance")
    try:
        return lance.dataset(place, storage_options=object_store_options(root.uri))
    except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise SourceError(
            root.uri, f"this Lance table cannot be read: {lance_reason(error)}"
        ) from error


def lance_reason(error: Exception) -> str:
    """What the library says, without the places in its own source."""
    text = re.sub(r", /[^ ]+\.rs:\d+:\d+", "", str(error).strip())
    return (text.splitlines() or [type(error).__name__])[0][:300]


def image_column_of(dataset: Any) -> str | None:
    """The column that holds images; None if there is none. Of several the one called `image`, else
    the first; where only one may, its values are not looked at here.
    """
    names = [str(f.name) for f in dataset.schema if is_blob(f) or may_hold_images(f.type)]
    names.sort(key=lambda name: name.lower() != "image")
    if len(names) < 2:
        return names[0] if names else None
    fragments = dataset.get_fragments()[:50]
    for name in names:
        values = (each for part in fragments for each in _first(_Part(dataset, part), name))
        if are_images(values):
            return name
    return None


def is_blob(column: pa.Field) -> bool:
    if getattr(column.type, "extension_name", "") == "lance.blob.v2":
        return True
    told: bytes = (column.metadata or {}).get(b"lance-encoding:blob", b"")
    return told.lower() == b"true"


def leaf_of(column: pa.Field) -> str:
    """What is read of a column for its images' bytes."""
    if is_blob(column) or not is_struct(column.type):
        return str(column.name)
    return f"{column.name}.bytes"


class Lance:
    """Images in a column of a Lance dataset."""

    def __init__(self, stores: Stores) -> None:
        self._turn = threading.Lock()
        self._opened: dict[str, _Opened] = {}
        self._columns: Kept[_Block] = Kept(stores, _OPEN)
        self._told: set[str] = set()

    def members(self, file: Address, column: str | None = None) -> Iterator[Member]:
        """:param column: the one that holds images."""
        if column is None:
            raise PassedOver(_NO_TABLE)
        part = self._part(file, fresh=True)
        if part is None:
            raise DamagedContainer("its table was written anew just now; run again")
        try:
            yield from _members(file, part, column)
        except (pa.ArrowException, OSError, ValueError, RuntimeError) as error:
            raise DamagedContainer(f"Lance cannot read it ({lance_reason(error)})") from error

    def columns(self, member: Address, sidecars: tuple[str, ...]) -> dict[str, ColumnValue]:
        file = Address(member.uri, member.path_bytes)
        row = _row(member)
        number = row // _COLUMN_ROWS
        try:
            block = self._columns.of(
                (member.uri, member.member, number),
                file,
                lambda: self._read_columns(file, str(member.member), number),
            )
            return block.at(row)
        # A row without its columns is of use, if it is told. The library raises what it likes.
        except Exception as error:  # noqa: BLE001
            with self._turn:
                is_new = member.uri not in self._told
                self._told.add(member.uri)
            if is_new:
                what = "%s: columns cannot be read, and its images are without them (%s)"
                logger.warning(what, member.uri, lance_reason(error))
            return {}

    def read(self, member: Address, limits: ReadLimits) -> bytes:
        name, row = str(member), _row(member)
        file = Address(member.uri, member.path_bytes)
        try:
            part = self._part(file)
            if part is None:
                data = _from_file(file, str(member.member), row)
            else:
                data = part.image(name, str(member.member), row, limits)
        except UnreadableImage:
            raise
        except SourceError as error:
            raise UnreadableImage(name, error.reason, transient=True) from error
        except (pa.ArrowException, ValueError, KeyError, IndexError, RuntimeError) as error:
            why = f"Lance cannot read it ({lance_reason(error)})"
            raise UnreadableImage(name, why) from error
        except OSError as error:
            raise UnreadableImage(name, lance_reason(error), transient=True) from error
        if not data:
            raise UnreadableImage(name, NO_BYTES)
        check_size(name, len(data), limits)
        return data

    def _part(self, file: Address, *, fresh: bool = False) -> _Part | None:
        """The fragment that a data file is of, in the current version or the one opened last.

        :param fresh: True: in the current one.
        :raises SourceError: if the table cannot be opened.
        """
        root, name = _root_of(file)
        with self._turn:
            opened = self._opened.get(root.uri)
            if opened is None or (fresh and opened.is_old()) or name not in opened.parts:
                opened = self._opened[root.uri] = _Opened.of(root)
            return opened.parts.get(name)

    def _read_columns(self, file: Address, image: str, number: int) -> _Block:
        part = self._part(file)
        if part is None:
            raise ValueError(_GONE)
        names = [
            column.name
            for column in part.dataset.schema
            if column.name != image
            and not is_blob(column)
            and not holds_bytes(column.type)
            and not _is_vector(column.type)
        ]
        start = number * _COLUMN_ROWS
        rows = part.rows()
        rows = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + _COLUMN_ROWS)]
        first = part.place(int(rows[0])) or 0
        read = part.fragment.take(list(range(first, first + len(rows))), columns=names)
        own = own_columns(file.uri, read.column_names, read.columns, read.num_rows)
        return _Block(rows, own)


@dataclass(frozen=True, slots=True)
class _Block:
    """The columns of some rows of a data file."""

    rows: NDArray[np.int64]
    columns: pa.Table

    def at(self, row: int) -> dict[str, ColumnValue]:
        place = int(np.searchsorted(self.rows, row))
        if place == len(self.rows) or self.rows[place] != row:
            raise ValueError(_DELETED)
        return cast(dict[str, ColumnValue], self.columns.slice(place, 1).to_pylist()[0])


@dataclass(slots=True)
class _Part:
    """A fragment of a dataset. Rows are counted as in its files, deleted ones too."""

    dataset: Any
    fragment: Any
    _rows: NDArray[np.int64] | None = field(default=None)

    def rows(self) -> NDArray[np.int64]:
        """Those that are not deleted, (n,), ascending."""
        if self._rows is None:
            if self.fragment.deletion_file() is None:
                self._rows = np.arange(self.fragment.physical_rows, dtype=np.int64)
            else:
                read = self.fragment.scanner(columns=[], with_row_address=True).to_table()
                self._rows = read.column("_rowaddr").to_numpy().astype(np.int64) & 0xFFFFFFFF
        return self._rows

    def place(self, row: int) -> int | None:
        """Which of the rows that are not deleted this is; None if it is deleted."""
        rows = self.rows()
        place = int(np.searchsorted(rows, row))
        return place if place < len(rows) and rows[place] == row else None

    def image(self, name: str, column: str, row: int, limits: ReadLimits) -> bytes | None:
        place = self.place(row)
        if place is None:
            raise UnreadableImage(name, _DELETED)
        schema = self.dataset.schema.field(column)
        if not is_blob(schema):
            read = self.fragment.take([place], columns=[leaf_of(schema)])
            return cast("bytes | None", plain_bytes(read.column(0).combine_chunks())[0].as_py())
        read = self.fragment.scanner(columns=[column], offset=place, limit=1).to_table()
        described = _described(read.column(0)).to_pylist()[0]
        if described is None:
            return None
        if described.get("kind") == _EXTERNAL:
            raise UnreadableImage(name, _OUTSIDE)
        check_size(name, int(described["size"]), limits)
        return self.blobs(column, [row])[0]

    def blobs(self, column: str, rows: list[int]) -> list[bytes | None]:
        first = self.fragment.fragment_id << 32
        found = dict(self.dataset.read_blobs(column, addresses=[first | row for row in rows]))
        return [found[first | row] for row in rows]


@dataclass(frozen=True, slots=True)
class _Opened:
    dataset: Any
    parts: dict[str, _Part]  # by the name of each data file

    @classmethod
    def of(cls, root: Address) -> _Opened:
        dataset = open_dataset(root)
        parts = {
            file.path: _Part(dataset, fragment)
            for fragment in dataset.get_fragments()
            for file in fragment.data_files()
        }
        return cls(dataset, parts)

    def is_old(self) -> bool:
        return bool(self.dataset.latest_version != self.dataset.version)


def _members(file: Address, part: _Part, column: str) -> Iterator[Member]:
    if not are_images(_first(part, column)):
        return
    for row, size, refused in _sizes(part, column):
        place = replace(file, member=column, row_index=row)
        if not size and refused is None:
            refused = NO_BYTES
        yield Member(place, size, columns_mark="row", refused=refused)


def _sizes(part: _Part, column: str) -> Iterator[tuple[int, int, str | None]]:
    """Row, size in bytes, and why it cannot be read, in the file's order."""
    schema = part.dataset.schema.field(column)
    blob = is_blob(schema)
    for batch in _scan(part, leaf_of(schema), _SIZES_AT_ONCE if blob else _ROWS_AT_ONCE):
        rows = batch.column("_rowaddr").to_pylist()
        if not blob:
            sizes = pc.binary_length(plain_bytes(batch.column(0))).to_pylist()
            yield from (
                (row & 0xFFFFFFFF, size or 0, None) for row, size in zip(rows, sizes, strict=True)
            )
            continue
        for row, told in zip(rows, _described(batch.column(0)).to_pylist(), strict=True):
            outside = told is not None and told.get("kind") == _EXTERNAL
            size = 0 if told is None or outside else int(told["size"])
            yield row & 0xFFFFFFFF, size, _OUTSIDE if outside else None


def _first(part: _Part, column: str) -> Iterator[bytes]:
    """The first images of a fragment that are there."""
    schema = part.dataset.schema.field(column)
    if is_blob(schema):
        there = [row for row, size, why in _sizes(part, column) if size and why is None]
        yield from filter(None, part.blobs(column, there[:_LOOKED_AT]) if there else ())
        return
    for batch in _scan(part, leaf_of(schema), _LOOKED_AT):
        yield from filter(None, plain_bytes(batch.column(0)).to_pylist())


def _scan(part: _Part, leaf: str, rows: int) -> Iterator[Any]:
    scanner = part.fragment.scanner(
        columns=[leaf],
        batch_size=rows,
        with_row_address=True,
        batch_readahead=1,
        io_buffer_size=_BUFFER_BYTES,
    )
    yield from scanner.to_batches()


def _described(column: Any) -> Any:
    """What a table says of its blobs, as structs."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _from_file(file: Address, column: str, row: int) -> bytes | None:
    """An image of a data file that the table does not have any more, while the file is there."""
    from lance.file import LanceFileReader

    place, options = place_of(file, "Lance"), object_store_options(file.uri)
    try:
        read = LanceFileReader(place, storage_options=options).take_rows([row]).to_table()
        return cast("bytes | None", plain_bytes(read.column(column).combine_chunks())[0].as_py())
    except (pa.ArrowException, OSError, ValueError, KeyError, RuntimeError) as error:
        raise UnreadableImage(str(file), _GONE) from error


def _is_vector(kind: pa.DataType) -> bool:
    """An embedding: made by another model, and of no use in a `where`."""
    return bool(pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type))


def _root_of(file: Address) -> tuple[Address, str]:
    """The table's folder, and a data file's name in it.

    :raises SourceError: if a file lies in no folder `data`.
    """
    uri, _, name = file.uri.rpartition("/data/")
    if not uri or "/" in name:
        raise SourceError(file.uri, _NO_TABLE)
    if file.path_bytes is None:
        return Address(uri), name
    return Address(uri, file.path_bytes.rpartition(b"/data/")[0]), name


def _row(member: Address) -> int:
    assert member.row_index is not None
    return member.row_index
