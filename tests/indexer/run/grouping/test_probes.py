"""What depths are measured with: captions of the lake where it has enough, else plain wordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lakes import write_synthetic_lake
from indexer.arrays import Vectors
from indexer.disk.layout import Layout
from indexer.disk.segment import Segment
from indexer.run.grouping import probes
from indexer.run.grouping.grouped_rows import Counted
from indexer.run.grouping.probes import of_rows, of_texts
from indexer.run.grouping.wordings import wordings
from tests.fakes import ColourEmbedder


class Listens(ColourEmbedder):
    """Keeps the texts it was asked for."""

    def __init__(self) -> None:
        super().__init__(batch_size=64)
        self.heard: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        assert len(texts) <= self.batch_size
        self.heard += texts
        return np.tile(np.array([1, 0, 0], np.float32), (len(texts), 1))


@pytest.mark.parametrize(("rows", "made_of"), [(900, "wordings"), (2_100, "captions")])
def test_texts_are_captions_where_there_are_enough(tmp_path: Path, rows: int, made_of: str) -> None:
    """Every third row has a caption of its own: 300, and 700."""
    folder = tmp_path / "my.lake"
    made = write_synthetic_lake(folder, rows, 3, segment_rows=rows // 3)
    model = Listens()
    found = of_texts([Segment(Layout(folder), entry) for entry in made.segments], model)
    assert (found.made_of, found.themselves) == (made_of, None)
    assert found.vectors.shape == (len(model.heard), 3)
    assert len(set(model.heard)) == len(model.heard) == (1_000 if made_of == "wordings" else 700)
    if made_of == "wordings":
        assert set(model.heard) <= set(wordings())
    else:
        assert all(text.startswith("a photo of thing ") for text in model.heard)


def test_images_are_rows_that_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probes, "PROBES", 20)
    folder = tmp_path / "my.lake"
    made = write_synthetic_lake(folder, 100, 8, segment_rows=100)
    store = Segment(Layout(folder), made.segments[0]).vectors
    alive = np.arange(100) % 2 == 0
    found = of_rows(Counted([store], [alive]))
    assert found.themselves is not None
    assert len(set(found.themselves.tolist())) == 20
    assert np.all(found.themselves % 2 == 0)
    assert np.abs(found.vectors - store.take(found.themselves)).max() < 1e-3
    assert np.abs(np.linalg.norm(found.vectors, axis=1) - 1).max() < 1e-6
