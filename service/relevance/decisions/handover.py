"""What a filter decided, as `service.formats` hands it over:
the ledger's rows with all that the lake knows of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from indexer.address import ADDRESS_COLUMNS
from indexer.arrays import Positions
from indexer.sources.guard import Reach
from service.formats.batch import DECIDED, Batch, one_piece
from service.formats.item import Handover, Item
from service.relevance.decisions.answers import AppliedAnswer
from service.relevance.labels.book import UNNAMED, Answer
from service.snapshot.snapshot import Snapshot
from service.snapshot.tagged_rows import schema_with_tags, with_tags

BATCH_ROWS = 4_096
Names: TypeAlias = Sequence[str] | None
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
        # of one moment, however long the export takes
        self._tags = self._newest.tags()
        self.missing: list[tuple[str, str]] = []  # uri, reason; whole once it was iterated

    @property
    def schema(self) -> pa.Schema:
        """Of the rows' columns, with their tags, once somebody tagged."""
        return schema_with_tags(self._snapshot.schema, self._tags)

    @property
    def last_act(self) -> int | None:
        """The last act that their tags are of; None: no image has a tag."""
        return self._tags.seq if self._tags.names else None

    @property
    def reach(self) -> Reach:
        """What the rows may name."""
        manifests = (self._snapshot.manifest, self._newest.manifest)
        sources = (source.uri for manifest in manifests for source in manifest.sources)
        return Reach(sources, seeks=self._newest.layout.seeks)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Item]:
        for batch in self.batches(None):
            yield from batch.items()

    def batches(self, names: Sequence[str] | None) -> Iterator[Batch]:
        """As columns, some thousand rows at a time.

        :param names: the columns that are needed, those of an address among them; None: all.
        """
        self.missing = []
        is_tagged = names is None or not set(names) <= set(self._snapshot.schema.names)
        if names is not None:
            names = [name for name in names if name in self._snapshot.schema.names]
        for start in range(0, len(self), BATCH_ROWS):
            decided = self._table.slice(start, BATCH_ROWS)
            row_ids = np.asarray(decided["row_id"])
            here, numbers, positions = self._snapshot.places_of(row_ids)
            rows = self._moved(here, numbers, positions, names)
            if len(here) < len(row_ids):
                is_here = np.isin(row_ids, here, assume_unique=True)
                gone = decided["uri"].filter(pa.array(~is_here)).to_pylist()
                self.missing += [(uri, OUT_OF_SERVICE) for uri in gone]
                decided = decided.filter(pa.array(is_here))
            if is_tagged:
                rows = with_tags(rows, self._tags, self._snapshot.schema)
            yield Batch(rows, self._decided(decided))

    def _moved(
        self, row_ids: Positions, numbers: Positions, positions: Positions, names: Names
    ) -> pa.Table:
        """The rows, each where it lies by now."""
        if self._newest.number == self._snapshot.number:
            return self._snapshot.rows(numbers, positions, names)
        wanted = None if names is None else [*dict.fromkeys([*names, "sha256"])]
        rows = self._snapshot.rows(numbers, positions, wanted)
        places = ["row_id", "sha256", *ADDRESS_COLUMNS]
        still, numbers_now, positions_now = self._newest.places_of(row_ids)
        now = self._newest.rows(numbers_now, positions_now, places)
        at = np.searchsorted(row_ids, still)  # of each row that is there still
        same = pc.equal(rows["sha256"].take(pa.array(at)), now["sha256"])
        is_same = np.asarray(pc.fill_null(same, False).cast(pa.uint8())).astype(bool)
        mask = np.zeros(len(row_ids), bool)
        mask[at[is_same]] = True
        for name in ADDRESS_COLUMNS:
            moved = one_piece(now[name]).filter(pa.array(is_same))
            column = pc.replace_with_mask(one_piece(rows[name]), pa.array(mask), moved)
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), column)
        return rows if names is None else rows.select(names)

    def _decided(self, table: pa.Table) -> pa.Table:
        label = table["label"]
        said = pc.is_in(label, pa.array(["yes", "no"]))
        label = one_piece(pc.if_else(said, label, pa.scalar(None, pa.string())))
        labellers: list[str | None] = [None] * table.num_rows
        for at in np.flatnonzero(np.asarray(label.is_valid().cast(pa.uint8()))).tolist():
            labellers[at] = self._labeller(table["row_id"][at].as_py(), label[at].as_py())
        columns = [
            one_piece(table["decision"]),
            one_piece(table["score"]).cast(pa.float64()),
            one_piece(table["probability"]).cast(pa.float64()),
            label,
            pa.array(labellers, pa.string()),
        ]
        return pa.table(columns, names=DECIDED)

    def _labeller(self, row_id: int, label: str | None) -> str | None:
        """Who said so; of several, all."""
        answer = self._answers.get(row_id)
        if answer is None or label is None:
            return None
        said = {who for who, what in answer.labellers.items() if what == label}
        if answer.settled is not None and answer.label == label:
            said.add(answer.settled)
        return ", ".join(sorted(said - {UNNAMED})) or None
