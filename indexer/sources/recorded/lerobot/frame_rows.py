"""`data/`: what was known at each frame, one row a frame, looked up by episode and frame.

A number is a column by the name of its feature: `next.done` is `next_done`. A list of numbers is a
column for each: `observation.state` with the names pan and lift is `observation_state_pan` and
`observation_state_lift`; without names they are counted from 0.
"""

from __future__ import annotations

import logging
import math
import os
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.address import Address
from indexer.disk.rows import beside, own_name
from indexer.sources import ColumnValue
from indexer.sources.containers.kept import Kept
from indexer.sources.names import address_of
from indexer.sources.recorded.lerobot.info import Feature
from indexer.sources.sidecars import TAKEN, is_too_large
from indexer.sources.store import Stores, store_reason

logger = logging.getLogger(__name__)

EPISODE, FRAME, TASK = "episode_index", "frame_index", "task_index"
MOST_NUMBERS = 64  # of a feature that become columns; a point cloud or a depth map is no metadata
_FILES, _GROUPS = 4, 8  # that are kept
_NOT_ROWS = ("video", "image", "audio")
# Said by the set's own tables, and by the addresses.
_ELSEWHERE = (EPISODE, FRAME)


class FrameRows:
    """The rows of the Parquet files of one set. Safe for several threads."""

    def __init__(self, stores: Stores, features: Sequence[Feature]) -> None:
        wanted = [f for f in features if f.dtype not in _NOT_ROWS and f.name not in _ELSEWHERE]
        self._features = {feature.name: feature for feature in wanted}
        self._columns = {name: column_name(name) for name in self._features}
        self._files: Kept[_Rows] = Kept(stores, _FILES)
        self._groups: Kept[pa.Table] = Kept(stores, _GROUPS)
        self._told: set[bytes] = set()
        self._telling = threading.Lock()

    def of(self, path: bytes, episode: int, frame: int) -> dict[str, ColumnValue]:
        """By column, `task_index` too; {} where the file has no row of this frame, or several, or
        cannot be read, which is told once.
        """
        file = address_of(path)
        try:
            rows = self._files.of(path, file, lambda: _Rows.read(path))
            place = rows.place_of(episode, frame)
            if place is None:
                return {}
            group, row = place
            table = self._groups.of((path, group), file, lambda: self._read(path, group))
            values = table.slice(row, 1).to_pylist()[0]
        # A frame without its row is of use, if that is told.
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            self._tell(path, file, store_reason(error))
            return {}
        return self._plain(values, table.schema)

    def _read(self, path: bytes, group: int) -> pa.Table:
        opened = pq.ParquetFile(os.fsdecode(path))
        there = [name for name in opened.schema_arrow.names if name in self._features]
        return opened.read_row_group(group, columns=there)

    def _plain(self, values: Mapping[str, Any], schema: pa.Schema) -> dict[str, ColumnValue]:
        columns: dict[str, ColumnValue] = {}
        for name, value in values.items():
            kind = schema.field(name).type
            is_list = isinstance(value, list)
            parts = value if is_list else [value]
            if len(parts) > MOST_NUMBERS or any(isinstance(p, list | dict | bytes) for p in parts):
                continue
            is_single = pa.types.is_float32(kind.value_type if is_list else kind)
            plain = [_plain(part, is_single=is_single) for part in parts]
            if not is_list or len(plain) == 1:
                columns[self._columns[name]] = plain[0] if plain else None
                continue
            names = _names(self._features[name], len(plain))
            columns |= {f"{self._columns[name]}_{n}": v for n, v in zip(names, plain, strict=True)}
        return columns

    def _tell(self, path: bytes, file: Address, reason: str) -> None:
        with self._telling:
            if path in self._told:
                return
            self._told.add(path)
        logger.warning(
            "%s cannot be read, and its frames are without its columns (%s)", file, reason
        )


class _Rows(NamedTuple):
    """Where the row of each frame is."""

    keys: NDArray[np.int64]  # episode and frame as one number, sorted
    rows: NDArray[np.int64]  # the row of each key, in the file
    starts: NDArray[np.int64]  # first row of each row group

    @classmethod
    def read(cls, path: bytes) -> _Rows:
        """:raises ValueError, pa.ArrowException: if it has no such columns of whole numbers."""
        opened = pq.ParquetFile(os.fsdecode(path))
        table = opened.read([EPISODE, FRAME])
        keys = _key(*(table[name].cast(pa.int64()).to_numpy() for name in (EPISODE, FRAME)))
        order = np.argsort(keys, kind="stable")
        sizes = [opened.metadata.row_group(n).num_rows for n in range(opened.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        return cls(keys[order], order.astype(np.int64), starts)

    def place_of(self, episode: int, frame: int) -> tuple[int, int] | None:
        """Row group and row in it; None where there is no such frame, or more than one."""
        key = _key(np.int64(episode), np.int64(frame))
        first, end = np.searchsorted(self.keys, [key, key + 1])
        if end - first != 1:
            return None
        row = int(self.rows[first])
        group = int(np.searchsorted(self.starts, row, "right")) - 1
        return group, row - int(self.starts[group])


def are_rows(path: bytes) -> bool:
    """Whether a file can be opened as one with rows of frames."""
    try:
        return {EPISODE, FRAME} <= set(pq.ParquetFile(os.fsdecode(path)).schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError):
        return False


def _key(episode: Any, frame: Any) -> Any:
    return episode * 2**32 + frame


def column_name(feature: str) -> str:
    """`observation.state` as observation_state, beside our own columns."""
    name = re.sub(r"\W+", "_", feature).strip("_") or "feature"
    return own_name(beside(name, TAKEN, "own_"))


def _names(feature: Feature, count: int) -> list[str]:
    names = [re.sub(r"\W+", "_", name).strip("_") for name in feature.names]
    are_names = len(names) == count and all(names)
    is_each_once = len({name.lower() for name in names}) == count
    return names if are_names and is_each_once else [str(number) for number in range(count)]


def _plain(value: Any, *, is_single: bool) -> ColumnValue:
    if isinstance(value, float):
        if math.isnan(value):
            return None
        # 0.1 as it was meant, and not as 0.10000000149011612
        return float(str(np.float32(value))) if is_single else value
    if isinstance(value, str):
        return None if is_too_large(value) else value
    return value if value is None or isinstance(value, bool | int) else str(value)
