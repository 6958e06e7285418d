"""From a query to hits: one vector, one order of the rows, a page or a stream of it. Knows no HTTP, opens no lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.embed import Embedder
from indexer.errors import BadRequest
from service.collapse import Folding
from service.decided import DecidedBy, DecidedRows
from service.hits import Hit, to_pandas
from service.query import ImageLike, Query, query_vector
from service.ranking import Found, Ranking
from service.snapshot import Positions, Snapshot
from service.threads import beside

if TYPE_CHECKING:
    from service.where import Where

__all__ = [
    "Hit",
    "ImageLike",
    "Page",
    "Query",
    "query_vector",
    "search",
    "search_page",
    "stream",
    "to_pandas",
]

MIN_ROWS_FOR_Z = 100
MAD_TO_SIGMA = 1.4826  # a normal distribution's standard deviation over its median absolute deviation
READ_ROWS = 1_000  # rows read at once
FIRST_SPARE = 100  # hits looked at beyond 2 k, before it is known how many fold

Ledgers: TypeAlias = Callable[[Snapshot, DecidedBy], DecidedRows]
Centre = tuple[float, float]  # the background's median and 1.4826 MAD


def no_ledgers(snapshot: Snapshot, asked: DecidedBy) -> DecidedRows:
    """:raises BadRequest: always: who searches a snapshot alone knows no filters."""
    raise BadRequest(
        "filter", f"filter {asked.filter} is known to its lake; search that one, not its snapshot"
    )


@dataclass(frozen=True, slots=True)
class Page:
    """A part of all hits, best first."""

    hits: list[Hit]
    next_offset: int | None  # where the next page begins; None: nothing follows
    vector: NDArray[np.float32]  # (dim,): the query's, unit length; a next page asked with it needs no model


def search(
    snapshot: Snapshot,
    query: Query,
    embedder: Callable[[], Embedder],
    decided: Ledgers = no_ledgers,
) -> list[Hit]:
    """The best live rows that the query's where and decided keep, exactly; ties in order of row_id.

    :param embedder: called only if the query has texts or images.
    :param decided: tells which rows a filter decided how; called only if the query asks for that.
    """
    return search_page(snapshot, query, embedder, decided).hits


def search_page(
    snapshot: Snapshot,
    query: Query,
    embedder: Callable[[], Embedder],
    decided: Ledgers = no_ledgers,
) -> Page:
    """As `search`, and where to go on.

    Pages of one snapshot fit together: each hit is on one page, whatever the sizes of the pages. With `collapse` a page
    is refilled to k, and a hit's `collapsed` names those folded into it as far as the page went; a near-identical image
    that comes later is left out of the later page too.
    """
    asked = _Asked(snapshot, query, embedder, decided)
    chosen = asked.choose()
    return Page(list(asked.hits(chosen)), chosen.next_offset, asked.vector)


def stream(
    snapshot: Snapshot,
    query: Query,
    embedder: Callable[[], Embedder],
    decided: Ledgers = no_ledgers,
) -> Iterator[Hit]:
    """The hits of `search`, their rows read a thousand at a time: a million hits need some 30 MB, not a million dicts.

    Mistakes in the query are raised by the call itself, before the first hit. With `collapse` each hit is compared with
    all that stayed before it, so the time grows with the square of their number.
    """
    asked = _Asked(snapshot, query, embedder, decided)
    return asked.hits(asked.choose())


def background_centre(snapshot: Snapshot, vector: NDArray[np.float32]) -> Centre | None:
    """Median and 1.4826 MAD of the background's scores; None under 100 rows, or where they hardly differ."""
    if snapshot.live_rows < MIN_ROWS_FOR_Z:
        return None
    # (n_background,); not @, whose BLAS threads go on spinning and took a third of the search's time after it
    scores = np.vecdot(snapshot.background, vector)
    median = float(np.median(scores))
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(scores - median)))
    return (median, sigma) if sigma > 1e-9 else None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What an answer holds, before its rows are read."""

    found: Found
    folded: dict[int, tuple[int, ...]] | None  # row_id of a hit -> row_ids folded into it; None: not asked
    next_offset: int | None


class _Asked:
    """A query that was understood, on the snapshot that answers it."""

    def __init__(
        self,
        snapshot: Snapshot,
        query: Query,
        embedder: Callable[[], Embedder],
        decided: Ledgers,
    ) -> None:
        query.check()
        where = None if query.where is None else _parsed(query.where, snapshot)
        among = None if query.decided is None else decided(snapshot, query.decided).masks
        self.vector = query_vector(snapshot, query, embedder)
        self._snapshot = snapshot
        self._query = query
        self._ranking = Ranking(snapshot, self.vector, where, among)
        # The background's 20 MB are read beside the search: on their own they took a tenth of its time.
        self._wait_for_centre = beside(
            lambda: background_centre(snapshot, self.vector), parallel=self._ranking.is_parallel
        )
        self._cut = self._min_score()

    @cached_property
    def _centre(self) -> Centre | None:
        return self._wait_for_centre()

    def _min_score(self) -> float | None:
        if self._query.min_z is None:
            return None
        if self._centre is None:
            raise BadRequest(
                "min_z",
                f"z scores need {MIN_ROWS_FOR_Z} different rows; this lake has {self._snapshot.live_rows}",
            )
        cut = self._centre[0] + self._query.min_z * self._centre[1]
        return min(max(cut, -2.0), 2.0)  # scores are in -1..1, and float32 holds no 1e308

    def _top(self, count: int | None) -> Found:
        found = self._ranking.top(count)
        return found if self._cut is None else found.at(found.scores >= self._cut)

    def choose(self) -> _Chosen:
        """The hits from offset on, up to k."""
        if self._query.collapse:
            return self._choose_collapsed()
        start, end = self._query.offset, self._end(self._query.k)
        found = self._top(None if end is None else end + 1)  # one more: does anything follow?
        follows = end is not None and len(found) > end
        return _Chosen(found.at(slice(start, end)), None, end if follows else None)

    def _choose_collapsed(self) -> _Chosen:
        """Goes down from the very top: what stayed on earlier pages decides what folds on this one."""
        k = self._query.k
        folding = Folding(self._snapshot)
        homes = np.empty(0, np.int64)  # of each hit so far, the number of the one it folds into
        count = self._end(None if k is None else 2 * k + FIRST_SPARE)
        while True:
            found = self._top(count)
            homes = np.concatenate([homes, folding.add(found.at(slice(len(homes), None)))])
            stays = np.flatnonzero(homes == np.arange(len(homes)))
            stays = stays[stays >= self._query.offset]
            if count is None or k is None or len(found) < count or len(stays) > k:
                break
            count *= 2
        end = int(stays[k]) if k is not None and len(stays) > k else None
        stays = stays[:k]
        return _Chosen(found.at(stays), _folded(found.row_ids, homes[:end], stays), end)

    def _end(self, hits: int | None) -> int | None:
        return None if hits is None else self._query.offset + hits

    def hits(self, chosen: _Chosen) -> Iterator[Hit]:
        """Reads the rows of what was chosen, READ_ROWS at a time."""
        for start in range(0, len(chosen.found), READ_ROWS):
            yield from self._read(chosen.found.at(slice(start, start + READ_ROWS)), chosen.folded)

    def _read(self, found: Found, folded: dict[int, tuple[int, ...]] | None) -> Iterator[Hit]:
        rows = self._snapshot.take(found.parts, found.positions)
        for score, row in zip(found.scores.tolist(), rows, strict=True):
            row_id = int(row["row_id"])
            z = None if self._centre is None else (score - self._centre[0]) / self._centre[1]
            collapsed = None if folded is None else folded.get(row_id, ())
            yield Hit(row_id, score, z, str(row["uri"]), row, collapsed)


def _folded(row_ids: Positions, homes: Positions, stays: Positions) -> dict[int, tuple[int, ...]]:
    """row_id of each hit that stays -> the row_ids folded into it, best first; hits without any are left out."""
    others = np.flatnonzero((homes != np.arange(len(homes))) & np.isin(homes, stays))
    others = others[np.argsort(homes[others], kind="stable")]
    whose, starts = np.unique(homes[others], return_index=True)
    groups = np.split(row_ids[others], starts[1:]) if len(others) else []
    return {int(row_ids[home]): tuple(group.tolist()) for home, group in zip(whose, groups, strict=True)}


def _parsed(text: str, snapshot: Snapshot) -> Where:
    from service.where import Where  # not at the top: Arrow's expressions take a quarter of a second to load

    return Where.parse(text, snapshot.schema)
