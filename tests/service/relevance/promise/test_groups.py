"""A promise for every group, by hand: 100 rows, of which every fourth is of camera b."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from indexer.errors import BadRequest
from service.relevance.definition import Target
from service.relevance.promise.applying import Applied, Refusal, apply, stand, stand_at
from service.relevance.promise.audit import Audit, Design, Grouped, begin
from service.relevance.promise.auditing import planned
from service.relevance.promise.groups import (
    Group,
    check_every,
    found_of,
    measured,
    options,
    stand_by_group,
    together,
    until,
)
from service.relevance.promise.martingale import Evidence, weigh
from service.relevance.promise.plan import options as plain_options
from service.relevance.promise.promise import Known, chains
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

RECALL = Target(0.9, None, 0.95)
OF = np.array([1 if row % 4 == 0 else 0 for row in range(1, 101)], np.int16)
CAMERAS = Grouped("camera", ("a", "b"), OF)
STEEP = Calibration(1.0, -70.0)


def hundred(said: dict[int, str] | None = None, grouped: Grouped = CAMERAS) -> Audit:
    """Scores 99 to 0 of rows 1 to 100, five bands of twenty: 15 of a and 5 of b in each."""
    scored = Scored(np.arange(1, 101), np.arange(99, -1, -1).astype(np.float32))
    return planned(begin(1, 1, RECALL, scored, said or {}, grouped=grouped), STEEP, said or {})


def answered(audit: Audit, relevant: set[int], count: int) -> dict[int, str]:
    return {row: "yes" if row in relevant else "no" for row in audit.draws(count)[1].tolist()}


def test_draws_come_from_cells_each_row_once() -> None:
    audit = hundred()
    assert audit.cell_sizes.tolist() == [[15, 5]] * 5
    assert audit.cell_shares.sum() == pytest.approx(1)
    assert audit.cell_shares.sum(axis=1) == pytest.approx(audit.shares)
    strata, rows = audit.order
    assert sorted(rows.tolist()) == list(range(1, 101))
    assert strata.tolist() == [(row - 1) // 20 for row in rows.tolist()]
    assert (audit.cells_drawn(100) % 2).tolist() == OF[rows - 1].tolist()
    # A longer look begins as a shorter one did.
    assert audit.draws(30)[1].tolist() == rows[:30].tolist()


def test_a_group_is_weighed_by_its_own_draws_alone() -> None:
    audit, said = hundred(), answered(hundred(), set(), 0)
    said = answered(audit, set(range(1, 39)), 60)
    heard = audit.prefix(said)
    rates = np.array([0.99, 0.4, 0.01, 0.01, 0.01])
    _, b = stand_by_group(audit, said, heard, rates, 0.04)
    mine = OF[audit.draws(60)[1] - 1] == 1
    sizes = np.full(5, 5)
    shares = audit.cell_shares[:, 1] / audit.cell_shares[:, 1].sum()
    chain = chains(RECALL, sizes, Known(0, 0), 0.04)[0]
    strata = audit.draws(60)[0][mine]
    alone = weigh(sizes, shares, strata, np.array(heard)[mine].tolist(), chain.claims)
    assert b.evidence.drawn.tolist() == alone.drawn.tolist()
    assert b.evidence.relevant.tolist() == alone.relevant.tolist()
    assert b.evidence.known == pytest.approx(alone.known)
    assert (b.rows, b.name) == (25, "b")


def group(best: float) -> Group:
    """One of two strata with 10 and 90 rows, whose claims all have one capital."""
    sizes, zeros = np.array([10, 90]), np.zeros(2, np.int64)
    chain = chains(RECALL, sizes, Known(0, 0), 0.04)[0]
    logs = np.full(len(chain.claims), best)
    evidence = Evidence(logs, logs, logs, zeros, zeros)
    return Group("x", 100, sizes, np.array([0.5, 0.5]), chain, evidence, Known(0, 0), zeros)


def test_all_hold_needs_no_correction_and_a_list_of_which_hold_needs_holm_s() -> None:
    # 1 / 0.04 = 25. Of three groups the surest needs 75, the next 50, the last 25.
    log = np.log
    for capitals, holds in (
        ((76, 51, 26), (True, True, True)),
        ((26, 76, 51), (True, True, True)),
        ((76, 49, 26), (True, False, False)),
        ((74, 74, 74), (False, False, False)),
        ((1e9, 1e9, 24), (True, True, False)),
    ):
        groups = [group(float(log(each))) for each in capitals]
        assert tuple(each.holds for each in found_of(groups, 0.9)) == holds
        # all of them: the least sure one needs 25
        believed = bool(together(groups).holds(np.full(len(groups[0].chain.claims), 0.04)).all())
        assert believed == (min(capitals) >= 25)


def test_one_group_that_loses_too_much_moves_the_line_for_all() -> None:
    audit = hundred()
    # Two bands keep all 9 relevant rows of b, and 29 of 30 of a: row 81 is at the bottom.
    relevant = set(range(1, 39)) | {81}
    found = apply(audit, answered(audit, relevant, 99), STEEP)
    assert isinstance(found, Applied)
    assert found.thresholds.drop == 60
    # Of b rows 40, 44 and 48, too: two bands keep 10 of its 12, three keep all.
    more = relevant | {40, 44, 48}
    found = apply(audit, answered(audit, more, 99), STEEP)
    assert isinstance(found, Applied)
    assert found.thresholds.drop == 40
    # Of all together two bands keep 39 of 42: one promise for all has its line there.
    plain = begin(1, 1, RECALL, Scored(audit.row_ids, audit.scores), {})
    plain = planned(plain, STEEP, {})
    every = apply(plain, answered(plain, more, 99), STEEP)
    assert isinstance(every, Applied)
    assert every.thresholds.drop == 60


def test_where_a_group_can_show_nothing_any_more_all_is_answered_and_counted() -> None:
    """Two of b's 11 relevant rows are at the bottom, below every line; and all of b is answered."""
    audit = hundred()
    relevant = set(range(1, 38)) | {84, 88}
    order = audit.draws(100)[1]
    last = int(np.flatnonzero(OF[order - 1] == 1)[-1]) + 1
    found = apply(audit, answered(audit, relevant, last), STEEP)
    if last < 100:
        assert isinstance(found, Refusal)
        assert "(open: b)" in found.reason or "(open: a, b)" in found.reason
        assert found.labels_missing == 100 - last
    counted = apply(audit, answered(audit, relevant, 100), STEEP)
    assert isinstance(counted, Applied)
    assert counted.measured["counted"]
    # Where a row is open it is not counted, and the worst is assumed of it.
    skipped = {**answered(audit, relevant, 100), 100: "skip"}
    assert isinstance(apply(audit, skipped, STEEP), Refusal)


def test_each_group_has_its_bound() -> None:
    audit = hundred()
    relevant = set(range(1, 39))
    said = answered(audit, relevant, 99)
    found = apply(audit, said, STEEP)
    assert isinstance(found, Applied)
    every = found.measured["every"]
    assert every["column"] == "camera"
    a, b = every["groups"]
    assert (a["name"], a["rows"], b["name"], b["rows"]) == ("a", 75, "b", 25)
    assert a["labels"] + b["labels"] == 99
    # One row is open at most, so no more than one is missed.
    assert a["missed_at_most"] + b["missed_at_most"] <= 1
    # By hand, before any answer: 30 of a in two bands, which may all be relevant: 30 / 9 = 3.3.
    groups = stand_by_group(audit, {}, [], np.full(5, 0.1), 0.04)
    first = measured(groups, np.full(5, 0.1), 0.9, 2)
    assert [each["missed_at_most"] for each in first] == [3, 1]
    assert [each["relevant_estimate"] for each in first] == [7.5, 2.5]


def test_a_refusal_names_the_groups_that_are_open() -> None:
    audit = hundred()
    found = apply(audit, {}, STEEP)
    assert isinstance(found, Refusal)
    assert "recall 0.9 in every camera (open: a, b)" in found.reason
    # A group is at worst answered as a whole.
    assert found.labels_missing is not None
    assert 0 < found.labels_missing <= 100


def test_all_groups_together_take_the_labels_of_each() -> None:
    audit, rates = hundred(), np.array([0.99, 0.4, 0.01, 0.01, 0.01])
    found = options(audit, [Known(0, 0), Known(0, 0)], rates, 0.04)
    each = []
    for number in range(2):
        sizes = audit.cell_sizes[:, number]
        chain = chains(RECALL, sizes, Known(0, 0), 0.04)[0]
        alone = [option.labels for option in plain_options(sizes, rates, chain)]
        # whoever answers all 75 or 25 rows knows all
        each.append(np.minimum(alone, sizes.sum()))
    assert [option.labels for option in found] == pytest.approx((each[0] + each[1]).tolist())
    assert [option.kept for option in found] == [80, 60, 40, 20]
    groups = stand_by_group(audit, {}, [], rates, 0.04)
    assert (until(audit, groups, rates) <= 100).all()


def test_rows_answered_before_count_in_their_group_and_one_group_may_be_all_known() -> None:
    said = dict.fromkeys(range(4, 101, 4), "yes")  # all of b
    audit = hundred(said)
    assert audit.cell_sizes[:, 1].sum() == 0
    assert audit.known(said, 1) == Known(25, 0)
    assert audit.known(said, 0) == Known(0, 0)
    standing = stand(audit, said, STEEP)
    assert [each.holds for each in found_of(standing.groups, 0.9)] == [False, True]


def test_looks_share_a_pass_or_not_with_the_same_outcome() -> None:
    audit = hundred()
    said = answered(audit, set(range(1, 39)), 80)
    for look, standing in zip((30, 80), stand_at([30, 80], audit, said, STEEP), strict=True):
        alone = stand(audit, answered(audit, set(range(1, 39)), look), STEEP)
        assert standing.evidence[0].best.tolist() == alone.evidence[0].best.tolist()


def test_groups_are_of_use_where_recall_alone_is_promised_and_nothing_assumed() -> None:
    check_every("camera", RECALL, None)
    check_every(None, Target(None, 0.9), "tail")
    with pytest.raises(BadRequest, match="this filter promises precision"):
        check_every("camera", Target(0.9, 0.9), None)
    with pytest.raises(BadRequest, match="nothing assumed"):
        check_every("camera", RECALL, "tail")


def test_the_design_is_written_down_and_read_again() -> None:
    audit = hundred(grouped=replace(CAMERAS, names=("a", None)))
    design = Design.from_json(audit.design.to_json(), "a")
    assert design == audit.design
    assert (design.every, design.groups) == ("camera", ("a", None))
