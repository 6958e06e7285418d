"""The ledger: what was decided about every row, by which version and why;
`filters/<name>/ledger/<version>.parquet`.

Nothing that was dropped is lost: a ledger names it, and it can be searched, sampled and restored.
One row for each image of the version's snapshot that the filter's where keeps, by row_id. Same
version, same bytes. Columns:

    row_id               int64
    uri                  text, as in the lake then
    decision             keep, ask or drop
    score                float32, by the version's scorer
    probability          float32, of being relevant; null without a calibration
    label                what people said by then: yes, no, skip or conflict; null: nothing
    path_bytes           the path's own bytes, where uri had to escape some
    version              int32, of the filter
    nearest_yes          int64, the row most like this one, of all that the filter was given as
                         wanted and that people had answered with yes, itself left out; null: there
                         is none, or an image is more like it
    nearest_yes_image    text, that image's name: an example from outside the lake
    nearest_yes_cosine   float32, in [-1, 1], of the two images' vectors; null: nothing is known to
                         be wanted
    nearest_no, nearest_no_image, nearest_no_cosine   likewise, of what is known to be unwanted

Of more than 1,000 rows answered yes, or no, those 1,000 are compared that cover all of them best.
Ledgers of older versions of lakesift have no nearest_ columns. The snapshot's number is in the
schema's metadata.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.disk.durable import fsync_file, fsync_folder, make_folder
from indexer.disk.entries import create_file
from indexer.errors import LakeError
from service.relevance.decisions.answers import NearestKnown
from service.relevance.decisions.nearest import Nearest
from service.relevance.promise.audit import Audit
from service.relevance.scoring.calibration import Calibration
from service.search.decided import DECISIONS
from service.search.ledgers import path_of


def write(
    folder: Path,
    version: int,
    audit: Audit,
    uris: list[str],
    paths: list[bytes | None],
    decisions: NDArray[np.int8],
    labels: list[str | None],
    calibration: Calibration | None,
    yes: Nearest,
    no: Nearest,
) -> Path:
    """Write one row an image of the audit's population, by row_id.

    :param folder: the filter's.
    :param uris, decisions, labels: of each row of the audit, in its order; paths: the exact bytes
        of those paths that are not plain text.
    :param yes, no: what each is most like, of what is wanted and unwanted.
    :raises LakeError: if the folder cannot be written.
    """
    probability = None if calibration is None else calibration.probability(audit.scores)
    table = pa.table(
        {
            "row_id": pa.array(audit.row_ids, pa.int64()),
            "uri": pa.array(uris, pa.string()),
            "decision": pa.array(decisions, pa.int8()),
            "score": pa.array(audit.scores, pa.float32()),
            "probability": pa.array(
                [None] * len(uris) if probability is None else probability, pa.float32()
            ),
            "label": pa.array(labels, pa.string()),
            "path_bytes": pa.array(paths, pa.binary()),
            "version": pa.array(np.full(len(uris), version), pa.int32()),
            **_columns("yes", yes),
            **_columns("no", no),
        }
    )
    names = pa.DictionaryArray.from_arrays(pa.array(decisions, pa.int8()), pa.array(DECISIONS))
    table = table.set_column(2, "decision", names.cast(pa.string()))
    table = table.replace_schema_metadata({"snapshot": str(audit.design.snapshot)})
    path = path_of(folder, version)
    try:
        make_folder(path.parent)
        beside = path.with_name(path.name + ".new")
        create_file(beside).close()  # what has this name may be a link; Arrow writes into ours
        pq.write_table(table, beside)
        fsync_file(beside)
        beside.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        raise LakeError(f"{path} cannot be written ({_why(error)}); nothing was applied") from None
    return path


def _columns(side: str, nearest: Nearest) -> dict[str, pa.Array]:
    return {
        f"nearest_{side}": pa.array(nearest.row_ids, pa.int64()),
        f"nearest_{side}_image": pa.array(nearest.images, pa.string()),
        f"nearest_{side}_cosine": pa.array(nearest.cosines, pa.float32()),
    }


def nearest_known(row: Mapping[str, Any], side: str) -> NearestKnown | None:
    """The nearest yes or no of a ledger's row; None: nothing is known.

    :param row: a ledger's, as Python values.
    """
    cosine = row.get(f"nearest_{side}_cosine")
    if cosine is None:
        return None
    return NearestKnown(row[f"nearest_{side}"], row[f"nearest_{side}_image"], round(cosine, 4))


def _why(error: OSError) -> str:
    """The system's own words: Arrow puts its own around them."""
    return os.strerror(error.errno) if error.errno else str(error)
