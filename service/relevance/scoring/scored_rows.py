"""Rows of a snapshot as a filter shows them: where they lie, and with their scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from indexer.address import ADDRESS_COLUMNS
from indexer.arrays import Positions
from indexer.disk.rows import printed_places
from service.relevance.as_json import AsJson, told
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored
from service.search.hits import Row, place_of, row_json
from service.snapshot.part import Part
from service.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class RowToLabel(AsJson):
    """One image of a lake, and its score."""

    row_id: int
    uri: str
    width_px: int
    height_px: int
    score: float | None = field(
        metadata=told("Null for an image that an audit asks about: nobody is to be led by it.")
    )
    probability: float | None = field(
        metadata=told(
            "A calibrated chance of being relevant; null before there are labels, and where an "
            "audit asks."
        )
    )
    columns: dict[str, Any]  # all else that has a value, as JSON has it

    @property
    def place(self) -> str:
        """As people read it: the uri, and the part where the image is only one of its file."""
        return place_of({**self.columns, "uri": self.uri})


def rows_to_label(
    snapshot: Snapshot,
    row_ids: Sequence[int],
    scored: Scored | None,
    calibration: Calibration | None,
) -> list[RowToLabel]:
    """The rows in their order, with their scores; rows that are gone are left out.

    :param scored: at least of these rows; None: no score is told.
    """
    places = [(row_id, snapshot.find(row_id)) for row_id in row_ids]
    found = []
    for row_id, place in places:
        if place is None:
            continue
        row = row_json(place[0].take(np.array([place[1]]))[0])
        if scored is None:
            found.append(RowToLabel(score=None, probability=None, **row))
            continue
        at = int(np.searchsorted(scored.row_ids, row_id))
        score = scored.scores[at : at + 1]
        probability = None if calibration is None else float(calibration.probability(score)[0])
        found.append(
            RowToLabel(
                score=round(float(score[0]), 6),
                probability=None if probability is None else round(probability, 4),
                **row,
            )
        )
    return found


def rows_of(snapshot: Snapshot, row_ids: Sequence[int]) -> list[Row]:
    """The rows, in their order; rows that are gone are left out."""
    places = [place for row_id in row_ids if (place := snapshot.find(row_id)) is not None]
    return [Row.of(part.take(np.array([position]))[0]) for part, position in places]


def row_by_uri(
    snapshots: Sequence[Snapshot],
) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """uri -> row_id of every live row, and the row_ids of a uri that has several. Where an image is
    only a part of its file, the part belongs to the uri. What a later snapshot says counts.
    """
    rows: dict[str, int] = {}
    shared: dict[str, tuple[int, ...]] = {}
    for snapshot in snapshots:
        uris: list[str] = []
        row_ids: list[int] = []
        for part in snapshot.parts:
            table = _live(part, ["row_id", *ADDRESS_COLUMNS])
            uris += printed_places(table).to_pylist()
            row_ids += table["row_id"].to_pylist()
        here = dict(zip(uris, row_ids, strict=True))
        if shared:
            shared = {uri: several for uri, several in shared.items() if uri not in here}
        if len(here) < len(uris):
            shared |= _several(uris, row_ids)
        rows |= here
    return rows, shared


def _several(uris: Sequence[str], row_ids: Sequence[int]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = defaultdict(list)
    for uri, row_id in zip(uris, row_ids, strict=True):
        found[uri].append(row_id)
    return {uri: tuple(several) for uri, several in found.items() if len(several) > 1}


def places_of(snapshot: Snapshot, row_ids: Positions) -> pa.Table:
    """Of each row, in their order, `uri`: where it lies, as it prints; and `path_bytes`: the path's
    own bytes where the uri cannot hold them.

    Of a row that the snapshot has not: "" and null.

    :param row_ids: int64, (n,), rising.
    """
    here, numbers, positions = snapshot.places_of(row_ids)
    table = snapshot.rows(numbers, positions, list(ADDRESS_COLUMNS))
    uris, paths = printed_places(table), table["path_bytes"]
    if len(here) < len(row_ids):
        at = np.searchsorted(here, row_ids)
        at[at == len(here)] = 0
        is_here = np.isin(row_ids, here, assume_unique=True)
        homes = pa.array(at, mask=~is_here)
        uris, paths = pc.fill_null(uris.take(homes), ""), paths.take(homes)
    return pa.table({"uri": uris, "path_bytes": paths})


def _live(part: Part, names: Sequence[str]) -> Any:
    """pyarrow.Table: some columns of the part's live rows."""
    table, alive = part.columns(names), part.alive
    return table if alive is None else table.filter(alive)
