"""A lake's rows in Milvus: a collection of vectors, columns, and a hash of each row's columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.engines.columns import Cells, EngineColumn
from indexer.engines.engine import Rows
from indexer.engines.milvus.connection import STRONG, Connection
from indexer.engines.names import column_of

MOST_DIM = 32_768
MOST_COLUMNS = 60  # a collection has 64 fields, unless its server is told otherwise
_LONGEST_TEXT = 65_535  # bytes
_IDS_AT_ONCE = 16_384  # the most that a query may give
_NAMED_AT_ONCE = 4_096  # row_ids in an expression
# A request holds 64 MB at most, unless the server is told otherwise.
_BYTES_AT_ONCE = 8_000_000
# Source: https://milvus.io/docs/hnsw.md
_HNSW = {"M": 16, "efConstruction": 128}


def make_rows(
    connection: Connection, table: str, dim: int, columns: Iterable[EngineColumn]
) -> None:
    """The collection, empty, and in memory.

    Vectors are of single precision: Milvus Lite has no other, and half ones fit into them exactly.
    """
    from pymilvus import DataType, MilvusClient

    types = {
        "whole": DataType.INT64,
        "real": DataType.DOUBLE,
        "text": DataType.VARCHAR,
        "truth": DataType.BOOL,
    }
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row_id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    schema.add_field("cells", DataType.INT64)
    for column in columns:
        more = {"max_length": _LONGEST_TEXT} if column.kind == "text" else {}
        schema.add_field(column_of(column), types[column.kind], nullable=True, **more)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="IP", params=_HNSW)
    connection.call(
        "create_collection",
        table,
        schema=schema,
        index_params=index,
        consistency_level=STRONG,
        timeout=None,
    )
    connection.call("load_collection", table, timeout=None)


def is_loaded(connection: Connection, table: str) -> bool:
    """Whether it is there, and in memory."""
    if not connection.call("has_collection", table):
        return False
    return _is_loaded(connection, table)


def _is_loaded(connection: Connection, table: str) -> bool:
    state = connection.call("get_load_state", table)["state"]
    return bool(str(getattr(state, "name", state)) == "Loaded")


def load(connection: Connection, table: str) -> None:
    if not _is_loaded(connection, table):
        connection.call("load_collection", table, timeout=None)


def read_row_ids(connection: Connection, table: str) -> Positions:
    """int64, (n,), rising."""
    found = [np.empty(0, np.int64)]
    for rows in connection.every(table, "", ["row_id"], _IDS_AT_ONCE):
        found.append(np.fromiter((row["row_id"] for row in rows), np.int64, len(rows)))
    return np.unique(np.concatenate(found))


def read_vectors(
    connection: Connection, table: str, row_ids: Positions
) -> dict[int, NDArray[np.float16]]:
    """Of those of these rows that are there."""
    return {
        row["row_id"]: np.array(row["vector"], np.float32).astype(np.float16)
        for row in _of(connection, table, row_ids, ["row_id", "vector"])
    }


def delete(connection: Connection, table: str, row_ids: Positions) -> None:
    for at in range(0, len(row_ids), _NAMED_AT_ONCE):
        connection.call("delete", table, ids=row_ids[at : at + _NAMED_AT_ONCE].tolist())


def can_hold(cells: Cells) -> bool:
    """Whether each value can be held: texts have a longest, and numbers are no NaN and finite."""
    if cells.numbers is not None:
        return bool(np.isfinite(cells.numbers[cells.known]).all())
    return all(text is None or _fits(text) for text in cells.texts or ())


def write(connection: Connection, table: str, rows: Rows, columns: Sequence[EngineColumn]) -> None:
    """Add those that are new; those that are there get these columns, where theirs are others.

    What is run twice does nothing the second time.
    """
    names = [column_of(column) for column in columns]
    values = [_values(cells) for cells in rows.cells]
    said = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)] or [
        {} for _ in rows.row_ids
    ]
    hashes = [_hash(row) for row in said]
    row_ids = rows.row_ids.tolist()
    vectors: dict[int, Any] = dict(
        zip(rows.row_ids[rows.is_new].tolist(), rows.vectors.astype(np.float32), strict=True)
    )
    known = rows.row_ids[~rows.is_new]
    there = {
        row["row_id"]: row["cells"] for row in _of(connection, table, known, ["row_id", "cells"])
    }
    others = [
        row_id
        for row_id, number in zip(row_ids, hashes, strict=True)
        if row_id in there and there[row_id] != number
    ]
    wanted = np.array(others, np.int64)
    for row in _of(connection, table, wanted, ["row_id", "vector"]):
        vectors[row["row_id"]] = np.array(row["vector"], np.float32)
    entities = (
        {"row_id": row_id, "vector": vectors[row_id], "cells": number, **cells}
        for row_id, number, cells in zip(row_ids, hashes, said, strict=True)
        if row_id in vectors
    )
    for some in _pieces(entities, 4 * rows.vectors.shape[1]):
        connection.call("upsert", table, some)


def _of(
    connection: Connection, table: str, row_ids: Positions, fields: list[str]
) -> Iterator[dict[str, Any]]:
    for at in range(0, len(row_ids), _NAMED_AT_ONCE):
        listed = ", ".join(map(str, row_ids[at : at + _NAMED_AT_ONCE].tolist()))
        yield from connection.read(
            "query", table, filter=f"row_id in [{listed}]", output_fields=fields
        )


def _values(cells: Cells) -> list[Any]:
    if cells.numbers is None:
        return [text if text is None or _fits(text) else None for text in cells.texts or ()]
    known = cells.known & np.isfinite(cells.numbers)
    values = cells.numbers.astype(bool) if cells.kind == "truth" else cells.numbers
    return [
        value if is_known else None
        for value, is_known in zip(values.tolist(), known.tolist(), strict=True)
    ]


def _fits(text: str) -> bool:
    return "\0" not in text and len(text.encode()) <= _LONGEST_TEXT


def _hash(row: dict[str, Any]) -> int:
    """A signed number of 64 bits."""
    digest = hashlib.blake2b(repr(sorted(row.items())).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _pieces(entities: Iterator[dict[str, Any]], of_vector: int) -> Iterator[list[dict[str, Any]]]:
    """:param of_vector: bytes."""
    piece: list[dict[str, Any]] = []
    size = 0
    for entity in entities:
        size += of_vector + sum(
            4 * len(value) if isinstance(value, str) else 8 for value in entity.values()
        )
        piece.append(entity)
        if size >= _BYTES_AT_ONCE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
