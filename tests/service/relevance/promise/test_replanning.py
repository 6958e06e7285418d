"""Draws that are shared out anew while an audit runs."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import LakeDamaged
from service.relevance.definition import Target
from service.relevance.promise.audit import Audit, begin
from service.relevance.promise.auditing import planned
from service.relevance.promise.martingale import NO, YES, Claims, weigh
from service.relevance.promise.replanning import looks, shares_anew
from service.relevance.promise.shares import Shares, load, mark_of
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

SEED = "07" * 32


def begun(first: tuple[float, ...] = (0.2,) * 5, at: tuple[int, ...] = (20, 50)) -> Audit:
    """A hundred rows in five bands of twenty; row 1 has the best score."""
    scores = np.linspace(1, 0, 100, dtype=np.float32)
    audit = begin(1, 1, Target(0.9, None, 0.95), Scored(np.arange(1, 101), scores), {})
    audit.design = replace(audit.design, seed=SEED, shares=first, looks=at, budget=90)
    return audit


def test_a_budget_has_looks_where_something_may_have_been_learnt() -> None:
    assert looks(1_000, 5_000) == (100, 200, 333, 500, 666)
    assert looks(60, 5_000) == (20, 30, 40)  # of 6, 12, 20, 30, 40
    assert looks(1_000, 250) == (100, 200)
    assert looks(20, 5_000) == ()


def test_no_draw_is_known_before_its_shares_are() -> None:
    audit = begun()
    assert audit.decided == 20
    assert len(audit.draws(90)[1]) == len(audit.order[1]) == 20
    answers = dict.fromkeys(range(1, 101), "no")
    assert len(audit.prefix(answers)) == 20
    assert audit.pending({}, 90) == audit.draws(20)[1].tolist()
    later = audit.shared_anew(Shares(1, 20, 20, (0.2,) * 5, ""))
    assert later.decided == 50
    # The shares are those of before, and so are the draws: the first 50 of an audit without looks.
    plain = begun(at=())
    assert later.draws(90)[1].tolist() == plain.draws(50)[1].tolist()
    assert later.shared_anew(Shares(2, 50, 50, (0.2,) * 5, "")).decided == 100


def test_draws_go_on_by_the_new_shares_and_those_before_stay() -> None:
    audit = begun(at=(20,))
    tiny = 1e-9
    later = audit.shared_anew(Shares(1, 20, 20, (tiny, tiny, 1 - 4 * tiny, tiny, tiny), ""))
    before, (strata, rows) = audit.draws(20), later.draws(100)
    assert rows[:20].tolist() == before[1].tolist()
    # What is left of the third band comes first, then all the others.
    left = 20 - int((before[0] == 2).sum())
    assert 0 < left < 20
    assert set(strata[20 : 20 + left].tolist()) == {2}
    assert 2 not in strata[20 + left :]
    assert sorted(rows.tolist()) == list(range(1, 101))


def test_each_draw_is_weighed_with_the_shares_that_it_was_made_with() -> None:
    audit = begun()
    first, second, third = (0.2,) * 5, (0.1, 0.1, 0.2, 0.3, 0.3), (0.3, 0.3, 0.2, 0.1, 0.1)
    assert audit.shares_of(3).tolist() == list(first)
    later = audit.shared_anew(Shares(1, 20, 20, second, "")).shared_anew(
        Shares(2, 50, 50, third, "")
    )
    assert later.shares_of(3).tolist() == [list(first)] * 3
    assert later.shares_of(21).tolist() == [list(first)] * 20 + [list(second)]
    assert later.shares_of(52).tolist() == (
        [list(first)] * 20 + [list(second)] * 30 + [list(third)] * 2
    )
    assert (audit.shares_now.tolist(), later.shares_now.tolist()) == (list(first), list(third))


def test_shares_that_follow_the_answers_leave_the_bet_fair() -> None:
    """Every way in which three of five rows in two strata can be drawn, each with its chance: a
    claim that is true by nothing is worth on the average what it began with, though the shares are
    chosen by the first answer.
    """
    relevant = ([True, False], [True, False, False])
    # The one relevant row above pays what the one below costs: D = 0.
    claims = Claims(np.array([[1.0, -1.0]]), np.array([0.0]))
    sizes, first = np.array([2, 3]), (0.5, 0.5)
    expected = total = 0.0
    for order in itertools.permutations([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)], 3):
        answers = [YES if relevant[s][row] else NO for s, row in order]
        shares = [first, *[(0.9, 0.1) if answers[0] == YES else (0.2, 0.8)] * 2]
        chance, left = 1.0, sizes.copy()
        for (stratum, _), by in zip(order, shares, strict=True):
            open_ = np.where(left > 0, by, 0.0)
            chance *= open_[stratum] / open_.sum() / left[stratum]
            left[stratum] -= 1
        strata = np.array([stratum for stratum, _ in order])
        evidence = weigh(sizes, np.array(shares), strata, answers, claims)
        expected += chance * float(np.exp(evidence.now[0]))
        total += chance
    assert total == pytest.approx(1)
    assert expected == pytest.approx(1)


def good(prevalence: float) -> tuple[Audit, Calibration | None, dict[int, str], np.ndarray]:
    """5,000 rows whose best scores are the relevant ones, next to always; 60 answers taught."""
    generator = np.random.default_rng(3)
    relevant = np.arange(5_000) < 5_000 * prevalence
    scores = (generator.normal(size=5_000) + 5.0 * relevant).astype(np.float32)
    shown = np.unique(np.concatenate([np.argsort(-scores)[:20], generator.choice(5_000, 40)]))
    said = {int(row) + 1: "yes" if relevant[row] else "no" for row in shown}
    calibration = Calibration.fit(scores[shown], relevant[shown])
    scored = Scored(np.arange(1, 5_001), scores)
    audit = begin(1, 1, Target(0.9, None, 0.95), scored, said)
    audit.design = replace(audit.design, seed=SEED)
    return planned(audit, calibration, said, 1_000), calibration, said, relevant


def test_what_was_answered_changes_the_shares_and_nothing_else_does() -> None:
    audit, calibration, said, relevant = good(0.05)
    assert audit.design.looks == (100, 200, 333, 500, 666)
    drawn = audit.draws(100)[1].tolist()
    answers = said | {row: "yes" if relevant[row - 1] else "no" for row in drawn}
    found = shares_anew(audit, calibration, answers)
    assert (found.look, found.first, found.answers) == (1, 100, 100)
    assert sum(found.shares) == pytest.approx(1)
    assert min(np.array(found.shares) / np.array(audit.design.shares)) >= 0.1 - 1e-9
    # Answers to rows that are not drawn yet say nothing, nor do skips.
    rest = {row: "no" for row in range(1, 5_001) if row not in answers}
    assert shares_anew(audit, calibration, answers | rest) == found
    # Nobody has answered: it goes on as planned.
    unanswered = shares_anew(audit, calibration, said)
    assert (unanswered.shares, unanswered.answers) == (audit.design.shares, 0)
    skipped = shares_anew(audit, calibration, said | dict.fromkeys(drawn, "skip"))
    assert (skipped.shares, skipped.answers) == (audit.design.shares, 0)


def test_a_line_far_from_reach_by_the_plan_is_reached_by_what_was_learnt() -> None:
    """The plan before expects far too many relevant rows far down, as 60 answers do."""
    audit, calibration, said, relevant = good(0.05)
    changed = 0
    while audit.decided < 1_000:
        drawn = audit.draws(1_000)[1].tolist()
        answers = said | {row: "yes" if relevant[row - 1] else "no" for row in drawn}
        now = audit.shares_now.tolist()
        audit = audit.shared_anew(shares_anew(audit, calibration, answers))
        changed += audit.shares_now.tolist() != now
    assert changed > 0
    assert [later.look for later in audit.later] == [1, 2, 3, 4, 5]


def test_shares_on_disk_are_written_once_and_one_that_is_lost_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "audits"
    folder.mkdir()
    one = Shares(1, 20, 19, (0.25, 0.75), mark_of(SEED, ()))
    two = Shares(2, 50, 48, (0.5, 0.5), mark_of(SEED, (one,)))
    one.save(folder, 7)
    assert sorted(path.name for path in folder.iterdir()) == ["000007.shares-01.json"]
    assert load(folder, 7, SEED, (20, 50), 2) == (one,)
    with pytest.raises(FileExistsError):
        replace(one, shares=(0.5, 0.5)).save(folder, 7)
    assert load(folder, 7, SEED, (20, 50), 2) == (one,)
    assert load(folder, 7, SEED, (), 2) == ()
    two.save(folder, 7)
    assert load(folder, 7, SEED, (20, 50), 2) == (one, two)
    for of_another in (SEED, (21, 50), 2), (SEED, (20, 50), 3), ("08" * 32, (20, 50), 2):
        with pytest.raises(LakeDamaged, match=r"of another audit.*--again"):
            load(folder, 7, *of_another)
    (folder / "000007.shares-01.json").unlink()
    with pytest.raises(LakeDamaged, match=r"shares-01\.json.*missing"):
        load(folder, 7, SEED, (20, 50), 2)
    for bad in (b"", b"[]", b'{"format": 2}', one.to_json().replace(b"0.75", b"0.85")):
        (folder / "000007.shares-01.json").write_bytes(bad)
        with pytest.raises(LakeDamaged, match=r"no audit's shares .*--again"):
            load(folder, 7, SEED, (20, 50), 2)


def test_shares_that_go_on_from_other_ones_are_refused(tmp_path: Path) -> None:
    """As where two copies of a lake went on, and files of both came together."""
    folder = tmp_path / "audits"
    folder.mkdir()
    mine = Shares(1, 20, 19, (0.25, 0.75), mark_of(SEED, ()))
    theirs = replace(mine, answers=18)
    Shares(2, 50, 48, (0.5, 0.5), mark_of(SEED, (theirs,))).save(folder, 7)
    mine.save(folder, 7)
    with pytest.raises(LakeDamaged, match=r"shares-02\.json.* of another audit, or another look"):
        load(folder, 7, SEED, (20, 50), 2)
