"""Scores worked out by hand; and every row of a lake gets the one it would get alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from indexer.arrays import Vectors
from indexer.disk.stored_vectors import BLOCK_ROWS
from indexer.errors import BadRequest, DimensionMismatch, WhereError
from service import Lake
from service.relevance.scoring.scorer import (
    Scorer,
    _decoded,
    _in_half_precision,
    score_rows,
    vectors_of,
)
from service.search.ranking import PARALLEL_FROM_ROWS
from service.snapshot.part import Block
from tests.lakes import BLUE, GREEN, RED, Desk
from tests.service.lakes import Maker

X, Y, Z = np.eye(3, dtype=np.float32)
NONE = np.empty((0, 3), np.float32)


def rows(*vectors: object) -> Vectors:
    return np.array(vectors, np.float32)


def linear(*weights: float, bias: float = 0) -> Scorer:
    return Scorer("linear", rows(weights), NONE[:, : len(weights)], 1, bias)


def test_one_wanted_prompt_scores_by_its_cosine() -> None:
    scorer = Scorer("prompts", rows(X), NONE)
    assert scorer.of(rows(X, Y, (0.6, 0.8, 0))).tolist() == pytest.approx([1, 0, 0.6])


def test_a_row_loses_what_an_unwanted_prompt_is_nearer() -> None:
    scorer = Scorer("prompts", rows(X), rows(Y), temperature=0.01, bias=2)
    # x: 1 - nothing; y: 0 - (1 - 0); between them, where both are as near: 0.7071 - 0.01 log 2
    assert scorer.of(rows(X, Y, (0.5**0.5, 0.5**0.5, 0))).tolist() == pytest.approx(
        [3, 1, 2.70018], abs=1e-3
    )


def test_only_unwanted_prompts_score_by_how_far_away_a_row_is() -> None:
    assert Scorer("prompts", NONE, rows(Y)).of(rows(X, Y)).tolist() == pytest.approx([0, -1])


def test_several_prompts_are_a_softmax() -> None:
    scorer = Scorer("prompts", rows(X, Y), rows(Z), temperature=0.5)
    # x: wanted are e^2 + e^0 = 8.389 of 9.389: k = log(8.389) / 2 = 1.06347, and log(8.389 / 9.389)
    # / 2 = -0.05631
    assert scorer.of(rows(X)).tolist() == pytest.approx([1.00716], abs=1e-5)
    # z: wanted are 2 of 2 + e^2 = 9.38906: log(2) / 2 + log(2 / 9.38906) / 2
    assert scorer.of(rows(Z)).tolist() == pytest.approx([-0.42662], abs=1e-5)


def test_a_low_temperature_does_not_overflow() -> None:
    scorer = Scorer("prompts", rows(X, Y), NONE, temperature=1e-4)
    assert scorer.of(rows(X, Y, Z, -X)).tolist() == pytest.approx([1, 1, 0, 0], abs=1e-4)


def test_a_linear_scorer_is_weights_and_a_bias() -> None:
    assert linear(10, -20, 0, bias=0.5).of(rows(X, Y, Z)).tolist() == [10.5, -19.5, 0.5]


@pytest.mark.parametrize("kind", ["prompts", "examples"])
def test_numbers_come_back_from_json_bit_for_bit(kind: str) -> None:
    random = np.random.default_rng(0)
    keep, drop = random_unit_rows(3, 5, random), random_unit_rows(2, 5, random)
    scorer = Scorer(kind, keep, drop, 0.013, 1 / 3)  # type: ignore[arg-type]
    again = Scorer.from_json(json.loads(json.dumps(scorer.to_json())))
    assert again == scorer
    assert (
        again.keep.tobytes() == scorer.keep.tobytes()
        and again.drop.tobytes() == scorer.drop.tobytes()
    )
    assert (again.temperature, again.bias) == (0.013, 1 / 3)
    assert again != Scorer(kind, scorer.keep, scorer.drop, 0.013, 0)  # type: ignore[arg-type]


def test_a_side_without_vectors_comes_back_from_json_too() -> None:
    assert Scorer.from_json(linear(1, 2).to_json()).drop.shape == (0, 2)


@pytest.mark.parametrize(
    ("scorer", "sentence"),
    [
        (
            lambda: Scorer("guess", rows(X), NONE),  # type: ignore[arg-type]
            "kind is 'guess', expected prompts, examples, linear",
        ),
        (lambda: Scorer("prompts", rows(X), NONE[:, :2]), r"keep is \(1, 3\) and drop \(0, 2\)"),
        (lambda: Scorer("prompts", NONE, NONE), "nothing to keep and nothing to drop"),
        (lambda: Scorer("linear", rows(X, Y), NONE), "one row of weights"),
        (lambda: Scorer("linear", rows((7e4, 0, 0)), NONE), "not finite in half precision"),
        (lambda: Scorer("linear", rows((np.nan, 0, 0)), NONE), "not finite in half precision"),
        (lambda: Scorer("prompts", rows(X), NONE, temperature=0), "temperature is 0"),
    ],
)
def test_numbers_that_are_no_scorer_are_refused(scorer: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        scorer()  # type: ignore[operator]


def test_vectors_of_another_model_are_refused() -> None:
    with pytest.raises(DimensionMismatch, match="vectors have 2 dimensions, the model has 3"):
        linear(1, 0, 0).of(rows((1, 0)))


def test_rows_come_by_rising_row_id_with_their_scores(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "my.lake")
    for vector in (X, Y, Z):
        maker.add(vector)
    maker.segment()
    maker.add((3, 4, 0))
    with maker.open() as lake:
        scored = score_rows(lake.snapshot, linear(10, 1, 0))
    assert scored.row_ids.tolist() == [1, 2, 3, 4]
    assert scored.scores.tolist() == pytest.approx([10, 1, 0, 6.8], rel=1e-3)
    assert [str(array.dtype) for array in (scored.row_ids, scored.scores)] == ["int64", "float32"]


def test_a_moved_row_keeps_its_place_by_row_id_and_a_deleted_one_is_gone(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour in (("a.png", RED), ("b.png", GREEN), ("c.png", BLUE)):
        desk.add(name, colour)
    desk.index()
    (desk.photos / "a.png").rename(desk.photos / "z.png")
    (desk.photos / "b.png").unlink()
    desk.idle_sync()
    ids = desk.ids()
    with Lake.open(desk.lake, desk.model) as lake:
        scored = score_rows(lake.snapshot, linear(1, 2, 4))
    assert list(zip(scored.row_ids.tolist(), scored.scores.tolist(), strict=True)) == sorted(
        [(ids["z.png"], 1.0), (ids["c.png"], 4.0)]
    )


def test_where_keeps_the_rows_that_search_would(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "my.lake")
    for name, vector in (("a", X), ("b", Y), ("a2", Z)):
        maker.add(vector, f"/{name}.png")
    with maker.open() as lake:
        scored = score_rows(lake.snapshot, linear(1, 2, 4), "uri LIKE '/a%'")
        assert (scored.row_ids.tolist(), scored.scores.tolist()) == ([1, 3], [1, 4])
        assert len(score_rows(lake.snapshot, linear(1, 2, 4), "width_px < 0")) == 0
        with pytest.raises(WhereError, match="widht"):
            score_rows(lake.snapshot, linear(1, 2, 4), "widht > 3")


def test_a_scorer_of_another_model_is_refused(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "my.lake")
    maker.add(X)
    with maker.open() as lake, pytest.raises(DimensionMismatch, match="vectors have 2 dimensions"):
        score_rows(lake.snapshot, linear(1, 0))


def test_an_empty_lake_has_no_scores(tmp_path: Path) -> None:
    with Maker(tmp_path / "my.lake").open() as lake:
        assert len(score_rows(lake.snapshot, linear(1, 0, 0))) == 0


def test_many_rows_in_threads_score_as_the_plain_way_and_the_same_each_time(tmp_path: Path) -> None:
    count, dim = PARALLEL_FROM_ROWS + BLOCK_ROWS + 3, 16
    write_synthetic_lake(tmp_path / "my.lake", count, dim, segment_rows=30_001)
    random = np.random.default_rng(1)
    scorer = Scorer(
        "prompts", random_unit_rows(3, dim, random), random_unit_rows(2, dim, random), 0.05, 0.25
    )
    with Lake.open(tmp_path / "my.lake") as lake:
        scored = score_rows(lake.snapshot, scorer)
        again = score_rows(lake.snapshot, scorer)
        plain = [
            scorer.of(block) for part in lake.snapshot.parts for block in part.vectors.blocks()
        ]
    assert scored.row_ids.tolist() == list(range(1, count + 1))
    np.testing.assert_allclose(scored.scores, np.concatenate(plain), atol=1e-5)
    assert scored.scores.tobytes() == again.scores.tobytes()


@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_a_cpu_without_wide_instructions_gets_the_same_scores(tmp_path: Path, wanted: int) -> None:
    write_synthetic_lake(tmp_path / "my.lake", 100, 16, segment_rows=100)
    random = np.random.default_rng(1)
    scorer = Scorer(
        "prompts", random_unit_rows(wanted, 16, random), random_unit_rows(wanted // 2, 16, random)
    )
    block: Block = (0, 7, 93)
    with Lake.open(tmp_path / "my.lake") as lake:
        parts = lake.snapshot.parts
        found = _in_half_precision(parts, scorer)(block)
        np.testing.assert_allclose(_decoded(parts, scorer)(block), found, atol=1e-5)
    assert str(found.dtype) == "float32"


def test_vectors_of_rows_come_in_the_order_asked(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "my.lake")
    maker.add(X)
    maker.segment()
    maker.add(Y)
    maker.add(Z)
    with maker.open() as lake:
        assert vectors_of(lake.snapshot, [3, 1, 3, 2]).tolist() == [
            Z.tolist(),
            X.tolist(),
            Z.tolist(),
            Y.tolist(),
        ]
        assert vectors_of(lake.snapshot, []).shape == (0, 3)
        for row_id in (0, 4, -1):
            with pytest.raises(BadRequest, match=f"row_id: there is no row {row_id} in this lake"):
                vectors_of(lake.snapshot, [1, row_id])
