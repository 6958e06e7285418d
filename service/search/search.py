"""From an understood query to hits: one order of the rows, a page or a stream of it.

Knows no HTTP, opens no lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeAlias, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.errors import BadRequest, LakeError
from service.search.choosing import Chosen, choose
from service.search.diversity import choose_diverse, first_count_of
from service.search.engine.sought import seen
from service.search.explained import Explaining, Share
from service.search.hits import Hit, to_pandas
from service.search.query import ImageLike, Query
from service.search.ranking import Found, Ranking, find_together, vectors_of
from service.search.remarks import Nothing, Remarks, hint
from service.search.searched import Searched
from service.search.understood import Understood
from service.snapshot.snapshot import Snapshot
from service.snapshot.tagged_rows import tags_or_none, with_tags
from service.snapshot.threads import beside

__all__ = [
    "Hit", "ImageLike", "Page", "Query", "search", "search_page", "search_together", "stream", "to_pandas",
]  # fmt: skip

MIN_ROWS_FOR_Z = 100
# a normal distribution's standard deviation over its median absolute deviation
MAD_TO_SIGMA = 1.4826
READ_ROWS = 1_000  # rows read at once
LINES_AT_ONCE = 4_096  # of JSON: some 2 MB

Centre: TypeAlias = tuple[float, float]  # the background's median and 1.4826 MAD
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Page:
    """A part of all hits, best first, or as the query is sorted."""

    hits: list[Hit]
    next_offset: int | None  # where the next page begins; None: nothing follows
    # (dim,): the query's, unit length; a next page asked with it needs no model
    vector: NDArray[np.float32]
    remarks: Remarks | None  # None: it is not the first page
    searched: Searched | None = None  # None: exactly, and nobody asked for less
    # of the hits up to the next page, what tells them, where an engine named them
    seen: int | None = None


def search(asked: Understood) -> list[Hit]:
    """The best live rows that the query's where and filter keep, ties in order of row_id: exactly,
    unless less was asked for.

    :raises BadRequest: if min_z is asked for, and the lake has too few rows for z scores.
    """
    return search_page(asked).hits


def search_page(asked: Understood) -> Page:
    """As `search`, and where to go on.

    Pages of one snapshot fit together: each hit is on one page, whatever the sizes of the pages.
    With `collapse` a page is refilled to k, and a hit's `collapsed` names those folded into it as
    far as the page went; a near-identical image that comes later is left out of the later page too.
    """
    return _page(asked, _Answer(asked))


def search_together(asked: Sequence[Understood]) -> Iterator[Page | LakeError]:
    """A page or an error for each query, in their order: what `search_page` returns or raises.

    Queries on one snapshot of a large lake share a pass over its rows. Pages are made as they are
    asked for, so that not all rows are in memory at once.
    """
    answers = [_tried(partial(_prepared, each)) for each in asked]
    wanted = []
    for answer in answers:
        if isinstance(answer, _Answer) and (count := answer.first_count) is not None:
            wanted.append((answer.ranking, count))
    find_together(wanted)
    for each, answer in zip(asked, answers, strict=True):
        if isinstance(answer, _Answer):
            yield _tried(partial(_page, each, answer))
        else:
            yield answer


def _prepared(asked: Understood) -> _Answer:
    """Its masks are made: if one fails, it fails for this query alone."""
    answer = _Answer(asked)
    # Of an engine's candidates it was asked already whether they pass.
    for number in range(len(asked.snapshot.parts) if asked.near is None else 0):
        answer.ranking.mask(number)
    return answer


def _tried(work: Callable[[], Done]) -> Done | LakeError:
    try:
        return work()
    except LakeError as error:
        return error


def _page(asked: Understood, answer: _Answer) -> Page:
    chosen = answer.choose()
    hits = list(answer.hits(chosen))
    said = None if asked.query.offset else remarks(asked, hits[0] if hits else None)
    before = None
    if asked.near is not None and chosen.next_offset is not None:
        before = seen(asked.near.row_ids, chosen.next_offset)
    return Page(hits, chosen.next_offset, asked.vector, said, asked.searched, before)


def stream(asked: Understood) -> Iterator[Hit]:
    """The hits of `search`, their rows read a thousand at a time:
    a million hits need some 30 MB, not a million dicts.

    Mistakes are raised by the call itself, before the first hit. With `collapse` each hit is
    compared with all that stayed before it, so the time grows with the square of their number.
    """
    answer = _Answer(asked)
    return answer.hits(answer.choose())


def row_ids_found(asked: Understood) -> Positions:
    """int64, (n,): the row_ids of the hits of `search`, best first; no row is read."""
    return _Answer(asked).choose().found.row_ids


class Lines:
    """The hits of a stream as lines of JSON: bytes, some thousand lines at a time."""

    def __init__(self, asked: Understood) -> None:
        """Mistakes are raised here, before the first line."""
        self._answer = _Answer(asked)
        self._chosen = self._answer.choose()
        self.count = len(self._chosen.found)

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.lines(self._chosen)

    def best(self) -> Hit | None:
        """The first hit; None: there is none."""
        return next(self._answer.hits(self._chosen.first(1)), None)


def remarks(asked: Understood, best: Hit | None) -> Remarks:
    """What is to be said beside the answer to a query.

    :param best: the answer's first hit; None: it has none.
    """
    nothing = None if best is not None else _why_nothing(asked)
    there = _best(asked, best) if nothing is None else nothing.best
    said = hint(
        zip([text for text, _ in asked.query.texts], asked.readings, strict=False),
        None if there is None else there.z,
        lambda: _passing(asked) if nothing is None else nothing.passing or nothing.rows,
        is_alone=asked.is_texts_alone,
    )
    return Remarks(said, nothing)


def _best(asked: Understood, first: Hit | None) -> Hit | None:
    """The best hit; asked for anew where the first one is another, and somebody wants to know."""
    if not (asked.query.is_sorted and asked.readings):
        return first
    plain = Query(where=asked.query.where, k=1, min_z=asked.query.min_z)
    return next(iter(search(replace(asked, query=plain))), first)


def _why_nothing(asked: Understood) -> Nothing:
    everyone = replace(asked, query=Query(k=1), where=None, decided=None)
    of_where = _masks(replace(everyone, where=asked.where))
    of_filter = _masks(replace(everyone, decided=asked.decided))
    of_both = [where & decided for where, decided in zip(of_where, of_filter, strict=True)]
    passing = _count(of_both)
    ranking = Ranking(asked.snapshot, asked.vector, None, of_both if passing else None)
    best = _Answer(everyone, ranking)
    return Nothing(
        rows=asked.snapshot.live_rows,
        where=None if asked.where is None else _count(of_where),
        decided=None if asked.decided is None else _count(of_filter),
        passing=passing,
        by=None if asked.decided is None else asked.decided.by,
        min_z=asked.query.min_z,
        best=next(best.hits(best.choose()), None),
    )


def _passing(asked: Understood) -> int:
    """How many rows where and the filter keep."""
    if asked.where is None and asked.decided is None:
        return asked.snapshot.live_rows
    return _count(_masks(asked))


def _masks(asked: Understood) -> list[RowMask]:
    """Of each part, the live rows that where and the filter keep."""
    ranking = _ranking(asked)
    masks = []
    for number, part in enumerate(asked.snapshot.parts):
        mask = ranking.mask(number)
        masks.append(np.ones(part.rows, bool) if mask is None else mask)
    return masks


def _count(masks: Sequence[RowMask]) -> int:
    return sum(int(np.count_nonzero(mask)) for mask in masks)


def _ranking(asked: Understood) -> Ranking:
    among = None if asked.decided is None else asked.decided.masks
    sort = asked.query.sort
    if sort is not None and not sort.is_best_first:
        # not at the top: a search by match need not load Arrow's compute module
        from service.search.sorted_ranking import sorted_ranking

        return sorted_ranking(asked.snapshot, asked.vector, asked.where, among, sort)
    depth = None if asked.searched is None else asked.searched.depth
    return Ranking(asked.snapshot, asked.vector, asked.where, among, depth, asked.near)


def background_centre(snapshot: Snapshot, vector: NDArray[np.float32]) -> Centre | None:
    """Median and 1.4826 MAD of the background's scores;
    None under 100 rows, or where they hardly differ.
    """
    if snapshot.live_rows < MIN_ROWS_FOR_Z:
        return None
    # (n_background,); not @, whose BLAS threads go on spinning and took a third of the search's
    # time after it
    scores = np.vecdot(snapshot.background, vector)
    median = float(np.median(scores))
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(scores - median)))
    return (median, sigma) if sigma > 1e-9 else None


def least_score(snapshot: Snapshot, centre: Centre | None, min_z: float) -> float:
    """The score that a row of this z has.

    :param centre: of the query's background.
    :raises BadRequest: if there is none, so that no row has a z.
    """
    if centre is None:
        raise BadRequest(
            "min_z",
            f"z scores need {MIN_ROWS_FOR_Z} different rows; this lake has {snapshot.live_rows}",
        )
    cut = centre[0] + min_z * centre[1]
    return min(max(cut, -2.0), 2.0)  # scores are in -1..1, and float32 holds no 1e308


def background_median(snapshot: Snapshot, vector: NDArray[np.float32]) -> float:
    """Median of the background's scores, however few they are; 0 of none."""
    scores = np.vecdot(snapshot.background, vector)
    return float(np.median(scores)) if len(scores) else 0.0


class _Answer:
    """The answer to a query, in the making."""

    def __init__(self, asked: Understood, ranking: Ranking | None = None) -> None:
        """:param ranking: of these rows; None: of those that where and the filter keep."""
        self._snapshot = asked.snapshot
        self._query = asked.query
        self._explaining = Explaining(asked.examples) if asked.query.explain else None
        self.ranking = _ranking(asked) if ranking is None else ranking
        # The background's 20 MB are read beside the search: on their own they took a tenth of its
        # time.
        self._wait_for_centre = beside(
            lambda: background_centre(asked.snapshot, asked.vector),
            parallel=self.ranking.is_parallel,
        )
        self.ranking.at_least = self._min_score()

    @cached_property
    def _centre(self) -> Centre | None:
        return self._wait_for_centre()

    def _min_score(self) -> float | None:
        if self._query.min_z is None:
            return None
        return least_score(self._snapshot, self._centre, self._query.min_z)

    def choose(self) -> Chosen:
        def median() -> float:
            return background_median(self._snapshot, self.ranking.vector)

        how = choose_diverse if self._query.diversity else choose
        return how(self._query, self.ranking, median)

    @property
    def first_count(self) -> int | None:
        """How many rows are looked at first; None: all."""
        return first_count_of(self._query, self.ranking)

    def hits(self, chosen: Chosen) -> Iterator[Hit]:
        """Reads the rows of what was chosen, READ_ROWS at a time."""
        for start in range(0, len(chosen.found), READ_ROWS):
            yield from self._read(chosen.found.at(slice(start, start + READ_ROWS)), chosen)

    def lines(self, chosen: Chosen) -> Iterator[bytes]:
        """As `hits`, each as a line of JSON; LINES_AT_ONCE at a time."""
        # not at the top: a search without a stream need not load Arrow's compute module
        from service.search.hit_lines import hit_lines

        for start in range(0, len(chosen.found), LINES_AT_ONCE):
            found = chosen.found.at(slice(start, start + LINES_AT_ONCE))
            if self._explaining is not None:
                hits = [orjson.dumps(hit.to_json()) for hit in self._read(found, chosen)]
                yield b"".join(line + b"\n" for line in hits)
                continue
            rows = self._snapshot.rows(found.parts, found.positions)
            rows = with_tags(rows, tags_or_none(self._snapshot.tag_book), self._snapshot.schema)
            scores, centre = found.scores.astype(np.float64), self._centre
            zs = None if centre is None else (scores - centre[0]) / centre[1]
            yield bytes(hit_lines(rows, scores, zs, chosen.folded, chosen.spans))

    def _read(self, found: Found, chosen: Chosen) -> Iterator[Hit]:
        rows = self._snapshot.take(found.parts, found.positions)
        shares: Sequence[tuple[Share, ...] | None] = [None] * len(found)
        if self._explaining is not None:
            shares = self._explaining.shares(vectors_of(self._snapshot, found), found.scores)
        for score, row, of_hit in zip(found.scores.tolist(), rows, shares, strict=True):
            row_id = int(row["row_id"])
            z = None if self._centre is None else (score - self._centre[0]) / self._centre[1]
            collapsed = None if chosen.folded is None else chosen.folded.get(row_id, ())
            span = chosen.spans.get(row_id)
            yield Hit(row_id, score, z, str(row["uri"]), row, collapsed, span, of_hit)
