"""What parts found in the containers that they looked into, so that whoever commits need not look
into them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.disk.entries import check_file
from indexer.errors import UnreadableImage
from indexer.run.plan.listed_table import LISTED, file_of
from indexer.sources import ImageFile


class _Place(NamedTuple):
    file: int
    start: int  # row
    rows: int


class Members:
    """Of several such files. What cannot be read is as if it were not there: then the container
    itself is looked into. For one thread at a time.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files: list[pq.ParquetFile] = []
        self._places: dict[str, _Place] = {}
        self._held: tuple[int, int, pa.Table] | None = None  # file, row group, its rows
        for path in paths:
            self._add(path)

    def _add(self, path: Path) -> None:
        places: dict[str, _Place] = {}
        try:
            check_file(path)
            file = pq.ParquetFile(path, memory_map=True)
            if not _is_listing(file.schema_arrow):
                return
            start = 0
            for uri, rows in groupby(_uris(file)):
                size = sum(1 for _ in rows)
                places[str(uri)] = _Place(len(self._files), start, size)
                start += size
        except (OSError, pa.ArrowException):
            return
        self._files.append(file)
        self._places = places | self._places

    def of(self, uri: str) -> Sequence[ImageFile]:
        """The images of a container, in their order; none where it is not known."""
        place = self._places.get(uri)
        if place is None:
            return ()
        try:
            rows = self._rows(place).to_pylist()
            images = [file_of([row[name] for name in LISTED.names]) for row in rows]
        except (OSError, pa.ArrowException, UnreadableImage):
            return ()
        # A lake may come from somebody else: what it says lies there does.
        return images if all(image.uri == uri for image in images) else ()

    def _rows(self, place: _Place) -> pa.Table:
        file, tables, first = self._files[place.file], [], 0
        for number in range(file.num_row_groups):
            size = file.metadata.row_group(number).num_rows
            start, end = max(place.start, first), min(place.start + place.rows, first + size)
            if start < end:
                tables.append(self._group(place.file, number).slice(start - first, end - start))
            first += size
        return pa.concat_tables(tables)

    def _group(self, file: int, number: int) -> pa.Table:
        if self._held is None or self._held[:2] != (file, number):
            self._held = (file, number, self._files[file].read_row_group(number))
        return self._held[2]


def _uris(file: pq.ParquetFile) -> Iterator[str | None]:
    for number in range(file.num_row_groups):
        yield from file.read_row_group(number, columns=["file_uri"])["file_uri"].to_pylist()


def _is_listing(schema: pa.Schema) -> bool:
    """Whether a file has the columns of `LISTED`; writers call what is in a list otherwise."""
    if schema.names != LISTED.names:
        return False
    return all(
        now.type == wanted.type
        or (pa.types.is_list(now.type) and pa.list_(now.type.value_type) == wanted.type)
        for now, wanted in zip(schema, LISTED, strict=True)
    )
