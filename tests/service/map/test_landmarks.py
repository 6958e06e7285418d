"""Layouts: what is alike is near, and the same again."""

import numpy as np
import pytest

from indexer.arrays import Vectors
from service.map import landmarks
from service.map.landmarks import STEPS, fitted, lay_out, main_directions
from service.map.placing import Placer


def clusters(each: int, seed: int = 1) -> Vectors:
    """Four clusters in 16 dimensions, one after the other."""
    random = np.random.default_rng(seed)
    middles = random.normal(size=(4, 16))
    vectors = np.repeat(middles, each, axis=0) + 0.15 * random.normal(size=(4 * each, 16))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def test_what_is_alike_is_near_and_the_same_seed_gives_the_same_map() -> None:
    vectors, told = clusters(40), list[int]()
    places = lay_out(vectors, 0, told.append)
    assert places.shape == (160, 2) and places.dtype == np.float32
    assert np.abs(places).max() == pytest.approx(1, abs=1e-6) and sum(told) == STEPS
    away = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(away, np.inf)
    # the nearest on the map is of one's own cluster
    assert np.array_equal(away.argmin(axis=1) // 40, np.arange(160) // 40)
    assert np.array_equal(lay_out(vectors, 0, told.append), places)
    # others are placed in the middle of their own cluster
    placer = Placer(vectors, places)
    placed = placer.place(clusters(40, seed=1)[::7])
    homes = np.linalg.norm(placed[:, None] - places[None], axis=2).argmin(axis=1)
    assert np.array_equal(homes // 40, np.arange(160)[::7] // 40)


def test_few_images_lie_by_their_main_directions() -> None:
    vectors = np.array([[1, 0, 0], [-1, 0, 0], [0, 0.5, 0], [0, -0.5, 0]], np.float32)
    cross = np.array([[1, 0], [-1, 0], [0, 0.5], [0, -0.5]])
    assert np.allclose(main_directions(vectors), cross)
    assert np.allclose(lay_out(vectors, 0, lambda n: None), cross)
    assert lay_out(vectors[:1], 0, lambda n: None).tolist() == [[0, 0]]
    assert lay_out(vectors[:0], 0, lambda n: None).shape == (0, 2)
    assert fitted(np.array([[0.0, 0.0], [4.0, 2.0]])).tolist() == [[-1, -0.5], [1, 0.5]]


def test_a_point_is_placed_amid_landmarks_that_lie_together() -> None:
    # the third landmark is nearly as near, and lies elsewhere on the map
    vectors = np.array([[1, 0], [0.99, 0.141], [0.98, -0.199], *[[0, 1]] * 15], np.float32)
    places = np.array([[-1, 0], [-0.99, 0.01], [1, 0], *[[0.9, 0.01 * n] for n in range(15)]])
    (x, y), (alone, _) = Placer(vectors, places.astype(np.float32)).place(vectors[[0, 2]])
    assert -1 <= x <= -0.99 and 0 <= y <= 0.01
    assert alone > 0.9


def test_copies_are_neighbours_of_each_other() -> None:
    vectors = np.repeat(clusters(30)[::30], 40, axis=0)
    near, distances = landmarks._neighbours(vectors, 90)
    assert near.shape == distances.shape == (160, 90)
    assert not (near == np.arange(160)[:, None]).any()
    assert np.isfinite(lay_out(vectors, 3, lambda n: None)).all()
