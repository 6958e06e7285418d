from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import LakeDamaged, LakeError
from service.relevance.definition import Target
from service.relevance.promise.audit import Audit, bands, begin, fresh_seed, numbers, with_plan
from service.relevance.promise.martingale import NO, UNKNOWN, YES
from service.relevance.promise.promise import Known
from service.relevance.scoring.scorer import Scored


def scored(rows: int) -> Scored:
    """Row ids from 1; the first has the largest score."""
    return Scored(np.arange(1, rows + 1), np.linspace(1, 0, rows, dtype=np.float32))


def begun(rows: int = 100, answers: dict[int, str] | None = None) -> Audit:
    return begin(1, 3, Target(0.9, None, 0.95), scored(rows), answers or {})


def test_bands_are_fine_at_the_top_and_hold_every_row() -> None:
    # A hundred rows: edges at 20, 25, 30 ... are wanted, but a band has 20 rows at least.
    assert bands(np.linspace(1, 0, 100, dtype=np.float32)) == [20, 20, 20, 20, 20]
    assert bands(np.empty(0, np.float32)) == []
    assert bands(np.ones(7, np.float32)) == [7]
    assert sum(bands(np.linspace(1, 0, 12_345, dtype=np.float32))) == 12_345


def test_rows_of_one_score_are_never_parted() -> None:
    scores = np.repeat(np.array([3, 2, 1], np.float32), [30, 500, 10])
    assert bands(scores) == [30, 500, 10]


def test_every_row_is_drawn_once_and_the_seed_decides_the_order() -> None:
    audit = begun()
    strata, rows = audit.order
    assert sorted(rows.tolist()) == list(range(1, 101))
    assert ((rows - 1) // 20).tolist() == strata.tolist()  # five bands of twenty
    again = Audit(audit.design, audit.row_ids, audit.scores, audit.strata)
    assert again.order[1].tolist() == rows.tolist()
    other = Audit(replace(audit.design, seed="07" * 32), audit.row_ids, audit.scores, audit.strata)
    assert other.order[1].tolist() != rows.tolist()
    assert begun().design.seed != audit.design.seed


def test_a_real_seed_is_256_bits_that_never_come_again() -> None:
    seeds = {fresh_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(seed) for seed in seeds} == {64}
    # 25,600 bits, half of them set; six standard errors of 80 either side
    assert abs(sum(int(seed, 16).bit_count() for seed in seeds) - 12_800) < 480


def test_the_order_of_a_seed_is_fixed_for_ever() -> None:
    audit = begun()
    known = Audit(replace(audit.design, seed="07" * 32), audit.row_ids, audit.scores, audit.strata)
    # as first drawn, in format 1
    assert known.order[1][:8].tolist() == [61, 69, 47, 39, 35, 54, 57, 80]


def test_answers_count_in_the_drawn_order_up_to_the_first_that_is_missing() -> None:
    audit = begun()
    first = audit.order[1][:5].tolist()
    answers = dict(zip(first, ["yes", "skip", "conflict", "no"], strict=False))
    assert audit.prefix(answers) == [YES, UNKNOWN, UNKNOWN, NO]
    del answers[first[1]]
    assert audit.prefix(answers) == [YES]
    assert audit.pending(answers, 2) == [first[1], first[4]]
    # A budget is of draws: the one that was passed over is within it, the fifth is not.
    assert audit.pending(answers, 9, 4) == [first[1]]
    assert audit.pending({**answers, first[1]: "no"}, 9, 4) == []


def test_rows_answered_before_are_known_and_not_drawn() -> None:
    audit = begun(100, {1: "yes", 2: "no", 3: "skip", 4: "yes"})
    assert sorted(audit.order[1].tolist()) == [3, *range(5, 101)]
    assert audit.known({1: "yes", 2: "no", 4: "yes"}) == Known(2, 1, 0)
    assert audit.known({1: "no", 4: "skip"}) == Known(0, 1, 2)  # changed and withdrawn since


def test_a_yes_since_the_audit_began_speaks_for_nothing(tmp_path: Path) -> None:
    audit = begun(100, {1: "yes", 2: "no", 3: "skip", 4: "yes", 5: "no"})
    audit.save(tmp_path)
    for each in (audit, Audit.load(tmp_path, 1), with_plan(audit, audit.shares, None, None)):
        # Row 4 is yes again; rows 2 and 5 were no, and count as an answer that was taken back.
        now = {1: "yes", 2: "yes", 3: "yes", 4: "yes", 5: "yes"}
        assert each.known(now) == Known(2, 0, 2)
        assert each.known({**now, 4: "no"}) == Known(1, 1, 2)
    table = pq.read_table(tmp_path / "000001.parquet")
    assert table["yes_before"].to_pylist()[:5] == [True, False, False, True, False]
    pq.write_table(table.drop_columns(["yes_before"]), tmp_path / "000001.parquet")
    assert Audit.load(tmp_path, 1).known(now) == Known(4, 0, 0), "of an early version: as it is now"
    odd = table.set_column(3, "yes_before", pa.array(["odd"] * 100))
    pq.write_table(odd, tmp_path / "000001.parquet")
    with pytest.raises(LakeDamaged, match=r"000001\.parquet is damaged"):
        Audit.load(tmp_path, 1)


def test_a_part_that_is_none_is_damage(tmp_path: Path) -> None:
    audit = begun()
    audit.save(tmp_path)
    path = tmp_path / "000001.json"
    for part in (0, -1, 0.5, "6", None):
        path.write_text(json.dumps({**json.loads(audit.design.to_json()), "one_in": part}))
        with pytest.raises(LakeDamaged, match="one_in is not a whole number from 1"):
            Audit.load(tmp_path, 1)
    early = json.loads(audit.design.to_json())
    del early["one_in"]
    path.write_text(json.dumps(early))
    assert Audit.load(tmp_path, 1).design.one_in == 1, "of an early version: the whole"


def test_an_audit_is_read_as_it_was_written(tmp_path: Path) -> None:
    audit = begun(100, {7: "yes"})
    audit.save(tmp_path / "audits")
    assert numbers(tmp_path / "audits") == [1]
    read = Audit.load(tmp_path / "audits", 1)
    assert read.design == audit.design
    assert read.order[1].tolist() == audit.order[1].tolist()
    assert read.scores.tolist() == audit.scores.tolist()


def test_a_broken_audit_is_told_with_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "audits"
    begun().save(folder)
    (folder / "000001.parquet").write_bytes(b"no")
    with pytest.raises(LakeDamaged, match=r"000001\.parquet is damaged"):
        Audit.load(folder, 1)
    (folder / "000001.json").write_text("{}")
    with pytest.raises(LakeDamaged, match=r"000001\.json is damaged: it is no audit's design"):
        Audit.load(folder, 1)
    with pytest.raises(LakeError, match="no audit was begun"):
        begun().save(tmp_path / "audits" / "000001.json")


def plain_order(audit: Audit) -> tuple[list[int], list[int]]:
    """What `order` says in so many words, one draw after the other:
    strata and row_ids, as format 1 fixed them.
    """
    generator = np.random.PCG64(int(audit.design.seed, 16))
    keys = generator.random_raw(len(audit.row_ids))
    left = list(audit.design.sizes)
    rows_of = [
        [int(row) for row in np.argsort(keys, kind="stable") if audit.strata[row] == number]
        for number in range(len(left))
    ]
    strata, rows = [], []
    for _ in range(sum(left)):
        uniform = float(generator.random_raw() >> 11) * 2.0**-53
        chances = np.array(
            [s if n else 0.0 for s, n in zip(audit.design.shares, left, strict=True)]
        )
        ends = np.cumsum(chances / chances.sum())
        stratum = int(np.searchsorted(ends, uniform * ends[-1], side="right"))
        left[stratum] -= 1
        strata.append(stratum)
        rows.append(int(audit.row_ids[rows_of[stratum].pop(0)]))
    return strata, rows


@pytest.mark.parametrize(("rows", "known"), [(7, 0), (100, 3), (5_000, 40)])
def test_drawing_much_at_once_draws_what_one_by_one_does(rows: int, known: int) -> None:
    audit = begun(rows, dict.fromkeys(range(2, 2 + known), "yes"))
    generator = np.random.default_rng(rows)
    shares = generator.random(len(audit.design.sizes)) ** 3 + 1e-3
    # some strata end long before others
    audit = with_plan(audit, shares / shares.sum(), None, None)
    strata, drawn = plain_order(audit)
    for count in (1, 5, 90, 2_500, rows):
        assert [part.tolist() for part in audit.draws(count)] == [strata[:count], drawn[:count]]
    fresh = Audit(audit.design, audit.row_ids, audit.scores, audit.strata)
    assert [part.tolist() for part in fresh.order] == [strata, drawn]


def test_pending_rows_are_found_however_far_away() -> None:
    audit = begun(5_000)
    drawn = audit.order[1].tolist()
    fresh = Audit(audit.design, audit.row_ids, audit.scores, audit.strata)
    answers = dict.fromkeys(drawn[:4_500], "no")
    assert fresh.pending(answers, 3) == drawn[4_500:4_503]
    assert fresh.prefix(answers) == [NO] * 4_500
    assert fresh.pending(dict.fromkeys(drawn, "no"), 3) == []
