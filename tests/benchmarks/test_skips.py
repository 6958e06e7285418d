from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import skips
from service.relevance.promise.martingale import NO, YES, weigh


@pytest.mark.parametrize("cell", skips.CELLS)
def test_every_cell_is_false_by_one_row(cell: skips.Cell) -> None:
    above, below = cell.relevant
    assert above < 0.9 * (above + below)
    assert above + 1 >= 0.9 * (above + below)
    rows = np.repeat([0, 1], cell.rows)
    answers = [
        YES if at < yes else NO
        for many, yes in zip(cell.rows, cell.relevant, strict=True)
        for at in range(many)
    ]
    every = weigh(np.array(cell.rows), skips.SHARES, rows, answers, skips.CLAIM)
    assert every.known[0] == pytest.approx(0.1 * above - 0.9 * below)
    assert every.best[0] < np.inf


def test_who_tries_no_skip_has_what_skipping_nothing_gives() -> None:
    best, kept = skips.run(skips.CELLS[0], 60, 0, np.random.default_rng(3))
    assert best[2] == best[0]
    assert kept == 0
    tried, _ = skips.run(skips.CELLS[0], 60, 3, np.random.default_rng(3))
    assert tried[:2] == best[:2]
    assert tried[2] >= tried[0]


def test_it_counts_each_person_and_raises_no_alarm(capsys: pytest.CaptureFixture[str]) -> None:
    assert skips.main(["--runs", "3", "--labels", "40", "--tries", "1"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [list(each) for each in told["broken"]] == [list(skips.PEOPLE)] * 3
    assert told["level"] == 0.04
