"""Which stored vectors are nearest to a query: an exact search with FAISS, one query at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.disk.stored_vectors import StoredVectors

# Of one query: scores in [-1, 1] and positions, both (n,).
Answer: TypeAlias = tuple[NDArray[np.float32], Positions]

WIDER = 8  # a widened search costs hardly more than a narrow one, so few of them


def nearest_and_ties(
    vectors: StoredVectors, query: NDArray[np.float32], k: int, mask: RowMask | None
) -> Answer:
    """The k best rows, and all that are as good as the last of them, best first.

    One more is looked for than is wanted. Only where it ties with the last is the search repeated,
    wider.

    :param query: float32, (dim,), unit length.
    :param k: rows wanted, at least 1; fewer come back when fewer are allowed.
    :param mask: bool, (rows,); True keeps the row, None keeps all.
    """
    width = k + 1
    while True:
        scores, positions = _nearest(vectors, query, width, mask)
        scores = np.clip(scores, -1, 1)  # before they are compared: beyond 1 is only rounding
        if len(scores) < width or scores[-1] < scores[k - 1]:
            break
        width *= WIDER
    if len(scores) <= k:
        return scores, positions
    kept = int(np.count_nonzero(scores >= scores[k - 1]))
    return scores[:kept], positions[:kept]


def exact_scores(vectors: StoredVectors, query: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32, (rows,): the inner product of every row with the query.

    Bit for bit what `nearest_and_ties` says of the row, before it cuts scores beyond 1: it is FAISS
    that says it here, too.
    """
    scores = np.empty(vectors.rows, np.float32)
    found, positions = _nearest(vectors, query, vectors.rows, None)
    scores[positions] = found
    return scores


def _nearest(
    vectors: StoredVectors, query: NDArray[np.float32], k: int, mask: RowMask | None
) -> Answer:
    """The k rows with the largest inner product, best first.

    Source: https://github.com/facebookresearch/faiss/wiki/Setting-search-parameters-for-one-query
    """
    k = min(k, vectors.rows if mask is None else int(np.count_nonzero(mask)))
    if k == 0:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    parameters = None
    if mask is not None:
        # must outlive the search: FAISS keeps a pointer
        bitmap = np.packbits(mask, bitorder="little")
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
    with _one_thread():
        scores, positions = vectors.index.search(query[None], k, params=parameters)
    found = positions[0] >= 0
    return scores[0][found], positions[0][found]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep FAISS from starting a thread a core for one query, which it cannot share out.

    They would only spin: a search of 20,000 rows in 12 segments took 163 ms beside other busy
    processes, 10 ms with one thread. The setting is this thread's alone.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
