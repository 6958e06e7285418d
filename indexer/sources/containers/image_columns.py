"""Which column of a Parquet file holds images, found by looking, and their bytes in any form.

Bytes may be plain, of a fixed size, in a dictionary, of a type of somebody's own, or in the field
`bytes` of a struct. Lists of images, and paths where bytes should be, are told of and not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from indexer.sources.columns import MAX_VALUE_BYTES
from indexer.sources.containers.pages import Pages
from indexer.sources.names import may_be_image

NO_BYTES = "there are no bytes of an image in this row"
_ROWS_AT_ONCE = 16
# How image files begin; JPEG 2000, HEIF and AVIF tell it a few bytes later.
_BEGINNINGS = (
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM",
    b"\0\0\0\x0cjP  ", b"\xffO\xffQ", b"P4", b"P5", b"P6",
)  # fmt: skip
# Values by which a column is judged: one bad image among the first must not hide all others, and
# one of many hashes may begin as an image does.
_LOOKED_AT = 8
_GROUPS_LOOKED_AT = 50  # for first values that are not null or empty


def image_column(
    table: pq.ParquetFile,
    among: Mapping[str, str] | None = None,
    *,
    pages: Pages | None = None,
) -> str | None:
    """The column that holds images; None if there is none. Of several the one called `image`, else
    the first.

    :param among: the columns to choose from, and what they are called by now; None: all.
    :param pages: a column with one that is too large is not looked at.
    """
    names = [field.name for field in table.schema_arrow if may_hold_images(field.type)]
    if among is not None:
        names = [name for name in names if name in among]
    names.sort(key=lambda name: (among or {}).get(name, name).lower() != "image")
    if pages is not None and table.num_row_groups:
        names = [name for name in names if not pages.large(0, leaf_of(table, name))]
    return next((name for name in names if are_images(_first_values(table, name))), None)


def why_none(table: pq.ParquetFile) -> str | None:
    """Why there is no image column, though the file speaks of images; None if it does not."""
    for field in table.schema_arrow:
        if may_hold_images(field.type):
            if any(may_be_image(path) and "." in path for path in _paths(table, field)):
                return (
                    f"its column {field.name} has paths of images and not their bytes; "
                    "write the paths as text into a column `path`, and index that table"
                )
        elif holds_bytes(field.type) and are_images(_values_within(table, field.name)):
            return (
                f"a row of its column {field.name} holds several images or holds them deep inside, "
                "and only a column with one image in each row is read; write such a table"
            )
    return None


def leaf_of(table: pq.ParquetFile, column: str) -> str:
    """What to read of a column for `batches`.

    :raises KeyError: if there is no such column, or it holds no bytes.
    """
    kind = next((field.type for field in table.schema_arrow if field.name == column), pa.null())
    if not may_hold_images(kind):
        raise KeyError(f"the column {column} holds no bytes")
    return f"{column}.bytes" if pa.types.is_struct(_storage(kind)) else column


def batches(table: pq.ParquetFile, group: int, leaf: str) -> Iterator[Any]:
    """The bytes of a row group, (rows,) large_binary, a few rows at a time."""
    read = table.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[leaf], use_threads=False)
    return (plain_bytes(batch.column(0)) for batch in read)


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether values of this type have bytes in them, at any depth."""
    kind = _storage(kind)
    return is_bytes(kind) or any(
        holds_bytes(kind.field(number).type) for number in range(kind.num_fields)
    )


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values of this type are bytes, in whatever form."""
    kind = _storage(kind)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def may_be_text(table: pq.ParquetFile, group: int, column: str) -> bool:
    """Whether a column of bytes may be text that was written as bytes, by its first values in a row
    group: no images, and not longer than a lake keeps.

    Not by the file's own statistics: where these are damaged pyarrow ends the process.
    """
    values = (value for batch in batches(table, group, column) for value in batch.to_pylist())
    first = list(islice(filter(None, values), _LOOKED_AT))
    return not are_images(first) and all(len(value) <= MAX_VALUE_BYTES for value in first)


def is_struct(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(_storage(kind)))


def _storage(kind: pa.DataType) -> pa.DataType:
    """A type of somebody's own as what it is kept as."""
    while isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return kind


def may_hold_images(kind: pa.DataType) -> bool:
    """Whether a value of this type may be one image: bytes, or a struct with `bytes`."""
    kind = _storage(kind)
    if pa.types.is_struct(kind):
        number = kind.get_field_index("bytes")
        return number >= 0 and is_bytes(kind.field(number).type)
    return is_bytes(kind)


def plain_bytes(column: Any) -> Any:
    """An Arrow column of images as large_binary, in whatever form their bytes come."""
    while isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if pa.types.is_struct(column.type):
        return plain_bytes(pc.struct_field(column, "bytes"))
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.large_binary())


def _first_values(table: pq.ParquetFile, column: str) -> Iterator[bytes]:
    leaf = leaf_of(table, column)
    for group in range(min(table.num_row_groups, _GROUPS_LOOKED_AT)):
        for batch in batches(table, group, leaf):
            yield from filter(None, batch.to_pylist())


def _values_within(table: pq.ParquetFile, column: str) -> Iterator[bytes]:
    groups = range(min(table.num_row_groups, _GROUPS_LOOKED_AT))
    for batch in table.iter_batches(1, row_groups=groups, columns=[column], use_threads=False):
        yield from _bytes_in(batch.column(0).to_pylist())


def _bytes_in(value: object) -> Iterator[bytes]:
    if isinstance(value, bytes) and value:
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _bytes_in(each)
    elif isinstance(value, dict):
        yield from _bytes_in(list(value.values()))


def _paths(table: pq.ParquetFile, field: pa.Field) -> Iterator[str]:
    """The first values of the field `path` of a struct, whose `bytes` are all null."""
    kind = _storage(field.type)
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return
    if any(_first_values(table, field.name)):
        return
    groups = range(min(table.num_row_groups, _GROUPS_LOOKED_AT))
    read = table.iter_batches(
        _ROWS_AT_ONCE, row_groups=groups, columns=[f"{field.name}.path"], use_threads=False
    )
    values = (row for batch in read for row in batch.column(0).to_pylist())
    paths = (row["path"] for row in values if row is not None)
    yield from islice((path for path in paths if isinstance(path, str)), _LOOKED_AT)


def are_images(values: Iterable[bytes]) -> bool:
    """Whether at least half of the first values begin as images do."""
    first = list(islice(values, _LOOKED_AT))
    images = sum(_begins_as_image(value) for value in first)
    return images > 0 and 2 * images >= len(first)


def _begins_as_image(data: bytes) -> bool:
    return data.startswith(_BEGINNINGS) or data[4:8] in (b"ftyp", b"JXL ")
