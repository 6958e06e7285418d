"""Reads labels from a file: yes, no or skip of an image, and by whom.

A person's table (CSV) says yes, no or skip itself. An annotation tool's file is read in two ways.
Where people only chose (the tags or choices `keep`, `drop`, `ask`, as handed over; `yes` and `no`
do as well): keep is yes, drop is no, ask is skip. Where people drew or named things, the caller
names the categories that make an image relevant: an image with one of them is yes, one with none
but others is no.

An image that nobody answered is not a label, and no problem either: it is counted. An image without
any category is one of those, unless the caller says that every image of the file was looked at, so
that an empty one means no. What cannot be understood is listed, and the rest is read: it is never a
label. A category that means yes and that the file does not know is refused with all of it.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from pathlib import Path

from indexer.errors import BadRequest
from indexer.sources.local import os_reason
from service.formats.format_list import FORMATS, Format, names, taken_back
from service.formats.incoming import IncomingLabels, Reading

MAX_BYTES = 2_000_000_000


def read_labels(
    path: Path,
    format: str,
    *,
    yes: Sequence[str] = (),
    empty_is_no: bool = False,
    root: str | None = None,
) -> IncomingLabels:
    """Read the labels of a file; nothing is saved yet.

    :param format: one of those that `format_list.taken_back` lists.
    :param yes: the categories of a tool's file that make an image relevant; none: keep, drop and
        ask were chosen.
    :param empty_is_no: an image without any category is a no, as where every image of the file was
        looked at.
    :param root: as it was given to the export; in a table, what its paths are below.
    :raises BadRequest: if the file cannot be read, is not of this format at all, or knows one of
        yes neither as a category it defines nor as one it uses.
    """
    form = FORMATS.get(format)
    if form is None or not form.reads:
        there = ", ".join(names(taken_back()))
        raise BadRequest("format", f"{format!r} brings no labels; {there} do")
    try:
        data = _read(path)
    except OSError as error:
        raise _unreadable(path, form, error) from error
    try:
        return form.read(data, Reading(str(path), frozenset(yes), empty_is_no, root))
    except ValueError as error:
        raise BadRequest("file", f"{path} is no {format} file: {error}") from error


def _unreadable(path: Path, form: Format, error: OSError) -> BadRequest:
    if form.by_hand:
        return BadRequest("labels", f"{path} cannot be read ({error.strerror})")
    return BadRequest("file", f"{path} cannot be read: {os_reason(error)}")


def _read(path: Path) -> bytes:
    size = os.stat(path).st_size  # noqa: PTH116 - as elsewhere
    if size > MAX_BYTES:
        raise BadRequest("file", f"{path} has {size:,} bytes; at most {MAX_BYTES:,} are read")
    return path.read_bytes().removeprefix(codecs.BOM_UTF8)  # which editors on Windows put there
