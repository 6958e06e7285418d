"""A promise of scenes, by hand: 100 scenes of two rows, the second of each 30 points below."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from indexer.errors import BadRequest, LakeDamaged
from service.relevance.definition import Target
from service.relevance.promise import plan, scenes
from service.relevance.promise.applying import Applied, Refusal, apply, stand, stand_at
from service.relevance.promise.audit import ANSWERED, Design
from service.relevance.promise.auditing import planned
from service.relevance.promise.following import check_follow
from service.relevance.promise.martingale import STAKES, UNKNOWN, Claims, Evidence, growth, weigh
from service.relevance.promise.promise import Known
from service.relevance.promise.scenes import (
    SceneAudit,
    Scenes,
    chains_of,
    check_scene,
    facts,
    options,
    shares_for,
)
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

RECALL = Target(0.9, None, 0.95)
STEEP = Calibration(1.0, -70.0)
# Rows 1 to 100 score 99 to 0, one a scene; row 100 + n is of the scene of row n, at 30 less.
BEST = np.arange(99, -1, -1)
SCORED = Scored(np.arange(1, 201), np.concatenate([BEST, BEST - 30]).astype(np.float32))
PAIRS = Scenes("shot", np.tile(np.arange(100), 2))


def hundred(said: dict[int, str] | None = None) -> SceneAudit:
    """Five strata of twenty scenes: their best rows score 80, 60, 40, 20, 0 and more."""
    audit = planned(scenes.begin(1, 1, RECALL, SCORED, said or {}, 1, PAIRS), STEEP, said or {})
    assert isinstance(audit, SceneAudit)
    # What is false may be promised by bad luck; with this seed it is not.
    audit.design = replace(audit.design, seed="17" * 32)
    return audit


def answered(audit: SceneAudit, relevant: set[int], count: int) -> dict[int, str]:
    """As people look: the rows of a drawn scene, the best first, up to the first yes."""
    said = {}
    for row in audit.draws(count)[1].tolist():
        for each in (row, row + 100):
            said[each] = "yes" if each in relevant else "no"
            if each in relevant:
                break
    return said


def test_a_value_is_known_when_looked_at_and_bounded_from_below() -> None:
    # Two strata of 6 and 2, drawn with one half each: a row stands for 12, or for 4.
    sizes, shares, gains = np.array([6, 2]), np.array([0.5, 0.5]), np.array([[0.1, -0.9]])
    claims = Claims(gains, np.zeros(1), np.array([[-0.9, -0.9]]))
    plain = Claims(gains, np.zeros(1))
    assert plain.least.tolist() == [[0.0, -0.9]]
    first = np.array([0])

    def after(claims: Claims, answer: int, lies: int) -> Evidence:
        return weigh(sizes, shares, first, [answer], claims, lies=np.array([lies]))

    # The worst is 12 * -0.9, and a yes in its own stratum brings 12 * 0.1: a ninth of it.
    assert after(claims, 1, 0).now[0] == pytest.approx(np.log((1 + STAKES / 9).mean()))
    # Of rows the worst is 4 * -0.9: that yes brings a third.
    assert after(plain, 1, 0).now[0] == pytest.approx(np.log((1 + STAKES / 3).mean()))
    # One whose relevant row lies below takes all that was staked, and so does one that is unclear.
    for answer, lies in ((1, 1), (UNKNOWN, 0)):
        lost = after(claims, answer, lies)
        assert lost.now[0] == pytest.approx(np.log((1 - STAKES).mean()))
        assert lost.known.tolist() == [-0.9]
    # An unclear row above the line costs a promise of rows nothing.
    assert after(plain, UNKNOWN, 0).known.tolist() == [0.0]
    # A forecast fears the same worst: no relevant row, and nothing won.
    assert growth(sizes, shares, np.array([1.0, 1e-9]), claims, np.zeros(1))[0] == pytest.approx(
        max(0.5 * np.log1p(STAKES / 9)), abs=1e-6
    )


def test_scenes_are_drawn_by_their_best_row_and_rows_are_dropped_by_their_own() -> None:
    audit = hundred()
    assert audit.design.sizes == (20,) * 5
    assert audit.design.edges == (80.0, 60.0, 40.0, 20.0)
    assert (audit.scenes, audit.design.scene) == (100, "shot")
    # Row 101 scores 69, and 170 scores -1.
    assert audit.strata[[0, 19, 20, 99, 100, 169, 199]].tolist() == [0, 0, 1, 4, 1, 4, 4]
    strata, rows = audit.order
    assert sorted(rows.tolist()) == list(range(1, 101))
    assert strata.tolist() == [(row - 1) // 20 for row in rows.tolist()]
    # Scores of 80 and more: 20 rows; 60 and more: 40, and 10 second ones.
    assert audit.rows_in.tolist() == [20, 30, 40, 40, 70]
    assert (audit.rows_below(2), audit.rows_below(5)) == (150, 0)
    assert audit.asked(2) == {rows[0], rows[0] + 100, rows[1], rows[1] + 100}


def test_a_scene_is_answered_by_one_yes_or_by_a_no_to_each_of_its_rows() -> None:
    audit = hundred()
    first, second, third = audit.draws(3)[1].tolist()
    assert audit.pending({}, 3) == [first, first + 100, second, second + 100]
    assert audit.pending({first: "no"}, 1) == [first + 100]
    assert audit.pending({first: "yes"}, 2) == [second, second + 100]
    assert audit.pending({}, 9, budget=1) == [first, first + 100]
    assert audit.prefix({first: "no"}) == []
    assert audit.prefix({first + 100: "yes", second: "yes", second + 100: "skip"}) == [1, 1]
    said = {first: "no", first + 100: "no", second: "no", second + 100: "skip"}
    assert audit.prefix(said) == [0, UNKNOWN]
    assert audit.prefix({**said, third: "conflict"}) == [0, UNKNOWN]
    heard = audit.heard({first + 100: "yes", second: "yes"})
    # Its second row is 30 points below, or in the last stratum.
    assert heard.lies.tolist() == [
        audit.strata[first + 99],
        audit.strata[second - 1],
    ]
    assert heard.counts(1, 5).sum() == heard.counts(1, 5, lying=True).sum() == 2


def test_what_was_answered_before_is_known_or_drawn_by_the_rest() -> None:
    # Scene 1 is known; scene 2 is known to show nothing; of scene 3 the second row is left.
    before = {1: "yes", 2: "no", 102: "no", 3: "no"}
    audit = hundred(before)
    assert audit.strata[[0, 1, 2, 101]].tolist() == [ANSWERED] * 4
    assert sum(audit.design.sizes) == 98
    # Scene 3 is drawn by row 103, which scores 67.
    assert audit.drawn_strata[102] == audit.strata[102] >= 0
    # The second row of scene 1 is dropped by its score, and not drawn.
    assert audit.drawn_strata[100] == ANSWERED
    assert audit.strata[100] >= 0
    assert audit.known(before) == Known(1, 1)
    # What speaks for the promise is only what was said before.
    assert audit.known({**before, 102: "yes", 101: "yes"}) == Known(1, 1)
    lost = audit.known({**before, 1: "no", 101: "yes"})
    assert lost == Known(0, 1, 1)
    levels = np.array(chains_of(audit, lost, 0.04)[0].levels)
    assert chains_of(audit, lost, 0.04)[0].claims.constants == pytest.approx(-levels)
    assert chains_of(audit, Known(1, 1), 0.04)[0].claims.constants == pytest.approx(1 - levels)
    # A no from before that is a yes now counts where nothing is kept.
    rows = audit.draws(98)[1].tolist()
    said = dict.fromkeys(rows[: rows.index(103)], "yes") | before | {3: "yes"}
    assert audit.heard(said).lies[-1] == 4


def test_every_scene_may_be_a_lost_one() -> None:
    audit = hundred()
    chain = chains_of(audit, Known(0, 0), 0.04)[0]
    at = chain.first_of_target()
    assert chain.cuts[at:] == (4, 3, 2, 1)
    assert chain.claims.gains[at + 2] == pytest.approx([0.1, 0.1, -0.9, -0.9, -0.9])
    assert chain.claims.least == pytest.approx(-np.outer(chain.levels, np.ones(5)))


def test_the_line_is_where_the_relevant_rows_are_kept() -> None:
    audit = hundred()
    # Of twenty scenes the best row shows it: they score 80 and more.
    found = apply(audit, answered(audit, set(range(1, 21)), 99), STEEP)
    assert isinstance(found, Applied)
    assert found.thresholds.drop == 80
    # Of the same twenty it is the second row alone, at 69 to 50: the best row saves none of them.
    second = set(range(101, 121))
    found = apply(audit, answered(audit, second, 99), STEEP)
    assert isinstance(found, Applied)
    assert found.thresholds.drop == 40
    # Where all are answered it is counted, and the line is the same.
    found = apply(audit, answered(audit, second, 100), STEEP)
    assert isinstance(found, Applied)
    assert found.thresholds.drop == 40
    assert found.measured["counted"]
    assert found.measured["scenes"] == {
        "column": "shot",
        "scenes": 100,
        "at_least": 0.9,
        "relevant_estimate": 20.0,
        "missed_estimate": 0.0,
        "missed_at_most": 0,
    }


def test_skips_and_answers_taken_back_are_lost_wherever_the_line_is() -> None:
    audit = hundred()
    said = answered(audit, set(range(1, 21)), 100)
    # Of 23 that may be relevant 20 are kept for sure, which is less than 0.9.
    skipped = {**said, 100: "skip", 99: "skip", 98: "skip"}
    standing = stand(audit, skipped, STEEP)
    assert standing.counted is not None
    assert standing.counted.open == 3
    # They are kept where all is.
    assert standing.cuts == (5, 5)
    # Of 22 that is enough.
    assert stand(audit, {**said, 100: "skip", 99: "skip"}, STEEP).cuts == (1, 1)
    # Two were known to be relevant, and are not any more.
    before = {99: "yes", 100: "yes"}
    again = hundred(before)
    said = answered(again, set(range(1, 20)), 98)
    assert stand(again, {**said, **before}, STEEP).cuts == (1, 1)
    standing = stand(again, {**said, 99: "no", 100: "skip"}, STEEP)
    assert standing.counted is not None
    assert standing.counted.open == 2
    assert standing.cuts == (1, 1)


def test_what_is_measured_is_of_scenes() -> None:
    audit, rates = hundred(), np.full(5, 0.1)
    zeros = np.zeros(5, np.int64)
    none = Evidence(np.zeros(1), np.zeros(1), np.zeros(1), zeros, zeros)
    found = facts(audit, audit.heard({}), Known(0, 0), rates, none, 0.9, 2)
    # Forty scenes may be kept: a ninth of them may be lost. 6 are expected below.
    assert found["missed_at_most"] == 4
    assert (found["relevant_estimate"], found["missed_estimate"]) == (10.0, 4)
    applied = apply(audit, answered(audit, set(range(1, 21)), 99), STEEP)
    assert isinstance(applied, Applied)
    measured = applied.measured
    assert measured["recall"] == measured["precision"] == {"at_least": None, "estimate": None}
    assert measured["audit_labels"] == 99
    assert measured["scenes"]["missed_at_most"] <= 1


def test_more_is_asked_while_it_pays_in_rows() -> None:
    audit, rates, zeros = hundred(), np.array([0.9, 1e-6, 1e-6, 1e-6, 1e-6]), np.zeros(5, np.int64)
    chain = chains_of(audit, Known(0, 0), 0.04)[0]
    at = chain.first_of_target()
    # The first line holds, with 70 of 200 rows below it, and nothing more; 8 of D are known.
    best = np.where(np.arange(len(chain.claims)) <= at, np.inf, 0.0)
    evidence = Evidence(best, np.zeros(len(best)), np.full(len(best), 8.0), zeros, zeros)
    labels, rows = scenes.paying(audit, rates, chain, evidence)
    needed = plan.until(audit.sizes, audit.shares, rates, chain, evidence)
    # The strictest takes as many scenes as any line, and drops 110 rows more: half of each is less.
    assert (labels, rows) == (int(np.ceil(needed[-1])), 110)
    assert labels < 100
    # Half an annotation for each of over 220 scenes would be too dear.
    dear = Evidence(best, np.zeros(len(best)), np.zeros(len(best)), zeros, zeros)
    assert plan.until(audit.sizes, audit.shares, rates, chain, dear)[-1] > 220
    assert scenes.paying(audit, rates, chain, dear) == (0, 0)
    done = Evidence(np.full(len(best), np.inf), *(best, best), zeros, zeros)
    assert scenes.paying(audit, rates, chain, done) == (0, 0)


def test_a_refusal_counts_scenes() -> None:
    audit = hundred()
    refused = apply(audit, {}, STEEP)
    assert isinstance(refused, Refusal)
    assert refused.reason.startswith(
        "0 scenes looked at do not yet show that 0.9 of the relevant scenes of shot keep a relevant"
    )
    assert refused.labels_missing is not None
    assert 0 < refused.labels_missing <= 100


def test_a_refusal_says_what_holds_of_scenes_and_how_many_rows_it_drops() -> None:
    audit = hundred()
    # 12 of 22 are kept where the last stratum is dropped: more than 0.5, and less than 0.6.
    relevant = set(range(1, 13)) | set(range(91, 101))
    found = apply(audit, answered(audit, relevant, 99), STEEP)
    assert isinstance(found, Refusal)
    assert found.can_promise == {"scenes": 0.5, "confidence": 0.95, "dropped": 70}


def test_looks_share_a_pass_with_the_same_outcome() -> None:
    audit = hundred()
    said = answered(audit, set(range(1, 21)), 80)
    for look, standing in zip((30, 80), stand_at([30, 80], audit, said, STEEP), strict=True):
        alone = stand(audit, answered(audit, set(range(1, 21)), look), STEEP)
        assert standing.evidence[0].best.tolist() == alone.evidence[0].best.tolist()


def test_a_plan_counts_scenes_to_look_at_and_rows_to_drop() -> None:
    audit, rates = hundred(), np.array([0.9, 0.1, 0.01, 0.01, 0.01])
    found = options(audit, Known(0, 0), rates, 0.04)
    assert [(each.cut, each.kept, each.dropped) for each in found] == [
        (4, 130, 70),
        (3, 90, 110),
        (2, 50, 150),
        (1, 20, 180),
    ]
    # 18 + 2 + 0.2 + 0.2 + 0.2 relevant scenes
    assert [each.recall for each in found] == pytest.approx(
        [20.4 / 20.6, 20.2 / 20.6, 20 / 20.6, 18 / 20.6]
    )
    # Of equal strata each gets a fifth of 0.85; the rest goes above the line by the root of rates.
    shares = shares_for(np.full(5, 20), rates, 2)
    above = 0.15 * np.sqrt([0.9, 0.1]) / (np.sqrt(0.9) + np.sqrt(0.1))
    assert shares == pytest.approx([0.17 + above[0], 0.17 + above[1], 0.17, 0.17, 0.17])


def test_the_design_is_of_format_2_and_read_again() -> None:
    audit = hundred()
    data = audit.design.to_json()
    assert Design.from_json(data, "a") == audit.design
    document = json.loads(data)
    assert (document["format"], document["scene"]) == (2, "shot")
    # Of rows it is as it was.
    with pytest.raises(LakeDamaged, match="another format"):
        Design.from_json(json.dumps({**document, "format": 1}).encode(), "a")


def test_what_is_not_shown_of_scenes_is_refused() -> None:
    check_scene("shot", RECALL)
    check_scene(None, Target(None, 0.9), every="camera", assume="tail")
    for target in (Target(None, 0.9), Target(0.9, 0.9)):
        with pytest.raises(BadRequest, match="this filter promises precision"):
            check_scene("shot", target)
    with pytest.raises(BadRequest, match="leave every or scene out"):
        check_scene("shot", RECALL, every="camera")
    with pytest.raises(BadRequest, match="leave assume or scene out"):
        check_scene("shot", RECALL, assume="tail")
    with pytest.raises(BadRequest, match="leave prices or scene out"):
        check_scene("shot", RECALL, prices=1)
    with pytest.raises(BadRequest, match="leave ask or scene out"):
        check_scene("shot", RECALL, ask=True)
    with pytest.raises(BadRequest, match="since it promises of scenes of shot"):
        check_follow(hundred().design)
