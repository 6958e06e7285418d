"""The points of a snapshot's live rows, as bytes that a page draws without reading them one by one.

A line of JSON, padded with spaces to a multiple of 8 bytes, then plain little-endian numbers. The
points are by rising row_id, and their row_ids are told as runs, which are few: a first one and how
many follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from indexer.arrays import Positions, RowMask
from service.map.stored import About, MapFile, Places
from service.snapshot.snapshot import Snapshot

LAST = 65_535  # what 1 is told as; -1 is 0


@dataclass(frozen=True, slots=True)
class Points:
    """Live rows that are on the map, by rising row_id."""

    about: About
    row_ids: Positions  # int64, (n,), rising
    places: Places  # float32, (n, 2)
    is_on: RowMask  # bool, (live rows,): which of the snapshot's rows they are

    @property
    def since(self) -> int:
        """Live rows that are not on the map."""
        return int(len(self.is_on) - len(self.row_ids))

    @classmethod
    def of(cls, snapshot: Snapshot) -> Points | None:
        """None: the lake has no map.

        :raises LakeDamaged: if its file is damaged.
        """
        stored = MapFile(snapshot.layout.map).read()
        if stored is None:
            return None
        live = snapshot.places[0]
        is_on = np.isin(live, stored.row_ids, assume_unique=True)
        here = np.isin(stored.row_ids, live, assume_unique=True)
        return cls(stored.about, stored.row_ids[here], stored.places[here], is_on)

    def to_bytes(self, snapshot: Snapshot) -> bytes:
        """`runs` pairs of float64, then `points` pairs of uint16."""
        starts = np.flatnonzero(np.append(True, np.diff(self.row_ids) != 1)[: len(self.row_ids)])
        lengths = np.diff(np.append(starts, len(self.row_ids)))
        runs = np.stack([self.row_ids[starts], lengths], axis=1).astype("<f8")
        places = np.rint((self.places.astype(np.float64) + 1) / 2 * LAST).astype("<u2")
        head = {
            "snapshot": snapshot.number,
            "points": len(self.row_ids),
            "runs": len(runs),
            "since": self.since,
            "made_at": self.about.made_at,
            "landmarks": self.about.landmarks,
            "names": [{"x": n.x, "y": n.y, "text": n.text} for n in self.about.names],
        }
        return with_head(head) + runs.tobytes() + places.tobytes()


def with_head(head: dict[str, Any]) -> bytes:
    """The line of JSON before the numbers."""
    line = orjson.dumps(head)
    return line + b" " * (-(len(line) + 1) % 8) + b"\n"
