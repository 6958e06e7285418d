"""The plain SUPG that filters are measured beside:
what it keeps, where that can be said beforehand.
"""

from __future__ import annotations

import numpy as np

from benchmarks.supg import select


def test_without_a_relevant_row_below_the_threshold_everything_is_kept() -> None:
    # All relevant rows have the best proxy: none is below the first threshold, so nothing bounds
    # what is missed there.
    relevant = np.arange(1_000) < 100
    proxy = np.where(relevant, 0.9, 0.1)
    kept = select(proxy, relevant, 0.9, 0.05, 500, np.random.default_rng(0))
    assert kept.all()


def test_without_any_relevant_row_in_the_sample_everything_is_kept() -> None:
    kept = select(np.full(50, 0.5), np.zeros(50, bool), 0.9, 0.05, 20, np.random.default_rng(0))
    assert kept.all()


def test_with_plenty_of_labels_it_keeps_little_more_than_it_must() -> None:
    random = np.random.default_rng(1)
    proxy = random.random(20_000)
    relevant = (
        random.random(20_000) < proxy
    )  # calibrated: recall 0.9 needs the rows above sqrt(0.1), 0.684 of all
    kept = select(proxy, relevant, 0.9, 0.05, 5_000, random)
    assert 0.684 < kept.mean() < 0.74
    assert kept[relevant].mean() >= 0.9
