"""The teaching benchmark, on a lake of two colours whose folders tell the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.teaching import LABELS, Truth, lessons_of, main, measure_teaching
from indexer.errors import BadRequest
from service import Lake
from tests.service.lakes import Maker

ROWS = 400


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Every 20th row is red, in a folder of that name; all others are between green and blue."""
    maker = Maker(tmp_path / "my.lake")
    random = np.random.default_rng(0)
    for number in range(ROWS):
        red = number % 20 == 0
        vector = (
            (1, 0.1 * random.random(), 0.1)
            if red
            else (0.1, random.random(), random.random() + 0.1)
        )
        maker.add(vector, f"/photos/{'red' if red else 'some%20thing'}/{number}.png")
    return maker.open()


def test_folders_are_the_truth_and_each_row_is_in_one_half(lake: Lake) -> None:
    truth = Truth(lake.snapshot)
    assert (truth.shown == "red").sum() == ROWS / 20
    assert set(truth.shown) == {"red", "some thing"}
    assert 0.4 * ROWS < truth.asked.sum() < 0.6 * ROWS


def test_a_perfect_draft_is_measured_as_such_and_labels_keep_it_so(lake: Lake) -> None:
    lessons = list(lessons_of(Truth(lake.snapshot), ["red"], "{}", None, lambda: lake.embedder))
    figures = {figure.strategy: figure for figure in measure_teaching(lessons)}
    assert set(figures) == {"proposals", "random", "least sure", "top"}
    for figure in figures.values():
        assert list(figure.average_precision) == [0, *LABELS]
        assert figure.average_precision[0] == 1
    assert figures["proposals"].average_precision[160] == 1
    reds_that_may_be_asked = int(lessons[0].relevant[lessons[0].truth.asked].sum())
    assert figures["top"].yes == figures["proposals"].yes == reds_that_may_be_asked


def test_a_folder_that_is_not_there_is_a_sentence(lake: Lake) -> None:
    with pytest.raises(BadRequest, match="the lake has too few images in a folder 'blue'"):
        list(lessons_of(Truth(lake.snapshot), ["blue"], "{}", None, lambda: lake.embedder))


def test_the_command_refuses_what_is_no_lake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "none.lake")])
    assert stopped.value.code == 2
    assert "is not a lake" in capsys.readouterr().err
