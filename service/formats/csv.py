"""csv: a table in UTF-8, a header and then one line an image.

It follows RFC 4180, but a line ends with \\n alone. A value that is not there is an empty field.
`uri` escapes a path's undecodable bytes as everywhere in a lake. A text that a spreadsheet would
run as a formula has a `'` before it, unless a program is to read it; the reader takes it off.

Labels come back in a table that somebody filled in: the columns `uri` or `row_id`, `label`, and
`labeller`; columns of other names are left alone. Separators may be commas, semicolons or tabs. A
line that cannot be used is a problem with its number and a sentence; the other lines count all the
same.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from indexer.errors import BadRequest
from indexer.sources.cells import UNSAFE, safe_cell, text_of_cell
from service.formats.batch import Batch, LeftOutItem
from service.formats.chunk import Job
from service.formats.incoming import (
    FileProblem,
    IncomingLabel,
    IncomingLabels,
    Reading,
    plain_name,
    quoted,
)
from service.formats.item import Item
from service.formats.table_columns import OWN, own_column, own_values, plain_columns
from service.search.json_columns import bytes_of, first_bytes, joined, numbers_json, plain_texts

WORDS: dict[str, Literal["yes", "no", "skip"]] = {
    **dict.fromkeys(("yes", "y", "1", "true", "keep"), "yes"),
    **dict.fromkeys(("no", "n", "0", "false", "drop"), "no"),
    "skip": "skip",
}
COLUMNS = ("uri", "row_id", "label", "labeller")
_IN_QUOTES = np.isin(np.arange(256), list(b',"\r\n'))  # bytes that a bare cell has not
# first bytes of what UNSAFE matches: signs of full width begin with 0xEF
_MAY_RUN = np.isin(np.arange(256), list(b"' \t\r\n\x00=+-@\xef"))
MOST_DIGITS = 16  # of a row_id, which is below 2^53


class Writer:
    def __init__(self, job: Job, file: BinaryIO) -> None:
        # Not "\n" from the start: a Python before 3.13 then leaves a cell with a bare \r unquoted.
        self._lines = csv.writer(_Encoder(file), lineterminator="\r\n")
        self._file = file
        self._is_raw = job.raw_cells
        self._as_cell = _cell if job.raw_cells else _safe
        self._names: dict[str, str] | None = (
            None if job.schema is None else plain_columns(job.schema.names)
        )
        if self._names is not None:
            self._write(self._header)

    def add(self, item: Item) -> None:
        if self._names is None:
            self._names = plain_columns(item.columns)
            self._write(self._header)
        columns = item.to_json()["columns"]
        self._write([*own_values(item), *(columns.get(name) for name in self._names)])

    def add_all(self, batch: Batch) -> list[LeftOutItem]:
        if self._names is None:
            self._names = plain_columns(batch.rows.column_names)
            self._write(self._header)
        columns = [own_column(batch, name) for name in OWN]
        columns += [batch.column(name) for name in self._names]
        cells = [_cells(column, is_safe=not self._is_raw) for column in columns]
        lines = pc.binary_join_element_wise(
            *cells, ",", null_handling="replace", null_replacement=""
        )
        self._file.write(bytes_of(joined(lines, "\n")))
        return []

    def finish(self) -> None:
        if self._names is None:
            self._write(OWN)

    @property
    def _header(self) -> list[str]:
        return [*OWN, *(self._names or {}).values()]

    def _write(self, values: Iterable[Any]) -> None:
        self._lines.writerow([self._as_cell(value) for value in values])


def _cell(value: Any) -> Any:
    """Truth and what has parts as JSON writes it."""
    return orjson.dumps(value).decode() if isinstance(value, bool | dict | list) else value


def _safe(value: Any) -> Any:
    return safe_cell(_cell(value))


def _cells(column: pa.Array, *, is_safe: bool) -> pa.Array | str:
    """text, (n,): the column's values as `csv.writer` writes them; "" for all, null for some that
    have none.
    """
    if column.null_count == len(column):
        return ""
    kind = column.type
    if pa.types.is_integer(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        return _numbers(column, is_safe=is_safe)
    texts = column if pa.types.is_string(kind) else plain_texts(column)
    if is_safe and _MAY_RUN[first_bytes(texts)].any():
        texts = pc.if_else(pc.match_substring_regex(texts, UNSAFE), joined("'", texts), texts)
    # By their bytes, all at once: to look at each text takes longer.
    if _IN_QUOTES[np.frombuffer(bytes_of(texts), np.uint8)].any():
        odd = pc.match_substring_regex(texts, '[,"\r\n]')
        quoted_ = joined('"', pc.replace_substring(texts, '"', '""'), '"')
        texts = pc.if_else(odd, quoted_, texts)
    return texts


def _numbers(column: pa.Array, *, is_safe: bool) -> pa.Array:
    """text, (n,): as Python writes them; null where there is none."""
    numbers = np.asarray(column.cast(pa.float64()).fill_null(0.0))
    found = numbers_json(numbers)
    # JSON has other digits than Python for these, 1e-7 for 1e-07.
    sizes = np.abs(numbers)
    odd = ~(((sizes >= 1e-3) & (sizes < 1e15)) | (sizes == 0))
    if odd.any():
        texts = [repr(number) for number in numbers[odd].tolist()]
        if is_safe:
            texts = ["'-inf" if text == "-inf" else text for text in texts]
        found = pc.replace_with_mask(found, pa.array(odd), pa.array(texts, pa.string()))
    if not column.null_count:
        return found
    return pc.if_else(column.is_valid(), found, pa.scalar(None, pa.string()))


class _Encoder:
    """Takes the text that csv writes, a line at a time, and writes its bytes.

    A TextIOWrapper would close the file, stdout even, once nobody holds it any more.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.removesuffix("\r\n").encode() + b"\n")


def read(data: bytes, reading: Reading) -> IncomingLabels:
    """Every line that names an image and a label. Whether the image is in the lake is not known
    here.

    :raises BadRequest: if it is not UTF-8, or its header lacks the columns.
    """
    labels: list[IncomingLabel] = []
    problems: list[FileProblem] = []
    for line, row in _rows(reading.name, _text(data, reading.name), problems):
        try:
            labels.append(_incoming(line, row, reading))
        except BadRequest as error:
            problems.append((line, str(error)))
    return IncomingLabels(labels, problems)


def _text(data: bytes, name: str) -> str:
    try:
        return io.TextIOWrapper(io.BytesIO(data), "utf-8-sig").read()
    except UnicodeDecodeError:
        raise BadRequest("labels", f"{name} is not UTF-8 text; save it as CSV in UTF-8") from None


def _rows(
    name: str, text: str, problems: list[FileProblem]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line's number and its cells by column, both ends of them bare of spaces; empty lines are
    passed over.
    """
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)  # the first of them where none is there
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns = _header(name, reader)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # it goes on with the next line
            lines = "it is" if reader.line_num <= line else f"lines {line} to {reader.line_num} are"
            problems.append((line, f"{lines} not CSV ({error}); check the quotes"))
            continue
        if len(cells) > len(columns):
            problems.append((line, f"it has {len(cells)} cells, the header {len(columns)}"))
        elif any(cells):
            texts = (text_of_cell(cell.strip()).strip() for cell in cells)
            yield line, dict(zip(columns, texts, strict=False))


def _header(name: str, reader: Iterator[list[str]]) -> list[str]:
    try:
        cells = next(reader, [])
    except csv.Error as error:
        raise BadRequest("labels", f"the first line of {name} is not CSV ({error})") from None
    columns = [cell.strip().lower() for cell in cells]
    if "label" not in columns or not {"uri", "row_id"} & set(columns):
        found = ", ".join(cells) or "nothing"
        raise BadRequest(
            "labels",
            f"{name} needs a first line that names a column label and a column uri or row_id; it has {found[:200]}",
        )
    twice = next((column for column in COLUMNS if columns.count(column) > 1), None)
    if twice:
        raise BadRequest("labels", f"{name} has two columns {twice}; take one out")
    return columns


def _incoming(line: int, row: dict[str, str], reading: Reading) -> IncomingLabel:
    """:raises BadRequest: if the line names no image, or says no label."""
    name, number = row.get("uri", ""), row.get("row_id", "")
    if not name and not number:
        raise BadRequest("uri", "the line names no image: both uri and row_id are empty")
    row_id = _row_id(number) if number else None
    label = _label(row.get("label", ""))
    # without a root a message shows the name as the table has it
    uri = name if reading.root is None else reading.uri_of(name)
    labeller = row.get("labeller") or None
    return IncomingLabel(
        row_id, uri if name else None, label, labeller, line, plain=plain_name(name)
    )


def _row_id(number: str) -> int:
    if number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS:
        return int(number)
    raise BadRequest("row_id", f"{quoted(number)} is no row of this lake")


def _label(text: str) -> Literal["yes", "no", "skip"]:
    if text.lower() not in WORDS:
        what = f"{quoted(text)} is not a label" if text else "it is empty"
        raise BadRequest("label", f"{what}; write yes, no or skip")
    return WORDS[text.lower()]
