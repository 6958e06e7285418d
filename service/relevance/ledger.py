"""The ledger: what was decided about every row, by which version; `filters/<name>/ledger/<version>.parquet`.

Nothing that was dropped is lost: a ledger names it, with its score. Same version, same bytes.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.durable import fsync_folder, make_folder
from indexer.errors import LakeDamaged, LakeError
from service.relevance.applying import DECISIONS
from service.relevance.audit import Audit
from service.relevance.calibration import Calibration


def path_of(folder: Path, version: int) -> Path:
    return folder / f"{version:06d}.parquet"


def write(
    folder: Path,
    version: int,
    audit: Audit,
    uris: list[str],
    paths: list[bytes | None],
    decisions: NDArray[np.int8],
    labels: list[str | None],
    calibration: Calibration | None,
) -> Path:
    """Write one row an image of the audit's population, by row_id.

    :param uris, decisions, labels: of each row of the audit, in its order; paths: the exact bytes of those paths that
        are not plain text.
    :raises LakeError: if the folder cannot be written.
    """
    probability = None if calibration is None else calibration.probability(audit.scores)
    table = pa.table(
        {
            "row_id": pa.array(audit.row_ids, pa.int64()),
            "uri": pa.array(uris, pa.string()),
            "decision": pa.array(decisions, pa.int8()),
            "score": pa.array(audit.scores, pa.float32()),
            "probability": pa.array([None] * len(uris) if probability is None else probability, pa.float32()),
            "label": pa.array(labels, pa.string()),
            "path_bytes": pa.array(paths, pa.binary()),
            "version": pa.array(np.full(len(uris), version), pa.int32()),
        }
    )
    names = pa.DictionaryArray.from_arrays(pa.array(decisions, pa.int8()), pa.array(DECISIONS))
    table = table.set_column(2, "decision", names.cast(pa.string()))
    table = table.replace_schema_metadata({"snapshot": str(audit.design.snapshot)})
    path = path_of(folder, version)
    try:
        make_folder(folder)
        beside = path.with_name(path.name + ".new")
        pq.write_table(table, beside)
        beside.replace(path)
        fsync_folder(folder)
    except OSError as error:
        raise LakeError(f"{path} cannot be written ({_why(error)}); nothing was applied") from None
    return path


def read(folder: Path, version: int) -> pa.Table:
    """:raises LakeDamaged: if it is missing or cannot be read."""
    path = path_of(folder, version)
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(str(path), str(error)) from None


def _why(error: OSError) -> str:
    """The system's own words: Arrow puts its own around them."""
    return os.strerror(error.errno) if error.errno else str(error)
