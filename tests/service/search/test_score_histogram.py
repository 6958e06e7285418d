"""How strongly rows match, counted: by hand on a few, and as searches find them on many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from indexer.disk.tables import Place
from indexer.errors import BadRequest
from service.lake import Lake
from service.search.query import Query
from service.search.score_bins import MOST_BINS
from service.search.score_histogram import ScoreHistogram
from tests.service.lakes import Maker

RED = Query.of("red")


def spread(maker: Maker) -> Lake:
    """101 rows in two segments, whose scores for "red" are -1, -0.98 and so on to 1: the median is
    0, and a z is a score over 0.7413.
    """
    for row in range(101):
        score = (row - 50) / 50
        maker.add((score, (1 - score**2) ** 0.5, 0))
        if row == 60:
            maker.segment()
    return maker.open()


def edges(found: ScoreHistogram) -> list[float]:
    return [round(found.low + number * found.step, 6) for number in range(len(found.counts))]


def test_rows_are_counted_by_z(maker: Maker) -> None:
    """Scores below -0.7413 (-1 to -0.76) are 13; to -0.3706 (-0.74 to -0.38) 19 more; and so on."""
    found = spread(maker).score_histogram(RED, bins=8)
    assert (found.unit, found.rows, found.low, found.step) == ("z", 101, -1.5, 0.5)
    assert found.counts == (13, 19, 18, 19, 19, 13)
    assert found.best == pytest.approx(1 / 0.7413, abs=0.001)
    assert found.chance == pytest.approx(2.33, abs=0.01)
    assert (found.min_z, found.above) == (None, None)


def test_where_narrows_the_rows_and_not_their_z(maker: Maker) -> None:
    """Rows 91 to 101 have the scores 0.8 to 1: z is 1.08 to 1.35."""
    lake = spread(maker)
    query = replace(RED, where="row_id > 90", min_z=1.2)
    found = lake.score_histogram(query, bins=4)
    # the least step that two bins of 0.2698 / 2 need
    assert (found.rows, found.low, found.step) == (11, 1.0, 0.2)
    assert found.counts == (5, 6)  # 1.2 is a score of 0.8896: 0.9 and above
    assert found.above == 6
    nobody = lake.score_histogram(replace(query, where="row_id > 900"))
    assert (nobody.rows, nobody.counts, nobody.best, nobody.above) == (0, (), None, 0)


def test_rows_that_are_gone_are_not_counted(maker: Maker) -> None:
    """Without the score of 1 the median is -0.01, and 1 is a score of 0.7313: 0.74 to 0.98."""
    spread(maker)
    maker.commits.remove(Place(maker.commits.manifest.segments[1].id, 39))
    found = maker.open().score_histogram(replace(RED, min_z=1.0))
    assert (found.rows, found.above) == (100, 13)


def test_a_small_lake_counts_scores(maker: Maker) -> None:
    for vector in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)):
        maker.add(vector)
    lake = maker.open()
    found = lake.score_histogram(RED, bins=12)
    assert (found.unit, found.low, found.step, found.chance) == ("score", 0.0, 0.2, None)
    assert found.counts == (2, 0, 0, 1, 0, 1)  # 0, 0, 0.7071 and 1
    assert found.best == pytest.approx(1)
    with pytest.raises(BadRequest) as caught:
        lake.score_histogram(replace(RED, min_z=1.0))
    assert str(caught.value) == "min_z: z scores need 100 different rows; this lake has 4"


@pytest.mark.parametrize("has_half_precision", [True, False])
def test_each_edge_counts_what_a_search_finds(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, has_half_precision: bool
) -> None:
    """1,500 rows, some of them twice, and 1,000 bins: nearly every row lies near an edge."""
    monkeypatch.setattr("service.search.scored.half_precision_pays", lambda: has_half_precision)
    random = np.random.default_rng(5)
    for number in range(1_500):
        vector = random.normal(size=3)
        for _ in range(1 + (number % 7 == 0)):
            maker.add(vector)
        if number == 900:
            maker.segment()
    lake = maker.open()
    query = Query.of(vector=np.array([0.6, -0.3, 0.7419], np.float32))
    found = lake.score_histogram(query, bins=MOST_BINS)
    assert sum(found.counts) == found.rows == lake.rows
    above = np.cumsum(found.counts[::-1])[::-1].tolist()
    for edge, count in list(zip(edges(found), above, strict=True))[::11]:
        hits = lake.search_query(replace(query, min_z=edge, k=None))
        assert len(hits) == count, edge
        assert lake.score_histogram(replace(query, min_z=edge)).above == count, edge
    # At the very z of a hit, to the last digit.
    z = lake.search_query(replace(query, k=40))[-1].z
    assert z is not None
    hits = lake.search_query(replace(query, min_z=z, k=None))
    assert lake.score_histogram(replace(query, min_z=z)).above == len(hits)


def test_a_number_of_bins_that_is_none(maker: Maker) -> None:
    lake = spread(maker)
    for bins in (3, 1_001):
        with pytest.raises(BadRequest) as caught:
            lake.score_histogram(RED, bins=bins)
        assert str(caught.value) == f"bins: {bins} is no number of bins; it is 4 to 1,000"
