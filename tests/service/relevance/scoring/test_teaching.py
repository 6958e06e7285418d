"""What is proposed next, on lakes worked out by hand;
and that a rare class is found, on one where it is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from service import Lake
from service.relevance.scoring.fitting import fit
from service.relevance.scoring.scorer import Scored, Scorer, score_rows, vectors_of
from service.relevance.scoring.teaching import FEW_YES, propose
from tests.service.lakes import Maker

X = np.array([[1, 0, 0]], np.float32)
DRAFT = Scorer("prompts", X, X[:0])


def fan(tmp_path: Path, degrees: Sequence[float]) -> Lake:
    """Row i at that angle from what the draft wants, in one plane."""
    maker = Maker(tmp_path / "my.lake")
    for angle in np.radians(degrees):
        maker.add((np.cos(angle), np.sin(angle), 0))
    return maker.open()


def random_lake(tmp_path: Path, rows: int = 2_000, dim: int = 16) -> Lake:
    write_synthetic_lake(tmp_path / "random.lake", rows, dim, segment_rows=rows)
    return Lake.open(tmp_path / "random.lake")


def drafted(dim: int = 16) -> Scorer:
    return Scorer(
        "prompts",
        random_unit_rows(1, dim, np.random.default_rng(1)),
        np.empty((0, dim), np.float32),
    )


def test_the_first_proposals_are_the_best_that_differ(tmp_path: Path) -> None:
    """At 0 and 2 degrees rows are near-duplicates; 60 and 62, too."""
    with fan(tmp_path, [62, 0, 120, 2, 60, 180]) as lake:
        assert propose(lake.snapshot, score_rows(lake.snapshot, DRAFT), {}, 2, DRAFT) == [2, 5]


def test_all_rows_are_proposed_where_all_are_wanted_once_each(tmp_path: Path) -> None:
    with fan(tmp_path, [62, 0, 120, 2, 60, 180]) as lake:
        scored = score_rows(lake.snapshot, DRAFT)
        for n in (6, 7, 1_000):
            assert sorted(propose(lake.snapshot, scored, {}, n, DRAFT)) == [1, 2, 3, 4, 5, 6]
        assert propose(lake.snapshot, scored, {}, 0, DRAFT) == []


@pytest.mark.parametrize("yes", [0, 1, FEW_YES, 20])
def test_neither_answered_nor_passed_over_rows_are_proposed_again(tmp_path: Path, yes: int) -> None:
    with random_lake(tmp_path) as lake:
        scored = score_rows(lake.snapshot, drafted())
        best = scored.row_ids[np.argsort(-scored.scores)].tolist()
        answers = {row_id: place < yes for place, row_id in enumerate(best[:40])}
        passed_over = best[40:60]
        proposed = propose(lake.snapshot, scored, answers, 30, drafted(), passed_over)
        assert len(set(proposed)) == len(proposed) == 30
        assert not {*answers, *passed_over} & set(proposed)
        everything = propose(lake.snapshot, scored, answers, 5_000, drafted(), passed_over)
        assert sorted(everything) == sorted({*best} - {*answers, *passed_over})


def test_rows_that_where_drops_are_not_proposed(tmp_path: Path) -> None:
    with random_lake(tmp_path) as lake:
        scored = score_rows(lake.snapshot, drafted(), "row_id > 1500")
        best = scored.row_ids[np.argsort(-scored.scores)].tolist()
        for yes in (0, 1, 20):
            answers = {row_id: place < yes for place, row_id in enumerate(best[:40])}
            assert min(propose(lake.snapshot, scored, answers, 100, drafted())) > 1500


def test_nothing_is_left_to_propose(tmp_path: Path) -> None:
    with fan(tmp_path, [0, 90]) as lake:
        scored = score_rows(lake.snapshot, DRAFT)
        assert propose(lake.snapshot, scored, {1: True, 2: False}, 20, DRAFT) == []
        assert (
            propose(lake.snapshot, Scored(scored.row_ids[:0], scored.scores[:0]), {}, 20, DRAFT)
            == []
        )


def test_an_answer_about_a_row_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    with fan(tmp_path, [0, 50, 100, 150]) as lake:
        scored = score_rows(lake.snapshot, DRAFT)
        proposed = propose(lake.snapshot, scored, {1: True, 99: True}, 3, DRAFT)
        assert sorted(proposed) == [2, 3, 4]


def test_the_same_is_proposed_for_the_same_answers(tmp_path: Path) -> None:
    with random_lake(tmp_path) as lake:
        scored = score_rows(lake.snapshot, drafted())
        for yes in (0, 2, 20):
            answers = {row_id: row_id <= yes for row_id in range(1, 41)}
            one = propose(lake.snapshot, scored, answers, 20, drafted())
            assert one == propose(lake.snapshot, scored, answers, 20, drafted())


def test_rows_like_the_first_relevant_one_are_asked_about(tmp_path: Path) -> None:
    """The draft wants 0 degrees; the one "yes" is at 150, so its neighbour at 120 comes soon."""
    degrees = [*range(0, 100, 4), 150, 120, -150]
    with fan(tmp_path, degrees) as lake:
        scored = score_rows(lake.snapshot, DRAFT)
        proposed = propose(lake.snapshot, scored, {26: True}, 10, DRAFT)
        assert 27 in proposed[:4]


def test_later_proposals_are_of_the_top_and_of_what_is_unsure(tmp_path: Path) -> None:
    """Of the answered rows every second best one is relevant down to a score,
    below it none: unsure is about there.
    """
    with random_lake(tmp_path, rows=4_000) as lake:
        scored = score_rows(lake.snapshot, drafted())
        order = np.argsort(-scored.scores)
        asked = order[::20]
        answers = {int(scored.row_ids[at]): bool(scored.scores[at] > 0.1) for at in asked}
        proposed = propose(lake.snapshot, scored, answers, 20, drafted())
        of = dict(zip(scored.row_ids.tolist(), scored.scores.tolist(), strict=True))
        top = np.sort(scored.scores)[-40]
        assert sum(of[row_id] >= top for row_id in proposed[:10]) >= 8
        assert all(abs(of[row_id] - 0.1) < 0.05 for row_id in proposed[12:])


def test_a_class_of_one_per_cent_is_found_though_the_draft_says_something_else(
    tmp_path: Path,
) -> None:
    """2,000 rows of 20 kinds and 20 of a 21st; the draft is the direction of another kind."""
    random = np.random.default_rng(0)
    kinds = random_unit_rows(21, 3, random)
    maker = Maker(tmp_path / "my.lake")
    kind_of = np.where(np.arange(2_000) % 100 == 50, 20, np.arange(2_000) % 20)
    for kind in kind_of.tolist():
        maker.add(kinds[kind] + 0.1 * random.standard_normal(3))
    scorer = plain = Scorer("prompts", kinds[:1], kinds[:0])
    answers: dict[int, bool] = {}
    with maker.open() as lake:
        snapshot = lake.snapshot
        for _ in range(8):
            for row_id in propose(snapshot, score_rows(snapshot, scorer), answers, 20, plain):
                answers[row_id] = bool(kind_of[row_id - 1] == 20)
            labels = np.fromiter(answers.values(), bool)
            scorer = fit(vectors_of(snapshot, answers), labels, plain, snapshot.background).scorer
    assert sum(answers.values()) >= 3  # random labels find 1.6 of them
