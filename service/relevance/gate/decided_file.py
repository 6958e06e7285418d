"""Decisions of new images as a CSV file, written as they come:
whole under its name, or not there.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from indexer.disk.entries import create_file
from indexer.errors import LakeError
from indexer.sources.cells import safe_cell
from service.formats.place import alone_at
from service.relevance.gate.answers import ImageDecided

COLUMNS = tuple(each.name for each in fields(ImageDecided))


def part_of(path: Path) -> Path:
    """Where the lines lie until the last one is written;
    they stay there if a person stops the run.
    """
    return path.with_name(path.name + ".part")


@contextmanager
def decided_file(
    path: Path, *, raw_cells: bool = False
) -> Iterator[Callable[[Iterable[ImageDecided]], None]]:
    """Gives what writes some decisions more.

    :param path: a new file.
    :param raw_cells: for programs: texts that a spreadsheet would run as formulas stand as they
        are, without a `'` before them.
    :raises LakeError: if there is such a file already, or it cannot be written; then no half of it
        stays.
    :raises LakeLocked: if another process or thread writes it.
    """
    with alone_at(path, "another run of `decide`"):
        if os.path.lexists(path):
            raise LakeError(f"{path} is there already; name a new file, or take that one away")
        with _decided_file(path, (lambda value: value) if raw_cells else safe_cell) as write:
            yield write


@contextmanager
def _decided_file(
    path: Path, as_cell: Callable[[Any], Any]
) -> Iterator[Callable[[Iterable[ImageDecided]], None]]:
    part = part_of(path)
    with _told(path):
        # Never into what has this name: it may be a link among somebody's photos.
        file = io.TextIOWrapper(create_file(part), encoding="utf-8", newline="")
    writer = csv.writer(file, lineterminator="\n")

    def write(decided: Iterable[ImageDecided]) -> None:
        values = (image.to_json().values() for image in decided)
        with _told(path):
            writer.writerows(
                [["" if value is None else as_cell(value) for value in row] for row in values]
            )
            file.flush()

    try:
        with file:
            with _told(path):
                writer.writerow(COLUMNS)
            yield write
        with _told(path):
            part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        if error.filename is not None or isinstance(error, BrokenPipeError):
            raise  # another file's trouble, or the end of a pipe
        # closing a file on a full disk fails once more, with the lines it still holds
        with _told(path):
            raise
    except Exception:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LakeError(
            f"{path} cannot be written ({error.strerror}); nothing of it was kept"
        ) from None
