"""The vectors of a segment as they are stored: read, scored, taken, copied. Searches nothing.

The file is a flat FAISS index of unit rows in half precision, memory-mapped: exact up to the
rounding of its stored numbers (relative 2^-11), and its vectors can be copied from file to file
without rounding again. Nobody outside this module reads the stored bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

import faiss
import numkong
import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask, Vectors

FlatIndex: TypeAlias = Any  # faiss.IndexScalarQuantizer; FAISS ships no types

# A number in half precision; all its exponent's bits are set if it is infinite or NaN.
_HALF, _INFINITE = np.dtype("<u2"), np.uint16(0x7C00)
BLOCK_ROWS = 16_384  # rows decoded, copied or scored at once: 16 MB of codes at 512 dimensions


class StoredVectors:
    """Vectors that were written; row i of the segment has vector i."""

    def __init__(self, index: FlatIndex) -> None:
        self.index = index  # what FAISS searches; a property of this store, not to be changed
        self.rows, self.dim = int(index.ntotal), int(index.d)
        # What these rows lie in, where they are a piece: it must outlive them.
        self._whole: StoredVectors | None = None

    @classmethod
    def open(cls, path: Path) -> StoredVectors:
        """Map the file; nothing is read until it is asked for.

        :raises RuntimeError: if FAISS cannot read it.
        :raises ValueError: if it is another kind of index, whose order would be another one: one
            of distances ranks backwards.

        Source of the flag: https://github.com/facebookresearch/faiss/pull/4199 (zero-copy
        `IO_FLAG_MMAP_IFC`).
        """
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        is_ours = (
            type(index) is faiss.IndexScalarQuantizer
            and index.sq.qtype == faiss.ScalarQuantizer.QT_fp16
            and index.metric_type == faiss.METRIC_INNER_PRODUCT
        )
        if not is_ours:
            raise ValueError("it is no flat index of inner products in half precision")
        return cls(index)

    def between(self, start: int, end: int) -> StoredVectors:
        """The rows from start to end as a store of their own; nothing is copied.

        :param start: the first row; end: the row after the last one, at least start.

        Source: `MaybeOwnedVector::create_view` of faiss/impl/maybe_owned_vector.h, which is what a
        mapped index reads its codes through, too.
        """
        if (start, end) == (0, self.rows):
            return self
        rows = self._codes[start:end].reshape(-1)
        piece = NewVectors(self.dim).stored()
        if len(rows):
            owner = self.index.codes.owner
            piece.index.codes = faiss.MaybeOwnedVectorUInt8.create_view(
                faiss.swig_ptr(rows), len(rows), owner
            )
            piece.index.ntotal = piece.rows = end - start
        piece._whole = self
        return piece

    def take(self, positions: Positions) -> Vectors:
        """float32, (n, dim): the vectors at these positions, in their order."""
        if len(positions) == 0:
            return np.empty((0, self.dim), np.float32)
        return np.asarray(self.index.reconstruct_batch(positions), np.float32)

    def decoded(self, positions: Positions) -> Vectors:
        """As `take`, ten times as fast where the rows follow one another."""
        start, count = (int(positions[0]) if len(positions) else 0), len(positions)
        if not count or not np.array_equal(positions, np.arange(start, start + count)):
            return self.take(positions)
        halves = self._halves(self._codes[start : start + count])
        return np.asarray(halves.astype("float32"), np.float32)

    def blocks(self) -> Iterator[Vectors]:
        """All vectors in order, float32, a block at a time."""
        for start in range(0, self.rows, BLOCK_ROWS):
            yield self.take(np.arange(start, min(start + BLOCK_ROWS, self.rows), dtype=np.int64))

    @property
    def are_finite(self) -> bool:
        """False where a number of them is infinite or NaN. Of 10 MB it takes 2 ms."""
        for start in range(0, self.rows, BLOCK_ROWS):
            halves = self._codes[start : start + BLOCK_ROWS].view(_HALF)
            if np.any((halves & _INFINITE) == _INFINITE):
                return False
        return True

    def score(self, queries: HalfQueries, start: int, end: int) -> NDArray[np.float32]:
        """float32, (end - start, n): inner products of the rows from start to end with n queries.

        The rows are read as they lie there: nothing is decoded or copied. Each product is summed in
        float32, in whatever order; `half_precision_pays` tells whether this CPU does it fast.

        :param start: the first row; end: the row after the last one, above start.
        """
        return queries.products_with(self._halves(self._codes[start:end]))

    def _halves(self, stored: NDArray[np.uint8]) -> numkong.Tensor:
        # By its address, which is odd: what NumPy has of half precision there, numkong does not
        # take.
        address = stored.__array_interface__["data"][0]
        return numkong.from_pointer(address, (len(stored), self.dim), "float16", owner=stored)

    def copy_to(self, target: NewVectors, rows: RowMask | Positions | None = None) -> None:
        """Append rows to target, bit for bit.

        :param rows: a mask of those that are copied, or their positions, in the order wanted; None:
            all rows.
        """
        if rows is not None and rows.dtype != np.bool_:
            target.add_codes(self._codes[rows])
            return
        for start in range(0, self.rows, BLOCK_ROWS):
            block = self._codes[start : start + BLOCK_ROWS]
            target.add_codes(block if rows is None else block[rows[start : start + BLOCK_ROWS]])

    @property
    def extent(self) -> tuple[int, int]:
        """The address of the stored bytes, and how many there are; of no rows (0, 0)."""
        if self.rows == 0:
            return 0, 0
        return self._codes.__array_interface__["data"][0], self._codes.nbytes

    @cached_property
    def _codes(self) -> NDArray[np.uint8]:
        """uint8, (rows, 2 dim): a view of the stored bytes, valid while the index lives."""
        size = self.index.code_size
        if self.rows == 0:
            return np.empty((0, size), np.uint8)
        flat = faiss.rev_swig_ptr(self.index.codes.data(), self.rows * size)
        return np.asarray(flat).reshape(self.rows, size)


class NewVectors:
    """Vectors in memory, to be written to a file, or to be searched on their own."""

    def __init__(self, dim: int) -> None:
        self._index = faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )

    @property
    def rows(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """:param vectors: float32, (n, dim), unit rows; rounded to half precision."""
        self._index.add(np.ascontiguousarray(vectors, np.float32))

    def add_codes(self, codes: NDArray[np.uint8]) -> None:
        """:param codes: uint8, (n, 2 dim): stored bytes; `StoredVectors.copy_to` calls this."""
        if len(codes):
            self._index.add_sa_codes(np.ascontiguousarray(codes))

    def stored(self) -> StoredVectors:
        """These vectors as a store, without a file; none may be added later."""
        return StoredVectors(self._index)

    def write(self, path: Path) -> None:
        """Write all vectors to a new file.

        Through Python's own file: FAISS's writer reports a full disk as a RuntimeError, and where
        it shows only when the last buffer is flushed, as a line on stderr, leaving a truncated file
        behind (seen with 1.15 on /dev/full).

        :raises OSError: if the disk is full.
        """
        with path.open("wb") as file:
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))


class HalfQueries:
    """Queries in half precision, ready to be multiplied with stored rows."""

    def __init__(self, queries: NDArray[np.float32] | NDArray[np.float16]) -> None:
        """:param queries: (n, dim); rounded to half precision."""
        self._halves = np.ascontiguousarray(queries, np.float16)
        # 500,000 rows by one vector took 64 ms with cdist, 95 ms with packed vectors (in turn, on
        # busy cores); by two, 106 and 97 ms.
        self._packed = numkong.dots_pack(self._halves) if len(self._halves) > 1 else None

    def products_with(self, rows: numkong.Tensor) -> NDArray[np.float32]:
        """float32, (rows, n); `StoredVectors.score` calls this."""
        found = (
            numkong.cdist(rows, self._halves, "dot")
            if self._packed is None
            else numkong.dots_packed(rows, self._packed)
        )
        return np.asarray(found, np.float32)


@cache
def half_precision_pays() -> bool:
    """False on a CPU for which numkong has only plain C: there a pass took 14 times as long."""
    return any(has for name, has in numkong.get_capabilities().items() if name != "serial")
