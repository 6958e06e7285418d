"""What a filter decided of one row, and what people say of it now. Knows no lake, and no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.disk.entries import check_file
from indexer.errors import LakeDamaged
from service.relevance.as_json import AsJson, told
from service.relevance.labels.book import Answer
from service.search.decided import Decision
from service.search.ledgers import path_of

COLUMNS = ["decision", "score", "probability", "label"]


@dataclass(frozen=True, slots=True)
class RowDecided(AsJson):
    """The decision of one image, and its label."""

    filter: str
    version: int | None = field(
        metadata=told("That decided it, or did not; null: none was applied.")
    )
    row_id: int
    decision: Decision | None = field(
        metadata=told("Null: undecided, as what came since or the filter's where leaves out.")
    )
    score: float | None = field(metadata=told("By the version's scorer; null: undecided."))
    probability: float | None = field(
        metadata=told("Of being relevant, in [0, 1]; null: undecided, or not calibrated.")
    )
    label_then: str | None = field(
        metadata=told("What people had said when it was decided: yes, no, skip or conflict.")
    )
    label: str | None = field(
        metadata=told("What people say now: yes, no, skip or conflict; null: nothing.")
    )
    labellers: Mapping[str, str] = field(metadata=told("Each one's latest label, by name."))

    @classmethod
    def of(
        cls,
        name: str,
        version: int | None,
        row_id: int,
        decided: Mapping[str, Any] | None,
        answer: Answer | None,
    ) -> RowDecided:
        """:param decided: the row of the version's ledger; None: it has none."""
        known = decided or dict.fromkeys(COLUMNS)
        score, probability = known["score"], known["probability"]
        return cls(
            filter=name,
            version=version,
            row_id=row_id,
            decision=known["decision"],
            score=None if score is None else round(score, 6),
            probability=None if probability is None else round(probability, 6),
            label_then=known["label"],
            label=None if answer is None else answer.label,
            labellers={} if answer is None else dict(answer.labellers),
        )


def read_row(folder: Path, version: int, row_id: int) -> dict[str, Any] | None:
    """One row of a ledger: its row groups lie by row_id, so one of them is read.

    :param folder: the filter's; whoever calls has checked the version's ledger.
    :returns: its COLUMNS; None: the ledger has no such row.
    :raises LakeDamaged: if the ledger cannot be read.
    """
    path = path_of(folder, version)
    try:
        check_file(path)
        found = pq.read_table(path, columns=COLUMNS, filters=[("row_id", "=", row_id)])
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(str(path), str(error)) from None
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows[0] if rows else None
