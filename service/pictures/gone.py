"""Small copies of images go when the rows do: what somebody deleted is not kept elsewhere."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from service.snapshot.snapshot import Snapshot


def hashes_gone(before: Snapshot, after: Snapshot) -> list[str]:
    """The sha256 of each image whose row lives in one snapshot and not in a later one.

    A row that moved lives on. Of two equal images one may: then its small copies are made again.
    """
    now = {part.segment.entry.id: part for part in after.parts}
    hashes: list[str] = []
    for part in before.parts:
        same = now.get(part.segment.entry.id)
        if same is part:
            continue
        if same is not None:
            positions = np.setdiff1d(same.dead, part.dead)
        else:  # it was merged into another segment, or is out of service
            positions = np.arange(part.rows) if part.alive is None else np.flatnonzero(part.alive)
        ids = part.row_ids[positions]
        lost = positions[~np.isin(ids, after.places_of(ids)[0])]
        if len(lost):
            column = part.columns(["sha256"])["sha256"]
            hashes += column.take(pa.array(lost)).drop_null().to_pylist()
    return hashes
