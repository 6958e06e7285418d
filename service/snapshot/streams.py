"""The rows of a segment that are moments of a stream, a video's or a recording's, by their time.

Knows no query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions

Stream: TypeAlias = tuple[str, str]  # uri and stream_id
RUN_COLUMN = "still_s"  # how long a row's image stays as it is, where its source says so


@dataclass(frozen=True, slots=True)
class Streams:
    """Where the rows of each stream are in a segment; dead rows too."""

    names: tuple[Stream, ...]
    numbers: dict[Stream, int]  # of each, its place in names
    # (rows,): the number of each row's stream, -1: it is of none; empty where all are of none
    of_row: NDArray[np.int32]
    # (names + 1,): those of stream n are places[bounds[n]:bounds[n + 1]], by their time
    bounds: Positions
    places: Positions  # (m,): positions in the segment
    begins_us: NDArray[np.int64]  # (m,): when each is shown, as its file counts
    ends_us: NDArray[np.int64]  # (m,): until when, as far as that is known

    def number_of(self, position: int) -> int:
        """Of the stream that a row is of; -1: of none."""
        return int(self.of_row[position]) if self.names else -1

    def rows_of(self, stream: Stream) -> slice:
        """Of places, begins_us and ends_us, what is of a stream."""
        number = self.numbers.get(stream)
        if number is None:
            return slice(0, 0)
        return slice(int(self.bounds[number]), int(self.bounds[number + 1]))


def streams_of(schema: pa.Schema, count: int, read: Callable[[Sequence[str]], pa.Table]) -> Streams:
    """
    :param schema: of the lake.
    :param count: rows of the segment.
    :param read: all of them, some columns alone.
    """
    has_runs = RUN_COLUMN in schema.names and pa.types.is_floating(schema.field(RUN_COLUMN).type)
    names = ["uri", "stream_id", "time_us", *([RUN_COLUMN] if has_runs else [])]
    known = [name for name in names if name in schema.names]
    none = np.empty(0, np.int64)
    if len(known) < 3 or read(["stream_id"])["stream_id"].null_count == count:
        return Streams((), {}, np.empty(0, np.int32), np.zeros(1, np.int64), none, none, none)
    table = read(known)
    is_moment = table["stream_id"].is_valid().cast(pa.uint8())
    rows = np.flatnonzero(np.concatenate([np.from_dlpack(chunk) for chunk in is_moment.chunks]))
    uris, streams = (_numbered(table[name], rows) for name in ("uri", "stream_id"))
    begins = _numbers(table["time_us"], rows, np.int64)
    ends = begins.copy()
    if has_runs:
        seconds = _numbers(table[RUN_COLUMN], rows, np.float64)
        ends += np.round(np.clip(np.nan_to_num(seconds), 0, 1e9) * 1e6).astype(np.int64)
    pairs, numbers = np.unique(
        uris[1].astype(np.int64) * len(streams[0]) + streams[1], return_inverse=True
    )
    found = tuple((uris[0][p // len(streams[0])], streams[0][p % len(streams[0])]) for p in pairs)
    of_row = np.full(count, -1, np.int32)
    of_row[rows] = numbers
    order = np.lexsort((rows, begins, numbers))
    bounds = np.searchsorted(numbers[order], np.arange(len(found) + 1))
    known_as = {name: number for number, name in enumerate(found)}
    return Streams(found, known_as, of_row, bounds, rows[order], begins[order], ends[order])


def _numbered(column: pa.ChunkedArray, rows: Positions) -> tuple[list[str], Positions]:
    """The values at these rows, each once, and the number of each row's."""
    chosen = column.combine_chunks()
    chosen = chosen.take(pa.array(rows)) if len(rows) < len(column) else chosen
    encoded = (
        chosen.chunk(0) if isinstance(chosen, pa.ChunkedArray) else chosen
    ).dictionary_encode()
    return encoded.dictionary.to_pylist(), np.from_dlpack(encoded.indices).astype(np.int64)


def _numbers(
    column: pa.ChunkedArray, rows: Positions, kind: type[np.int64] | type[np.float64]
) -> NDArray[np.int64]:
    """0 where there is none."""
    filled = column.fill_null(0)
    values = np.concatenate([np.empty(0, kind), *(np.from_dlpack(c) for c in filled.chunks)])
    return np.asarray(values[rows])
