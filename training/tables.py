"""CSV files that name images and say what each shows. Looks for the images, opens none."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from indexer.errors import BadRequest
from indexer.sources.cells import text_of_cell
from indexer.sources.names import is_url

Kind: TypeAlias = Literal["labelled", "captioned"]

IMAGE_COLUMNS = ("uri", "image")
CAPTION_COLUMNS = ("text", "caption")
LABEL_COLUMN = "label"


def rows(table: Path) -> tuple[Kind, list[tuple[str, str]]]:
    """Its kind, and each line's image and text, as they stand there but for white space.

    :raises BadRequest: if it cannot be read, is not CSV in UTF-8, lacks a column, or a line lacks a
        value.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            reader.fieldnames = [column.strip().lower() for column in reader.fieldnames or ()]
            image, words = _columns(table, reader.fieldnames)
            lines = [
                (
                    reader.line_num,
                    text_of_cell(row[image].strip()),
                    " ".join(text_of_cell(row[words].strip()).split()),
                )
                for row in reader
            ]
    except UnicodeDecodeError as error:
        raise BadRequest(str(table), "it is not UTF-8; save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise BadRequest(str(table), f"it is not CSV ({error})") from error
    except OSError as error:
        raise BadRequest(str(table), f"cannot be read ({error.strerror})") from error
    for number, name, text in lines:
        if not name or not text:
            raise BadRequest(str(table), f"line {number} has no {words if name else image}")
    kind: Kind = "labelled" if words == LABEL_COLUMN else "captioned"
    return kind, [(name, text) for _, name, text in lines]


def _columns(table: Path, columns: Sequence[str]) -> tuple[str, str]:
    """The column of images, and the one of captions or labels."""
    images = [column for column in IMAGE_COLUMNS if column in columns]
    words = [column for column in (*CAPTION_COLUMNS, LABEL_COLUMN) if column in columns]
    if not images or not words:
        wanted = "uri (or image)" if not images else "text (or caption), or label"
        found = ", ".join(filter(None, columns)) or "none"
        raise BadRequest(str(table), f"it has no column {wanted}; its columns are: {found}")
    if LABEL_COLUMN in words and len(words) > 1:
        raise BadRequest(
            str(table), f"it has both {words[0]} and {LABEL_COLUMN}; keep the one to learn from"
        )
    return images[0], words[0]


def local(folder: Path, name: str) -> Path | None:
    """The file of that name or file:// URL;
    None if it is not there, or elsewhere than on this machine.
    """
    if is_url(name):
        try:
            parts = urlsplit(name)
        except ValueError:  # "file://[": no URL after all
            return None
        if parts.scheme.lower() != "file" or parts.netloc not in ("", "localhost"):
            return None
        name = url2pathname(parts.path)
    path = folder / name
    return path if os.path.isfile(path) else None  # noqa: PTH113 - Path's raises on names that no file can have
