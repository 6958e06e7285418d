"""FAISS, and nothing else: flat inner-product indexes of unit rows, in half precision, memory-mapped.

A flat fp16 index is exact up to the rounding of its stored numbers (relative 2^-11), and its vectors can be copied from
file to file without rounding again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.embed import Vectors

FlatIndex: TypeAlias = Any  # faiss.IndexScalarQuantizer; FAISS ships no types
Positions: TypeAlias = NDArray[np.int64]
RowMask: TypeAlias = NDArray[np.bool_]  # (n_rows,), True keeps the row

COPY_ROWS = 16_384  # rows decoded or copied at once: 16 MB of codes at 512 dimensions


def empty_index(dim: int) -> FlatIndex:
    return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def write_index(path: Path, index: FlatIndex) -> None:
    """Write the index to a new file.

    Through Python's own file: FAISS's writer reports a full disk as a RuntimeError, and where it shows only when the
    last buffer is flushed, as a line on stderr, leaving a truncated file behind (seen with 1.15 on /dev/full).

    :raises OSError: if the disk is full.
    """
    with path.open("wb") as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))


def open_index(path: Path) -> FlatIndex:
    """Map the file; nothing is read until it is searched.

    Source of the flag: https://github.com/facebookresearch/faiss/pull/4199 (zero-copy `IO_FLAG_MMAP_IFC`).
    """
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def copy_codes(source: FlatIndex, target: FlatIndex, keep: RowMask | None = None) -> None:
    """Append the stored rows of source to target, bit for bit; only those that keep allows, in their order."""
    codes = codes_of(source)
    for start in range(0, source.ntotal, COPY_ROWS):
        block = codes[start : start + COPY_ROWS]
        chosen = np.ascontiguousarray(block if keep is None else block[keep[start : start + COPY_ROWS]])
        if len(chosen):
            target.add_sacodes_of(chosen)


def vectors_at(index: FlatIndex, positions: Positions) -> Vectors:
    """float32, (n, dim): the stored vectors at these positions."""
    if len(positions) == 0:
        return np.empty((0, index.d), np.float32)
    return np.asarray(index.reconstruct_batch(positions), np.float32)


def vector_blocks(index: FlatIndex) -> Iterator[Vectors]:
    """All stored vectors in order, float32, a block at a time."""
    for start in range(0, index.ntotal, COPY_ROWS):
        yield vectors_at(index, np.arange(start, min(start + COPY_ROWS, index.ntotal), dtype=np.int64))


def search_index(
    index: FlatIndex, query: NDArray[np.float32], k: int, mask: RowMask | None = None
) -> tuple[NDArray[np.float32], Positions]:
    """The k stored rows with the largest inner product, best first: scores and positions.

    :param query: float32, (dim,), unit length.
    :param k: rows wanted; fewer come back when fewer are allowed.
    :param mask: bool, (ntotal,); True keeps the row, None keeps all.

    Source: https://github.com/facebookresearch/faiss/wiki/Setting-search-parameters-for-one-query
    """
    k = min(k, index.ntotal if mask is None else int(np.count_nonzero(mask)))
    if k == 0:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    parameters = None
    if mask is not None:
        bitmap = np.packbits(mask, bitorder="little")  # must outlive the search: FAISS keeps a pointer
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
    with _one_thread():
        scores, positions = index.search(query[None], k, params=parameters)
    found = positions[0] >= 0
    return scores[0][found], positions[0][found]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep FAISS from starting a thread a core for one query, which it cannot share out.

    They would only spin: a search of 20,000 rows in 12 segments took 163 ms beside other busy processes, 10 ms so. The
    setting is this thread's alone.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def score_all(index: FlatIndex, query: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32, (ntotal,): the inner product of every stored row with the query."""
    parts = [block @ query for block in vector_blocks(index)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def score_codes(codes: NDArray[np.uint8], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32, (n,): what `search_index` says of these stored rows, bit for bit, for it is FAISS that says it.

    :param codes: uint8, (n, code_size): rows of `codes_of`; query: float32, (dim,).
    """
    scores = np.empty(len(codes), np.float32)
    if len(codes):
        few = empty_index(len(query))
        few.add_sa_codes(np.ascontiguousarray(codes))
        found, positions = search_index(few, query, len(codes))
        scores[positions] = found
    return scores


def codes_of(index: FlatIndex) -> NDArray[np.uint8]:
    """uint8, (ntotal, code_size): a view of the stored bytes, valid while index lives."""
    if index.ntotal == 0:
        return np.empty((0, index.code_size), np.uint8)
    flat = faiss.rev_swig_ptr(index.codes.data(), index.ntotal * index.code_size)
    return np.asarray(flat).reshape(index.ntotal, index.code_size)
