"""clip-retrieval's layout: `img_emb/img_emb_0.npy` beside `metadata/metadata_0.parquet`.

Vector i of a file belongs to row i of the table of the same number.
Source: https://github.com/rom1504/clip-retrieval (clip-inference, its output).
"""

from __future__ import annotations

import re
from pathlib import Path

from indexer.errors import SourceError

VECTORS, METADATA = "img_emb", "metadata"
_VECTORS_FILE = re.compile(rf"{VECTORS}_([0-9]+)\.npy")


def vectors_name(number: int, digits: int) -> str:
    """Padded with zeros, so that the files in order of their names are in order of their rows."""
    return f"{VECTORS}/{VECTORS}_{number:0{digits}d}.npy"


def metadata_name(number: int, digits: int) -> str:
    return f"{METADATA}/{METADATA}_{number:0{digits}d}.parquet"


def is_layout(folder: Path) -> bool:
    return (folder / VECTORS).is_dir()


def pairs_in(folder: Path) -> list[tuple[Path, Path]]:
    """Files of vectors and the tables of their rows, by their numbers.

    :raises SourceError: if there are none, or one of a pair is missing.
    """
    vectors = _by_number(folder / VECTORS, _VECTORS_FILE)
    tables = _by_number(folder / METADATA, re.compile(rf"{METADATA}_([0-9]+)\.parquet"))
    if not vectors:
        raise SourceError(str(folder / VECTORS), f"there is no {VECTORS}_NUMBER.npy in it")
    for number in sorted(vectors.keys() ^ tables.keys()):
        if number in vectors:
            reason = f"there is no {METADATA}_{number}.parquet for it in {folder / METADATA}"
            raise SourceError(str(vectors[number]), reason)
        reason = f"there is no {VECTORS}_{number}.npy for it in {folder / VECTORS}"
        raise SourceError(str(tables[number]), reason)
    return [(vectors[number], tables[number]) for number in sorted(vectors)]


def _by_number(folder: Path, name: re.Pattern[str]) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if match := name.fullmatch(path.name):
            number = int(match[1])
            if number in found:
                raise SourceError(str(path), f"it has the number of {found[number].name}")
            found[number] = path
    return found
