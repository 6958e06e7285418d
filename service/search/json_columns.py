"""Rows as JSON, a column at a time: the bytes that orjson makes of `hits.row_json`, row by row.

A row as a dict of Python values takes 30 us or more, most of it for values that are copied as they
are. Here no row is an object of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service.search.hits import NOT_AMONG_COLUMNS, plain_value

_TO_ESCAPE = r'["\\\x00-\x1f]'
_QUOTE, _BACKSLASH, _SPACE = ord('"'), ord("\\"), ord(" ")


@dataclass(frozen=True, eq=False)
class Written:
    """Values of a column in JSON, in three parts: nothing is copied to put a text in quotes."""

    values: pa.Array  # text, (n,), in one piece; null where there is none
    before: str = ""
    after: str = ""

    @property
    def whole(self) -> pa.Array:
        """text, (n,): each value; null where there is none."""
        return joined(self.before, self.values, self.after) if self.before else self.values

    def or_null(self) -> Written:
        """`null` where there is none."""
        return Written(or_null(self.whole)) if self.values.null_count else self


def columns_json(table: pa.Table, names: Mapping[str, str] | None = None) -> pa.Array:
    """text, (n,): of each row the object `columns`, without what has no value.

    :param table: rows, one chunk a column.
    :param names: the columns to show -> the keys they are shown by; None: as the API shows them.
    """
    return an_object(members(table, names), table.num_rows)


def members(table: pa.Table, names: Mapping[str, str] | None = None) -> dict[str, Written]:
    """The members of an object by their keys: of each column that has a value.

    :param table, names: as `columns_json` has them.
    """
    if names is None:
        names = {name: name for name in table.column_names if name not in NOT_AMONG_COLUMNS}
    columns = {key: table[name] for name, key in names.items()}
    return {
        key: written(column) for key, column in columns.items() if column.null_count < len(column)
    }


def an_object(found: Mapping[str, Written], count: int) -> pa.Array:
    """text, (count,): the object of those members that have a value."""
    return joined_or_nothing(*object_pieces(found)) if found else pa.repeat("{}", count)


def object_pieces(found: Mapping[str, Written], end: str = "}") -> list[pa.Array | str]:
    """What makes that object when joined, with nothing for null.

    :param end: what comes behind the last member.
    """
    always = next((key for key, value in found.items() if not value.values.null_count), None)
    if always is None:
        return [_object_of_some(found), end] if found else ["{", end]
    pieces: list[pa.Array | str] = ["{"]
    # A comma stands behind what comes before a member that is always there, and before the others.
    comma, behind = "", ","
    for key, value in found.items():
        if key == always:
            behind = ""
        before, after = f"{comma}{orjson.dumps(key).decode()}:{value.before}", value.after + behind
        if value.values.null_count:
            pieces.append(joined(before, value.values, after))
        else:
            pieces += [before, value.values, after]
        if key == always:
            comma = ","
    return [*pieces, end]


def _object_of_some(found: Mapping[str, Written]) -> pa.Array:
    """Of members each of which some rows have not; without its end."""
    # Not "skip": that leaves out rows in which every piece is null (Arrow 26).
    every = joined_or_nothing(
        *(
            joined(f",{orjson.dumps(key).decode()}:{value.before}", value.values, value.after)
            for key, value in found.items()
        )
    )
    return joined("{", pc.utf8_slice_codeunits(every, 1))


def _fewer(pieces: Sequence[pa.Array | str]) -> list[pa.Array | str]:
    """Texts that follow one another as one."""
    fewer: list[pa.Array | str] = []
    for piece in pieces:
        if isinstance(piece, str) and fewer and isinstance(fewer[-1], str):
            fewer[-1] += piece
        elif not isinstance(piece, str) or piece:
            fewer.append(piece)
    return fewer


def joined_or_nothing(*pieces: pa.Array | str) -> pa.Array:
    """text, (n,): of each row the pieces in a row, without those that are null."""
    return pc.binary_join_element_wise(
        *_fewer(pieces), "", null_handling="replace", null_replacement=""
    )


def joined(*pieces: pa.Array | str) -> pa.Array:
    """text, (n,): of each row the pieces in a row; null where one of them is."""
    return pc.binary_join_element_wise(*pieces, "", null_handling="emit_null")


def or_null(values: pa.Array) -> pa.Array:
    """text, (n,): `null` where there is none."""
    return pc.fill_null(values, "null")


def bytes_of(lines: pa.Array) -> memoryview:
    """All texts of an array in a row, as they lie in memory: nothing is copied.

    :param lines: text or binary, (n,), in one piece; where one is null, any bytes may lie.
    """
    offsets, data = _offsets(lines), lines.buffers()[2]
    if data is None or not len(lines):
        return memoryview(b"")
    return memoryview(data)[offsets[0] : offsets[-1]]


def first_bytes(texts: pa.Array) -> NDArray[np.uint8]:
    """uint8, (m,): of those texts that are not empty.

    :param texts: as `bytes_of` has them.
    """
    starts = _offsets(texts) - _offsets(texts)[0]
    first: NDArray[np.uint8] = np.frombuffer(bytes_of(texts), np.uint8)[
        starts[:-1][np.diff(starts) > 0]
    ]
    return first


def _offsets(lines: pa.Array) -> NDArray[np.int32]:
    if not len(lines):
        return np.zeros(1, np.int32)
    return np.frombuffer(lines.buffers()[1], np.int32)[lines.offset :][: len(lines) + 1]


def values_json(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """text, (n,): each value as the API has it in JSON; null where there is none."""
    return written(column).whole


def written(column: pa.ChunkedArray | pa.Array) -> Written:
    """Each value as the API has it in JSON."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.ChunkedArray):  # of no chunk, or of more than an array can hold
        values = pa.concat_arrays(values.chunks) if values.num_chunks else values.type
    kind = values.type
    if pa.types.is_string(kind):
        return _texts(values)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return Written(values.cast(pa.string()))
    if pa.types.is_floating(kind):
        return Written(_numbers(values, has_texts=True))
    if pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz in (None, "UTC"):
        return _times(values)
    if pa.types.is_struct(kind) and all(pa.types.is_floating(field.type) for field in kind):
        return Written(_structs(values))
    return Written(_one_by_one(values))


def plain_texts(column: pa.Array) -> pa.Array:
    """text, (n,): each value that is no number as a text: times as they are answered, what has
    parts and truth as JSON; null where there is none.
    """
    found = written(column)
    if not pa.types.is_timestamp(column.type):
        return found.whole
    # without the quotes
    return found.values if found.before else pc.utf8_slice_codeunits(found.values, 1, -1)


def numbers_json(numbers: Sequence[float] | NDArray[np.float64]) -> pa.Array:
    """text, (n,): each number as orjson writes it: `null` where it is not finite."""
    if not len(numbers):
        return pa.array([], pa.string())
    written = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return pc.split_pattern(pa.array([written[1:-1]]), ",").flatten()


def _numbers(values: pa.Array, *, has_texts: bool) -> pa.Array:
    """:param has_texts: infinity and NaN are texts; else they are `null`, as orjson has them."""
    wide = np.asarray(values.cast(pa.float64()).fill_null(0.0))
    found = numbers_json(wide)
    odd = ~np.isfinite(wide)
    if has_texts and odd.any():
        texts = [f'"{number}"' for number in wide[odd].tolist()]
        found = pc.replace_with_mask(found, pa.array(odd), pa.array(texts))
    return _where_valid(values, found)


def _texts(values: pa.Array) -> Written:
    if not _has_any_to_escape(values):
        return Written(values, '"', '"')
    found = joined('"', values, '"')
    odd = pc.fill_null(pc.match_substring_regex(values, _TO_ESCAPE), False)
    texts = [orjson.dumps(text).decode() for text in values.filter(odd).to_pylist()]
    return Written(pc.replace_with_mask(found, odd, pa.array(texts, pa.string())))


def _has_any_to_escape(values: pa.Array) -> bool:
    """By their bytes, all at once: seldom is there one, and to look at each text takes longer."""
    data = np.frombuffer(bytes_of(values), np.uint8)
    return bool(np.any((data < _SPACE) | (data == _QUOTE) | (data == _BACKSLASH)))


def _times(values: pa.Array) -> Written:
    """As datetime.isoformat() writes them."""
    us = values.cast(pa.int64()) if values.type.tz is None else values.view(pa.int64())
    whole = np.asarray(us.fill_null(0))
    seconds, rest = np.divmod(whole, 1_000_000)
    text = pa.array(seconds.astype("datetime64[s]")).cast(pa.string())
    text = pc.binary_replace_slice(text, 10, 11, "T")
    if rest.any():
        digits = pc.utf8_lpad(pa.array(rest).cast(pa.string()), 6, "0")
        text = pc.if_else(pa.array(rest != 0), joined(text, ".", digits), text)
    end = "" if values.type.tz is None else "+00:00"
    return Written(_where_valid(values, joined(text, end) if end else text), '"', '"')


def _structs(values: pa.Array) -> pa.Array:
    """Of numbers, as a place has them."""
    fields = zip(values.type, values.flatten(), strict=True)
    found = {
        field.name: Written(or_null(_numbers(inner, has_texts=False))) for field, inner in fields
    }
    return _where_valid(values, an_object(found, len(values)))


def _one_by_one(values: pa.Array) -> pa.Array:
    texts = [
        None if value is None else orjson.dumps(plain_value(value)).decode()
        for value in values.to_pylist()
    ]
    return pa.array(texts, pa.string())


def _where_valid(values: pa.Array, found: pa.Array) -> pa.Array:
    """What was found, null where the values are."""
    if not values.null_count:
        return found
    return pc.if_else(values.is_valid(), found, pa.scalar(None, pa.string()))
