"""Rows of a few groups, read where they lie: across the ends of blocks, with groups that are empty,
and as a plain product of all codes has them.
"""

from __future__ import annotations

import numpy as np
import pytest

from indexer.disk import groups as stored_groups
from indexer.disk.codes import CodeBlock, StoredCodes, encode, make_frame
from indexer.disk.groups import About, StoredGroups
from service.snapshot.groups import pieces as of_groups
from service.snapshot.groups.pieces import Pieces, kth_largest

ROWS, DIM, BLOCK = 40, 6, 8
STARTS = np.array([0, 5, 5, 13, 30, 40])
CHOSEN = np.array([0, 1, 3, 4])
NUMBERS = [*range(5), *range(13, 40)]
COLUMNS = ("head", "tail", "head_scale", "tail_scale", "head_length", "tail_length", "residual")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_groups, "CODE_ROWS", BLOCK)
    monkeypatch.setattr(of_groups, "CODE_ROWS", BLOCK)


@pytest.fixture
def whole() -> CodeBlock:
    vectors = np.random.default_rng(1).standard_normal((ROWS, DIM)).astype(np.float32)
    return encode(vectors, make_frame(vectors))


@pytest.fixture
def stored(whole: CodeBlock) -> StoredGroups:
    frame = make_frame(np.eye(DIM, dtype=np.float32))
    blocks = [
        CodeBlock(*(getattr(whole, name)[at : at + BLOCK] for name in COLUMNS))
        for at in range(0, ROWS, BLOCK)
    ]
    return StoredGroups(
        "01ID",
        About((("01SEGMENT", ROWS),), {}),
        np.zeros((5, DIM), np.float32),
        STARTS,
        np.arange(ROWS, dtype=np.uint8),
        StoredCodes(frame, blocks),
    )


def test_pieces_end_where_groups_and_blocks_do(stored: StoredGroups) -> None:
    firsts, cuts = stored.cuts
    assert cuts.tolist() == [0, 5, 8, 13, 16, 24, 30, 32, 40]
    assert firsts.tolist() == [0, 1, 1, 3, 6, 8]


def test_rows_are_counted_through_the_groups_that_are_chosen(stored: StoredGroups) -> None:
    pieces = Pieces(stored, CHOSEN)
    assert len(pieces) == len(NUMBERS)
    assert pieces.sizes.tolist() == [5, 0, 17, 10]
    assert pieces.numbers(np.arange(len(NUMBERS))).tolist() == NUMBERS
    alive = np.arange(ROWS) % 3 > 0
    assert pieces.mask(alive).tolist() == alive[NUMBERS].tolist()
    repeated = pieces.of_groups(np.array([1.0, 9.0, 2.0, 3.0]))
    assert repeated == pytest.approx([1.0] * 5 + [2.0] * 17 + [3.0] * 10, rel=1e-6)
    assert np.all(repeated.astype(np.float64) >= [1.0] * 5 + [2.0] * 17 + [3.0] * 10)


@pytest.mark.parametrize("parallel_from", [10, 10**6])
def test_scores_are_those_of_plain_products(
    stored: StoredGroups, whole: CodeBlock, parallel_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_groups, "PARALLEL_FROM_ROWS", parallel_from)
    asked = np.array([100, -7, 3], np.int8)
    products = whole.tail[NUMBERS].astype(np.int64) @ asked.astype(np.int64)
    want = whole.tail_scale[NUMBERS] * products.astype(np.float32) * np.float32(0.25)
    assert Pieces(stored, CHOSEN).scores("tail", asked, 0.25).tolist() == want.tolist()


def test_scores_of_some_rows_are_those_of_all(stored: StoredGroups) -> None:
    pieces, asked = Pieces(stored, CHOSEN), np.array([100, -7, 3], np.int8)
    whole = pieces.scores("tail", asked, 0.25)
    some = np.array([0, 4, 5, 13, 31])
    found = pieces.scores_of(pieces.numbers(some), "tail", asked, 0.25)
    assert found.dtype == np.float32
    assert found.tolist() == whole[some].tolist()
    assert len(pieces.scores_of(np.empty(0, np.int64), "tail", asked, 0.25)) == 0


def test_a_few_rows_are_fetched_from_their_blocks(stored: StoredGroups, whole: CodeBlock) -> None:
    pieces, some = Pieces(stored, CHOSEN), np.array([3, 15, 16, 39])
    assert pieces.codes("head", some).tolist() == whole.head[some].tolist()
    assert pieces.column("residual", some).tolist() == whole.residual[some].tolist()
    assert pieces.codes("head", np.empty(0, np.int64)).shape == (0, 3)


def test_no_group_at_all_and_empty_ones_alone(stored: StoredGroups) -> None:
    assert len(Pieces(stored, np.empty(0, np.int64))) == 0
    alone = Pieces(stored, np.array([1]))
    assert len(alone) == 0
    assert alone.mask(np.ones(ROWS, bool)).tolist() == []


def test_the_longest_of_each_group(stored: StoredGroups, whole: CodeBlock) -> None:
    assert stored.longest.shape == (3, 5)
    assert stored.longest[:, 1].tolist() == [0, 0, 0]
    assert stored.longest[1, 3] == whole.tail_length[13:30].max()
    assert stored.longest[2, 0] == whole.residual[:5].max()


@pytest.mark.parametrize("rows", [3, 700, 64 * 80, 20_001])
@pytest.mark.parametrize("count", [1, 10])
def test_the_kth_largest_is_that_of_a_sort(rows: int, count: int) -> None:
    for seed in range(5):
        scores = np.random.default_rng(seed).standard_normal(rows).astype(np.float32)
        scores[seed::3] = scores[0]
        want = float(np.sort(scores)[-count]) if rows >= count else -np.inf
        assert kth_largest(scores, count) == want
        everywhere = np.full(rows, -np.inf, np.float32)
        assert kth_largest(everywhere, count) == -np.inf
