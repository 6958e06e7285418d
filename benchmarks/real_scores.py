"""Real scores with their truth: from files, and from lakes whose folders know the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from service.lake import Lake
from service.relevance.scoring.fitting import draft
from service.relevance.scoring.scorer import score_rows

LEAST_CHANCE = 1e-12  # of a proxy, so that its log-odds are finite


@dataclass(frozen=True, slots=True)
class Population:
    """Rows that are what they are.

    :ivar relevant: bool, (rows,).
    :ivar scores: float32, (rows,); log-odds where the file has chances.
    :ivar proxy: float64, (rows,), in [0, 1], as the file has it for SUPG; None: it gets calibrated
        scores.
    """

    name: str
    relevant: NDArray[np.bool_]
    scores: NDArray[np.float32]
    proxy: NDArray[np.float64] | None


def read(path: Path) -> Population:
    """A CSV file's rows.

    :raises SystemExit: if it cannot be read or lacks a column, with a sentence.
    """
    try:
        table = pyarrow.csv.read_csv(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise SystemExit(f"{path}: it cannot be read as CSV ({error})") from error
    columns = [name for name in ("proxy_score", "score") if name in table.column_names]
    if "label" not in table.column_names or not columns:
        raise SystemExit(f"{path}: expected the columns label and score or proxy_score")
    relevant = pc.cast(table["label"], pa.float64()).to_numpy() > 0
    scores = table[columns[0]].to_numpy().astype(np.float64)
    if scores.min() < 0 or scores.max() > 1:
        return Population(path.stem, relevant, scores.astype(np.float32), None)
    sure = np.clip(scores, LEAST_CHANCE, 1 - LEAST_CHANCE)
    return Population(path.stem, relevant, np.log(sure / (1 - sure)).astype(np.float32), scores)


def of_lake(folder: Path, wanted: Sequence[str]) -> list[Population]:
    """A population for each TEXT=CLASS[,CLASS],
    scored as a filter's draft scores it; the lake is not changed.

    :raises SystemExit: if one is not of that form, or no photo is in such a folder.
    """
    populations = []
    with Lake.open(folder) as lake:
        for pair in wanted:
            text, equals, classes = pair.partition("=")
            if not equals:
                raise SystemExit(f"{pair}: expected TEXT=CLASS[,CLASS]")
            none = np.empty((0, lake.snapshot.manifest.dim), np.float32)
            scored = score_rows(lake.snapshot, draft([text], [], none, none, lambda: lake.embedder))
            there = _rows_in(lake, set(classes.split(",")))
            relevant = np.isin(scored.row_ids, there)
            if not relevant.any():
                raise SystemExit(f"{pair}: no photo is in a folder of that name")
            populations.append(Population(text, relevant, scored.scores, None))
    return populations


def _rows_in(lake: Lake, folders: set[str]) -> list[int]:
    """The ids of the rows whose file lies in a folder of one of these names."""
    found: list[int] = []
    for part in lake.snapshot.parts:
        table: pa.Table = part.columns(["row_id", "uri"])
        for row_id, uri in zip(table["row_id"].to_pylist(), table["uri"].to_pylist(), strict=True):
            if Path(uri).parent.name in folders:
                found.append(row_id)
    return found
