"""A part's nearest rows, with all that tie with the last of them."""

from __future__ import annotations

import numpy as np

from benchmarks.lakes import random_unit_rows
from indexer.disk.stored_vectors import NewVectors
from service.snapshot.nearest import exact_scores, nearest_and_ties
from tests.service.lakes import Maker, unit

# Scores with (1, 0, 0): 1, 0.6, 0.6, 0, 0.6, -1; 0.6 is 0.60009765625 in half precision.
VECTORS = ((1, 0, 0), (0.6, 0.8, 0), (0.6, 0, 0.8), (0, 1, 0), (0.6, -0.8, 0), (-1, 0, 0))
TIED = 0.60009765625


def test_those_that_tie_with_the_last_come_too(maker: Maker) -> None:
    for vector in VECTORS:
        maker.add(vector)
    [part] = maker.open().snapshot.parts
    x, y = unit(1, 0, 0), unit(0, 1, 0)
    first, second = part.nearest(x, 2, None, 0, 6), part.nearest(y, 2, None, 0, 6)
    assert first[0].tolist() == [1, np.float32(TIED), np.float32(TIED), np.float32(TIED)]
    assert (first[1][0], sorted(first[1][1:].tolist())) == (0, [1, 2, 4])
    assert second[1].tolist() == [3, 1]
    scores, positions = part.nearest(x, 1, None, 0, 6)
    assert (scores.tolist(), positions.tolist()) == ([1], [0])
    mask = np.array([False, False, True, True, False, False])
    scores, positions = part.nearest(x, 5, mask, 0, 6)
    assert (scores.tolist(), positions.tolist()) == ([np.float32(TIED), 0], [2, 3])
    scores, positions = part.nearest(x, 5, mask, 3, 6)
    assert (scores.tolist(), positions.tolist()) == ([0], [3])
    scores, positions = part.nearest(x, 5, mask & False, 0, 6)
    assert (scores.tolist(), positions.tolist()) == ([], [])


def test_the_exact_scores_of_rows_are_those_of_the_search() -> None:
    random = np.random.default_rng(2)
    vectors = NewVectors(24)
    vectors.add(random_unit_rows(50, 24, random))
    [query] = random_unit_rows(1, 24, random)
    scores = exact_scores(vectors.stored(), query)
    found, positions = nearest_and_ties(vectors.stored(), query, 50, None)
    assert np.clip(scores, -1, 1)[positions].tobytes() == found.tobytes()
    assert sorted(positions.tolist()) == list(range(50))
