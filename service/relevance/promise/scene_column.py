"""Which scene each row of a filter is of: one for each value of a column, and each row without one
by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.errors import BadRequest
from service.relevance.promise.every import values_of
from service.relevance.promise.scenes import Scenes
from service.snapshot.snapshot import Snapshot
from service.tags.names import beside


def scenes_by(snapshot: Snapshot, row_ids: Positions, column: str) -> Scenes:
    """:param row_ids: int64, (n,), rising; rows of the snapshot.

    :param column: of the lake, or `group`, for groups of near-identical images.
    :raises BadRequest: if there is no such column of single values, if it holds fractions, or if
        there is one scene alone or no two images are of one.
    """
    if column == beside("group", snapshot.schema.names):
        numbers, has_none = _groups(snapshot, row_ids)
    else:
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(values_of("scene", snapshot, row_ids, column))
        indices = pc.fill_null(encoded.indices, -1)
        numbers = np.asarray(indices.to_numpy(zero_copy_only=False), np.int64)
        has_none = np.asarray(numbers < 0)
    # Those without a value come behind, each by itself.
    numbers = np.where(has_none, len(row_ids) + np.arange(len(row_ids)), numbers)
    names, of_row = np.unique(numbers, return_inverse=True)
    if len(names) < 2:
        raise BadRequest("scene", f"all images have one value of {column}: they are one scene")
    if len(names) == len(row_ids):
        raise BadRequest(
            "scene",
            f"no two images have the same {column}: a promise of all images is the same, without scenes",
        )
    return Scenes(column, of_row.astype(np.int64))


def _groups(snapshot: Snapshot, row_ids: Positions) -> tuple[Positions, NDArray[np.bool_]]:
    """int64, bool, (n,) each: the number of each row's group, and whether it has none."""
    groups = snapshot.alike()
    if groups is None:
        raise BadRequest(
            "scene",
            f"this lake has no groups of near-identical images yet; `lakesift curate groups {snapshot.layout.root}` "
            "makes them",
        )
    (middles, is_null), _, _ = groups.columns(row_ids)
    return np.unique(middles, return_inverse=True)[1].astype(np.int64), is_null
