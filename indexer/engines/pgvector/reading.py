"""What is read out of a lake's table in bulk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.engines.pgvector.connection import Connection
from indexer.engines.pgvector.copying import whole_numbers


def read_row_ids(connection: Connection, table: str) -> Positions:
    """int64, (n,), rising. 65,536 numbers a row: a driver in Python takes its time for each row."""
    copy = connection.copy_out(
        f"COPY (SELECT string_agg(int8send(row_id), ''::bytea) FROM {table} "
        "GROUP BY row_id / 65536) TO STDOUT (FORMAT binary)"
    )
    return np.sort(whole_numbers(copy))


def read_vectors(
    connection: Connection, table: str, row_ids: Positions
) -> dict[int, NDArray[np.float16]]:
    """Of those of these few rows that are there."""
    found = connection.run(
        f"SELECT row_id, vector::text FROM {table} WHERE row_id = ANY(:row_ids::bigint[])",
        row_ids="{" + ",".join(map(str, row_ids.tolist())) + "}",
    )
    return {int(row_id): np.array(said[1:-1].split(","), np.float16) for row_id, said in found}


def vector_text(vector: NDArray[np.float32]) -> str:
    """As a halfvec is written; it is rounded to half precision there."""
    return "[" + ",".join(f"{number:.7g}" for number in vector.tolist()) + "]"
