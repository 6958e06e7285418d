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
from collections.abc import Iterable, Mapping, Sequence
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

LABELS = ("yes", "no", "skip", "conflict")
UNSAID = -1  # instead of a number of LABELS


def write(
    folder: Path,
    version: int,
    audit: Audit,
    places: Iterable[pa.Table],
    decisions: NDArray[np.int8],
    labels: NDArray[np.int8],
    calibration: Calibration | None,
    sides: Mapping[str, Nearest],
) -> Path:
    """Write one row an image of the audit's population, by row_id; a row group at a time, so that
    not the whole of it is in memory.

    :param folder: the filter's.
    :param places: `uri` and `path_bytes` of the audit's rows, in its order, some at a time.
    :param decisions: (n,), of each row of the audit, in its order; labels: (n,), numbers in LABELS,
        or UNSAID.
    :param sides: what each is most like, of what is wanted ("yes") and unwanted ("no").
    :raises LakeError: if the folder cannot be written.
    """
    path = path_of(folder, version)
    schema = _schema(audit.design.snapshot)
    try:
        make_folder(path.parent)
        beside = path.with_name(path.name + ".new")
        create_file(beside).close()  # what has this name may be a link; Arrow writes into ours
        with pq.ParquetWriter(beside, schema) as writer:
            start = 0
            for place in places:
                end = start + place.num_rows
                here = slice(start, end)
                scores = audit.scores[here]
                columns = {
                    "row_id": pa.array(audit.row_ids[here], pa.int64()),
                    "uri": place["uri"],
                    "decision": _named(decisions[here], DECISIONS),
                    "score": pa.array(scores, pa.float32()),
                    "probability": pa.nulls(end - start, pa.float32())
                    if calibration is None
                    else pa.array(calibration.probability(scores), pa.float32()),
                    "label": _named(labels[here], LABELS),
                    "path_bytes": place["path_bytes"],
                    "version": pa.array(np.full(end - start, version), pa.int32()),
                }
                for side, nearest in sides.items():
                    columns |= _columns(side, nearest.between(start, end))
                writer.write_table(pa.table(columns, schema=schema))
                start = end
        fsync_file(beside)
        beside.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        raise LakeError(f"{path} cannot be written ({_why(error)}); nothing was applied") from None
    return path


def _schema(snapshot: int) -> pa.Schema:
    kinds = {
        "row_id": pa.int64(),
        "uri": pa.string(),
        "decision": pa.string(),
        "score": pa.float32(),
        "probability": pa.float32(),
        "label": pa.string(),
        "path_bytes": pa.binary(),
        "version": pa.int32(),
    }
    for side in ("yes", "no"):
        kinds |= {
            f"nearest_{side}": pa.int64(),
            f"nearest_{side}_image": pa.string(),
            f"nearest_{side}_cosine": pa.float32(),
        }
    return pa.schema(kinds.items(), metadata={"snapshot": str(snapshot)})


def _named(numbers: NDArray[np.int8], names: Sequence[str]) -> pa.Array:
    """text, (n,): the name of each number; null below 0."""
    codes = pa.array(numbers, pa.int8(), mask=numbers < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string())).cast(pa.string())


def _columns(side: str, nearest: Nearest) -> dict[str, pa.Array]:
    return {
        f"nearest_{side}": nearest.row_ids,
        f"nearest_{side}_image": nearest.images,
        f"nearest_{side}_cosine": nearest.known_cosines,
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
