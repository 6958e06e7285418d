"""Why a row was decided as it was: the image most like it among
those that are known to be wanted, or not to be.

What is compared is what people showed and said, images alone: a row is nearer to any image than to
a text. A row is never its own neighbour. Cosines are of the stored vectors, as a search by that row
would score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from service.relevance.decisions.screen import Screen
from service.relevance.definition import Definition, ExampleImage
from service.relevance.scoring.scorer import vectors_of
from service.search.ranking import PARALLEL_FROM_ROWS
from service.snapshot.snapshot import Snapshot
from service.snapshot.threads import for_each, one_blas_thread

MOST_COMPARED = 1_000  # labelled rows of a side
# compared at once: 8 MB of cosines with 1,000 labelled ones a side; of fewer, Python takes its time
BLOCK_ROWS = 1_024
BLOCKS_AT_ONCE = 32  # the threads are those of searches, which wait till these are done: 0.1 s
NOBODY = -1


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

    Rows are read once for all sides, where they lie; beside the answer some 16 MB a core are held.

    :param row_ids: int64, (n,), rising; of a row that the snapshot has not, nothing is known.
    :param advance: told how many more rows are done.
    """
    count = len(row_ids)
    found = [
        Nearest(side, np.full(count, NOBODY, np.int32), np.zeros(count, np.float32))
        for side in sides
    ]
    known = [near for near in found if len(near.known.row_ids)]
    compared = Compared([near.known for near in known], snapshot.manifest.dim)

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

    def __init__(self, sides: Sequence[Known], dim: int) -> None:
        self._sides = sides
        self._vectors = np.concatenate(
            [np.empty((0, dim), np.float32), *(side.vectors for side in sides)]
        )
        self._screen = Screen(self._vectors) if sides else None
        self._starts = np.cumsum([0, *(len(side.row_ids) for side in sides)]).tolist()
        self._orders = [np.argsort(side.row_ids, kind="stable") for side in sides]

    def best(
        self, rows: Vectors, row_ids: Positions
    ) -> Iterator[tuple[Positions, NDArray[np.float32]]]:
        """Of each side int64, (n,): the places of the nearest in it,
        NOBODY where a row would be its own; float32, (n,): cosines.

        :param rows: float32, (n, dim); row_ids: int64, (n,), theirs.
        """
        assert self._screen is not None, "there is a side"
        products, off = self._screen.products(rows)
        for side, order, start, end in zip(
            self._sides, self._orders, self._starts[:-1], self._starts[1:], strict=True
        ):
            rough = products[:, start:end]
            own = np.searchsorted(side.row_ids, row_ids, sorter=order)
            itself = own < len(order)
            itself[itself] = side.row_ids[order[own[itself]]] == row_ids[itself]
            rough[itself, order[own[itself]]] = -np.inf
            yield self._exact(rows, rough, 2 * off, start)

    def _exact(
        self, rows: Vectors, rough: NDArray[np.float32], window: NDArray[np.float32], start: int
    ) -> tuple[Positions, NDArray[np.float32]]:
        """As `best`, of one side.

        :param rough: (n, m): is changed; window: (n,): how far below the best a row's others may be
            and still be the nearest; start: where the side's vectors are.
        """
        every = np.arange(len(rows))
        best = rough.argmax(axis=1)
        top = rough[every, best]
        rough[every, best] = -np.inf
        is_open = (rough.max(axis=1) >= top - window) & np.isfinite(top)
        found = np.vecdot(rows, self._vectors[start + best])
        some = np.flatnonzero(is_open)
        if len(some):
            rough[some, best[some]] = top[some]
            near = rough[some] >= (top - window)[some, None]
            # np.nonzero of two dimensions takes ten times as long.
            at, places = np.divmod(np.flatnonzero(near), rough.shape[1])
            exact = np.vecdot(rows[some[at]], self._vectors[start + places])
            best[some], found[some] = _first_best(len(some), at, places, exact)
        return np.where(np.isneginf(top), NOBODY, best), np.clip(found, -1, 1)


def _first_best(
    count: int, at: Positions, places: Positions, cosines: NDArray[np.float32]
) -> tuple[Positions, NDArray[np.float32]]:
    """Of each of so many rows the place of the largest cosine, of equals the first, and that.

    :param at: int64, (m,), rising: of which row each cosine is, each row at least once; places:
        likewise, rising in a row.
    """
    best, found = np.empty(count, np.int64), np.empty(count, np.float32)
    is_first = np.diff(at, prepend=-1) != 0
    starts = np.flatnonzero(is_first)
    largest = np.maximum.reduceat(cosines, starts)
    wins = np.flatnonzero(cosines == largest[np.cumsum(is_first) - 1])
    wins = wins[np.diff(at[wins], prepend=-1) != 0]
    best[at[wins]] = places[wins]
    found[at[wins]] = cosines[wins]
    return best, found
