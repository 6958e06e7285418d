"""Photos of one colour, lakes made of them,
and what a lake says it holds, read from its files alone.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from indexer.address import ADDRESS_COLUMNS, Address
from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, SourceEntry, check_files, read_manifest
from indexer.disk.segment import Segment
from indexer.disk.tables import dead_positions
from indexer.report import SyncReport
from indexer.sync import sync
from tests.fakes import ColourEmbedder

LONG_AGO_S = 1_700_000_000
Colour = tuple[int, int, int]
SMALL = IndexConfig(
    commit_rows=20, commit_s=1e9, first_commit_s=1e9, decoders=1, readers=2, batch_size=5
)


class Row(NamedTuple):
    """What must survive of a row."""

    address: Address
    sha256: str
    vector: tuple[float, ...]


def png(colour: Colour) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def write_photo(path: Path, colour: Colour, modified_s: float = LONG_AGO_S) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(colour))
    os.utime(path, (modified_s, modified_s))


def index(lake: Path, photos: Path, config: IndexConfig = SMALL) -> SyncReport:
    return sync(lake, lambda _: ColourEmbedder(), add=[SourceEntry(str(photos))], config=config)


def resync(lake: Path, config: IndexConfig = SMALL) -> SyncReport:
    return sync(lake, lambda _: ColourEmbedder(), config=config)


def current(lake: Path) -> Manifest:
    """The current snapshot; manifest.json must be whole."""
    manifest, problems = read_manifest(Layout(lake))
    assert problems == ()
    return manifest


def contents(lake: Path) -> dict[int, Row]:
    """Every live row by row_id, after every byte was checked and rows,
    vectors and row ids were found to agree.
    """
    return contents_of(lake, current(lake))


def contents_of(lake: Path, manifest: Manifest) -> dict[int, Row]:
    """The same of any snapshot."""
    layout = Layout(lake)
    assert check_files(layout, manifest, deep=True).problems == ()
    dead = dead_positions(layout, manifest)
    rows: dict[int, Row] = {}
    for entry in manifest.segments:
        segment = Segment(layout, entry)
        names = [*ADDRESS_COLUMNS, "row_id", "sha256"]
        table = segment.rows.read([name for name in names if name in segment.schema.names])
        assert table.num_rows == segment.vectors.rows == entry.rows
        vectors = segment.vectors.take(np.arange(entry.rows))
        gone = set(dead.get(entry.id, np.empty(0, np.int64)).tolist())
        assert gone <= set(range(entry.rows))
        for position, row in enumerate(table.to_pylist()):
            if position not in gone:
                assert row["row_id"] not in rows, f"row {row['row_id']} is there twice"
                assert row["row_id"] < manifest.next_row_id
                rows[row["row_id"]] = Row(
                    Address.of(row), row["sha256"], tuple(vectors[position].tolist())
                )
    assert len(rows) == manifest.live_rows
    return rows
