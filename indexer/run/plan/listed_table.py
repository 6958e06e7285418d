"""How a listed image stands in a run's plan: one row, which can be made an `ImageFile` again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from indexer.address import ADDRESS_COLUMNS, Address
from indexer.sources import ImageFile

# What an address has beside its file.
_PARTS = tuple(name for name in ADDRESS_COLUMNS if name not in ("uri", "path_bytes"))
_ARROW = {"string": pa.string(), "int64": pa.int64()}
_SQL = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.binary(): "BLOB",
    pa.list_(pa.string()): "VARCHAR[]",
}
LISTED = pa.schema(
    [
        ("source", pa.int32()),
        ("turn", pa.int64()),  # in which it was listed, within its batches
        ("uri", pa.string()),
        ("file_uri", pa.string()),  # of an image that is only a part of a file; else null
        ("path_bytes", pa.binary()),
        *((name, _ARROW[kind]) for name, kind in ADDRESS_COLUMNS.items() if name in _PARTS),
        ("size_bytes", pa.int64()),
        ("modified_us", pa.int64()),
        ("etag", pa.string()),
        ("columns_etag", pa.string()),
        ("sidecars", pa.list_(pa.string())),
        ("refused", pa.string()),
    ]
)
# From 0, of all sources in the run's order: which file of the listing the image is, or lies in.
_NUMBERED = LISTED.append(pa.field("file_number", pa.int64()))
LISTED_SQL = ", ".join(f'"{field.name}" {_SQL[field.type]}' for field in _NUMBERED)
FILE = ", ".join(f'l."{name}"' for name in LISTED.names)
FILE_FIELDS = len(LISTED)  # what comes after a file in a query's row starts here
# In the image's file.
PLACE = 'l."offset", l.row_group, l.row_index, l.stream_id, l.time_us, l.turn'


class Arrived(NamedTuple):
    """Some files of a listing, all images of each of which are stored."""

    end: int  # the number of the first file after them
    images: int


class Numbered:
    """Makes rows of what is listed, and counts its files.

    `arrived` says which are complete: the images of a container come one after the other, and the
    last file may have more. It may be read by another thread.
    """

    def __init__(self) -> None:
        self.arrived: deque[Arrived] = deque()
        self._number = -1
        self._uri: str | None = None  # of the last file
        self._open = 0  # images of it so far
        self._turn = 0  # of the next image
        self._waiting = 0  # images that `arrived` does not say yet, those included

    def table(self, source: int, files: Sequence[ImageFile]) -> pa.Table:
        """:param files: the next ones that a source lists, at least one."""
        numbers = []
        for file in files:
            if file.address.uri != self._uri:
                self._uri = file.address.uri
                self._number += 1
                self._open = 0
            numbers.append(self._number)
            self._open += 1
        self._waiting += len(files)
        turns = range(self._turn, self._turn + len(files))
        self._turn = turns.stop
        whole = all(file.address.is_whole for file in files)
        rows = (_whole_columns if whole else _columns)(source, turns, files)
        return pa.table([*rows, pa.array(numbers, pa.int64())], schema=_NUMBERED)

    def stored(self) -> None:
        """All rows that were made are in the plan."""
        if complete := self._waiting - self._open:
            self.arrived.append(Arrived(self._number, complete))
            self._waiting = self._open

    def source_ended(self) -> None:
        """What comes is another file, whatever its name."""
        if self._waiting:
            self.arrived.append(Arrived(self._number + 1, self._waiting))
        self._uri, self._waiting, self._open = None, 0, 0


def _columns(source: int, turns: range, files: Sequence[ImageFile]) -> list[pa.Array]:
    each = zip(turns, files, strict=True)
    rows = zip(*(_listed(source, turn, file) for turn, file in each), strict=True)
    return [pa.array(row, field.type) for row, field in zip(rows, LISTED, strict=True)]


def _whole_columns(source: int, turns: range, files: Sequence[ImageFile]) -> list[pa.Array]:
    """As `_columns`, of files that are images: a column at a time, which takes half as long."""
    count = len(files)
    known: dict[str, list[Any]] = {
        "uri": [file.address.uri for file in files],
        "path_bytes": [file.address.path_bytes for file in files],
        "size_bytes": [file.size_bytes for file in files],
        "modified_us": [file.modified_us for file in files],
        "etag": [file.etag for file in files],
        "columns_etag": [file.columns_etag for file in files],
        "sidecars": [file.sidecars for file in files],
        "refused": [file.refused for file in files],
    }
    known |= {"source": [source] * count, "turn": list(turns)}
    return [
        pa.array(known[field.name], field.type)
        if field.name in known
        else pa.nulls(count, field.type)
        for field in LISTED
    ]


def _listed(source: int, turn: int, file: ImageFile) -> tuple[Any, ...]:
    """A row of LISTED."""
    address = file.address
    facts = (
        file.size_bytes,
        file.modified_us,
        file.etag,
        file.columns_etag,
        file.sidecars,
        file.refused,
    )
    if address.is_whole:
        return source, turn, address.uri, None, address.path_bytes, *[None] * len(_PARTS), *facts
    uri, *rest = address.columns().values()
    return source, turn, address.key, uri, *rest, *facts


def file_of(row: Sequence[Any]) -> ImageFile:
    """:param row: begins with the columns of FILE."""
    _, _, uri, file_uri, path_bytes, *place = row[: FILE_FIELDS - 6]
    size_bytes, modified_us, etag, columns_etag, sidecars, refused = row[FILE_FIELDS - 6 :][:6]
    parts = dict(zip(_PARTS, place, strict=True))
    address = Address.of({"uri": file_uri or uri, "path_bytes": path_bytes, **parts})
    known = (size_bytes, modified_us, etag, columns_etag)
    return ImageFile(address, *known, tuple(sidecars or ()), refused)
