"""Each row's address as one text, a column at a time: what `Address` makes of one row.

A million members of tars took 6 s as objects.
"""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from indexer.address import ADDRESS_COLUMNS, PART

_TYPES = {"string": pa.string(), "binary": pa.binary(), "int64": pa.int64()}
_NUMBERS = ("offset", "length", "row_group", "row_index", "time_us")
# As `Address` writes it; whatever else it reads as one is left to it.
_REGION = "^(0|[1-9][0-9]{0,8}),(0|[1-9][0-9]{0,8}),[1-9][0-9]{0,8},[1-9][0-9]{0,8}$"
_URL = "^[A-Za-z][A-Za-z0-9+.-]+://"
_SECOND_US = 1_000_000


def column_of(table: pa.Table, name: str) -> pa.ChunkedArray:
    """One of ADDRESS_COLUMNS; null where the table has it not, as in lakes of early versions."""
    if name in table.column_names:
        return table[name]
    return pa.chunked_array([pa.nulls(table.num_rows, _TYPES[ADDRESS_COLUMNS[name]])])


def joined_places(table: pa.Table, first: str, between: str) -> pa.ChunkedArray:
    """Each row's uri and what part of the file it is, (rows,) text; null where `is_odd`.

    :param table: rows with those of ADDRESS_COLUMNS that their segment has.
    :param first: between the uri and the part; between: between what names the part; a character.
    """
    uri, member, stream = (column_of(table, name) for name in ("uri", "member", "stream_id"))
    offset, length, group, index, time = (_text(column_of(table, name)) for name in _NUMBERS)
    us = column_of(table, "time_us")
    seconds = pc.divide(us, _SECOND_US)
    rest = pc.utf8_lpad(_text(pc.subtract(us, pc.multiply(seconds, _SECOND_US))), 6, "0")
    text = pa.scalar(None, pa.string())
    row = _joined(between, "row=", pc.coalesce(_joined(group, "/"), ""), index)
    parts = [
        pc.coalesce(
            _joined(between, "member=", member), _joined(between, "bytes=", offset, "+", length)
        ),
        # A moment is enough: where its message lies in its recording may change.
        pc.if_else(pc.is_valid(stream), text, row),
        _joined(between, "stream=", stream),
        pc.if_else(pc.is_valid(time), _joined(between, "t=", _text(seconds), ".", rest), text),
        _joined(between, "xywh=", column_of(table, "region_px")),
    ]
    # Not "skip": that leaves out rows in which every piece is null (Arrow 26).
    part = pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")
    named = _joined(uri, pc.binary_replace_slice(part, 0, 1, first))
    whole = pc.if_else(pc.equal(part, ""), uri, named)
    return pc.if_else(is_odd(table), text, whole)


def is_odd(table: pa.Table) -> pa.ChunkedArray:
    """Which rows `Address` has to look at itself, (rows,) bool: their fields may contradict each
    other, or their path is not UTF-8.

    :param table: as `joined_places` takes it.
    """
    uri, path, member, stream, region = (
        column_of(table, name) for name in ("uri", "path_bytes", "member", "stream_id", "region_px")
    )
    numbers = {name: column_of(table, name) for name in _NUMBERS}
    is_there = {name: pc.is_valid(column) for name, column in numbers.items()}
    reasons = [
        pc.is_valid(path),
        pc.equal(pc.binary_length(uri), 0),
        *(pc.less(column, 0) for column in numbers.values()),
        pc.xor(is_there["offset"], is_there["length"]),
        pc.and_not(is_there["row_group"], is_there["row_index"]),
        pc.xor(pc.is_valid(stream), is_there["time_us"]),
        *(pc.match_substring(text, PART) for text in (uri, member, stream)),
        pc.invert(pc.match_substring_regex(region, _REGION)),
    ]
    return reduce(pc.or_, [pc.fill_null(reason, False) for reason in reasons])


def is_url(places: pa.ChunkedArray) -> pa.ChunkedArray:
    """As `indexer.address.is_url`, (rows,) bool."""
    return pc.match_substring_regex(places, _URL)


def _text(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    return numbers.cast(pa.string())


def _joined(*pieces: pa.ChunkedArray | str) -> pa.ChunkedArray:
    """Of each row the pieces in a row; null where one of them is."""
    return pc.binary_join_element_wise(*pieces, "", null_handling="emit_null")
