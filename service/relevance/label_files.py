"""Labels from a table that somebody filled in: CSV with a header, columns `uri` or `row_id`, `label`, and `labeller`.

A line that cannot be used is a problem with its number and a sentence; the other lines count all the same.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from indexer.errors import BadRequest
from indexer.sources.names import uri_of
from service.relevance.labels import UNNAMED, NewLabel

Problem = tuple[int, str]  # the line, counted from 1 with the header, and what is wrong with it

WORDS = {
    **dict.fromkeys(("yes", "y", "1", "true", "keep"), "yes"),
    **dict.fromkeys(("no", "n", "0", "false", "drop"), "no"),
    "skip": "skip",
}
COLUMNS = ("uri", "row_id", "label", "labeller")


def read_label_file(
    source: str | Path | TextIO,
    find_uri: Callable[[str], int | None],
    has_row: Callable[[int], bool],
    *,
    labeller: str = UNNAMED,
    purpose: str = "picked",
) -> tuple[list[NewLabel], list[Problem]]:
    """Read labels; nothing is saved yet.

    Columns of other names are left alone. Separators may be commas, semicolons or tabs. Where a line has both a uri and
    a row_id, they must not name two rows.

    :param source: a file's path, or its text.
    :param find_uri: the row_id of a uri, None if there is none; has_row: whether there is such a row.
    :param labeller: who labelled the lines that do not say.
    :raises BadRequest: if there is no such file, it is not UTF-8, or its header lacks the columns.
    """
    name, text = (
        ("the labels", source.read()) if isinstance(source, io.TextIOBase) else _read(Path(str(source)))
    )
    labels: list[NewLabel] = []
    problems: list[Problem] = []
    for line, row in _rows(name, text, problems):
        try:
            row_id = _row_id(row, find_uri, has_row)
            who = row.get("labeller") or labeller
            labels.append(NewLabel(row_id, _label(row.get("label", "")), who, purpose))
        except BadRequest as error:
            problems.append((line, str(error)))
    return labels, sorted(problems)


def read_paths(path: Path) -> list[str]:
    """The uris of a list of images, as `search --paths`, `--print0` and `export` print it; empty lines are passed over.

    :param path: of a file; - for standard input.
    :raises BadRequest: if it cannot be read, or names nothing.
    """
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise BadRequest("file", f"{path} cannot be read ({error.strerror})") from None
    separator = b"\0" if b"\0" in data else b"\n"
    lines = data.removeprefix(b"\xef\xbb\xbf").split(separator)
    uris = [uri_of(line.removesuffix(b"\r"))[0] for line in lines if line.strip()]
    if not uris:
        raise BadRequest("file", f"{path} names no image; it needs one path a line")
    return uris


def _read(path: Path) -> tuple[str, str]:
    try:
        return str(path), path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequest("labels", f"{path} is not UTF-8 text; save it as CSV in UTF-8") from None
    except OSError as error:
        raise BadRequest("labels", f"{path} cannot be read ({error.strerror})") from None


def _rows(name: str, text: str, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line's number and its cells by column, both ends of them bare of spaces; empty lines are passed over."""
    text = text.removeprefix("\ufeff")
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
            yield line, {column: cell.strip() for column, cell in zip(columns, cells, strict=False)}


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


def _row_id(
    row: dict[str, str], find_uri: Callable[[str], int | None], has_row: Callable[[int], bool]
) -> int:
    uri, number = row.get("uri", ""), row.get("row_id", "")
    if number:
        row_id = int(number) if number.isascii() and number.isdecimal() and len(number) <= 16 else 0
        if not row_id or not has_row(row_id):
            raise BadRequest("row_id", f"{_shown(number)} is no row of this lake")
        if uri and find_uri(uri) not in (None, row_id):  # None: the image has moved since, its row_id stayed
            raise BadRequest("row_id", f"row {row_id} is not {_shown(uri)}; take one of the two out")
        return row_id
    if not uri:
        raise BadRequest("uri", "the line names no image: both uri and row_id are empty")
    found = find_uri(uri)
    if found is None:
        raise BadRequest("uri", f"{_shown(uri)} is not in this lake")
    return found


def _label(text: str) -> str:
    if text.lower() not in WORDS:
        what = f"{_shown(text)} is not a label" if text else "it is empty"
        raise BadRequest("label", f"{what}; write yes, no or skip")
    return WORDS[text.lower()]


def _shown(text: str) -> str:
    return repr(text if len(text) <= 200 else f"{text[:200]}...")
