from __future__ import annotations

import numpy as np
import pytest

from service.relevance.definition import Target
from service.relevance.promise.martingale import Evidence
from service.relevance.promise.promise import Known, chains, delta_of

SIZES = np.array([5, 5, 5])


def evidence(best: list[float]) -> Evidence:
    count = np.zeros(3, np.int64)
    return Evidence(np.array(best), np.array(best), np.zeros(len(best)), count, count)


def test_audits_of_one_filter_share_its_chance_of_error() -> None:
    assert [delta_of(0.95, number) for number in (1, 2, 3)] == pytest.approx([0.04, 0.008, 0.0016])
    assert sum(delta_of(0.95, number) for number in range(1, 40)) == pytest.approx(0.05)


def test_recall_is_claimed_from_the_most_generous_cut_on() -> None:
    (chain,) = chains(Target(0.9, None, 0.95), SIZES, Known(yes=4, no=9), 0.04)
    assert list(zip(chain.levels, chain.cuts, strict=True)) == [
        *[(level, 2) for level in (0.5, 0.6, 0.7, 0.8, 0.85)],
        (0.9, 2),
        (0.9, 1),
    ]
    assert chain.claims.gains[-2].tolist() == pytest.approx([0.1, 0.1, -0.9])
    assert chain.claims.gains[-1].tolist() == pytest.approx([0.1, -0.9, -0.9])
    assert chain.claims.constants[-1] == pytest.approx(0.1 * 4)
    assert chain.claims.constants[0] == pytest.approx(0.5 * 4)


def test_precision_is_claimed_from_the_strictest_cut_on() -> None:
    (chain,) = chains(Target(None, 0.6, 0.95), SIZES, Known(yes=2, no=0, withdrawn=1), 0.04)
    assert list(zip(chain.levels, chain.cuts, strict=True)) == [(0.5, 1), (0.6, 1), (0.6, 2)]
    assert chain.claims.gains[-1].tolist() == [1, 1, 0]
    # 2 known relevant rows are kept, 1 of unknown kind, and 10 rows of two strata: 0.4 * 2 - 0.6 *
    # 11.
    assert chain.claims.constants[-1] == pytest.approx(0.8 - 6.6)


def test_both_promises_share_the_chance_of_error() -> None:
    found = chains(Target(0.9, 0.6, 0.95), SIZES, Known(0, 0), 0.04)
    assert [(chain.kind, chain.delta) for chain in found] == [("recall", 0.02), ("precision", 0.02)]


def test_a_claim_counts_only_after_all_before_it() -> None:
    (chain,) = chains(Target(0.9, None, 0.95), SIZES, Known(0, 0), 0.05)
    sure = float(np.log(20))  # 1 / 0.05
    assert chain.best_cut(evidence([sure] * 6 + [0])) == 2
    assert chain.best_cut(evidence([sure] * 7)) == 1
    skipped = evidence([sure, sure, 0, sure, sure, sure, sure])
    assert chain.best_cut(skipped) is None
    assert chain.ladder_level(skipped) == 0.6
    assert chain.ladder_level(evidence([sure - 0.01] + [sure] * 6)) is None


def test_there_is_no_claim_without_a_line() -> None:
    assert chains(Target(0.9, None, 0.95), np.array([15]), Known(0, 0), 0.05) == []
