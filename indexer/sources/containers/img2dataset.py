"""What img2dataset could not fetch: its table beside a shard names each image and why.

What it fetched has the table's columns in the shard already, as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from indexer.address import Address
from indexer.errors import UnreadableImage
from indexer.sources.containers import Member
from indexer.sources.opened import open_file
from indexer.sources.store import Stores

_COLUMNS = ("key", "url", "status", "error_message")


def not_fetched(shard: Address, stores: Stores) -> Iterator[Member]:
    """The images that are missing from a shard such as `00012.tar`; none where it is no shard of
    img2dataset's.
    """
    stem = shard.uri.rpartition("/")[2].removesuffix(".tar")
    if not stem.isdigit():
        return
    for row in _failures(shard, stores):
        yield Member(
            replace(shard, member=str(row["key"])),
            size_bytes=0,
            refused=f"img2dataset could not fetch {row['url']} ({row['error_message'] or row['status']})",
        )


def _failures(shard: Address, stores: Stores) -> list[dict[str, str | None]]:
    path = shard.path_bytes and shard.path_bytes.removesuffix(b".tar") + b".parquet"
    table = Address(shard.uri.removesuffix(".tar") + ".parquet", path)
    try:
        opened, _ = open_file(table, stores)
        with opened:
            parquet = pq.ParquetFile(opened)
            if not set(_COLUMNS) <= set(parquet.schema_arrow.names):
                return []
            rows = parquet.read(list(_COLUMNS))
        failed = pc.invert(pc.fill_null(pc.equal(rows["status"], "success"), False))
        return rows.filter(failed).to_pylist()  # type: ignore[no-any-return]
    # It is not there, which a bucket that may not be listed tells by 403; or it is another's. What
    # else goes wrong is told: without the table nobody would ever hear what is missing.
    except (FileNotFoundError, PermissionError, pa.ArrowException, UnreadableImage):
        return []
