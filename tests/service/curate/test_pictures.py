"""Nearness is what comparing all pairs says."""

import numpy as np
import pytest

from indexer.arrays import Positions, Vectors
from service.curate.pictures import FlatPictures, Pictures
from service.curate.stars import stars


def _hashes(seed: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Pictures of 40, and copies of them in which up to 12 bits differ."""
    random = np.random.default_rng(seed)
    bases = random.integers(0, 2**63, 40, np.uint64) * np.uint64(2)
    hashes = bases[random.integers(0, len(bases), count)]
    for at, flips in enumerate(random.integers(0, 13, count)):
        for bit in random.choice(64, flips, replace=False):
            hashes[at] ^= np.uint64(1) << np.uint64(bit)
    return hashes


def _vectors(seed: int, count: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.mark.parametrize("bits", [0, 3, 8])
def test_the_pairs_are_those_that_comparing_all_gives(bits: int) -> None:
    hashes, vectors = _hashes(1, 700), _vectors(2, 700)
    pictures = Pictures(hashes, lambda some: vectors[some], bits=bits, threshold=-0.2)
    near = np.bitwise_count(hashes[:, None] ^ hashes[None, :]) <= bits
    near &= np.where(np.eye(700, dtype=bool), True, vectors @ vectors.T >= -0.2)
    some = np.arange(5, 700, 3)
    numbers, found = pictures.pairs(some)
    wanted = {(n, j) for n, i in enumerate(some.tolist()) for j in np.flatnonzero(near[i]).tolist()}
    assert len(wanted) > len(some) or bits == 0
    assert sorted(zip(numbers.tolist(), found.tolist(), strict=True)) == sorted(wanted)
    assert np.array_equal(pictures.among(some), near[np.ix_(some, some)])
    assert np.array_equal(pictures.near(4, some), near[4, some])


def test_each_is_near_the_middle_of_its_group_and_no_two_middles_are_near() -> None:
    hashes, vectors = _hashes(3, 900), _vectors(4, 900)
    pictures = Pictures(hashes, lambda some: vectors[some], bits=8, threshold=0.0)
    middles = stars(pictures)
    assert np.array_equal(middles[middles], middles)
    others = np.flatnonzero(middles != np.arange(900))
    assert len(others) > 200
    assert (np.bitwise_count(hashes[others] ^ hashes[middles[others]]) <= 8).all()
    assert (np.einsum("nd,nd->n", vectors[others], vectors[middles[others]]) >= 0).all()
    assert np.array_equal(stars(pictures), middles)


class _Line:
    """Things on a line, near when they are at most 1 apart."""

    def __init__(self, *places: float) -> None:
        self.places, self.count = np.array(places, np.float32), len(places)

    def among(self, some: Positions) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        return self.closeness(some, some) >= -1

    def near(self, one: int, others: Positions) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.asarray(self.closeness(np.array([one]), others)[0] >= -1)

    def pairs(self, some: Positions) -> tuple[Positions, Positions]:
        ours, theirs = np.nonzero(self.closeness(some, np.arange(self.count)) >= -1)
        return ours.astype(np.int64), theirs.astype(np.int64)

    def closeness(
        self, some: Positions, others: Positions
    ) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return np.asarray(-np.abs(self.places[some][:, None] - self.places[others][None, :]))


def test_a_chain_is_no_group() -> None:
    # 0 takes 1, 2 takes 3, 4 takes 5; no group has more than its middle's neighbours
    assert stars(_Line(0, 1, 2, 3, 4, 5)).tolist() == [0, 0, 2, 2, 4, 4]


def test_the_medoid_becomes_the_middle_and_what_is_not_near_it_looks_for_another() -> None:
    # 0.0 takes -1, 0.9, 0.95 and 1.0, of which 0.9 is closest to all; -1 is left, and stands alone
    assert stars(_Line(0.0, -1.0, 0.9, 0.95, 1.0)).tolist() == [2, 1, 2, 2, 2]
    # one that was alone, and is near the new middle
    assert stars(_Line(0.0, 0.5, 0.9, 0.95, 1.0, 1.5)).tolist() == [2, 2, 2, 2, 2, 2]
    # the same, and a group at -1.5, which takes the one that is left
    assert stars(_Line(0.0, -1.0, 0.9, 0.95, 1.0, -1.5)).tolist() == [2, 5, 2, 2, 2, 5]


def test_flat_pictures_are_told_apart_by_their_vectors() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.995, 0.0999], [0.6, 0.8]], np.float32)
    flat = FlatPictures(4, lambda some: vectors[some], threshold=0.98)
    assert stars(flat).tolist() == [0, 1, 0, 3]
    assert flat.pairs(np.array([2]))[1].tolist() == [0, 2]


def test_things_of_more_than_a_block_are_all_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stars(_Line(*range(100)))
    monkeypatch.setattr("service.curate.stars.BLOCK", 7)
    assert stars(_Line(*range(100))).tolist() == whole.tolist() == [n // 2 * 2 for n in range(100)]
