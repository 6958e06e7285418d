"""Codes find, bit for bit, what FAISS finds in the vectors; their bounds hold."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.lakes import random_unit_rows
from indexer.arrays import Positions, RowMask, Vectors
from indexer.disk.codes import StoredCodes, encode, make_frame
from indexer.disk.stored_vectors import NewVectors, StoredVectors
from service.snapshot.nearest import Answer, exact_scores, nearest_and_ties
from service.snapshot.part import Part
from service.snapshot.scan import rows as rows_module
from service.snapshot.scan.coded import Turned
from service.snapshot.scan.rider import Order, Rider
from service.snapshot.scan.rows import Packed, Rows

BLOCK = 16  # rows of a block of codes here


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "CODE_ROWS", BLOCK)
        patch.setattr(rows_module, "pay_from_rows", lambda: 0)
        patch.setattr(rows_module, "most_queries", lambda: 64)
        yield


def stored(vectors: NDArray[np.floating]) -> StoredVectors:
    new = NewVectors(vectors.shape[1])
    new.add(vectors.astype(np.float32))
    return new.stored()


def coded(vectors: NDArray[np.floating], frame_of: Vectors | None = None) -> Part:
    """What a pass must know of a part; its vectors as they are stored."""
    store = stored(vectors)
    exact = store.take(np.arange(store.rows))
    frame = make_frame(exact if frame_of is None else frame_of)
    blocks = [encode(exact[at : at + BLOCK], frame) for at in range(0, len(exact), BLOCK)]
    codes = StoredCodes(frame, blocks)
    return cast(Part, SimpleNamespace(vectors=store, codes=codes, rows=store.rows))


class Asked:
    """A query, what FAISS finds in each part, and whether it had to."""

    def __init__(
        self,
        parts: Sequence[Part],
        vector: NDArray[np.float32],
        count: int,
        masks: Sequence[RowMask | None],
    ) -> None:
        self.parts, self.vector, self.count, self.masks = parts, vector, count, masks
        self.was_left_to_faiss = False
        self.order = Order(vector, count, lambda number: masks[number], self._alone)

    def _alone(self) -> list[Answer]:
        self.was_left_to_faiss = True
        return self.by_faiss()

    def by_faiss(self) -> list[Answer]:
        return [
            nearest_and_ties(part.vectors, self.vector, self.count, mask)
            for part, mask in zip(self.parts, self.masks, strict=True)
        ]


def scan(asked: Sequence[Asked]) -> list[Sequence[Answer]]:
    rows = Rows(asked[0].parts)
    packed = Packed([Rider(each.order, len(rows.blocks)) for each in asked])
    for block in rows.blocks:
        rows.read(block, packed)
    return [rows.answers(rider) for rider in packed.riders]


def merged(answers: Sequence[Answer], count: int) -> list[tuple[float, int, int]]:
    """The count best rows and all that tie with the last: score, part, position."""
    found = [
        (-score, number, position)
        for number, (scores, positions) in enumerate(answers)
        for score, position in zip(scores.tolist(), positions.tolist(), strict=True)
    ]
    found.sort()
    return [row for row in found if row[0] <= found[min(count, len(found)) - 1][0]]


def assert_same(asked: Sequence[Asked]) -> None:
    for each, answers in zip(asked, scan(asked), strict=True):
        assert merged(answers, each.count) == merged(each.by_faiss(), each.count)


def made(kind: str, rows: int, dim: int, random: np.random.Generator) -> NDArray[np.floating]:
    unit = random_unit_rows(rows, dim, random)
    if kind == "ties":
        return unit[random.integers(0, max(rows // 8, 1), rows)]
    if kind == "alike":
        return unit[:1] + 1e-3 * unit
    if kind == "nearly unit":
        return unit * random.uniform(0.999, 1.001, (rows, 1))
    if kind == "huge":
        return unit * 10.0 ** random.uniform(0, 4, (rows, 1))
    if kind == "tiny":
        return unit * 10.0 ** random.uniform(-9, 0, (rows, 1)) * random.integers(0, 2, (rows, 1))
    if kind == "one direction":
        return unit[:1] * random.uniform(-1, 1, (rows, 1))
    return unit


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(["unit", "ties", "alike", "nearly unit", "huge", "tiny", "one direction"]),
    rows=st.integers(1, 90),
    dim=st.sampled_from([2, 3, 8, 31, 33, 64]),
    count=st.integers(1, 100),
    riders=st.integers(1, 5),
    masked=st.sampled_from([None, 0.0, 0.1, 0.9]),
    has_other_frame=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_codes_find_what_faiss_finds(
    kind: str,
    rows: int,
    dim: int,
    count: int,
    riders: int,
    masked: float | None,
    has_other_frame: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    vectors = made(kind, rows, dim, random)
    frame_of = random_unit_rows(5, dim, random) if has_other_frame else None
    parts = [coded(vectors, frame_of), coded(made(kind, 20, dim, random), frame_of)]
    uncoded = stored(made("unit", 20, dim, random))
    parts.append(cast(Part, SimpleNamespace(vectors=uncoded, codes=None, rows=20)))
    asked = []
    for number in range(riders):
        near = vectors[random.integers(rows)] * (-1) ** number
        vector = near + 10.0 ** random.uniform(-6, 1) * random.standard_normal(dim)
        vector = (vector / max(np.linalg.norm(vector), 1e-30)).astype(np.float32)
        masks = [None if masked is None else random.random(part.rows) < masked for part in parts]
        asked.append(Asked(parts, vector, count, masks))
    assert_same(asked)


def test_few_rows_are_left_and_none_to_faiss() -> None:
    """Rows with a common direction and a spread that falls off, as embeddings have it."""
    random = np.random.default_rng(0)
    spread = np.arange(1, 129) ** -0.7
    vectors = random.standard_normal((2_000, 128)) * spread + 2 * (np.arange(128) == 5)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    part = coded(vectors)
    queries = vectors[:4].astype(np.float32)
    asked = [Asked([part], query, 10, [None]) for query in queries]
    assert_same(asked)
    assert not any(each.was_left_to_faiss for each in asked)
    rows = Rows([part])
    packed = Packed([Rider(each.order, len(rows.blocks)) for each in asked])
    for block in rows.blocks:
        rows.read(block, packed)
    for rider in packed.riders:
        left = rider.left()
        assert left is not None
        assert 10 <= len(left[2]) < 60


def test_whoever_points_away_from_the_first_half_asks_for_both() -> None:
    random = np.random.default_rng(1)
    vectors = random_unit_rows(1_000, 64, random)
    part = coded(vectors)
    assert part.codes is not None
    away = part.codes.frame.halves[1][0].astype(np.float32)
    asked = Asked([part], away / np.linalg.norm(away), 5, [None])
    rows = Rows([part])
    packed = Packed([Rider(asked.order, len(rows.blocks))])
    for block in rows.blocks:
        rows.read(block, packed)
    assert packed.riders[0].wants_all_codes
    assert merged(rows.answers(packed.riders[0]), 5) == merged(asked.by_faiss(), 5)
    assert not asked.was_left_to_faiss


def test_codes_that_lie_are_found_out() -> None:
    """As a lake of another program may have them: FAISS answers where a score is out of bounds."""
    part = coded(random_unit_rows(200, 16, np.random.default_rng(2)))
    assert part.codes is not None
    for block in part.codes.blocks:
        block.residual[:] = 0
    asked = Asked([part], random_unit_rows(1, 16, np.random.default_rng(3))[0], 5, [None])
    assert_same([asked])
    assert asked.was_left_to_faiss


@pytest.mark.parametrize("scale", [1.0, 1e-4, 3e4])
@pytest.mark.parametrize("dim", [2, 31, 512])
def test_each_bound_holds(dim: int, scale: float) -> None:
    """(2), (3) and the last one, for each row, against FAISS's own scores."""
    random = np.random.default_rng(dim)
    part = coded(scale * (0.6 * random_unit_rows(64, dim, random) + 0.8 * (np.arange(dim) == 0)))
    assert part.codes is not None
    block, frame = part.codes.blocks[0], part.codes.frame
    rows: Positions = np.arange(len(block))
    for query in random_unit_rows(10, dim, random):
        turned = Turned(query, frame)
        scores = exact_scores(part.vectors, query)[: len(block)].astype(np.float64)
        heads = block.head.astype(np.int64) @ turned.head.whole.astype(np.int64)
        tails = block.tail.astype(np.int64) @ turned.tail.whole.astype(np.int64)
        first = turned.base + block.head_scale.astype(np.float64) * turned.head.step * heads
        second = first + block.tail_scale.astype(np.float64) * turned.tail.step * tails
        assert np.all(np.abs(scores - first) <= turned.epsilons(block, rows, both=False))
        assert np.all(np.abs(scores - second) <= turned.epsilons(block, rows, both=True))
        assert turned.epsilon(block.longest, both=True) <= turned.epsilon(block.longest, both=False)
        # Of no use would be a bound that always holds.
        assert turned.epsilon(block.longest, both=True) < 0.05 * scale
