"""How golden-1.lake was made. Run once for each format:
`python -m tests.data.make_golden FOLDER`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from indexer.address import Address
from indexer.arrays import Pixels
from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, SourceEntry
from indexer.disk.tables import Place
from indexer.images import ReadImage
from indexer.run.embedding.tasks import Embedded, Failed, Task
from indexer.run.writing.commits import Commits, prepare_folder
from indexer.sources import ImageFile
from tests.fakes import ColourEmbedder

MODIFIED_US = 1_700_000_000_000_000


def file(name: str) -> ImageFile:
    return ImageFile(Address(f"/photos/{name}.png"), 70, MODIFIED_US, None, None)


def make(folder: Path) -> None:
    """Rows 1 red, 2 green, 3 yellow, 4 blue; then 2 is moved, 4 deleted, and one file skipped."""
    layout, embedder = Layout(folder), ColourEmbedder()
    prepare_folder(layout)
    manifest = Manifest(
        embedder.model_id, embedder.fingerprint, 3, sources=(SourceEntry("/photos"),)
    )
    commits = Commits(layout, manifest, IndexConfig(), MODIFIED_US + 10_000_000)
    colours = {
        "red": (255, 0, 0),
        "green": (0, 255, 0),
        "yellow": (255, 255, 0),
        "blue": (0, 0, 255),
    }
    wards = {"red": None, "green": 2, "yellow": 3.5, "blue": 4}
    for name, colour in colours.items():
        pixels: Pixels = np.full((8, 8, 3), colour, np.uint8)
        image = ReadImage(pixels, hashlib.sha256(name.encode()).hexdigest(), 2**63 + 1, 8, 6, "png")
        columns = {"ward": wards[name], "caption": f"a {name} wall"}
        task = Task.of(file(name), "/photos", columns)
        commits.add(Embedded(task, image.columns(), embedder.embed_images([pixels])[0]))
    commits.commit()
    segment = commits.manifest.segments[0].id
    green = {
        "row_id": 2,
        "sha256": hashlib.sha256(b"green").hexdigest(),
        "phash": 2**63 + 1,
        "ward": 2.0,
    }
    green |= {
        "uri": "/photos/moved/green.png",
        "source": "/photos",
        "size_bytes": 70,
        "modified": MODIFIED_US,
    }
    green |= {"width_px": 8, "height_px": 6, "format": "png", "caption": "a green wall"}
    commits.carry(green, embedder.embed_texts(["green"])[0], Place(segment, 1))
    commits.remove(Place(segment, 3))
    commits.skip(Failed(Task.of(file("broken"), "/photos", {}), "it is not an image"))
    commits.commit()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
