"""Lakes of vectors worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from indexer.address import Address
from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest
from indexer.images import ReadImage
from indexer.run.embedding.tasks import Embedded, Task
from indexer.run.writing.commits import Commits, prepare_folder
from indexer.sources import ImageFile
from service import Lake
from tests.fakes import ColourEmbedder


def unit(*numbers: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    vector = np.array(numbers, np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


class Maker:
    """Makes a lake of vectors worked out by hand; no image is ever read."""

    def __init__(self, lake: Path, model: ColourEmbedder | None = None) -> None:
        self.layout, self.model = Layout(lake), model or ColourEmbedder()
        prepare_folder(self.layout)
        manifest = Manifest(self.model.model_id, dict(self.model.fingerprint), 3)
        self.commits = Commits(self.layout, manifest, IndexConfig(), 0)

    def add(
        self,
        vector: Iterable[float],
        uri: str | Address = "",
        *,
        phash: int | None = None,
        camera: str | None = None,
        place: tuple[float, float] | None = (59.9, 10.7),
        **columns: Any,
    ) -> None:
        """:param phash: None: the row's number."""
        number = self.commits._next_row_id()
        address = uri if isinstance(uri, Address) else Address(uri or f"/photos/{number}.png")
        file = ImageFile(address, 100 + number, 1_600_000_000_000_000, None, None)
        image = ReadImage(
            pixels=np.zeros((8, 8, 3), np.uint8),
            sha256=f"{number:064x}",
            phash=number if phash is None else phash,
            width_px=640,
            height_px=480,
            format="png",
            captured_at=datetime(2024, 5, 1, 12, 30),
            camera=camera,
            place=place,
        )
        task = Task.of(file, "/photos", columns)
        self.commits.add(Embedded(task, image.columns(), unit(*vector)))

    def segment(self) -> str:
        """What was added since the last call becomes a segment; its id."""
        self.commits.commit()
        return self.commits.manifest.segments[-1].id

    def open(self) -> Lake:
        self.commits.commit()
        return Lake.open(self.layout.root, self.model)
