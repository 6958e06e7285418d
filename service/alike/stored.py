"""The groups of near-identical images beside a lake: one file, old or new and never half.

`alike/groups.parquet` has every row that was compared: its row_id, the row_id of the image in the
middle of its group (its own, where nothing is nearly the same), and its place in the group, best
first. What they were made with stands in the file's metadata. `curate groups` makes the file anew;
a lake without it is whole.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.disk.durable import make_folder, replace_file
from indexer.disk.entries import read_file, reason_of
from indexer.errors import LakeDamaged, LakeError
from indexer.fields import Fields

FORMAT = 1
Stamp: TypeAlias = tuple[int, int, int]  # of a file: its inode, size and time
_ABOUT = b"lakesift"
_WAY_OUT = "`lakesift curate groups {}` makes it anew"


@dataclass(frozen=True, slots=True)
class About:
    """What groups were made with."""

    snapshot: int
    made_at: str  # ISO 8601 with the offset
    bits: int  # of the 64 of a perceptual hash, those that may differ from the middle's
    threshold: float  # least cosine with the middle's vector
    unread: int  # images of the snapshot without a perceptual hash: they were not compared


@dataclass(frozen=True, slots=True)
class StoredGroups:
    """Every row that was compared, by rising row_id."""

    about: About
    row_ids: Positions  # int64, (n,), rising
    middles: Positions  # int64, (n,): row_id of the image in the middle of each one's group
    ranks: NDArray[np.int32]  # (n,): place in the group, the best is 0


class GroupsFile:
    """The file of one lake. Safe from several threads and processes: readers see old or new."""

    def __init__(self, folder: Path) -> None:
        """:param folder: `alike` in the lake's; the first write makes it."""
        self.path = folder / "groups.parquet"

    def stamp(self) -> Stamp | None:
        """Changes whenever the file does; None: there is none."""
        try:
            status = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._damaged(reason_of(error)) from None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def read(self) -> StoredGroups | None:
        """None: there is none.

        :raises LakeDamaged: if the file cannot be understood, or a checksum does not fit.
        """
        import pyarrow.parquet as pq

        try:
            data = pa.BufferReader(read_file(self.path))
            table = pq.read_table(data, page_checksum_verification=True)
            return _of(table)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._damaged(reason_of(error)) from None
        except (ValueError, KeyError, pa.ArrowException) as error:
            raise self._damaged(str(error).partition("\n")[0]) from None

    def write(self, groups: StoredGroups) -> None:
        """Put groups in the place of those that are there.

        :raises LakeError: if the lake cannot be written.
        """
        import pyarrow.parquet as pq

        about = orjson.dumps({"format": FORMAT, **asdict(groups.about)})
        table = pa.table(
            {"row_id": groups.row_ids, "middle": groups.middles, "rank": groups.ranks}
        ).replace_schema_metadata({_ABOUT: about})
        data = pa.BufferOutputStream()
        pq.write_table(table, data, compression="zstd", write_page_checksum=True)
        try:
            make_folder(self.path.parent)
            replace_file(self.path, data.getvalue().to_pybytes())
        except OSError as error:
            raise LakeError(
                f"{self.path} cannot be written ({reason_of(error)}); groups are stored in the "
                "lake's folder, and nothing was changed: see to it and try again"
            ) from None

    def _damaged(self, reason: str) -> LakeDamaged:
        way_out = _WAY_OUT.format(self.path.parent.parent)
        return LakeDamaged(str(self.path), f"{reason}; {way_out}")


def _of(table: pa.Table) -> StoredGroups:
    """:raises ValueError, KeyError: if it holds no groups."""
    fields = Fields.parse((table.schema.metadata or {}).get(_ABOUT, b"{}"))
    if (number := fields.whole("format")) != FORMAT:
        raise ValueError(f"it has format {number}, and this version reads format {FORMAT}")
    about = About(
        snapshot=fields.whole("snapshot"),
        made_at=fields.text("made_at"),
        bits=fields.whole("bits"),
        threshold=fields.number("threshold"),
        unread=fields.whole("unread"),
    )
    row_ids: Positions = _numbers(table, "row_id", np.int64).astype(np.int64)
    if len(row_ids) and (row_ids[0] < 1 or np.any(row_ids[1:] <= row_ids[:-1])):
        raise ValueError("its row_ids do not rise")
    middles: Positions = _numbers(table, "middle", np.int64).astype(np.int64)
    at = np.minimum(np.searchsorted(row_ids, middles), len(row_ids) - 1)
    if np.any(row_ids[at] != middles):
        raise ValueError("a group's middle is none of its rows")
    return StoredGroups(about, row_ids, middles, _numbers(table, "rank", np.int32).astype(np.int32))


def _numbers(table: pa.Table, name: str, kind: type[np.generic]) -> NDArray[Any]:
    column = table[name]
    if column.null_count or column.type != pa.from_numpy_dtype(np.dtype(kind)):
        raise ValueError(f"its column {name} holds no {np.dtype(kind)} alone")
    return np.concatenate([np.empty(0, kind), *(np.from_dlpack(each) for each in column.chunks)])
