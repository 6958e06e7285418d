"""The map beside a lake: one file, old or new and never half.

`map/points.parquet` has a row for every image that is on the map: its row_id, x and y from -1 to 1,
and whether it is a landmark, which others are placed beside. What it was made with, and what its
clusters are called, stands in the file's metadata. A lake without it is whole.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.disk.durable import make_folder, replace_file
from indexer.disk.entries import read_file, reason_of
from indexer.errors import LakeDamaged, LakeError
from indexer.fields import Fields

FORMAT = 1
Places = NDArray[np.float32]  # (n, 2): x and y, -1 to 1
_ABOUT = b"lakesift"


@dataclass(frozen=True, slots=True)
class ClusterName:
    """What is seen there, in words of the lake's own captions."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class About:
    """What a map was made with."""

    snapshot: int  # that it was last brought in step with
    made_at: str  # ISO 8601 with the offset: when its landmarks were laid out
    landmarks: int
    seed: int
    names: tuple[ClusterName, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredMap:
    """Every image on the map, by rising row_id."""

    about: About
    row_ids: Positions  # int64, (n,), rising
    places: Places
    is_landmark: RowMask  # bool, (n,)


class MapFile:
    """The file of one lake. Safe from several threads and processes: readers see old or new."""

    def __init__(self, folder: Path) -> None:
        """:param folder: `map` in the lake's; the first write makes it."""
        self.path = folder / "points.parquet"

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever the file does; None: there is none.

        :raises LakeDamaged: if it cannot be looked at.
        """
        try:
            status = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._damaged(reason_of(error)) from None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def read(self) -> StoredMap | None:
        """None: there is none.

        :raises LakeDamaged: if the file cannot be understood, or a checksum does not fit.
        """
        import pyarrow.parquet as pq

        try:
            data = pa.BufferReader(read_file(self.path))
            return _of(pq.read_table(data, page_checksum_verification=True))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._damaged(reason_of(error)) from None
        except (ValueError, KeyError, pa.ArrowException) as error:
            raise self._damaged(str(error).partition("\n")[0]) from None

    def write(self, made: StoredMap) -> None:
        """Put a map in the place of the one that is there.

        :raises LakeError: if the lake cannot be written.
        """
        import pyarrow.parquet as pq

        about = orjson.dumps({"format": FORMAT, **asdict(made.about)})
        x, y = np.ascontiguousarray(made.places.T)
        table = pa.table(
            {"row_id": made.row_ids, "x": x, "y": y, "is_landmark": pa.array(made.is_landmark)}
        ).replace_schema_metadata({_ABOUT: about})
        data = pa.BufferOutputStream()
        pq.write_table(table, data, compression="zstd", write_page_checksum=True)
        try:
            make_folder(self.path.parent)
            replace_file(self.path, data.getvalue().to_pybytes())
        except OSError as error:
            raise LakeError(
                f"{self.path} cannot be written ({reason_of(error)}); the map is stored in the "
                "lake's folder, and nothing was changed: see to it and try again"
            ) from None

    def _damaged(self, reason: str) -> LakeDamaged:
        way_out = f"`lakesift map {self.path.parent.parent} --anew` makes it anew"
        return LakeDamaged(str(self.path), f"{reason}; {way_out}")


def _of(table: pa.Table) -> StoredMap:
    """:raises ValueError, KeyError: if it holds no map."""
    fields = Fields.parse((table.schema.metadata or {}).get(_ABOUT, b"{}"))
    if (number := fields.whole("format")) != FORMAT:
        raise ValueError(f"it has format {number}, and this version reads format {FORMAT}")
    names = [_name(Fields(each, "names")) for each in fields.items("names")]
    about = About(
        snapshot=fields.whole("snapshot"),
        made_at=fields.text("made_at"),
        landmarks=fields.whole("landmarks"),
        seed=fields.whole("seed"),
        names=tuple(names),
    )
    row_ids: Positions = _numbers(table, "row_id", pa.int64()).astype(np.int64)
    if len(row_ids) and (row_ids[0] < 1 or np.any(row_ids[1:] <= row_ids[:-1])):
        raise ValueError("its row_ids do not rise")
    places = np.stack([_numbers(table, name, pa.float32()) for name in ("x", "y")], axis=1)
    if not np.all(np.abs(places) <= 1):  # no number is not, either
        raise ValueError("a point lies outside of -1 to 1")
    landmark = _numbers(table, "is_landmark", pa.bool_()).astype(bool)
    return StoredMap(about, row_ids, places, landmark)


def _name(fields: Fields) -> ClusterName:
    return ClusterName(fields.number("x"), fields.number("y"), fields.text("text"))


def _numbers(table: pa.Table, name: str, kind: pa.DataType) -> NDArray[Any]:
    column = table[name]
    if column.null_count or column.type != kind:
        raise ValueError(f"its column {name} holds no {kind} alone")
    plain = column.cast(pa.uint8()) if pa.types.is_boolean(kind) else column
    empty = np.empty(0, plain.type.to_pandas_dtype())
    return np.concatenate([empty, *(np.from_dlpack(each) for each in plain.chunks)])
