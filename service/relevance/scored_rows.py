"""Rows of a snapshot as a filter shows them: where they lie, and with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.hits import Row, row_json
from service.relevance.calibration import Calibration
from service.relevance.scorer import Scored
from service.snapshot import Part, Positions, Snapshot


def scored_json(
    snapshot: Snapshot, row_ids: Sequence[int], scored: Scored, calibration: Calibration | None
) -> list[dict[str, Any]]:
    """The rows as JSON values, in their order, with their scores; rows that are gone are left out.

    :param scored: at least of these rows.
    """
    places = [(row_id, snapshot.find(row_id)) for row_id in row_ids]
    found = []
    for row_id, place in places:
        if place is None:
            continue
        row = row_json(place[0].take(np.array([place[1]]))[0])
        at = int(np.searchsorted(scored.row_ids, row_id))
        score = scored.scores[at : at + 1]
        probability = None if calibration is None else float(calibration.probability(score)[0])
        found.append(
            {
                **{name: row.pop(name) for name in ("row_id", "uri", "width_px", "height_px")},
                "score": round(float(score[0]), 6),
                "probability": None if probability is None else round(probability, 4),
                **row,
            }
        )
    return found


def rows_of(snapshot: Snapshot, row_ids: Sequence[int]) -> list[Row]:
    """The rows, in their order; rows that are gone are left out."""
    places = [place for row_id in row_ids if (place := snapshot.find(row_id)) is not None]
    return [Row.of(part.take(np.array([position]))[0]) for part, position in places]


def row_by_uri(snapshots: Sequence[Snapshot]) -> dict[str, int]:
    """uri -> row_id of every live row; what a later snapshot says of a uri counts."""
    rows: dict[str, int] = {}
    for snapshot in snapshots:
        for part in snapshot.parts:
            table = _live(part, ["row_id", "uri"])
            rows.update(zip(table["uri"].to_pylist(), table["row_id"].to_pylist(), strict=True))
    return rows


def uris_of(snapshot: Snapshot, row_ids: Positions) -> tuple[list[str], list[bytes | None]]:
    """The uri of each row, in their order, and the path's bytes where the uri cannot hold them.

    Of a row that the snapshot has not: "" and None.
    """
    found: dict[int, tuple[str, bytes | None]] = {}
    for part in snapshot.parts:
        table = _live(part, ["row_id", "uri", "path_bytes"])
        columns = [table[name].to_pylist() for name in ("row_id", "uri", "path_bytes")]
        found.update((row_id, (uri, path)) for row_id, uri, path in zip(*columns, strict=True))
    places = [found.get(row_id, ("", None)) for row_id in row_ids.tolist()]
    return [uri for uri, _ in places], [path for _, path in places]


def _live(part: Part, names: Sequence[str]) -> Any:
    """pyarrow.Table: some columns of the part's live rows."""
    table, alive = part.columns(names), part.alive
    return table if alive is None else table.filter(alive)
