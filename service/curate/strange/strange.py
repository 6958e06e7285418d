"""Images that stand alone: corner cases, faults of a camera, what got in by mistake.

*How far*: an image's distance is that of its vector to the tenth nearest of the others, so that up
to nine copies of a strange image, or nine that are strange in the same way, hide it from nobody. Of
a lake of more than REFERENCE images so many are drawn at random, and all are compared with these:
then the tenth nearest stands for the tenth part of so many more. Where people named images that are
labelled, the distance is that to the nearest of those instead, and what is usual is how far the
labelled ones are from each other: so all of a kind that has no label is found, however common it
is. Distances are those of points, sqrt(2 - 2 cosine), whose tail is lighter than that of 1 -
cosine: with that one more was told of lakes in which nothing was planted than q says.

*How sure*: `tail.py` says how likely a usual image of this lake is as far, under an assumption that
it names, and q what share of those that are told may be there by chance (Benjamini and Hochberg).

*In words*: strange images that are as near each other as 98 in a hundred usual ones are to their
tenth nearest are one group (`stars`: no chains), and a group is called by the phrase that it is
more like than the lake is. That is a model's opinion: look at the images.

The distance to the k-th nearest: Ramaswamy, Rastogi and Shim, "Efficient algorithms for mining
outliers from large data sets" (SIGMOD 2000).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask, Vectors
from indexer.errors import BadRequest
from indexer.report import Progress, Silent
from service.curate.comparing.counts import q_values
from service.curate.named import Embed, Named
from service.curate.rows import READ_ROWS, Rows
from service.curate.stars import stars
from service.curate.strange.tail import FEWEST, HIGH, p_values
from service.search.browse import passing
from service.search.vocabulary import VOCABULARY
from service.snapshot.snapshot import Snapshot

REFERENCE = 20_000
NEIGHBOURS = 10
MOST = 10_000  # told, at most
Q = 0.05


@dataclass(frozen=True, slots=True)
class Strange:
    row_id: int
    cosine: float  # with the tenth nearest of the others, or the nearest of those labelled
    nearest: int  # row_id of what it is most like of all that it was compared with
    nearest_cosine: float
    p: float
    q: float
    group: int  # the number of its group, from 1: those of the strangest image first

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StrangeGroup:
    """Strange images that are like each other."""

    words: str  # the phrase that they match more than the lake does
    row_ids: tuple[int, ...]  # the strangest first

    def to_json(self) -> dict[str, Any]:
        return {"words": self.words, "row_ids": list(self.row_ids)}


@dataclass(frozen=True, slots=True)
class StrangeImages:
    """Which images of a lake stand alone, the strangest first."""

    snapshot: int
    seed: int
    rows: int  # that pass where, and are not labelled
    compared_with: int  # images drawn of them, or of those labelled
    labelled: int | None  # None: they were compared with each other
    usual: float  # the cosine, as of `Strange`, of the image in the middle; of those labelled
    found: int  # with q small enough, and beyond 98 in a hundred
    images: tuple[Strange, ...]  # of these, as many as were asked for
    groups: tuple[StrangeGroup, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "snapshot": self.snapshot,
            "seed": self.seed,
            "rows": self.rows,
            "compared_with": self.compared_with,
            "labelled": self.labelled,
            "usual": self.usual,
            "found": self.found,
            "images": [each.to_json() for each in self.images],
            "groups": [each.to_json() for each in self.groups],
        }


def strange(
    snapshot: Snapshot,
    n: int,
    *,
    where: str | None,
    labelled: str | None,
    embed: Embed,
    q: float = Q,
    seed: int = 0,
    progress: Progress | None = None,
) -> StrangeImages:
    """See `Lake.strange`.

    :param embed: texts to float32, (n, dim), unit rows; asked only where something is strange.
    """
    if not 1 <= n <= MOST:
        raise BadRequest("n", f"{n} is no number of images; 1 to {MOST:,} are told at most")
    if not 0 < q <= 1:
        raise BadRequest("q", f"{q:g} is no share; it is above 0, up to 1")
    if not 0 <= seed < 2**63:
        raise BadRequest("seed", f"{seed} is no seed; it is a whole number from 0")
    random = np.random.default_rng([seed, 0])
    rows = Rows.of(snapshot, _row_ids(snapshot, where))
    progress = progress or Silent()
    known = None
    if labelled is not None:
        known = Rows.of(snapshot, passing(snapshot, labelled).row_ids)
        if len(known) < FEWEST:
            raise BadRequest(
                "labelled",
                f"{len(known):,} images pass {labelled}; they are too few to tell what is far from them: {FEWEST} at "
                "least",
            )
        rows = rows.at(np.flatnonzero(~np.isin(rows.row_ids, known.row_ids)))
    fewest = FEWEST if known is None else 1
    if len(rows) < fewest:
        raise BadRequest(
            "where",
            f"{len(rows):,} images are too few to tell which of them are strange: {fewest} at least",
        )
    if known is None:
        others = rows.at(rows.drawn(REFERENCE, random))
        far = _distances(rows, others, NEIGHBOURS, True, progress)
        compared = far
    else:
        others = known.at(known.drawn(REFERENCE, random))
        far = _distances(rows, others, 1, False, progress)
        compared = _distances(others, others, 1, True, Silent())
    lengths = _lengths(compared.cosines)
    p = p_values(_lengths(far.cosines), lengths)
    sure = q_values(p)
    order = np.lexsort((rows.row_ids, far.cosines))
    order = order[sure[order] <= q]
    order = order[p[order] < 1]
    told = order[:n]
    usual = float(np.median(compared.cosines))
    line = 1 - float(np.quantile(lengths, HIGH)) ** 2 / 2
    homes, groups = _grouped(rows, told, line, others, embed)
    return StrangeImages(
        snapshot.number,
        seed,
        len(rows),
        len(others),
        None if known is None else len(known),
        usual,
        len(order),
        tuple(
            Strange(
                int(rows.row_ids[at]),
                float(far.cosines[at]),
                int(others.row_ids[far.nearest[at]]),
                float(far.nearest_cosines[at]),
                float(p[at]),
                float(sure[at]),
                home + 1,
            )
            for at, home in zip(told.tolist(), homes, strict=True)
        ),
        groups,
    )


def _row_ids(snapshot: Snapshot, where: str | None) -> Positions:
    return snapshot.places[0] if where is None else passing(snapshot, where).row_ids


@dataclass(frozen=True, slots=True)
class _Far:
    cosines: NDArray[np.float32]  # (n,): with the nearest that counts
    nearest: Positions  # (n,): which of the others is nearest
    nearest_cosines: NDArray[np.float32]  # (n,): with that


def _lengths(cosines: NDArray[np.float32]) -> NDArray[np.float64]:
    """Between the ends of unit vectors."""
    return np.sqrt(np.maximum(2 - 2 * cosines.astype(np.float64), 0))


def _distances(
    rows: Rows, others: Rows, neighbours: int, are_among: bool, progress: Progress
) -> _Far:
    """
    :param neighbours: which of the nearest counts, from 1.
    :param are_among: True: the others are some of the rows, and none counts as near itself.
    """
    import faiss

    base = others.vectors()
    wanted = min(neighbours, len(others) - are_among)
    far = _Far(
        np.empty(len(rows), np.float32),
        np.empty(len(rows), np.int64),
        np.empty(len(rows), np.float32),
    )
    progress.stage("comparing", len(rows))
    for start in range(0, len(rows), READ_ROWS):
        here = slice(start, min(start + READ_ROWS, len(rows)))
        some = np.arange(here.start, here.stop)
        cosines, at = faiss.knn(
            rows.at(some).vectors(), base, wanted + are_among, metric=faiss.METRIC_INNER_PRODUCT
        )
        np.minimum(cosines, 1.0, out=cosines)  # rows in half precision may be a little longer
        if are_among:
            cosines, at = _without_itself(rows.row_ids[here], others.row_ids, cosines, at)
        far.cosines[here] = cosines[:, wanted - 1]
        far.nearest[here], far.nearest_cosines[here] = at[:, 0], cosines[:, 0]
        progress.advance(len(some))
    return far


def _without_itself(
    row_ids: Positions, others: Positions, cosines: NDArray[np.float32], at: Positions
) -> tuple[NDArray[np.float32], Positions]:
    """One neighbour fewer: the row itself, where it is one of them, else the last.

    :param cosines, at: (n, k), the nearest first.
    """
    is_itself = others[at] == row_ids[:, None]
    # Of many copies it may be none of the nearest; what is left out is as near then.
    drop = np.where(is_itself.any(axis=1), is_itself.argmax(axis=1), at.shape[1] - 1)
    keep = np.arange(at.shape[1]) != drop[:, None]
    shape = (len(at), at.shape[1] - 1)
    return cosines[keep].reshape(shape), at[keep].reshape(shape)


class _Near:
    """Vectors are near each other from a cosine on."""

    def __init__(self, vectors: Vectors, least: float) -> None:
        self.count = len(vectors)
        self._vectors, self._least = vectors, least

    def among(self, some: Positions) -> NDArray[np.bool_]:
        near = self.closeness(some, some) >= self._least
        np.fill_diagonal(near, True)
        return np.asarray(near | near.T)

    def pairs(self, some: Positions) -> tuple[Positions, Positions]:
        near = self.closeness(some, np.arange(self.count)) >= self._least
        near[np.arange(len(some)), some] = True
        first, second = np.nonzero(near)
        return first.astype(np.int64), second.astype(np.int64)

    def near(self, one: int, others: Positions) -> RowMask:
        found = self.closeness(np.array([one]), others)[0] >= self._least
        return np.asarray(found | (others == one))

    def closeness(self, some: Positions, others: Positions) -> NDArray[np.float32]:
        return np.asarray(self._vectors[some] @ self._vectors[others].T)


def _grouped(
    rows: Rows, told: Positions, line: float, others: Rows, embed: Embed
) -> tuple[list[int], tuple[StrangeGroup, ...]]:
    """Of each image told its group, from 0, and the groups, as they come among the images.

    :param line: the cosine from which on they are of one group.
    """
    if not len(told):
        return [], ()
    # Vectors come by rising row_id; the strangest are to come first.
    rising = np.sort(told)
    vectors = rows.at(rising).vectors()[np.searchsorted(rising, told)]
    middles = stars(_Near(vectors, line))
    numbers: dict[int, int] = {}
    homes = [numbers.setdefault(each, len(numbers)) for each in middles.tolist()]
    named = Named.of(VOCABULARY, embed)
    mean = others.vectors().mean(axis=0)
    home_of = np.array(homes)
    return homes, tuple(
        StrangeGroup(
            named.best(vectors[home_of == number].mean(axis=0) - mean),
            tuple(rows.row_ids[told[home_of == number]].tolist()),
        )
        for number in range(len(numbers))
    )
