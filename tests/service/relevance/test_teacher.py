"""How good a ranking is told to be, where that is known."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from service.lake import Lake
from service.relevance import Filters, Target
from service.relevance.filter import Filter
from service.relevance.scoring.teaching import teach
from tests.lakes import Desk

REDS = 60
ROWS = 300


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """60 images in shades of red, which belong, and 240 of any other colour, some of them near."""
    desk = Desk(tmp_path_factory.mktemp("teacher"))
    random = np.random.default_rng(4)
    for number in range(ROWS):
        is_red = number < REDS
        least, most = ((200, 0, 0), (256, 120, 120)) if is_red else ((0, 40, 0), (200, 256, 256))
        red, green, blue = random.integers(least, most).tolist()
        desk.add(f"{number:03}.png", (red, green, blue), size=(8, 8))
    desk.index()
    return Lake.open(desk.lake, desk.model)


def taught(lake: Lake, name: str, answers: int) -> Filter:
    filter = Filters(lake).create(
        name, keep_texts=["red"], drop_texts=["blue"], target=Target(0.9, None, 0.9)
    )
    while (left := answers - len(filter.answers())) > 0:
        rows = filter.next(min(10, left)).rows
        said = [
            {"row_id": row.row_id, "label": "yes" if row.row_id <= REDS else "no"} for row in rows
        ]
        filter.label(said)
    return filter


def test_the_estimate_is_within_twice_the_truth_once_there_are_answers(lake: Lake) -> None:
    filter = taught(lake, "near", 60)
    found = filter.ranking()
    assert found.now is not None
    assert (found.rows, found.now.answers) == (ROWS, 60)
    assert [each.answers for each in found.history][-1] == 40
    # 54 of the 60 are nine tenths, and no ranking holds them in fewer; it errs on the side of many.
    assert 54 <= found.now.top <= 2 * 54
    assert 0.9 * REDS <= found.now.relevant <= 1.5 * REDS
    assert found.now.top == filter.ranking().now.top  # type: ignore[union-attr]


def test_an_answer_more_costs_one_more_fit(lake: Lake) -> None:
    filter = taught(lake, "costs", 41)
    filter.ranking()
    row_id = filter.next(1).rows[0].row_id
    filter.label([{"row_id": row_id, "label": "no"}])
    with patch("service.relevance.teacher.teach", wraps=teach) as fits:
        filter.ranking()
    assert fits.call_count == 1


def test_an_answer_that_is_taken_back_is_forgotten(lake: Lake) -> None:
    filter = taught(lake, "back", 30)
    before = filter.ranking()
    row_id = filter.next(1).rows[0].row_id
    filter.label([{"row_id": row_id, "label": "yes", "labeller": "ann"}])
    assert filter.ranking().now != before.now
    filter.labels.undo(row_id, "ann")
    assert filter.ranking() == before
