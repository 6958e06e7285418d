"""The store of vectors: what was written is taken, copied and scored, to the last bit."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from indexer.disk import stored_vectors
from indexer.disk.stored_vectors import HalfQueries, NewVectors, StoredVectors

ROWS = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1], [0, -1, 0]], np.float32)


def store(rows: np.ndarray[tuple[int, int], np.dtype[np.float32]] = ROWS) -> StoredVectors:
    vectors = NewVectors(3)
    vectors.add(rows)
    return vectors.stored()


def halves(*rows: tuple[float, ...]) -> list[list[float]]:
    """The numbers as half precision rounds them."""
    rounded: list[list[float]] = np.array(rows, np.float16).astype(np.float64).tolist()
    return rounded


def test_vectors_are_taken_in_the_order_asked(tmp_path: Path) -> None:
    new = NewVectors(3)
    new.add(ROWS)
    assert new.rows == 4
    new.write(tmp_path / "vectors.faiss")
    there = StoredVectors.open(tmp_path / "vectors.faiss")
    assert (there.rows, there.dim) == (4, 3)
    assert there.take(np.array([2, 1, 2])).tolist() == halves((0, 0, 1), (0.6, 0.8, 0), (0, 0, 1))
    assert there.take(np.array([], np.int64)).shape == (0, 3)


@pytest.mark.parametrize("is_mapped", [False, True])
def test_a_piece_is_the_rows_between_two_and_outlives_the_whole(
    tmp_path: Path, is_mapped: bool
) -> None:
    whole = store()
    if is_mapped:
        new = NewVectors(3)
        new.add(ROWS)
        new.write(tmp_path / "vectors.faiss")
        whole = StoredVectors.open(tmp_path / "vectors.faiss")
    piece, none = whole.between(1, 3), whole.between(2, 2)
    assert whole.between(0, 4) is whole
    before = piece.index.codes.data()
    del whole
    gc.collect()
    assert (piece.rows, none.rows) == (2, 0)
    assert piece.take(np.array([1, 0])).tolist() == halves((0, 0, 1), (0.6, 0.8, 0))
    scores, positions = piece.index.search(ROWS[2:3], 3)
    assert (scores[0, :2].tolist(), positions[0].tolist()) == ([1, 0], [1, 0, -1])
    assert int(piece.index.codes.data()) == int(before)


def test_blocks_are_all_rows_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_vectors, "BLOCK_ROWS", 3)
    assert [len(block) for block in store().blocks()] == [3, 1]
    assert np.concatenate(list(store().blocks())).tolist() == store().take(np.arange(4)).tolist()
    assert list(store(ROWS[:0]).blocks()) == []


@pytest.mark.parametrize(
    ("rows", "copied"),
    [
        (None, [0, 1, 2, 3]),
        (np.array([True, False, False, True]), [0, 3]),
        (np.array([False] * 4), []),
        (np.array([3, 1]), [3, 1]),
        (np.array([], np.int64), []),
    ],
)
def test_rows_are_copied_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
    rows: np.ndarray[tuple[int], np.dtype[np.int64]] | None,
    copied: list[int],
) -> None:
    monkeypatch.setattr(stored_vectors, "BLOCK_ROWS", 3)
    target = NewVectors(3)
    target.add(ROWS[1:2])
    store().copy_to(target, rows)
    assert target.rows == 1 + len(copied)
    expected = halves(*(tuple(ROWS[n]) for n in [1, *copied]))
    assert target.stored().take(np.arange(target.rows)).tolist() == expected


@pytest.mark.parametrize("count", [1, 2, 3])
def test_scores_are_inner_products_in_half_precision(count: int) -> None:
    """One query takes another way through numkong than several."""
    queries = np.array([[0.6, 0.8, 0], [0, 0, 2], [1, 1, 1]], np.float32)[:count]
    scores = store().score(HalfQueries(queries), 1, 4)
    assert (scores.shape, str(scores.dtype)) == ((3, count), "float32")
    # Rows 1 to 3; 0.6 and 0.8 are 0.60009765625 and 0.7998046875 in half precision.
    by_hand = np.array([[0.999804735, 0, 1.39990234], [0, 2, 1], [-0.7998046875, 0, -1]])
    np.testing.assert_allclose(scores, by_hand[:, :count], atol=1e-7)
