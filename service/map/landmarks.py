"""Lays out a few thousand images, the landmarks, so that those that look alike are near: t-SNE.

Source: van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9, 2008; as openTSNE does it
(Poličar, Stražar and Zupan, Journal of Statistical Software 109(3), 2024). The same vectors and
seed give the same places on one machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.cores import usable_cores
from indexer.errors import LakeError
from service.map.stored import Places

INSTALL = "the map is laid out by openTSNE, which is not installed: pip install 'lakesift[map]'"
EXAGGERATED, PLAIN = 250, 500  # steps of the two stages
STEPS = EXAGGERATED + PLAIN
PERPLEXITY = 30
FEWEST = 3 * PERPLEXITY + 1  # fewer images are laid out by their two main directions
_FOURIER_FROM = 5_000  # landmarks from which the forces are interpolated
_TOLD_EVERY = 25  # steps


def lay_out(vectors: Vectors, seed: int, advance: Callable[[int], None]) -> Places:
    """float32, (n, 2), -1 to 1: where each landmark lies.

    :param vectors: float32, (n, dim), unit rows.
    :param advance: called with how many more steps, of STEPS, are done.
    :raises LakeError: if openTSNE is not installed.
    """
    if not len(vectors):
        advance(STEPS)
        return np.empty((0, 2), np.float32)
    first = main_directions(vectors)
    if len(vectors) < FEWEST:
        advance(STEPS)
        return fitted(first)
    check_installed()
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    # Threads that wait for each other spin: on a busy machine they cost more than few points take.
    cores = usable_cores() if len(vectors) >= _FOURIER_FROM else 1
    near, distances = _neighbours(vectors, 3 * PERPLEXITY)
    affinities = PerplexityBasedNN(
        perplexity=PERPLEXITY,
        knn_index=PrecomputedNeighbors(near, distances),
        n_jobs=cores,
        random_state=seed,
    )
    spread = float(first[:, 0].std()) or 1.0
    embedding = TSNEEmbedding(
        first / spread * 1e-4,
        affinities,
        negative_gradient_method="fft" if len(vectors) >= _FOURIER_FROM else "bh",
        n_jobs=cores,
        random_state=seed,
    )

    def told(step: int, error: float, places: Any) -> bool:
        advance(_TOLD_EVERY)
        return False

    said: dict[str, Any] = {
        "callbacks": told, "callbacks_every_iters": _TOLD_EVERY, "inplace": True,
    }  # fmt: skip
    embedding.optimize(EXAGGERATED, exaggeration=12, momentum=0.5, **said)
    embedding.optimize(PLAIN, momentum=0.8, **said)
    return fitted(np.asarray(embedding, np.float64))


def check_installed() -> None:
    """:raises LakeError: if openTSNE is not."""
    try:
        import openTSNE  # noqa: F401 - whether it can be
    except ImportError:
        raise LakeError(INSTALL) from None


def main_directions(vectors: Vectors) -> NDArray[np.float64]:
    """float64, (n, 2): by the two directions in which the vectors differ most."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    directions = directions[:, ::-1][:, :2]
    # Which way a direction points is by chance: its largest part is positive here.
    largest = np.abs(directions).argmax(axis=0)
    signs = np.sign(directions[largest, np.arange(directions.shape[1])])
    found: NDArray[np.float64] = centred @ (directions * np.where(signs == 0, 1, signs))
    return found if found.shape[1] == 2 else np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def fitted(places: NDArray[np.float64]) -> Places:
    """float32, (n, 2): as large as fits into -1 to 1, its proportions kept."""
    if not len(places):
        return np.empty((0, 2), np.float32)
    low, high = places.min(axis=0), places.max(axis=0)
    half = float((high - low).max()) / 2
    centred = places - (low + high) / 2
    return np.asarray(np.clip(centred / half if half else centred, -1, 1), np.float32)


def _neighbours(vectors: Vectors, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """int64 and float64, (n, k): the nearest others of each, and how far they are."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    cosines, near = index.search(np.ascontiguousarray(vectors), k + 1)
    # Itself is the first, or, among copies, one of the first.
    itself = near == np.arange(len(vectors))[:, None]
    itself[~itself.any(axis=1), -1] = True
    others = ~itself
    shape = (len(vectors), k)
    distances = np.sqrt(np.maximum(0.0, 2 - 2 * cosines[others].astype(np.float64)))
    return near[others].reshape(shape), distances.reshape(shape)
