"""Iceberg: which Parquet files a table consists of, and which of their rows are deleted.

Metadata and manifests are read by `pyiceberg`, through files that are opened here: below the
table's folder alone, whatever the table says. The data files are read as any Parquet file, so that
an image is shown without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from indexer.address import Address
from indexer.errors import SourceError, UnreadableImage
from indexer.sources.catalogue import DataFile, RowNumbers, Table, below
from indexer.sources.catalogue.folders import is_metadata, names_in
from indexer.sources.catalogue.reading import read_rows
from indexer.sources.containers.field_names import FieldNames
from indexer.sources.opened import open_file
from indexer.sources.sidecars import mark
from indexer.sources.store import Stores, store_reason

_METADATA = "metadata"
_HINT = "version-hint.text"
_NUMBER = re.compile(r"v?(\d+)")
_OUTSIDE = "they lie outside the table's folder; write the table's data into its own folder"
_NO_PARQUET = "they are no Parquet files; write the table as Parquet"


def open_iceberg(root: Address, stores: Stores) -> Table:
    """:raises SourceError: if the metadata cannot be read, or asks for more than is known here."""
    from pyiceberg.catalog.noop import NoopCatalog
    from pyiceberg.serializers import FromInputFile
    from pyiceberg.table import StaticTable

    from indexer.sources.catalogue.iceberg_files import TableFiles

    try:
        newest = _newest(root, stores)
        io = TableFiles(root, stores)
        metadata = FromInputFile.table_metadata(io.new_input(newest))
        io.moved_from(metadata.location)
        # Not by StaticTable's own way in: it loads whatever class the table's properties name.
        table = StaticTable(("table",), metadata, newest, io, NoopCatalog("table"))
        tasks = list(table.scan().plan_files())
    except (SourceError, UnreadableImage) as error:
        raise SourceError(root.uri, f"this Iceberg table cannot be read: {error.reason}") from error
    # pyiceberg, its Avro reader and each store raise their own
    except Exception as error:
        what = store_reason(error)[:300]
        if "equality deletes" in what:
            what = "it has equality deletes, as Flink writes them; compact it (rewrite_data_files)"
        raise SourceError(root.uri, f"this Iceberg table cannot be read: {what}") from error
    fields = {field.field_id: field.name for field in metadata.schema().fields}
    mapped = _mapped(metadata, fields)
    files: list[DataFile] = []
    passed_over: dict[str, int] = {}
    for task in tasks:
        place = io.place_of(task.file.file_path)
        if place is None or not place.uri.lower().endswith(".parquet"):
            why = _OUTSIDE if place is None else _NO_PARQUET
            passed_over[why] = passed_over.get(why, 0) + 1
            continue
        files.append(_file(place, task, fields, mapped, io))
    return Table(tuple(files), passed_over, lambda: read_rows(root.uri, files, stores))


def _newest(root: Address, stores: Stores) -> str:
    """The current metadata's name in the table's folder: the one with the highest number.

    :raises SourceError: if there are two of them, as a writer that failed leaves one behind.
    """
    names = names_in(root, _METADATA, stores)
    found = [(_number(name), name) for name in names if is_metadata(name)]
    if not found:
        raise SourceError(root.uri, "there is no metadata in it")
    highest = max(found)[0]
    newest = sorted(name for number, name in found if number == highest)
    if len(newest) > 1 and _HINT in names:
        hint = _hint(root, stores)
        newest = [name for name in newest if name == hint] or newest
    if len(newest) > 1:
        raise SourceError(
            root.uri,
            f"{newest[0]} and {newest[1]} are both its newest metadata, and a catalogue alone knows which "
            f"one counts; write the name of that one into {_METADATA}/{_HINT}",
        )
    return f"{_METADATA}/{newest[0]}"


def _hint(root: Address, stores: Stores) -> str:
    file = below(root, f"{_METADATA}/{_HINT}")
    assert file is not None
    opened, _ = open_file(file, stores)
    with opened:
        return opened.read(1_000).decode("utf-8", "replace").strip()


def _number(name: str) -> int:
    match = _NUMBER.match(name)
    assert match is not None
    return int(match[1])


def _mapped(metadata: Any, fields: dict[int, str]) -> dict[str, str]:
    """Columns by name, for files that were written without the numbers of their columns."""
    mapping = metadata.name_mapping()
    if mapping is None:
        return {name: name for name in fields.values()}
    return {
        old: fields[field.field_id]
        for field in mapping
        if field.field_id in fields
        for old in field.names
    }


def _file(
    place: Address, task: Any, fields: dict[int, str], mapped: dict[str, str], io: Any
) -> DataFile:
    deletes = sorted(
        (file.file_path, _offset(file), file.file_size_in_bytes) for file in task.delete_files
    )
    # Of the columns in the file alone: one that came later changes nothing here.
    there = sorted((task.file.value_counts or {}).keys()) or sorted(fields)
    called = [(number, fields.get(number)) for number in there]
    size_bytes = task.file.file_size_in_bytes
    return DataFile(
        place,
        "iceberg",
        size_bytes,
        mark((size_bytes, deletes, called)),
        (lambda: _deleted(task, io)) if deletes else None,
        FieldNames(by_id=fields, by_name=mapped),
    )


def _offset(file: Any) -> int:
    """Where a deletion vector begins in its file; 0 for one that is a file."""
    return int(getattr(file, "content_offset", None) or 0)


def _deleted(task: Any, io: Any) -> RowNumbers:
    """:raises OSError, ValueError: if they cannot be read."""
    found = [np.zeros(0, np.int64)]
    for file in task.delete_files:
        found.extend(_positions(file, task.file.file_path, io))
    return np.unique(np.concatenate(found))


def _positions(file: Any, data_file: str, io: Any) -> Iterable[RowNumbers]:
    from pyiceberg.manifest import FileFormat

    with io.new_input(file.file_path).open() as opened:
        if file.file_format == FileFormat.PARQUET:
            table = pq.read_table(opened, columns=["file_path", "pos"])
            own = table.filter(pc.equal(table.column("file_path"), data_file))
            yield own.column("pos").to_numpy().astype(np.int64)
        elif file.file_format == FileFormat.PUFFIN:
            yield from _vectors(opened.read(), data_file)
        else:
            raise ValueError(f"deletes in {file.file_format.value} files are not read")


def _vectors(data: bytes, data_file: str) -> Iterable[RowNumbers]:
    from pyiceberg.table.deletion_vector import deletion_vectors_from_puffin_file
    from pyiceberg.table.puffin import PuffinFile

    for vector in deletion_vectors_from_puffin_file(PuffinFile(data)):
        if vector.referenced_data_file == data_file:
            yield vector.to_vector().to_numpy().astype(np.int64)
