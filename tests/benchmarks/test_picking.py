from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.picking import PYTHON, beside, of_lake, value

# Cosines: of the first two 0.6, of the second and the third 0.8, of the first and the third 0.
VECTORS = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)


def test_the_value_of_picks_is_what_each_vector_has_at_its_nearest() -> None:
    assert value(VECTORS, [0]) == 1.6
    assert value(VECTORS, [1]) == 2.4
    assert value(VECTORS, [0, 2]) == 2.8
    assert value(VECTORS, [0, 1, 2]) == 3.0


def test_ours_is_measured_without_the_other_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PYTHON, raising=False)
    told = beside(tmp_path / "vectors.npy", 300, 30, rounds=1)
    assert (told["rows"], told["picks"]) == (300, 30)
    assert "apricot_value" not in told
    assert 0 < float(told["random_value"]) < float(told["value"]) <= 300
    vectors = np.load(tmp_path / "vectors.npy")
    assert float(told["value"]) > value(vectors, list(range(30)))


def test_a_lake_is_made_and_picked_from(tmp_path: Path) -> None:
    told = of_lake(tmp_path / "my.lake", 2_000, 20)
    assert (told["rows"], told["picks"]) == (2_000, 20)
    mean, by_chance = told["mean"], told["random_mean"]
    assert mean is not None and by_chance is not None and mean > by_chance
