"""The columns of rows.parquet: which there are, of what type, and rows as a table of them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from indexer.address import ADDRESS_COLUMNS, PART, Address
from indexer.disk.joined_places import joined_places
from indexer.read_image import IMAGE_COLUMNS, QUALITY_COLUMNS

# What a source says of a file, and of the image in it.
_FILE_COLUMNS = {"size_bytes": "int64", "modified": "timestamp[us, tz=UTC]", "etag": "string"}
_SOURCE_COLUMNS = {"caption": "string", "source": "string", "columns_etag": "string"}
_OF_FILES = ("uri", "path_bytes")
_REQUIRED = ("row_id", "uri")
# From the first microsecond of the year 1 to the last of 9999, which Python's datetime holds.
_TIMES_US = (-62_135_596_800_000_000, 253_402_300_799_999_999)
# Several texts, as of an image with several labels. Parquet calls what is in a list `element`.
LIST = pa.list_(pa.field("element", pa.string()))
_OWN_TYPES = {
    str(t): t for t in (pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us"), LIST)
}
_TYPES = _OWN_TYPES | {
    str(t): t
    for t in (
        pa.binary(),
        pa.int32(),
        pa.uint64(),
        pa.timestamp("us", "UTC"),
        pa.struct([("latitude", pa.float64()), ("longitude", pa.float64())]),
    )
}

# Columns that became ours when there were lakes already. In one of those a user's own column may
# have such a name. It is called `own_NAME` from then on, in the lake and in what sources say; its
# file stays as it is. Which of the two a file holds is told by a mark on the field.
LATER_COLUMNS = frozenset(QUALITY_COLUMNS)
OURS = {b"lakesift": b"ours"}

ROW_SCHEMA = pa.schema(
    [
        pa.field(
            name,
            _TYPES[kind],
            nullable=name not in _REQUIRED,
            metadata=OURS if name in LATER_COLUMNS else None,
        )
        for name, kind in {
            "row_id": "int64",
            **ADDRESS_COLUMNS,
            **_FILE_COLUMNS,
            **IMAGE_COLUMNS,
            **_SOURCE_COLUMNS,
        }.items()
    ]
)


def lake_schema(own_columns: Mapping[str, str]) -> pa.Schema:
    """The schema of a lake's rows:
    ours, then the sources' own columns as the manifest types them.
    """
    own = [pa.field(name, _OWN_TYPES[kind]) for name, kind in own_columns.items()]
    return pa.schema([*ROW_SCHEMA, *own])


def check_own_columns(own_columns: Mapping[str, str]) -> None:
    """
    :param own_columns: as `still_own` calls them.
    :raises ValueError: if one is called as ours, or its type is none that they have.
    """
    for name, kind in own_columns.items():
        if kind not in _OWN_TYPES:
            raise ValueError(f"it gives the column {name!r} the unknown type {kind!r}")
        if name in ROW_SCHEMA.names:
            raise ValueError(f"it gives the column {name}, which is ours, to a source")


def beside(name: str, taken: Container[str], prefix: str) -> str:
    """A user's name for a column, which stands beside names of ours and hides none.

    `label` becomes `own_label`. So that no two names become one, `own_label` then becomes
    `own_own_label`.

    :param taken: our names, in small letters: SQL does not tell Label from label.
    :param prefix: as "own_", in small letters.
    """
    bare = name.lower()
    while bare.startswith(prefix):
        bare = bare.removeprefix(prefix)
    return prefix + name if bare in taken else name


def own_name(name: str) -> str:
    """What a source's own column of this name is called beside LATER_COLUMNS."""
    return beside(name, LATER_COLUMNS, "own_")


def called(schema: pa.Schema) -> dict[str, str]:
    """The columns of a segment's file: the name in the file -> what rows call it.

    They differ for an own column of LATER_COLUMNS that was there first.
    """
    return {
        field.name: field.name if _has_mark(field) else still_own(field.name) for field in schema
    }


def still_own(name: str) -> str:
    """What a lake's own column is called from now on: `own_NAME` for one of LATER_COLUMNS."""
    return f"own_{name}" if name.lower() in LATER_COLUMNS else name


def _has_mark(field: pa.Field) -> bool:
    return OURS.items() <= (field.metadata or {}).items()


class Spellings:
    """One spelling for each name of a lake's own columns.

    DuckDB and many tools take `Year` and `year` for one. The spelling that came first stays. Those
    that a lake of an earlier version has already stay, too, each with its values.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = {*ROW_SCHEMA.names, *known}
        self._first: dict[str, str] = {}
        for name in known:
            self._first.setdefault(name.lower(), name)
        # another spelling -> the one that its values went to
        self.joined: dict[str, str] = {}

    def of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row under the lake's spellings; its own names differ in more than their case, or are
        known.
        """
        return {self._of(name): value for name, value in row.items()}

    def _of(self, name: str) -> str:
        if name in self._known:
            return name
        first = self._first.setdefault(name.lower(), name)
        if first == name:
            self._known.add(name)
        else:
            self.joined[name] = first
        return first


def printed_places(table: pa.Table) -> pa.ChunkedArray:
    """Each row's address as it prints, (rows,): its uri, and for an image that is only a part of a
    file the part as well.

    :param table: rows with those of ADDRESS_COLUMNS that their segment has.
    :raises UnreadableImage: if a row of a table with parts holds no address.
    """
    return _named(table, ("#", "&"), str)


def place_keys(table: pa.Table) -> pa.ChunkedArray:
    """Each row's `Address.key`, (rows,); :param table: as `printed_places` takes it."""
    return _named(table, (PART, PART), lambda address: address.key)


def _named(
    table: pa.Table, between: tuple[str, str], name: Callable[[Address], str]
) -> pa.ChunkedArray:
    if not pc.any(is_part(table)).as_py():
        return table["uri"]
    places = joined_places(table, *between)
    if not places.null_count:
        return places
    here = [column for column in ADDRESS_COLUMNS if column in table.column_names]
    odd = pa.concat_arrays(pc.is_null(places).chunks)
    rows = table.select(here).filter(odd).to_pylist()
    named = pa.array([name(Address.of(row)) for row in rows], pa.string())
    return pc.replace_with_mask(places, odd, named)


def is_part(table: pa.Table) -> Any:
    """Which rows' images are only a part of their file, (rows,) bool."""
    parts = [n for n in ADDRESS_COLUMNS if n in table.column_names and n not in _OF_FILES]
    if not parts:
        return pa.array([False] * len(table), pa.bool_())
    return reduce(pc.or_, [pc.is_valid(table[name]) for name in parts])


def merge_types(known: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """The sources' own columns after more rows: whole numbers widen to decimals, anything beside
    lists becomes a list of one, any other clash becomes text.
    """
    merged = dict(known)
    for name, kind in found.items():
        before = merged.setdefault(name, kind)
        if before != kind:
            merged[name] = _widest({before, kind})
    return merged


def _widest(kinds: set[str]) -> str:
    if str(LIST) in kinds:
        return str(LIST)
    return "double" if kinds == {"int64", "double"} else "string"


def as_lists(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each value as a list of one text; null stays null."""
    return pa.chunked_array([lists_of(column.cast(pa.string()).to_pylist())])


def lists_of(values: Sequence[Any]) -> pa.Array:
    """A column of lists: a list as it is, any other value as a list of its text."""
    whole = [v if v is None or isinstance(v, list) else [str(v)] for v in values]
    return pa.array(whole, LIST)


def rows_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of rows: the columns of ROW_SCHEMA,
    then whatever own columns the rows have, typed by their values.
    """
    arrays = [pa.array([row.get(field.name) for row in rows], field.type) for field in ROW_SCHEMA]
    fields = list(ROW_SCHEMA)
    names = dict.fromkeys(name for row in rows for name in row if name not in ROW_SCHEMA.names)
    for name in names:
        array = _typed([row.get(name) for row in rows])
        if array is not None:
            arrays.append(array)
            fields.append(pa.field(name, array.type))
    return pa.table(arrays, schema=pa.schema(fields))


def _typed(values: list[Any]) -> pa.Array | None:
    """An Arrow array of one of the own types; None where all values are null."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return None
    if list in kinds:
        return lists_of(values)
    if kinds <= {int, float}:
        try:
            return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
        except (OverflowError, pa.ArrowInvalid):
            pass  # beyond 64 bits, or a whole number no double holds: text keeps it exactly
    elif kinds == {bool}:
        return pa.array(values, pa.bool_())
    elif len(kinds) == 1 and "datetime" in kinds.pop().__name__:
        return pa.array(
            [v if v is None else v.replace(tzinfo=None) for v in values], pa.timestamp("us")
        )
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def own_types(schema: pa.Schema) -> dict[str, str]:
    """The sources' own columns of a segment: name -> Arrow type."""
    return {field.name: str(field.type) for field in schema if field.name not in ROW_SCHEMA.names}


def wrong_types(schema: pa.Schema) -> str | None:
    """What in a segment's file is not of the types that rows have, in a few words; None: nothing.

    Old lakes may lack columns. Whoever writes a lake writes its checksums, too.
    """
    names = called(schema)
    if len(set(names.values())) < len(schema.names):
        return "two of its columns have one name"
    for name in _REQUIRED:
        if name not in schema.names:
            return f"it has no column {name}"
    for field in schema:
        is_ours = names[field.name] in ROW_SCHEMA.names
        wanted = [str(ROW_SCHEMA.field(field.name).type)] if is_ours else list(_OWN_TYPES)
        if str(field.type) not in wanted:
            return f"its column {field.name} holds {field.type}, not {' or '.join(wanted)}"
    return None


def wrong_values(table: pa.Table) -> str | None:
    """What in rows that were read no row can hold, in a few words; None: nothing."""
    try:
        table.validate(full=True)  # texts are UTF-8, what is nested is whole
    except pa.ArrowInvalid as error:
        return str(error).splitlines()[0]
    for field, column in zip(table.schema, table.columns, strict=True):
        if field.name in _REQUIRED and column.null_count:
            return f"{column.null_count:,} rows have no {field.name}"
        if field.name == "row_id" and not _are_within(column, 1, 2**53 - 1):
            return "a row_id is not in 1 to 2^53 - 1"
        if pa.types.is_timestamp(field.type) and not _are_within(column, *_TIMES_US):
            return f"a time in its column {field.name} is not in the years 1 to 9999"
    return None


def _are_within(column: pa.ChunkedArray, least: int, most: int) -> bool:
    """Of whole numbers, or times as such; nulls are passed over."""
    for chunk in column.chunks:
        if len(chunk) == chunk.null_count:
            continue
        numbers = np.from_dlpack(chunk.view(pa.int64()).fill_null(least))
        if numbers.min() < least or numbers.max() > most:
            return False
    return True
