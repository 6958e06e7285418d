from __future__ import annotations

import numpy as np
import pytest

from service.relevance.decisions.score_counts import ScoreCounts, count_scores
from service.relevance.definition import Thresholds
from tests.service.relevance.definitions import definition

APPLIED = definition(version=3, reason="applied", thresholds=Thresholds(0.65, 0.25), snapshot=7)


def counted(scores: list[float], decisions: str, people: str, bins: int) -> ScoreCounts:
    """:param decisions: k, a or d of each score; people: p where a person's answer decided."""
    names = {"k": "keep", "a": "ask", "d": "drop"}
    return count_scores(
        APPLIED,
        np.array(scores, np.float32),
        np.array([names[each] for each in decisions], object),
        np.array([each != "p" for each in people]),
        bins,
    )


def test_each_bin_counts_by_decision_and_people_s_answers_apart() -> None:
    found = counted(
        [0.05, 0.15, 0.22, 0.31, 0.45, 0.72, 0.78, 0.95], "ddkaakkd", "..p....p", bins=12
    )
    assert (found.filter, found.version, found.snapshot, found.rows) == ("hospital", 3, 7, 8)
    assert (found.low, found.step) == (0.0, 0.1)
    assert found.drop == (1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    assert found.ask == (0, 0, 0, 1, 1, 0, 0, 0, 0, 0)
    assert found.keep == (0, 0, 0, 0, 0, 0, 0, 2, 0, 0)
    assert found.people == (0, 0, 1, 0, 0, 0, 0, 0, 0, 1)
    assert found.to_json()["thresholds"] == {"keep": 0.65, "drop": 0.25}


def test_images_that_score_alike_are_one_bar() -> None:
    found = counted([0.5] * 4, "kkkk", "....", bins=100)
    assert sum(found.keep) == 4
    assert max(found.keep) == 4


@pytest.mark.parametrize("bins", [4, 50, 1_000])
def test_no_more_bins_than_wanted_and_no_image_is_lost(bins: int) -> None:
    scores = np.linspace(-0.7, 0.9, 501).tolist()
    found = counted(scores, "d" * 250 + "k" * 251, "." * 501, bins)
    assert len(found.keep) <= bins
    assert (sum(found.drop), sum(found.keep)) == (250, 251)
