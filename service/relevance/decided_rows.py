"""What filters decided of the rows that a lake has now: ledgers by segment, read once for many searches."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.layout import Layout
from service.decided import DECISIONS, DecidedBy, DecidedRows
from service.relevance.deciding import Decisions
from service.relevance.definition import Definition
from service.relevance.store import FilterStore
from service.snapshot import Part, Snapshot

UNDECIDED = len(DECISIONS)
KEPT = 4  # ledgers, each of a byte a row

Codes = dict[str, NDArray[np.uint8]]  # segment -> (rows,): the number of each row's decision, or UNDECIDED


class LedgersInUse:
    """The ledgers that searches asked for last. Safe from several threads.

    A row keeps its number for good and a segment never changes, so what was decided of a segment's rows stays true in
    every later snapshot; only segments that are new are looked up.
    """

    def __init__(self, layout: Layout) -> None:
        self._store = FilterStore(layout)
        self._kept: OrderedDict[tuple[int, int], Codes] = (
            OrderedDict()
        )  # by the filter's folder and its version
        self._lock = threading.Lock()

    def rows(self, snapshot: Snapshot, asked: DecidedBy) -> DecidedRows:
        """The rows of a snapshot that were decided so.

        :raises UnknownFilter: if there is no such filter; BadRequest: if it was not applied, or not this version.
        :raises LakeDamaged: if the ledger cannot be read.
        """
        decisions = Decisions(self._store, asked.filter)
        definition = decisions.version(asked.version)
        # By its folder: a filter of the same name, made after this one was deleted, is another.
        key = (self._store.folder(asked.filter).stat().st_ino, definition.version)
        codes = self._codes(key, decisions, definition, snapshot)
        of_parts = [codes[part.segment.entry.id] for part in snapshot.parts]
        wanted = np.array([name in asked.decisions for name in DECISIONS] + [False])
        undecided = sum(
            np.count_nonzero(
                (found == UNDECIDED) if part.alive is None else (found == UNDECIDED) & part.alive
            )
            for part, found in zip(snapshot.parts, of_parts, strict=True)
        )
        by = DecidedBy(asked.filter, asked.decisions, definition.version)
        return DecidedRows(by, tuple(wanted[found] for found in of_parts), int(undecided))

    def _codes(
        self, key: tuple[int, int], decisions: Decisions, definition: Definition, snapshot: Snapshot
    ) -> Codes:
        """Of at least the segments of this snapshot."""
        with self._lock:
            known = self._kept.get(key, {})
        missing = [part for part in snapshot.parts if part.segment.entry.id not in known]
        if missing:
            found = _looked_up(decisions, definition, missing)
            here = {part.segment.entry.id for part in snapshot.parts}
            known = {**{name: codes for name, codes in known.items() if name in here}, **found}
        with self._lock:
            self._kept[key] = known
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return known


def _looked_up(decisions: Decisions, definition: Definition, parts: list[Part]) -> Codes:
    table = decisions.whole(definition, ["row_id", "decision"])
    ids = np.asarray(table["row_id"])  # rising
    numbers = pc.index_in(table["decision"], value_set=pa.array(DECISIONS))
    decided = np.append(np.asarray(numbers).astype(np.uint8), np.uint8(UNDECIDED))
    found = {}
    for part in parts:
        at = np.searchsorted(ids, part.row_ids)
        is_there = np.append(ids, -1)[at] == part.row_ids
        found[part.segment.entry.id] = decided[np.where(is_there, at, len(ids))]
    return found
