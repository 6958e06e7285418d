"""Why a row was decided as it was: the image most like it among
those that are known to be wanted, or not to be.

What is compared is what people showed and said, images alone: a row is nearer to any image than to
a text. A row is never its own neighbour. Cosines are of the stored vectors, as a search by that row
would score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from service.relevance.decisions.screen import FOLD, Rough, Screen
from service.relevance.definition import Definition, ExampleImage
from service.relevance.scoring.scorer import vectors_of
from service.search.ranking import PARALLEL_FROM_ROWS
from service.snapshot.snapshot import Snapshot
from service.snapshot.threads import for_each, one_blas_thread

MOST_COMPARED = 1_000  # labelled rows of a side
# compared at once: 8 MB of products with 1,000 labelled ones; of fewer, Python takes its time
BLOCK_ROWS = 2_048
BLOCKS_AT_ONCE = 16  # the threads are those of searches, which wait till these are done: 0.1 s
# of a row and a vector, copied side by side at once; of 2,048 each pair takes thrice as long
PAIRS = 128
SAMPLE = 1_000  # rows that tell of what size numbers are
NOBODY = -1


Values: TypeAlias = NDArray[np.int32] | NDArray[np.float32]  # see `Rough`


@dataclass(frozen=True, slots=True)
class Known:
    """One side: rows of the lake, and images from outside, which have a name and no row."""

    row_ids: Positions  # int64, (m,); 0: an image from outside
    names: tuple[str | None, ...]  # (m,): of those
    vectors: Vectors  # float32, (m, dim), unit rows


@dataclass(frozen=True, slots=True)
class Nearest:
    """Of each row the nearest of one side."""

    known: Known
    places: NDArray[np.int32]  # (n,), in known; NOBODY: nothing is known on that side
    cosines: NDArray[np.float32]  # (n,), in [-1, 1]

    @property
    def row_ids(self) -> pa.Array:
        """int64, (n,); null: nothing is known, or it is an image from outside."""
        ids = np.append(self.known.row_ids, 0)[self.places]  # NOBODY is the last
        return pa.array(ids, pa.int64(), mask=ids == 0)

    @property
    def images(self) -> pa.Array:
        """text, (n,): that image's name."""
        names = pa.array([*self.known.names, None], pa.string())
        return names.take(pa.array(self.places % len(names)))

    @property
    def known_cosines(self) -> pa.Array:
        """float32, (n,); null: nothing is known."""
        return pa.array(self.cosines, pa.float32(), mask=self.places == NOBODY)

    def between(self, start: int, end: int) -> Nearest:
        """Of the rows from start to end."""
        return Nearest(self.known, self.places[start:end], self.cosines[start:end])


def known_sides(
    snapshot: Snapshot, definition: Definition, said: Mapping[int, str]
) -> tuple[Known, Known]:
    """What is known to be wanted, and to be unwanted:
    the filter's examples, and what people answered yes and no.

    What people said of an example row stands above its having been given as one. Rows that the
    snapshot has not are left out. Of more than MOST_COMPARED labelled rows a side, those are
    compared that cover all of them best, as `spread` finds them.

    :param said: row_id -> yes, no, skip or conflict.
    """
    sides = []
    for examples, label in ((definition.keep, "yes"), (definition.drop, "no")):
        shown = {row_id for row_id in examples.row_ids if said.get(row_id) in (None, "skip")}
        labelled = {row_id for row_id, answer in said.items() if answer == label} - shown
        sides.append(_known(snapshot, sorted(shown), sorted(labelled), examples.images))
    return sides[0], sides[1]


def _known(
    snapshot: Snapshot,
    shown: Sequence[int],
    labelled: Sequence[int],
    images: Sequence[ExampleImage],
) -> Known:
    rows = _here(snapshot, shown)
    answered = _here(snapshot, labelled)
    vectors = vectors_of(snapshot, answered)
    chosen = spread(vectors, MOST_COMPARED)
    dim = snapshot.manifest.dim
    outside = np.array([image.vector for image in images], np.float32).reshape(-1, dim)
    return Known(
        np.concatenate([np.zeros(len(images), np.int64), rows, answered[chosen]]),
        (*(image.name for image in images), *[None] * (len(rows) + len(chosen))),
        np.concatenate([outside, vectors_of(snapshot, rows), vectors[chosen]]),
    )


def _here(snapshot: Snapshot, row_ids: Collection[int]) -> Positions:
    """int64, (m,): those of these rows that the snapshot has."""
    return np.array([row_id for row_id in row_ids if snapshot.find(row_id) is not None], np.int64)


def spread(vectors: Vectors, count: int) -> Positions:
    """int64, (min(count, n),), rising: rows such that every other row is near to one of them.

    The first, then each time the one that is least like all before it; the same for the same input.
    The largest distance that is left is at most twice the least possible.

    :param vectors: float32, (n, dim), unit rows.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985.
    """
    if len(vectors) <= count:
        return np.arange(len(vectors))
    chosen = [0]
    nearest = np.vecdot(vectors, vectors[0])
    while len(chosen) < count:
        nearest[chosen[-1]] = np.inf  # never again, also where all that are left are copies
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, np.vecdot(vectors, vectors[chosen[-1]]))
    return np.sort(np.array(chosen, np.int64))


def nearest_of(
    snapshot: Snapshot,
    row_ids: Positions,
    sides: Sequence[Known],
    advance: Callable[[int], None] | None = None,
) -> list[Nearest]:
    """The nearest of each side for each row; of equals the first, images from outside before rows.

    Rows are read once for all sides, where they lie; beside the answer some 30 MB a core are held.

    :param row_ids: int64, (n,), rising; of a row that the snapshot has not, nothing is known.
    :param advance: told how many more rows are done.
    """
    count = len(row_ids)
    found = [
        Nearest(side, np.full(count, NOBODY, np.int32), np.zeros(count, np.float32))
        for side in sides
    ]
    known = [near for near in found if len(near.known.row_ids)]
    sample = snapshot.places_of(row_ids[:: max(1, count // SAMPLE)])[0]
    compared = Compared([near.known for near in known], vectors_of(snapshot, sample))

    def compare(start: int) -> None:
        rows = row_ids[start : start + BLOCK_ROWS]
        here, numbers, positions = snapshot.places_of(rows)
        at = start + np.searchsorted(rows, here)
        for number in np.unique(numbers).tolist():
            among = np.flatnonzero(numbers == number)
            vectors = snapshot.parts[number].vectors.decoded(positions[among])
            answers = compared.best(vectors, here[among])
            for near, (best, cosines) in zip(known, answers, strict=True):
                near.places[at[among]], near.cosines[at[among]] = best, cosines

    starts = range(0, count if known else 0, BLOCK_ROWS)
    parallel = count >= PARALLEL_FROM_ROWS
    with one_blas_thread():  # blocks share the cores; and sums are the same on any number of them
        for first in range(0, len(starts), BLOCKS_AT_ONCE):
            some = starts[first : first + BLOCKS_AT_ONCE]
            for_each(compare, some, parallel=parallel)
            if advance is not None:
                advance(min(some[-1] + BLOCK_ROWS, count) - some[0])
    return found


class Compared:
    """Sides, ready to be compared with stored rows: roughly with all of each side, and then exactly
    with the few that may be the nearest.
    """

    def __init__(self, sides: Sequence[Known], sample: Vectors) -> None:
        """:param sample: as `Screen` has it."""
        self._sides = sides
        self._screen = Screen([side.vectors for side in sides], sample) if sides else None
        self._orders = [np.argsort(side.row_ids, kind="stable") for side in sides]

    def best(
        self, rows: Vectors, row_ids: Positions
    ) -> Iterator[tuple[Positions, NDArray[np.float32]]]:
        """Of each side int64, (n,): the places of the nearest in it,
        NOBODY where a row would be its own; float32, (n,): cosines.

        :param rows: float32, (n, dim); row_ids: int64, (n,), theirs, rising.
        """
        assert self._screen is not None, "there is a side"
        all_rough = self._screen.products(rows)
        for side, order, rough in zip(self._sides, self._orders, all_rough, strict=True):
            known, at = _both(side.row_ids[order], row_ids)
            rough.values[order[known], at] = rough.lowest
            yield _nearest(rows, side.vectors, rough)


def _both(first: Positions, second: Positions) -> tuple[Positions, Positions]:
    """int64, (m,), twice: where each number lies that both of these rising ones have."""
    start, end = np.searchsorted(first, [second[0], second[-1] + 1]) if len(second) else (0, 0)
    at = np.searchsorted(second, first[start:end])
    is_same = second[at] == first[start:end]
    return start + np.flatnonzero(is_same), at[is_same]


def _nearest(
    rows: Vectors, vectors: Vectors, rough: Rough
) -> tuple[Positions, NDArray[np.float32]]:
    """As `Compared.best`, of one side.

    By groups of FOLD vectors: the largest value of each is found fast, and few groups have one that
    may be the nearest.
    """
    groups = rough.values.reshape(-1, FOLD, len(rows))
    largest = groups.max(axis=1)  # (groups, n)
    best = _about_best(groups, largest)
    is_nobody = rough.values[best, np.arange(len(rows))] == rough.lowest
    best[is_nobody] = 0
    found = _cosines(rows, None, vectors, best)
    places, at = _may_be(groups, largest, rough.least(found))
    is_other = places != best[at]
    places, at = places[is_other], at[is_other]
    _settle(best, found, at, places, _cosines(rows, at, vectors, places))
    return np.where(is_nobody, NOBODY, best), np.clip(found, -1, 1)


def _about_best(groups: Values, largest: Values) -> Positions:
    """int64, (n,): of each row the place of one of its largest values."""
    count = groups.shape[2]
    every, of_group = np.arange(count), np.empty(count, np.int64)
    group, at = np.divmod(np.flatnonzero(largest == largest.max(axis=0)), count)
    of_group[at] = group
    places: Positions = of_group * FOLD + groups[of_group, :, every].argmax(axis=1)
    return places


def _may_be(groups: Values, largest: Values, least: Values) -> tuple[Positions, Positions]:
    """int64, (m,): the places of all values that are no lower than the least of their row;
    int64, (m,): which row that is.
    """
    # np.nonzero of two dimensions takes ten times as long.
    group, at = np.divmod(np.flatnonzero(largest >= least), len(least))
    pair, inner = np.divmod(np.flatnonzero(groups[group, :, at] >= least[at, None]), FOLD)
    return group[pair] * FOLD + inner, at[pair]


def _cosines(
    rows: Vectors, at: Positions | None, vectors: Vectors, places: Positions
) -> NDArray[np.float32]:
    """float32, (m,): of pairs of a row and a vector, some at a time.

    :param at: (m,): the pairs' rows; None: each row once, in their order.
    """
    found = np.empty(len(places), np.float32)
    for start in range(0, len(places), PAIRS):
        some = slice(start, start + PAIRS)
        of_rows = rows[some] if at is None else rows.take(at[some], axis=0)
        np.vecdot(of_rows, vectors.take(places[some], axis=0), out=found[some])
    return found


def _settle(
    best: Positions,
    found: NDArray[np.float32],
    at: Positions,
    places: Positions,
    cosines: NDArray[np.float32],
) -> None:
    """Of each row let the largest cosine be the best, of equals the first; in place.

    :param best, found: (n,): a place of each row, and its cosine.
    :param at, places, cosines: (m,): others, and of which row each is.
    """
    is_better = (cosines > found[at]) | ((cosines == found[at]) & (places < best[at]))
    order = np.flatnonzero(is_better)  # few
    order = order[np.lexsort((places[order], -cosines[order], at[order]))]
    wins = order[np.diff(at[order], prepend=-1) != 0]  # of each row the first
    best[at[wins]], found[at[wins]] = places[wins], cosines[wins]
