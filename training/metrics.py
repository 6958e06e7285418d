"""How good vectors are at finding: shares in 0..1,
from unit rows and what is known of their images.

Scores are cosines. A tie counts against the model everywhere: what is wanted comes after everything
else of the same score, so that a model that gives all images one vector gets the worst figure,
never a lucky one. Knows nothing of models, files or sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.embed.vectors import unit_rows

Flags: TypeAlias = NDArray[np.bool_]  # (n,)
Numbers: TypeAlias = NDArray[np.integer]  # (n,)
Scores: TypeAlias = NDArray[np.floating]  # (n,)

# of a cosine in fp32; beyond them one and the same vector may score otherwise in another column
DECIMALS = 6
ROWS = 1024  # queries scored at a time: 40 MB of scores against 10,000 images


def recall_at_k(texts: Vectors, images: Vectors, image_of_text: Numbers, k: int) -> float:
    """Share of the texts that have their own image among the k best.

    :param texts: (n, dim); several may be of one image.
    :param image_of_text: (n,), positions in `images`.
    :raises ValueError: if there is no text, or k is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    return _mean(
        [_ranks(scores, own) <= k for scores, own in _scored(texts, images, image_of_text)]
    )


def copies_on_top(originals: Vectors, copies: Vectors) -> float:
    """Share of the copies whose original is ahead of all other originals.

    :param copies: (n, dim), row i of the image of row i of `originals`.
    :raises ValueError: if there is none.
    """
    return recall_at_k(copies, originals, np.arange(len(copies)), 1)


def top_1(images: Vectors, labels: Numbers, prompts: Vectors) -> float:
    """Share of the images whose own class is the nearest: zero-shot classification.

    :param labels: (n,), the class of each image.
    :param prompts: (classes, prompts a class, dim), unit rows; a class is the normalised mean of
        its prompts.
    :raises ValueError: if there is no image.
    """
    return recall_at_k(images, unit_rows(prompts.mean(axis=1)), labels, 1)


def average_precision(scores: Scores, positive: Flags) -> float:
    """Mean, over the positives, of the precision at the rank of each (not interpolated).

    :param scores: (n,); larger is better. Among equal ones negatives come first.
    :raises ValueError: if none is positive, or a score is no number.
    """
    if not positive.any():
        raise ValueError("none is positive")
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    hits = positive[np.lexsort((positive, -scores))]
    ranks = np.flatnonzero(hits) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def average_precision_at(
    prevalence: float, scores: Scores, positive: Flags, *, draws: int = 20, seed: int = 0
) -> float:
    """Average precision as it would be where the positives are this share of all.

    Of the side that there is too much of (positives or negatives), as many as fit are drawn without
    replacement.

    :param prevalence: above 0, below 1.
    :returns: the mean over the draws.
    :raises ValueError: if fewer than one would be left of either side.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"prevalence is {prevalence}, expected above 0 and below 1")
    random = np.random.default_rng(seed)
    positives, negatives = np.flatnonzero(positive), np.flatnonzero(~positive)
    odds = prevalence / (1 - prevalence)
    most = (
        min(len(positives), round(len(negatives) * odds)),
        min(len(negatives), round(len(positives) / odds)),
    )
    if min(most) < 1:
        raise ValueError(
            f"{len(positives)} positives of {len(positive)} cannot be brought to {prevalence:.3g}"
        )
    found = []
    for _ in range(draws):
        sides = zip((positives, negatives), most, strict=True)
        kept = np.concatenate([random.choice(side, count, replace=False) for side, count in sides])
        found.append(average_precision(scores[kept], positive[kept]))
    return float(np.mean(found))


def precision_at_10(vectors: Vectors, labels: Numbers) -> float:
    """Mean share of an image's own class among the 10 images nearest to it, itself not counted.

    A class of c images reaches (c - 1) / 10 at most where c is below 11. Of fewer than 11 images,
    all others count.

    :raises ValueError: if there are fewer than two images.
    """
    if len(vectors) < 2:
        raise ValueError("there are no neighbours: expected at least 2 images")
    k = min(10, len(vectors) - 1)
    found = []
    for scores, own in _scored(vectors, vectors, np.arange(len(vectors))):
        scores[np.arange(len(own)), own] = -np.inf
        same = labels[own][:, None] == labels[None, :]
        best = np.lexsort((same, -scores), axis=1)[:, :k]
        found.append(np.take_along_axis(same, best, axis=1).mean(axis=1))
    return _mean(found)


def linear_ap(
    vectors: Vectors,
    positive: Flags,
    *,
    positives: int,
    others: int,
    prevalence: float,
    draws: int = 20,
    seed: int = 0,
) -> float:
    """Average precision of a line fitted to a few labels,
    as when somebody labels a few images of a lake.

    Each draw fits scikit-learn's LogisticRegression (its defaults: L2, C = 1) on `positives` +
    `others` images, and scores all the rest at this prevalence, once.

    :returns: the mean over the draws.
    :raises ValueError: if the rest cannot be brought to this prevalence.
    """
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(seed)
    sides = (np.flatnonzero(positive), positives), (np.flatnonzero(~positive), others)
    if any(len(side) <= count for side, count in sides):
        raise ValueError(
            f"{positives} + {others} leave none of {positive.sum()} + {(~positive).sum()} to score"
        )
    found = []
    for draw in range(draws):
        known = np.concatenate([random.choice(side, count, replace=False) for side, count in sides])
        rest = np.setdiff1d(np.arange(len(vectors)), known)
        line = LogisticRegression(max_iter=1000).fit(vectors[known], positive[known])
        scores = line.decision_function(vectors[rest])
        found.append(
            average_precision_at(prevalence, scores, positive[rest], draws=1, seed=seed + draw)
        )
    return float(np.mean(found))


def _scored(
    queries: Vectors, images: Vectors, own: Numbers
) -> Iterator[tuple[NDArray[np.float32], Numbers]]:
    """Some rows of queries at a time: their scores (rows,
    images), and the position of each one's own image.
    """
    for start in range(0, len(queries), ROWS):
        scores = queries[start : start + ROWS] @ images.T
        yield scores.round(DECIMALS), own[start : start + ROWS]


def _ranks(scores: NDArray[np.float32], own: Numbers) -> Numbers:
    """From 1, of the own image of each row; equal scores of others come before it."""
    mine = np.take_along_axis(scores, own[:, None], axis=1)
    ranks: Numbers = np.count_nonzero(scores >= mine, axis=1)
    return ranks


def _mean(parts: list[NDArray[np.floating]] | list[Flags]) -> float:
    if not parts:
        raise ValueError("there is nothing to measure")
    return float(np.mean(np.concatenate(parts)))
