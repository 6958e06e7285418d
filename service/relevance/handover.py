"""What a filter decided, as `service.export` hands it over: the ledger's rows, with all that the lake knows of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from service.export.item import Decision, Handover, Item
from service.relevance.labels import UNNAMED, Answer
from service.snapshot import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1_000
OUT_OF_SERVICE = "the segment that holds it is damaged, and out of service"


def promise_sentence(promise: Mapping[str, Any]) -> str:
    """As in "recall at least 0.95, with confidence 0.95"."""
    parts = [f"{kind} at least {promise[kind]:g}" for kind in ("recall", "precision") if promise[kind]]
    return f"{' and '.join(parts)}, with confidence {promise['confidence']:g}"


def handover_of(applied: Mapping[str, Any], decisions: Sequence[str]) -> Handover:
    """:param applied: as `Filter.applied` tells it."""
    return Handover(
        filter=applied["filter"],
        version=applied["version"],
        snapshot=applied["snapshot"],
        promise=promise_sentence(applied["promise"]),
        decision=", ".join(decisions),
    )


class Items:
    """The images of a ledger's rows, in its order. What the snapshot does not hold any more goes into `missing`."""

    def __init__(self, snapshot: Snapshot, table: pa.Table, answers: Mapping[int, Answer]) -> None:
        """:param table: rows of a ledger of this snapshot, by row_id."""
        self._snapshot = snapshot
        self._table = table
        self._answers = answers
        self.missing: list[tuple[str, str]] = []  # uri, reason; whole once it was iterated

    @property
    def schema(self) -> pa.Schema:
        """Of the rows' columns."""
        return self._snapshot.schema

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Item]:
        self.missing = []
        for batch in self._table.to_batches(max_chunksize=BATCH_ROWS):
            yield from self._batch(batch.to_pylist())

    def _batch(self, decided: list[dict[str, Any]]) -> Iterator[Item]:
        rows = self._rows(np.array([each["row_id"] for each in decided], np.int64))
        for each in decided:
            row = rows.get(each["row_id"])
            if row is None:
                self.missing.append((each["uri"], OUT_OF_SERVICE))
                continue
            yield self._item(row, each)

    def _rows(self, row_ids: Any) -> dict[int, dict[str, Any]]:
        ids, places = self._snapshot.places
        at = np.searchsorted(ids, row_ids)
        found = at[(at < len(ids)) & (ids[np.minimum(at, len(ids) - 1)] == row_ids)] if len(ids) else at[:0]
        rows = self._snapshot.take(*self._snapshot.locate(places[found]))
        return {row["row_id"]: row for row in rows}

    def _item(self, row: Mapping[str, Any], decided: Mapping[str, Any]) -> Item:
        label = decided["label"] if decided["label"] in ("yes", "no") else None
        return Item.of(
            row,
            cast(Decision, decided["decision"]),
            decided["score"],
            decided["probability"],
            cast(Literal["yes", "no"] | None, label),
            self._labeller(decided["row_id"], label),
        )

    def _labeller(self, row_id: int, label: str | None) -> str | None:
        """Who said so; of several, all."""
        answer = self._answers.get(row_id)
        if answer is None or label is None:
            return None
        said = sorted(who for who, what in answer.labellers.items() if what == label and who != UNNAMED)
        return ", ".join(said) or None
