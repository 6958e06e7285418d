"""Compares two sets of images of a lake: whether they differ, where, and in which words.

Images are drawn at random from each set, and halved at random. What differs is looked for in the
first half, and counted in the second, which knows nothing of it:

- *whether*: `apart.py`.
- *where*: the first half's vectors are cut into clusters, whatever set they are of; the second
  half's images are counted in each.
- *in words*: each image is said to be of the phrase that it matches most beyond what the first
  half's images do, in their standard deviations; the phrases of which the first half's counts
  differ most are counted in the second half.

A cluster or phrase is told where q, its p beside those of all that were counted, is small enough.
Words are a model's opinion of images: look at the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask, Vectors
from indexer.errors import BadRequest
from indexer.report import Progress, Silent
from service.curate.comparing.apart import Apart, told_apart
from service.curate.comparing.counts import Counts, q_values
from service.curate.comparing.succession import Succession, succession
from service.curate.named import Embed, Named
from service.curate.rows import Rows
from service.search.browse import passing
from service.search.vocabulary import VOCABULARY
from service.snapshot.snapshot import Snapshot

DRAWN = 10_000  # images a set, at most
FEWEST = 20  # of a set
A_CLUSTER = 20  # images of the first half, at least, in the mean: few clusters mix what differs
MOST_CLUSTERS = 40
COUNTED_PHRASES = 20  # in the second half, at most
WORTH_COUNTING = 0.05  # p in the first half, at most
EXAMPLES = 9
Q = 0.05


@dataclass(frozen=True, slots=True)
class Side:
    where: str | None  # None: all images that the other one leaves
    rows: int  # that pass
    drawn: int  # of these, that were compared
    succession: Succession | None  # None: they are too few to tell

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that one set has more of, counted in the second half."""

    words: str  # a phrase; of a cluster, the one that its images match more than others do
    counts: Counts
    p: float
    q: float
    # row_ids of the set that has more of it, from both halves: the most like the cluster, or the
    # phrase, first
    examples: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "words": self.words,
            "in_a": self.counts.in_a,
            "of_a": self.counts.of_a,
            "in_b": self.counts.in_b,
            "of_b": self.counts.of_b,
            "share_a": self.counts.share_a,
            "share_b": self.counts.share_b,
            "p": self.p,
            "q": self.q,
            "examples": list(self.examples),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    snapshot: int
    seed: int
    a: Side
    b: Side
    apart: Apart
    clusters: tuple[Difference, ...]  # those that differ, the least q first
    clusters_counted: int
    phrases: tuple[Difference, ...]  # likewise
    phrases_counted: int

    def to_json(self) -> dict[str, Any]:
        return {
            "snapshot": self.snapshot,
            "seed": self.seed,
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "apart": self.apart.to_json(),
            "clusters": [each.to_json() for each in self.clusters],
            "clusters_counted": self.clusters_counted,
            "phrases": [each.to_json() for each in self.phrases],
            "phrases_counted": self.phrases_counted,
        }


def compare(
    snapshot: Snapshot,
    a: str,
    b: str | None,
    *,
    embed: Embed,
    phrases: Sequence[str] = (),
    one_per: str | None = None,
    q: float = Q,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """See `Lake.compare`.

    :param phrases: to name differences by, beside the vocabulary.
    :param embed: texts to float32, (n, dim), unit rows.
    """
    if not 0 < q <= 1:
        raise BadRequest("q", f"{q:g} is no share; it is above 0, up to 1")
    if not 0 <= seed < 2**63:
        raise BadRequest("seed", f"{seed} is no seed; it is a whole number from 0")
    progress = progress or Silent()
    # Draws, halves, relabellings and what follows what each have their own.
    drawing, halving, mixing, following = (np.random.default_rng([seed, each]) for each in range(4))
    sets = _sets(snapshot, a, b)
    sides, drawn = [], []
    for name, where, row_ids in zip("ab", (a, b), sets, strict=True):
        rows = Rows.of(snapshot, row_ids)
        if one_per is not None:
            rows = _one_of_each(rows, one_per, drawing)
        some = rows.at(rows.drawn(DRAWN, drawing))
        if len(some) < FEWEST:
            of_each = f" of one {one_per} each" if one_per is not None else ""
            raise BadRequest(name, f"{len(some)} images{of_each} are too few: {FEWEST} at least")
        sides.append(Side(where, len(row_ids), len(some), succession(rows, following)))
        drawn.append(some)
    row_ids = np.concatenate([some.row_ids for some in drawn])
    progress.stage("comparing", 3)
    vectors = np.concatenate([some.vectors() for some in drawn])
    is_b = np.arange(len(vectors)) >= len(drawn[0])
    is_second = halving.permutation(len(vectors)) % 2 == 1
    apart = told_apart(vectors, is_b, is_second, mixing)
    progress.advance(1)
    named = Named.of(tuple(dict.fromkeys((*phrases, *VOCABULARY))), embed)
    halves = _Halves(row_ids, vectors, is_b, is_second)
    clusters, clusters_counted = _clusters(halves, named, q, seed)
    progress.advance(1)
    found, phrases_counted = _in_words(halves, named, q)
    progress.advance(1)
    return Comparison(
        snapshot.number,
        seed,
        sides[0],
        sides[1],
        apart,
        clusters,
        clusters_counted,
        found,
        phrases_counted,
    )


@dataclass(frozen=True, slots=True)
class _Halves:
    row_ids: Positions
    vectors: Vectors
    is_b: RowMask
    is_second: RowMask

    def counts(self, is_in: RowMask, *, second: bool) -> Counts:
        here = self.is_second == second
        b, a = here & self.is_b, here & ~self.is_b
        in_a, in_b = (int(np.count_nonzero(is_in & side)) for side in (a, b))
        return Counts(in_a, int(a.sum()), in_b, int(b.sum()))

    def examples(
        self, is_in: RowMask, counts: Counts, likeness: NDArray[np.floating[Any]]
    ) -> tuple[int, ...]:
        """Of the set that has more of it."""
        more = self.is_b if counts.share_b > counts.share_a else ~self.is_b
        there = np.flatnonzero(is_in & more)
        best = there[np.lexsort((self.row_ids[there], -likeness[there]))]
        return tuple(self.row_ids[best[:EXAMPLES]].tolist())


def _sets(snapshot: Snapshot, a: str, b: str | None) -> tuple[Positions, Positions]:
    """:raises BadRequest: if an image is of both."""
    first = passing(snapshot, a).row_ids
    if b is None:
        return first, np.setdiff1d(snapshot.places[0], first, assume_unique=True)
    second = passing(snapshot, b).row_ids
    both = len(np.intersect1d(first, second, assume_unique=True))
    if both:
        raise BadRequest(
            "b", f"{both:,} images pass both; two sets are compared that have none in common"
        )
    return first, second


def _one_of_each(rows: Rows, column: str, random: np.random.Generator) -> Rows:
    """A row at random of each value; each row without a value is one of its own."""
    values = rows.values(column, "one_per")
    order = random.permutation(len(rows))
    named = order[values[order] >= 0]
    first = named[np.unique(values[named], return_index=True)[1]]
    return rows.at(np.sort(np.concatenate([first, np.flatnonzero(values < 0)])))


def _clusters(
    halves: _Halves, named: Named, q: float, seed: int
) -> tuple[tuple[Difference, ...], int]:
    """Those that differ, and how many were counted."""
    import faiss

    first = halves.vectors[~halves.is_second]
    number = int(np.clip(len(first) // A_CLUSTER, 2, MOST_CLUSTERS))
    means = faiss.Kmeans(
        first.shape[1],
        number,
        niter=20,
        nredo=4,
        seed=seed % 2**31 + 1,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=2 * DRAWN,
    )
    means.train(first)
    centres = np.asarray(means.centroids, np.float32)
    cosines = halves.vectors @ centres.T
    homes, all_mean = cosines.argmax(axis=1), first.mean(axis=0)
    counted = [halves.counts(homes == each, second=True) for each in range(number)]
    sure = q_values(np.array([each.p for each in counted]))
    found = [
        Difference(
            named.best(centres[each] - all_mean),
            counted[each],
            counted[each].p,
            float(sure[each]),
            halves.examples(homes == each, counted[each], cosines[:, each]),
        )
        for each in np.argsort(sure, kind="stable").tolist()
        if sure[each] <= q
    ]
    return tuple(found), number


def _in_words(halves: _Halves, named: Named, q: float) -> tuple[tuple[Difference, ...], int]:
    """Phrases that differ, and how many were counted."""
    likeness = halves.vectors @ named.vectors.T  # (images, phrases)
    first = likeness[~halves.is_second]
    # By how much more than the first half's images an image matches a phrase; it is said of the
    # image that it is of the phrase of which that is most true.
    beyond = (likeness - first.mean(axis=0)) / np.maximum(first.std(axis=0), 1e-6)
    said = beyond.argmax(axis=1)
    matches = said[:, None] == np.arange(len(named.phrases))
    p = np.array(
        [halves.counts(matches[:, at], second=False).p for at in range(len(named.phrases))]
    )
    best = np.argsort(p, kind="stable")[:COUNTED_PHRASES]
    best = best[p[best] <= WORTH_COUNTING]
    counted = [halves.counts(matches[:, at], second=True) for at in best.tolist()]
    sure = q_values(np.array([each.p for each in counted]))
    found = [
        Difference(
            named.phrases[best[at]],
            counted[at],
            counted[at].p,
            float(sure[at]),
            halves.examples(matches[:, best[at]], counted[at], beyond[:, best[at]]),
        )
        for at in np.argsort(sure, kind="stable").tolist()
        if sure[at] <= q
    ]
    return tuple(found), len(best)
