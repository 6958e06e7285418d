"""Sizes and times, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.scale import Machines, Sizes, main, simulated, sizes_of, sizing, time_of_parts

ALIKE = Machines(4, 10.0, spread=0.0, straggling=0.0, deaths_per_hour=0.0)
NO_LISTING = float("inf")


def took(images: int, parts: int, machines: Machines, listed: float = NO_LISTING) -> float:
    random = np.random.default_rng(1)
    return time_of_parts(images, parts, machines, random, listed_a_second=listed)


def test_equal_machines_share_the_work() -> None:
    """4,000 images, 4 machines of 10 a second: 100 s, in however many parts that come out even."""
    assert took(4_000, 4, ALIKE) == took(4_000, 16, ALIKE) == pytest.approx(100)
    # 5 parts of 800: one machine does two.
    assert took(4_000, 5, ALIKE) == pytest.approx(160)
    # 2 parts: two machines have nothing to do.
    assert took(4_000, 2, ALIKE) == pytest.approx(200)


def test_every_part_lists_all_images() -> None:
    """4 s of listing for each of the 4 parts that a machine does."""
    assert took(4_000, 16, ALIKE, listed=1_000) == pytest.approx(100 + 4 * 4)


def test_a_straggler_takes_three_times_as_long_alone_and_less_in_many_parts() -> None:
    slow = Machines(1, 10.0, spread=0.0, straggling=1.0, deaths_per_hour=0.0)
    assert took(1_000, 1, slow) == pytest.approx(300)
    some = Machines(100, 10.0, spread=0.0, straggling=0.1, deaths_per_hour=0.0)
    assert took(100_000, 100, some) == pytest.approx(300)
    # 1 s a part of 10 images, 3 s on a straggler; all are busy to the end but for one part.
    rates = some.rates(np.random.default_rng(1))
    assert took(100_000, 10_000, some) == pytest.approx(100_000 / sum(rates), abs=3)


def test_who_dies_goes_on_from_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 images at 10 a second; it dies after 70 s, of which the last 60 are lost: 900 are left,
    from 250 s on.
    """

    class Dies:
        times = iter([70.0, 1e9])

        def standard_normal(self, count: int) -> np.ndarray:
            return np.zeros(count)

        def random(self, count: int) -> np.ndarray:
            return np.ones(count)

        def exponential(self, _: float) -> float:
            return next(self.times)

    mortal = Machines(1, 10.0, spread=0.0, straggling=0.0, deaths_per_hour=1.0)
    found = time_of_parts(1_000, 1, mortal, Dies(), listed_a_second=NO_LISTING)  # type: ignore[arg-type]
    assert found == pytest.approx(70 + 180 + 90)


def test_the_same_seed_gives_the_same_table() -> None:
    first, second = (list(simulated(100_000, Machines(4, 10.0), runs=5)) for _ in range(2))
    assert first == second


def test_sizes_are_by_the_row(tmp_path: Path) -> None:
    sizes = sizes_of(8, tmp_path / "sample.lake", rows=2_000)
    assert (sizes.vectors, sizes.codes, sizes.groups) == (16, 16, 24)
    assert 20 < sizes.rows < 500


def test_the_table_is_what_its_laws_say() -> None:
    """A million rows of 1,000 bytes; 3.6 million images at 1,000 a second are an hour."""
    line = list(sizing(Sizes(400, 100, 200, 300), [3_600_000], 1_000, 0.5))[-1]
    assert line == "| 3,600,000 | 3.6 GB | 1.1 GB | 0.5 min | 1 | 0 |"


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--images", "1000000", "--runs", "3", "--dim", "16"]) == 0
    said = capsys.readouterr().out
    assert "| 1,000,000 |" in said and said.count("times |") == 3
    with pytest.raises(SystemExit):
        main(["--rate", "0"])
