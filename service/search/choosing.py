"""Which rows an answer holds, before they are read: a page of the ranking, copies folded or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from service.search.collapse import BLOCK, Likeness
from service.search.hits import Span
from service.search.moments import Moments, has_streams
from service.search.query import MaxPer, Query
from service.search.ranking import Found, Ranking
from service.snapshot.snapshot import Snapshot

FIRST_SPARE = 100  # hits looked at beyond 2 k, before it is known how many fold
LEFT_OUT = -1  # instead of the number of a hit


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an answer holds, before its rows are read."""

    found: Found
    # row_id of a hit -> row_ids folded into it; None: not asked
    folded: dict[int, tuple[int, ...]] | None
    next_offset: int | None  # where the next page begins; None: nothing follows
    spans: Mapping[int, Span] = field(default_factory=dict)  # row_id of a hit -> of its moment

    def first(self, count: int) -> Chosen:
        """The best of them alone."""
        return replace(self, found=self.found.at(slice(0, count)))


def choose(query: Query, ranking: Ranking, median: Callable[[], float]) -> Chosen:
    """The hits from the query's offset on, up to its k.

    :param median: of the scores of the lake.
    """
    limit = None if query.max_per is None else Limit(ranking.snapshot, query.max_per)
    if query.moments is not None and has_streams(ranking.snapshot):
        return _in_moments(query, ranking, limit, Moments(ranking, query.moments.gap_us, median))
    if query.collapse:
        return _collapsed(query, ranking, limit)
    if limit is not None:
        return _limited(query, ranking, limit)
    start, end = query.offset, _end(query, query.k)
    found = ranking.top(first_count(query, ranking.snapshot))
    follows = end is not None and len(found) > end
    return Chosen(found.at(slice(start, end)), None, end if follows else None)


def first_count(query: Query, snapshot: Snapshot) -> int | None:
    """How many rows `choose` looks at first; None: all."""
    end = _end(query, query.k)
    if end is None or query.k is None:
        return None
    if query.moments is not None and has_streams(snapshot):
        return 2 * end + FIRST_SPARE
    if query.collapse:
        return _end(query, 2 * query.k + FIRST_SPARE)
    if query.max_per is not None:
        return 2 * end + FIRST_SPARE
    return end + 1  # one more: does anything follow?


def _limited(query: Query, ranking: Ranking, limit: Limit) -> Chosen:
    """Goes down from the very top, in windows.

    Each window is searched among the rows whose value still has room: of such a value every row
    that was seen has stayed, so the window begins with those, and goes on where the last one ended.
    """
    end = _end(query, query.k)
    count = first_count(query, ranking.snapshot)
    found = ranking.top(count)
    stays = [found.at(limit.admits(limit.values_of(found)))]
    while end is not None and count is not None:
        if sum(map(len, stays)) > end or len(found) < count:
            break
        seen = sum(int(np.count_nonzero(limit.has_room(limit.values_of(few)))) for few in stays)
        count = 2 * count + seen
        found = ranking.among(limit.masks(ranking)).top(count)
        new = found.at(slice(seen, None))
        stays.append(new.at(limit.admits(limit.values_of(new))))
    hits = joined(stays)
    follows = end is not None and len(hits) > end
    return Chosen(hits.at(slice(query.offset, end)), None, end if follows else None)


def _collapsed(query: Query, ranking: Ranking, limit: Limit | None) -> Chosen:
    """Goes down from the very top:
    what stayed on earlier pages decides what folds on this one.
    """
    k = query.k
    folding = Folding(ranking.snapshot, limit)
    homes = np.empty(0, np.int64)  # of each hit so far, the number of the one it folds into
    count = first_count(query, ranking.snapshot)
    while True:
        found = ranking.top(count)
        homes = np.concatenate([homes, folding.add(found.at(slice(len(homes), None)))])
        stays = np.flatnonzero(homes == np.arange(len(homes)))
        stays = stays[stays >= query.offset] if limit is None else stays[query.offset :]
        if count is None or k is None or len(found) < count or len(stays) > k:
            break
        if limit is not None and not any(mask.any() for mask in limit.masks(ranking)):
            break
        count *= 2
    end = int(stays[k]) if k is not None and len(stays) > k else None
    next_offset = end if limit is None or end is None else _end(query, k)
    stays = stays[:k]
    return Chosen(found.at(stays), _folded(found.row_ids, homes[:end], stays), next_offset)


def _in_moments(query: Query, ranking: Ranking, limit: Limit | None, moments: Moments) -> Chosen:
    """Goes down from the very top, in windows, each searched among the rows that the ones before
    left: a row is a hit, of a hit's moment, folded into a hit, or left out.

    An image that folds into a hit as nearly the same takes its moment with it; one that has no room
    leaves its moment alone.
    """
    end = _end(query, query.k)
    folding = Folding(ranking.snapshot, limit) if query.collapse else None
    left = [np.ones(part.rows, bool) for part in ranking.snapshot.parts]
    for number, mask in enumerate(left):
        if (wanted := ranking.mask(number)) is not None:
            mask &= wanted
    hits: list[Found] = []
    spans: dict[int, Span] = {}
    folded: dict[int, tuple[int, ...]] = {}
    compared: list[int] = []  # row_ids that `folding` was asked for
    count = first_count(query, ranking.snapshot)
    found, is_enough = ranking.top(count), False
    while len(found) and not is_enough:
        values = None if limit is None or folding is not None else limit.values_of(found)
        stays: list[int] = []
        for at, (part, position, row_id, score) in enumerate(_each(found)):
            left[part][position] = False
            if moments.taken(part, position):
                continue
            if folding is not None:
                home = int(folding.add(found.at(slice(at, at + 1)))[0])
                compared.append(row_id)
                if home == LEFT_OUT:
                    continue
                if home != len(compared) - 1:
                    folded[compared[home]] = (*folded.get(compared[home], ()), row_id)
                    moments.begin(part, position, score)
                    continue
            elif limit is not None and values is not None and not limit.admits_one(values[at]):
                continue
            if (span := moments.begin(part, position, score)) is not None:
                spans[row_id] = span
            stays.append(at)
            is_enough = end is not None and sum(map(len, hits)) + len(stays) > end
            if is_enough:
                break
        hits.append(found.at(np.array(stays, np.int64)))
        if count is None or len(found) < count:
            break
        if not is_enough:
            moments.take_from(left)
            count *= 2
            found = ranking.among(left if limit is None else limit.also(left)).top(count)
    every = joined(hits) if hits else found
    follows = end is not None and len(every) > end
    return Chosen(
        every.at(slice(query.offset, end)),
        folded if query.collapse else None,
        end if follows else None,
        spans,
    )


def _each(found: Found) -> Iterator[tuple[int, int, int, float]]:
    """Of each row its part, its position there, its row_id and its score."""
    columns = (found.parts, found.positions, found.row_ids, found.scores)
    return zip(*(column.tolist() for column in columns), strict=True)


class Limit:
    """How many hits each value of a column may still have."""

    def __init__(self, snapshot: Snapshot, max_per: MaxPer) -> None:
        self._values = _numbered(snapshot, max_per)
        values = max((int(part.max(initial=-1)) for part in self._values), default=-1) + 1
        self._room = np.full(values, min(max_per.n, 2**53), np.int64)  # (values,)

    def values_of(self, found: Found) -> Positions:
        """int64, (n,): the number of each one's value."""
        values = np.empty(len(found), np.int64)
        for number in np.unique(found.parts):
            here = found.parts == number
            values[here] = self._values[number][found.positions[here]]
        return values

    def has_room(self, values: Positions) -> NDArray[np.bool_]:
        return self._room[values] > 0

    def admits(self, values: Positions) -> NDArray[np.bool_]:
        """bool, (n,): which hits have room, from the best one on; they take it."""
        order = np.argsort(values, kind="stable")
        _, starts, counts = np.unique(values[order], return_index=True, return_counts=True)
        nth = np.empty(len(values), np.int64)  # of the hits with its value, from 0
        nth[order] = np.arange(len(values)) - np.repeat(starts, counts)
        admitted = nth < self._room[values]
        np.subtract.at(self._room, values[admitted], 1)
        return admitted

    def admits_one(self, value: int) -> bool:
        """As `admits`, of one hit; hundreds of times as fast."""
        if self._room[value] <= 0:
            return False
        self._room[value] -= 1
        return True

    def masks(self, ranking: Ranking) -> list[RowMask]:
        """Of each part, the rows that the ranking wants and whose value has room."""
        return self.also([ranking.mask(number) for number in range(len(self._values))])

    def also(self, masks: Sequence[RowMask | None]) -> list[RowMask]:
        """Of each part, the rows of a mask (None: all) whose value has room."""
        room = [self._room[values] > 0 for values in self._values]
        pairs = zip(masks, room, strict=True)
        return [has_room if mask is None else mask & has_room for mask, has_room in pairs]


def _numbered(snapshot: Snapshot, max_per: MaxPer) -> list[NDArray[np.integer]]:
    """Of each part, (rows,): a number for each row's value; equal values have one number.

    All nulls are one value, so are all NaNs, and -0 is 0.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    name, column = max_per.find(snapshot.schema)
    chunks: list[pa.Array] = []
    for part in snapshot.parts:
        whole = part.columns([name])[name]
        for inner in column.said.removeprefix(name).split(".")[1:]:
            whole = pc.struct_field(whole, [inner])
        chunks += whole.chunks
    if not chunks:
        return [np.empty(0, np.int32) for _ in snapshot.parts]
    values = pa.chunked_array(chunks)
    if pa.types.is_floating(values.type):
        values = pc.add(values, 0.0)
    encoded = pc.dictionary_encode(values, null_encoding="encode")
    numbers = np.concatenate([np.from_dlpack(chunk.indices) for chunk in encoded.chunks])
    return np.split(numbers, np.cumsum([part.rows for part in snapshot.parts])[:-1])


def joined(pieces: Sequence[Found]) -> Found:
    return Found(
        np.concatenate([piece.scores for piece in pieces]),
        np.concatenate([piece.parts for piece in pieces]),
        np.concatenate([piece.positions for piece in pieces]),
        np.concatenate([piece.row_ids for piece in pieces]),
    )


class Folding:
    """Takes hits from the best one on; says into which one each folds.
    What was said does not change later.
    """

    def __init__(self, snapshot: Snapshot, limit: Limit | None = None) -> None:
        """:param limit: a hit without room that folds into none is left out; none folds into it."""
        self._limit = limit
        self._likeness = Likeness(snapshot)
        self._taken = 0

    def add(self, found: Found) -> Positions:
        """:param found: the hits that follow those of the calls before.
        :returns: int64, (n,): the number of the hit each folds into, its own where it stays, and
            LEFT_OUT; all hits count from 0.
        """
        blocks = [found.at(slice(at, at + BLOCK)) for at in range(0, len(found), BLOCK)]
        return np.concatenate([np.empty(0, np.int64), *map(self._add_block, blocks)])

    def _add_block(self, found: Found) -> Positions:
        numbers = np.arange(self._taken, self._taken + len(found))
        self._taken += len(found)
        compared = self._likeness.compare(numbers, found)
        homes, near = compared.homes, compared.near
        limit = self._limit
        has_near: NDArray[np.bool_] = np.any(near, axis=1)
        values = homes if limit is None else limit.values_of(found)
        for at in np.flatnonzero(has_near if limit is None else homes == numbers):
            if homes[at] != numbers[at]:
                continue
            if limit is not None and not limit.admits_one(values[at]):
                homes[at] = LEFT_OUT
            elif has_near[at]:
                homes[near[at] & (homes == numbers)] = numbers[at]
        self._likeness.keep(numbers, compared, homes == numbers)
        return homes


def _end(query: Query, hits: int | None) -> int | None:
    return None if hits is None else query.offset + hits


def _folded(row_ids: Positions, homes: Positions, stays: Positions) -> dict[int, tuple[int, ...]]:
    """row_id of each hit that stays -> the row_ids folded into it,
    best first; hits without any are left out.
    """
    others = np.flatnonzero((homes != np.arange(len(homes))) & np.isin(homes, stays))
    others = others[np.argsort(homes[others], kind="stable")]
    whose, starts = np.unique(homes[others], return_index=True)
    groups = np.split(row_ids[others], starts[1:]) if len(others) else []
    return {
        int(row_ids[home]): tuple(group.tolist()) for home, group in zip(whose, groups, strict=True)
    }
