"""Codes: vectors in one byte a dimension, with what that loses, in a file beside the segments.

Nothing needs them. A search reads them instead of the vectors, which are twice as long, and then
looks at the few rows again that may be among the best. They can be dropped and made again.

A row x is kept as x = centre + K1' s1 c1 + K2' s2 c2 + r: c1 and c2 are whole numbers in -127..127,
K1 and K2 are the upper and the lower half of the frame's rotation, and r is what is left. Its
length is stored, and that is all that a search must know of it: whatever q is, q.r is at most
|q||r|. Nothing here supposes that the rotation is one; a bad one makes r long, and no answer wrong.

The numbers of the rotation are whole, too (times 2^-bits). So are all partial sums of K' c, and
they stay below 2^24, since |sum of k c| <= |k||c|. Single precision adds such numbers without
rounding, in whatever order, and |r| is known for certain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import numkong
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from indexer.cores import usable_cores

CODES_FORMAT = 1
CODE_ROWS = 32_768  # in one batch of the file, which is what one task of a search reads
_ENCODED_ROWS = 2_048  # at once: what is worked on stays in the cache
_ABOUT, _CENTRE, _ROTATION = b"lakesift_codes", b"centre", b"rotation"
_MOST = 127
_EXACT = 2.0**24  # whole numbers up to here are exact in float32

Bytes = NDArray[np.int8]
Numbers = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frame:
    """The centre and the rotation that codes are relative to; one for a lake, if possible."""

    centre: NDArray[np.float32]  # (dim,)
    # (dim, dim): the rows are directions, those of the largest spread in the upper half
    rotation: NDArray[np.int16]
    bits: int  # the rotation is times 2^-bits

    @property
    def dim(self) -> int:
        return len(self.centre)

    @property
    def head(self) -> int:
        """How many directions the first bytes of a row are of."""
        return (self.dim + 1) // 2

    @cached_property
    def key(self) -> bytes:
        """Equal frames have equal keys."""
        return self.centre.tobytes() + self.rotation.tobytes() + bytes([self.bits])

    @cached_property
    def halves(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """float64, (head, dim) and (dim - head, dim)"""
        rotation = self.rotation.astype(np.float64) * 2.0**-self.bits
        return rotation[: self.head], rotation[self.head :]

    @cached_property
    def stretch(self) -> float:
        """|K' c| is at most this times |c|, for either half.

        The largest eigenvalue of K K' is at most its largest sum of a row (Gershgorin).
        """
        return max(float(np.sqrt(np.abs(half @ half.T).sum(1).max())) for half in self.halves)


def make_frame(sample: Vectors, seed: int = 0) -> Frame:
    """A frame for vectors like these: their mean, and their principal directions in two halves.

    Within each half the directions are turned at random: that spreads a row over all of them, and
    one scale then does for all.

    :param sample: float32, (n, dim), finite, n at least 1, dim at least 2.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        return _frame(sample, seed)


def _frame(sample: Vectors, seed: int) -> Frame:
    dim = sample.shape[1]
    centre = sample.mean(0, dtype=np.float64).astype(np.float32)
    spread = (sample - centre).astype(np.float64)
    _, directions = np.linalg.eigh(spread.T @ spread)
    directions = directions.T[::-1]  # (dim, dim), the largest spread first
    random = np.random.default_rng(seed)
    head = (dim + 1) // 2
    turned = [
        np.linalg.qr(random.standard_normal((len(half), len(half))))[0] @ half
        for half in (directions[:head], directions[head:])
    ]
    rotation = np.concatenate(turned)
    # 127 sqrt(head) 2^bits < 2^24, with some room: rounded columns may be longer than 1.
    bits = min(14, int(np.log2(0.95 * _EXACT / (_MOST * np.sqrt(head)))))
    return Frame(centre, np.rint(rotation * 2.0**bits).astype(np.int16), bits)


@dataclass(frozen=True, eq=False)
class CodeBlock:
    """Rows of a segment as their codes lie in the file."""

    head: Bytes  # (n, head): c1
    tail: Bytes  # (n, dim - head): c2
    head_scale: Numbers  # (n,): s1, and so on
    tail_scale: Numbers
    head_length: Numbers  # (n,): s1 |c1|, rounded up
    tail_length: Numbers
    residual: Numbers  # (n,): |r|, rounded up

    def __len__(self) -> int:
        return len(self.residual)

    @cached_property
    def tensors(self) -> tuple[numkong.Tensor, numkong.Tensor]:
        """(n, head) and (n, dim - head): the same bytes, as `ByteQuery.multiply` takes them."""
        return _tensor(self.head), _tensor(self.tail)

    @cached_property
    def longest(self) -> NDArray[np.float64]:
        """float64, (3,): the largest head_length, tail_length and residual."""
        lengths = (self.head_length, self.tail_length, self.residual)
        return np.array([float(each.max()) for each in lengths])


class ByteQueries:
    """Queries in whole numbers of a byte, ready to be multiplied with codes."""

    def __init__(self, queries: Bytes) -> None:
        """:param queries: int8, (n, head) or (n, dim - head), in -127..127."""
        self._queries = np.ascontiguousarray(queries)
        # Blocks of 16,384 x 512 on one thread of a CPU with AVX2: by 1, 2, 4, 6, 8 vectors 0.6,
        # 0.9, 1.6, 2.3, 3.6 ms with cdist; packed 2.1, 2.6, 1.8, 3.5, 2.8.
        self._packed = numkong.dots_pack(self._queries) if len(queries) > 4 else None

    def products_with(self, codes: Bytes) -> NDArray[np.int32]:
        """int32, (rows, n): exact, as whole numbers are."""
        rows = _tensor(codes)
        found = (
            numkong.cdist(rows, self._queries, "dot")
            if self._packed is None
            else numkong.dots_packed(rows, self._packed)
        )
        return np.asarray(found, np.int32)


class ByteQuery:
    """One query in whole numbers of a byte, multiplied with many small pieces of codes.

    A piece of 10 rows takes 2 us, with `ByteQueries` 9.
    """

    def __init__(self, query: Bytes) -> None:
        """:param query: int8, (head,) or (dim - head,), in -127..127."""
        self._query = _tensor(np.ascontiguousarray(query[None]))

    def multiply(self, pieces: Iterable[tuple[numkong.Tensor, int, int]], room: Room) -> None:
        """Exact products with some rows of each of `CodeBlock.tensors`, one after the other.

        :param pieces: the block's tensor, and its rows from and to.
        :param room: for as many products.
        """
        query, products, at = self._query, room.tensor, 0
        for codes, start, end in pieces:
            to = at + end - start
            # numkong says that a part of a tensor may be a number
            rows: Any = codes[start:end]
            found: Any = products[at:to]
            numkong.cdist(rows, query, "dot", out=found)
            at = to


class Room:
    """Where products with so many rows go."""

    def __init__(self, rows: int) -> None:
        self.products = np.empty(rows, np.int32)
        self.tensor = _tensor(self.products[:, None])


def _tensor(array: NDArray[Any]) -> numkong.Tensor:
    """The same bytes. By their address: what is mapped is read-only, which numkong does not take.

    :param array: whole numbers, (n, m), contiguous.
    """
    address = array.__array_interface__["data"][0]
    name: Any = array.dtype.name
    return numkong.from_pointer(address, array.shape, name, owner=array)


def most_queries() -> int:
    """How many queries at once are multiplied faster with codes than with vectors.

    With AVX2 400,000 rows took 48 ms of processor for 2 queries, 76 to 96 for 4 and 110 to 166 for
    8 (busy machine); in half precision 77, 81 to 90 and 122 to 155. With AMX 500,000 rows gave 1.0
    to 1.5 times as many answers with 2 clients, 0.7 to 1.0 with 4, 0.9 to 1.1 with 8, 0.7 with 32.
    """
    return 2


def pay_from_rows() -> int:
    """How large a lake must be for codes to be faster.

    With AVX2 a photo took 29 to 38 ms of processor on 400,000 rows where FAISS took 49, a text 44
    instead of 50; on 200,000 rows 24 and 28 instead of 24 and 25 (busy machine). With AMX, in turn
    on two quiet cores, photos took 0.66 of the time without codes on 500,000 rows, texts 0.93; on
    200,000 rows both 0.93.
    """
    return 400_000


class StoredCodes:
    """The codes of a segment; row i of the segment has code i."""

    def __init__(self, frame: Frame, blocks: list[CodeBlock], id: str = "") -> None:
        """:param id: of the file, as a manifest names it."""
        self.frame = frame
        self.id = id
        self.blocks = blocks  # CODE_ROWS each, but for the last one

    @classmethod
    def open(cls, path: Path, rows: int, dim: int) -> StoredCodes:
        """Map the file; codes are read when they are asked for.

        :raises ValueError: if it is no file of codes, or not of so many rows or dimensions; of a
            later format.
        :raises OSError: if it cannot be read.
        """
        try:
            file = pa.ipc.open_file(pa.memory_map(str(path)))
            frame = _frame_of(file.schema.metadata or {}, dim)
            if not file.schema.remove_metadata().equals(_schema(frame)):
                raise ValueError("it has other columns than codes have")
            sizes = [min(CODE_ROWS, rows - start) for start in range(0, rows, CODE_ROWS)]
            if file.num_record_batches != len(sizes):
                raise ValueError("it has another number of rows than its segment")
            batches = [file.get_batch(number) for number in range(len(sizes))]
            return cls(frame, [_block(*both) for both in zip(batches, sizes, strict=True)])
        except pa.ArrowException as error:
            raise ValueError(f"Arrow cannot read it ({str(error).splitlines()[0]})") from None


class InOrder(Protocol):
    """Vectors in an order, as a segment has them."""

    @property
    def rows(self) -> int: ...

    def take(self, positions: Positions, /) -> Vectors:
        """float32, (n, dim): the vectors at these positions, in their order."""


def write_codes(
    path: Path,
    vectors: InOrder,
    frame: Frame,
    advance: Callable[[int], None] = lambda rows: None,
) -> None:
    """Write the codes of all vectors to a new file.

    :param vectors: all finite.
    :param advance: told of the rows written since it was called last.
    :raises OSError: if the disk is full.
    """
    about = {"format": CODES_FORMAT, "bits": frame.bits}
    schema = _schema(frame).with_metadata(
        {
            _ABOUT: json.dumps(about).encode(),
            _CENTRE: frame.centre.astype("<f4").tobytes(),
            _ROTATION: frame.rotation.astype("<i2").tobytes(),
        }
    )
    from threadpoolctl import threadpool_limits

    with (
        # Threads of ours share the rows; BLAS's own would only wait for one another.
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(usable_cores()) as pool,
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_file(file, schema) as out,
    ):
        for start in range(0, vectors.rows, CODE_ROWS):
            end = min(start + CODE_ROWS, vectors.rows)

            def piece(at: int, end: int = end) -> CodeBlock:
                return encode(vectors.take(np.arange(at, min(at + _ENCODED_ROWS, end))), frame)

            pieces = list(pool.map(piece, range(start, end, _ENCODED_ROWS)))
            arrays = [
                _array([getattr(piece, field.name) for piece in pieces], field) for field in schema
            ]
            out.write_batch(pa.record_batch(arrays, schema=schema))
            advance(end - start)


def encode(vectors: Vectors, frame: Frame) -> CodeBlock:
    """:param vectors: float32, (n, dim), finite, exact as they are stored."""
    centred = vectors.astype(np.float64) - frame.centre
    rest, lengths = centred, np.linalg.norm(centred, axis=1)  # (n, dim), (n,)
    found: list[tuple[Bytes, Numbers, Numbers]] = []
    for half in (slice(None, frame.head), slice(frame.head, None)):
        directions = frame.rotation[half].astype(np.float32)
        near = centred.astype(np.float32) @ (directions.T * np.float32(2.0**-frame.bits))
        scale = np.abs(near).max(1) / np.float32(_MOST)  # (n,)
        scale[scale < np.finfo(np.float32).tiny] = 0
        steps = np.where(scale, scale, np.float32(1))[:, None]
        codes = np.where(scale[:, None] > 0, np.clip(np.rint(near / steps), -_MOST, _MOST), 0)
        codes = codes.astype(np.float32)
        back = codes @ directions  # exact
        wide = scale.astype(np.float64)
        rest = rest - (wide * 2.0**-frame.bits)[:, None] * back
        length = wide * np.linalg.norm(codes.astype(np.float64), axis=1)
        lengths = lengths + length
        found.append((codes.astype(np.int8), scale, _up(length)))
    # Double precision rounds, too, but by far less than what is added.
    residual = _up(np.linalg.norm(rest, axis=1) + 1e-13 * lengths)
    (head, head_scale, head_length), (tail, tail_scale, tail_length) = found
    return CodeBlock(head, tail, head_scale, tail_scale, head_length, tail_length, residual)


def _up(lengths: NDArray[np.float64]) -> Numbers:
    """As single precision, never smaller."""
    return np.nextafter((lengths * (1 + 1e-9)).astype(np.float32), np.float32(np.inf))


@cache
def _names() -> tuple[str, ...]:
    return ("head_scale", "tail_scale", "head_length", "tail_length", "residual")


def _schema(frame: Frame) -> pa.Schema:
    head, tail = frame.head, frame.dim - frame.head
    return pa.schema(
        [
            pa.field("head", pa.list_(pa.field("item", pa.int8(), False), head), False),
            pa.field("tail", pa.list_(pa.field("item", pa.int8(), False), tail), False),
            *(pa.field(name, pa.float32(), False) for name in _names()),
        ]
    )


def _array(pieces: Iterable[NDArray[np.generic]], field: pa.Field) -> pa.Array:
    numbers = np.concatenate(list(pieces))
    if numbers.ndim == 1:
        return pa.array(numbers, field.type)
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), type=field.type)


def _frame_of(metadata: dict[bytes, bytes], dim: int) -> Frame:
    """:raises ValueError: if it is none, or of a later format."""
    try:
        about = json.loads(metadata[_ABOUT])
        format, bits = int(about["format"]), int(about["bits"])
        centre = np.frombuffer(metadata[_CENTRE], "<f4").astype(np.float32)
        rotation = np.frombuffer(metadata[_ROTATION], "<i2").astype(np.int16)
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("it holds no codes") from None
    if format > CODES_FORMAT:
        raise ValueError(f"it has format {format}; this lakesift reads up to {CODES_FORMAT}")
    if len(centre) != dim or len(rotation) != dim * dim or dim < 2 or not 0 <= bits <= 14:
        raise ValueError(f"its codes are not of {dim:,} dimensions")
    if not np.isfinite(centre).all():
        raise ValueError("its centre holds what is no number")
    return Frame(centre, rotation.reshape(dim, dim), bits)


def _block(batch: pa.RecordBatch, rows: int) -> CodeBlock:
    """:raises ValueError: if it has not so many rows."""
    batch.validate()
    if batch.num_rows != rows or any(column.null_count for column in batch.columns):
        raise ValueError("it has another number of rows than its segment")
    head, tail, *numbers = batch.columns
    return CodeBlock(
        _bytes(head, rows),
        _bytes(tail, rows),
        *(np.asarray(np.from_dlpack(column), np.float32) for column in numbers),
    )


def _bytes(column: pa.FixedSizeListArray, rows: int) -> Bytes:
    flat = np.asarray(np.from_dlpack(column.flatten()), np.int8)
    if len(flat) != rows * column.type.list_size:
        raise ValueError("it has fewer codes than rows")
    return flat.reshape(rows, column.type.list_size)
