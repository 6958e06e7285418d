"""A folder of one-coloured photos, the lake made of it,
and what is in that lake: where tests of `sync` start.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexer.address import Address
from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, SourceEntry, read_manifest
from indexer.disk.rows import lake_schema
from indexer.disk.segment import Segment
from indexer.disk.tables import dead_positions, read_skipped
from indexer.embed import Embedder
from indexer.report import SyncReport
from indexer.sync import sync
from tests.fakes import ColourEmbedder

LONG_AGO_S = 1_600_000_000  # September 2020: settled in every test
RED, GREEN, BLUE, YELLOW, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 0, 0)
Colour = tuple[int, int, int]


def png(colour: Colour, size: tuple[int, int] = (4, 4)) -> bytes:
    """A PNG of one colour. Those of one size have one length, whatever the colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def write(path: Path, data: bytes, modified_s: float = LONG_AGO_S) -> Path:
    """Write a file, its folders too, with a time that does not depend on when the test runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (modified_s, modified_s))
    return path


def no_model(manifest: Manifest | None) -> Embedder:
    raise AssertionError("the model was loaded, though there is no image to embed")


@dataclass
class Desk:
    """Photos, their lake, and the model."""

    root: Path
    model: ColourEmbedder = field(default_factory=ColourEmbedder)

    @property
    def photos(self) -> Path:
        return self.root / "photos"

    @property
    def lake(self) -> Path:
        return self.root / "my.lake"

    def add(
        self,
        name: str,
        colour: Colour,
        modified_s: float = LONG_AGO_S,
        size: tuple[int, int] = (4, 4),
    ) -> Path:
        return write(self.photos / name, png(colour, size), modified_s)

    def index(
        self, *sources: str | Path, columns: Path | None = None, **options: Any
    ) -> SyncReport:
        """`lakesift index`, of the photos if no source is named."""
        table = None if columns is None else str(columns)
        entries = [SourceEntry(str(source), table) for source in sources or (self.photos,)]
        return self.sync(add=entries, **options)

    def sync(
        self,
        *,
        add: Sequence[SourceEntry] = (),
        load: Callable[[Manifest | None], Embedder] | None = None,
        roots: Mapping[str, str] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        recompute: Sequence[str] = (),
        **knobs: Any,
    ) -> SyncReport:
        """`lakesift sync`; knobs are those of IndexConfig."""
        return sync(
            self.lake,
            load or (lambda manifest: self.model),
            add=add,
            roots=roots,
            config=IndexConfig(**{"decoders": 1, **knobs}),
            should_stop=should_stop,
            recompute=recompute,
        )

    def idle_sync(self, **options: Any) -> SyncReport:
        """A sync in which no image may be embedded, nor the model loaded."""
        return self.sync(load=no_model, **options)

    @property
    def manifest(self) -> Manifest:
        return read_manifest(Layout(self.lake))[0]

    def rows(self) -> dict[str, dict[str, Any]]:
        """Live rows by their path below the photos' folder (whole uris
        elsewhere), `vector` as a list added.
        """
        found = live_rows(self.lake)
        by_name = {uri.removeprefix(f"{self.photos}/"): row for uri, row in found.items()}
        assert len(by_name) == len(found)
        return by_name

    def ids(self) -> dict[str, int]:
        return {name: row["row_id"] for name, row in self.rows().items()}

    def skipped(self) -> dict[str, str]:
        """Path below the photos' folder -> reason."""
        rows = read_skipped(Layout(self.lake), self.manifest).to_pylist()
        by_name = {row["uri"].removeprefix(f"{self.photos}/"): row["reason"] for row in rows}
        assert len(by_name) == len(rows)
        return by_name


def live_rows(lake: Path) -> dict[str, dict[str, Any]]:
    """Every live row by uri, each once, with its vector;
    read the plain way, without the read side.
    """
    return {str(address): row for address, row in live_rows_by_address(lake).items()}


def live_rows_by_address(lake: Path) -> dict[Address, dict[str, Any]]:
    layout = Layout(lake)
    manifest, problems = read_manifest(layout)
    assert not problems
    dead = dead_positions(layout, manifest)
    found: dict[Address, dict[str, Any]] = {}
    for entry in manifest.segments:
        segment = Segment(layout, entry)
        vectors = segment.vectors.take(np.arange(entry.rows))
        rows = segment.read_rows(lake_schema(manifest.columns)).to_pylist()
        for position, (row, vector) in enumerate(zip(rows, vectors, strict=True)):
            if position not in dead.get(entry.id, ()):
                address = Address.of(row)
                assert address not in found, f"two live rows of {address}"
                found[address] = {**row, "vector": [round(x, 3) for x in vector.tolist()]}
    assert manifest.live_rows == len(found)
    assert len({row["row_id"] for row in found.values()}) == len(found)
    return found
