"""Why a row was decided as it was: the image most like it among
those that are known to be wanted, or not to be.

What is compared is what people showed and said, images alone: a row is nearer to any image than to
a text. A row is never its own neighbour. Cosines are of the stored vectors, as a search by that row
would score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from service.relevance.definition import Definition, ExampleImage
from service.relevance.scoring.scorer import vectors_of
from service.search.ranking import PARALLEL_FROM_ROWS
from service.snapshot.snapshot import Snapshot
from service.snapshot.threads import for_each, one_blas_thread

MOST_COMPARED = 1_000  # labelled rows of a side
# compared at once: 8 MB of rows at 512 dimensions, 16 MB of cosines with 1,000 labelled ones
BLOCK_ROWS = 4_096
BLOCKS_AT_ONCE = 8  # the threads are those of searches, which wait till these are done: 0.2 s
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

    row_ids: list[int | None]  # None: nothing is known on that side, or it is an image from outside
    images: list[str | None]  # that image's name
    cosines: list[float | None]  # in [-1, 1]


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
    known: Known,
    advance: Callable[[int], None] | None = None,
) -> Nearest:
    """The nearest of one side for each row; of equals the first, images from outside before rows.

    :param row_ids: int64, (n,); of a row that the snapshot has not, nothing is known.
    :param advance: told how many more rows are done, up to those there are.
    """
    at = np.full(len(row_ids), NOBODY, np.int64)
    cosines = np.zeros(len(row_ids), np.float32)
    ids = snapshot.places[0]
    here = (
        np.flatnonzero(np.isin(row_ids, ids, assume_unique=True)) if len(known.row_ids) else at[:0]
    )
    blocks = [here[start : start + BLOCK_ROWS] for start in range(0, len(here), BLOCK_ROWS)]

    def compare(block: Positions) -> tuple[Positions, NDArray[np.float32]]:
        return _compared(vectors_of(snapshot, row_ids[block]), row_ids[block], known)

    parallel = len(here) >= PARALLEL_FROM_ROWS
    with one_blas_thread():  # blocks share the cores; and sums are the same on any number of them
        for start in range(0, len(blocks), BLOCKS_AT_ONCE):
            some = blocks[start : start + BLOCKS_AT_ONCE]
            for block, (best, cosine) in zip(
                some, for_each(compare, some, parallel=parallel), strict=True
            ):
                at[block], cosines[block] = best, cosine
                if advance is not None:
                    advance(len(block))
    return Nearest(
        [int(known.row_ids[best]) or None if best != NOBODY else None for best in at.tolist()],
        [known.names[best] if best != NOBODY else None for best in at.tolist()],
        [
            cosine if best != NOBODY else None
            for best, cosine in zip(at.tolist(), cosines.tolist(), strict=True)
        ],
    )


def _compared(
    vectors: Vectors, row_ids: Positions, known: Known
) -> tuple[Positions, NDArray[np.float32]]:
    """int64, (n,): the places of the nearest in known,
    NOBODY where a row would be its own; float32, (n,): cosines.
    """
    cosines = vectors @ known.vectors.T  # (n, m)
    order = np.argsort(known.row_ids, kind="stable")
    own = np.searchsorted(known.row_ids, row_ids, sorter=order)
    itself = own < len(order)
    itself[itself] = known.row_ids[order[own[itself]]] == row_ids[itself]
    cosines[itself, order[own[itself]]] = -np.inf
    best = cosines.argmax(axis=1)
    found = np.clip(cosines[np.arange(len(best)), best], -1, 1)
    return np.where(np.isneginf(cosines[np.arange(len(best)), best]), NOBODY, best), found
