"""Rows as Postgres's COPY takes them in its binary format.

Source: https://www.postgresql.org/docs/current/sql-copy.html ("Binary Format"), and of a halfvec
`halfvec_recv` of pgvector's src/halfvec.c: its dimensions and a zero, 16 bits each, then its
numbers, all in network order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.engines.columns import Cells
from indexer.engines.engine import Rows

BEGIN = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
END = struct.pack("!h", -1)
NULL = struct.pack("!i", -1)


def copied(batches: Iterable[Rows]) -> Iterator[bytes]:
    """The row_id, the vector (null where it is there already) and the cells of each row."""
    yield BEGIN
    for rows in batches:
        if len(rows.row_ids):
            yield b"".join(chain.from_iterable(zip(*_fields(rows), strict=True)))
    yield END


def copied_ids(row_ids: Positions) -> Iterator[bytes]:
    """Rows of a row_id alone."""
    of_row = np.dtype([("fields", ">i2"), ("size", ">i4"), ("row_id", ">i8")])
    rows = np.empty(len(row_ids), of_row)
    rows["fields"], rows["size"], rows["row_id"] = 1, 8, row_ids
    yield BEGIN
    yield rows.tobytes()
    yield END


def whole_numbers(copy: bytes) -> Positions:
    """int64, (n,): out of a COPY of one column of bytes, each of which are numbers of 8 bytes."""
    found = [np.empty(0, np.int64)]
    at = len(BEGIN)
    while True:
        (fields,) = struct.unpack_from("!h", copy, at)
        if fields == -1:
            return np.concatenate(found)
        (size,) = struct.unpack_from("!i", copy, at + 2)
        at += 6
        if size >= 0:
            found.append(np.frombuffer(copy, ">i8", size // 8, at).astype(np.int64))
            at += size


def _fields(rows: Rows) -> Iterator[list[bytes]]:
    """Of each field, the bytes of each row."""
    of_id = np.dtype([("fields", ">i2"), ("size", ">i4"), ("row_id", ">i8")])
    heads = np.empty(len(rows.row_ids), of_id)
    heads["fields"], heads["size"], heads["row_id"] = 2 + len(rows.cells), 8, rows.row_ids
    yield _split(heads)
    vectors = iter(_split(_halfvecs(rows.vectors)))
    yield [next(vectors) if is_new else NULL for is_new in rows.is_new.tolist()]
    for cells in rows.cells:
        yield _of_cells(cells)


def _halfvecs(vectors: NDArray[np.float16]) -> NDArray[np.void]:
    dim = vectors.shape[1]
    of_vector = np.dtype(
        [("size", ">i4"), ("dim", ">u2"), ("zero", ">u2"), ("half", ">u2", (dim,))]
    )
    found = np.zeros(len(vectors), of_vector)
    found["size"], found["dim"] = 4 + 2 * dim, dim
    found["half"] = np.ascontiguousarray(vectors).view(np.uint16)
    return found


def _of_cells(cells: Cells) -> list[bytes]:
    if cells.numbers is None:
        assert cells.texts is not None
        return [_text(text) for text in cells.texts]
    kinds = {"whole": (">i8", 8), "real": (">f8", 8), "truth": ("i1", 1)}
    number, size = kinds[cells.kind]
    values = np.empty(len(cells.numbers), np.dtype([("size", ">i4"), ("value", number)]))
    values["size"], values["value"] = size, cells.numbers
    filled = _split(values)
    if cells.known.all():
        return filled
    return [each if known else NULL for each, known in zip(filled, cells.known, strict=True)]


def _text(text: str | None) -> bytes:
    if text is None or "\0" in text:  # which Postgres cannot hold; the column is told to be without
        return NULL
    data = text.encode()
    return struct.pack("!i", len(data)) + data


def _split(records: NDArray[np.void]) -> list[bytes]:
    data, size = records.tobytes(), records.dtype.itemsize
    return [data[at : at + size] for at in range(0, len(data), size)]
