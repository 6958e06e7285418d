"""What a labelled set says, as its source lists it, without a lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from indexer.sources import Listing
from indexer.sources.opening import open_source
from tests.lakes import BLUE, GREEN, RED, YELLOW, png, write

COLOURS = [RED, GREEN, BLUE, YELLOW]


class Set(NamedTuple):
    said: dict[str, dict[str, Any]]  # by where images lie, below the root
    told: list[str]  # what was left out, without the source's own name
    missing: list[str]  # images that are named and not there
    kept: list[str]  # places below which rows stay as they are


def listed(
    source: str | Path, root: str | Path, layout: str | None = None, *, crops: bool = False
) -> Set:
    opened = open_source(str(source), layout=layout, crops=crops)
    listing = Listing()
    said, missing = {}, []
    for file in opened.files(listing):
        name = str(file.address).removeprefix(f"{root}/")
        said[name] = dict(opened.columns(file)) if file.columns_etag is not None else {}
        if file.modified_us is None:
            missing.append(name)
    listing.sort()
    told = [reason for _, reason in listing.left_out]
    return Set(said, told, missing, [prefix for prefix, _ in listing.unlisted])


def labels(found: Set) -> dict[str, Any]:
    """Name -> labels and number of boxes."""
    return {
        name: (columns.get("labels"), columns.get("box_count"))
        for name, columns in found.said.items()
    }


def photos(root: Path, *names: str) -> None:
    """Pictures of 40 x 30 px and more, each another one."""
    for number, name in enumerate(names):
        write(root / name, png(COLOURS[number % 4], (40, 30 + number // 4)))
