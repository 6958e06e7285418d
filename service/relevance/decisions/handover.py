"""What a filter decided, as `service.formats` hands it over:
the ledger's rows with all that the lake knows of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from indexer.address import ADDRESS_COLUMNS
from indexer.sources.guard import Reach
from service.formats.item import Handover, Item
from service.relevance.decisions.answers import AppliedAnswer
from service.relevance.labels.book import UNNAMED, Answer
from service.search.decided import Decision
from service.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1_000
OUT_OF_SERVICE = "the segment that holds it is damaged, and out of service"


def handover_of(applied: AppliedAnswer, decisions: Sequence[str]) -> Handover:
    """:param applied: by the version that decided."""
    return Handover(
        filter=applied.filter,
        version=applied.version,
        snapshot=applied.snapshot,
        promise=applied.promise.sentence,
        decision=", ".join(decisions),
    )


class Items:
    """The images of a ledger's rows, in its order.
    What the snapshot does not hold any more goes into `missing`. An image that has moved since, as
    when shards were dealt out anew, is handed over by where it lies now.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        table: pa.Table,
        answers: Mapping[int, Answer],
        newest: Snapshot | None = None,
    ) -> None:
        """:param table: rows of a ledger of this snapshot, by row_id.
        :param newest: the lake's newest snapshot, which knows where images lie by now.
        """
        self._snapshot = snapshot
        self._newest = newest or snapshot
        self._table = table
        self._answers = answers
        self.missing: list[tuple[str, str]] = []  # uri, reason; whole once it was iterated

    @property
    def schema(self) -> pa.Schema:
        """Of the rows' columns."""
        return self._snapshot.schema

    @property
    def reach(self) -> Reach:
        """What the rows may name."""
        manifests = (self._snapshot.manifest, self._newest.manifest)
        sources = (source.uri for manifest in manifests for source in manifest.sources)
        return Reach(sources, seeks=self._newest.layout.seeks)

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
        rows = _rows_of(self._snapshot, row_ids)
        if self._newest.number == self._snapshot.number:
            return rows
        for row_id, now in _rows_of(self._newest, row_ids).items():
            row = rows.get(row_id)
            if row is not None and row["sha256"] == now["sha256"]:
                rows[row_id] = {**row, **{name: now.get(name) for name in ADDRESS_COLUMNS}}
        return rows

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
        said = sorted(
            who for who, what in answer.labellers.items() if what == label and who != UNNAMED
        )
        return ", ".join(said) or None


def _rows_of(snapshot: Snapshot, row_ids: Any) -> dict[int, dict[str, Any]]:
    """Those of the rows that are live in a snapshot, every column."""
    ids, places = snapshot.places
    at = np.searchsorted(ids, row_ids)
    found = (
        at[(at < len(ids)) & (ids[np.minimum(at, len(ids) - 1)] == row_ids)] if len(ids) else at[:0]
    )
    rows = snapshot.take(*snapshot.locate(places[found]))
    return {row["row_id"]: row for row in rows}
