"""Where the images of a table's rows lie, as keys and in print, worked out by column: a lake has
millions of rows and a sync asks for every one.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from indexer.address import ADDRESS_COLUMNS, PART, Address

_OF_FILES = ("uri", "path_bytes")
_NAMES = ("uri", "member", "stream_id")
_NUMBERS = ("offset", "length", "row_group", "row_index", "time_us")
_URL = r"^[A-Za-z][A-Za-z0-9+.-]+://"
# As `Address.columns` writes a region: what is written otherwise is read, and said, by `Address`.
_REGION = r"^(0|[1-9][0-9]*),(0|[1-9][0-9]*),[1-9][0-9]*,[1-9][0-9]*$"


def printed_places(table: pa.Table) -> pa.Array:
    """Each row's address as it prints, (rows,): its uri, and for an image that is only a part of a
    file the part as well.

    :param table: rows with those of ADDRESS_COLUMNS that their segment has.
    :raises UnreadableImage: if a row has no address of an image.
    """
    keys = place_keys(table)
    first = pc.replace_substring(keys, PART, "#", max_replacements=1)
    return pc.replace_substring(first, PART, "&")


def place_keys(table: pa.Table) -> pa.Array:
    """Each row's `Address.key`, (rows,); :param table: as `printed_places` takes it.

    :raises UnreadableImage: if a row has no address of an image.
    """
    inside = is_part(table)
    if not pc.any(inside).as_py():
        return table["uri"]
    _check(table)
    return pc.if_else(
        inside,
        pc.binary_join_element_wise(table["uri"], *_parts(table), PART, null_handling="skip"),
        table["uri"],
    )


def is_part(table: pa.Table) -> Any:
    """Which rows' images are only a part of their file, (rows,) bool."""
    parts = [n for n in ADDRESS_COLUMNS if n in table.column_names and n not in _OF_FILES]
    if not parts:
        return pa.array(np.zeros(len(table), bool))
    return reduce(pc.or_, [pc.is_valid(table[name]) for name in parts])


def _parts(table: pa.Table) -> list[Any]:
    """As `Address.part` has them, one after the other; null where a row has none of the kind."""
    member, offset, length = (_column(table, name) for name in ("member", "offset", "length"))
    group, index = _column(table, "row_group"), _column(table, "row_index")
    stream, time_us = _column(table, "stream_id"), _column(table, "time_us")
    span = pc.binary_join_element_wise("bytes=", _text(offset), "+", _text(length), "")
    row = pc.binary_join_element_wise(
        "row=", pc.fill_null(_after(_text(group), "/"), ""), _text(index), ""
    )
    us = pc.subtract(time_us, pc.multiply(pc.divide(time_us, 1_000_000), 1_000_000))
    moment = pc.binary_join_element_wise(
        "t=", _text(pc.divide(time_us, 1_000_000)), ".", pc.utf8_lpad(_text(us), 6, "0"), ""
    )
    return [
        pc.coalesce(_before("member=", member), span),
        pc.if_else(pc.is_valid(stream), None, row),
        _before("stream=", stream),
        moment,
        _before("xywh=", _column(table, "region_px")),
    ]


def _check(table: pa.Table) -> None:
    """:raises UnreadableImage: of the first row whose columns are no address, as `Address` says."""
    uri, region = table["uri"], _column(table, "region_px")
    offset, length = _column(table, "offset"), _column(table, "length")
    group, index = _column(table, "row_group"), _column(table, "row_index")
    stream, time_us = _column(table, "stream_id"), _column(table, "time_us")
    is_url = pc.match_substring_regex(uri, _URL)
    doubts = [
        pc.equal(uri, ""),
        pc.and_(pc.is_valid(_column(table, "path_bytes")), is_url),
        *(pc.less(_column(table, name), 0) for name in _NUMBERS),
        pc.xor(pc.is_valid(offset), pc.is_valid(length)),
        pc.and_(pc.is_valid(group), pc.is_null(index)),
        pc.xor(pc.is_valid(stream), pc.is_valid(time_us)),
        *(pc.match_substring(_column(table, name), PART) for name in _NAMES),
        pc.invert(pc.match_substring_regex(region, _REGION)),
    ]
    doubtful = reduce(pc.or_, [pc.fill_null(doubt, False) for doubt in doubts])
    here = [name for name in ADDRESS_COLUMNS if name in table.column_names]
    for row in table.select(here).filter(doubtful).to_pylist():
        Address.of(row)


def _column(table: pa.Table, name: str) -> Any:
    """Of a lake of an earlier version, which lacks it: all null."""
    if name in table.column_names:
        return table[name]
    kind = {"string": pa.string(), "binary": pa.binary(), "int64": pa.int64()}
    return pa.nulls(len(table), kind[ADDRESS_COLUMNS[name]])


def _text(numbers: Any) -> Any:
    return pc.cast(numbers, pa.string())


def _before(word: str, texts: Any) -> Any:
    return pc.binary_join_element_wise(word, texts, "")


def _after(texts: Any, word: str) -> Any:
    return pc.binary_join_element_wise(texts, word, "")
