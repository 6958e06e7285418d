"""Delta Lake: which Parquet files a table consists of, and which of their rows are deleted.

The log is read by `deltalake`; the data files are read as any Parquet file, so that an image is
shown without it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from indexer.address import Address
from indexer.errors import SourceError
from indexer.sources.catalogue import DataFile, RowNumbers, Table, below, plain
from indexer.sources.catalogue.reading import read_rows
from indexer.sources.containers.field_names import FieldNames
from indexer.sources.object_store import object_store_options, place_of
from indexer.sources.sidecars import mark
from indexer.sources.store import Stores, store_reason

# What a reader must know, and this one does. Type widening: Parquet files tell their own types.
_KNOWN_FEATURES = frozenset(
    "columnMapping deletionVectors timestampNtz typeWidening typeWidening-preview v2Checkpoint "  # noqa: SIM905
    "vacuumProtocolCheck variantType variantType-preview".split()
)
_OUTSIDE = "they lie outside the table's folder, as those of a shallow clone; write the table whole"
_NO_PARQUET = "their names do not end with .parquet"


def open_delta(root: Address, stores: Stores) -> Table:
    """:raises SourceError: if the log cannot be read, or asks for more than is known here."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    place = place_of(root, "Delta")
    if root.path is not None and "%" in place:
        raise SourceError(
            root.uri, "deltalake cannot open a folder with % in its path; rename that folder"
        )
    try:
        table = DeltaTable(place, storage_options=object_store_options(root.uri))
        _check(root, table)
        actions = pa.table(table.get_add_actions()).to_pylist()
        deleted = _deleted(root, table, {action["path"] for action in actions})
        names = _names(table)
    except SourceError:
        raise
    # pyo3 raises what it likes: of its own family, of the store's, of Python's.
    except (DeltaError, OSError, ValueError, RuntimeError) as error:
        raise SourceError(root.uri, f"this Delta table cannot be read: {_brief(error)}") from error
    files: list[DataFile] = []
    passed_over: dict[str, int] = {}
    for action in actions:
        address = below(root, unquote(action["path"]))
        if address is None or not address.uri.lower().endswith(".parquet"):
            why = _OUTSIDE if address is None else _NO_PARQUET
            passed_over[why] = passed_over.get(why, 0) + 1
            continue
        files.append(_file(address, action, deleted.get(action["path"]), names))
    return Table(tuple(files), passed_over, lambda: read_rows(root.uri, files, stores))


def _file(
    address: Address, action: dict[str, Any], deleted: RowNumbers | None, names: FieldNames | None
) -> DataFile:
    constants = {name: plain(value) for name, value in (action.get("partition") or {}).items()}
    seen = "" if deleted is None else deleted.tobytes().hex()
    known = None if names is None else tuple(sorted(names.by_name.items()))
    return DataFile(
        address,
        "delta",
        action["size_bytes"],
        mark((action["size_bytes"], seen, known, tuple(sorted(constants.items())))),
        None if deleted is None else lambda: deleted,
        names,
        constants,
    )


def _check(root: Address, table: Any) -> None:
    wanted = set(table.protocol().reader_features or ()) - _KNOWN_FEATURES
    if wanted:
        raise SourceError(
            root.uri,
            f"this Delta table asks its readers for {', '.join(sorted(wanted))}, which is not known here",
        )


def _deleted(root: Address, table: Any, paths: Container[str]) -> dict[str, RowNumbers]:
    """By the data file's path, as the log has it.

    :raises SourceError: if rows of a file are deleted that the table does not have.
    """
    found: dict[str, RowNumbers] = {}
    for batch in pa.RecordBatchReader.from_stream(table.deletion_vectors()):
        for uri, kept in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
            path = uri.removeprefix(table.table_uri)
            if path not in paths:
                raise SourceError(root.uri, f"rows of {uri} are deleted, which is no file of it")
            mask = np.asarray(kept.values.to_numpy(zero_copy_only=False), np.bool_)
            found[path] = np.flatnonzero(~mask).astype(np.int64)
    return found


def _names(table: Any) -> FieldNames | None:
    """None where columns are called in the files as in the table."""
    mode = table.metadata().configuration.get("delta.columnMapping.mode", "none")
    if mode == "none":
        return None
    by_name: dict[str, str] = {}
    for field in table.schema().fields:
        physical = field.metadata.get("delta.columnMapping.physicalName", field.name)
        by_name[str(physical)] = field.name
    return FieldNames(by_name=by_name)


def _brief(error: Exception) -> str:
    return store_reason(error)[:300]
