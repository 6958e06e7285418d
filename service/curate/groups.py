"""Makes the groups of near-identical images of a whole lake: found, put in order, stored beside it.

Measured on copies of photos (see `service.search.collapse`): the hash tells what is nearly the
same, the vectors only keep apart what has nearly the same hash by chance, of which a large lake has
some.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from indexer.disk.locks import only_maker
from indexer.errors import BadRequest
from indexer.report import Progress, Silent
from service.alike.live import LiveGroups, best_first
from service.alike.stored import About, GroupsFile, StoredGroups
from service.curate.pictures import MOST_BITS, FlatPictures, Pictures
from service.curate.stars import stars
from service.search.collapse import FLAT_BELOW_BITS, FLAT_MIN_COSINE, NEAR_BITS
from service.search.ranking import Found, vectors_of
from service.snapshot.snapshot import Snapshot

THRESHOLD = 0.5  # least cosine of two near pictures
# What share of the sharpest one's sharpness counts as equally sharp: a JPEG of quality 30 may be
# measured a little sharper than its original.
NEARLY_AS_SHARP = 0.75
_COLUMNS = ["quality_sharpness", "width_px", "height_px", "size_bytes"]


@dataclass(frozen=True, slots=True)
class GroupsMade:
    """What is known of groups, for people."""

    rows: int  # images that were compared
    groups: int  # of two and more
    copies: int  # images that are not the best of their group
    largest: int  # images of the largest group
    unread: int  # images without a perceptual hash, which were not compared

    @classmethod
    def of(cls, groups: LiveGroups) -> GroupsMade:
        return cls(
            len(groups.row_ids), groups.count, groups.copies, groups.largest, groups.about.unread
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "groups": self.groups,
            "copies": self.copies,
            "largest": self.largest,
            "unread": self.unread,
        }


def make_groups(
    snapshot: Snapshot,
    *,
    bits: int = NEAR_BITS,
    threshold: float = THRESHOLD,
    progress: Progress | None = None,
) -> GroupsMade:
    """Group all images of a snapshot that are nearly the same, and store that beside the lake.

    The same snapshot gives the same groups. Memory: about 150 bytes an image.

    :param bits: 0 to 8: of the 64 bits of two images' perceptual hashes so many may differ.
    :param threshold: -1 to 1: least cosine of their vectors; for pictures without structure it is
        0.98 at least.
    :raises BadRequest: if bits or threshold is out of range.
    :raises LakeError: if the lake cannot be written, or another process makes its groups.
    """
    if not 0 <= bits <= MOST_BITS:
        raise BadRequest("bits", f"{bits} is not from 0 to {MOST_BITS}; more join different photos")
    if not -1 <= threshold <= 1:
        raise BadRequest("threshold", f"{threshold:g} is no cosine, which is from -1 to 1")
    with only_maker(snapshot.layout.alike / "groups.lock", "groups"):
        stored = _grouped(snapshot, bits, threshold, progress or Silent())
        GroupsFile(snapshot.layout.alike).write(stored)
    return GroupsMade.of(LiveGroups(stored, snapshot.places[0]))


def _grouped(snapshot: Snapshot, bits: int, threshold: float, progress: Progress) -> StoredGroups:
    row_ids, places = snapshot.places
    found = Found(np.zeros(len(places), np.float32), *snapshot.locate(places), row_ids)
    hashes, known = _hashes(snapshot, found)
    is_flat = np.bitwise_count(hashes) < FLAT_BELOW_BITS
    pictures, flat = np.flatnonzero(known & ~is_flat), np.flatnonzero(known & is_flat)

    def vectors(of: Positions) -> Callable[[Positions], Vectors]:
        return lambda some: vectors_of(snapshot, found.at(of[some]))

    progress.stage("comparing", len(pictures) + len(flat))
    near = Pictures(hashes[pictures], vectors(pictures), bits=bits, threshold=threshold)
    alike = FlatPictures(len(flat), vectors(flat), threshold=max(threshold, FLAT_MIN_COSINE))
    middles = np.arange(len(row_ids))
    for here, nearness in ((pictures, near), (flat, alike)):
        middles[here] = here[stars(nearness, progress.advance)]
    compared = np.flatnonzero(known)
    ranks = _ranks(snapshot, found.at(compared), middles[compared])
    about = About(
        snapshot.number,
        datetime.now().astimezone().isoformat(timespec="seconds"),
        bits,
        threshold,
        int(len(row_ids) - len(compared)),
    )
    return StoredGroups(about, row_ids[compared], row_ids[middles[compared]], ranks)


def _hashes(snapshot: Snapshot, found: Found) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """uint64, (n,): perceptual hashes; bool, (n,): False where a row has none."""
    hashes, known = np.zeros(len(found), np.uint64), np.zeros(len(found), bool)
    for number, part in enumerate(snapshot.parts):
        here = found.parts == number
        of_part, is_there = part.phashes
        hashes[here] = of_part[found.positions[here]]
        known[here] = is_there[found.positions[here]]
    return hashes, known


def _ranks(snapshot: Snapshot, found: Found, middles: Positions) -> NDArray[np.int32]:
    """int32, (n,): places in the groups, the best is 0."""
    values = {name: np.full(len(found), np.nan) for name in _COLUMNS}
    for number, part in enumerate(snapshot.parts):
        here = found.parts == number
        columns = part.columns(_COLUMNS)
        for name in _COLUMNS:
            values[name][here] = _floats(columns[name])[found.positions[here]]
    sharpness, width, height, size = (values[name] for name in _COLUMNS)
    pixels, sizes = (np.nan_to_num(each).astype(np.int64) for each in (width * height, size))
    return best_first(middles, sharpness, pixels, sizes, found.row_ids, nearly=NEARLY_AS_SHARP)


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """NaN where there is NULL."""
    floats = (chunk.cast(pa.float64()) for chunk in column.chunks)
    # As `Part.row_ids`: to_numpy loads pandas, where that is installed.
    chunks = [np.from_dlpack(each.fill_null(np.nan)) for each in floats]
    return np.concatenate([np.empty(0, np.float64), *chunks])
