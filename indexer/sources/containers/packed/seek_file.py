"""The file of a lake that tells where in a compressed tar its members are.

It is derived: what is lost, damaged or of another version is made again from the tar. It holds a
row for each piece, with the members that begin in it, and is named by the tar and its state:
`seeks/<hash of the uri>-<hash of size and time>.parquet`. Never changed once written.
"""

from __future__ import annotations

import hashlib
import logging
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.address import Address
from indexer.disk.durable import make_folder, replace_file
from indexer.disk.entries import open_file as open_entry
from indexer.disk.entries import reason_of
from indexer.sources.containers.packed.pieces import Point
from indexer.sources.store import Stores, etag, modified_us

logger = logging.getLogger(__name__)

TAR_GZ = "tar.gz"  # the kind of such tars, as rows' etag has it
_SUFFIX = ".parquet"
_NAME_DIGITS = 24
_MAX_BYTES = 1 << 30  # of one, as for a tar of 100 GB with ten million members
_MEMBERS = pa.list_(
    pa.struct([("name", pa.string()), ("offset", pa.int64()), ("length", pa.int64())])
)
_SCHEMA = pa.schema(
    [
        ("packed", pa.int64()),
        ("unpacked", pa.int64()),
        ("bits", pa.int8()),
        ("window", pa.binary()),
        ("members", _MEMBERS),
    ]
)
_URI, _PACKED, _UNPACKED = b"lakesift_uri", b"lakesift_packed_bytes", b"lakesift_unpacked_bytes"


@dataclass(frozen=True, slots=True)
class SeekIndex:
    """What the file holds."""

    points: Sequence[Point]
    packed_bytes: int
    unpacked_bytes: int
    # name -> offset and length in the tar, unpacked
    members: Mapping[str, tuple[int, int]]


def state_of(file: Address, stores: Stores) -> str:
    """`state`, asked for.

    :raises OSError: if it is not there; a store raises its own library's errors.
    """
    if file.path is not None:
        status = os.stat(file.path)  # noqa: PTH116 - pathlib knows no bytes
        return state(status.st_size, status.st_mtime_ns // 1000, None)
    store = stores.of(file.uri)
    info = store.info(store.path_of(file.uri))
    return state(info["size"], modified_us(info), etag(info))


def state(size_bytes: int, modified_us: int | None, etag: str | None) -> str:
    """What changes with a file, of what a listing says of it."""
    return f"{size_bytes}:{etag or modified_us}"


def tar_part(uri: str) -> str:
    """What the names of a tar's files begin with, whatever its state."""
    return _hash(uri)


def name_of(uri: str, state: str) -> str:
    return f"{_hash(uri)}-{_hash(state)}{_SUFFIX}"


def load(folder: Path, name: str) -> SeekIndex | None:
    """None where there is none that can be used."""
    try:
        with open_entry(folder / name) as opened:
            file = pq.ParquetFile(opened, page_checksum_verification=True)
            groups = range(file.num_row_groups)
            held = sum(file.metadata.row_group(group).total_byte_size for group in groups)
            if held > _MAX_BYTES or not file.schema_arrow.equals(_SCHEMA):
                return None
            return _index(file.read())
    # it may be somebody else's, and hold anything
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None


def _index(table: pa.Table) -> SeekIndex:
    """:raises ValueError, KeyError, TypeError: if something is missing."""
    told, rows = table.schema.metadata or {}, table.to_pylist()
    if any(value is None for row in rows for value in row.values()):
        raise ValueError("a value is missing")
    return SeekIndex(
        [Point(row["packed"], row["unpacked"], row["bits"], row["window"]) for row in rows],
        int(told[_PACKED]),
        int(told[_UNPACKED]),
        {m["name"]: (m["offset"], m["length"]) for row in rows for m in row["members"]},
    )


def save(folder: Path, uri: str, name: str, index: SeekIndex) -> None:
    """A disk that is full costs the file alone: it is made again when it is needed."""
    begins = [point.unpacked for point in index.points]
    members: list[list[dict[str, str | int]]] = [[] for _ in begins]
    for member, (offset, length) in index.members.items():
        at = bisect_right(begins, offset) - 1
        members[at].append({"name": member, "offset": offset, "length": length})
    rows = [
        [point.packed for point in index.points],
        begins,
        [point.bits for point in index.points],
        [point.window for point in index.points],
        members,
    ]
    metadata = {
        _URI: uri.encode(),
        _PACKED: str(index.packed_bytes).encode(),
        _UNPACKED: str(index.unpacked_bytes).encode(),
    }
    arrays = [pa.array(row, field.type) for row, field in zip(rows, _SCHEMA, strict=True)]
    data = pa.BufferOutputStream()
    table = pa.table(arrays, schema=_SCHEMA.with_metadata(metadata))
    pq.write_table(table, data, compression="zstd", write_page_checksum=True)
    try:
        make_folder(folder)
        replace_file(folder / name, data.getvalue().to_pybytes())
    except OSError as error:
        logger.warning("%s: its seek index is not kept (%s)", uri, reason_of(error))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_NAME_DIGITS]
