"""Whether a query is searched on an engine, how many candidates that takes, and what is done while
the engine is away.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.disk.groups import Kind
from indexer.errors import EngineError, EngineMoved, SearchAway
from service.search.engine.lake_engine import LakeEngine
from service.search.query import MOST_CANDIDATES, Query
from service.search.ranking import Found, Ranking
from service.search.searched import Searched, why_exact
from service.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from service.where.where import Where

# Candidates that are asked for: as many as were set, or times as many, so that they are twice what
# the page looks at; then more, where too few of them pass.
_TIMES = (1, 3, 9)
_SPARE = 2


@dataclass(frozen=True, slots=True)
class Sought:
    how: Searched
    first: Found | None  # the best candidates, in order; None: it is searched here, exactly


def sought(
    engine: LakeEngine | None,
    snapshot: Snapshot,
    query: Query,
    vector: NDArray[np.float32],
    where: Where | None,
    kind: Kind | None,
) -> Sought:
    """Ask the engine, or say why it is not asked.

    :param engine: None: there is none any more, and this is a further page of when there was one.
    :raises SearchAway: if it cannot answer, and searches are not to be done here instead.
    :raises EngineMoved: if the hits before this page would be others now.
    """
    if query.exact or query.recall == 1:
        return Sought(Searched(), None)
    if why := why_exact(query, on_engine=True):
        return Sought(Searched(why=why), None)
    if engine is None:
        return _here(None, snapshot, query, vector, where, None)
    try:
        return _asked(engine, snapshot, query, vector, where, kind)
    except EngineError:
        if engine.outage != "own":
            raise SearchAway(engine.name) from None
        return _here(engine, snapshot, query, vector, where, "the engine cannot be asked just now")


def _asked(
    engine: LakeEngine,
    snapshot: Snapshot,
    query: Query,
    vector: NDArray[np.float32],
    where: Where | None,
    kind: Kind | None,
) -> Sought:
    assert query.k is not None, "why_exact looked"
    wanted = query.offset + query.k + 1  # one more: does anything follow?
    if query.candidates is not None:
        counts = [query.candidates]
    else:
        offered = [min(each * engine.candidates, MOST_CANDIDATES) for each in _TIMES]
        counts = [each for each in offered if each >= _SPARE * wanted] or [
            min(max(offered[-1], _SPARE * wanted), MOST_CANDIDATES)
        ]
    for count in counts:
        found, has_more = engine.near(snapshot, vector, where, count)
        is_enough = len(found) >= wanted or len(found) == snapshot.live_rows
        if is_enough or not has_more:
            break
    if not is_enough and query.candidates is None:
        why = f"of the rows that pass the engine names {len(found):,}, and {wanted:,} are looked at"
        return Sought(Searched(why=why), None)
    if query.seen is not None and seen(found.row_ids, query.offset) != query.seen:
        raise EngineMoved(engine.name)
    how = Searched(engine=engine.kind, candidates=count, measured=engine.recall, kind=kind)
    return Sought(how, found)


def _here(
    engine: LakeEngine | None,
    snapshot: Snapshot,
    query: Query,
    vector: NDArray[np.float32],
    where: Where | None,
    why: str | None,
) -> Sought:
    """Exactly; a further page only where the engine had ordered the pages before just so."""
    if query.seen is not None and query.candidates is not None:
        before = Ranking(snapshot, vector, where).top(min(query.offset, query.candidates))
        if seen(before.row_ids, query.offset) != query.seen:
            raise SearchAway(engine.name) if engine is not None else EngineMoved("this lake")
    return Sought(Searched(why=why, is_outage=engine is not None), None)


def seen(row_ids: Positions, offset: int) -> int:
    """A number below 2^53 for the hits before a page: a cursor carries it to the next.

    :param row_ids: of the candidates, best first.
    """
    before = np.ascontiguousarray(row_ids[:offset], "<i8").tobytes()
    return int.from_bytes(hashlib.sha256(before).digest()[:6], "little")
