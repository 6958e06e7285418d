"""What counts as still and as a cut, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.sources.containers.frames import still_permille
from indexer.sources.containers.stillness import CELLS, Cells, Run, Stillness, change_permille
from indexer.sources.containers.video.choosing import CUT_PERMILLE, Cuts

SIZE = CELLS * CELLS * 3


def grey(level: int) -> Cells:
    return np.full(SIZE, level, np.uint8)


def with_one(level: int, one: int) -> Cells:
    """Grey, but for the green of one cell."""
    cells = grey(level)
    cells[3 * 500 + 1] = one
    return cells


def test_frames_differ_by_the_largest_change_in_any_cell() -> None:
    assert change_permille(grey(100), grey(100)) == 0
    assert change_permille(grey(0), grey(255)) == change_permille(grey(255), grey(0)) == 1_000
    # 51 of 255
    assert change_permille(grey(100), with_one(100, 151)) == 200
    assert change_permille(with_one(100, 49), grey(100)) == 200


def test_a_run_goes_on_while_frames_are_as_the_one_that_was_kept() -> None:
    stillness = Stillness(100)  # 25.5 of 255
    first = stillness.add(0, grey(100))
    assert first == Run(0, 0)
    assert stillness.add(1_000_000, with_one(100, 125)) is None
    # Drift adds up: each is near to the one before, the third is not to the first.
    assert stillness.add(2_500_000, grey(118)) is None
    assert first.columns() == {"still_frames": 3, "still_s": 2.5}
    second = stillness.add(3_000_000, grey(126))
    assert second == Run(3_000_000, 3_000_000)
    assert first.columns() == {"still_frames": 3, "still_s": 2.5}
    assert second.columns() == {"still_frames": 1, "still_s": 0.0}
    # What was there before is new again.
    assert stillness.add(4_000_000, grey(100)) == Run(4_000_000, 4_000_000)


def test_a_frame_that_cannot_be_read_is_kept_and_ends_no_run() -> None:
    stillness = Stillness(100)
    first = stillness.add(0, grey(100))
    assert stillness.add(1, None) == Run(1, 1)
    assert stillness.add(2, grey(100)) is None
    assert first == Run(0, 2, 2)
    alone = Stillness(100)
    assert alone.add(0, None) == Run(0, 0)
    assert alone.add(1, grey(0)) == Run(1, 1)


def test_a_cut_is_a_sudden_change_of_the_whole_frame() -> None:
    least = -(-CUT_PERMILLE * 255 // 1_000)  # of each cell, at least
    cuts = Cuts()
    assert cuts.begins(grey(100))
    assert not cuts.begins(grey(100))
    assert not cuts.begins(with_one(100, 255))
    assert cuts.begins(grey(100 + least))
    assert not cuts.begins(grey(100 + least))
    assert not cuts.begins(grey(100 + 2 * least - 1))


def test_a_pan_is_no_cut_but_for_its_first_jerk_and_a_flash_is_one() -> None:
    cuts = Cuts()
    levels = [0, 0, 40, 80, 120, 160, 200, 200, 200]
    # Where it stops, too: the change from one frame to the next changes by as much.
    assert [cuts.begins(grey(level)) for level in levels] == [
        *[True, False, True, False, False, False, False, False, False],
    ]
    flash = Cuts()
    assert [flash.begins(grey(level)) for level in (20, 20, 255, 20, 20)] == [
        *[True, False, True, False, False],
    ]


@pytest.mark.parametrize(
    ("text", "permille"), [("6%", 60), ("2.5", 25), ("0.1%", 1), ("100%", 1_000)]
)
def test_a_share_of_the_range(text: str, permille: int) -> None:
    assert still_permille(text) == permille


@pytest.mark.parametrize("text", ["", "0", "0%", "101", "-1", "6 %", "0.05", "much", "nan"])
def test_what_is_no_share_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no share from 0.1% to 100%, such as 6%"):
        still_permille(text)
