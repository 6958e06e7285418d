"""How deep a search must go: recall against brute force, and bounds that hold as often as said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.arrays import RowMask, Vectors
from indexer.disk.groups import Depths
from indexer.disk.stored_vectors import NewVectors
from indexer.run.grouping.centres import (
    centres_of,
    groups_of_rows,
    in_order,
    number_of_groups,
)
from indexer.run.grouping.depths import depth_grid, least_mean, measure, nearest
from indexer.run.grouping.grouped_rows import Counted, Reordered
from indexer.run.grouping.wordings import wordings

DIM = 16


def clustered(count: int, seed: int) -> Vectors:
    """Unit rows about 20 centres."""
    random = np.random.default_rng(1)
    about = random.standard_normal((20, DIM))
    drawn = np.random.default_rng(seed)
    rows = about[drawn.integers(0, 20, count)] + 0.4 * drawn.standard_normal((count, DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def counted_of(*pieces: Vectors, alive: list[RowMask | None] | None = None) -> Counted:
    stores = []
    for piece in pieces:
        written = NewVectors(piece.shape[1])
        written.add(piece)
        stores.append(written.stored())
    return Counted(stores, alive or [None] * len(stores))


def exact(counted: Counted) -> NDArray[np.float64]:
    return counted.take(np.arange(counted.rows)).astype(np.float64)


def test_rows_are_counted_through_segments_and_drawn_from_those_that_live() -> None:
    one, other = clustered(30, 2), clustered(50, 3)
    alive = np.zeros(50, bool)
    alive[[4, 7]] = True
    counted = counted_of(one, other, alive=[np.zeros(30, bool), alive])
    assert (counted.rows, counted.dim) == (80, DIM)
    places = np.array([79, 0, 30, 29])
    want = np.stack([other[49], one[0], other[0], one[29]])
    assert np.abs(counted.take(places) - want).max() < 1e-3
    assert counted.sample(100, 0).tolist() == [34, 37]
    turned = Reordered(counted, places.astype(np.uint8))
    assert turned.rows == 4
    assert turned.take(np.array([1, 3])).tolist() == counted.take(np.array([0, 29])).tolist()


def test_each_row_is_of_the_group_whose_centre_is_nearest() -> None:
    counted = counted_of(clustered(3_000, 4), clustered(2_000, 5))
    centres = centres_of(counted, 32)
    assert centres.shape == (32, DIM)
    told: list[int] = []
    groups = groups_of_rows(counted, centres, told.append)
    distances = np.square(exact(counted)[:, None] - centres[None].astype(np.float64)).sum(2)
    chosen = distances[np.arange(5_000), groups]
    assert (chosen - distances.min(1)).max() < 1e-5
    assert sum(told) == 5_000


def test_centres_near_to_one_another_are_near_in_the_order() -> None:
    """On a line: in the order of the line; each once."""
    line = np.random.default_rng(4).permutation(37)
    found = line[in_order(np.outer(line, [1, 2, 0.5]).astype(np.float32))]
    assert found.tolist() in (list(range(37)), list(range(36, -1, -1)))
    alike = in_order(np.ones((9, 4), np.float32))
    assert sorted(alike.tolist()) == list(range(9))


@pytest.mark.parametrize(
    ("rows", "groups"),
    [(1, 4), (1_000, 32), (99_999, 256), (10**5, 1_024), (10**6, 4_096), (10**7, 8_192)],
)
def test_larger_lakes_have_more_and_smaller_groups(rows: int, groups: int) -> None:
    assert number_of_groups(rows) == groups


def test_nearest_are_those_of_a_plain_sort() -> None:
    alive = np.ones(20_000, bool)
    alive[::3] = False
    counted = counted_of(clustered(1_000, 6), clustered(20_000, 7), alive=[None, alive])
    queries = clustered(70, 8)
    scores = exact(counted) @ queries.astype(np.float64).T
    scores[1_000:][::3] = -9
    want = np.sort(scores, axis=0)[::-1][:12].T
    found = nearest(counted, queries, 12)
    assert np.abs(np.sort(np.take_along_axis(scores.T, found, 1))[:, ::-1] - want).max() < 1e-3
    assert len(np.unique(found[0])) == 12


def test_a_row_is_not_among_its_own_nearest() -> None:
    rows = clustered(300, 9)
    rows[100:110] = rows[100]
    counted = counted_of(rows)
    places = np.arange(100, 110)
    found = nearest(counted, rows[places], 5, places)
    assert found.shape == (10, 5)
    assert not np.any(found == places[:, None])
    assert np.all((found >= 100) & (found < 110)), "its copies are"


def test_where_fewer_live_the_rest_is_not_there() -> None:
    alive = np.zeros(40, bool)
    alive[[3, 5]] = True
    found = nearest(counted_of(clustered(40, 1), alive=[alive]), clustered(1, 2), 4)
    assert sorted(found[0].tolist()) == [-1, -1, 3, 5]


def test_recall_is_that_of_brute_force_for_every_depth() -> None:
    counted = counted_of(clustered(2_500, 10), clustered(1_500, 11))
    centres = centres_of(counted, 24)
    groups = groups_of_rows(counted, centres, lambda rows: None)
    queries = clustered(40, 12)
    depths = measure(counted, centres, groups, queries, "drawn")
    scores = exact(counted) @ queries.astype(np.float64).T  # (rows, queries)
    order = np.argsort(np.square(queries[:, None] - centres[None]).sum(2), axis=1)
    for count, shares in ((10, depths.recall_at_10), (100, depths.recall_at_100)):
        best = np.argsort(-scores, axis=0)[:count]  # (count, queries)
        for depth, share in zip(depths.groups, shares, strict=True):
            looked_into = [set(order[query, :depth].tolist()) for query in range(40)]
            found = [
                sum(int(groups[row]) in looked_into[query] for row in best[:, query]) / count
                for query in range(40)
            ]
            # Half precision may exchange the last ones.
            assert abs(float(np.mean(found)) - share) < 0.01
    assert (depths.queries, depths.made_of) == (40, "drawn")


def test_depths_rise_by_a_twentieth() -> None:
    assert depth_grid(24) == tuple(range(1, 25))
    assert depth_grid(210)[-6:] == (168, 176, 185, 194, 204, 210)
    assert depth_grid(1) == (1,)
    assert depth_grid(65_536)[-1] == 65_536


def test_the_fewest_groups_that_are_enough_with_confidence() -> None:
    table = Depths(
        queries=9, made_of="rows", groups=(1, 4, 9),
        recall_at_10=(0.8, 0.95, 1.0), recall_at_100=(0.7, 0.9, 1.0),
        least_at_10=(0.75, 0.92, 0.99), least_at_100=(0.6, 0.85, 0.98),
    )  # fmt: skip
    assert [table.depth_for(recall, 10) for recall in (0.5, 0.92, 0.921, 0.99, 0.991)] == [
        1, 4, 9, 9, None,
    ]  # fmt: skip
    assert table.depth_for(0.92, 11) == 9, "of eleven, the share of the hundred nearest counts"
    assert table.recall(1) == (0.8, 0.7)
    assert table.recall(8) == (0.95, 0.9)
    assert table.recall(100) == (1.0, 1.0)


def test_the_least_mean_is_below_the_mean_and_comes_near_with_many() -> None:
    assert 0.989 < least_mean(np.ones(400)) < 1
    few, many = np.tile([1.0, 0.9], 50), np.tile([1.0, 0.9], 5_000)
    assert least_mean(few) < least_mean(many) < 0.95
    assert least_mean(many) > 0.945
    assert least_mean(np.zeros(10)) == 0
    assert least_mean(np.array([1.0])) < 0.5


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_the_least_mean_holds_as_often_as_it_says(share: float) -> None:
    """A query either finds all ten or nine or five; it is the rare bad ones that bounds miss."""
    random = np.random.default_rng(3)
    worth, chances = np.array([1.0, 0.9, 0.5]), np.array([1 - share, 0.75 * share, 0.25 * share])
    mean = float(worth @ chances)
    drawn = worth[random.choice(3, (300, 200), p=chances)]
    wrong = sum(least_mean(shares) > mean for shares in drawn)
    # 15 of 300 are 5 %; 25 or more would come of that once in a hundred.
    assert wrong < 25


def test_wordings_are_many_and_differ() -> None:
    texts = wordings()
    assert len(texts) == len(set(texts)) > 2_000
    assert all(text == text.strip() and 3 <= len(text) <= 60 for text in texts)
