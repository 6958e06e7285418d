"""Labels coming back from an annotation tool's file: yes, no or skip of an image, and by whom.

Two ways to read them. Where people only chose (the tags or choices `keep`, `drop`, `ask`, as handed over; `yes` and
`no` do as well): keep is yes, drop is no, ask is skip. Where people drew or named things, the caller names the
categories that make an image relevant: an image with one of them is yes, one with none but others is no.

An image that nobody answered is not a label, and no problem either: it is counted. An image without any category is
one of those, unless the caller says that every image of the file was looked at, so that an empty one means no. What
cannot be understood is listed, and the rest is read.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from indexer.errors import BadRequest
from indexer.sources.local import os_reason
from indexer.sources.names import is_url

MAX_BYTES = 2_000_000_000
MEANINGS: dict[str, Literal["yes", "no", "skip"]] = {
    "keep": "yes",
    "drop": "no",
    "ask": "skip",
    "yes": "yes",
    "no": "no",
    "skip": "skip",
}


@dataclass(frozen=True, slots=True)
class IncomingLabel:
    """One person's answer on one image, which is named by row_id, uri or both.

    A row_id is of the lake that handed the image over; where both are there and that row has another uri, it is not
    of this lake.
    """

    row_id: int | None
    uri: str | None
    label: Literal["yes", "no", "skip"]
    labeller: str | None


@dataclass(frozen=True, slots=True)
class IncomingLabels:
    """What a file holds."""

    labels: list[IncomingLabel] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)  # what it is about, a sentence
    unanswered: int = 0  # images on which nobody said anything


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file's categories become answers."""

    yes: frozenset[str] = frozenset()  # the categories that make an image relevant; empty: people chose
    empty_is_no: bool = False
    root: str | None = None  # what the tool has for its top folder, as it was given to the export

    def answer(self, names: Iterable[str]) -> Literal["yes", "no", "skip"] | None:
        """What one person's categories of an image say; None: nothing.

        :raises ValueError: if they say two things, or nothing that is known; str() is a sentence.
        """
        found = list(dict.fromkeys(names))
        if not found:
            return "no" if self.empty_is_no else None
        if self.yes:
            return "yes" if self.yes.intersection(found) else "no"
        unknown = [name for name in found if name.lower() not in MEANINGS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not keep, drop or ask; name the categories that mean yes")
        meanings = {MEANINGS[name.lower()] for name in found}
        if len(meanings) > 1:
            raise ValueError(f"it is both {' and '.join(found)}")
        return meanings.pop()

    def uri_of(self, name: str) -> str:
        """The uri of what `Item.below(root)` named so; an absolute path, or a URL, is one already."""
        if is_url(name) or name.startswith("/"):
            return name
        return f"{'' if self.root is None else self.root.rstrip('/')}/{name}"


def read_labels(
    path: Path,
    format: str,
    *,
    yes: Sequence[str] = (),
    empty_is_no: bool = False,
    root: str | None = None,
) -> IncomingLabels:
    """Read the labels of a Label Studio JSON export, a CVAT-for-images XML, or a COCO JSON file.

    :param format: label_studio, cvat or coco.
    :param yes: the categories that make an image relevant; none: keep, drop and ask were chosen.
    :param empty_is_no: an image without any category is a no, as where every image of the file was looked at.
    :param root: as it was given to the export.
    :raises BadRequest: if the file cannot be read, or is not of this format at all.
    """
    from service.export.incoming_coco import read_coco
    from service.export.incoming_cvat import read_cvat
    from service.export.incoming_label_studio import read_label_studio

    readers = {"label_studio": read_label_studio, "cvat": read_cvat, "coco": read_coco}
    if format not in readers:
        raise BadRequest("format", f"{format!r} brings no labels; {', '.join(readers)} do")
    try:
        data = _read(path)
    except OSError as error:
        raise BadRequest("file", f"{path} cannot be read: {os_reason(error)}") from error
    try:
        return readers[format](data, Reading(frozenset(yes), empty_is_no, root))
    except ValueError as error:
        raise BadRequest("file", f"{path} is no {format} file: {error}") from error


def _read(path: Path) -> bytes:
    size = os.stat(path).st_size  # noqa: PTH116 - as elsewhere
    if size > MAX_BYTES:
        raise BadRequest("file", f"{path} has {size:,} bytes; at most {MAX_BYTES:,} are read")
    return path.read_bytes().removeprefix(codecs.BOM_UTF8)  # which editors on Windows put there


class Collected:
    """Gathers answers and problems while a file is read."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.result: list[IncomingLabel] = []
        self.problems: list[tuple[str, str]] = []
        self.unanswered = 0

    def take(
        self, about: str, row_id: int | None, uri: str | None, names: Iterable[str], labeller: str | None
    ) -> bool:
        """Whether these categories of one person are an answer; if not, and they make no sense, that is told."""
        try:
            label = self.reading.answer(names)
        except ValueError as error:
            self.problem(about, str(error))
            return True
        if label is None:
            return False
        self.result.append(IncomingLabel(row_id, uri, label, labeller))
        return True

    def problem(self, about: str, sentence: str) -> None:
        self.problems.append((about, sentence))

    def labels(self) -> IncomingLabels:
        return IncomingLabels(self.result, self.problems, self.unanswered)
