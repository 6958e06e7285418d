"""How many images are nearly another one of the same set: annotating one of them would do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from indexer.arrays import Positions
from service.relevance.as_json import AsJson
from service.search.choosing import Folding
from service.search.ranking import Found
from service.snapshot.snapshot import Snapshot

MOST_COMPARED = 50_000  # images whose hashes are compared pair by pair; above it, bytes alone


@dataclass(frozen=True, slots=True)
class NearDuplicates(AsJson):
    """Images that fold into another of the same set."""

    rows: int
    by: str  # "perceptual hash" or "same bytes"
    among: str  # "kept" or "looked at"


def near_duplicates(snapshot: Snapshot, row_ids: Positions, among: str) -> NearDuplicates:
    """How many of these images fold into another of them.

    By perceptual hash up to 50,000 images, as `search --collapse` does; above it only where bytes
    are the same.

    :param row_ids: int64, (n,), rising; rows that are gone are left out.
    :param among: what they are.
    """
    places = _places(snapshot, row_ids)
    if len(row_ids) <= MOST_COMPARED:
        found = Found(np.zeros(len(places[0]), np.float32), *places)
        homes = Folding(snapshot).add(found)
        folded = int((homes != np.arange(len(homes))).sum())
        return NearDuplicates(folded, "perceptual hash", among)
    return NearDuplicates(_same_bytes(snapshot, places[0], places[1]), "same bytes", among)


def _places(snapshot: Snapshot, row_ids: Positions) -> tuple[Positions, Positions, Positions]:
    ids, places = snapshot.places
    at = np.minimum(np.searchsorted(ids, row_ids), max(len(ids) - 1, 0))
    here = ids[at] == row_ids if len(ids) else np.zeros(len(row_ids), bool)
    return *snapshot.locate(places[at[here]]), row_ids[here]


def _same_bytes(snapshot: Snapshot, numbers: Positions, positions: Positions) -> int:
    seen: Counter[str] = Counter()
    for number in np.unique(numbers).tolist():
        digests = snapshot.parts[number].columns(["sha256"])["sha256"].combine_chunks()
        # An imported row whose image was not read has none.
        seen.update(digests.take(np.sort(positions[numbers == number])).drop_null().to_pylist())
    return seen.total() - len(seen)
