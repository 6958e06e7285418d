"""Items that one can work out by hand, and the hand-over they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from service.formats.item import Handover, Item

HANDOVER = Handover(
    "hospital", 3, 17, "Keeps at least 95 % of what is relevant, with 95 % confidence.", "keep"
)
COLUMNS = {"format": "jpeg", "caption": None, "camera": "Nikon"}


def item(row_id: int, path: str | bytes = "", **changes: Any) -> Item:
    """Row 12 is /photos/12.jpg, 640 x 480,
    kept with probability 0.9 and score 0.25, if nothing else is said.
    """
    raw = path.encode() if isinstance(path, str) else path
    raw = raw or b"/photos/%d.jpg" % row_id
    uri = changes.pop("uri", None) or raw.decode("utf-8", "backslashreplace")
    made = Item(row_id, uri, raw, 640, 480, "keep", 0.25, 0.9, None, None, COLUMNS)
    return replace(made, **changes)


def url(row_id: int, uri: str) -> Item:
    return replace(item(row_id), uri=uri, path=None)


def items(count: int) -> list[Item]:
    """Rows 1 to count."""
    return [item(row_id) for row_id in range(1, count + 1)]


class Stopped(Exception):
    """What a test throws in the middle, as Ctrl-C does."""


def stopping_after(given: Iterable[Item], count: int) -> Iterator[Item]:
    for number, one in enumerate(given):
        if number == count:
            raise Stopped
        yield one


def names(folder: Path) -> list[str]:
    """Everything in a folder, without the state files."""
    return sorted(
        path.name for path in folder.iterdir() if not path.name.endswith(".lakesift.json")
    )
