"""Lance: which fragments a dataset consists of, and where the images of each lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from indexer.address import Address
from indexer.errors import SourceError
from indexer.sources.catalogue import DataFile, Table, below
from indexer.sources.containers.image_columns import holds_bytes
from indexer.sources.containers.lance import (
    image_column_of,
    is_blob,
    lance_reason,
    leaf_of,
    open_dataset,
)
from indexer.sources.sidecars import mark
from indexer.sources.store import Stores

_OUTSIDE = "they lie outside the table's folder, as those of a shallow clone; write the table whole"


def open_lance(root: Address, stores: Stores) -> Table:
    """:raises SourceError: if it cannot be read."""
    dataset = open_dataset(root)
    try:
        column = image_column_of(dataset)
        paths = dict(_paths(dataset.lance_schema.fields()))
        wanted = None if column is None else leaf_of(dataset.schema.field(column))
        number = next((number for number, path in paths.items() if path == wanted), None)
        files: list[DataFile] = []
        outside = 0
        for fragment in dataset.get_fragments() if number is not None else ():
            parts = fragment.data_files()
            holding = next((part for part in parts if number in part.fields), None)
            if holding is None:  # the column came after these rows
                continue
            place = below(root, f"data/{holding.path}")
            if place is None or any(part.base_id is not None for part in parts):
                outside += 1
                continue
            files.append(_file(place, holding, fragment, paths, column))
    except (pa.ArrowException, OSError, ValueError, RuntimeError) as error:
        raise SourceError(
            root.uri, f"this Lance table cannot be read: {lance_reason(error)}"
        ) from error
    passed_over = {_OUTSIDE: outside} if outside else {}
    return Table(tuple(files), passed_over, lambda: _read(root, dataset))


def _file(
    place: Address, holding: Any, fragment: Any, paths: dict[int, str], column: str | None
) -> DataFile:
    parts = [(part.path, tuple(part.fields)) for part in fragment.data_files()]
    # Of the columns in the fragment alone: one that came later changes nothing here.
    called = sorted(
        (number, paths.get(number)) for _, fields in parts for number in fields if number >= 0
    )
    deleted = fragment.deletion_file()
    overlays = getattr(fragment.metadata, "overlays", None) or ()
    return DataFile(
        place,
        "lance",
        holding.file_size_bytes or 0,
        mark((parts, called, deleted, *map(repr, overlays), column)),
        column=column,
    )


def _paths(fields: Any, above: str = "") -> Iterator[tuple[int, str]]:
    """Number and name of each column and of all that is in it."""
    for field in fields:
        path = f"{above}{field.name()}"
        yield field.id(), path
        yield from _paths(field.children(), f"{path}.")


def _read(root: Address, dataset: Any) -> pa.Table:
    names = [f.name for f in dataset.schema if not is_blob(f) and not holds_bytes(f.type)]
    try:
        return dataset.to_table(columns=names)
    except (pa.ArrowException, OSError, ValueError, RuntimeError) as error:
        why = f"its rows cannot be read: {lance_reason(error)}"
        raise SourceError(root.uri, why) from error
