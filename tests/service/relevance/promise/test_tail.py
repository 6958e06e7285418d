from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from indexer.errors import BadRequest
from service.relevance.definition import Target
from service.relevance.promise import tail
from service.relevance.promise.applying import KEEP, Applied, Refusal, apply, overruled, stand
from service.relevance.promise.audit import Audit, begin
from service.relevance.promise.auditing import planned
from service.relevance.promise.martingale import NO, UNKNOWN, YES
from service.relevance.promise.promise import Known, Spared, chains
from service.relevance.promise.tail import TAIL, check_assumption, line_of, spared_by_plan, together
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

RECALL = Target(0.9, None, 0.95)
ROWS = 20_000
# Log-odds 3 s - 7: of normal scores, 2 % are relevant.
FITTING = Calibration(3.0, -7.0)


def drawn(seed: int, assume: str | None = TAIL) -> tuple[Audit, set[int]]:
    """An audit of rows for which FITTING is true, and the relevant ones."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=ROWS).astype(np.float32)
    relevant = np.flatnonzero(generator.random(ROWS) < FITTING.probability(scores)) + 1
    fresh = begin(1, 1, RECALL, Scored(np.arange(1, ROWS + 1), scores), {})
    audit = planned(fresh, FITTING, {}, 700, assume)
    known = replace(audit.design, seed=f"{seed:064x}")
    return Audit(known, audit.row_ids, audit.scores, audit.strata), set(relevant.tolist())


def answered(audit: Audit, relevant: set[int], count: int) -> dict[int, str]:
    return {row: "yes" if row in relevant else "no" for row in audit.draws(count)[1].tolist()}


def test_the_claims_leave_out_what_is_below_the_line_and_count_its_misses_in_full() -> None:
    spared = Spared(line=2, missed=7, part=0.5)
    (chain,) = chains(RECALL, np.array([5, 5, 5, 5]), Known(yes=4, no=0), 0.04, spared)
    assert chain.delta == pytest.approx(0.02)
    assert list(zip(chain.levels, chain.cuts, strict=True))[-2:] == [(0.9, 2), (0.9, 1)]
    assert chain.claims.gains[-2].tolist() == pytest.approx([0.1, 0.1, 0, 0])
    assert chain.claims.gains[-1].tolist() == pytest.approx([0.1, -0.9, 0, 0])
    assert chain.claims.constants[-1] == pytest.approx(0.1 * 4 - 0.9 * 7)
    assert chain.claims.constants[0] == pytest.approx(0.5 * 4 - 0.5 * 7)


def test_the_line_is_the_highest_with_room_for_the_misses() -> None:
    audit, _ = drawn(1)
    line = line_of(audit, FITTING)
    assert line is not None
    # Half of the tenth that may be missed has room below the line, were the slope 0.8 of what is
    # expected, about the score of log-odds -1.4: 2.4 s - c = -1.4 where 3 s - 7 = -1.4, at s = 28 /
    # 15.
    room = 0.5 * 0.1 * FITTING.probability(audit.scores).sum()
    doubted = Calibration(2.4, -1.4 - 2.4 * 28 / 15).probability(audit.scores)
    at, above = (float(doubted[audit.strata >= cut].sum()) for cut in (line, line - 1))
    assert at + 2 * at**0.5 + 2 <= room < above + 2 * above**0.5 + 2
    assert spared_by_plan(audit, FITTING) == Spared(line, int(at + 2 * at**0.5 + 2), 0.5)
    assert audit.shares[line:].sum() == pytest.approx(0.05)  # a check gets a twentieth of the draws


def test_there_is_no_line_without_a_slope_or_enough_relevant_rows() -> None:
    audit, _ = drawn(1)
    assert line_of(audit, None) is None
    assert line_of(audit, Calibration(0.0, -2.0)) is None
    assert line_of(audit, Calibration(3.0, -12.0)) is None  # a handful: 2 may always lie below
    found = apply(audit, {}, None, assume=TAIL)
    assert isinstance(found, Refusal)
    assert "the tail cannot be assumed here" in found.reason


def test_a_count_is_bounded_by_poissons_tail() -> None:
    # Of mean 3: more than 5 with the chance 0.084, more than 6 with 0.034.
    assert tail._quantile(3.0, 0.05) == 6
    assert tail._quantile(3.0, 0.9) == 3  # never below the mean
    assert tail._quantile(0.0, 0.05) == 0


def test_rows_count_as_the_best_of_their_point() -> None:
    points, counts = tail._points(-np.arange(1_001.0))
    assert counts.sum() == 1_001
    assert len(points) == tail.POINTS
    assert points.max() == 0
    assert points @ counts > -np.arange(1_001.0).sum()


def test_a_forecast_is_a_distribution_and_learns() -> None:
    prior = tail._prior(0.0, 1.0, 0.0)
    found = np.exp(tail._forecasts(np.full(40, 2.0), np.full(40, YES), prior))  # (40, 2)
    assert found.sum(axis=1) == pytest.approx(np.ones(40))
    assert (np.diff(found[:, 1]) > 0).all()
    # An unknown answer teaches nothing.
    found = np.exp(tail._forecasts(np.full(3, 2.0), np.array([UNKNOWN, UNKNOWN, NO]), prior))
    assert found[0].tolist() == pytest.approx(found[2].tolist())


def test_the_edge_of_the_set_is_where_the_product_reaches_one_over_delta() -> None:
    scores = np.linspace(0, 2, 60)
    answers = (np.arange(60) % 7 == 0).astype(np.int64)
    prior = tail._prior(-1.0, 1.0, 1.0)
    forecasts = tail._forecasts(scores, answers, prior)
    numerator = forecasts[np.arange(60), answers].sum()
    slopes = np.array([0.0, 0.5, 1.0])
    found = tail._largest_a(slopes, scores, answers, forecasts, numerator + np.log(0.02))
    for slope, a in zip(slopes, found, strict=True):
        chances = 1 / (1 + np.exp(-(a + slope * scores)))
        product = numerator - np.log(np.where(answers == YES, chances, 1 - chances)).sum()
        assert product == pytest.approx(np.log(1 / 0.02), abs=1e-4)


def test_an_unknown_answer_leaves_in_the_set_what_either_answer_would() -> None:
    scores, slopes = np.linspace(0, 2, 61), np.array([0.0, 0.5, 1.0])
    before = (np.arange(60) % 7 == 0).astype(np.int64)
    edges = {}
    for answer in (YES, NO, UNKNOWN):
        answers = np.append(before, answer)
        forecasts = tail._forecasts(scores, answers, tail._prior(-1.0, 1.0, 1.0))
        known = np.flatnonzero(answers != UNKNOWN)
        least = forecasts[known, answers[known]].sum() + np.log(0.02)
        edges[answer] = tail._largest_a(slopes, scores, answers, forecasts, least)
    either = np.maximum(edges[YES], edges[NO])
    assert (edges[UNKNOWN] >= either).all()
    assert (edges[UNKNOWN] <= either + 0.11).all()  # it is looked for in steps of a tenth


def test_where_the_assumption_is_true_the_bound_holds_and_labels_are_saved() -> None:
    kept: dict[str | None, list[float]] = {None: [], TAIL: []}
    broken, wrong = 0, 0
    for seed in range(12):
        for assume, shares in kept.items():
            audit, relevant = drawn(seed, assume)
            answers = answered(audit, relevant, 1_200)
            found = apply(audit, answers, FITTING, assume=assume)
            shares.append(1.0)
            if isinstance(found, Applied):
                decided = overruled(audit, found.decisions, answers) == KEEP
                shares[-1] = float(decided.mean())
                right = sum(bool(decided[row - 1]) for row in relevant)
                broken += right < 0.9 * len(relevant)
            if assume == TAIL:
                standing = stand(audit, answers, FITTING, assume=TAIL)
                assert standing.tail is not None
                below = audit.row_ids[audit.strata >= standing.tail.line].tolist()
                wrong += len(relevant & set(below)) > standing.tail.missed
    assert broken <= 3  # of 24 at 5 %
    assert wrong <= 2
    assert np.mean(kept[TAIL]) < np.mean(kept[None]) - 0.1


def test_what_is_assumed_is_told_with_its_check() -> None:
    audit, relevant = drawn(3)
    found = apply(audit, answered(audit, relevant, 1_800), FITTING, assume=TAIL)
    assert isinstance(found, Applied)
    told = found.measured["assumption"]
    line = line_of(audit, FITTING) or 0
    assert told["name"] == "tail"
    assert told["below"] == audit.design.edges[line - 1]
    assert told["says"].startswith("assumed, not shown: above score")
    assert 0 < told["slope_at_least"] < 3
    strata, rows = audit.draws(1_800)
    below = rows[strata >= line].tolist()
    assert told["check"] == {
        "labels": len(below),
        "relevant": len(relevant & set(below)),
        "passed": True,
    }
    assert told["note"] == "a passed check is no proof of the assumption"
    assert "assumption" not in stand_free(audit, relevant)


def test_both_promises_of_an_audit_hold_less_surely_than_either() -> None:
    assert together(0.95, 0.95) == 0.9
    assert together(0.95, 0.8) == 0.75
    assert together(0.4, 0.5) == 0


def stand_free(audit: Audit, relevant: set[int]) -> dict[str, object]:
    found = apply(audit, answered(audit, relevant, ROWS), FITTING)
    assert isinstance(found, Applied)
    return dict(found.measured)


def test_relevant_rows_far_below_the_line_are_noticed() -> None:
    audit, relevant = drawn(4)
    line = line_of(audit, FITTING) or 0
    odd = audit.row_ids[audit.strata >= line].tolist()
    answers = answered(audit, relevant | set(odd), 1_000)
    looked = [row for row in answers if audit.strata[row - 1] >= line]
    found = apply(audit, answers, FITTING, assume=TAIL)
    assert isinstance(found, Refusal)
    assert f"of {len(looked):,} audit labels below the line are relevant" in found.reason


@pytest.mark.parametrize(
    ("assume", "target", "sentence"),
    [
        ("head", RECALL, "'head' is no assumption"),
        (TAIL, Target(None, 0.9), "promises precision alone"),
    ],
)
def test_what_cannot_be_assumed_is_a_mistake(assume: str, target: Target, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        check_assumption(assume, target)
