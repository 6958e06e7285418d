"""What searches of a few groups find, beside the same searches of every row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from indexer.disk.groups import NEAREST, Kind
from indexer.embed import Embedder
from indexer.engines.engine import NEAREST as ENGINE_NEAREST
from indexer.engines.engine import Recalled
from indexer.run.grouping.wordings import wordings
from service.search.query import Query
from service.search.ranking import Ranking
from service.search.searched import Searched
from service.search.understood import Understood, understand
from service.snapshot.snapshot import Snapshot, hash_row_ids

if TYPE_CHECKING:
    from service.search.engine.lake_engine import LakeEngine

SAMPLE = 40  # queries of each kind
RECALL = 0.99  # looked at where the lake is not set


@dataclass(frozen=True, slots=True)
class Compared:
    """Queries of one kind, searched in groups and exactly."""

    kind: Kind
    how: Searched
    recall: float  # that was asked for
    queries: int
    found: float  # the mean share of the 10 nearest
    off: float  # the standard error of that

    @property
    def is_well(self) -> bool:
        """False where so little is hardly chance."""
        return self.found >= self.recall - max(3 * self.off, 1 / self.queries)


def compare(asked: Understood) -> tuple[int, int]:
    """Of the 10 nearest rows, how many a search of few groups found, and how many there are.

    :param asked: a query that was searched in groups.
    """
    assert asked.searched is not None
    near, exact = (
        Ranking(asked.snapshot, asked.vector, None, None, depth).top(NEAREST[0])
        for depth in (asked.searched.depth, None)
    )
    return int(np.isin(exact.row_ids, near.row_ids).sum()), len(exact)


def compare_near(asked: Understood) -> list[Recalled]:
    """Of the nearest rows that pass, how many an engine's candidates hold.

    :param asked: a query whose candidates an engine named. Where it took fewer of them than are
        nearest, as for a small page and a `where` that few rows pass, that says nothing of it.
    """
    assert asked.near is not None and asked.searched is not None
    exact = Ranking(asked.snapshot, asked.vector, asked.where).top(max(ENGINE_NEAREST))
    measured = []
    for nearest in ENGINE_NEAREST:
        wanted = exact.row_ids[:nearest]
        if len(asked.near) < len(wanted):
            continue
        found = int(np.isin(wanted, asked.near.row_ids[:nearest]).sum())
        measured.append(
            Recalled(asked.searched.kind or "mixed", nearest, found, len(wanted), queries=1)
        )
    return measured


def compare_rows(snapshot: Snapshot, model: Callable[[], Embedder]) -> Compared | None:
    """Rows of the lake as queries; None: they are searched exactly."""
    return _compared(snapshot, "image", _rows(snapshot), model)


def compare_texts(snapshot: Snapshot, model: Callable[[], Embedder]) -> Compared | None:
    """Plain texts as queries; None: they are searched exactly.

    :raises LakeError: if there is no model to embed them.
    """
    return _compared(snapshot, "text", _texts(), model)


def compare_on_engine(
    snapshot: Snapshot, kind: Kind, model: Callable[[], Embedder], engine: LakeEngine
) -> tuple[list[Recalled], int]:
    """Pages of 100 hits whose candidates an engine names, as a service asks for them, beside exact
    ones; of those queries alone that the engine could answer.

    :param kind: "image": rows of the lake as queries; "text": plain texts.
    :returns: what was found of each number of nearest rows, and how many candidates that took.
    :raises LakeError: if there is no model to embed texts.
    """
    candidates = 0
    most = max(ENGINE_NEAREST)
    sums = {nearest: Recalled(kind, nearest) for nearest in ENGINE_NEAREST}
    for query in _texts() if kind == "text" else _rows(snapshot):
        asked = understand(snapshot, query.with_options({"k": most}), model, engine=engine)
        if asked.near is None or asked.searched is None:
            continue
        candidates = max(candidates, asked.searched.candidates)
        for new in compare_near(asked):
            known = sums[new.nearest]
            sums[new.nearest] = replace(
                known,
                found=known.found + new.found,
                wanted=known.wanted + new.wanted,
                queries=known.queries + 1,
            )
    return list(sums.values()), candidates


def _rows(snapshot: Snapshot) -> Iterator[Query]:
    ids, _ = snapshot.places
    chosen = ids[np.argsort(hash_row_ids(ids), kind="stable")[:SAMPLE]].tolist()
    return (Query(row_ids=[(row_id, 1.0)]) for row_id in chosen)


def _texts() -> Iterator[Query]:
    texts = wordings()
    return (Query(texts=[(text, 1.0)]) for text in texts[:: len(texts) // SAMPLE][:SAMPLE])


def _compared(
    snapshot: Snapshot, kind: Kind, queries: Iterable[Query], model: Callable[[], Embedder]
) -> Compared | None:
    groups = snapshot.groups
    recall = RECALL if groups is None or groups.recall in (None, 1) else groups.recall
    shares: list[float] = []
    how: Searched | None = None
    for query in queries:
        asked = understand(snapshot, query.with_options({"recall": recall}), model)
        how = asked.searched
        if how is None or how.depth is None:
            return None
        found, wanted = compare(asked)
        shares.append(found / max(wanted, 1))
    if how is None or recall is None:
        return None
    off = float(np.std(shares) / len(shares) ** 0.5)
    return Compared(kind, how, recall, len(shares), float(np.mean(shares)), off)
