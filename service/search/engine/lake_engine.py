"""One lake's rows in an engine, beside the snapshots that are searched.

An engine has the rows of the last push. Rows of a snapshot that it has not are searched here,
exactly, and those that it has too many of are passed over: whatever was pushed when, no row is lost
and none comes back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.engines.engine import NEAREST, Engine, Held, Recalled, same_vectors, telling_rows
from indexer.engines.predicate import Predicate
from indexer.engines.pushing import mark_of
from indexer.errors import EngineError, LakeError
from service.search.choosing import joined
from service.search.ranking import Found, Ranking
from service.search.scored import scores_at
from service.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from service.where.where import Where

Outage: TypeAlias = Literal["own", "503"]

log = logging.getLogger(__name__)

# After an engine failed no search asks it for so long, unless `look` found that it answers again.
REST_S = 15.0
CANDIDATES = 400
_TRIES = 5  # while rows are taken away there
# What an engine has is read once for all who ask; who waits longer searches otherwise.
_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Beside:
    """Of a snapshot's rows, those that the engine has."""

    changes: int
    known: list[RowMask]  # (rows of the part,), a mask a part: live, and the engine has its vector
    is_pushed: list[bool]  # a part each: the engine has its columns, too

    def missing(self, snapshot: Snapshot, *, columns: bool) -> list[RowMask] | None:
        """Of each part, the live rows that the engine cannot name; None: it can name all.

        :param columns: True: by their columns, too.
        """
        masks = []
        for part, known, is_pushed in zip(snapshot.parts, self.known, self.is_pushed, strict=True):
            alive = np.ones(part.rows, bool) if part.alive is None else part.alive
            masks.append(alive.copy() if columns and not is_pushed else alive & ~known)
        return masks if any(mask.any() for mask in masks) else None


class _Restless(EngineError):
    """No reason to leave it alone: the next search may well be answered."""


class LakeEngine:
    """May be asked by several threads at once."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        outage: Outage = "own",
        candidates: int = CANDIDATES,
    ) -> None:
        """
        :param name: of the lake, in the engine.
        :param outage: what happens to searches while it cannot answer: they are done here, or
            refused.
        :param candidates: that are asked for at first; more of them find more, and take longer.
        """
        self._engine, self.name, self.outage = engine, name, outage
        self.kind, self.candidates = engine.kind, candidates
        self.trouble: str | None = None  # why it cannot answer; for whoever runs the service
        self._rests_until = 0.0
        self._held: Held | None = None
        self._beside: WeakKeyDictionary[Snapshot, Beside] = WeakKeyDictionary()
        self._looking = threading.Lock()
        self._recall: dict[tuple[str, int], Recalled] = {}

    def near(
        self,
        snapshot: Snapshot,
        vector: NDArray[np.float32],
        where: Where | None,
        count: int,
    ) -> tuple[Found, bool]:
        """The best of the rows that the engine names for a vector and of those that it does not
        have: at most count, and fewer where few of those that it names pass.

        Scores are those of an exact search, bit for bit, and ties are in order of row_id.

        :returns: them, and whether the engine named as many as it was asked for: if it did not,
            asking for more is of no use.
        :raises EngineError: if the engine cannot answer, or has another lake's rows.
        :raises WhereError: as an exact search does.
        """
        if self.trouble is not None and time.monotonic() < self._rests_until:
            raise EngineError(self._engine.url, self.trouble)
        try:
            named, beside, is_narrowed = self._candidates(snapshot, vector, where, count)
        except _Restless:
            raise
        except EngineError as error:
            self._rest(error)
            raise
        self._recovered()
        row_ids, parts, positions = snapshot.places_of(np.unique(named))
        missing = beside.missing(snapshot, columns=is_narrowed)
        keeps = _passing(snapshot, where, parts, positions)
        if missing is not None:
            keeps &= ~_at(missing, parts, positions)
        row_ids, parts, positions = row_ids[keeps], parts[keeps], positions[keeps]
        here = Found(scores_at(snapshot, vector, parts, positions), parts, positions, row_ids)
        pieces = [here]
        if missing is not None:
            pieces.append(Ranking(snapshot, vector, where, missing).top(count))
        return _first(pieces, count), len(named) >= count

    def _candidates(
        self, snapshot: Snapshot, vector: NDArray[np.float32], where: Where | None, count: int
    ) -> tuple[Positions, Beside, bool]:
        """Row_ids, what the engine has as it named them, and whether it was asked by columns."""
        stale: Held | None = None
        for _ in range(_TRIES):
            held = self._held
            if held is None or held is stale:
                held = self._looked(stale)
            predicate = None if where is None else self._narrowed(snapshot, where, held)
            beside = self._beside_of(snapshot, held)
            found = self._engine.candidates(held.state, vector, count, predicate)
            if found.version == held.state.version:
                return found.row_ids, beside, predicate is not None
            stale = held
        raise _Restless(self._engine.url, "it is pushed to faster than it can be asked")

    def _narrowed(self, snapshot: Snapshot, where: Where, held: Held) -> Predicate | None:
        # not at the top: searches without a where need not load Arrow's compute module
        from service.where.translated import translated

        return translated(where.text, snapshot.schema, held.state.columns)

    def look(self, snapshot: Snapshot) -> None:
        """See whether it can answer, and what was pushed since; never raises.

        What a search would otherwise wait for is read here.
        """
        try:
            state = self._engine.state(self.name)
            held = self._held
            if held is None or state is None or state.changes != held.state.changes:
                held = self._looked(held)
            self._beside_of(snapshot, held)
        except _Restless:
            return
        except EngineError as error:
            self._rest(error)
        else:
            self._recovered()

    def _looked(self, stale: Held | None) -> Held:
        """:param stale: what is known not to be so any more."""
        if not self._looking.acquire(timeout=_WAIT_S):
            raise _Restless(self._engine.url, "what it has is still being read")
        try:
            if self._held is not None and self._held is not stale:
                return self._held  # somebody else looked meanwhile
            held = self._engine.held(self.name)
            if held is None:
                raise self._refused("it has nothing of this lake: lakesift engine push LAKE ENGINE")
            if not held.state.is_complete:
                raise self._refused(
                    "a push was cut short, or its index is gone; push again: "
                    "lakesift engine push LAKE ENGINE"
                )
            self._recall = {
                (each.made_of, each.nearest): each for each in self._engine.recalled(self.name)
            }
            self._held = held
            return held
        finally:
            self._looking.release()

    def _check_lake(self, snapshot: Snapshot, held: Held) -> None:
        """That its rows are this lake's: a row_id never gets another vector."""
        if held.state.mark != mark_of(self.name, snapshot.manifest):
            raise self._refused(f"it has vectors of another model under the name {self.name}")
        live = snapshot.places[0]
        both = live[_is_in(live, held.row_ids)]
        if len(both):
            row_ids, parts, positions = snapshot.places_of(telling_rows(both))
            vectors = np.empty((len(row_ids), snapshot.manifest.dim), np.float32)
            for number in np.unique(parts):
                here = parts == number
                vectors[here] = snapshot.parts[number].vectors.take(positions[here])
            there = self._engine.vectors(self.name, row_ids)
            if there and same_vectors(there, row_ids, vectors):
                return
        elif not len(held.row_ids) or not snapshot.live_rows:
            return
        raise self._refused(f"it has rows of another lake under the name {self.name}")

    def _beside_of(self, snapshot: Snapshot, held: Held) -> Beside:
        known = self._beside.get(snapshot)
        if known is not None and known.changes == held.state.changes:
            return known
        self._check_lake(snapshot, held)
        masks = []
        for part in snapshot.parts:
            mask = _is_in(part.row_ids, held.row_ids)
            masks.append(mask if part.alive is None else mask & part.alive)
        own = [part.segment.entry.id for part in snapshot.parts]
        # A row that moved since has the columns of a segment that this snapshot does not know.
        # Names of segments rise with the time they are made.
        is_ahead = bool(own) and max(held.segments | held.begun, default="") > max(own)
        pushed = [name in held.segments and not is_ahead for name in own]
        beside = Beside(held.state.changes, masks, pushed)
        self._beside[snapshot] = beside
        return beside

    def _refused(self, reason: str) -> EngineError:
        return EngineError(self._engine.url, reason)

    def _rest(self, error: EngineError) -> None:
        """Searches do not wait for it, one after the other, while it is away."""
        if self.trouble != error.reason:
            log.warning("%s: the engine cannot be asked: %s", self.name, error)
        self.trouble, self._held = error.reason, None
        self._rests_until = time.monotonic() + REST_S

    def _recovered(self) -> None:
        if self.trouble is not None:
            log.info("%s: the engine answers again", self.name)
        self.trouble = None

    @property
    def recall(self) -> dict[int, dict[str, float]]:
        """What candidates held of the 10 and the 100 nearest rows, by what the queries were made
        of, as it was measured on searches that people did.
        """
        shares: dict[int, dict[str, float]] = {nearest: {} for nearest in NEAREST}
        for (made_of, nearest), each in self._recall.items():
            shares.setdefault(nearest, {})[made_of] = each.share
        return shares

    def add_recalled(self, measured: Sequence[Recalled]) -> None:
        """Keep what was measured, in the engine, where all services add to it."""
        try:
            self._engine.add_recalled(self.name, measured)
            known = self._engine.recalled(self.name)
        except LakeError as error:  # as of a user who may only read there
            log.info("%s: what was measured is kept in memory alone: %s", self.name, error)
            known = [_sum(self._recall.get((e.made_of, e.nearest)), e) for e in measured]
        self._recall |= {(each.made_of, each.nearest): each for each in known}


def _sum(before: Recalled | None, new: Recalled) -> Recalled:
    if before is None:
        return new
    return replace(
        new,
        found=before.found + new.found,
        wanted=before.wanted + new.wanted,
        queries=before.queries + new.queries,
    )


def _is_in(row_ids: Positions, rising: Positions) -> RowMask:
    at = np.searchsorted(rising, row_ids)
    found = at < len(rising)
    found[found] = rising[at[found]] == row_ids[found]
    return found


def _at(masks: Sequence[RowMask], parts: Positions, positions: Positions) -> RowMask:
    """bool, (n,): what the masks say of these rows."""
    said = np.empty(len(parts), bool)
    for number in np.unique(parts).tolist():
        here = parts == number
        said[here] = masks[number][positions[here]]
    return said


def _passing(
    snapshot: Snapshot, where: Where | None, parts: Positions, positions: Positions
) -> RowMask:
    """bool, (n,): whether these rows pass, asked of them alone."""
    passes = np.ones(len(parts), bool)
    if where is None:
        return passes
    names = sorted(where.columns) or ["row_id"]  # a constant, too, needs to know how many rows
    for number in np.unique(parts).tolist():
        here = np.flatnonzero(parts == number)
        passes[here] = where.mask(snapshot.parts[number].at(positions[here], names))
    return passes


def _first(pieces: Sequence[Found], count: int) -> Found:
    """The best of them; none is in two pieces."""
    every = joined(pieces)
    return every.at(np.lexsort((every.row_ids, -every.scores))[:count])
