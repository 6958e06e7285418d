"""A CSV as a person's tool saved it: its separator is found, its numbers are, its names stay.

What only looks like a number, such as 00123, 12e4 or an id of twenty digits, stays the text it is:
as a number it would be another one. A column is of one type, so that one such cell decides for all.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from io import StringIO
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from indexer.errors import SourceError
from indexer.sources.cells import SAFE, text_of_cell
from indexer.sources.text_file import first_bad_byte, open_text

# pa.ChunkedArray, which pyarrow's own stubs take for other things in places
Column: TypeAlias = Any

_SEPARATORS = (",", ";", "\t", "|")
_EXCELS_LINE = re.compile(rb'"?sep=(.)"?\r?\n', re.IGNORECASE)  # its own mark of the separator
_NULLS = ["", "null", "NULL", "nan", "NaN"]  # not NA: a country
_MAX_BLOCK_BYTES = 2**31 - 1
_HEADER_BYTES = 1 << 20

# Most decimals are one of these: as a double they are what they were.
_PLAIN = r"^-?((0|[1-9][0-9]{0,14})(\.[0-9]*)?|\.[0-9]+)([eE][+-][0-9]{1,2})?$"
_NUMBER = r"^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^-?(?i:inf|infinity)$"
# Numbers are written 1e+20, 1e-05 or 1.0E5; digits, an e and digits are a piece of a hash.
_HASH = r"^[0-9]+[eE][0-9]+$"
_LONG = r"^-?[0-9]{16,}$"
_INFINITE = r"(?i:inf)"
_LARGEST_EXACT = 2**53  # of whole numbers in a double
_TRUE, _FALSE = ("true", "TRUE", "True"), ("false", "FALSE", "False")
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = rf"^{_DAY}([ T][0-9]{{2}}(:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,9}})?)?)?)?$"
_ZONED = (
    rf"^{_DAY}[ T][0-9]{{2}}(:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,9}})?)?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
)
_FIRST_ROWS = 100


def read_csv(path: str, separator: str, keys: Collection[str], texts: Collection[str]) -> pa.Table:
    """The table, its columns typed by all of their cells and named without blanks around.

    :param separator: what its suffix says; another one that makes a key column of the header wins.
    :param keys: names, in lower case, of which one is wanted.
    :param texts: names, in lower case, of the columns that stay text whatever they hold.
    :raises SourceError: if it is not UTF-8, or a quote is never closed.
    :raises pa.ArrowException, OSError: if it cannot be read.
    """
    data, skipped = _text(path), 0
    if excels := _EXCELS_LINE.match(data):
        data, separator, skipped = data[excels.end() :], excels[1].decode("latin-1"), 1
    else:
        separator = _separator(data, separator, keys)
    parse = pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    with pa.csv.open_csv(pa.BufferReader(data), parse_options=parse) as head:
        names = head.schema.names
    table = pa.csv.read_csv(
        pa.BufferReader(data),
        # One block: pyarrow 26 loses a newline that two blocks share.
        read_options=pa.csv.ReadOptions(
            block_size=min(max(len(data) + 1, 1 << 20), _MAX_BLOCK_BYTES)
        ),
        parse_options=parse,
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=_NULLS,
            strings_can_be_null=True,
        ),
    )
    names = [text_of_cell(name.strip()).strip() for name in names]
    columns = [column.cast(pa.large_string()) for column in table.columns]
    if line := _unclosed_quote(columns, data, separator):
        raise SourceError(
            path, f'a " in the row of line {line + skipped:,} is not closed where its cell ends'
        )
    typed = [
        _as_meant(column if name.lower() in texts else _typed(column))
        for name, column in zip(names, columns, strict=True)
    ]
    return pa.Table.from_arrays(typed, names=names)


def _text(path: str) -> bytes:
    """What the file holds, checked to be UTF-8."""
    try:
        with open_text(path) as opened:
            data = opened.read()
    except UnicodeDecodeError as error:
        raise SourceError(
            path, f"this table is UTF-16 and damaged ({error.reason}); save it as CSV UTF-8"
        ) from error
    if bad := first_bad_byte(data):
        line, byte = bad
        raise SourceError(
            path,
            f"this table is not UTF-8: line {line:,} holds the byte 0x{byte:02X}; "
            "save it as CSV UTF-8",
        )
    return data


def _separator(data: bytes, default: str, keys: Collection[str]) -> str:
    """The one whose header has a key; where none has, the one of most columns."""
    start = data[:_HEADER_BYTES].decode(errors="ignore")
    lines = re.split(r"\r\n|\r|\n", start)
    best, most = default, 0
    for separator in (default, *(other for other in _SEPARATORS if other != default)):
        try:
            names = next(filter(None, csv.reader(lines, delimiter=separator)), [])
        except csv.Error:
            continue
        if any(name.strip().lower() in keys for name in names):
            return separator
        if len(names) > most:
            best, most = separator, len(names)
    return best


def _unclosed_quote(columns: list[Column], data: bytes, separator: str) -> int | None:
    """A quote that is not closed where its cell ends makes one cell of the rows behind it, which
    pyarrow lets pass. It shows as a cell of several lines; only then is the file read strictly.

    :returns: the line, from 1, where the row with such a quote begins; None if there is none.
    """
    if b'"' not in data or not any(pc.any(_match(cells, r"[\r\n]")).as_py() for cells in columns):
        return None
    before = csv.field_size_limit(len(data) + 1)
    rows = csv.reader(StringIO(data.decode(), newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for _ in rows:
            line = rows.line_num + 1
    except csv.Error:
        return line
    finally:
        csv.field_size_limit(before)
    return None


def _typed(texts: Column) -> Column:
    """A column of texts as what all of them are: numbers, truths, times; else as it is."""
    first = texts.drop_null().slice(0, _FIRST_ROWS)  # most columns are told by these
    if not len(first):
        return texts
    trimmed = pc.utf8_trim_whitespace(texts)
    first = pc.utf8_trim_whitespace(first)
    typed = None
    if _all_match(first, _NUMBER):
        typed = _numbers(trimmed)
    elif _all_in(first, (*_TRUE, *_FALSE)):
        typed = _truths(trimmed)
    elif _all_match(first, _TIME):
        typed = _times(trimmed, None)
    elif _all_match(first, _ZONED):
        typed = _times(trimmed, "UTC")
    return texts if typed is None else typed


def _as_meant(column: Column) -> Column:
    """Texts without the `'` that kept a spreadsheet from running them."""
    if not pa.types.is_large_string(column.type) or not pc.any(_match(column, SAFE)).as_py():
        return column
    return pc.replace_substring_regex(column, SAFE, r"\1")


def _numbers(texts: Column) -> Column | None:
    """Whole numbers, or decimals; None where a text would be another one as a number."""
    try:
        whole = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return _decimals(texts)
    # Not so 00123 and 0x1F, which are whole numbers to pyarrow.
    is_same = pc.all(pc.equal(whole.cast(pa.large_string()), texts)).as_py()
    return whole if is_same else None


def _decimals(texts: Column) -> Column | None:
    if not _all_match(texts, _PLAIN):
        if not _all_match(texts, _NUMBER) or pc.any(_match(texts, _HASH)).as_py():
            return None
        long = texts.filter(_match(texts, _LONG)).to_pylist()
        if any(abs(int(text)) > _LARGEST_EXACT for text in long):
            return None
    numbers = texts.cast(pa.float64())
    infinite = texts.filter(pc.is_inf(numbers))
    return numbers if _all_match(infinite, _INFINITE) else None


def _truths(texts: Column) -> Column | None:
    if not _all_in(texts, (*_TRUE, *_FALSE)):
        return None
    return pc.if_else(pc.is_null(texts), None, pc.is_in(texts, pa.array(_TRUE)))


def _times(texts: Column, zone: str | None) -> Column | None:
    """To the microsecond; None where one is no time, such as the 31st of February."""
    kind = pa.timestamp("us", zone)
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        pass
    try:
        return pc.replace_substring_regex(texts, r"(\.[0-9]{6})[0-9]+", r"\1").cast(kind)
    except pa.ArrowInvalid:
        return None


def _match(texts: Column, pattern: str) -> Column:
    return pc.match_substring_regex(texts, pattern)


def _all_match(texts: Column, pattern: str) -> bool:
    # None where there are no texts.
    return pc.all(_match(texts, pattern)).as_py() is not False


def _all_in(texts: Column, words: tuple[str, ...]) -> bool:
    return pc.all(pc.is_in(texts.drop_null(), pa.array(words))).as_py() is not False
